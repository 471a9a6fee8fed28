//! Evaluations of models.

use twin_schemas::ModelId;

use super::{At, AuthorState, Refused, Step};
use crate::MeasureChanges;
use crate::model::{Against, EvaluationOutcome, EvaluationRow, EvaluationState, ModelState};

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
    let round = state.evaluations.get(&model).map_or(1, |row| row.round.max(1));
    let EvaluationOutcome { verdict, grounded, report, page } = outcome;
    Ok(counts.then_some(Step::EvaluationFinished { model, verdict, grounded, report, page, round, at }))
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

/// An evaluation that has ended is done again, or one is queued where there is none. What has been decided upon stays, and the
/// same question would have the same answer.
pub(super) fn again(
    state: &AuthorState,
    model: ModelId,
    changes: MeasureChanges,
    by: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    require(state, &model)?;
    let refused = |why: String| Err(Refused::NotAllowed(why));
    match state.model(&model).map(|row| row.state) {
        Some(ModelState::Approved) => {
            return refused(format!("{model} was approved after its evaluation: deploy it, or roll back, instead"));
        }
        Some(ModelState::Rejected) => return refused(format!("{model} was rejected and may not serve")),
        Some(ModelState::Trained | ModelState::Evaluated) | None => {}
    }
    match state.evaluations.get(&model) {
        Some(row) if !row.state.has_ended() => {
            let state = if row.state == EvaluationState::Queued { "queued" } else { "running" };
            return refused(format!("the evaluation of {model} is {state}: wait for its report"));
        }
        Some(row) if row.state == EvaluationState::Done && row.changes == changes && state.is_fresh(&model) => {
            return refused(format!(
                "{model} was evaluated so against what answers now, and would be found the same: ask for more samples or \
                 another policy (twin models evaluate --help)"
            ));
        }
        _ => {}
    }
    Ok(Some(Step::EvaluationReopened { model, changes, by, at }))
}

impl AuthorState {
    /// What a model's evaluation is to be compared with, and the how many-th look at that it is: as noted where it is under
    /// way, else as an attempt would have it that began now.
    pub fn comparison(&self, model: &ModelId) -> (Against, u32) {
        let row = self.evaluations.get(model);
        let noted = row.and_then(|row| row.against.clone().map(|against| (against, row.look)));
        let rival = self.rival();
        match noted {
            Some((against, look)) if row.is_some_and(|row| row.state == EvaluationState::Running) => (against, look),
            // Begun before and not come to a report: nobody has looked.
            Some((against, look)) if against == rival && look > 0 => (against, look),
            _ => {
                let before = self.looks.get(looked_at(&rival)).copied().unwrap_or_default();
                (rival, before + 1)
            }
        }
    }

    /// Whether a model's evaluation compares it with what answers now, as far as that is known.
    pub fn is_fresh(&self, model: &ModelId) -> bool {
        let against = self.evaluations.get(model).and_then(|row| row.against.as_ref());
        against.is_none_or(|against| *against == self.rival())
    }

    fn start_evaluation(&mut self, model: &ModelId) {
        let (against, look) = self.comparison(model);
        let looks = self.looks.entry(looked_at(&against).to_owned()).or_default();
        *looks = look.max(*looks);
        self.with_evaluation(model, |row| {
            (row.state, row.reason, row.attempts) = (EvaluationState::Running, None, row.attempts + 1);
            (row.against, row.look) = (Some(against), look);
        });
    }

    fn reopen_evaluation(&mut self, model: ModelId, changes: MeasureChanges, at: At) {
        let row = self.evaluations.entry(model.clone()).or_insert_with(|| queued(model, at));
        if row.state == EvaluationState::Done {
            // Another report is another look.
            (row.round, row.against, row.look) = (row.round.max(1) + 1, None, 0);
        }
        (row.state, row.reason, row.ended_at) = (EvaluationState::Queued, None, None);
        row.changes = changes;
    }

    pub(super) fn change_evaluations(&mut self, step: Step) {
        match step {
            Step::EvaluationQueued { model, at } => {
                self.evaluations.insert(model.clone(), queued(model, at));
            }
            Step::EvaluationStarted { model } => self.start_evaluation(&model),
            Step::EvaluationReopened { model, changes, at, .. } => self.reopen_evaluation(model, changes, at),
            Step::EvaluationRequeued { model, reason } => self.with_evaluation(&model, |row| {
                (row.state, row.reason) = (EvaluationState::Queued, Some(reason));
            }),
            Step::EvaluationFinished { model, verdict, grounded, report, page, round, at } => {
                self.with_evaluation(&model, |row| {
                    (row.state, row.reason, row.ended_at) = (EvaluationState::Done, None, Some(at));
                    (row.verdict, row.grounded) = (Some(verdict), grounded);
                    (row.report, row.page, row.round) = (Some(report), Some(page), round.max(1));
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

/// An evaluation that waits for its turn.
fn queued(model: ModelId, at: At) -> EvaluationRow {
    EvaluationRow {
        model,
        state: EvaluationState::Queued,
        reason: None,
        attempts: 0,
        verdict: None,
        grounded: false,
        against: None,
        look: 0,
        round: 1,
        changes: MeasureChanges::default(),
        report: None,
        page: None,
        created_at: at,
        ended_at: None,
    }
}

/// By what [`AuthorState::looks`] counts.
fn looked_at(against: &Against) -> &str {
    against.model.as_ref().map_or("", |model| model.0.as_str())
}
