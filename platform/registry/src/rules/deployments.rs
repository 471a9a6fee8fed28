//! Decisions about models, and which one is to answer.

use twin_schemas::{ModelId, Verdict};

use super::{At, AuthorState, Deployment, Refused, Step, WorkerReport};
use crate::MeasureChanges;
use crate::model::{Action, DeploymentRow, DeploymentState, EvaluationState, ModelRow, ModelState};

/// Why a deployment failed that nothing was wrong with.
const OVERTAKEN: &str = "a later deployment took its place before it was taken up";

fn require<'a>(state: &'a AuthorState, model: &ModelId) -> Result<&'a ModelRow, Refused> {
    state.model(model).ok_or_else(|| Refused::missing("model", model))
}

/// The number of a new deployment of that model; none if it is in force already.
fn next_deployment(state: &AuthorState, model: Option<&ModelId>) -> Option<u64> {
    let is_in_force = state.in_force().is_some_and(|present| present.model.as_ref() == model);
    (!is_in_force).then(|| state.deployments.last().map_or(1, |newest| newest.row.number + 1))
}

pub(super) fn approve(
    state: &AuthorState,
    model: ModelId,
    who: String,
    why: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    let row = require(state, &model)?;
    let deployment = next_deployment(state, Some(&model));
    if row.state == ModelState::Evaluated {
        require_fresh_evaluation(state, &model)?;
    }
    match (row.state, row.verdict) {
        (ModelState::Approved, _) => {
            Ok(deployment.map(|number| deployed(Some(model), number, Action::Deploy, who, why, at)))
        }
        (ModelState::Evaluated, Some(Verdict::Passed | Verdict::Inconclusive)) => {
            Ok(Some(Step::Approved { model, who, why, at, deployment }))
        }
        (ModelState::Evaluated, _) => Err(Refused::NotAllowed(format!(
            "{model} did not pass its evaluation and may not serve; the report says why"
        ))),
        (ModelState::Trained, _) => Err(Refused::NotAllowed(format!("{model} is not evaluated yet"))),
        (ModelState::Rejected, _) => Err(Refused::NotAllowed(format!("{model} was rejected and may not serve"))),
    }
}

/// A verdict is about what the model was compared with: it says nothing of another one.
fn require_fresh_evaluation(state: &AuthorState, model: &ModelId) -> Result<(), Refused> {
    let Some(evaluation) = state.evaluations.get(model) else { return Ok(()) };
    let refused = |why: String| Err(Refused::NotAllowed(why));
    match (evaluation.state, &evaluation.against) {
        (EvaluationState::Queued | EvaluationState::Running, _) => {
            refused(format!("{model} is being evaluated again: decide when its report is there"))
        }
        (EvaluationState::Failed, _) => refused(format!(
            "the newest evaluation of {model} has failed: evaluate it again (twin models evaluate {model})"
        )),
        (EvaluationState::Done, Some(against)) if !state.is_fresh(model) => {
            let name = |model: Option<&ModelId>| model.map_or("the base model".to_owned(), ToString::to_string);
            let (then, now) = (name(against.model.as_ref()), name(state.rival().model.as_ref()));
            let author = &state.author;
            refused(format!(
                "{model} was compared with {then}, and {now} answers for {author} now: evaluate it again (twin models \
                 evaluate {model})"
            ))
        }
        (EvaluationState::Done, _) => Ok(()),
    }
}

fn deployed(model: Option<ModelId>, number: u64, action: Action, who: String, why: String, at: At) -> Step {
    Step::Deployed { model, number, action, who, why, at }
}

/// Nothing happens if a decision about the model was made before, if a newer model is in production, or if somebody asked for
/// the evaluation by another measure than the configured one, and so wants to decide: an event that comes twice or late changes
/// nothing. If what answers has changed since the evaluation, the model is evaluated again.
pub(super) fn approve_by_policy(state: &AuthorState, model: ModelId, at: At) -> Result<Option<Step>, Refused> {
    let row = require(state, &model)?;
    let serving = state.in_force().and_then(|present| present.model.as_ref()).and_then(|id| state.model(id));
    let is_overtaken = serving.is_some_and(|serving| serving.number > row.number);
    if row.state != ModelState::Evaluated || row.verdict != Some(Verdict::Passed) || is_overtaken {
        return Ok(None);
    }
    let evaluation = state.evaluations.get(&model);
    if evaluation.is_some_and(|row| row.state != EvaluationState::Done || !row.changes.is_empty()) {
        return Ok(None);
    }
    if !state.is_fresh(&model) {
        let (by, changes) = ("policy".to_owned(), MeasureChanges::default());
        return Ok(Some(Step::EvaluationReopened { model, changes, by, at }));
    }
    let (who, why) = ("policy".to_owned(), "it passed its evaluation".to_owned());
    let deployment = next_deployment(state, Some(&model));
    Ok(Some(Step::Approved { model, who, why, at, deployment }))
}

pub(super) fn reject(
    state: &AuthorState,
    model: ModelId,
    who: String,
    why: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    let row = require(state, &model)?;
    if row.in_production {
        return Err(Refused::NotAllowed(format!("{model} is in production: roll back first")));
    }
    Ok((row.state != ModelState::Rejected).then_some(Step::Rejected { model, who, why, at }))
}

