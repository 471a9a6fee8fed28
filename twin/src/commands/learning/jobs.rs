//! `twin jobs`: training that waits, runs or has ended.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use twin_api::{Asker, JobList, JobView};

use super::super::lists::{self, Limit};
use super::super::text::{Align, Table, count, cut, duration, fields, moment, relative};
use super::super::views::author_query;
use super::super::{AuthorOption, Context};
use super::views::seconds;
use super::{plan, recipe, short, watch};
use crate::client::parse;
use crate::error::CommandError;

/// Width of a reason in a table, columns.
const REASON_WIDTH: usize = 60;

/// What to do with training jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List jobs, newest first.
    List(List),
    /// Show a job.
    Show(One),
    /// Stop a job; what it has learned so far stays in its last checkpoint.
    Cancel(Cancel),
    /// Queue a job again that failed or was stopped; it goes on from its last checkpoint.
    Retry(One),
    /// Follow a job to its end.
    Watch(One),
}

/// Which jobs.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    author: AuthorOption,
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    limit: Limit,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Stopped.
    Cancelled,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job.
#[derive(Debug, Args)]
pub struct One {
    /// Its id, or the beginning of it.
    #[arg(value_name = "JOB")]
    id: String,
}

/// A job to stop.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Its id, or the beginning of it.
    #[arg(value_name = "JOB")]
    id: String,
    /// Who stops it.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
}

/// Runs the command.
pub async fn run(command: Jobs, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Jobs::List(args) => list(args, context).await,
        Jobs::Show(args) => show(args, context).await,
        Jobs::Cancel(args) => cancel(args, context).await,
        Jobs::Retry(args) => retry(args, context).await,
        Jobs::Watch(args) => wait(&[args.id], context).await,
    }
}

/// Follows jobs to their end and tells it. An error: one did not end well.
pub async fn wait(ids: &[String], context: &mut Context) -> Result<(), CommandError> {
    let ended = watch::follow(ids, context).await?;
    if context.json {
        let documents: Vec<&Value> = ended.iter().map(|ended| &ended.document).collect();
        match documents.as_slice() {
            [one] => context.out.json(one)?,
            many => context.out.json(&json!({ "jobs": many }))?,
        }
    }
    let mut troubles = Vec::new();
    for ended in &ended {
        match watch::outcome(&ended.job) {
            Ok(text) if context.json => drop(text),
            Ok(text) => context.out.line(&text)?,
            Err(error) => troubles.push(error.to_string()),
        }
    }
    if !troubles.is_empty() {
        return Err(CommandError::Failed(troubles.join("\n  ")));
    }
    if let [ended] = ended.as_slice()
        && let Some(model) = &ended.job.model
    {
        context.out.note(&format!("next: twin models show {model}"));
    }
    Ok(())
}

async fn list(args: List, context: &mut Context) -> Result<(), CommandError> {
    let mut query = author_query(args.author.name());
    query.extend(args.state.map(|state| ("state", state.as_str())));
    let list = lists::List::newest_first(&["jobs"], "jobs");
    let document = list.read(&context.client, &query, None, args.limit).await?;
    if context.json {
        return context.out.json(&document);
    }
    let jobs = parse::<JobList>(&document)?.jobs;
    if jobs.is_empty() {
        context.out.note("no job; next: twin train --author AUTHOR");
        return Ok(());
    }
    context.out.line(&table(&jobs, Utc::now()).render())
}

fn table(jobs: &[JobView], now: DateTime<Utc>) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("AUTHOR", Left),
        ("STATE", Left),
        ("STEP", Right),
        ("TRIED", Right),
        ("QUEUED", Left),
        ("TOOK", Right),
        ("RESULT", Left),
    ]);
    for job in jobs {
        let result = job.model.clone().or_else(|| job.reason.as_deref().map(|reason| cut(reason, REASON_WIDTH)));
        let trial = || job.sweep.as_ref().map(|_| "trial of a sweep".to_owned());
        table.row(vec![
            short(&job.job).to_owned(),
            job.author.clone(),
            state(job).to_owned(),
            watch::progress_cell(job),
            job.attempts.to_string(),
            relative(job.created_at, now),
            seconds(job, now).map_or_else(|| "-".to_owned(), duration),
            result.or_else(trial).unwrap_or_default(),
        ]);
    }
    table
}

