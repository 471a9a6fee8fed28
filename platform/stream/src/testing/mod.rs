//! What this crate's ports promise, as tests that a backend calls, and what tests of what stands on a log need.

pub mod log;
mod watched;

pub use watched::{Watch, Watched};
