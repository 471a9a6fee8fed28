use std::collections::BTreeSet;

use twin_schemas::{JobId, ModelId};

use crate::MeasureChanges;
use crate::model::{EvaluationOutcome, JobOutcome, NewDataset, NewJob};

/// What somebody wants to happen for an author, or has seen happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A dataset version was made.
    AddDataset(NewDataset),
    /// A version is wanted now.
    RequestFreeze {
        /// Who wants it.
        by: String,
        /// And wants it trained on.
        retrain: bool,
    },
    /// What came of the wish for a version.
    AnswerFreeze {
        /// Which version there is, or why there is none.
        outcome: String,
        /// There is none.
        refused: bool,
    },
    /// A job is to be done.
    QueueJob(NewJob),
    /// Somebody takes a queued job: its next attempt begins.
    StartJob {
        /// Which.
        job: JobId,
    },
    /// An attempt is gone without an outcome.
    RequeueJob {
        /// Which.
        job: JobId,
        /// Of this attempt.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// A job is to stop.
    CancelJob {
        /// Which.
        job: JobId,
        /// Who wants that.
        by: String,
    },
    /// A job that failed or was cancelled is to be tried again.
    RetryJob {
        /// Which.
        job: JobId,
    },
    /// An attempt has ended.
    FinishJob {
        /// Which.
        job: JobId,
        /// This attempt.
        attempt: u32,
        /// How.
        outcome: JobOutcome,
    },
    /// A recipe for the author's later jobs.
    SetRecipe {
        /// Its canonical text.
        recipe: String,
        /// Where it is from.
        origin: String,
    },
    /// All trials of a sweep have ended.
    ConcludeSweep {
        /// Its name.
        sweep: String,
        /// The best trial's recipe and where it is from; none if no trial succeeded.
        recipe: Option<(String, String)>,
    },
    /// A model is to be evaluated.
    QueueEvaluation {
        /// Which.
        model: ModelId,
    },
    /// The next attempt of an evaluation begins.
    StartEvaluation {
        /// Of which model.
        model: ModelId,
    },
    /// An attempt at an evaluation is gone without an outcome.
    RequeueEvaluation {
        /// Of which model.
        model: ModelId,
        /// This attempt.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// There is a report.
    FinishEvaluation {
        /// Of which model.
        model: ModelId,
        /// By this attempt.
        attempt: u32,
        /// What it says.
        outcome: EvaluationOutcome,
    },
    /// An evaluation could not be done.
    FailEvaluation {
        /// Of which model.
        model: ModelId,
        /// This attempt; 0 is before the first.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// An evaluation that failed is to be tried again.
    RetryEvaluation {
        /// Of which model.
        model: ModelId,
    },
    /// Somebody wants a model evaluated, though it was before.
    EvaluateAgain {
        /// Which.
        model: ModelId,
        /// What is to be measured otherwise than configured.
        changes: MeasureChanges,
        /// Who wants it.
        by: String,
    },
    /// An evaluated model may serve, and is to.
    Approve {
        /// Which.
        model: ModelId,
        /// Who says so.
        who: String,
        /// In their words.
        why: String,
    },
    /// As [`Self::Approve`], by a policy: nothing happens where a person has decided, or a newer model serves. A model whose
    /// evaluation says nothing of what answers now is evaluated again.
    ApproveByPolicy {
        /// Which.
        model: ModelId,
    },
    /// A model may never serve.
    Reject {
        /// Which.
        model: ModelId,
        /// Who says so.
        who: String,
        /// In their words.
        why: String,
    },
    /// An approved model is to serve.
    Deploy {
        /// Which.
        model: ModelId,
        /// Who says so.
        who: String,
        /// In their words.
        why: String,
    },
    /// What served before is to serve again.
    RollBack {
        /// Who says so.
        who: String,
        /// In their words.
        why: String,
    },
    /// What an inference worker made of a deployment.
    ReportDeployment(WorkerReport),
}

/// What an inference worker made of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerReport {
    /// The deployment's number.
    pub number: u64,
    /// The worker.
    pub worker: String,
    /// It serves, or why not.
    pub outcome: Result<(), String>,
    /// The workers that are alive, as the reporter knows: one that is not, and has said nothing, is not waited for.
    pub alive: BTreeSet<String>,
}
