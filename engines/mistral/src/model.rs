//! The local model: mistral.rs in this process.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use mistralrs::{
    Constraint, CustomLogitsProcessor, GgufModelBuilder, Model, ModelDType, NormalRequest, Request, RequestMessage,
    Response, SamplingParams, StopTokens, TextModelBuilder, TokenSource,
};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::info;
use twin_llm::{
    ChatChunk, ChatModel, ChatRequest, ChatStream, ChatTemplate, Device, Engine, Error, Thoughts, within_window,
};
use twin_schemas::{FinishReason, ResponseFormat, Usage};

use crate::counted::Counted;
use crate::penalties::Penalties;
use crate::prompts::{self, Prompt};
use crate::seeded::Seeded;

/// Chunks that wait for a slow reader before the model waits too.
const BUFFERED_CHUNKS: usize = 32;

/// mistral.rs in this process.
#[derive(Debug, Clone, Copy)]
pub struct Mistral {
    /// Where its models run.
    pub device: Device,
}

#[async_trait]
impl Engine for Mistral {
    async fn open(&self, path: &Path, name: &str) -> Result<Arc<dyn ChatModel>, Error> {
        Ok(Arc::new(MistralModel::load(path, name, self.device).await?))
    }
}

/// A model in this process.
pub struct MistralModel {
    model: Arc<Model>,
    template: Arc<ChatTemplate>,
    name: String,
    /// Tokens of a prompt and its answer, at most.
    window: Option<usize>,
}

impl MistralModel {
    /// Loads the model at `path` (a directory or a GGUF file) under a name. Takes seconds to minutes.
    pub async fn load(path: &Path, name: &str, device: Device) -> Result<Self, Error> {
        let failed = |problem: String| Error::Load { location: path.display().to_string(), problem };
        if !path.exists() {
            let problem = "there is no such file or directory; run `make models`, or set llm.model or llm.endpoint";
            return Err(failed(problem.to_owned()));
        }
        let cpu = device == Device::Cpu || !cfg!(feature = "cuda");
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let target = path.to_owned();
        // On a thread of its own: mistral.rs keeps thread-local state of adapters and quantisation that the next load on
        // the same thread would inherit.
        std::thread::Builder::new()
            .name("load-llm".to_owned())
            .spawn(move || drop(sender.send(load_blocking(&target, cpu))))
            .map_err(|error| failed(error.to_string()))?;
        let model = receiver.await.map_err(|_| failed("loading panicked; the log above says where".to_owned()))?;
        let (model, template) = model.map_err(failed)?;
        let window = model.max_sequence_length().map_err(|error| failed(error.to_string()))?;
        info!(model = name, window, "local model loaded");
        Ok(Self { model: Arc::new(model), template: Arc::new(template), name: name.to_owned(), window })
    }
}

fn load_blocking(path: &Path, cpu: bool) -> Result<(Model, ChatTemplate), String> {
    let template = prompts::template(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let location = path.to_string_lossy();
    let model = runtime.block_on(async {
        if path.is_dir() {
            let mut builder = TextModelBuilder::new(location).with_token_source(TokenSource::None);
            if cpu {
                // Single precision: on a processor the quantised path reads prompts at a half to a quarter of the speed.
                // And no prefix cache: it keeps 16 prompts (50 to 100 MB each) and made no answer come sooner.
                builder = builder.with_force_cpu().with_dtype(ModelDType::F32).with_prefix_cache_n(None);
            }
            return builder.build().await.map_err(|error| error.to_string());
        }
        let folder = path.parent().unwrap_or(Path::new(".")).to_string_lossy();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let mut builder = GgufModelBuilder::new(folder, vec![file]).with_token_source(TokenSource::None);
        if cpu {
            builder = builder.with_force_cpu().with_prefix_cache_n(None);
        }
        builder.build().await.map_err(|error| error.to_string())
    });
    Ok((model?, template))
}

/// What is asked of the engine.
fn request(
    chat: &ChatRequest,
    messages: RequestMessage,
    counted: &Counted,
    response: mpsc::Sender<Response>,
) -> Request {
    let mut processors: Vec<Arc<dyn CustomLogitsProcessor>> = vec![Arc::new(counted.clone())];
    // Before the noise of a seed, as before any draw.
    if let Some(penalties) = Penalties::new(chat.frequency_penalty, chat.presence_penalty) {
        processors.push(Arc::new(penalties));
    }
    if let Some(seed) = chat.seed.filter(|_| chat.temperature > 0.0) {
        processors.push(Arc::new(Seeded { seed, temperature: chat.temperature, top_p: chat.top_p }));
    }
    let constraint = match &chat.format {
        ResponseFormat::Text => Constraint::None,
        ResponseFormat::JsonObject => Constraint::JsonSchema(json!({ "type": "object" })),
        ResponseFormat::JsonSchema { json_schema } => Constraint::JsonSchema(json_schema.schema.clone()),
    };
    Request::Normal(Box::new(NormalRequest {
        is_streaming: true,
        constraint,
        logits_processors: Some(processors),
        ..NormalRequest::new_simple(messages, sampling(chat), response, 0, None, None)
    }))
}

fn sampling(chat: &ChatRequest) -> SamplingParams {
    let mut params = if chat.temperature <= 0.0 || chat.seed.is_some() {
        // With a seed, what is drawn is the likeliest after `Seeded`.
        SamplingParams::deterministic()
    } else {
        SamplingParams { temperature: Some(chat.temperature), top_p: Some(chat.top_p), ..SamplingParams::neutral() }
    };
    // Without a length a small model may write until its context is full.
    params.max_len = Some(chat.max_tokens as usize);
    params.stop_toks = Some(chat.stop.clone()).filter(|stop| !stop.is_empty()).map(StopTokens::Seqs);
    params
}

#[async_trait]
impl ChatModel for MistralModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, chat: ChatRequest) -> Result<ChatStream, Error> {
        let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
        let (model, template, window) = (self.model.clone(), self.template.clone(), self.window);
        // On a task of its own, since mistral.rs 0.8.1 panics where nobody waits any more for the tokens of a text.
        tokio::spawn(async move {
            match Answer::ask(&model, &template, window, chat).await {
                Ok(answer) => answer.hand_on(&sender).await,
                // Whoever asked may be gone.
                Err(error) => drop(sender.send(Err(error)).await),
            }
        });
        Ok(ReceiverStream::new(receiver).boxed())
    }
}

