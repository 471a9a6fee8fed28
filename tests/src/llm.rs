//! A server of OpenAI's chat completions whose model writes what a test says, at the pace that it says.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use axum::{Json, Router};
use futures::Stream;
use futures::stream::unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the model writes.
#[derive(Debug, Clone)]
pub struct Script {
    /// The chunks of the stream, as JSON. `[DONE]` follows.
    pub chunks: Vec<Value>,
    /// Before each chunk.
    pub pause: Duration,
}

impl Script {
    /// A text, cut into these pieces, and an end in good order.
    pub fn of(pieces: &[&str], pause: Duration) -> Self {
        let text = |piece: &&str| json!({ "choices": [{ "delta": { "content": piece } }] });
        let mut chunks: Vec<Value> = pieces.iter().map(text).collect();
        let usage = json!({ "prompt_tokens": 1, "completion_tokens": pieces.len() });
        chunks.push(json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": usage }));
        Self { chunks, pause }
    }

    /// A text of so many words, each of its own: a twin ends an answer that repeats itself.
    pub fn words(count: usize, pause: Duration) -> Self {
        let words: Vec<String> = Self::words_of(count).collect();
        Self::of(&words.iter().map(String::as_str).collect::<Vec<_>>(), pause)
    }

    /// The words of that text.
    pub fn words_of(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("word{number} "))
    }
}

/// The server. It ends with this value.
pub struct Llm {
    endpoint: String,
    served: Arc<Served>,
    server: JoinHandle<()>,
}

/// What is written, by what was asked.
type Rule = dyn Fn(&Value) -> Script + Send + Sync;

/// The body of a refusal, where a request is refused.
type Refusals = dyn Fn(&Value) -> Option<Value> + Send + Sync;

struct Served {
    rule: Mutex<Arc<Rule>>,
    refusals: Mutex<Arc<Refusals>>,
    requests: AtomicUsize,
    writing: AtomicUsize,
    last_request: Mutex<Value>,
}

impl Llm {
    /// A model that writes this whatever it is asked.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(script: Script) -> Result<Self> {
        Self::answering(move |_| script.clone()).await
    }

    /// A model that writes what the rule says, given the body of the request.
    ///
    /// # Errors
    /// There is no port.
    pub async fn answering(rule: impl Fn(&Value) -> Script + Send + Sync + 'static) -> Result<Self> {
        let rule = Mutex::new(Arc::new(rule) as Arc<Rule>);
        let served = Arc::new(Served {
            rule,
            refusals: Mutex::new(Arc::new(|_: &Value| None)),
            requests: AtomicUsize::new(0),
            writing: AtomicUsize::new(0),
            last_request: Mutex::default(),
        });
        let router = Router::new().route("/v1/chat/completions", post(write)).with_state(served.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}/v1", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends with the test; an error before that shows as an answer that fails.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { endpoint, served, server })
    }

    /// From now on it writes this.
    pub fn say(&self, script: Script) {
        *locked(&self.served.rule) = Arc::new(move |_: &Value| script.clone());
    }

    /// From now on it refuses requests that have this field, as servers do that know of none.
    pub fn refuse(&self, field: &'static str) {
        let error = json!({ "error": { "message": format!("unknown field {field}"), "param": field } });
        self.refuse_as(move |request| request.get(field).map(|_| error.clone()));
    }

    /// From now on it refuses with 400 what the rule gives a body for.
    pub fn refuse_as(&self, rule: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) {
        *locked(&self.served.refusals) = Arc::new(rule);
    }

    /// Requests so far, those among them that were refused.
    pub fn requests(&self) -> usize {
        self.served.requests.load(Ordering::SeqCst)
    }

    /// What `llm.endpoint` is set to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers that are being written now: one whose reader is gone is not.
    pub fn writing(&self) -> usize {
        self.served.writing.load(Ordering::SeqCst)
    }

    /// The body of the newest request that was not refused.
    pub fn last_request(&self) -> Value {
        locked(&self.served.last_request).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Llm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer that is being written, until it is dropped.
struct Writing(Arc<Served>);

impl Writing {
    fn begin(served: Arc<Served>) -> Self {
        served.writing.fetch_add(1, Ordering::SeqCst);
        Self(served)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn write(
    State(served): State<Arc<Served>>,
    Json(request): Json<Value>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, (StatusCode, Json<Value>)> {
    served.requests.fetch_add(1, Ordering::SeqCst);
    let refusals = locked(&served.refusals).clone();
    if let Some(error) = refusals(&request) {
        return Err((StatusCode::BAD_REQUEST, Json(error)));
    }
    let rule = locked(&served.rule).clone();
    let script = rule(&request);
    *locked(&served.last_request) = request;
    let events = unfold((Writing::begin(served), script, 0), async |(writing, script, at)| {
        let event = match script.chunks.get(at) {
            Some(chunk) => {
                tokio::time::sleep(script.pause).await;
                Event::default().data(chunk.to_string())
            }
            None if at == script.chunks.len() => Event::default().data("[DONE]"),
            None => return None,
        };
        Some((Ok(event), (writing, script, at + 1)))
    });
    Ok(Sse::new(events))
}
