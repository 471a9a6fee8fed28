//! The chat model port, the one prompt template, and a client for any OpenAI-compatible endpoint.
//!
//! In: messages. Out: a stream of text that ends with a reason and a token count; dropping the stream stops the
//! generation. The prompt that a question and its passages become is made here and nowhere else, so that what a model
//! is trained on and what it is asked with are the same; and so is the text that a model in this process reads
//! ([`ChatTemplate`]).
//!
//! Deliberately not here: what runs models in this process (`engines/mistral`), and retrieval.

mod abstention;
mod chat_template;
mod engine;
mod error;
mod markers;
mod model;
pub mod openai;
mod prompt;
pub mod quotations;
mod quote;
mod standalone;
mod thoughts;
mod window;
mod writing_prompt;

pub use abstention::{ABSTENTION, ABSTENTIONS, abstention, is_abstention};
pub use chat_template::{ChatTemplate, SpecialTokens};
pub use engine::{Device, Engine};
pub use error::Error;
pub use markers::{cited_markers, has_marker, without_markers};
pub use model::{ChatChunk, ChatModel, ChatRequest, ChatStream, Reply, whole, whole_in_format};
pub use prompt::{PromptOptions, grounded_prompt, question_of, voice_prompt};
pub use quote::quoted;
pub use standalone::standalone_prompt;
pub use thoughts::Thoughts;
pub use window::{estimated_tokens, within_window};
pub use writing_prompt::{Writer, WritingOrder, writing_prompt};
