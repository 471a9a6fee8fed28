//! How far an author's learning is: what of the loop is done, under way, waits or is held back, and why.

use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, ModelId, Verdict};

use crate::model::{DatasetRow, DeploymentState, EvaluationState, JobProgress, JobRow, JobState, ModelRow, ModelState};
use crate::retraining::{Change, Ingredients, RETRAINING, Retraining, Stage, retraining};
use crate::rules::AuthorState;
use crate::{Error, Registry};

/// A part of the learning loop, in the order in which one leads to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A dataset version of the author's documents.
    Dataset,
    /// A job that trains on the newest version.
    Training,
    /// The evaluation of the newest model.
    Evaluation,
    /// Somebody, or a policy, lets it serve or does not.
    Decision,
    /// The workers take up what is to serve.
    Deployment,
    /// What serves is trained anew where the base model or the prompts have changed since.
    Retraining,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Done, for now.
    Done,
    /// Somebody works on it.
    UnderWay,
    /// It goes on when something else happens, by itself or by somebody.
    Waits,
    /// It is there for the taking, and nothing is amiss until somebody does.
    Offered,
    /// It does not go on by itself.
    HeldBack,
    /// There is nothing to do for it yet.
    NotBegun,
}

/// A part of the loop, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The part.
    pub part: Part,
    /// Where it stands.
    pub standing: Standing,
    /// Why, and what would have it go on.
    pub detail: String,
}

/// Why a dataset version is due though few passages are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Much of the newest version was deleted since (`datasets.freeze.deleted_share`).
    Deletions,
    /// The newest version is old, and something is new (`datasets.freeze.max_age_hours`).
    Age,
}

/// What the next dataset version waits for, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collected {
    /// Usable passages that no version holds.
    pub new_samples: u64,
    /// So many make a version due.
    pub needed: u64,
    /// The setting that says so.
    pub key: &'static str,
    /// Share of the newest version's passages, 0 to 1, whose documents were deleted since.
    pub deleted_share: f64,
    /// Why one is due for another reason than new passages.
    pub due: Option<Due>,
    /// A new version is trained on without anybody's asking (`trainer.automatic`).
    pub automatic: bool,
}

impl Registry {
    /// How far an author's learning is, part by part. `now` is what a job would be made of now, or why there can be none.
    pub async fn outlook(
        &self,
        author: &AuthorId,
        collected: Collected,
        now: Result<&Ingredients, &str>,
    ) -> Result<Vec<Outlook>, Error> {
        let mut state = (*self.state(author).await?).clone();
        state.datasets = self.with_deletions(state.datasets).await?;
        let job = newest_job(&state).map(|job| job.job.clone());
        let progress = match &job {
            Some(job) => self.store.progress(std::slice::from_ref(job)).await?.remove(job),
            None => None,
        };
        let progress = progress.map(|noted| noted.progress);
        Ok(outlook(&state, collected, now, progress.as_ref()))
    }
}

/// The same of a state whose dataset versions say what was deleted since. `progress` is that of the newest job on the newest
/// version.
pub fn outlook(
    state: &AuthorState,
    collected: Collected,
    now: Result<&Ingredients, &str>,
    progress: Option<&JobProgress>,
) -> Vec<Outlook> {
    let parts = [
        (Part::Dataset, dataset(state, collected)),
        (Part::Training, training(state, collected.automatic, now.err(), progress)),
        (Part::Evaluation, evaluation(state)),
        (Part::Decision, decision(state)),
        (Part::Deployment, deployment(state)),
        (Part::Retraining, retrained(state, collected.automatic, now)),
    ];
    parts.into_iter().map(|(part, (standing, detail))| Outlook { part, standing, detail }).collect()
}

type Found = (Standing, String);

