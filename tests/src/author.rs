//! Who does what a history says.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Api, Change, DEADLINE, Folder};

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
