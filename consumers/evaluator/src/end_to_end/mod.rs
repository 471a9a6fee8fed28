//! Answers from end to end: what a client of the twin would be given, retrieval and the checks of serving included.
//!
//! The samples of a test split bring their passages along. That tells models apart and says nothing of a twin: a passage that
//! search does not find is in no answer. So questions of the test split, and where folds measure all documents of those, are also
//! put as a client would put them. The process
//! that evaluations are queued in has the index; it lets serving find passages, hold them against the author's threshold, make
//! the prompt and quote ([`Serving`]), and stores what came of each question ([`Questions`], made by `prepare`). The job's
//! process needs no index: each model answers these prompts (`answers`), and what it wrote is checked as serving checks it
//! ([`Checks`]).
//!
//! A question of a grounded sample is answered by the author's document that it was made of. One of a refusal sample is, too:
//! it is put as if that document were not there, as the twin's threshold is calibrated.
//!
//! Two things come of it. What serving does whatever model writes ([`Fact`]): whether the passage is found, whether quoting
//! answers, what is refused. And what each model makes of it: the metrics of [`crate::Metric::SERVED`], which can be guards of a
//! policy. Of an answer the model's own text is measured, cut where serving cuts it; whether serving would put quotations in its
//! place is one of the metrics.
//!
//! Where nothing can be measured so, since the index is away or has nothing of the author, the report says why, and the rest of
//! the evaluation goes on.

mod answers;
mod facts;
mod measure;
mod prepare;
mod questions;
mod serving;

pub use facts::{EndToEnd, Fact, ServingMeasure};
pub use questions::{Asked, Question, Questions};
pub use serving::{Checks, Rehearsed, Serving, ServingError, ServingSettings};

pub(crate) use answers::{Served, answer, check};
pub(crate) use facts::facts;
pub(crate) use measure::compare;
pub(crate) use prepare::prepare;
pub(crate) use questions::read;
