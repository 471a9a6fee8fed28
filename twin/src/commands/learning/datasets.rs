//! `twin datasets`: the versions of what models are trained on.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use twin_api::{DatasetDetail, DatasetView};

use super::super::Context;
use super::super::text::{Align, Table, fields, moment, relative};
use super::views::{File, files};
use super::{Which, difference, export, freeze, listed, short};
use crate::error::CommandError;

/// What to do with dataset versions.
#[derive(Debug, Subcommand)]
pub enum Datasets {
    /// List dataset versions, newest first.
    List(Which),
    /// Show a dataset version and its files.
    Show(One),
    /// Show what changed from one dataset version to another.
    Diff(Two),
    /// Write the files of a dataset version into a folder.
    Export(Export),
    /// Freeze a dataset version now, of what the author's documents are at present.
    Freeze(freeze::Freeze),
}

/// A dataset version.
#[derive(Debug, Args)]
pub struct One {
    /// Its id, or the beginning of it.
    #[arg(value_name = "DATASET")]
    id: String,
}

/// Two dataset versions.
#[derive(Debug, Args)]
pub struct Two {
    /// The version to compare from: its id, or the beginning of it.
    a: String,
    /// The version to compare to.
    b: String,
}

/// Where to write which dataset version.
#[derive(Debug, Args)]
pub struct Export {
    /// Its id, or the beginning of it.
    #[arg(value_name = "DATASET")]
    id: String,
    /// The folder, made if it is not there. Files of the same names are written over.
    folder: PathBuf,
}

/// Runs the command.
pub async fn run(command: Datasets, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Datasets::List(which) => list(which, context).await,
        Datasets::Show(args) => show(args, context).await,
        Datasets::Diff(Two { a, b }) => difference::run(&a, &b, context).await,
        Datasets::Export(Export { id, folder }) => export::dataset(&id, &folder, context).await,
        Datasets::Freeze(args) => freeze::run(args, context).await,
    }
}

async fn list(which: Which, context: &mut Context) -> Result<(), CommandError> {
    let empty = "no dataset version; next: twin datasets freeze --author AUTHOR";
    let Some(datasets) = listed::<DatasetView>("datasets", &which, empty, context).await? else { return Ok(()) };
    context.out.line(&table(&datasets, Utc::now()).render())
}

fn table(datasets: &[DatasetView], now: DateTime<Utc>) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("AUTHOR", Left),
        ("VERSION", Right),
        ("SAMPLES", Right),
        ("DOCUMENTS", Right),
        ("DELETED", Right),
        ("FROZEN", Left),
        ("WHY", Left),
    ]);
    for dataset in datasets {
        table.row(vec![
            short(&dataset.dataset).to_owned(),
            dataset.author.clone(),
            dataset.number.to_string(),
            dataset.training_samples.to_string(),
            dataset.documents.to_string(),
            dataset.deleted_documents.to_string(),
            relative(dataset.created_at, now),
            dataset.reason.clone(),
        ]);
    }
    table
}

async fn show(args: One, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["datasets", &args.id], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let detail: DatasetDetail = reply.parse()?;
    context.out.line(&description(&detail.dataset, &files(&detail)?))?;
    context.out.note(&format!("next: twin train --dataset {}", short(&detail.dataset.dataset)));
    Ok(())
}

fn description(dataset: &DatasetView, files: &[File]) -> String {
    let counts: Vec<String> = dataset.counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let documents = match dataset.deleted_documents {
        0 => dataset.documents.to_string(),
        deleted => {
            format!("{}, of which {deleted} deleted since: what they taught is still in here", dataset.documents)
        }
    };
    let pairs = [
        ("id", dataset.dataset.clone()),
        ("author", dataset.author.clone()),
        ("version", dataset.number.to_string()),
        ("parent", dataset.parent.as_deref().map_or("none", short).to_owned()),
        ("frozen", moment(dataset.created_at)),
        ("why", dataset.reason.clone()),
        ("training samples", dataset.training_samples.to_string()),
        ("samples", counts.join(", ")),
        ("documents", documents),
    ];
    let mut table = Table::new(&[("FILE", Align::Left), ("LINES", Align::Right), ("BYTES", Align::Right)]);
    for file in files {
        table.row(vec![file.name.clone(), file.lines.to_string(), file.bytes.to_string()]);
    }
    format!("{}\n\n{}", fields(&pairs), table.render())
}
