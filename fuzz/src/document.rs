//! Documents around a text.
#![allow(dead_code)]

use twin_cleaner::{Options, clean};
use twin_schemas::{Category, ContentHash, DocumentKey, DocumentMeta, MediaType, RawDocument, Revision, SourceKind};

pub fn meta(category: Category) -> DocumentMeta {
    let key = DocumentKey {
        source_kind: SourceKind::new("folder"),
        author: "ada".parse().expect("it is a name"),
        scope: "/notes".to_owned(),
        identity: "a".to_owned(),
    };
    DocumentMeta {
        document_id: key.id(),
        revision: Revision::FIRST,
        author: key.author,
        category,
        source_kind: key.source_kind,
        natural_key: "a".to_owned(),
        title: None,
        url: None,
        published_at: None,
        observed_at: "2026-01-02T03:04:05Z".parse().expect("it is a time"),
        content_hash: ContentHash::stored(""),
    }
}

pub fn cleaned(media_type: MediaType, content: &str) -> Option<String> {
    let raw = RawDocument { meta: meta(Category::Post), media_type, content: content.to_owned() };
    clean(&raw, &Options::default()).ok().map(|cleaned| cleaned.text)
}

/// What comes out of the cleaner, if anything does, is not empty and stays as it is when it is cleaned again.
pub fn is_clean_after_cleaning(media_type: MediaType, content: &str) {
    let Some(text) = cleaned(media_type, content) else { return };
    assert!(!text.is_empty());
    // Without the line ends that went, the share of control characters in a code block may have become too high.
    if let Some(again) = cleaned(MediaType::Markdown, &text) {
        assert_eq!(again, text);
    }
}
