//! A text that a client sends and is never shown.

use std::collections::BTreeMap;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The text of a secret. `{:?}` does not show it, nor does the error for one of a wrong type.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's own error would show the value.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("must be a text")),
        }
    }
}

/// Secrets by name, or none. As with one secret, no error shows what was given.
pub(crate) fn optional_secrets<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, SecretText>>, D::Error> {
    deserializer.deserialize_any(OptionalSecrets)
}

struct OptionalSecrets;

const NO_OBJECT: &str = "must be an object of texts";

impl<'de> Visitor<'de> for OptionalSecrets {
    type Value = Option<BTreeMap<String, SecretText>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut secrets = BTreeMap::new();
        while let Some((name, secret)) = map.next_entry()? {
            secrets.insert(name, secret);
        }
        Ok(Some(secrets))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(NO_OBJECT))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Err(E::custom(NO_OBJECT))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(E::custom(NO_OBJECT))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom(NO_OBJECT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_sent_and_never_shown() {
        let secret: SecretText = serde_json::from_str("\"s3cr3t\"").unwrap();
        assert!(!format!("{secret:?}").contains("s3cr3t"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"s3cr3t\"");
        let error = serde_json::from_str::<SecretText>("[\"s3cr3t\"]").unwrap_err().to_string();
        assert!(error.contains("must be a text") && !error.contains("s3cr3t"), "{error}");
        let error = serde_json::from_str::<SecretText>("471147").unwrap_err().to_string();
        assert!(!error.contains("471147"), "{error}");
    }
}
