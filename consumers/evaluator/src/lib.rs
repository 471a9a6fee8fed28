//! Compares a candidate with the model in production, and says whether it may follow it.
//!
//! In: the frozen test samples of a dataset version ([`read_samples`]), and up to three models that answer them one
//! after the other ([`Subjects`]): the candidate, the model in production and the base model that there is, which both come from
//! unless it was changed since. Out: a [`Report`] (JSON, or one page of HTML for the person who approves) with a
//! [`twin_schemas::Verdict`].
//!
//! # What is measured
//! - Whether its answers are nearer to the author than to other writers: authorship by the impostors' method, which decides
//!   ([`Metric::Authorship`]), and other measures of style ([`stylometry`]). Code and prose are measured apart.
//! - How well a model predicts the author's own unseen words: loss in bits per byte ([`Metric::BitsPerByte`]), which models with
//!   different tokenizers can be compared by, and in nats per token.
//! - Whether grounded answers keep to their passages: [`grounded`]. How near they come to the reference: [`rouge`].
//! - Whether answers are degenerate: [`degenerate`].
//! - What a client of the twin would be given, search and the checks of serving included: [`end_to_end`].
//! - If a judge is given, which of two answers a third model prefers: [`judge`].
//!
//! # How a difference is told from chance
//! Candidate and production answer the same samples, so each metric is compared sample by sample. Samples of one
//! document resemble each other, therefore whole documents are drawn anew ([`bootstrap`]). A [`Policy`] then asks that
//! the primary metric has improved beyond chance, and that no guard metric may have fallen by more than its margin
//! ([`verdict`]). Each further evaluation against the same production asks for more, so that repetition does not promote
//! noise ([`looks`]).
//!
//! # Small authors
//! Where the test split is small, all documents take part, each measured by an adapter of the candidate's recipe that has not
//! seen it, and the differences are pooled ([`folds`]).
//!
//! # Promises
//! - The same samples, answers and options give the same numbers on any machine; only durations and the date differ.
//! - One model is in memory at a time: a subject is dropped before the next is opened.
//! - A failure of a subject ends the evaluation with an error that names subject and sample. A failure of the judge is
//!   counted and ends nothing. A version in production that can not be loaded any more ([`Unloadable`]) is named in the report, and
//!   no verdict is [`twin_schemas::Verdict::Passed`] without it.
//! - The judge does not touch the verdict unless the policy says so.
//!
//! # By events
//! A trained model is queued for its evaluation ([`Trigger`]), which runs in a process of its own ([`supervisor`], [`work`]) and
//! ends in the registry with a verdict. Under the policy [`Approval::Auto`] a model that has passed is deployed.
//!
//! Deliberately not here: how models are loaded, how passages are found and answers checked (both are ports), and what is
//! deployed how.

pub mod bootstrap;
pub mod degenerate;
pub mod end_to_end;
mod error;
mod evaluate;
pub mod folds;
pub mod grounded;
mod jobs;
pub mod judge;
pub mod looks;
mod measure;
mod metric;
mod metrics;
mod options;
mod order;
mod report;
pub mod rouge;
mod samples;
mod style;
pub mod stylometry;
mod subject;
mod trigger;
pub mod verdict;
mod work;

pub use error::Error;
pub use evaluate::{Assignment, Progress, evaluate};
pub use folds::{Folds, FoldsOrder, ReportedFolds};
pub use jobs::{Approval, Dependencies, Evaluations, ServiceOptions, supervisor};
pub use metric::{Direction, Metric};
pub use metrics::Metrics;
pub use options::{Guard, GuardRule, Options, Policy};
pub use order::{Compared, Evaluation, EvaluationOrder, EvaluationProduct, EvaluationReport, Version};
pub use report::{
    Check, CheckKind, Comparison, KindCounts, Names, Outcome, Report, ReportedAnswer, ReportedSample, Seconds, html,
};
pub use samples::{Counts, SampleKind, TestSample, read_samples, select};
pub use subject::{Answer, Loss, Subject, SubjectError, SubjectRole, Subjects, Unloadable};
pub use trigger::Trigger;
pub use work::work;
