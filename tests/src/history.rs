//! What an author does over time: pushes, edits, deletions and files, made up at random and kept to be done again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Api, DEADLINE, Folder};

/// Documents that are pushed and edited, and never deleted: they are to be found at any moment.
const LASTING: [&str; 4] = ["harbour", "vineyard", "observatory", "foundry"];
/// Documents that are pushed, edited, deleted and made again.
const PASSING: [&str; 8] =
    ["aqueduct", "bakery", "citadel", "distillery", "elevator", "ferry", "greenhouse", "hospital"];
/// Files of a folder source: written, rewritten and removed.
const FILES: [&str; 4] = ["island.md", "jetty.md", "kiln.md", "lagoon.md"];

/// One thing that the author does. Each makes exactly one revision of one document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Pushes a text under this key.
    Push(&'static str, String),
    /// Deletes a pushed document.
    Delete(&'static str),
    /// Writes a file with this text, and syncs.
    Write(&'static str, String),
    /// Removes a file and syncs.
    Remove(&'static str),
}

/// Changes at random, from a seed.
#[derive(Debug)]
pub struct History {
    random: StdRng,
    /// By document: its newest revision, and whether that is a deletion.
    newest: BTreeMap<&'static str, (u64, bool)>,
    changes: Vec<Change>,
}

impl History {
    /// One that begins with all the lasting documents.
    pub fn new(seed: u64) -> Self {
        let mut history = Self { random: StdRng::seed_from_u64(seed), newest: BTreeMap::new(), changes: Vec::new() };
        for key in LASTING {
            let text = history.text(key);
            history.changes.push(Change::Push(key, text));
        }
        history
    }

    /// The changes so far, first to last.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Documents that are to be found at any moment once they are searchable.
    pub fn lasting() -> &'static [&'static str] {
        &LASTING
    }

    /// The documents changed so far.
    pub fn documents(&self) -> Vec<&'static str> {
        self.newest.keys().copied().collect()
    }

    /// By document, the lowest revision that may be served once everything is settled: none at or below a deletion.
    pub fn floors(&self) -> BTreeMap<String, u64> {
        let floors =
            self.newest.iter().map(|(key, (revision, deleted))| (key.to_string(), revision + u64::from(*deleted)));
        floors.collect()
    }

    /// Makes up one more.
    pub fn next_change(&mut self) -> Change {
        let change = match self.random.random_range(0..10) {
            0..=1 => {
                let key = LASTING[self.random.random_range(0..LASTING.len())];
                Change::Push(key, self.text(key))
            }
            2 => {
                let file = FILES[self.random.random_range(0..FILES.len())];
                if self.is_there(file) && self.random.random_bool(0.3) {
                    self.deleted(file);
                    Change::Remove(file)
                } else {
                    Change::Write(file, self.text(file))
                }
            }
            _ => {
                let key = PASSING[self.random.random_range(0..PASSING.len())];
                if self.is_there(key) && self.random.random_bool(0.3) {
                    self.deleted(key);
                    Change::Delete(key)
                } else {
                    Change::Push(key, self.text(key))
                }
            }
        };
        self.changes.push(change.clone());
        change
    }

    fn is_there(&self, key: &str) -> bool {
        self.newest.get(key).is_some_and(|(_, deleted)| !deleted)
    }

    fn deleted(&mut self, key: &'static str) {
        let entry = self.newest.entry(key).or_default();
        *entry = (entry.0 + 1, true);
    }

    /// The next revision's text: of one to six sections, each of which says which document and revision it is of.
    fn text(&mut self, key: &'static str) -> String {
        let entry = self.newest.entry(key).or_default();
        *entry = (entry.0 + 1, false);
        let edition = marker(key, entry.0);
        let sections = self.random.random_range(1..=6);
        let mut text = format!("# The {key}\n\n{edition} This is the diary of the {key}.\n");
        for section in 0..sections {
            let year = 1900 + self.random.random_range(0..100);
            text += &format!("\n## Part {section}\n\n{edition} In {year} the {key} was rebuilt");
            for storey in 0..self.random.random_range(4..16) {
                text += &format!(", and storey {storey} got {} windows", self.random.random_range(2..90));
            }
            text += &format!(". {edition}\n");
        }
        text
    }
}

/// What each chunk of a revision has in it.
pub(crate) fn marker(key: &str, revision: u64) -> String {
    format!("[{key} edition {revision}]")
}

/// An author of a twin who does what a history says, however often the twin is away.
#[derive(Debug)]
pub struct Author<'a> {
    /// The twin.
    pub api: &'a Api,
    /// Who it is.
    pub name: &'a str,
    /// The folder that is a source.
    pub folder: &'a Folder,
    source: String,
}

impl<'a> Author<'a> {
    /// Registers the folder.
    ///
    /// # Errors
    /// Not within the deadline.
    pub async fn new(api: &'a Api, name: &'a str, folder: &'a Folder) -> Result<Self> {
        let body = json!({ "author": name, "location": folder.location(), "interval_s": 86_400 });
        let source = patiently("registering the folder", async || api.post("/v1/sources", &body).await).await?;
        let source = source["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { api, name, folder, source })
    }

    /// Does it, again and again until the twin has acknowledged it.
    ///
    /// # Errors
    /// Not within the deadline.
    pub async fn apply(&self, change: &Change) -> Result<()> {
        match change {
            Change::Push(key, text) => {
                let body = json!({ "author": self.name, "category": "article", "natural_key": key, "markdown": text });
                patiently("a push", async || self.api.post("/v1/documents", &body).await.map(drop)).await
            }
            Change::Delete(key) => patiently("a deletion", async || self.delete(key).await).await,
            Change::Write(file, text) => {
                self.folder.write(file, text)?;
                patiently("a sync", async || self.sync().await).await
            }
            Change::Remove(file) => {
                self.folder.remove(file)?;
                patiently("a sync", async || self.sync().await).await
            }
        }
    }

    /// Waits until all that was acknowledged is searchable.
    ///
    /// # Errors
    /// Not within the deadline.
    pub async fn settled(&self) -> Result<()> {
        patiently("everything searchable", async || {
            let status = self.api.get(&format!("/v1/status?author={}", self.name)).await?;
            ensure!(status["pending"] == 0, "{} documents are on their way", status["pending"]);
            Ok(())
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let documents = self.api.documents(self.name).await?;
        // One that is not listed was deleted by an attempt whose answer did not come.
        let Some(found) = documents.iter().find(|document| document["natural_key"] == key) else { return Ok(()) };
        let path = format!("/v1/documents/{}", found["document_id"].as_str().unwrap_or_default());
        let answer = self.api.send(self.api.request(Method::DELETE, &path)).await?;
        ensure!(matches!(answer.status, StatusCode::ACCEPTED | StatusCode::OK), "{}: {}", answer.status, answer.json);
        Ok(())
    }

    async fn sync(&self) -> Result<()> {
        let asked_at = Utc::now().trunc_subsecs(3);
        self.api.post(&format!("/v1/sources/{}/sync", self.source), &Value::Null).await?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let sync = self.api.get(&format!("/v1/sources/{}", self.source)).await?["last_sync"].clone();
            let started_at = sync["started_at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
            if started_at.is_some_and(|at| at >= asked_at) {
                ensure!(sync["status"] == "completed", "{sync}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("it has not ended")
    }
}

/// Tries until it succeeds.
async fn patiently<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("no luck with {what}"))),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
