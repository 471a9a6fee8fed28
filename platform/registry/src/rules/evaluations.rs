//! Evaluations of models.

use twin_schemas::ModelId;

use super::{At, AuthorState, Refused, Step};
use crate::model::{EvaluationOutcome, EvaluationRow, EvaluationState, ModelState};

fn require(state: &AuthorState, model: &ModelId) -> Result<(), Refused> {
    state.model(model).map(|_| ()).ok_or_else(|| Refused::missing("model", model))
}

pub(super) fn queue(state: &AuthorState, model: ModelId, at: At) -> Result<Option<Step>, Refused> {
    require(state, &model)?;
    Ok((!state.evaluations.contains_key(&model)).then_some(Step::EvaluationQueued { model, at }))
}

pub(super) fn start(state: &AuthorState, model: ModelId) -> Result<Option<Step>, Refused> {
    require(state, &model)?;
    let is_queued = state.evaluations.get(&model).is_some_and(|found| found.state == EvaluationState::Queued);
    Ok(is_queued.then_some(Step::EvaluationStarted { model }))
}

/// Whether this is the present attempt of an evaluation that has not ended.
fn is_at_it(state: &AuthorState, model: &ModelId, attempt: u32) -> Result<bool, Refused> {
    require(state, model)?;
    let evaluation = state.evaluations.get(model);
    Ok(evaluation.is_some_and(|evaluation| !evaluation.state.has_ended() && evaluation.attempts == attempt))
}

pub(super) fn requeue(
    state: &AuthorState,
    model: ModelId,
    attempt: u32,
    reason: String,
) -> Result<Option<Step>, Refused> {
    let is_running = state.evaluations.get(&model).is_some_and(|found| found.state == EvaluationState::Running);
    let counts = is_at_it(state, &model, attempt)? && is_running;
    Ok(counts.then_some(Step::EvaluationRequeued { model, reason }))
}

pub(super) fn finish(
    state: &AuthorState,
    model: ModelId,
    attempt: u32,
    outcome: EvaluationOutcome,
    at: At,
) -> Result<Option<Step>, Refused> {
    let counts = is_at_it(state, &model, attempt)?;
    let EvaluationOutcome { verdict, grounded, report, page } = outcome;
    Ok(counts.then_some(Step::EvaluationFinished { model, verdict, grounded, report, page, at }))
}

pub(super) fn fail(
    state: &AuthorState,
    model: ModelId,
    attempt: u32,
    reason: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    Ok(is_at_it(state, &model, attempt)?.then_some(Step::EvaluationFailed { model, reason, at }))
}

pub(super) fn retry(state: &AuthorState, model: ModelId) -> Result<Option<Step>, Refused> {
    require(state, &model)?;
    let has_failed = state.evaluations.get(&model).is_some_and(|found| found.state == EvaluationState::Failed);
    Ok(has_failed.then_some(Step::EvaluationRetried { model }))
}

impl AuthorState {
    pub(super) fn change_evaluations(&mut self, step: Step) {
        match step {
            Step::EvaluationQueued { model, at } => {
                let row = EvaluationRow {
                    model: model.clone(),
                    state: EvaluationState::Queued,
                    reason: None,
                    attempts: 0,
                    verdict: None,
                    grounded: false,
                    report: None,
                    page: None,
                    created_at: at,
                    ended_at: None,
                };
                self.evaluations.insert(model, row);
            }
            Step::EvaluationStarted { model } => self.with_evaluation(&model, |row| {
                (row.state, row.reason, row.attempts) = (EvaluationState::Running, None, row.attempts + 1);
            }),
            Step::EvaluationRequeued { model, reason } => self.with_evaluation(&model, |row| {
                (row.state, row.reason) = (EvaluationState::Queued, Some(reason));
            }),
            Step::EvaluationFinished { model, verdict, grounded, report, page, at } => {
                self.with_evaluation(&model, |row| {
                    (row.state, row.reason, row.ended_at) = (EvaluationState::Done, None, Some(at));
                    (row.verdict, row.grounded) = (Some(verdict), grounded);
                    (row.report, row.page) = (Some(report), Some(page));
                });
                if let Some(row) = self.models.iter_mut().find(|row| row.model == model) {
                    row.verdict = Some(verdict);
                    if row.state == ModelState::Trained {
                        row.state = ModelState::Evaluated;
                    }
                }
            }
            Step::EvaluationFailed { model, reason, at } => self.with_evaluation(&model, |row| {
                (row.state, row.reason, row.ended_at) = (EvaluationState::Failed, Some(reason), Some(at));
            }),
            Step::EvaluationRetried { model } => self.with_evaluation(&model, |row| {
                (row.state, row.reason, row.ended_at) = (EvaluationState::Queued, None, None);
            }),
            _ => {}
        }
    }

    fn with_evaluation(&mut self, model: &ModelId, change: impl FnOnce(&mut EvaluationRow)) {
        if let Some(row) = self.evaluations.get_mut(model) {
            change(row);
        }
    }
}
