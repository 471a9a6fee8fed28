//! Kinds of sources.

use async_trait::async_trait;
use twin_api::FieldError;
use twin_gateway::{PortError, Registration, SourceResolver};
use twin_schemas::SourceKind;

/// Knows feeds, whose pages name their feed, folders and uploads.
pub struct Kinds;

#[async_trait]
impl SourceResolver for Kinds {
    fn resolve(&self, kind: Option<&str>, location: &str) -> Result<(SourceKind, String), PortError> {
        let is_url = location.starts_with("https://");
        let kind = kind.unwrap_or(if is_url { "feed" } else { "folder" });
        if kind == "feed" && !is_url {
            return Err(PortError::Invalid(format!("{location:?} is no https URL")));
        }
        Ok((SourceKind::new(kind), location.trim_end_matches('/').to_owned()))
    }

    fn kinds(&self) -> Vec<&'static str> {
        vec!["feed", "folder", "files"]
    }

    fn check(&self, registration: Registration<'_>) -> Result<(), FieldError> {
        let wrong = |key: String| Err(FieldError::new(key, "is not known"));
        let settings = registration.settings.as_object().into_iter().flat_map(|settings| settings.keys());
        if let Some(name) = settings.into_iter().find(|name| *name != "user") {
            return wrong(format!("settings.{name}"));
        }
        match registration.secrets.names().find(|name| *name != "token") {
            Some(name) => wrong(format!("secrets.{name}")),
            None => Ok(()),
        }
    }

    async fn inspect(&self, registration: Registration<'_>) -> Result<String, PortError> {
        match registration.location {
            busy if busy.contains("busy") => {
                let why = format!("{busy} is busy; give `unchecked`");
                Err(PortError::Away { why, retry_after_s: Some(120) })
            }
            away if away.contains("away") => Err(PortError::Invalid(format!("{away} is away"))),
            page if page.ends_with(".example") => Ok(format!("{page}/feed")),
            feed => Ok(feed.to_owned()),
        }
    }

    fn check_file(&self, kind: &SourceKind, name: &str) -> Result<(), String> {
        let is_read = kind.as_str() == "files" && name.ends_with(".md");
        if is_read { Ok(()) } else { Err(format!("{name:?} is not read by a source of kind {kind}")) }
    }
}
