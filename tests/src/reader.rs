//! A reader that asks all the while something goes wrong, and looks at each answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Api;
use crate::history::{History, marker};

/// Violations that are told; the rest is counted.
const SHOWN: usize = 10;

/// Asks for documents of a [`History`] until it is stopped.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    author: String,
    /// By document: the lowest revision that may be served.
    floors: Mutex<BTreeMap<String, u64>>,
    /// Everything lasting was searchable once.
    settled: AtomicBool,
    stopped: AtomicBool,
    answers: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Reader {
    /// Starts to ask.
    pub fn start(api: &Api, author: &str) -> Self {
        let shared = Arc::new(Shared {
            api: api.clone(),
            author: author.to_owned(),
            floors: Mutex::default(),
            settled: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            violations: Mutex::default(),
        });
        let task = tokio::spawn(shared.clone().ask_until_stopped());
        Self { shared, task }
    }

    /// Tells the reader that all changes of a history so far are searchable.
    pub fn settled(&self, history: &History) {
        self.shared.raise(history.floors());
        self.shared.settled.store(true, Ordering::SeqCst);
    }

    /// Stops, and gives the number of answers that were looked at.
    ///
    /// # Errors
    /// An answer had something old, deleted or mixed up in it, lacked a document that is always there, or was a fault
    /// of the server.
    pub async fn stop(self) -> Result<u64> {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.task.await.context("the reader panicked")?;
        let violations = self.shared.violations.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = violations[..violations.len().min(SHOWN)].join("\n");
        ensure!(violations.is_empty(), "{} answers were wrong:\n{shown}", violations.len());
        Ok(self.shared.answers.load(Ordering::SeqCst))
    }
}

impl Shared {
    async fn ask_until_stopped(self: Arc<Self>) {
        while !self.stopped.load(Ordering::SeqCst) {
            let key = self.some_document();
            if let Err(violation) = self.ask(&key).await {
                self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{key}: {violation:#}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn some_document(&self) -> String {
        let floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = floors.keys().map(String::as_str);
        let all: Vec<&str> = known.chain(History::lasting().iter().copied()).collect();
        all[rand::rng().random_range(0..all.len())].to_owned()
    }

    async fn ask(&self, key: &str) -> Result<()> {
        let must_be_found = self.settled.load(Ordering::SeqCst) && History::lasting().contains(&key);
        let before = self.floors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let body = json!({ "author": self.author, "query": format!("The diary of the {key}"), "k": 20 });
        let request = self.api.request(Method::POST, "/v1/retrieve").json(&body);
        // The twin is killed all the time: no answer is no violation.
        let Ok(answer) = self.api.send(request).await else { return Ok(()) };
        match answer.status {
            StatusCode::OK => {}
            StatusCode::SERVICE_UNAVAILABLE => return Ok(()),
            StatusCode::NOT_FOUND if !self.settled.load(Ordering::SeqCst) => return Ok(()),
            status => anyhow::bail!("{status}: {}", answer.json),
        }
        let hits = answer.json["hits"].as_array().context("an answer without hits")?;
        self.answers.fetch_add(1, Ordering::SeqCst);
        let mut seen = BTreeMap::new();
        for hit in hits {
            let (found, revision) = check(hit, &before)?;
            let highest = seen.entry(found).or_insert(revision);
            *highest = revision.max(*highest);
        }
        ensure!(!must_be_found || seen.contains_key(key), "not found; found were {:?}", seen.keys());
        self.raise(seen);
        Ok(())
    }

    /// What was served once is not followed by something older.
    fn raise(&self, floors: BTreeMap<String, u64>) {
        let mut current = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, revision) in floors {
            let floor = current.entry(key).or_default();
            *floor = revision.max(*floor);
        }
    }
}

/// A hit's document and revision.
fn check(hit: &Value, floors: &BTreeMap<String, u64>) -> Result<(String, u64)> {
    let key = hit["natural_key"].as_str().context("a hit without natural key")?;
    let revision = hit["revision"].as_u64().context("a hit without revision")?;
    let floor = floors.get(key).copied().unwrap_or_default();
    ensure!(revision >= floor, "revision {revision} of {key} was served after {floor}, or after its deletion");
    let text = hit["text"].as_str().context("a hit without text")?;
    ensure!(text.contains(&marker(key, revision)), "revision {revision} of {key} has the text {text:?}");
    Ok((key.to_owned(), revision))
}
