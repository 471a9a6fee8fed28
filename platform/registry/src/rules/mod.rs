//! What may happen to an author's datasets, jobs, models and deployments: pure functions, without any store.
//!
//! [`decide`] says which step a command is in the present state, if any; [`AuthorState::apply`] makes the next state of
//! a state and a step. A state is nothing but the fold of an author's steps, so whoever has the steps has the state,
//! and a step that was written once is never decided again.

mod command;
mod datasets;
mod deployments;
mod evaluations;
mod jobs;
mod state;
mod step;

use chrono::{DateTime, Utc};

pub use command::{Command, WorkerReport};
pub use state::{AuthorState, Deployment, Sweep};
pub use step::{Event, Made, Step};

/// When something happens.
type At = DateTime<Utc>;

/// Why a command is no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is nothing of that name.
    Missing {
        /// What: `model`, `job`, `dataset`.
        what: &'static str,
        /// The name given.
        id: String,
    },
    /// It is not allowed in the present state; says why and what to do.
    NotAllowed(String),
}

impl Refused {
    fn missing(what: &'static str, id: impl ToString) -> Self {
        Self::Missing { what, id: id.to_string() }
    }
}

/// The step that a command is, at that time. None: all is as the command wants it, or what it tells of is over.
pub fn decide(state: &AuthorState, command: Command, at: DateTime<Utc>) -> Result<Option<Step>, Refused> {
    match command {
        Command::AddDataset(new) => Ok(datasets::add(state, new, at)),
        Command::RequestFreeze { by, retrain } => Ok(datasets::request_freeze(state, by, retrain, at)),
        Command::AnswerFreeze { outcome, refused } => Ok(datasets::answer_freeze(state, outcome, refused)),
        Command::QueueJob(new) => Ok(jobs::queue(state, new, at)),
        Command::StartJob { job } => jobs::start(state, job, at),
        Command::RequeueJob { job, attempt, reason } => jobs::requeue(state, job, attempt, reason, at),
        Command::CancelJob { job, by } => jobs::cancel(state, job, &by, at),
        Command::RetryJob { job } => jobs::retry(state, job),
        Command::FinishJob { job, attempt, outcome } => jobs::finish(state, job, attempt, outcome, at),
        Command::SetRecipe { recipe, origin } => Ok(Some(Step::RecipeSet { recipe, origin, at })),
        Command::ConcludeSweep { sweep, recipe } => Ok(jobs::conclude_sweep(state, sweep, recipe, at)),
        Command::QueueEvaluation { model } => evaluations::queue(state, model, at),
        Command::StartEvaluation { model } => evaluations::start(state, model),
        Command::RequeueEvaluation { model, attempt, reason } => evaluations::requeue(state, model, attempt, reason),
        Command::FinishEvaluation { model, attempt, outcome } => {
            evaluations::finish(state, model, attempt, outcome, at)
        }
        Command::FailEvaluation { model, attempt, reason } => evaluations::fail(state, model, attempt, reason, at),
        Command::RetryEvaluation { model } => evaluations::retry(state, model),
        Command::EvaluateAgain { model, changes, by } => evaluations::again(state, model, changes, by, at),
        Command::Approve { model, who, why } => deployments::approve(state, model, who, why, at),
        Command::ApproveByPolicy { model } => deployments::approve_by_policy(state, model, at),
        Command::Reject { model, who, why } => deployments::reject(state, model, who, why, at),
        Command::Deploy { model, who, why } => deployments::deploy(state, model, who, why, at),
        Command::RollBack { who, why } => deployments::roll_back(state, who, why, at),
        Command::ReportDeployment(report) => deployments::report(state, report, at),
    }
}
