//! The platforms that can be collected from. A new one is one file here and one line in [`Sources::new`].

mod feed;
mod files;
mod folder;
mod front_matter;
mod git;
mod text_file;
mod thread;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::{Schema, schema_for};
use twin_artifacts::Artifacts;
use twin_schemas::{Category, ContentHash, DocumentId, MediaType, SourceKind};
use twin_warehouse::{DocumentContent, Secrets, SourceRow, UploadedFile};

use crate::hosts::Waits;
use crate::http::Http;
use crate::settings::{Invalid, NoSettings, Registration, SecretName};
use crate::{Error, Options};

/// Whoever registers a source waits no longer for what is there.
const LONGEST_LOOK: Duration = Duration::from_secs(45);

/// A platform.
#[async_trait]
pub trait Source: Send + Sync {
    /// The kind that it registers.
    fn kind(&self) -> &'static str;

    /// Whether a location looks like one of this platform's: by its parsed address, host and path, or by what is in
    /// the folder.
    fn recognises(&self, location: &str) -> bool;

    /// The location in its canonical form, if this platform can serve it; else what is wrong and what to do.
    fn accept(&self, location: &str) -> Result<String, String>;

    /// What can be set of a source of this kind: the JSON Schema of an object.
    fn settings_schema(&self) -> Schema {
        schema_for!(NoSettings)
    }

    /// The secrets that a source of this kind may have.
    fn secrets(&self) -> &'static [SecretName] {
        &[]
    }

    /// Checks the settings and the secrets of a source, without asking anybody.
    fn check(&self, registration: &Registration<'_>) -> Result<(), Invalid> {
        registration.settings::<NoSettings>()?;
        registration.check_secrets(self.kind(), self.secrets())
    }

    /// Looks at what is at an accepted location, and returns the one that can be read: this, or one that was found there. An
    /// error says why there is none, and what to do.
    async fn inspect(&self, registration: &Registration<'_>) -> Result<String, Error> {
        Ok(registration.location.to_owned())
    }

    /// Whether a file of this name may be uploaded to a source of this kind; else what is wrong.
    fn check_file(&self, _name: &str) -> Result<(), String> {
        Err(format!("a source of kind {} takes no uploads; register one of kind files", self.kind()))
    }

    /// Tells the sink what is at the source now, and returns what it proves to be gone.
    ///
    /// The future may be dropped at any await point (a shutdown): it holds nothing that would need finishing, and
    /// threads that it started end by themselves. An error deletes nothing and leaves the cursor as it was.
    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error>;
}

/// The documents, not deleted, that earlier syncs of a source gave, by identity.
pub type KnownDocuments = HashMap<String, (ContentHash, DocumentId)>;

/// What a source is asked.
#[derive(Clone)]
pub struct Collect<'a> {
    /// The registered source: whose it is, where, its category and its cursor.
    pub source: &'a SourceRow,
    /// What is known of it.
    pub known: Arc<KnownDocuments>,
    /// Its secrets.
    pub secrets: Arc<Secrets>,
    /// The files that were uploaded to it.
    pub files: Vec<UploadedFile>,
    /// Counts how long it waits for servers.
    pub waits: Waits,
}

impl Collect<'_> {
    /// The path or address.
    pub fn location(&self) -> &str {
        &self.source.source.location
    }

    /// What it was registered with.
    pub(crate) fn registration(&self) -> Registration<'_> {
        Registration { location: self.location(), settings: &self.source.source.settings, secrets: &self.secrets }
    }

    /// What its documents are, where the author said so.
    pub fn category(&self) -> Option<Category> {
        self.source.source.category
    }
}

/// Where a source tells what it finds.
#[async_trait]
pub trait Sink: Send {
    /// A document, new or changed or not.
    async fn document(&mut self, document: SourceDocument) -> Result<(), Error>;

    /// The known document with this identity is as it was.
    async fn unchanged(&mut self, identity: String) -> Result<(), Error>;

    /// A document is there but can not be read. What is known of it stays.
    async fn failed(&mut self, natural_key: String, reason: String) -> Result<(), Error>;

    /// Saves a cursor once all that was handed over so far is recorded. If the sync is cut off later, the next one is given
    /// this cursor.
    async fn save(&mut self, cursor: serde_json::Value) -> Result<(), Error>;
}

/// A document as a source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDocument {
    /// What makes the identity unique among sources of this kind; empty where it is so by itself.
    pub scope: String,
    /// The platform's own id of the document.
    pub identity: String,
    /// The platform's name for it, shown to people.
    pub natural_key: String,
    /// What it is.
    pub category: Category,
    /// Title.
    pub title: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// When the author published it.
    pub published_at: Option<DateTime<Utc>>,
    /// How `content` is written.
    pub media_type: MediaType,
    /// The content, decoded to Unicode.
    pub content: String,
    /// Changes whenever a new revision should be made.
    pub content_hash: ContentHash,
}

