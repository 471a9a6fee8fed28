//! The id of a version, which follows from its manifest.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use twin_schemas::{DatasetId, DatasetManifest, DocumentId};

use crate::Error;

/// The version of this crate's output: one more with each change that makes other files of the same documents.
pub const BUILD_VERSION: u32 = 6;

/// What of a manifest is no part of its id: when and as which it was made.
const NOT_IN_ID: [&str; 4] = ["dataset", "number", "parent", "created_at"];

/// The id that its content gives a version: SHA-256 over the canonical JSON of all fields but its id, `number`, `parent`
/// and `created_at`.
pub fn content_id(manifest: &DatasetManifest) -> Result<DatasetId, Error> {
    let mut value = serde_json::to_value(manifest)?;
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !NOT_IN_ID.contains(&name.as_str()));
    }
    let mut canonical = String::new();
    write_canonical(&value, &mut canonical);
    Ok(DatasetId(hex::encode(Sha256::digest(canonical))))
}

/// Whether words of a document are in a version.
pub fn holds(manifest: &DatasetManifest, document: DocumentId) -> bool {
    manifest.members().any(|member| member == document)
}

/// JSON with sorted keys and without white space (RFC 8785, but for numbers, which are as `serde_json` writes them:
/// shortest decimal form).
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_fields() {
        let value = json!({ "b": [1, 0.8, null], "a": { "d": "\"", "c": true } });
        let mut canonical = String::new();
        write_canonical(&value, &mut canonical);
        assert_eq!(canonical, r#"{"a":{"c":true,"d":"\""},"b":[1,0.8,null]}"#);
    }
}
