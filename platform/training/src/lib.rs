//! What a training run is made of: a base model, a recipe, and an [`Engine`] that does it; and sweeps, which try
//! several recipes.
//!
//! Plain data with its checks, for whoever queues runs, follows them or does them. A recipe has one canonical text, so
//! that the same work has the same name wherever it was written down.
//!
//! Deliberately not here: the engines (`engines/`), and where runs are queued (`platform/registry`).

mod base;
mod engine;
mod error;
mod recipe;
mod sweep;

pub use base::Base;
pub use engine::{Engine, Finished, Measured, Observer, Progress, Task};
pub use error::Error;
pub use recipe::{Method, Precision, Recipe, Schedule, Target};
pub use sweep::{Search, Sweep};
