//! `twin runs`: what jobs measured. A run is a job, looked at by its numbers.

use std::path::PathBuf;

use chrono::Utc;
use clap::{Args, Subcommand};
use twin_api::{JobView, MetricView};

use super::super::Context;
use super::super::text::{Align, Table, duration};
use super::chart::{self, Series};
use super::run::{Run, Summary, fetch, summaries};
use super::views::seconds;
use super::{Which, compare, jobs, listed, number, short};
use crate::error::CommandError;

/// What is drawn of a run, as far as it has measured it: the losses of its first stage, and of preferences after that.
const DRAWN: [(&str, char); 4] =
    [("loss", 'o'), ("evaluation_loss", 'e'), ("dpo_loss", 'd'), ("dpo_evaluation_loss", 'p')];

/// The curves of what is drawn of a run.
fn curves_of(metrics: &[MetricView]) -> Vec<Series> {
    let measured = DRAWN.iter().filter(|(name, _)| metrics.iter().any(|metric| metric.name == *name));
    measured.map(|(name, mark)| Series::of(metrics, name, *name, *mark)).collect()
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum Runs {
    /// List runs with their last losses, newest first.
    List(Which),
    /// Show a run: its parameters, what it measured, and its losses as a curve.
    Show(Show),
    /// Compare two runs: parameters that differ, last values, and the curves in one picture.
    Compare(compare::Compare),
}

/// A run.
#[derive(Debug, Args)]
pub struct Show {
    /// The id of its job, or the beginning of it.
    #[arg(value_name = "RUN")]
    id: String,
    /// Write the picture into an SVG file too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(command: Runs, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Runs::List(which) => list(which, context).await,
        Runs::Show(args) => show(args, context).await,
        Runs::Compare(args) => compare::run(args, context).await,
    }
}

async fn list(which: Which, context: &mut Context) -> Result<(), CommandError> {
    let empty = "no run; next: twin train --author AUTHOR";
    let Some(jobs) = listed::<JobView>("jobs", &which, empty, context).await? else { return Ok(()) };
    context.out.line(&table(&jobs).render())?;
    context.out.note("next: twin runs show ID, twin runs compare ID ID");
    Ok(())
}

fn table(jobs: &[JobView]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("AUTHOR", Left),
        ("DATASET", Left),
        ("STATE", Left),
        ("STEPS", Right),
        ("LOSS", Right),
        ("EVALUATION", Right),
        ("TOOK", Right),
        ("MODEL", Left),
    ]);
    let now = Utc::now();
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    for job in jobs {
        let progress = job.progress.clone().unwrap_or_default();
        table.row(vec![
            short(&job.job).to_owned(),
            job.author.clone(),
            short(&job.dataset).to_owned(),
            job.state.as_str().to_owned(),
            progress.step.to_string(),
            shown(progress.loss),
            shown(progress.evaluation_loss),
            seconds(job, now).map_or_else(|| "-".to_owned(), duration),
            job.model.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

async fn show(args: Show, context: &mut Context) -> Result<(), CommandError> {
    let run = fetch(&args.id, context).await?;
    let curves = curves_of(&run.metrics);
    if let Some(path) = &args.svg {
        chart::write(path, "loss", &curves)?;
    }
    if context.json {
        return context.out.json(&run.document);
    }
    context.out.line(&description(&run, &curves))
}

fn description(run: &Run, curves: &[Series]) -> String {
    let mut blocks = vec![jobs::description(&run.job, Utc::now())];
    let summaries = summaries(&run.metrics);
    if summaries.is_empty() {
        blocks.push("nothing is measured yet".to_owned());
    } else {
        blocks.push(measured(&summaries).render());
    }
    blocks.extend(chart::text(curves).map(|drawing| format!("loss by step\n{drawing}")));
    blocks.join("\n\n")
}

fn measured(summaries: &[Summary]) -> Table {
    use Align::{Left, Right};
    let mut table =
        Table::new(&[("METRIC", Left), ("FIRST", Right), ("LAST", Right), ("LOWEST", Right), ("VALUES", Right)]);
    for Summary { name, first, last, lowest, values } in summaries {
        table.row(vec![name.clone(), number(*first), number(*last), number(*lowest), values.to_string()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::job;
    use super::*;

    #[test]
    fn a_run_shows_each_metric_in_a_few_numbers_and_its_losses_as_a_curve() {
        let metric = |name: &str, step, value| MetricView { name: name.to_owned(), step, value: Some(value) };
        let metrics = vec![
            metric("evaluation_loss", 2, 2.5),
            metric("loss", 1, 3.0),
            metric("loss", 2, 1.0),
            metric("loss", 3, 2.0),
        ];
        let curves = curves_of(&metrics);
        let run = Run { job: job("ab"), metrics, document: Value::Null };
        let text = description(&run, &curves);
        assert!(text.contains("loss             3.000  2.000   1.000       3"), "{text}");
        assert!(text.contains("o loss   e evaluation_loss") && !text.contains("dpo_loss"), "{text}");
        let staged = vec![metric("loss", 1, 3.0), metric("dpo_loss", 2, 0.7), metric("dpo_evaluation_loss", 2, 0.6)];
        let curves = curves_of(&staged);
        let run = Run { job: job("ab"), metrics: staged, document: Value::Null };
        let text = description(&run, &curves);
        assert!(text.contains("o loss   d dpo_loss   p dpo_evaluation_loss"), "{text}");
        let fresh = Run { job: job("ab"), metrics: Vec::new(), document: Value::Null };
        assert!(description(&fresh, &[]).ends_with("nothing is measured yet"));
    }
}
