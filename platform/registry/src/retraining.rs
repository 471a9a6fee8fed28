//! Whether what serves was trained with what is there now, and how far a retraining is.
//!
//! A base model or a form of the prompts that has changed makes no version worse that serves: it goes on, and a retraining
//! is offered. Somebody takes the offer, or a policy does; from there on it is a job, a model and a decision as any other.

use chrono::Utc;
use twin_schemas::{AuthorId, ModelId, Verdict};

use crate::model::{DatasetRow, EvaluationState, FreezeRequest, JobRow, JobState, ModelRow, ModelState};
use crate::queue::JobQueue;
use crate::rules::AuthorState;
use crate::{Error, Registry};

/// Why a dataset version was frozen that somebody wants trained on ([`DatasetRow::reason`]).
pub const RETRAINING: &str = "retraining";

/// What a job that is queued now is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingredients {
    /// The fingerprints by which jobs and models know its base model: today's, and those of earlier versions of the program.
    pub bases: Vec<String>,
    /// The form of the prompts that samples are made with; none: nobody looks at it.
    pub prompts: Option<String>,
}

/// What has changed since a version was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The base model.
    Base,
    /// The form of the prompts.
    Prompts,
}

/// What serves was trained with something else than what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retraining {
    /// Whose version.
    pub author: AuthorId,
    /// The version that serves, and goes on until another is approved.
    pub model: ModelId,
    /// What has changed; never empty.
    pub changed: Vec<Change>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a retraining is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has taken it yet.
    Offered {
        /// A dataset version has to be made first: the newest one has prompts of another form.
        version_first: bool,
    },
    /// It is taken and under way; says how far.
    UnderWay(String),
    /// It is taken, and waits for its turn or for somebody; says for what.
    Waits(String),
    /// It was taken and does not go on by itself; says why, and what would have it go on.
    HeldBack(String),
}

/// What a retraining that was taken has begun with.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// A job on the newest dataset version.
    Job(Box<JobRow>),
    /// A dataset version, which is trained on as soon as it is there.
    Version(FreezeRequest),
}

impl Ingredients {
    /// Whether a job or model of the base of that fingerprint is of this one.
    pub fn has_base(&self, fingerprint: &str) -> bool {
        self.bases.iter().any(|base| base == fingerprint)
    }

    /// Whether a dataset version has prompts of another form. One that does not say it is of before forms were noted: the
    /// wording was another then.
    pub fn is_outdated(&self, version: &DatasetRow) -> bool {
        self.prompts.is_some() && version.prompts != self.prompts
    }

    /// What has changed since a model was trained.
    fn changed_since(&self, state: &AuthorState, model: &ModelRow) -> Vec<Change> {
        let base = (!self.has_base(&model.base)).then_some(Change::Base);
        let version = state.datasets.iter().find(|version| version.dataset == model.dataset);
        let prompts = version.is_some_and(|version| self.is_outdated(version)).then_some(Change::Prompts);
        base.into_iter().chain(prompts).collect()
    }
}

impl Change {
    /// The name in the API and of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Prompts => "prompts",
        }
    }
}

/// The retraining of an author; none if no version serves, or if the one that does was trained with what is there now.
pub fn retraining(state: &AuthorState, now: &Ingredients) -> Option<Retraining> {
    let serving = state.in_force()?.model.as_ref().and_then(|model| state.model(model))?;
    let changed = now.changed_since(state, serving);
    let (author, model) = (state.author.clone(), serving.model.clone());
    (!changed.is_empty()).then(|| Retraining { author, model, changed, stage: stage(state, now) })
}

fn stage(state: &AuthorState, now: &Ingredients) -> Stage {
    let newest = state.datasets.last();
    let version_first = newest.is_some_and(|version| now.is_outdated(version));
    if let Some(found) = version_first.then(|| of_request(state)).flatten() {
        return found;
    }
    let jobs = jobs_of(state, now);
    let mut stages = jobs.iter().map(|job| of_job(state, job));
    if let Some(found) = stages.find(|stage| !matches!(stage, Stage::HeldBack(_))) {
        return found;
    }
    // What has failed on a version before the newest one says nothing of that.
    let is_tried = |job: &&&JobRow| version_first || newest.is_none_or(|version| version.dataset == job.dataset);
    jobs.iter().find(is_tried).map_or(Stage::Offered { version_first }, |job| of_job(state, job))
}

/// How far the dataset version is that was asked for to be trained on.
fn of_request(state: &AuthorState) -> Option<Stage> {
    let request = state.freeze.as_ref().filter(|request| request.retrain)?;
    let since = state.datasets.last().map(|version| version.created_at);
    match &request.outcome {
        None => Some(Stage::UnderWay(format!("{} has asked for a dataset version to train on", request.requested_by))),
        Some(why) if since.is_none_or(|since| request.requested_at >= since) => {
            Some(Stage::HeldBack(format!("no dataset version could be made to train on: {why}")))
        }
        Some(_) => None,
    }
}

