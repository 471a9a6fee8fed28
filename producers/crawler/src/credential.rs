//! What a source shows a server of itself: made of its secrets, and sent to the server that it is registered at alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// A header that is not shown anywhere.
#[derive(Clone)]
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
}

/// What is wrong with a secret; never the secret itself.
pub(crate) const NOT_A_HEADER: &str = "has characters that no header holds (a line end at the end of a file?)";

impl Credential {
    /// A bearer token (RFC 6750).
    pub fn bearer(token: &str) -> Result<Self, &'static str> {
        Self::header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// User and password (RFC 7617).
    pub fn basic(user: &str, password: &str) -> Result<Self, &'static str> {
        Self::header(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Any header.
    pub fn header(name: HeaderName, value: &str) -> Result<Self, &'static str> {
        let mut value = HeaderValue::from_str(value).map_err(|_| NOT_A_HEADER)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    pub fn name(&self) -> HeaderName {
        self.name.clone()
    }

    pub fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    /// As a line of a request, for a client that takes such.
    pub fn line(&self) -> Option<String> {
        Some(format!("{}: {}", self.name, self.value.to_str().ok()?))
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}: …)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_header_and_is_never_shown() {
        let basic = Credential::basic("Aladdin", "open sesame").unwrap();
        assert_eq!(basic.line().unwrap(), "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "RFC 7617, section 2");
        let bearer = Credential::bearer("s3cr3t").unwrap();
        assert!(!format!("{bearer:?} {:?}", bearer.value()).contains("s3cr3t"));
        let problem = Credential::bearer("s3cr3t\n").unwrap_err();
        assert!(!problem.contains("s3cr3t"));
    }
}
