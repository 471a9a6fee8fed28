use async_trait::async_trait;
use futures::stream::BoxStream;
use twin_schemas::{ChatMessage, FinishReason, Usage};

use crate::Error;

/// A model that continues a conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Its name, as answers report it.
    fn name(&self) -> &str;

    /// Starts an answer. Dropping the stream stops the generation.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error>;
}

/// A conversation to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Tokens to generate, at most. Always set: a small model may never end by itself.
    pub max_tokens: u32,
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus sampling; 1 is off.
    pub top_p: f64,
    /// How much a token that was written already is held back, 0 (off) to 2.
    pub frequency_penalty: f32,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// The answer as it comes; the last item is [`ChatChunk::End`] or an error.
pub type ChatStream = BoxStream<'static, Result<ChatChunk, Error>>;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatChunk {
    /// More text.
    Text(String),
    /// The end.
    End {
        /// Why it ended.
        finish_reason: FinishReason,
        /// Tokens used.
        usage: Usage,
    },
}
