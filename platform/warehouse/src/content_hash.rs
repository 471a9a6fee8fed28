//! The content hash of a document: what makes a new revision when it changes. It is computed here and nowhere else.
//!
//! A hash is compared with the one that was stored, perhaps years ago: what goes into it, and how that is written, stays as
//! it is, or an upgrade would record every document anew. A field that is added later is left out where it is absent.

use chrono::{DateTime, SecondsFormat, Utc};
use twin_schemas::{Category, ContentHash, MediaType};

/// What of a document people and models are shown.
#[derive(Debug, Clone, Copy)]
pub struct DocumentContent<'a> {
    /// What it is.
    pub category: Category,
    /// Title.
    pub title: Option<&'a str>,
    /// Where a person can read it.
    pub url: Option<&'a str>,
    /// When the author published it.
    pub published_at: Option<DateTime<Utc>>,
    /// How `content` is written.
    pub media_type: MediaType,
    /// The content, decoded to Unicode.
    pub content: &'a str,
}

impl DocumentContent<'_> {
    /// The hash of a document that a source lists. Its natural key counts: a file that keeps its id under another name is
    /// shown under that name.
    pub fn hash_of_listed(&self, natural_key: &str) -> ContentHash {
        let published_at = self.published_at.map(|at| at.to_rfc3339()).unwrap_or_default();
        let parts = self.parts(&published_at);
        ContentHash::sha256([natural_key].into_iter().chain(parts).map(str::as_bytes))
    }

    /// The hash of a document that is pushed: its natural key is its identity and can not change.
    pub fn hash_of_pushed(&self) -> ContentHash {
        // Not as above, and never to be made so: see the module.
        let published_at =
            self.published_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).unwrap_or_default();
        ContentHash::sha256(self.parts(&published_at).map(str::as_bytes))
    }

    fn parts<'a>(&'a self, published_at: &'a str) -> [&'a str; 6] {
        [
            self.category.as_str(),
            self.title.unwrap_or_default(),
            self.url.unwrap_or_default(),
            published_at,
            self.media_type.as_str(),
            self.content,
        ]
    }
}

/// The hash of a file of a git repository, which need not be read for it: the id of its blob, and what its prose is where
/// the author said so. The same file as another category is another revision of it.
pub fn hash_of_blob(blob_id: &str, prose: Option<Category>) -> ContentHash {
    match prose {
        None => ContentHash::git(blob_id),
        Some(category) => ContentHash::git(&format!("{blob_id}+{category}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines() -> DocumentContent<'static> {
        DocumentContent {
            category: Category::Article,
            title: Some("On engines"),
            url: Some("https://ada.example/engines"),
            published_at: Some("2025-01-08T12:00:00Z".parse().unwrap()),
            media_type: MediaType::Markdown,
            content: "All of it.",
        }
    }

    #[test]
    fn an_unchanged_document_has_the_hash_that_it_always_had() {
        let untitled =
            DocumentContent { category: Category::Post, title: None, url: None, published_at: None, ..engines() };
        for (hash, stored) in [
            (
                engines().hash_of_listed("engines.md"),
                "823cfb5df0ae480871fb0813723d8f0550f12947b0369880c58257a8ed550d46",
            ),
            (engines().hash_of_pushed(), "f330ef548f44e506389d55eb8317cd3c11aaaaa85df03a706f547b89a296af6a"),
            (untitled.hash_of_listed("engines.md"), "f36a51ff696c7a1e8f1f45b9b99711113a0d2c31ba69b189da823c40d0b3b55c"),
            (untitled.hash_of_pushed(), "eea68e452874e26a1a47c26e51b8c53f35233519dcb95de70fec75ba030da3b4"),
        ] {
            assert_eq!(hash.as_str(), format!("sha256:{stored}"));
        }
        assert_eq!(hash_of_blob("ce01", None).as_str(), "git:ce01");
        assert_eq!(hash_of_blob("ce01", Some(Category::Article)).as_str(), "git:ce01+article");
    }

    #[test]
    fn whatever_is_shown_counts_and_a_byte_that_moves_between_fields_shows() {
        let moved =
            DocumentContent { title: Some("On engine"), url: Some("shttps://ada.example/engines"), ..engines() };
        for other in [
            DocumentContent { category: Category::Post, ..engines() },
            DocumentContent { title: None, ..engines() },
            DocumentContent { url: None, ..engines() },
            DocumentContent { published_at: None, ..engines() },
            DocumentContent { media_type: MediaType::Text, ..engines() },
            DocumentContent { content: "All of it!", ..engines() },
            moved,
        ] {
            assert_ne!(other.hash_of_listed("a"), engines().hash_of_listed("a"), "{other:?}");
            assert_ne!(other.hash_of_pushed(), engines().hash_of_pushed(), "{other:?}");
        }
        assert_ne!(engines().hash_of_listed("a"), engines().hash_of_listed("b"));
    }
}
