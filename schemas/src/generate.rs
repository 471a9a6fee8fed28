//! JSON Schema files and the AsyncAPI document, generated from the types; and the check that a changed
//! schema can still read events written under an earlier one.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::document::{ChunkedDocument, CleanedDocument, RawDocument};
use crate::envelope::Payload;
use crate::learning::{DatasetReady, ModelEvent};
use crate::query::{AnswerEvent, QueryEvent};
use crate::topics::{Cleanup, Topic, dead_letter_topic};

/// A payload's topic, type, title and schema.
struct Message {
    topic: Topic,
    event_type: &'static str,
    tombstones: bool,
    schema: Value,
}

fn message<P: Payload>(tombstones: bool) -> Message {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<P>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), P::schema().into());
    }
    Message { topic: P::TOPIC, event_type: P::TYPE, tombstones, schema }
}

fn messages() -> Vec<Message> {
    vec![
        message::<RawDocument>(true),
        message::<CleanedDocument>(true),
        message::<ChunkedDocument>(true),
        message::<DatasetReady>(false),
        message::<ModelEvent>(false),
        message::<QueryEvent>(false),
        message::<AnswerEvent>(false),
    ]
}

/// Every generated file: path within the `schemas/` folder, and content.
pub fn documents() -> Vec<(String, String)> {
    let messages = messages();
    let mut files: Vec<(String, String)> =
        messages.iter().map(|message| (format!("json/{}.json", message.event_type), pretty(&message.schema))).collect();
    files.push(("asyncapi.json".to_owned(), pretty(&async_api(&messages))));
    files
}

fn pretty(value: &Value) -> String {
    // Writing a `Value` to a string can only fail by a non-string key, which JSON objects do not have.
    format!("{value:#}\n")
}

/// <https://www.asyncapi.com/docs/reference/specification/v3.0.0>
fn async_api(messages: &[Message]) -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut components = Map::new();
    for message in messages {
        let name = message.topic.name();
        let mut references = Map::new();
        let reference = json!({ "$ref": format!("#/components/messages/{}", message.event_type) });
        references.insert(message.event_type.to_owned(), reference);
        channels.insert(name.to_owned(), channel(message.topic, references));
        if message.topic.has_dead_letters() {
            channels.insert(dead_letter_topic(name), dead_letter_channel(name, message.event_type));
        }
        for action in ["send", "receive"] {
            operations.insert(
                format!("{action}.{name}"),
                json!({ "action": action, "channel": { "$ref": format!("#/channels/{name}") } }),
            );
        }
        components.insert(message.event_type.to_owned(), component(message));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "LLM Twin events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "CloudEvents 1.0 in Kafka binary mode: attributes in headers, JSON payload in the value. A null value is a tombstone."
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": components }
    })
}

fn channel(topic: Topic, messages: Map<String, Value>) -> Value {
    let mut kafka = json!({ "bindingVersion": "0.5.0" });
    kafka["topicConfiguration"] = match topic.cleanup() {
        Cleanup::Compact => json!({ "cleanup.policy": ["compact"] }),
        Cleanup::Delete(age) => json!({ "cleanup.policy": ["delete"], "retention.ms": age.as_millis() as u64 }),
    };
    json!({
        "address": topic.name(),
        "description": format!("Keyed by {}.", topic.key()),
        "messages": messages,
        "bindings": { "kafka": kafka }
    })
}

fn dead_letter_channel(topic: &str, event_type: &str) -> Value {
    let mut references = Map::new();
    let reference = json!({ "$ref": format!("#/components/messages/{event_type}") });
    references.insert(event_type.to_owned(), reference);
    json!({
        "address": dead_letter_topic(topic),
        "description": format!("Events of {topic} that a stage refused: key, value and headers as they were, and headers twin_dlq_* that say why."),
        "messages": references
    })
}

fn component(message: &Message) -> Value {
    json!({
        "name": message.event_type,
        "contentType": "application/json",
        "description": if message.tombstones { "A null value is a deletion; headers are as on other events." } else { "" },
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time"],
            "properties": {
                "ce_specversion": { "const": "1.0" },
                "ce_id": { "type": "string" },
                "ce_type": { "const": message.event_type },
                "ce_source": { "type": "string" },
                "ce_subject": { "type": "string" },
                "ce_time": { "type": "string", "format": "date-time" },
                "ce_dataschema": { "type": "string" },
                "ce_revision": { "type": "string", "description": "document revision, a whole number" },
                "ce_dataref": { "type": "string", "description": "artifact that holds a payload too large for the log" },
                "traceparent": { "type": "string" }
            }
        },
        "payload": message.schema
    })
}

