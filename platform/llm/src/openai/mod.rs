//! A chat model behind an OpenAI-compatible endpoint: `POST {endpoint}/chat/completions`, streamed
//! (<https://platform.openai.com/docs/api-reference/chat/streaming>).
//!
//! Endpoints differ in what they take: models that reason want `max_completion_tokens` and no temperature, older servers know
//! no `stream_options`. What one refuses by name is learned ([`Profile`]), and it is asked again without. A value that it
//! refuses is left out for an hour: another value of the same parameter may be taken.
//!
//! What a model thinks before it answers is no answer. Servers with a parser for it send it in a field of its own, which is not
//! read; where it comes as `<think>…</think>` within the text it is left out here.

mod dialect;
mod refusal;
mod refused_values;
mod stop;
mod stream;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::Error;
use crate::model::{ChatModel, ChatRequest, ChatStream};
use crate::thoughts::without_thoughts;
use crate::window::{estimated_prompt, within_window};

pub use dialect::Profile;
use dialect::{Dialect, Parameter};
use refusal::Refusal;
use refused_values::{REMEMBERED, RefusedValues};

/// Characters of an endpoint's error that are told.
const ERROR_CHARS: usize = 500;

/// Tokens that are asked for however long the prompt is: its length is an estimate, and the endpoint knows better.
const LEAST_TOKENS: u32 = 256;

/// A client of one endpoint and model.
pub struct OpenAiModel {
    client: reqwest::Client,
    endpoint: Url,
    model: String,
    api_key: Option<String>,
    profile: Profile,
    /// Tokens of a prompt and its answer, at most.
    window: usize,
    /// What it takes, as far as it has shown.
    dialect: RwLock<Dialect>,
    /// Values that it has refused of late.
    refused_values: Mutex<RefusedValues>,
}

impl OpenAiModel {
    /// Tokens of a prompt and its answer that a model is taken to have room for, where nothing is said.
    pub const WINDOW: u32 = 8_192;

    /// A client of `endpoint`, the base that `/chat/completions` is appended to.
    pub fn new(endpoint: &Url, model: &str, api_key: Option<String>) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(120))
            .build()
            .map_err(|error| failure(endpoint, &error))?;
        let (profile, window) = (Profile::default(), Self::WINDOW as usize);
        let dialect = RwLock::new(Dialect::of(profile));
        Ok(Self {
            client,
            endpoint: endpoint.clone(),
            model: model.to_owned(),
            api_key,
            profile,
            window,
            dialect,
            refused_values: Mutex::default(),
        })
    }

    /// The same, asked as the profile says.
    pub fn with_profile(self, profile: Profile) -> Self {
        Self { profile, dialect: RwLock::new(Dialect::of(profile)), ..self }
    }

    /// The same, of a model whose window has so many tokens.
    pub fn with_window(self, tokens: u32) -> Self {
        Self { window: tokens as usize, ..self }
    }

    fn dialect(&self) -> Dialect {
        self.dialect.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on requests are put so that this is not refused again.
    fn learn(&self, refused: Parameter) {
        let changed = self.dialect.write().unwrap_or_else(PoisonError::into_inner).adapt(refused);
        if changed {
            let (endpoint, model, refused) = (self.endpoint.as_str(), self.model.as_str(), refused.name());
            tracing::warn!(
                endpoint,
                model,
                refused,
                "the endpoint refuses a parameter; it is asked without from now on"
            );
        }
    }

    /// For a while requests are put without the value that this body has of it.
    fn learn_value(&self, refused: Parameter, body: &Value) {
        let mut values = self.refused_values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.learn(refused, body, Instant::now()) {
            let (endpoint, model, refused) = (self.endpoint.as_str(), self.model.as_str(), refused.name());
            let seconds = REMEMBERED.as_secs();
            tracing::warn!(
                endpoint,
                model,
                refused,
                seconds,
                "the endpoint refuses a value; it is left out for a while"
            );
        }
    }

    /// Parameters of which the request's value was refused of late.
    fn known_to_be_refused(&self, request: &ChatRequest) -> BTreeSet<Parameter> {
        let body = self.dialect().body(&self.model, request);
        let values = self.refused_values.lock().unwrap_or_else(PoisonError::into_inner);
        values.of(&body, Instant::now()).collect()
    }

    async fn post(&self, body: &Value) -> Result<Response, Error> {
        let url = format!("{}/chat/completions", self.endpoint.as_str().trim_end_matches('/'));
        let mut post = self.client.post(url).json(body);
        if let Some(key) = &self.api_key {
            post = post.bearer_auth(key);
        }
        post.send().await.map_err(|error| failure(&self.endpoint, &error))
    }

    /// The head of a good answer. Each parameter is given up once: what is refused without it, too, is refused.
    async fn accepted(&self, request: &ChatRequest) -> Result<(Response, Dialect), Error> {
        let mut given_up = BTreeSet::new();
        // Those of which it is this request's value that is refused.
        let mut values = self.known_to_be_refused(request);
        loop {
            let mut dialect = self.dialect();
            for parameter in &values {
                dialect.adapt(*parameter);
            }
            let body = dialect.body(&self.model, request);
            let response = self.post(&body).await?;
            let status = response.status();
            if status.is_success() {
                return Ok((response, dialect));
            }
            let text = response.text().await.unwrap_or_default();
            let is_refusal = matches!(status.as_u16(), 400 | 413 | 422);
            let refusal = if is_refusal { refusal::refusal(&text, &body) } else { None };
            match refusal {
                Some(Refusal { parameter, is_of_value })
                    if self.profile != Profile::Openai && given_up.insert(parameter) =>
                {
                    if is_of_value {
                        self.learn_value(parameter, &body);
                        values.insert(parameter);
                    } else {
                        self.learn(parameter);
                    }
                }
                _ => {
                    let problem = format!("{status}: {}", text.chars().take(ERROR_CHARS).collect::<String>());
                    return Err(if is_refusal { Error::Refused(problem) } else { failure(&self.endpoint, &problem) });
                }
            }
        }
    }

    /// As many tokens as were asked for, or as the window leaves.
    fn within_window(&self, request: &ChatRequest) -> u32 {
        let left = within_window(request.max_tokens, self.window, estimated_prompt(&request.messages));
        left.max(request.max_tokens.min(LEAST_TOKENS))
    }
}

fn failure(endpoint: &Url, problem: &dyn std::fmt::Display) -> Error {
    Error::Endpoint { endpoint: endpoint.to_string(), problem: problem.to_string() }
}

#[async_trait]
impl ChatModel for OpenAiModel {
    fn name(&self) -> &str {
        &self.model
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error> {
        let request = ChatRequest { max_tokens: self.within_window(&request), ..request };
        let (response, dialect) = self.accepted(&request).await?;
        let endpoint = self.endpoint.clone();
        let bytes = response.bytes_stream().map(move |item| item.map_err(|error| failure(&endpoint, &error)));
        let chunks = stream::chunks(self.endpoint.clone(), Box::pin(bytes)).boxed();
        // Before texts that end the answer are looked for: in thoughts they end nothing.
        let chunks = without_thoughts(chunks);
        let is_stopped_here = !request.stop.is_empty() && !dialect.sends(Parameter::Stop);
        Ok(if is_stopped_here { stop::until(chunks, request.stop) } else { chunks })
    }
}
