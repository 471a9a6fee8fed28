//! Training jobs, the models that they make, and sweeps.

use std::collections::BTreeSet;

use twin_schemas::{JobId, ModelId};

use super::{At, AuthorState, Made, Refused, Step, Sweep};
use crate::model::{JobOutcome, JobRow, JobState, ModelRow, ModelState, NewJob, StoredRecipe};

fn find<'a>(state: &'a AuthorState, job: &JobId) -> Result<&'a JobRow, Refused> {
    state.jobs.get(job).ok_or_else(|| Refused::missing("job", job))
}

/// The same work is not done twice, whatever became of it.
pub(super) fn queue(state: &AuthorState, new: NewJob, at: At) -> Option<Step> {
    (!state.jobs.contains_key(&new.job)).then_some(Step::JobQueued { new, at })
}

pub(super) fn start(state: &AuthorState, job: JobId, at: At) -> Result<Option<Step>, Refused> {
    let is_queued = find(state, &job)?.state == JobState::Queued;
    Ok(is_queued.then_some(Step::JobStarted { job, at }))
}

fn runs(state: &AuthorState, job: &JobId, attempt: u32) -> Result<bool, Refused> {
    let row = find(state, job)?;
    Ok(row.state == JobState::Running && row.attempts == attempt)
}

/// One that somebody wanted stopped is not begun again.
pub(super) fn requeue(
    state: &AuthorState,
    job: JobId,
    attempt: u32,
    reason: String,
    at: At,
) -> Result<Option<Step>, Refused> {
    let row = find(state, &job)?;
    Ok(runs(state, &job, attempt)?.then(|| match (row.cancel_requested, row.reason.clone()) {
        (true, wanted) => Step::JobCancelled { job, reason: wanted.unwrap_or(reason), at },
        (false, _) => Step::JobRequeued { job, reason },
    }))
}

/// A queued job ends at once, a running one is asked to, once.
pub(super) fn cancel(state: &AuthorState, job: JobId, by: &str, at: At) -> Result<Option<Step>, Refused> {
    let reason = format!("cancelled by {by}");
    let row = find(state, &job)?;
    Ok(match row.state {
        JobState::Queued => Some(Step::JobCancelled { job, reason, at }),
        JobState::Running if !row.cancel_requested => Some(Step::JobStopRequested { job, reason }),
        JobState::Running | JobState::Succeeded | JobState::Failed | JobState::Cancelled => None,
    })
}

pub(super) fn retry(state: &AuthorState, job: JobId) -> Result<Option<Step>, Refused> {
    let has_failed = matches!(find(state, &job)?.state, JobState::Failed | JobState::Cancelled);
    Ok(has_failed.then_some(Step::JobRetried { job }))
}

/// What an attempt says that is not the present one changes nothing: another has taken its place.
pub(super) fn finish(
    state: &AuthorState,
    job: JobId,
    attempt: u32,
    outcome: JobOutcome,
    at: At,
) -> Result<Option<Step>, Refused> {
    if !runs(state, &job, attempt)? {
        return Ok(None);
    }
    let dataset = find(state, &job)?.dataset.clone();
    Ok(Some(match outcome {
        JobOutcome::Succeeded(None) => Step::JobSucceeded { job, made: None, at },
        JobOutcome::Succeeded(Some(model)) => {
            let number = state.models.last().map_or(1, |newest| newest.number + 1);
            let name = ModelId::of(&state.author, number);
            Step::JobSucceeded { job, made: Some(Made { model: name, number, dataset, manifest: model.manifest }), at }
        }
        JobOutcome::Failed(reason) => Step::JobFailed { job, reason, at },
        JobOutcome::Cancelled(reason) => Step::JobCancelled { job, reason, at },
    }))
}

/// A recipe that was set after the last trial's end stays.
pub(super) fn conclude_sweep(
    state: &AuthorState,
    sweep: String,
    recipe: Option<(String, String)>,
    at: At,
) -> Option<Step> {
    let known = state.sweeps.get(&sweep)?;
    let trials = || known.trials.iter().filter_map(|trial| state.jobs.get(trial));
    if known.concluded || !trials().all(|trial| trial.state.has_ended()) {
        return None;
    }
    let last_end = trials().filter_map(|trial| trial.ended_at).max();
    let is_outdated = state.recipe.as_ref().is_some_and(|stored| Some(stored.set_at) > last_end);
    Some(Step::SweepConcluded { sweep, recipe: recipe.filter(|_| !is_outdated), at })
}

