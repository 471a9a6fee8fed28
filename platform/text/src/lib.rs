//! What several stages read of a text's structure: the lines of Markdown and the syntax trees of code.
//!
//! Promises: the same text is read the same way everywhere and on any machine.
//!
//! Deliberately not here: what a stage makes of it. The chunker cuts by it, the datasets ask questions by it.

pub mod code;
pub mod markdown;
