//! The gateway's REST interface over the real SQLite log and warehouse, with a scripted worker at the other end of the
//! topics.

mod busy;
mod content;
mod embeddings;
mod learning;
mod lists;
mod models;
mod questions;
mod requests;
mod sources;
mod support;
mod writing;
