//! A running `twin`, as a user starts it, and what the kernel says of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use twin_stack::{TwinOptions, TwinProcess};

use crate::memory;
use crate::processor_time;

/// Nothing listens there: the twin then loads no language model, and its answers fail where one would be asked.
pub const NO_MODEL: (&str, &str) = ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1");

/// The default model writes answers, which would be quoted otherwise.
pub const GENERATE: (&str, &str) = ("TWIN_ANSWERS_MODE", "generate");

/// What it writes is the answer, however little of it the passages support.
pub const AS_WRITTEN: (&str, &str) = ("TWIN_ANSWERS_MIN_GROUNDED", "0");

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// How often it is asked whether all is searchable. Each question costs the twin a moment.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Whose everything is.
pub const AUTHOR: &str = "bench";

/// A twin with a client.
pub struct Server {
    twin: TwinProcess,
    http: Client,
}

/// General questions that a threshold was measured by, at most, while documents came in.
const HASTY_GENERAL: u64 = 50;

impl Server {
    /// Starts one with these variables on an empty data folder.
    pub fn start(variables: &[(&str, &str)]) -> Result<Self> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::start_with(TwinOptions { environment, ..TwinOptions::default() })
    }

    /// Starts one with these options.
    pub fn start_with(options: TwinOptions) -> Result<Self> {
        let twin = TwinProcess::start(options)?;
        Ok(Self { twin, http: Client::builder().no_proxy().timeout(DEADLINE).build()? })
    }

    /// Where it listens, without a slash at the end.
    pub fn base_url(&self) -> &str {
        self.twin.base_url()
    }

    /// Processor seconds that it has spent so far.
    pub fn processor_seconds(&self) -> Result<f64> {
        processor_time::seconds_of(self.id()?)
    }

    /// The most memory that it has had so far (`VmHWM`), megabytes.
    pub fn peak_memory_mb(&self) -> Result<f64> {
        memory::of_process_mb(self.id()?, "VmHWM")?.context("twin has ended")
    }

    /// The memory that it has now (`VmRSS`), megabytes.
    pub fn memory_mb(&self) -> Result<f64> {
        memory::of_process_mb(self.id()?, "VmRSS")?.context("twin has ended")
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        self.twin.data()
    }

    /// Bytes of all its files.
    pub fn disk_bytes(&self) -> Result<u64> {
        bytes(self.twin.data())
    }

    fn id(&self) -> Result<u32> {
        self.twin.id().context("twin does not run")
    }

    /// Answer to a `GET`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.answer(Method::GET, path, |request| request).await
    }

    /// Answer to a `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(Method::POST, path, |request| request.json(body)).await
    }

    /// Pushes texts in one upload, under these keys.
    pub async fn push(&self, documents: impl IntoIterator<Item = (String, &str)>) -> Result<()> {
        let line = |(key, text): (String, &str)| document(&key, text).to_string();
        let lines: Vec<String> = documents.into_iter().map(line).collect();
        let body = lines.join("\n");
        let upload = |request: RequestBuilder| request.header("content-type", "application/x-ndjson").body(body);
        let pushed = self.answer(Method::POST, "/v1/documents", upload).await?;
        ensure!(pushed["accepted"] == lines.len(), "not all of {} documents were taken: {pushed}", lines.len());
        Ok(())
    }

    /// Waits until everything that was pushed is searchable or rejected. How many chunks that is.
    pub async fn settled(&self, documents: usize) -> Result<usize> {
        let start = Instant::now();
        loop {
            let status = self.get(&format!("/v1/status?author={AUTHOR}")).await?;
            if status["pending"] == 0 {
                let totals = &status["totals"];
                let settled = totals["searchable"].as_u64().zip(totals["rejected"].as_u64()).map(|(a, b)| a + b);
                ensure!(settled == Some(documents as u64), "{totals} in place of {documents} documents");
                return Ok(totals["chunks"].as_u64().context("chunks are counted")? as usize);
            }
            if start.elapsed() > DEADLINE {
                bail!("not searchable within {} s: {status}", DEADLINE.as_secs());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until it was measured from which score on questions are answered, with all questions: while documents came in it may
    /// have been measured with a third of the general ones. What came out.
    pub async fn calibrated(&self) -> Result<Value> {
        let start = Instant::now();
        loop {
            let status = self.get(&format!("/v1/status?author={AUTHOR}")).await?;
            let threshold = &status["thresholds"][0];
            let asked = threshold["general"]["asked"].as_u64();
            if threshold["basis"] == "shipped" || asked.is_some_and(|asked| asked > HASTY_GENERAL) {
                return Ok(threshold.clone());
            }
            if start.elapsed() > DEADLINE {
                bail!("not calibrated within {} s: {status}", DEADLINE.as_secs());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.twin.base_url()));
        let response = complete(request).send().await.with_context(|| format!("no answer to {path}"))?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path} gave {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// A document to push.
pub fn document(key: &str, text: &str) -> Value {
    json!({ "author": AUTHOR, "category": "article", "natural_key": key, "text": text })
}

fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}
