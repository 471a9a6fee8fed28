//! Identifiers. Each is a type of its own, so that an author can not be passed for a document.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Namespace of all name-based ids (UUIDv5, RFC 9562) that this system makes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_5d8a_2f0b_4c8e_9d53_7a1e_5b0c_44d1);

/// An identifier that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind} {value:?}: {rule}")]
pub struct InvalidId {
    /// What kind of identifier it should have been.
    pub kind: &'static str,
    /// The value given.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                value.parse().map(Self).map_err(|_| InvalidId {
                    kind: $kind,
                    value: value.to_owned(),
                    rule: "it must be a UUID",
                })
            }
        }
    };
}

uuid_id!(
    /// One document of one author, whatever its revision: UUIDv5 of its [`DocumentKey`].
    DocumentId,
    "document id"
);
uuid_id!(
    /// One registered source: UUIDv5 of (author, kind, location), so registering it twice is one source.
    SourceId,
    "source id"
);
uuid_id!(
    /// One query (UUIDv7: sortable by time).
    RequestId,
    "request id"
);
uuid_id!(
    /// One running gateway; answers travel keyed by it.
    GatewayId,
    "gateway id"
);

impl SourceId {
    /// The id of the source of `kind` at `location` for `author`.
    pub fn of(author: &AuthorId, kind: &SourceKind, location: &str) -> Self {
        Self(name_uuid(&[author.as_str(), kind.as_str(), location]))
    }
}

impl RequestId {
    /// A new, time-ordered id.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

/// A dataset version: the SHA-256 of what it was made of, 64 hex digits. The same inputs give the same id anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DatasetId(pub String);

/// A training job: the SHA-256 of dataset, base model and recipe, 64 hex digits. The same work has the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JobId(pub String);

/// A model version of an author: `<author>-v<number>`, numbered in the order in which they were trained.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ModelId(pub String);

impl DatasetId {
    /// As people write it: the first twelve digits.
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

impl JobId {
    /// The id of the job that trains `base` (its fingerprint) on a dataset as a recipe says (its canonical text).
    pub fn of(dataset: &DatasetId, base: &str, recipe: &str) -> Self {
        let parts = [dataset.0.as_bytes(), base.as_bytes(), recipe.as_bytes()];
        let hash = ContentHash::sha256(parts);
        Self(hash.as_str().trim_start_matches("sha256:").to_owned())
    }

    /// As people write it: the first twelve digits.
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

impl ModelId {
    /// The model of that number of the author.
    pub fn of(author: &AuthorId, number: u32) -> Self {
        Self(format!("{author}-v{number}"))
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

macro_rules! display_as_is {
    ($($name:ident),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        })*
    };
}

display_as_is!(DatasetId, JobId, ModelId);

/// What identifies a document before it has an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    /// The kind of the source.
    pub source_kind: SourceKind,
    /// The author it belongs to.
    pub author: AuthorId,
    /// What makes the identity unique among sources of this kind: a folder's root, a repository's address;
    /// empty where the identity is unique by itself.
    pub scope: String,
    /// The platform's own id of the document: never a URL with tracking parameters.
    pub identity: String,
}

impl DocumentKey {
    /// The document id: stable over runs, machines and re-registration of the source.
    pub fn id(&self) -> DocumentId {
        DocumentId(name_uuid(&[self.source_kind.as_str(), self.author.as_str(), &self.scope, &self.identity]))
    }
}

/// UUIDv5 of a list of parts. Lengths are part of the name, so that ("a","bc") and ("ab","c") differ.
fn name_uuid(parts: &[&str]) -> Uuid {
    let mut name = String::new();
    for part in parts {
        name.push_str(&part.len().to_string());
        name.push(':');
        name.push_str(part);
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// An author's handle: 1 to 64 of `a-z 0-9 . _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct AuthorId(String);

impl AuthorId {
    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AuthorId {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let starts_well = value.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && value.len() <= 64 && value.chars().all(allowed) {
            return Ok(Self(value.to_owned()));
        }
        Err(InvalidId {
            kind: "author",
            value: value.to_owned(),
            rule: "1 to 64 characters of a-z, 0-9, '.', '_' and '-', starting with a letter or digit",
        })
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AuthorId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The kind of a source (`feed`, `folder`, `git`, `push`, …). Open: a new platform adds its own; nothing
/// downstream of the crawler depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SourceKind(String);

impl SourceKind {
    /// A kind by name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Documents that arrive by `POST /v1/documents`.
    pub fn push() -> Self {
        Self::new("push")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a document is. Everything downstream of collection depends on this, never on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Long prose with headings.
    Article,
    /// Short prose, kept whole where it fits.
    Post,
    /// A source file; whitespace is content.
    Code,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 3] = [Self::Article, Self::Post, Self::Code];

    /// The name used in events, the API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::Post => "post",
            Self::Code => "code",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|category| category.as_str() == value).ok_or_else(|| InvalidId {
            kind: "category",
            value: value.to_owned(),
            rule: "one of article, post, code",
        })
    }
}

/// The version of a document: 1 for the first, one more for each change or deletion. Never a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The first revision of a document.
    pub const FIRST: Self = Self(1);

    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A content hash with its algorithm: `sha256:<hex>`, or `git:<blob id>` for files of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    /// SHA-256 over the parts, each preceded by its length (so that moving a byte between parts shows).
    pub fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(format!("sha256:{}", hex::encode(hasher.finalize())))
    }

    /// A git blob id.
    pub fn git(blob_id: &str) -> Self {
        Self(format!("git:{blob_id}"))
    }

    /// A hash as it was stored.
    pub fn stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &str, identity: &str) -> DocumentKey {
        DocumentKey {
            source_kind: SourceKind::new("folder"),
            author: "ada".parse().unwrap(),
            scope: scope.into(),
            identity: identity.into(),
        }
    }

    #[test]
    fn a_document_id_is_stable_and_depends_on_each_part() {
        assert_eq!(key("/a", "b.md").id(), key("/a", "b.md").id());
        assert_ne!(key("/a", "b.md").id(), key("/ab", ".md").id());
        assert_ne!(key("/a", "b.md").id(), key("/a", "c.md").id());
        // Pinned: a change here would orphan every document already indexed.
        assert_eq!(key("/a", "b.md").id().to_string(), "ccae2486-00f9-5068-966e-2119a84d1dfb");
    }

    #[test]
    fn an_author_handle_outside_the_rule_is_refused_with_the_rule() {
        for bad in ["", "Ada", "-ada", "a/b", "ada lovelace", &"a".repeat(65)] {
            let error = bad.parse::<AuthorId>().unwrap_err();
            assert!(error.to_string().contains("a-z"), "{error}");
        }
        assert!(serde_json::from_str::<AuthorId>("\"Ada\"").is_err());
        assert_eq!("ada.lovelace-1".parse::<AuthorId>().unwrap().as_str(), "ada.lovelace-1");
    }
}