impl SourceDocument {
    /// The hash of what people and models are shown of it.
    pub fn hash(&self) -> ContentHash {
        let content = DocumentContent {
            category: self.category,
            title: self.title.as_deref(),
            url: self.url.as_deref(),
            published_at: self.published_at,
            media_type: self.media_type,
            content: &self.content,
        };
        content.hash_of_listed(&self.natural_key)
    }

    /// The document with the hash of what it is now.
    pub fn hashed(mut self) -> Self {
        self.content_hash = self.hash();
        self
    }
}

/// What a source remembers and proves at the end of a sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// What it wants to be given next time.
    pub cursor: serde_json::Value,
    /// What it proves to be gone.
    pub evidence: Evidence,
}

/// What absence means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Everything there is was listed: what is known and was not listed is gone.
    Complete,
    /// Only a part was listed.
    Window {
        /// The identities that are proven gone, and only these.
        gone: Vec<String>,
    },
}

/// The registry of platforms.
#[derive(Clone)]
pub struct Sources {
    sources: Arc<[Arc<dyn Source>]>,
}

impl Sources {
    /// All platforms of this build. Where a kind is not given, the first that recognises a location has it.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let http = Http::new(&options.user_agent, &options.http, &options.per_host)?;
        Ok(Self::of(vec![
            Arc::new(git::Git::new(options.git.clone(), &options.user_agent, &options.http, http.clone())),
            Arc::new(folder::Folder::new(options.folder.clone())),
            Arc::new(feed::Feed::new(options.feed.clone(), http)),
        ]))
    }

    /// The same, and those that read what was uploaded into these artifacts. An upload lies in `folder` while it is read.
    pub fn with_uploads(self, options: &Options, artifacts: Artifacts, folder: PathBuf) -> Self {
        let files: Arc<dyn Source> = Arc::new(files::Files::new(options.files.clone(), artifacts, folder));
        Self::of(self.sources.iter().cloned().chain([files]).collect())
    }

    /// These platforms.
    pub fn of(sources: Vec<Arc<dyn Source>>) -> Self {
        Self { sources: sources.into() }
    }

    /// Their kinds.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.sources.iter().map(|source| source.kind()).collect()
    }

    /// The platform of a kind.
    pub fn get(&self, kind: &SourceKind) -> Result<Arc<dyn Source>, Error> {
        let found = self.sources.iter().find(|source| source.kind() == kind.as_str());
        found
            .cloned()
            .ok_or_else(|| Error::UnknownKind { kind: kind.as_str().to_owned(), kinds: self.kinds().join(", ") })
    }

    /// The kind (the one given, or the one that recognises the location) and the canonical location; else what is
    /// wrong and what to do. Looks into local folders: call it where a short wait on the disk does no harm.
    pub fn resolve(&self, kind: Option<&str>, location: &str) -> Result<(SourceKind, String), String> {
        let location = location.trim();
        let source = match kind {
            Some(kind) => self.get(&SourceKind::new(kind)).map_err(|error| error.to_string())?,
            None => {
                let found = self.sources.iter().find(|source| source.recognises(location)).cloned();
                found.ok_or_else(|| {
                    format!("{location:?} is neither a folder or repository that is there nor an http(s) address")
                })?
            }
        };
        let canonical = source.accept(location)?;
        Ok((SourceKind::new(source.kind()), canonical))
    }

    /// Checks the settings and the secrets of a source of a kind, without asking anybody.
    pub fn check(&self, kind: &SourceKind, registration: &Registration<'_>) -> Result<(), Invalid> {
        let source = self.get(kind).map_err(|error| Invalid::new("kind", error.to_string()))?;
        source.check(registration)
    }

    /// Whether a file of this name may be uploaded to a source of a kind; else what is wrong.
    pub fn check_file(&self, kind: &SourceKind, name: &str) -> Result<(), String> {
        self.get(kind).map_err(|error| error.to_string())?.check_file(name)
    }

    /// Looks at what is at a location that was resolved, and returns the one that can be read: the same, or one that was
    /// found there (the feed of a home page). An error says why there is none, and what to do.
    pub async fn inspect(&self, kind: &SourceKind, registration: &Registration<'_>) -> Result<String, Error> {
        let source = self.get(kind)?;
        let looking = tokio::time::timeout(LONGEST_LOOK, source.inspect(registration)).await;
        looking.unwrap_or_else(|_| {
            Err(Error::NotInTime { location: registration.location.to_owned(), within_s: LONGEST_LOOK.as_secs() })
        })
    }
}