fn dataset(state: &AuthorState, collected: Collected) -> Found {
    let newest = state.datasets.last();
    if let Some(request) = &state.freeze {
        let is_newer = newest.is_none_or(|version| request.requested_at >= version.created_at);
        match &request.outcome {
            None => {
                return (
                    Standing::UnderWay,
                    format!("{} has asked for a version: it is being made", request.requested_by),
                );
            }
            Some(why) if request.refused && is_newer => {
                let stays = newest.map_or(String::new(), |version| format!("; version {} stays", version.number));
                let deleted = deleted(collected).map_or(String::new(), |deleted| format!("; {deleted}"));
                return (Standing::HeldBack, format!("no version could be made: {why}{stays}{deleted}"));
            }
            Some(_) => {}
        }
    }
    let next = next_version(state, collected);
    match newest {
        Some(version) => {
            let is_due = collected.due.is_some() || collected.new_samples >= collected.needed;
            let standing = if is_due { Standing::Waits } else { Standing::Done };
            (
                standing,
                format!("version {} has {} samples to train on; {next}", version.number, version.training_samples),
            )
        }
        None => (Standing::Waits, next),
    }
}

/// What the next version waits for: new passages, or that documents come to rest where it is due.
fn next_version(state: &AuthorState, collected: Collected) -> String {
    let Collected { new_samples, needed, key, due, .. } = collected;
    let deleted = deleted(collected).map_or(String::new(), |deleted| format!("{deleted}; "));
    let why = match due {
        None if new_samples < needed => {
            return format!(
                "{deleted}{new_samples} of the {needed} new passages are there that make a version due ({key})"
            );
        }
        None => format!("{new_samples} new passages are there, and {needed} make a version due ({key})"),
        Some(Due::Deletions) => "that makes a version without them due (datasets.freeze.deleted_share)".to_owned(),
        Some(Due::Age) => {
            format!("{new_samples} new passages are there, and the version is old (datasets.freeze.max_age_hours)")
        }
    };
    format!(
        "{deleted}{why}: it is made when no document has changed for datasets.freeze.quiet_s seconds; if none comes, twin \
         datasets freeze --author {} --wait says why",
        state.author
    )
}

/// How much of the newest version was deleted since, if anything was.
fn deleted(Collected { deleted_share, .. }: Collected) -> Option<String> {
    (deleted_share > 0.0).then(|| format!("{:.1} % of its passages were deleted since", deleted_share * 100.0))
}

/// The newest job that makes a model of the newest dataset version.
fn newest_job(state: &AuthorState) -> Option<&JobRow> {
    let version = state.datasets.last()?;
    let jobs = state.jobs.values().filter(|job| job.sweep.is_none() && job.dataset == version.dataset);
    jobs.max_by_key(|job| (job.created_at, job.job.clone()))
}

/// How far the sweeps on a dataset version are that are not concluded. None: there is no such sweep.
fn sweeps(state: &AuthorState, version: &DatasetRow) -> Option<Found> {
    let is_open = |name: &String| state.sweeps.get(name).is_some_and(|sweep| !sweep.concluded);
    let of_version = state.jobs.values().filter(|job| job.dataset == version.dataset);
    let trials: Vec<&JobRow> = of_version.filter(|job| job.sweep.as_ref().is_some_and(is_open)).collect();
    let ended = trials.iter().filter(|trial| trial.state.has_ended()).count();
    let sweep = format!("a sweep of {} trials", trials.len());
    if trials.is_empty() {
        None
    } else if trials.iter().all(|trial| trial.state == JobState::Queued) {
        Some((Standing::Waits, format!("{sweep} waits for its turn")))
    } else {
        Some((Standing::UnderWay, format!("{sweep} runs, {ended} of them have ended")))
    }
}

fn training(state: &AuthorState, automatic: bool, impossible: Option<&str>, progress: Option<&JobProgress>) -> Found {
    let Some(version) = state.datasets.last() else {
        return (Standing::NotBegun, "there is no dataset version to train on".to_owned());
    };
    let trained = newest_job(state);
    if trained.is_none_or(|job| job.state.has_ended())
        && let Some(found) = sweeps(state, version)
    {
        return found;
    }
    let Some(job) = trained else {
        return not_trained(state, version, automatic, impossible);
    };
    let (id, reason) = (job.job.short(), job.reason.as_deref());
    let because = reason.map_or(String::new(), |reason| format!(": {reason}"));
    match job.state {
        JobState::Queued => (Standing::Waits, format!("job {id} waits for its turn{because}")),
        JobState::Running => {
            let step = progress.map_or(String::new(), |now| format!(", step {} of {}", now.step, now.steps));
            let stopping = if job.cancel_requested { ", is to stop" } else { "" };
            (Standing::UnderWay, format!("job {id}, attempt {}{step}{stopping}", job.attempts))
        }
        JobState::Succeeded => {
            let model = job.model.as_ref().map_or("no model", |model| model.0.as_str());
            (Standing::Done, format!("job {id} has made {model}"))
        }
        JobState::Failed => (Standing::HeldBack, format!("job {id} has failed{because}; twin jobs retry {id}")),
        JobState::Cancelled => (Standing::HeldBack, format!("job {id} was stopped{because}; twin jobs retry {id}")),
    }
}

