//! `twin train`: queue a training job, or the trials of a sweep; or say what a job would be.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use twin_api::{Asker, JobList, JobView, LearningView, NewJobRequest, NewSweepRequest, PlannedFoldsView, PlannedJob};

use super::super::text::{count, duration, fields};
use super::super::{AuthorOption, Context};
use super::{freeze, jobs, plan, recipe, short, watch};
use crate::error::CommandError;

/// What to train.
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    author: AuthorOption,
    /// The dataset version, or the beginning of its id [default: the author's newest].
    #[arg(long, value_name = "DATASET", conflicts_with = "sweep")]
    dataset: Option<String>,
    /// A recipe, TOML [default: the author's own, or the configured one].
    #[arg(long, value_name = "FILE", conflicts_with = "sweep")]
    recipe: Option<PathBuf>,
    /// A sweep over recipes, TOML: queue its trials instead.
    #[arg(long, value_name = "FILE")]
    sweep: Option<PathBuf>,
    /// Say what the job would be (steps, tokens, time, memory, samples left out), and queue nothing.
    #[arg(long, conflicts_with_all = ["sweep", "wait"])]
    plan: bool,
    /// Wait for the end.
    #[arg(long)]
    wait: bool,
    /// Who asks, where a dataset version has to be made first.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
}

/// The status of a request that the present state does not allow.
const REFUSED: u16 = 409;

/// Runs the command.
pub async fn run(args: Train, context: &mut Context) -> Result<(), CommandError> {
    match &args.sweep {
        Some(sweep) => {
            let body = NewSweepRequest { author: args.author.author, sweep: read(sweep)? };
            let reply = context.client.post(&["sweeps"], &body).await?;
            let jobs = reply.parse::<JobList>()?.jobs;
            queued(&jobs, reply.json(), args.wait, context).await
        }
        None => {
            let recipe = args.recipe.as_deref().map(read).transpose()?;
            // The default of `--author` is no reason to refuse a dataset that is named.
            let author = args.author.author.filter(|_| args.dataset.is_none());
            let body = NewJobRequest { author, dataset: args.dataset, recipe };
            if args.plan {
                return planned(&body, context).await;
            }
            let reply = match context.client.post(&["jobs"], &body).await {
                Err(refused @ CommandError::Problem { status: REFUSED, .. }) => {
                    return retrained(&body, args.by, refused, args.wait, context).await;
                }
                reply => reply?,
            };
            let job: JobView = reply.parse()?;
            queued(&[job], reply.json(), args.wait, context).await
        }
    }
}

/// Takes a retraining that begins with a dataset version, if that is what was refused: the newest version of the author has
/// prompts of another form than they have now. A recipe of one's own has to be named when that version is there.
async fn retrained(
    body: &NewJobRequest,
    by: Option<String>,
    refused: CommandError,
    wait: bool,
    context: &mut Context,
) -> Result<(), CommandError> {
    let (Some(author), None, None) = (&body.author, &body.dataset, &body.recipe) else { return Err(refused) };
    let learning: LearningView = context.client.get(&["authors", author.as_str(), "learning"], &[]).await?.parse()?;
    if !learning.offer.is_some_and(|offer| offer.version_first) {
        return Err(refused);
    }
    let asker = Asker { by: by.filter(|by| !by.is_empty()) };
    let reply = context.client.post(&["authors", author.as_str(), "retrain"], &asker).await?;
    if wait {
        let (seen, _) = freeze::answered(author.as_str(), freeze::PATIENCE, context).await?;
        seen.map_err(CommandError::Failed)?;
        // The same work is the same job, whoever queues it first.
        let job: JobView = context.client.post(&["jobs"], body).await?.parse()?;
        return jobs::wait(&[job.job], context).await;
    }
    if context.json {
        return context.out.json(reply.json());
    }
    context
        .out
        .line(&format!("a dataset version of {author} is asked for, and is trained on as soon as it is there"))?;
    context.out.note(&format!("next: twin learning status --author {author}"));
    Ok(())
}

/// Tells what a job would be. An error: it would fail before its first step.
async fn planned(body: &NewJobRequest, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.post(&["jobs", "plan"], body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let planned: PlannedJob = reply.parse()?;
    let pace = if planned.by_a_job { "an earlier job" } else { "another machine" };
    let mut pairs = vec![
        ("author", planned.author.clone()),
        ("dataset", short(&planned.dataset).to_owned()),
        ("time", format!("{}, by the pace of {pace}", duration(planned.seconds))),
    ];
    pairs.extend(planned.folds.map(|folds| ("folds", of_folds(&folds))));
    pairs.extend(plan::fields(&planned.plan));
    context.out.line(&format!("{}\n\nrecipe:\n{}", fields(&pairs), recipe::lines(&planned.plan.recipe)))?;
    match planned.refused {
        Some(why) => Err(CommandError::Failed(why)),
        None => Ok(()),
    }
}

/// What a job trains beside its model.
fn of_folds(folds: &PlannedFoldsView) -> String {
    let PlannedFoldsView { folds, steps, tokens, seconds } = *folds;
    let time = duration(seconds);
    format!("{folds} more adapters, to evaluate by: {steps} steps at most, {tokens} tokens, {time} of the time")
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| CommandError::Usage(format!("{}: {error}", path.display())))
}

async fn queued(jobs: &[JobView], document: &Value, wait: bool, context: &mut Context) -> Result<(), CommandError> {
    if wait {
        let ids: Vec<String> = jobs.iter().map(|job| job.job.clone()).collect();
        return jobs::wait(&ids, context).await;
    }
    if context.json {
        return context.out.json(document);
    }
    match jobs {
        [job] => {
            context.out.line(&format!("{} {}", job.job, job.state.as_str()))?;
            if job.state.has_ended() {
                let anew = "a recipe with another `seed` is another job";
                context.out.note(&format!("the same work was done before ({anew}); {}", watch::outcome(job)?));
            } else {
                context.out.note(&format!("next: twin jobs watch {}", short(&job.job)));
            }
        }
        jobs => {
            for job in jobs {
                context.out.line(&format!("{} {}", job.job, job.state.as_str()))?;
            }
            context.out.note(&format!("{}; next: twin runs list", count(jobs.len() as u64, "trial")));
        }
    }
    Ok(())
}