pub(super) fn deploy(
    state: &AuthorState,
    model: ModelId,
    who: String,
    why: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    let advice = match require(state, &model)?.state {
        ModelState::Approved => {
            let number = next_deployment(state, Some(&model));
            return Ok(number.map(|number| deployed(Some(model), number, Action::Deploy, who, why, at)));
        }
        ModelState::Rejected => "it was rejected",
        ModelState::Trained => "it is not evaluated yet",
        ModelState::Evaluated => "nobody has approved it",
    };
    Err(Refused::NotAllowed(format!("{model} may not serve: {advice}")))
}

pub(super) fn roll_back(state: &AuthorState, who: String, why: String, at: At) -> Result<Option<Step>, Refused> {
    let target = before_present(state)?;
    let number = next_deployment(state, target.as_ref());
    Ok(number.map(|number| deployed(target, number, Action::Rollback, who, why, at)))
}

/// The model that served before the one in force took over. Rollbacks are not retraced: two in a row go two models back.
/// A model that was rejected since is passed over.
fn before_present(state: &AuthorState) -> Result<Option<ModelId>, Refused> {
    let mut history: Vec<Option<ModelId>> = vec![None];
    for deployment in state.deployments.iter().filter(|known| known.row.state != DeploymentState::Failed) {
        match history.iter().position(|earlier| *earlier == deployment.row.model) {
            Some(back) => history.truncate(back + 1),
            None => history.push(deployment.row.model.clone()),
        }
    }
    if history.len() < 2 {
        let author = &state.author;
        return Err(Refused::NotAllowed(format!(
            "the base model answers for {author}: there is nothing to go back to"
        )));
    }
    history.truncate(history.len() - 1);
    let may_serve = |model: &Option<ModelId>| {
        model.as_ref().is_none_or(|id| state.model(id).is_some_and(|row| row.state != ModelState::Rejected))
    };
    Ok(history.into_iter().rfind(may_serve).flatten())
}

/// A deployment serves as soon as one worker answers with it, and has failed when none that is alive can. A worker that
/// reports the same again changes nothing, unless it is now the last one alive.
pub(super) fn report(state: &AuthorState, report: WorkerReport, at: At) -> Result<Option<Step>, Refused> {
    let WorkerReport { number, worker, outcome, alive } = report;
    let deployment = state.deployments.iter().find(|known| known.row.number == number);
    let deployment = deployment.ok_or_else(|| Refused::missing("deployment", number))?;
    let problem = outcome.err();
    let might_serve = |other: &String| *other != worker && deployment.workers.get(other).is_none_or(Option::is_none);
    let is_open = deployment.row.state == DeploymentState::Requested;
    let failed = is_open && problem.is_some() && !alive.iter().any(might_serve);
    let is_known = deployment.workers.get(&worker) == Some(&problem);
    let is_over = deployment.row.state == DeploymentState::Failed;
    Ok((!is_over && (failed || !is_known)).then_some(Step::WorkerReported { number, worker, problem, failed, at }))
}

impl AuthorState {
    pub(super) fn change_deployments(&mut self, step: Step) {
        match step {
            Step::Approved { model, who, why, at, deployment } => {
                self.set_model_state(&model, ModelState::Approved);
                self.decided(Some(model.clone()), Action::Approve, who.clone(), why.clone(), at);
                if let Some(number) = deployment {
                    self.deploy(Some(model), number, Action::Deploy, who, why, at);
                }
            }
            Step::Rejected { model, who, why, at } => {
                self.set_model_state(&model, ModelState::Rejected);
                self.decided(Some(model), Action::Reject, who, why, at);
            }
            Step::Deployed { model, number, action, who, why, at } => self.deploy(model, number, action, who, why, at),
            Step::WorkerReported { number, worker, problem, failed, at } => {
                self.worker_reported(number, worker, problem, failed, at);
            }
            _ => {}
        }
    }

    fn set_model_state(&mut self, model: &ModelId, state: ModelState) {
        if let Some(row) = self.models.iter_mut().find(|row| row.model == *model) {
            row.state = state;
        }
    }

    fn deploy(&mut self, model: Option<ModelId>, number: u64, action: Action, who: String, why: String, at: At) {
        self.decided(model.clone(), action, who, why, at);
        let row = DeploymentRow {
            author: self.author.clone(),
            number,
            model,
            state: DeploymentState::Requested,
            detail: None,
            at,
            settled_at: None,
        };
        self.deployments.push(Deployment { row, workers: Default::default() });
    }

    /// When one serves, earlier ones that no worker has taken up never will be, and are marked so: somebody may be waiting.
    fn worker_reported(&mut self, number: u64, worker: String, problem: Option<String>, failed: bool, at: At) {
        let mut serves = false;
        for deployment in self.deployments.iter_mut().filter(|known| known.row.number == number) {
            deployment.workers.insert(worker.clone(), problem.clone());
            let row = &mut deployment.row;
            if row.state == DeploymentState::Requested && (failed || problem.is_none()) {
                row.state = if failed { DeploymentState::Failed } else { DeploymentState::Serving };
                (row.detail, row.settled_at) = (problem.clone(), Some(at));
                serves = !failed;
            }
        }
        let earlier = |known: &&mut Deployment| {
            serves && known.row.number < number && known.row.state == DeploymentState::Requested
        };
        for deployment in self.deployments.iter_mut().filter(earlier) {
            let row = &mut deployment.row;
            (row.state, row.detail) = (DeploymentState::Failed, Some(OVERTAKEN.to_owned()));
            row.settled_at = Some(at);
        }
    }
}
