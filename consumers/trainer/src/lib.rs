//! Training jobs: LoRA on a local engine, by events.
//!
//! In: [`twin_schemas::DatasetReady`], or a person's wish. Out: model versions in the registry, each announced by
//! `model.trained`. A job is named by what it does (dataset, base model, recipe), so a repeated event starts nothing twice.
//! It runs in a process of its own ([`JobRunner`], here [`LocalRunner`]) that outlives this one and writes checkpoints; a
//! job whose process is gone goes on from the last of them.
//!
//! Deliberately not here: the training itself (`engines/lora`), whether the model is any good (`consumers/evaluator`), and what a dataset is made of.

mod base;
mod error;
mod metrics;
mod options;
mod queue;
mod runner;
mod supervisor;
mod sweep;
mod work;

pub use base::Base;
pub use error::Error;
pub use metrics::Metrics;
pub use options::Options;
pub use queue::{CODE_VERSION, JobQueue, Trigger, from_canonical};
pub use runner::{JobRunner, LocalRunner, Order, Product, Report, Status};
pub use supervisor::{DatasetFiles, SampleFiles, Supervisor};
pub use sweep::{Search, Sweep};
pub use work::work;
