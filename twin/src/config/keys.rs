//! The keys that there are, read from the configuration's own schema.

use serde_json::{Map, Value};

use super::Config;

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// Dotted path: `llm.max_tokens`.
    pub(super) path: String,
    /// What it means.
    pub(super) doc: String,
    /// What a value is: `string`, `integer`, `number`, `boolean`, `list`, `table`, or the words allowed.
    pub(super) kind: String,
}

impl Key {
    /// The variable that sets it: `TWIN_LLM_MAX_TOKENS`.
    pub(super) fn variable(&self) -> String {
        format!("TWIN_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// A value in a variable is taken as it stands, quotes and all.
    pub(super) fn is_text(&self) -> bool {
        !matches!(self.kind.as_str(), "integer" | "number" | "boolean" | "list" | "table")
    }

    /// Whether the key holds keys that the user makes up.
    pub(super) fn is_table(&self) -> bool {
        self.kind == "table"
    }
}

/// Every key, in the order of the types.
pub(super) fn all() -> Vec<Key> {
    let schema = schemars::schema_for!(Config).to_value();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(root: &Value, schema: &Value, prefix: &str, keys: &mut Vec<Key>) {
    let empty = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).unwrap_or(&empty) {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let target = resolve(root, property);
        if target.get("properties").is_some() {
            collect(root, target, &path, keys);
            continue;
        }
        let doc = property.get("description").or_else(|| target.get("description")).and_then(Value::as_str);
        keys.push(Key { path, doc: doc.unwrap_or_default().replace('\n', " "), kind: kind(root, target) });
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn kind(root: &Value, schema: &Value) -> String {
    if let Some(words) = words(root, schema) {
        return words.join(", ");
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match names.into_iter().find(|name| *name != "null") {
        Some("array") => "list".to_owned(),
        Some("object") => "table".to_owned(),
        Some(name) => name.to_owned(),
        None => "string".to_owned(),
    }
}

/// The words of an enumeration.
fn words(root: &Value, schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect());
    }
    let variants = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array)?;
    let mut found = Vec::new();
    for variant in variants {
        let variant = resolve(root, variant);
        match variant.get("const").and_then(Value::as_str) {
            Some(word) => found.push(format!("`{word}`")),
            None => found.extend(words(root, variant).unwrap_or_default()),
        }
    }
    (!found.is_empty()).then_some(found)
}
