//! Documents for the tests.
#![allow(dead_code)]

use chrono::Utc;
use twin_cleaner::{Options, Rejection, RejectionKind, clean};
use twin_schemas::{
    Category, CleanedDocument, ContentHash, DocumentKey, DocumentMeta, MediaType, RawDocument, Revision, SourceKind,
};

pub fn raw(category: Category, media_type: MediaType, name: &str, content: &str) -> RawDocument {
    let key = DocumentKey {
        source_kind: SourceKind::new("folder"),
        author: "ada".parse().unwrap(),
        scope: "/notes".into(),
        identity: name.into(),
    };
    let meta = DocumentMeta {
        document_id: key.id(),
        revision: Revision::FIRST,
        author: key.author,
        category,
        source_kind: key.source_kind,
        natural_key: name.into(),
        title: None,
        url: None,
        published_at: None,
        observed_at: Utc::now(),
        content_hash: ContentHash::sha256([content.as_bytes()]),
    };
    RawDocument { meta, media_type, content: content.to_owned() }
}

pub fn clean_as(category: Category, media_type: MediaType, content: &str) -> Result<CleanedDocument, Rejection> {
    clean(&raw(category, media_type, "name.md", content), &Options::default())
}

pub fn html(content: &str) -> CleanedDocument {
    clean_as(Category::Post, MediaType::Html, content).unwrap()
}

pub fn markdown(content: &str) -> CleanedDocument {
    clean_as(Category::Article, MediaType::Markdown, content).unwrap()
}

pub fn rejection(media_type: MediaType, content: &str) -> Option<RejectionKind> {
    clean_as(Category::Article, media_type, content).err().map(|rejection| rejection.kind)
}