/// What in `new` would keep it from reading events written under `old`: properties newly required, properties
/// whose type changed, enum values that went, variants that went. Empty: compatible.
pub fn compatibility_breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    compare(&Root { old, new }, "", old, new, &mut breaks);
    breaks
}

struct Root<'a> {
    old: &'a Value,
    new: &'a Value,
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn compare(root: &Root<'_>, at: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    let (old, new) = (resolve(root.old, old), resolve(root.new, new));
    if !accepts_types(old.get("type"), new.get("type")) {
        breaks.push(format!("{at}: type {} became {}", old["type"], new["type"]));
    }
    for value in strings(old.get("enum")) {
        if new.get("enum").is_some() && !strings(new.get("enum")).contains(&value) {
            breaks.push(format!("{at}: value {value:?} is no longer accepted"));
        }
    }
    if old.get("const") != new.get("const") && new.get("const").is_some() {
        breaks.push(format!("{at}: {} became {}", old["const"], new["const"]));
    }
    let empty = Map::new();
    let old_properties = old.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let new_properties = new.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let was_required = strings(old.get("required"));
    for name in strings(new.get("required")) {
        if !was_required.contains(&name) {
            breaks.push(format!("{at}/{name}: is newly required"));
        }
    }
    for (name, old_property) in old_properties {
        if let Some(new_property) = new_properties.get(name) {
            compare(root, &format!("{at}/{name}"), old_property, new_property, breaks);
        }
    }
    if let (Some(old_items), Some(new_items)) = (old.get("items"), new.get("items")) {
        compare(root, &format!("{at}/*"), old_items, new_items, breaks);
    }
    compare_variants(root, at, old, new, breaks);
}

/// Variants (`oneOf`, `anyOf`) are matched by their position: one that was added at the end is fine, one that
/// went is not.
fn compare_variants(root: &Root<'_>, at: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    for keyword in ["oneOf", "anyOf"] {
        let Some(old_variants) = old.get(keyword).and_then(Value::as_array) else { continue };
        let new_variants = new.get(keyword).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, old_variant) in old_variants.iter().enumerate() {
            let at = format!("{at}/{keyword}[{index}]");
            match new_variants.get(index) {
                Some(new_variant) => compare(root, &at, old_variant, new_variant, breaks),
                None => breaks.push(format!("{at}: is no longer accepted")),
            }
        }
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn accepts_types(old: Option<&Value>, new: Option<&Value>) -> bool {
    let accepted = strings(new);
    accepted.is_empty() || strings(old).iter().all(|name| accepted.contains(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn folder() -> &'static Path {
        // Cargo runs tests in their package's folder.
        Path::new(".")
    }

    #[test]
    fn the_generated_files_are_those_in_the_tree() {
        for (path, content) in documents() {
            let stored = std::fs::read_to_string(folder().join(&path)).unwrap_or_default();
            assert_eq!(stored, content, "{path} is out of date: cargo run --release -p twin-schemas --bin schemas");
        }
    }

    #[test]
    fn the_types_still_read_what_every_release_wrote() {
        let mut compared = 0;
        for release in std::fs::read_dir(folder().join("released")).unwrap() {
            let release = release.unwrap().path();
            for message in messages() {
                let path = release.join(format!("{}.json", message.event_type));
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                let old = serde_json::from_str(&text).unwrap();
                assert_eq!(compatibility_breaks(&old, &message.schema), Vec::<String>::new(), "{}", path.display());
                compared += 1;
            }
        }
        assert!(compared >= messages().len(), "no released schemas to compare with");
    }

    #[test]
    fn a_change_that_breaks_readers_is_found() {
        let old = messages().remove(0).schema;
        let mut newly_required = old.clone();
        newly_required["required"].as_array_mut().unwrap().push("title".into());
        assert_eq!(compatibility_breaks(&old, &newly_required), ["/title: is newly required"]);

        let mut retyped = old.clone();
        retyped["properties"]["content"]["type"] = "integer".into();
        assert!(compatibility_breaks(&old, &retyped)[0].contains("/content: type"));

        let mut fewer = old.clone();
        fewer["$defs"]["Category"]["oneOf"].as_array_mut().unwrap().pop();
        assert!(compatibility_breaks(&old, &fewer)[0].contains("no longer accepted"));

        let mut more = old.clone();
        more["properties"]["subtitle"] = json!({ "type": "string" });
        assert!(compatibility_breaks(&old, &more).is_empty());
    }

    #[test]
    fn every_topic_of_a_payload_is_in_the_asyncapi_document() {
        let document = async_api(&messages());
        for topic in Topic::ALL {
            assert!(document["channels"][topic.name()].is_object(), "{}", topic.name());
        }
    }
}