fn state(job: &JobView) -> &'static str {
    match job.state {
        state if state.has_ended() => state.as_str(),
        _ if job.cancel_requested => "stopping",
        _ if job.pending => "starting",
        state => state.as_str(),
    }
}

async fn show(args: One, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["jobs", &args.id], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let job: JobView = reply.parse()?;
    context.out.line(&description(&job, Utc::now()))?;
    let id = short(&job.job);
    let next = if job.state.has_ended() { "runs show" } else { "jobs watch" };
    context.out.note(&format!("next: twin {next} {id}"));
    Ok(())
}

/// A job with its recipe.
pub fn description(job: &JobView, now: DateTime<Utc>) -> String {
    let mut pairs = vec![
        ("id", job.job.clone()),
        ("author", job.author.clone()),
        ("state", state(job).to_owned()),
        ("dataset", short(&job.dataset).to_owned()),
        ("base model", job.base.clone()),
        ("code", job.code_version.clone()),
        ("tried", count(u64::from(job.attempts), "time")),
        ("queued", moment(job.created_at)),
    ];
    pairs.extend(job.reason.clone().map(|reason| ("reason", reason)));
    pairs.extend(job.sweep.as_deref().map(|sweep| ("trial of", short(sweep).to_owned())));
    pairs.extend(job.started_at.map(|at| ("started", moment(at))));
    pairs.extend(job.ended_at.map(|at| ("ended", moment(at))));
    pairs.extend(seconds(job, now).map(|seconds| ("took", duration(seconds))));
    pairs.push(("step", watch::progress_cell(job)));
    pairs.extend(job.plan.iter().flat_map(plan::fields));
    pairs.extend(job.model.clone().map(|model| ("model", model)));
    // With what it left open filled in, where that is known.
    let recipe = job.plan.as_ref().map_or(&job.recipe, |plan| &plan.recipe);
    format!("{}\n\nrecipe:\n{}", fields(&pairs), recipe::lines(recipe))
}

async fn cancel(args: Cancel, context: &mut Context) -> Result<(), CommandError> {
    let body = Asker { by: args.by.filter(|by| !by.is_empty()) };
    let reply = context.client.post(&["jobs", &args.id, "cancel"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let job: JobView = reply.parse()?;
    let done = if job.state.has_ended() { "is stopped" } else { "is to stop at its next step" };
    context.out.line(&format!("job {} {done}", short(&job.job)))
}

async fn retry(args: One, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.trigger(&["jobs", &args.id, "retry"]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let job: JobView = reply.parse()?;
    context.out.line(&format!("job {} is queued again", short(&job.job)))?;
    context.out.note(&format!("next: twin jobs watch {}", short(&job.job)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use twin_api::JobStateView;

    use super::super::testing::job;
    use super::*;

    #[test]
    fn a_job_shows_its_recipe_and_what_came_of_it() {
        let made = JobView { state: JobStateView::Succeeded, model: Some("ada-v3".into()), ..job("ab") };
        let now = made.created_at + chrono::TimeDelta::hours(2);
        let text = description(&made, now);
        assert!(text.contains("took        1 min 30 s") && text.contains("model       ada-v3"), "{text}");
        assert!(text.ends_with("recipe:\n  rank = 8\n  seed = 1"), "{text}");
        let stopping = JobView { state: JobStateView::Running, cancel_requested: true, ..job("cd") };
        let starting = JobView { state: JobStateView::Running, pending: true, ..job("ef") };
        let rows = table(&[made, stopping, starting], now).render();
        assert!(rows.contains("succeeded") && rows.contains("stopping") && rows.contains("2 h ago"), "{rows}");
        assert!(rows.contains("starting") && !rows.contains("running"), "{rows}");
    }
}
