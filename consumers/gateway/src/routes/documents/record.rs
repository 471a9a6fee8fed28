//! From a document as a client describes it to a row of the warehouse.

use chrono::Utc;
use twin_api::{Change, PushRequest, Pushed};
use twin_schemas::{DocumentId, DocumentKey, MediaType, Revision, SourceKind};
use twin_warehouse::{DocumentContent, Observation, Recorded};
use url::Url;

use crate::extract::{Checks, on_own_thread_if_long};
use crate::problem::Problem;
use crate::state::App;

const NATURAL_KEY_MAX_CHARS: usize = 1_024;
const TITLE_MAX_CHARS: usize = 1_024;

/// What was done with a document.
pub(super) fn pushed(document: DocumentId, revision: Revision, change: Change) -> Pushed {
    Pushed { document_id: document.0, revision: revision.0, change }
}

/// Checks the fields and hashes the content.
pub(super) fn observation(request: PushRequest) -> Result<Observation, Problem> {
    let mut checks = Checks::default();
    let key_chars = request.natural_key.chars().count();
    let key_length = format!("must be 1 to {NATURAL_KEY_MAX_CHARS} characters");
    checks.require((1..=NATURAL_KEY_MAX_CHARS).contains(&key_chars), "natural_key", key_length);
    let no_control = !request.natural_key.chars().any(char::is_control);
    checks.require(no_control, "natural_key", "must not have control characters");
    let title = request.title.filter(|title| !title.trim().is_empty());
    let title_chars = title.as_ref().map_or(0, |title| title.chars().count());
    checks.require(title_chars <= TITLE_MAX_CHARS, "title", format!("is longer than {TITLE_MAX_CHARS} characters"));
    if let Some(url) = &request.url {
        let good = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        checks.require(good, "url", "must be an http or https URL");
    }
    let given = [("text", MediaType::Text, request.text), ("markdown", MediaType::Markdown, request.markdown)];
    let given = given.into_iter().chain([("html", MediaType::Html, request.html)]);
    let mut given: Vec<_> = given.filter_map(|(field, kind, text)| text.map(|text| (field, kind, text))).collect();
    checks.require(given.len() == 1, "text", "exactly one of text, markdown and html must be there");
    for (field, _, text) in &given {
        checks.require(!text.trim().is_empty(), *field, "must not be empty");
    }
    checks.finish()?;
    // `checks` holds a problem unless exactly one is there.
    let Some((_, media_type, content)) = given.pop() else {
        return Err(Problem::field("text", "is missing"));
    };
    let key = DocumentKey {
        source_kind: SourceKind::push(),
        author: request.author,
        scope: String::new(),
        identity: request.natural_key.clone(),
    };
    let shown = DocumentContent {
        category: request.category,
        title: title.as_deref(),
        url: request.url.as_deref(),
        published_at: request.published_at,
        media_type,
        content: &content,
    };
    let content_hash = shown.hash_of_pushed();
    Ok(Observation {
        key,
        claim: None,
        category: request.category,
        natural_key: request.natural_key,
        title,
        url: request.url,
        published_at: request.published_at,
        media_type,
        content,
        content_hash,
        observed_at: Utc::now(),
    })
}

/// Checks and records one document.
pub(super) async fn record(app: &App, document: PushRequest) -> Result<Pushed, Problem> {
    let bytes = [&document.text, &document.markdown, &document.html].into_iter().flatten().map(String::len).sum();
    let observation = on_own_thread_if_long(bytes, move || observation(document)).await??;
    record_observation(app, observation).await
}

/// Records a document and counts what became of it.
pub(super) async fn record_observation(app: &App, observation: Observation) -> Result<Pushed, Problem> {
    let document = observation.key.id();
    let recorded = app.warehouse.record(observation).await?;
    let change = match recorded {
        Recorded::Created(_) => Change::Created,
        Recorded::Revised(_) => Change::Revised,
        Recorded::Unchanged(_) => Change::Unchanged,
    };
    let pushed = pushed(document, recorded.revision(), change);
    app.metrics.document_pushed(pushed.change.as_str());
    Ok(pushed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::extract::parse_json;

    fn observe(changes: Value) -> Result<Observation, Problem> {
        let mut body = json!({"author": "ada", "category": "post", "natural_key": "k", "text": "hello"});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        observation(parse_json(body.to_string().as_bytes())?)
    }

    fn wrong_fields(changes: Value) -> Vec<String> {
        let problem = serde_json::to_value(observe(changes).unwrap_err()).unwrap();
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (changes, field) in [
            (json!({"author": "Ada"}), "author"),
            (json!({"category": "novel"}), "category"),
            (json!({"natural_key": ""}), "natural_key"),
            (json!({"natural_key": "a\nb"}), "natural_key"),
            (json!({"title": 5}), "title"),
            (json!({"title": "x".repeat(1025)}), "title"),
            (json!({"url": "ftp://example.org/a"}), "url"),
            (json!({"url": "not a url"}), "url"),
            (json!({"text": ""}), "text"),
            (json!({"text": null}), "text"),
            (json!({"markdown": "two"}), "text"),
            (json!({"published_at": "yesterday"}), "published_at"),
            (json!({"tilte": "typo"}), "tilte"),
        ] {
            assert_eq!(wrong_fields(changes.clone()), [field], "{changes}");
        }
    }

    #[test]
    fn whatever_changes_of_a_document_changes_its_hash_and_its_time_of_observation_does_not() {
        let hash = |changes: Value| observe(changes).unwrap().content_hash;
        let base = hash(json!({}));
        assert_eq!(base, hash(json!({})));
        assert_eq!(base, hash(json!({"title": " "})), "a blank title is no title");
        for changes in [
            json!({"category": "article"}),
            json!({"title": "t"}),
            json!({"url": "https://example.org/"}),
            json!({"published_at": "2026-01-01T00:00:00Z"}),
            json!({"text": "hello!"}),
            json!({"text": null, "markdown": "hello"}),
        ] {
            assert_ne!(base, hash(changes.clone()), "{changes}");
        }
    }

    #[test]
    fn a_document_is_the_same_under_the_same_key_and_another_for_another_author() {
        let id = |changes: Value| observe(changes).unwrap().key.id();
        assert_eq!(id(json!({})), id(json!({"text": "changed"})));
        assert_ne!(id(json!({})), id(json!({"author": "bob"})));
        assert_ne!(id(json!({})), id(json!({"natural_key": "other"})));
    }
}
