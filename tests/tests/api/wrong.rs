//! From an OpenAPI document to requests that have exactly one thing wrong.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};

const AN_ID: &str = "00000000-0000-0000-0000-000000000001";
/// Deep enough for `messages[0].content[0].text`.
const MAX_DEPTH: usize = 6;

/// A request with one wrong field or parameter.
#[derive(Debug)]
pub struct Wrong {
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Null where the wrong thing is a parameter.
    pub body: Value,
    /// The field that a problem has to name.
    pub field: String,
    pub value: Value,
}

/// For each field of each JSON body: the body with a value of a wrong type in that field.
pub fn wrong_bodies(document: &Value) -> Result<Vec<Wrong>> {
    let mut wrongs = Vec::new();
    for (path, method, operation) in operations(document)? {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") else { continue };
        let schemas = Schemas(document);
        for (body, field, value) in schemas.variants(schema, "", MAX_DEPTH) {
            wrongs.push(Wrong { method: method.clone(), path: filled(&path), body, field, value });
        }
    }
    Ok(wrongs)
}

/// For each parameter that can be wrong: the address with it; and for each route with a query: an unknown one.
pub fn wrong_parameters(document: &Value) -> Result<Vec<Wrong>> {
    let mut wrongs = Vec::new();
    for (path, method, operation) in operations(document)? {
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let in_query: Vec<&Value> = parameters.iter().filter(|parameter| parameter["in"] == "query").collect();
        let wrong = |path: String, field: &str, value: &str| Wrong {
            method: method.clone(),
            path,
            body: Value::Null,
            field: field.to_owned(),
            value: json!(value),
        };
        if path.contains("{id}") && parameters.iter().any(|parameter| parameter["schema"]["format"] == "uuid") {
            wrongs.push(wrong(path.replace("{id}", "7"), "id", "7"));
        }
        if path.contains("{author}") && method == Method::GET {
            let value = "Not%20A%20Handle";
            wrongs.push(wrong(path.replace("{author}", value), "author", value));
        }
        let address = filled(&path);
        for parameter in &in_query {
            let name = parameter["name"].as_str().context("a parameter has a name")?;
            if let Some(value) = wrong_parameter(name, &parameter["schema"]) {
                wrongs.push(wrong(format!("{address}?{name}={value}"), name, value));
            }
        }
        if !in_query.is_empty() {
            wrongs.push(wrong(format!("{address}?unheard_of=1"), "unheard_of", "1"));
        }
    }
    Ok(wrongs)
}

/// The path with something that fits in place of each parameter.
fn filled(path: &str) -> String {
    path.replace("{id}", AN_ID).replace("{author}", "ada")
}

/// None: any text is right.
fn wrong_parameter(name: &str, schema: &Value) -> Option<&'static str> {
    match schema["type"].as_str() {
        Some("integer") => Some("many"),
        _ if schema["enum"].is_array() => Some("perhaps"),
        _ if name == "author" => Some("Not%20A%20Handle"),
        _ if matches!(name, "before" | "after") => Some("yesterday"),
        _ => None,
    }
}

fn operations(document: &Value) -> Result<Vec<(String, Method, &Value)>> {
    let paths = document["paths"].as_object().context("the document has paths")?;
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().context("a path has operations")? {
            operations.push((path.clone(), method.to_uppercase().parse()?, operation));
        }
    }
    Ok(operations)
}

struct Schemas<'a>(&'a Value);

impl<'a> Schemas<'a> {
    /// The schema itself, where it stands in one of the two forms of an optional or shared one.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.trim_start_matches('#');
            return self.0.pointer(pointer).map_or(&Value::Null, |found| self.resolve(found));
        }
        let choices = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        match choices.iter().filter(|choice| choice["type"] != "null").collect::<Vec<_>>().as_slice() {
            [only] => self.resolve(only),
            _ => schema,
        }
    }

    /// A value that fits.
    fn sample(&self, schema: &'a Value) -> Value {
        let schema = self.resolve(schema);
        if !schema["example"].is_null() {
            return schema["example"].clone();
        }
        if let Some(first) = schema["enum"].get(0).or_else(|| schema["default"].as_str().map(|_| &schema["default"])) {
            return first.clone();
        }
        if let Some(first) = schema["oneOf"].get(0) {
            return self.sample(first);
        }
        match type_of(schema) {
            "object" => {
                let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
                let names = required.iter().filter_map(Value::as_str);
                let members = names.map(|name| (name.to_owned(), self.sample(&schema["properties"][name])));
                Value::Object(members.collect())
            }
            "array" => json!([self.sample(&schema["items"])]),
            "integer" | "number" => json!(1),
            "boolean" => json!(false),
            _ => json!("text"),
        }
    }

    /// Each value that is wrong in one place, with the place's path and what stands there.
    fn variants(&self, schema: &'a Value, path: &str, depth: usize) -> Vec<(Value, String, Value)> {
        let schema = self.resolve(schema);
        let mut variants = Vec::new();
        if depth == 0 {
            return variants;
        }
        if !path.is_empty() {
            let wrong = wrong_value(schema);
            variants.push((wrong.clone(), path.to_owned(), wrong));
        }
        let choices = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        for choice in choices.iter().filter(|choice| type_of(self.resolve(choice)) == "array") {
            variants.extend(self.within(choice, path, depth));
        }
        variants.extend(self.within(schema, path, depth));
        variants
    }

    /// Those that are wrong further in.
    fn within(&self, schema: &'a Value, path: &str, depth: usize) -> Vec<(Value, String, Value)> {
        let schema = self.resolve(schema);
        match type_of(schema) {
            "array" => {
                let inner = self.variants(&schema["items"], &format!("{path}[0]"), depth - 1);
                inner.into_iter().map(|(item, path, wrong)| (json!([item]), path, wrong)).collect()
            }
            "object" => {
                let whole = self.sample(schema).as_object().cloned().unwrap_or_default();
                let properties = schema["properties"].as_object();
                let member = |(name, property): (&String, &'a Value)| {
                    let inner_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    let inner = self.variants(property, &inner_path, depth - 1).into_iter();
                    let put = |(value, path, wrong)| {
                        let mut whole: Map<String, Value> = whole.clone();
                        whole.insert(name.clone(), value);
                        (Value::Object(whole), path, wrong)
                    };
                    inner.map(put).collect::<Vec<_>>()
                };
                properties.into_iter().flatten().flat_map(member).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The type that is not null.
fn type_of(schema: &Value) -> &str {
    let of_list = || schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|name| *name != "null");
    schema["type"].as_str().or_else(of_list).unwrap_or_default()
}

/// A value that no schema of this type takes. `true` is neither a text, a list nor an object.
fn wrong_value(schema: &Value) -> Value {
    match type_of(schema) {
        "string" => json!(5),
        "integer" | "number" | "boolean" => json!("a text"),
        _ => json!(true),
    }
}