impl AuthorState {
    pub(super) fn change_jobs(&mut self, step: Step) {
        match step {
            Step::JobQueued { new, at } => self.queue(new, at),
            Step::JobStarted { job, at } => self.with_job(&job, |job| {
                (job.state, job.reason, job.started_at) = (JobState::Running, None, Some(at));
                (job.ended_at, job.attempts) = (None, job.attempts + 1);
            }),
            Step::JobRequeued { job, reason } => {
                self.with_job(&job, |job| (job.state, job.reason) = (JobState::Queued, Some(reason)));
            }
            Step::JobStopRequested { job, reason } => {
                self.with_job(&job, |job| (job.cancel_requested, job.reason) = (true, Some(reason)));
            }
            Step::JobRetried { job } => {
                self.with_job(&job, |job| {
                    (job.state, job.reason, job.ended_at) = (JobState::Queued, None, None);
                    job.cancel_requested = false;
                });
                self.reopen_sweep_of(&job);
            }
            Step::JobSucceeded { job, made, at } => {
                let model = made.as_ref().map(|made| made.model.clone());
                self.end(&job, JobState::Succeeded, None, at);
                self.with_job(&job, |job| job.model = model);
                if let Some(made) = made {
                    self.add_model(&job, made, at);
                }
            }
            Step::JobFailed { job, reason, at } => self.end(&job, JobState::Failed, Some(reason), at),
            Step::JobCancelled { job, reason, at } => self.end(&job, JobState::Cancelled, Some(reason), at),
            Step::RecipeSet { recipe, origin, at } => self.recipe = Some(StoredRecipe { recipe, origin, set_at: at }),
            Step::SweepConcluded { sweep, recipe, at } => {
                if let Some(sweep) = self.sweeps.get_mut(&sweep) {
                    sweep.concluded = true;
                }
                if let Some((recipe, origin)) = recipe {
                    self.recipe = Some(StoredRecipe { recipe, origin, set_at: at });
                }
            }
            _ => {}
        }
    }

    fn queue(&mut self, new: NewJob, at: At) {
        let job = new.job.clone();
        let row = JobRow {
            job: new.job,
            author: new.author,
            dataset: new.dataset,
            base: new.base,
            recipe: new.recipe,
            sweep: new.sweep.clone(),
            code_version: new.code_version,
            state: JobState::Queued,
            reason: None,
            attempts: 0,
            cancel_requested: false,
            progress: None,
            pending: false,
            created_at: at,
            started_at: None,
            ended_at: None,
            model: None,
        };
        self.jobs.insert(job.clone(), row);
        if let Some(name) = new.sweep {
            let (author, trials) = (self.author.clone(), BTreeSet::new());
            let sweep = Sweep { sweep: name.clone(), author, concluded: false, trials };
            self.sweeps.entry(name).or_insert(sweep).trials.insert(job.clone());
        }
        self.reopen_sweep_of(&job);
    }

    fn with_job(&mut self, job: &JobId, change: impl FnOnce(&mut JobRow)) {
        if let Some(row) = self.jobs.get_mut(job) {
            change(row);
        }
    }

    fn end(&mut self, job: &JobId, state: JobState, reason: Option<String>, at: At) {
        self.with_job(job, |job| (job.state, job.reason, job.ended_at) = (state, reason, Some(at)));
    }

    /// A trial that is done again may be the best.
    fn reopen_sweep_of(&mut self, job: &JobId) {
        let sweep = self.jobs.get(job).and_then(|job| job.sweep.as_ref());
        if let Some(sweep) = sweep.and_then(|sweep| self.sweeps.get_mut(sweep)) {
            sweep.concluded = false;
        }
    }

    fn add_model(&mut self, job: &JobId, made: Made, at: At) {
        let base = self.jobs.get(job).map(|job| job.base.clone()).unwrap_or_default();
        self.models.push(ModelRow {
            model: made.model,
            author: self.author.clone(),
            number: made.number,
            job: job.clone(),
            dataset: made.dataset,
            base,
            manifest: made.manifest,
            state: ModelState::Trained,
            created_at: at,
            verdict: None,
            in_production: false,
        });
    }
}
