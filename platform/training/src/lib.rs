//! What a training run is made of: a base model, a recipe, and an [`Engine`] that does it; and sweeps, which try
//! several recipes. What a recipe leaves open is decided here too, by the base model and the data, and what a run will
//! be is known before it starts ([`Plan`]).
//!
//! Plain data with its checks, for whoever queues runs, follows them or does them. A recipe has one canonical text, so
//! that the same work has the same name wherever it was written down.
//!
//! Deliberately not here: the engines (`engines/`), and where runs are queued (`platform/registry`).

mod base;
mod engine;
mod error;
mod plan;
mod recipe;
mod settle;
mod stages;
mod sweep;

pub use base::Base;
pub use engine::{Engine, Finished, Measured, Observer, Progress, SampleFiles, Task};
pub use error::Error;
pub use plan::{Fit, Plan, StagePlan};
pub use recipe::{Method, Precision, Recipe, Schedule, Target};
pub use settle::{Settled, Shape};
pub use stages::{Stage, metric_of};
pub use sweep::{Search, Sweep};