/// Why no job trains on the newest version.
fn not_trained(state: &AuthorState, version: &DatasetRow, automatic: bool, impossible: Option<&str>) -> Found {
    let (number, author) = (version.number, &state.author);
    let none = format!("no job trains on version {number}");
    match impossible {
        Some(why) => (Standing::HeldBack, format!("{none}: {why}")),
        None if automatic || version.reason == RETRAINING => {
            let or = format!("it is queued by itself (trainer.automatic), or by twin train --author {author}");
            (Standing::Waits, format!("{none} yet: {or}"))
        }
        None => (Standing::Waits, format!("{none} (trainer.automatic is off): twin train --author {author}")),
    }
}

fn evaluation(state: &AuthorState) -> Found {
    let Some(ModelRow { model, .. }) = state.models.last() else {
        return (Standing::NotBegun, "there is no model to evaluate".to_owned());
    };
    let Some(row) = state.evaluations.get(model) else {
        return (Standing::Waits, format!("{model} is not queued for its evaluation yet"));
    };
    match row.state {
        EvaluationState::Queued => {
            let because = row.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
            (Standing::Waits, format!("the evaluation of {model} waits for its turn{because}"))
        }
        EvaluationState::Running => (Standing::UnderWay, format!("{model} is evaluated, attempt {}", row.attempts)),
        EvaluationState::Failed => {
            let why = row.reason.as_deref().unwrap_or("for no known reason");
            (Standing::HeldBack, format!("the evaluation of {model} has failed: {why}; twin models evaluate {model}"))
        }
        EvaluationState::Done => {
            let verdict = row.verdict.map_or("without a verdict", Verdict::as_str);
            (Standing::Done, format!("{model}: {verdict}; twin models report {model}"))
        }
    }
}

fn decision(state: &AuthorState) -> Found {
    let Some(ModelRow { model, state: stands, verdict, .. }) = state.models.last() else {
        return (Standing::NotBegun, "there is no model to decide on".to_owned());
    };
    if *stands == ModelState::Evaluated
        && let Some(found) = unsettled(state, model)
    {
        return found;
    }
    match (stands, verdict) {
        (ModelState::Trained, _) => (Standing::NotBegun, format!("{model} is not evaluated yet")),
        (ModelState::Approved, _) => (Standing::Done, format!("{model} may serve")),
        (ModelState::Rejected, _) => (Standing::HeldBack, format!("{model} was rejected and will not serve")),
        (ModelState::Evaluated, Some(Verdict::Passed)) => {
            (Standing::Waits, format!("{model} has passed: twin models approve {model}, or reject"))
        }
        (ModelState::Evaluated, Some(Verdict::Inconclusive)) => {
            let how = format!("more documents tell more, or a person decides: twin models approve {model}, or reject");
            (Standing::Waits, format!("the evaluation of {model} can not tell: {how}"))
        }
        (ModelState::Evaluated, Some(Verdict::Failed) | None) => {
            (Standing::HeldBack, format!("{model} did not pass: twin models report {model} says why"))
        }
    }
}

/// Why a model that was evaluated is not decided upon: its evaluation is repeated, or is not about what answers now.
fn unsettled(state: &AuthorState, model: &ModelId) -> Option<Found> {
    match state.evaluations.get(model)?.state {
        EvaluationState::Queued | EvaluationState::Running => {
            Some((Standing::Waits, format!("{model} is evaluated again: its report comes first")))
        }
        EvaluationState::Failed => Some((
            Standing::HeldBack,
            format!("the newest evaluation of {model} has failed: twin models evaluate {model}"),
        )),
        EvaluationState::Done if !state.is_fresh(model) => Some((
            Standing::Waits,
            format!("{model} was compared with another than the one that answers now: twin models evaluate {model}"),
        )),
        EvaluationState::Done => None,
    }
}

