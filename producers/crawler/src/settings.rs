//! What a source is registered with beside its location: settings, typed by its kind, and secrets.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use twin_warehouse::Secrets;

/// A part of a registration that can not be used: which, and what is wrong with it. It never has the text of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Invalid {
    /// Which: `location`, `settings.user`, `secrets.token`.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Invalid {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }

    pub(crate) fn setting(name: &str, problem: impl Into<String>) -> Self {
        Self::new(format!("settings.{name}"), problem)
    }

    pub(crate) fn secret(name: &str, problem: impl Into<String>) -> Self {
        Self::new(format!("secrets.{name}"), problem)
    }
}

/// A source as it is to be registered, or is.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// Its location in the canonical form.
    pub location: &'a str,
    /// What is set of it: an object, or null for nothing.
    pub settings: &'a Value,
    /// Its secrets.
    pub secrets: &'a Secrets,
}

/// A secret that a kind knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretName {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
}

/// The settings of a kind that has none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NoSettings {}

impl Registration<'_> {
    /// The settings as the type of the kind.
    pub(crate) fn settings<T: DeserializeOwned + Default>(&self) -> Result<T, Invalid> {
        if self.settings.is_null() {
            return Ok(T::default());
        }
        serde_path_to_error::deserialize(self.settings).map_err(|error| {
            let path = error.path().to_string();
            let problem = error.into_inner().to_string();
            // Serde reports an unknown field at the object that has it.
            let unknown = problem.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
            let key = match (path.as_str(), unknown) {
                (".", None) => "settings".to_owned(),
                (".", Some(name)) => format!("settings.{name}"),
                (path, _) => format!("settings.{path}"),
            };
            Invalid::new(key, problem)
        })
    }

    /// Refuses secrets that the kind does not know, and empty ones.
    pub(crate) fn check_secrets(&self, kind: &str, known: &[SecretName]) -> Result<(), Invalid> {
        for (name, secret) in self.secrets.iter() {
            if !known.iter().any(|known| known.name == name) {
                let names: Vec<_> = known.iter().map(|known| known.name).collect();
                let there_are = if names.is_empty() { "it has none".to_owned() } else { names.join(", ") };
                return Err(Invalid::secret(name, format!("is no secret of a source of kind {kind}: {there_are}")));
            }
            if secret.expose().trim().is_empty() {
                return Err(Invalid::secret(name, "is empty"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use twin_warehouse::Secret;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        user: Option<String>,
        pages: Option<u32>,
    }

    fn read(settings: Value) -> Result<Example, Invalid> {
        Registration { location: "here", settings: &settings, secrets: &Secrets::default() }.settings()
    }

    #[test]
    fn a_wrong_setting_is_named() {
        assert_eq!(read(Value::Null), Ok(Example::default()));
        assert_eq!(read(json!({"pages": 3})).unwrap().pages, Some(3));
        for (settings, key) in [
            (json!({"pages": "three"}), "settings.pages"),
            (json!({"pagse": 3}), "settings.pagse"),
            (json!({"user": ["a"]}), "settings.user"),
            (json!("user"), "settings"),
        ] {
            assert_eq!(read(settings.clone()).unwrap_err().key, key, "{settings}");
        }
    }

    #[test]
    fn a_secret_that_the_kind_does_not_know_is_refused_without_being_shown() {
        let known = [SecretName { name: "token", description: "a token" }];
        let check = |name: &str, text: &str| {
            let secrets: Secrets = [(name, Secret::new(text))].into_iter().collect();
            Registration { location: "here", settings: &Value::Null, secrets: &secrets }.check_secrets("git", &known)
        };
        assert_eq!(check("token", "s3cr3t"), Ok(()));
        assert_eq!(check("token", " ").unwrap_err().key, "secrets.token");
        let unknown = check("tokne", "s3cr3t").unwrap_err();
        assert!(unknown.to_string().contains("tokne") && !unknown.to_string().contains("s3cr3t"), "{unknown}");
    }
}
