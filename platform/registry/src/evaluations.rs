//! Evaluations of models.

use chrono::{DateTime, Utc};
use twin_schemas::ModelId;

use crate::model::{Against, EvaluationOutcome, EvaluationRow};
use crate::rows::Kind;
use crate::rules::Command;
use crate::{Error, MeasureChanges, Registry};

impl Registry {
    /// Queues the evaluation of a model. False if there is one already.
    pub async fn queue_evaluation(&self, model: &ModelId, now: DateTime<Utc>) -> Result<bool, Error> {
        let command = Command::QueueEvaluation { model: model.clone() };
        Ok(self.perform_about(model, command, now).await?.happened)
    }

    /// Evaluations that wait or are under way, oldest first.
    pub async fn open_evaluations(&self) -> Result<Vec<EvaluationRow>, Error> {
        self.in_states(Kind::Evaluation, &["queued", "running"]).await
    }

    /// The evaluation of a model.
    pub async fn evaluation(&self, model: &ModelId) -> Result<Option<EvaluationRow>, Error> {
        let Some(row) = self.exactly(Kind::Model, &model.0).await? else { return Ok(None) };
        Ok(self.state(&row.author).await?.evaluations.get(model).cloned())
    }

    /// Takes a queued evaluation: the number of the attempt that begins. None if it is not queued any more.
    pub async fn start_evaluation(&self, model: &ModelId, now: DateTime<Utc>) -> Result<Option<u32>, Error> {
        let started = self.perform_about(model, Command::StartEvaluation { model: model.clone() }, now).await?;
        let attempts = started.state.evaluations.get(model).map(|row| row.attempts);
        Ok(attempts.filter(|_| started.happened))
    }

    /// A running evaluation whose process is gone waits for its turn again, if that attempt is still the newest.
    pub async fn requeue_evaluation(
        &self,
        model: &ModelId,
        attempt: u32,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let command = Command::RequeueEvaluation { model: model.clone(), attempt, reason: reason.to_owned() };
        self.perform_about(model, command, now).await?;
        Ok(())
    }

    /// Stores an attempt's outcome and announces it. One that is there already stays, and an attempt that is not the
    /// newest changes nothing.
    pub async fn finish_evaluation(
        &self,
        model: &ModelId,
        attempt: u32,
        outcome: EvaluationOutcome,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let command = Command::FinishEvaluation { model: model.clone(), attempt, outcome };
        self.perform_about(model, command, now).await?;
        Ok(())
    }

    /// Notes that an evaluation could not be done, by that attempt; 0 is before the first.
    pub async fn fail_evaluation(
        &self,
        model: &ModelId,
        attempt: u32,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let command = Command::FailEvaluation { model: model.clone(), attempt, reason: reason.to_owned() };
        self.perform_about(model, command, now).await?;
        Ok(())
    }

    /// Has a model evaluated, though it was before, by a measure that differs from the configured one in that. Refused while an
    /// evaluation is under way, once the model is decided upon, and where it would find the same.
    pub async fn evaluate_again(
        &self,
        model: &ModelId,
        changes: MeasureChanges,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let command = Command::EvaluateAgain { model: model.clone(), changes, by: by.to_owned() };
        self.perform_about(model, command, now).await?;
        Ok(())
    }

    /// What a model's evaluation is compared with, and the how many-th look at that it is
    /// ([`crate::rules::AuthorState::comparison`]).
    pub async fn comparison(&self, model: &ModelId) -> Result<(Against, u32), Error> {
        let author = self.require_model(model).await?.author;
        Ok(self.state(&author).await?.comparison(model))
    }

    /// Queues an evaluation again that failed. False if it is in another state.
    pub async fn retry_evaluation(&self, model: &ModelId, now: DateTime<Utc>) -> Result<bool, Error> {
        let command = Command::RetryEvaluation { model: model.clone() };
        Ok(self.perform_about(model, command, now).await?.happened)
    }
}