fn deployment(state: &AuthorState) -> Found {
    let name =
        |model: &Option<ModelId>| model.as_ref().map_or_else(|| "the base model".to_owned(), |model| model.0.clone());
    let Some(newest) = state.deployments.last().map(|deployment| &deployment.row) else {
        return (Standing::NotBegun, "no version was deployed: answers are not by one".to_owned());
    };
    match newest.state {
        DeploymentState::Requested => (Standing::UnderWay, format!("{} is loaded by the workers", name(&newest.model))),
        DeploymentState::Serving => {
            let evaluation = newest.model.as_ref().and_then(|model| state.evaluations.get(model));
            let quoted = match evaluation {
                Some(row) if !row.grounded => {
                    "; it is not shown to answer from passages, so that with the default model questions are quoted \
                     (answers.mode)"
                }
                _ => "",
            };
            (Standing::Done, format!("{} serves{quoted}", name(&newest.model)))
        }
        DeploymentState::Failed => {
            let why = newest.detail.as_deref().unwrap_or("for no known reason");
            let serves = state.in_force().map_or_else(|| "the base model".to_owned(), |row| name(&row.model));
            (Standing::HeldBack, format!("{} was not taken up: {why}; {serves} serves", name(&newest.model)))
        }
    }
}

/// Whether what serves was trained with what is there now, and else how far a retraining is.
fn retrained(state: &AuthorState, automatic: bool, now: Result<&Ingredients, &str>) -> Found {
    let Some(serving) = state.in_force().and_then(|row| row.model.as_ref()) else {
        return (Standing::NotBegun, "no version serves that could be out of date".to_owned());
    };
    let now = match now {
        Ok(now) => now,
        Err(why) => return (Standing::NotBegun, format!("whether {serving} is out of date is not known: {why}")),
    };
    let Some(Retraining { author, model, changed, stage }) = retraining(state, now) else {
        let trained = format!("{serving} was trained with the base model and the prompts that there are");
        return taught_by_deleted(state, serving, automatic).unwrap_or((Standing::Done, trained));
    };
    let what = changed.iter().map(|change| match change {
        Change::Base => "on another base model than there is now (trainer.base, llm.model)",
        Change::Prompts => "with prompts of another form than they have now",
    });
    let what = what.collect::<Vec<_>>().join(" and ");
    let serves = format!("{model} was trained {what} and serves until another is approved");
    match stage {
        Stage::Offered { version_first } => {
            let takes = match version_first {
                true => "makes a dataset version and trains on it",
                false => "trains on the newest dataset version",
            };
            (Standing::Offered, format!("{serves}: twin train --author {author} {takes}"))
        }
        Stage::UnderWay(how) => (Standing::UnderWay, format!("{how}; {serves}")),
        Stage::Waits(how) => (Standing::Waits, format!("{how}; {serves}")),
        Stage::HeldBack(why) => (Standing::HeldBack, format!("{why}; {serves}")),
    }
}

/// What a version that serves has learned from documents that were deleted since, and what makes one without them. None:
/// nothing.
fn taught_by_deleted(state: &AuthorState, serving: &ModelId, automatic: bool) -> Option<Found> {
    let dataset = &state.model(serving)?.dataset;
    let version = state.datasets.iter().find(|version| version.dataset == *dataset)?;
    let DatasetRow { number, documents, deleted_documents, .. } = version;
    let newest = state.datasets.last().filter(|_| *deleted_documents > 0)?;
    let learned = format!(
        "{serving} was trained on version {number}, of which {deleted_documents} of {documents} documents were deleted since"
    );
    if newest.deleted_documents >= *deleted_documents {
        return Some((Standing::Done, format!("{learned}: the next version is without them")));
    }
    let without = format!("{learned}; version {} is without them", newest.number);
    Some(match newest_job(state) {
        None if !automatic => {
            (Standing::Offered, format!("{without}: twin train --author {} trains on it", state.author))
        }
        _ => (Standing::Waits, format!("{without}: {serving} serves until what is trained on that is approved")),
    })
}
