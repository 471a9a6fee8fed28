//! A client of the REST API, as a user would write one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use futures::StreamExt;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use twin_api::{NewSourceRequest, PushRequest, Pushed, RetrieveRequest, SourceView, StatusView, SyncStatus, SyncView};
use twin_schemas::Category;

use crate::{Exposition, eventually};

/// Above any answer of a model on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// What a request was answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The content type; empty if there is none.
    pub content_type: String,
    /// The body; null if it is not JSON.
    pub json: Value,
}

/// A server-sent event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("event {:?} has no JSON: {}", self.name, self.data))
    }
}

/// The REST API of a twin, or of some that share their work. Made by each test for itself: connections belong to the
/// test's runtime.
#[derive(Debug, Clone)]
pub struct Api {
    http: Client,
    base_urls: Arc<[String]>,
    requests: Arc<AtomicUsize>,
}

impl Api {
    /// The API at `http://host:port`.
    ///
    /// # Errors
    /// The HTTP client can not be made.
    pub fn new(base_url: &str) -> Result<Self> {
        Self::in_turn([base_url])
    }

    /// The APIs at these addresses: each request goes to the next of them.
    ///
    /// # Errors
    /// The HTTP client can not be made.
    pub fn in_turn<'a>(base_urls: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        // A connection kept from before a restart of the twin would fail the first request after it.
        let http = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(REQUEST_TIMEOUT).build()?;
        let base_urls = base_urls.into_iter().map(str::to_owned).collect();
        Ok(Self { http, base_urls, requests: Arc::default() })
    }

    /// Where the next request for `path` goes.
    pub(crate) fn url(&self, path: &str) -> String {
        let turn = self.requests.fetch_add(1, Ordering::Relaxed) % self.base_urls.len();
        format!("{}{path}", self.base_urls[turn])
    }

    /// A request to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// # Errors
    /// No answer came.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status();
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let json = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Answer { status, content_type, json })
    }

    /// `GET`, whose answer must be a success.
    ///
    /// # Errors
    /// It is not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.succeed(Method::GET, path, self.request(Method::GET, path)).await
    }

    /// `POST` of a JSON body, whose answer must be a success.
    ///
    /// # Errors
    /// It is not.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value> {
        self.succeed(Method::POST, path, self.request(Method::POST, path).json(body)).await
    }

    /// `GET`, whose answer must be a success and of this type.
    ///
    /// # Errors
    /// It is not.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.get(path).await?;
        serde_json::from_value(answer.clone()).with_context(|| format!("GET {path} gave {answer}"))
    }

    async fn succeed(&self, method: Method, path: &str, request: RequestBuilder) -> Result<Value> {
        let answer = self.send(request).await?;
        ensure!(answer.status.is_success(), "{method} {path} gave {}: {}", answer.status, answer.json);
        Ok(answer.json)
    }

    /// `POST` of a JSON body, answered with server-sent events, to their end.
    ///
    /// # Errors
    /// The answer is no stream, or is cut off.
    pub async fn events(&self, path: &str, body: &Value) -> Result<Vec<Event>> {
        let response = self.request(Method::POST, path).json(body).send().await?;
        ensure!(response.status().is_success(), "POST {path} gave {}", response.status());
        let mut text = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            text.extend_from_slice(&bytes?);
        }
        Ok(events(&String::from_utf8(text)?))
    }

    /// What `/metrics` shows now, of all of them.
    ///
    /// # Errors
    /// One gave no answer.
    pub async fn metrics(&self) -> Result<Exposition> {
        let mut shown = String::new();
        for base_url in self.base_urls.iter() {
            let response = self.http.get(format!("{base_url}/metrics")).send().await?;
            shown += &response.error_for_status()?.text().await?;
        }
        Ok(Exposition::new(shown))
    }

    /// Waits until all of them are ready.
    ///
    /// # Errors
    /// One is not within the deadline.
    pub async fn up(&self) -> Result<()> {
        for base_url in self.base_urls.iter() {
            eventually("the twin is up", async || {
                let answer = self.http.get(format!("{base_url}/readyz")).send().await;
                Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Registers a source and waits for its first sync and for what that found to be searchable.
    ///
    /// # Errors
    /// It could not be registered or synced.
    pub async fn add_source(&self, author: &str, location: &str) -> Result<String> {
        let body = NewSourceRequest {
            author: author.parse()?,
            kind: None,
            location: location.to_owned(),
            category: None,
            interval_s: Some(86_400),
            settings: serde_json::Map::new(),
            secrets: None,
            unchecked: false,
        };
        let source: SourceView = serde_json::from_value(self.post("/v1/sources", &body).await?)?;
        let id = source.id.to_string();
        self.completed_sync(&id, DateTime::UNIX_EPOCH).await?;
        self.settled(author).await?;
        Ok(id)
    }

    /// Asks for a sync and waits for one that began after that, and completed.
    ///
    /// # Errors
    /// It did not complete.
    pub async fn sync(&self, source: &str) -> Result<SyncView> {
        // The warehouse may keep times less exactly than the clock gives them.
        let asked_at = Utc::now().trunc_subsecs(3);
        self.post(&format!("/v1/sources/{source}/sync"), &Value::Null).await?;
        self.completed_sync(source, asked_at).await
    }

    async fn completed_sync(&self, source: &str, since: DateTime<Utc>) -> Result<SyncView> {
        let path = format!("/v1/sources/{source}");
        let sync = eventually("a sync ends", async || {
            let source: SourceView = self.read(&path).await?;
            Ok(source.last_sync.filter(|sync| sync.started_at >= since))
        })
        .await?;
        ensure!(sync.status == SyncStatus::Completed, "the sync did not complete: {sync:?}");
        Ok(sync)
    }

    /// Waits until every stage has read its topic to the end, and has committed that.
    ///
    /// # Errors
    /// It did not come so far.
    pub async fn idle(&self) -> Result<()> {
        eventually("every stage has committed what it read", async || {
            let status: StatusView = self.read("/v1/status").await?;
            Ok(status.stages.iter().all(|stage| stage.lag == 0).then_some(()))
        })
        .await
    }

    /// Waits until everything of the author that was collected is searchable, or has a reason not to be.
    ///
    /// # Errors
    /// It did not come so far.
    pub async fn settled(&self, author: &str) -> Result<Value> {
        let path = format!("/v1/status?author={author}");
        eventually("nothing is on its way", async || {
            let status = self.get(&path).await?;
            Ok((status["pending"] == 0).then_some(status))
        })
        .await
    }

    /// The best `k` passages.
    ///
    /// # Errors
    /// No answer came.
    pub async fn retrieve(&self, author: &str, query: &str, k: usize) -> Result<Vec<Value>> {
        let body = RetrieveRequest {
            query: query.to_owned(),
            author: Some(author.parse()?),
            k: Some(u32::try_from(k)?),
            category: None,
            source_kind: None,
            published_after: None,
            published_before: None,
        };
        let found = self.post("/v1/retrieve", &body).await?;
        Ok(found["hits"].as_array().context("hits are an array")?.clone())
    }

    /// The author's documents.
    ///
    /// # Errors
    /// No answer came.
    pub async fn documents(&self, author: &str) -> Result<Vec<Value>> {
        let mut documents = Vec::new();
        let mut path = format!("/v1/documents?author={author}&limit=1000");
        loop {
            let list = self.get(&path).await?;
            documents.extend(list["documents"].as_array().context("documents are an array")?.clone());
            let Some(next) = list["next"].as_str() else { return Ok(documents) };
            path = format!("/v1/documents?author={author}&limit=1000&before={next}");
        }
    }

    /// Pushes a Markdown document and waits until it is searchable. Its id is returned.
    ///
    /// # Errors
    /// It was refused, or is not searchable.
    pub async fn push(&self, author: &str, natural_key: &str, markdown: &str) -> Result<String> {
        let body = PushRequest {
            author: author.parse()?,
            category: Category::Article,
            natural_key: natural_key.to_owned(),
            title: None,
            url: None,
            text: None,
            markdown: Some(markdown.to_owned()),
            html: None,
            published_at: None,
        };
        let pushed: Pushed = serde_json::from_value(self.post("/v1/documents", &body).await?)?;
        let id = pushed.document_id.to_string();
        self.settled(author).await?;
        let document = self.get(&format!("/v1/documents/{id}")).await?;
        ensure!(document["searchable"] == true, "{natural_key} is not searchable: {document}");
        Ok(id)
    }
}

/// The events of a whole stream; comments are passed over.
fn events(text: &str) -> Vec<Event> {
    let blocks = text.split("\n\n").map(|block| {
        let field = |name: &str| -> Vec<&str> {
            let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
        };
        Event { name: field("event").concat(), data: field("data").join("\n") }
    });
    blocks.filter(|event| !event.data.is_empty()).collect()
}