type Item = Result<ChatChunk, Error>;

/// An answer that the engine writes.
struct Answer {
    engine: mpsc::Sender<Request>,
    responses: mpsc::Receiver<Response>,
    thoughts: Thoughts,
    /// What was written of a text that has to be JSON.
    json: Option<String>,
    prompt_tokens: usize,
    counted: Counted,
}

impl Answer {
    /// Asks for as many tokens as are wanted, or as the window leaves. Beyond it mistral.rs would write on, at positions that
    /// the model does not know. A prompt that has no room at all is refused by mistral.rs.
    async fn ask(
        model: &Model,
        template: &ChatTemplate,
        window: Option<usize>,
        chat: ChatRequest,
    ) -> Result<Self, Error> {
        let Prompt { messages, tokens, thoughts } = prompts::prompt(model, template, &chat.messages).await?;
        let max_tokens = window.map_or(chat.max_tokens, |window| within_window(chat.max_tokens, window, tokens));
        let chat = ChatRequest { max_tokens, ..chat };
        let counted = Counted::new();
        let (sender, responses) = mpsc::channel(1);
        let engine = model.inner().get_sender(None).map_err(|error| Error::Generation(error.to_string()))?;
        let asked = engine.send(request(&chat, messages, &counted, sender)).await;
        asked.map_err(|error| Error::Generation(error.to_string()))?;
        // A form is kept to from the first token on: there is no room for thoughts.
        let (thoughts, json) = match chat.format.is_text() {
            true => (thoughts, None),
            false => (Thoughts::none(), Some(String::new())),
        };
        Ok(Self { engine, responses, thoughts, json, prompt_tokens: tokens, counted })
    }

    /// Hands on what the model writes. Ends, and with it the engine's channel and the generation, when nobody reads.
    async fn hand_on(mut self, reader: &mpsc::Sender<Item>) {
        loop {
            let response = tokio::select! {
                response = self.responses.recv() => response,
                () = reader.closed() => return,
            };
            let mut items = match response {
                Some(response) => self.read(response),
                // mistral.rs 0.8.1 sends no last chunk where an answer ends within a character (`Sequence::get_delta`): it
                // just closes the stream, as it does when its thread has died.
                None if !self.engine.is_closed() => vec![Ok(self.end(FinishReason::Length))],
                None => vec![Err(Error::Generation("the model's engine ended".to_owned()))],
            };
            // A constraint ends a text with the token that llguidance takes for the end. Where that is another one than
            // mistral.rs knows (`<|endoftext|>` beside `<|im_end|>`), the model goes on writing it, which is no text.
            if items.is_empty() && self.json.as_deref().is_some_and(is_document) {
                items.push(Ok(self.end(FinishReason::Stop)));
            }
            for item in items {
                if let (Some(json), Ok(ChatChunk::Text(more))) = (&mut self.json, &item) {
                    json.push_str(more);
                }
                let last = !matches!(item, Ok(ChatChunk::Text(_)));
                if reader.send(item).await.is_err() || last {
                    return;
                }
            }
        }
    }

    /// What a response of the engine says: text of the answer, its end, or why there is none.
    fn read(&mut self, response: Response) -> Vec<Item> {
        let (text, finish_reason) = match response {
            Response::CompletionChunk(chunk) => match chunk.choices.into_iter().next() {
                Some(choice) => (choice.text, choice.finish_reason),
                None => return Vec::new(),
            },
            Response::Chunk(chunk) => match chunk.choices.into_iter().next() {
                Some(choice) => (choice.delta.content.unwrap_or_default(), choice.finish_reason),
                None => return Vec::new(),
            },
            Response::ValidationError(error) => return vec![Err(Error::Refused(error.to_string()))],
            Response::InternalError(error) => return vec![Err(Error::Generation(error.to_string()))],
            Response::ModelError(message, _) | Response::CompletionModelError(message, _) => {
                return vec![Err(Error::Generation(message))];
            }
            _ => return vec![Err(Error::Generation("the model answered with something that is no text".to_owned()))],
        };
        let mut text = self.thoughts.without(&text);
        if finish_reason.is_some() {
            text.push_str(&self.thoughts.rest());
        }
        let mut items = Vec::new();
        if !text.is_empty() {
            items.push(Ok(ChatChunk::Text(text)));
        }
        if let Some(reason) = finish_reason {
            let reason = if reason == "length" { FinishReason::Length } else { FinishReason::Stop };
            items.push(Ok(self.end(reason)));
        }
        items
    }

    fn end(&self, finish_reason: FinishReason) -> ChatChunk {
        let prompt_tokens = u32::try_from(self.prompt_tokens).unwrap_or(u32::MAX);
        ChatChunk::End { finish_reason, usage: Usage { prompt_tokens, completion_tokens: self.counted.tokens() } }
    }
}

/// Whether a text is JSON from its beginning to its end.
fn is_document(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
