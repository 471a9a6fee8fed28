use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use twin_schemas::{ChatMessage, FinishReason, ResponseFormat, Usage};

use crate::Error;

/// A model that continues a conversation.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Its name, as answers report it.
    fn name(&self) -> &str;

    /// Starts an answer. Dropping the stream stops the generation.
    ///
    /// # Errors
    /// [`Error::Refused`] for a request that the model can not follow in every point, its form above all: nothing that
    /// is asked for is passed over. The stream may say so too, as its first item.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error>;
}

/// A conversation to continue.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Tokens to generate, at most. Always set: a small model may never end by itself. What the model's window has no room
    /// for beside the prompt is not written: the answer then ends with [`FinishReason::Length`].
    pub max_tokens: u32,
    /// 0 is greedy.
    pub temperature: f64,
    /// Nucleus sampling; 1 is off.
    pub top_p: f64,
    /// How much a token is held back for each time that it stands in the answer already, -2 to 2; 0 is off.
    pub frequency_penalty: f32,
    /// How much a token is held back that stands in the answer already, however often, -2 to 2; 0 is off.
    pub presence_penalty: f32,
    /// Makes sampling repeatable: the same request with the same seed is answered the same way, as far as the model
    /// computes the same. Greedy answers need none.
    pub seed: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The form of the answer's text. One that is cut by `max_tokens` breaks off within it.
    pub format: ResponseFormat,
}

impl ChatRequest {
    /// Asks for the likeliest answer, which is the same each time.
    pub fn greedy(messages: Vec<ChatMessage>, max_tokens: u32) -> Self {
        Self {
            messages,
            max_tokens,
            temperature: 0.0,
            top_p: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            seed: None,
            stop: Vec::new(),
            format: ResponseFormat::Text,
        }
    }

    /// The same, in this form.
    pub fn in_format(self, format: ResponseFormat) -> Self {
        Self { format, ..self }
    }
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

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens used.
    pub usage: Usage,
}

/// Waits for the end of an answer.
///
/// # Errors
/// The model's; [`Error::Generation`] for an answer that breaks off without an end.
pub async fn whole(mut answer: ChatStream) -> Result<Reply, Error> {
    let mut text = String::new();
    while let Some(chunk) = answer.next().await {
        match chunk? {
            ChatChunk::Text(more) => text.push_str(&more),
            ChatChunk::End { finish_reason, usage } => return Ok(Reply { text, finish_reason, usage }),
        }
    }
    Err(Error::Generation("the answer broke off before its end".to_owned()))
}

/// The whole answer to a prompt that says the form itself. A model that refuses the form, as endpoints do that know of
/// none, is asked once more without it; so whoever asks has to check the answer in any case.
///
/// # Errors
/// The model's; [`Error::Generation`] for an answer that breaks off without an end.
pub async fn whole_in_format(model: &dyn ChatModel, request: ChatRequest) -> Result<Reply, Error> {
    match answered(model, request.clone()).await {
        Err(Error::Refused(problem)) if !request.format.is_text() => {
            tracing::debug!(model = model.name(), problem, "the form is refused, asking without");
            answered(model, request.in_format(ResponseFormat::Text)).await
        }
        answered => answered,
    }
}

async fn answered(model: &dyn ChatModel, request: ChatRequest) -> Result<Reply, Error> {
    whole(model.chat(request).await?).await
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_whole_answer_has_all_of_its_text_and_one_without_an_end_is_an_error() {
        let text = |text: &str| Ok(ChatChunk::Text(text.to_owned()));
        let usage = Usage { prompt_tokens: 3, completion_tokens: 2 };
        let end = Ok(ChatChunk::End { finish_reason: FinishReason::Stop, usage });
        let reply = whole(stream::iter([text("So "), text("it is."), end]).boxed()).await.unwrap();
        assert_eq!(reply, Reply { text: "So it is.".to_owned(), finish_reason: FinishReason::Stop, usage });
        let broken = whole(stream::iter([text("So ")]).boxed()).await.unwrap_err();
        assert!(broken.to_string().contains("broke off before its end"), "{broken}");
    }
}
