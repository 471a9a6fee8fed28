//! `twin reindex`: goes over to the embedding model that the configuration names.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twin_embedder::rebuild;
use twin_telemetry::MetricsRegistry;

use crate::config::Config;
use crate::folder::DataFolder;
use crate::run::{embedding, stores};

/// Between two lines of progress.
const PAUSE: Duration = Duration::from_secs(2);

/// Builds the vectors of the configured model and switches the index over to it. A twin may run on the data folder: it
/// goes on with its old model until the switch and then loads the new one.
pub async fn run(config: Config) -> Result<()> {
    let folder = DataFolder::open_for_reindex(&config.data)?;
    let (embedder, _) = embedding::load(config.embedder, &MetricsRegistry::new()).await?;
    let id = &embedder.model().id;
    let vectors = stores::vectors(&folder).await?;
    // What an earlier one has left that was ended after its switch.
    vectors.drain().await?;
    let Some(building) = vectors.prepare(embedder.model()).await? else {
        return say(&format!("nothing to do: the index is of {id} already"));
    };
    let coverage = vectors.coverage(&building).await?;
    say(&format!("embedding with {id}: {} of {} chunks to do", coverage.chunks - coverage.filled, coverage.chunks))?;
    let mut told = Instant::now();
    let mut progress = |done: u64, all: u64| {
        if told.elapsed() >= PAUSE {
            told = Instant::now();
            // Nobody may be reading it.
            let _ = say(&format!("{done} of {all} chunks"));
        }
    };
    let began = Instant::now();
    rebuild(embedder.as_ref(), vectors.as_ref(), &building, &mut progress)
        .await
        .context("the index is as it was; what was embedded is kept for the next `twin reindex`")?;
    say(&format!("done in {:.1} s: the index is of {id} now", began.elapsed().as_secs_f64()))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(io::stderr().lock(), "{line}")?)
}
