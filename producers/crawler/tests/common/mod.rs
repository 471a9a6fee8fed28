//! What the tests of sources share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod server;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use twin_crawler::sources::{Collect, Listing, Sink, SourceDocument};
use twin_crawler::{Error, Options, Sources, Waits};
use twin_schemas::{AuthorId, Category, ContentHash, DocumentId, SourceId, SourceKind};
use twin_warehouse::{NewSource, Secret, Secrets, SourceRow};

/// A sink that keeps what it is told.
#[derive(Debug, Default)]
pub struct Recording {
    pub documents: Vec<SourceDocument>,
    pub unchanged: Vec<String>,
    pub failed: BTreeMap<String, String>,
    /// The cursors that were saved.
    pub saved: Vec<serde_json::Value>,
}

#[async_trait]
impl Sink for Recording {
    async fn document(&mut self, document: SourceDocument) -> Result<(), Error> {
        self.documents.push(document);
        Ok(())
    }

    async fn unchanged(&mut self, identity: String) -> Result<(), Error> {
        self.unchanged.push(identity);
        Ok(())
    }

    async fn failed(&mut self, natural_key: String, reason: String) -> Result<(), Error> {
        self.failed.insert(natural_key, reason);
        Ok(())
    }

    async fn save(&mut self, cursor: serde_json::Value) -> Result<(), Error> {
        self.saved.push(cursor);
        Ok(())
    }
}

impl Recording {
    pub fn get(&self, natural_key: &str) -> &SourceDocument {
        let found = self.documents.iter().find(|document| document.natural_key == natural_key);
        found.unwrap_or_else(|| panic!("{natural_key} is not among {:?}, failed {:?}", self.keys(), self.failed))
    }

    pub fn keys(&self) -> Vec<&str> {
        self.documents.iter().map(|document| document.natural_key.as_str()).collect()
    }
}

/// A registered source whose syncs the test drives by hand, with what a warehouse would know of it.
pub struct Driver {
    sources: Sources,
    pub row: SourceRow,
    known: HashMap<String, (ContentHash, DocumentId)>,
    secrets: Secrets,
    pub waits: Waits,
}

impl Driver {
    pub fn new(options: &Options, kind: &str, location: &str) -> Self {
        let sources = Sources::new(options).unwrap();
        let (kind, location) = sources.resolve(Some(kind), location).unwrap();
        let row = row(kind, location);
        Self { sources, row, known: HashMap::new(), secrets: Secrets::default(), waits: Waits::default() }
    }

    /// Syncs once, as the syncer would, without deleting.
    pub async fn sync(&mut self) -> Result<(Recording, Listing), Error> {
        let mut sink = Recording::default();
        let listing = self.sync_into(&mut sink).await?;
        for document in &sink.documents {
            let id = DocumentId(uuid::Uuid::new_v4());
            self.known.insert(document.identity.clone(), (document.content_hash.clone(), id));
        }
        self.row.cursor = listing.cursor.clone();
        Ok((sink, listing))
    }

    /// As [`Self::sync`], but nothing of it is remembered.
    pub async fn sync_into(&self, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let source = self.sources.get(&self.row.source.kind)?;
        let request = Collect {
            source: &self.row,
            known: Arc::new(self.known.clone()),
            secrets: Arc::new(self.secrets.clone()),
            files: Vec::new(),
            waits: self.waits.clone(),
        };
        source.collect(request, sink).await
    }

    /// As registered with this setting and this secret.
    pub fn with(mut self, settings: serde_json::Value, name: &str, secret: &str) -> Self {
        self.row.source.settings = settings;
        self.secrets = [(name, Secret::new(secret))].into_iter().collect();
        self
    }

    pub fn category(mut self, category: Category) -> Self {
        self.row.source.category = Some(category);
        self
    }

    /// As after the author's documents were dropped from the warehouse.
    pub fn forget_documents(&mut self) {
        self.known.clear();
    }
}

fn row(kind: SourceKind, location: String) -> SourceRow {
    let author: AuthorId = "ada".parse().unwrap();
    SourceRow {
        id: SourceId::of(&author, &kind, &location),
        source: new_source(author, kind, &location, 60),
        created_at: Utc::now(),
        cursor: serde_json::json!({}),
        last_sync: None,
        next_run_at: Utc::now(),
        deletions_confirmed: false,
    }
}

/// A source to register, of which nothing else is set.
pub fn new_source(author: AuthorId, kind: SourceKind, location: &str, interval_s: u64) -> NewSource {
    let (location, settings) = (location.to_owned(), serde_json::Value::Null);
    NewSource { author, kind, location, category: None, interval_s, settings, secret_names: Vec::new() }
}

/// Writes a file, with the folders above it.
pub fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Runs git in a folder, without anybody's configuration.
pub fn git(root: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@ada.example", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Commits all that is in the folder.
pub fn commit(root: &Path) {
    if !root.join(".git").exists() {
        git(root, &["init", "--quiet"]);
    }
    git(root, &["add", "--all"]);
    git(root, &["commit", "--quiet", "--message", "change"]);
}
