//! What can be set of a git repository, and what it shows the server of a private one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::Credential;
use crate::settings::{Invalid, Registration, SecretName};

const TOKEN: &str = "token";

/// The secrets of a repository.
pub(super) const SECRETS: &[SecretName] =
    &[SecretName { name: TOKEN, description: "an access token, or the password of the setting `user`" }];

/// The user beside a token where none is set. GitHub, GitLab and Gitea take any name beside an access token.
const ANY_USER: &str = "x-access-token";

/// What can be set of a git repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GitSettings {
    /// The user that the secret `token` is of. Needed by hosts that take a token of this user alone.
    pub user: Option<String>,
}

impl GitSettings {
    /// What the server is shown, if anything (HTTP basic authentication, as git has it).
    pub fn credential(&self, registration: &Registration<'_>) -> Result<Option<Credential>, Invalid> {
        registration.check_secrets("git", SECRETS)?;
        match (registration.secrets.get(TOKEN), &self.user) {
            (Some(token), user) => {
                let user = user.as_deref().filter(|user| !user.is_empty()).unwrap_or(ANY_USER);
                let made = Credential::basic(user, token.expose());
                made.map(Some).map_err(|problem| Invalid::secret(TOKEN, problem))
            }
            (None, Some(_)) => Err(Invalid::secret(TOKEN, "is missing: the setting `user` is for it")),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use twin_warehouse::{Secret, Secrets};

    use super::*;

    #[test]
    fn a_token_is_shown_with_a_user_and_a_user_alone_is_refused() {
        let credential = |settings: Value, token: Option<&str>| {
            let secrets: Secrets = token.map(|token| (TOKEN, Secret::new(token))).into_iter().collect();
            let registration =
                Registration { location: "https://ada.example/x", settings: &settings, secrets: &secrets };
            let settings: GitSettings = registration.settings().map_err(|invalid| invalid.key)?;
            let made = settings.credential(&registration).map_err(|invalid| invalid.key)?;
            Ok::<_, String>(made.and_then(|credential| credential.line()))
        };
        assert_eq!(credential(json!({}), None), Ok(None));
        // x-access-token:t and ada:t
        let of_any = "authorization: Basic eC1hY2Nlc3MtdG9rZW46dA==".to_owned();
        assert_eq!(credential(json!({}), Some("t")), Ok(Some(of_any)));
        let of_ada = "authorization: Basic YWRhOnQ=".to_owned();
        assert_eq!(credential(json!({"user": "ada"}), Some("t")), Ok(Some(of_ada)));
        assert_eq!(credential(json!({"user": "ada"}), None), Err("secrets.token".to_owned()));
    }
}
