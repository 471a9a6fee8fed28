//! How fast dataset versions are built, without a chat model.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::DateTime;
use twin_artifacts::Artifacts;
use twin_datasets::{Builder, Options, put_document};
use twin_schemas::{AuthorId, CleanedDocument};
use twin_sqlite::{Database, SqliteCorpus};

use crate::bench::Bench;
use crate::corpus;
use crate::figure::Figure;
use crate::processor_time;
use crate::target::Target;

/// Documents a processor minute: taken into the store, and built into a version.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut rates = Vec::new();
    for round in 0..bench.rounds {
        let folder = bench.work.join(format!("datasets-{round}"));
        let before = processor_time::seconds()?;
        bench.runtime.block_on(both(&folder, &bench.corpus.documents))?;
        let minutes = (processor_time::seconds()? - before) / 60.0;
        rates.push(bench.corpus.documents.len() as f64 / minutes);
    }
    let name = "datasets: documents of this repository into a version";
    let figure = Figure::new(name, "documents a processor minute", rates);
    Ok(vec![figure.wanting(Target::at_least(2_000.0))])
}

async fn both(folder: &Path, documents: &[CleanedDocument]) -> Result<()> {
    store(folder, documents).await?;
    build(folder, &corpus::author()?).await
}

/// Takes documents into a corpus in that folder.
pub async fn store(folder: &Path, documents: &[CleanedDocument]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (corpus, options) = (open(folder).await?, Options::default());
    for document in documents {
        put_document(&corpus, document.clone(), &options).await?;
    }
    Ok(())
}

/// Builds a version of the documents in the corpus of that folder.
pub async fn build(folder: &Path, author: &AuthorId) -> Result<()> {
    let artifacts = Artifacts::in_folder(&folder.join("artifacts"))?;
    let builder = Builder::new(Options::default(), Arc::new(open(folder).await?), artifacts)?;
    let at = DateTime::from_timestamp(1_700_000_000, 0).context("a time")?;
    builder.build(author, None, 1, at).await?;
    Ok(())
}

async fn open(folder: &Path) -> Result<SqliteCorpus> {
    let database = Database::open(&folder.join("documents.db"))?;
    Ok(SqliteCorpus::open(database).await?)
}
