//! Training jobs, by events.
//!
//! In: [`twin_schemas::DatasetReady`], or a person's wish. Out: model versions in the registry, each announced by
//! `model.trained`. A job is named by what it does (dataset, base model, recipe), so a repeated event starts nothing
//! twice. It runs in a process of its own ([`twin_jobs::Runner`]) that outlives this one: it fetches what it learns
//! from by reference, does the work with an engine ([`work`]), and stores checkpoints and the model it has made. A job
//! whose process is gone goes on from the last checkpoint, on this machine or another. What a job leaves out of its samples
//! is counted by kind, and more than a set share ends it before its first step. [`Planner`] says what a job would be
//! before it is queued. [`Retrainings`] counts the authors whose version was trained with another base model or other prompts
//! than there are now, and has them trained anew where a policy says so; else that is offered.
//!
//! Of a small author a job trains folds too ([`FoldLimits`]): adapters of the same recipe, each without some of the
//! documents, by which the evaluator measures every document as text that was not seen.
//!
//! Deliberately not here: the engine (`engines/`), whether the model is any good (`consumers/evaluator`), and what a
//! dataset is made of.

mod checkpoints;
mod error;
mod folds;
mod jobs;
mod metrics;
mod options;
mod order;
mod planner;
mod retraining;
mod samples;
mod sweeps;
mod trigger;
mod work;

pub use error::Error;
pub use folds::FoldLimits;
pub use jobs::{Dependencies, TrainingJobs, supervisor};
pub use metrics::Metrics;
pub use options::{OnChange, Options};
pub use order::{FoldTraining, Keep, ModelFiles, Training, TrainingOrder, TrainingProduct, TrainingReport};
pub use planner::{Planned, PlannedFolds, Planner};
pub use retraining::Retrainings;
pub use samples::StageSamples;
pub use trigger::Trigger;
pub use work::work;
