//! What this crate's ports promise, as tests that a backend calls.

pub mod log;
