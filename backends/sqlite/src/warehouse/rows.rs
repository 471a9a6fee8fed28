//! Between columns and types.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use twin_schemas::{Category, ContentHash, DocumentId, DocumentMeta, MediaType, Revision, SourceId, SourceKind};

use super::Failure;
use twin_warehouse::DocumentRow;
use twin_warehouse::Error;

/// A time as stored.
pub(super) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A stored time.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, Failure> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| unreadable("time", text, error))?;
    Ok(time.with_timezone(&Utc))
}

/// A stored value that parses from text.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &'static str,
    text: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|error| unreadable(what, text, error))
}

/// A value as JSON text.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Port(Error::Stored { what: "value", problem: error.to_string() }))
}

/// A value stored as JSON text.
pub(super) fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| unreadable(what, text, error))
}

fn unreadable(what: &'static str, text: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Port(Error::Stored { what, problem: format!("{text:?}: {error}") })
}

fn media_type(text: &str) -> Result<MediaType, Failure> {
    match text {
        "html" => Ok(MediaType::Html),
        "markdown" => Ok(MediaType::Markdown),
        "text" => Ok(MediaType::Text),
        other => Err(unreadable("media type", other, "unknown")),
    }
}

/// The columns that [`document`] reads, content aside.
pub(super) const DOCUMENT_COLUMNS: &str = "document_id, revision, deleted, published, author, category, source_kind, \
     source_id, natural_key, title, url, published_at, observed_at, content_hash, media_type";

/// A document from [`DOCUMENT_COLUMNS`] followed by the content.
pub(super) fn document(row: &Row<'_>) -> Result<DocumentRow, Failure> {
    let text = |index: usize| row.get::<_, String>(index);
    let optional = |index: usize| row.get::<_, Option<String>>(index);
    let flag = |index: usize| row.get::<_, bool>(index);
    let number = |index: usize| row.get::<_, i64>(index);
    Ok(DocumentRow {
        meta: DocumentMeta {
            document_id: parsed::<DocumentId>("document id", &text(0)?)?,
            revision: Revision(number(1)?.unsigned_abs()),
            author: parsed("author", &text(4)?)?,
            category: parsed::<Category>("category", &text(5)?)?,
            source_kind: SourceKind::new(text(6)?),
            natural_key: text(8)?,
            title: optional(9)?,
            url: optional(10)?,
            published_at: optional(11)?.as_deref().map(time).transpose()?,
            observed_at: time(&text(12)?)?,
            content_hash: ContentHash::stored(text(13)?),
        },
        source_id: optional(7)?.as_deref().map(|id| parsed::<SourceId>("source id", id)).transpose()?,
        media_type: media_type(&text(14)?)?,
        content: text(15)?,
        deleted: flag(2)?,
        published: flag(3)?,
    })
}

/// The `LIMIT` of a page: an item too many says that the list goes on.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Runs a query and reads each row with a function that may fail in its own way.
pub(super) fn collect<T>(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut rows = statement.query(parameters)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read(row)?);
    }
    Ok(items)
}
