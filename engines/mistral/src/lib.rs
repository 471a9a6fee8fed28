//! Language models in this process, by mistral.rs.
//!
//! In: a Hugging Face directory or a GGUF file. Out: a [`twin_llm::ChatModel`]. A GGUF file can be converted into a
//! directory ([`convert`]), the form that training needs too.
//!
//! Deliberately not here: which model answers for whom, how many answers are written at once, and prompts.

pub mod convert;
mod model;
mod penalties;
mod seeded;

pub use model::{Mistral, MistralModel};
