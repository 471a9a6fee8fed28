//! The local model: mistral.rs in this process.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use mistralrs::{
    Constraint, GgufModelBuilder, Model, ModelDType, RequestBuilder, Response, SamplingParams, StopTokens,
    TextMessageRole, TextMessages, TextModelBuilder, TokenSource,
};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::info;
use twin_llm::{ChatChunk, ChatModel, ChatRequest, ChatStream, Device, Engine, Error, within_window};
use twin_schemas::{ChatMessage, FinishReason, ResponseFormat, Role, Usage};

use crate::penalties::Penalties;
use crate::seeded::Seeded;

/// Chunks that wait for a slow reader before the model waits too.
const BUFFERED_CHUNKS: usize = 32;

/// Tokens that chat templates put around a message, at most, and those before all of them (a system message that is not
/// there has some twenty in SmolLM's).
const TEMPLATE_TOKENS: usize = 64;

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
        let model = Arc::new(model.map_err(failed)?);
        let window = model.max_sequence_length().map_err(|error| failed(error.to_string()))?;
        info!(model = name, window, "local model loaded");
        Ok(Self { model, name: name.to_owned(), window })
    }

    /// As many tokens as were asked for, or as the window leaves. Beyond it mistral.rs would write on, at positions that the
    /// model does not know. A prompt that has no room at all is refused by mistral.rs.
    async fn within_window(&self, chat: &ChatRequest) -> u32 {
        let Some(window) = self.window else { return chat.max_tokens };
        // No token is shorter than a byte, and a template adds a few to each message.
        let bytes = chat.messages.iter().map(|message| message.content.len() + TEMPLATE_TOKENS).sum::<usize>();
        if bytes.saturating_add(chat.max_tokens as usize) <= window {
            return chat.max_tokens;
        }
        let counted = prompt_tokens(&self.model, chat).await.map_or(bytes, |tokens| tokens as usize);
        within_window(chat.max_tokens, window, counted)
    }
}

fn load_blocking(path: &Path, cpu: bool) -> Result<Model, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let location = path.to_string_lossy();
    runtime.block_on(async {
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
    })
}

/// What is asked of the engine.
fn request(chat: &ChatRequest) -> RequestBuilder {
    let mut request = RequestBuilder::new().set_sampling(sampling(chat));
    // Before the noise of a seed, as before any draw.
    if let Some(penalties) = Penalties::new(chat.frequency_penalty, chat.presence_penalty) {
        request = request.add_logits_processor(Arc::new(penalties));
    }
    if let Some(seed) = chat.seed.filter(|_| chat.temperature > 0.0) {
        let seeded = Seeded { seed, temperature: chat.temperature, top_p: chat.top_p };
        request = request.add_logits_processor(Arc::new(seeded));
    }
    request = match &chat.format {
        ResponseFormat::Text => request,
        ResponseFormat::JsonObject => request.set_constraint(Constraint::JsonSchema(json!({ "type": "object" }))),
        ResponseFormat::JsonSchema { json_schema } => {
            request.set_constraint(Constraint::JsonSchema(json_schema.schema.clone()))
        }
    };
    for message in &chat.messages {
        request = request.add_message(role(message.role), &message.content);
    }
    request
}

fn role(role: Role) -> TextMessageRole {
    match role {
        Role::System => TextMessageRole::System,
        Role::User => TextMessageRole::User,
        Role::Assistant => TextMessageRole::Assistant,
    }
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
        let chat = ChatRequest { max_tokens: self.within_window(&chat).await, ..chat };
        let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
        let model = self.model.clone();
        tokio::spawn(async move { generate(&model, chat, &sender).await });
        Ok(ReceiverStream::new(receiver).boxed())
    }
}

type Item = Result<ChatChunk, Error>;

/// Hands on what the model writes. Ends, and with it the model's stream and the generation, when nobody reads.
async fn generate(model: &Model, chat: ChatRequest, reader: &mpsc::Sender<Item>) {
    let engine = model.inner().get_sender(None).ok();
    let mut stream = match model.stream_chat_request(request(&chat)).await {
        Ok(stream) => stream,
        Err(error) => {
            let _ = reader.send(Err(Error::Generation(error.to_string()))).await;
            return;
        }
    };
    let mut written = 0;
    let mut json = (!chat.format.is_text()).then(String::new);
    loop {
        let response = tokio::select! {
            response = stream.next() => response,
            () = reader.closed() => return,
        };
        let mut items = match response {
            Some(response) => read(response),
            // mistral.rs 0.8.1 sends no last chunk where an answer ends within a character (`Sequence::get_delta`): it just
            // closes the stream, as it does when its thread has died.
            None if engine.as_ref().is_some_and(|engine| !engine.is_closed()) => {
                let usage = Usage { prompt_tokens: 0, completion_tokens: written };
                vec![Ok(ChatChunk::End { finish_reason: FinishReason::Length, usage })]
            }
            None => vec![Err(Error::Generation("the model's engine ended".to_owned()))],
        };
        // A constraint ends a text with the token that llguidance takes for the end. Where that is another one than
        // mistral.rs knows (`<|endoftext|>` beside `<|im_end|>`), the model goes on writing it, which is no text.
        if items.is_empty() && json.as_deref().is_some_and(is_document) {
            let usage = Usage {
                prompt_tokens: prompt_tokens(model, &chat).await.unwrap_or_default(),
                completion_tokens: written,
            };
            items.push(Ok(ChatChunk::End { finish_reason: FinishReason::Stop, usage }));
        }
        written += 1;
        for item in items {
            if let (Some(json), Ok(ChatChunk::Text(more))) = (&mut json, &item) {
                json.push_str(more);
            }
            let last = !matches!(item, Ok(ChatChunk::Text(_)));
            if reader.send(item).await.is_err() || last {
                return;
            }
        }
    }
}

/// Whether a text is JSON from its beginning to its end.
fn is_document(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Tokens of the prompt; none if the engine does not say.
async fn prompt_tokens(model: &Model, chat: &ChatRequest) -> Option<u32> {
    let add =
        |messages: TextMessages, message: &ChatMessage| messages.add_message(role(message.role), &message.content);
    let messages = chat.messages.iter().fold(TextMessages::new(), add);
    // `Err` is the left side of an `Either`.
    let tokens = model.tokenize(Err::<String, _>(messages).into(), None, true, true, None).await;
    tokens.ok().map(|tokens| u32::try_from(tokens.len()).unwrap_or(u32::MAX))
}

fn read(response: Response) -> Vec<Item> {
    match response {
        Response::Chunk(chunk) => {
            let mut items = Vec::new();
            let Some(choice) = chunk.choices.into_iter().next() else { return items };
            if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                items.push(Ok(ChatChunk::Text(text)));
            }
            if let Some(reason) = choice.finish_reason {
                let finish_reason = if reason == "length" { FinishReason::Length } else { FinishReason::Stop };
                let tokens = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
                let usage = chunk.usage.map(|usage| Usage {
                    prompt_tokens: tokens(usage.prompt_tokens),
                    completion_tokens: tokens(usage.completion_tokens),
                });
                items.push(Ok(ChatChunk::End { finish_reason, usage: usage.unwrap_or_default() }));
            }
            items
        }
        Response::ValidationError(error) => vec![Err(Error::Refused(error.to_string()))],
        Response::InternalError(error) => vec![Err(Error::Generation(error.to_string()))],
        Response::ModelError(message, _) => vec![Err(Error::Generation(message))],
        _ => vec![Err(Error::Generation("the model answered with something that is no text".to_owned()))],
    }
}
