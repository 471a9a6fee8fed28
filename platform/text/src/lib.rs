//! What several stages read of a text: the blocks, lines and sentences of Markdown, words, quotation marks, the language that
//! it is written in, the language of a source file and its syntax tree.
//!
//! Promises: the same text is read the same way everywhere and on any machine.
//!
//! Deliberately not here: what a stage makes of it. The chunker cuts by it, the datasets ask questions by it, inference
//! quotes by it.

pub mod blocks;
pub mod code;
pub mod code_marks;
pub mod language;
pub mod markdown;
pub mod natural;
pub mod quotation_marks;
pub mod repetition;
pub mod sentences;
pub mod words;
