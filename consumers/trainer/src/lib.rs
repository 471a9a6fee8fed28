//! Training jobs: LoRA on a local engine, by events.

pub mod engine;