/// The jobs that make models of what is there now, newest first.
fn jobs_of<'a>(state: &'a AuthorState, now: &Ingredients) -> Vec<&'a JobRow> {
    let is_outdated = |job: &JobRow| {
        let version = state.datasets.iter().find(|version| version.dataset == job.dataset);
        version.is_some_and(|version| now.is_outdated(version))
    };
    let jobs = state.jobs.values().filter(|job| job.sweep.is_none() && now.has_base(&job.base) && !is_outdated(job));
    let mut jobs: Vec<&JobRow> = jobs.collect();
    jobs.sort_by(|one, other| (other.created_at, &other.job).cmp(&(one.created_at, &one.job)));
    jobs
}

fn of_job(state: &AuthorState, job: &JobRow) -> Stage {
    let id = job.job.short();
    let because = job.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    match job.state {
        JobState::Queued => Stage::Waits(format!("job {id} waits for its turn")),
        JobState::Running => Stage::UnderWay(format!("job {id} trains it")),
        JobState::Failed => Stage::HeldBack(format!("job {id} has failed{because}; twin jobs retry {id}")),
        JobState::Cancelled => Stage::HeldBack(format!("job {id} was stopped{because}; twin jobs retry {id}")),
        JobState::Succeeded => match job.model.as_ref().and_then(|model| state.model(model)) {
            Some(made) => of_model(state, made),
            None => Stage::HeldBack(format!("job {id} has ended without a model")),
        },
    }
}

fn of_model(state: &AuthorState, ModelRow { model, state: stands, verdict, author, .. }: &ModelRow) -> Stage {
    let other = format!("another recipe may do better: twin train --author {author} --recipe FILE");
    match (stands, verdict) {
        (ModelState::Trained, _) => match state.evaluations.get(model).map(|row| row.state) {
            Some(EvaluationState::Failed) => {
                Stage::HeldBack(format!("the evaluation of {model} has failed: twin models evaluate {model}"))
            }
            Some(EvaluationState::Running) => Stage::UnderWay(format!("{model} is evaluated")),
            _ => Stage::Waits(format!("{model} waits for its evaluation")),
        },
        (ModelState::Evaluated, Some(Verdict::Passed | Verdict::Inconclusive)) => {
            Stage::Waits(format!("{model} waits for a decision"))
        }
        (ModelState::Evaluated, Some(Verdict::Failed) | None) => {
            Stage::HeldBack(format!("{model} did not pass: twin models report {model} says why; {other}"))
        }
        (ModelState::Rejected, _) => Stage::HeldBack(format!("{model} was rejected; {other}")),
        (ModelState::Approved, _) => {
            Stage::HeldBack(format!("{model} may serve and does not: twin models deploy {model}"))
        }
    }
}

impl Registry {
    /// The retraining of an author ([`retraining`]).
    pub async fn retraining(&self, author: &AuthorId, now: &Ingredients) -> Result<Option<Retraining>, Error> {
        Ok(retraining(self.state(author).await?.as_ref(), now))
    }

    /// The retrainings of all authors.
    pub async fn retrainings(&self, now: &Ingredients) -> Result<Vec<Retraining>, Error> {
        let mut found = Vec::new();
        for production in self.productions().await?.into_iter().filter(|production| production.model.is_some()) {
            found.extend(self.retraining(&production.author, now).await?);
        }
        Ok(found)
    }
}

impl JobQueue {
    /// Takes the retraining of an author that is offered: queues a job on the newest dataset version, or asks for a version
    /// first where that has prompts of another form. One that is taken already is told again.
    ///
    /// # Errors
    /// [`Error::Refused`] where nothing has changed, or where it was taken and does not go on by itself.
    pub async fn retrain(&self, author: &AuthorId, by: &str) -> Result<Option<Taken>, Error> {
        let registry = self.registry();
        let state = registry.state(author).await?;
        let Some(found) = retraining(&state, self.ingredients()) else {
            return Err(Error::Refused(format!(
                "nothing has changed for {author} since what serves was trained: twin train --author {author} trains all \
                 the same"
            )));
        };
        match found.stage {
            Stage::UnderWay(_) | Stage::Waits(_) => Ok(None),
            Stage::HeldBack(why) => Err(Error::Refused(why)),
            Stage::Offered { version_first: true } => {
                registry.request_retraining(author, by, Utc::now()).await?;
                Ok(registry.freeze_request(author).await?.map(Taken::Version))
            }
            Stage::Offered { version_first: false } => {
                let Some(newest) = state.datasets.last() else { return Err(Error::missing("dataset of", author)) };
                let job = self.train(author, &newest.dataset, &self.recipe_of(author).await?).await?;
                Ok(Some(Taken::Job(Box::new(job))))
            }
        }
    }
}
