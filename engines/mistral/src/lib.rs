//! Language models in this process, by mistral.rs.
//!
//! In: a Hugging Face directory or a GGUF file. Out: a [`twin_llm::ChatModel`]. A GGUF file can be converted into a
//! directory ([`convert`]), the form that training needs too.
//!
//! A conversation is given to a model as the tokens that it was trained on: those of [`twin_llm::ChatTemplate`].
//!
//! Deliberately not here: which model answers for whom, how many answers are written at once, and prompts.

pub mod convert;
mod counted;
mod model;
mod penalties;
mod prompts;
mod seeded;

pub use model::{Mistral, MistralModel};
