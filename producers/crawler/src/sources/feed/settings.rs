//! What can be set of a feed, and what it shows the server of a private one.

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::Credential;
use crate::settings::{Invalid, Registration, SecretName};

const TOKEN: &str = "token";
const PASSWORD: &str = "password";
const HEADER: &str = "header";

/// The secrets of a feed: one of them.
pub(super) const SECRETS: &[SecretName] = &[
    SecretName { name: TOKEN, description: "a bearer token" },
    SecretName { name: PASSWORD, description: "the password of the setting `user` (HTTP basic authentication)" },
    SecretName { name: HEADER, description: "the value of the header that the setting `header` names" },
];

/// Headers that belong to the connection, not to whoever asks.
const RESERVED: &[HeaderName] = &[CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What can be set of a feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FeedSettings {
    /// The user whose password the secret `password` is (HTTP basic authentication).
    pub user: Option<String>,
    /// The name of the header whose value the secret `header` is.
    pub header: Option<String>,
}

impl FeedSettings {
    /// What the server is shown, if anything.
    pub fn credential(&self, registration: &Registration<'_>) -> Result<Option<Credential>, Invalid> {
        registration.check_secrets("feed", SECRETS)?;
        let names: Vec<&str> = registration.secrets.names().collect();
        if names.len() > 1 {
            return Err(Invalid::new("secrets", format!("a feed has one secret, not {}", names.join(" and "))));
        }
        let secret = |name: &str| registration.secrets.get(name).map(|secret| secret.expose());
        let needed = |setting: &Option<String>, name: &str, by: &str| match setting {
            Some(value) if !value.is_empty() => Ok(value.clone()),
            _ => Err(Invalid::setting(name, format!("is missing: the secret `{by}` needs it"))),
        };
        let made = if let Some(token) = secret(TOKEN) {
            Credential::bearer(token).map_err(|problem| Invalid::secret(TOKEN, problem))
        } else if let Some(password) = secret(PASSWORD) {
            let user = needed(&self.user, "user", PASSWORD)?;
            Credential::basic(&user, password).map_err(|problem| Invalid::secret(PASSWORD, problem))
        } else if let Some(value) = secret(HEADER) {
            let name = header_name(&needed(&self.header, HEADER, HEADER)?)?;
            Credential::header(name, value).map_err(|problem| Invalid::secret(HEADER, problem))
        } else {
            return self.without_secret();
        };
        made.map(Some)
    }

    /// A setting that is there for a secret that is not.
    fn without_secret(&self) -> Result<Option<Credential>, Invalid> {
        match (&self.user, &self.header) {
            (Some(_), _) => Err(Invalid::secret(PASSWORD, "is missing: the setting `user` is for it")),
            (_, Some(_)) => Err(Invalid::secret(HEADER, "is missing: the setting `header` is for it")),
            (None, None) => Ok(None),
        }
    }
}

fn header_name(text: &str) -> Result<HeaderName, Invalid> {
    let name: HeaderName =
        text.parse().map_err(|_| Invalid::setting(HEADER, format!("{text:?} is no name of a header")))?;
    if RESERVED.contains(&name) {
        return Err(Invalid::setting(HEADER, format!("{name} belongs to the connection")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use twin_warehouse::{Secret, Secrets};

    use super::*;

    fn credential(settings: Value, secrets: &[(&str, &str)]) -> Result<Option<String>, String> {
        let secrets: Secrets = secrets.iter().map(|(name, text)| (*name, Secret::new(*text))).collect();
        let registration =
            Registration { location: "https://ada.example/feed", settings: &settings, secrets: &secrets };
        let settings: FeedSettings = registration.settings().map_err(|invalid| invalid.key)?;
        let made = settings.credential(&registration).map_err(|invalid| invalid.key)?;
        Ok(made.and_then(|credential| credential.line()))
    }

    #[test]
    fn a_feed_shows_a_token_a_password_or_a_header() {
        let line = |settings, name, text| credential(settings, &[(name, text)]).unwrap().unwrap();
        assert_eq!(credential(Value::Null, &[]), Ok(None));
        assert_eq!(line(json!({}), "token", "t"), "authorization: Bearer t");
        assert_eq!(line(json!({"user": "ada"}), "password", "p"), "authorization: Basic YWRhOnA=");
        assert_eq!(line(json!({"header": "X-Api-Key"}), "header", "k"), "x-api-key: k");
    }

    #[test]
    fn what_is_missing_wrong_or_too_much_is_named() {
        for (settings, secrets, key) in [
            (json!({}), vec![("password", "p")], "settings.user"),
            (json!({"user": "ada"}), vec![], "secrets.password"),
            (json!({"header": "X-Api-Key"}), vec![], "secrets.header"),
            (json!({"header": "X Api"}), vec![("header", "k")], "settings.header"),
            (json!({"header": "Host"}), vec![("header", "k")], "settings.header"),
            (json!({}), vec![("token", "a\nb")], "secrets.token"),
            (json!({"user": "ada"}), vec![("password", "p"), ("token", "t")], "secrets"),
            (json!({}), vec![("cookie", "c")], "secrets.cookie"),
            (json!({"usr": "ada"}), vec![], "settings.usr"),
        ] {
            assert_eq!(credential(settings.clone(), &secrets), Err(key.to_owned()), "{settings} {secrets:?}");
        }
    }
}
