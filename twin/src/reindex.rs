//! `twin reindex`: goes over to the embedding model that the configuration names.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twin_embedder::rebuild;
use twin_index::index_model;
use twin_onnx::Embedder;
use twin_telemetry::Registry;

use crate::config::Config;
use crate::folder::DataFolder;
use crate::run::stores;

/// Between two lines of progress.
const PAUSE: Duration = Duration::from_secs(2);

/// Builds the vectors of the configured model and switches the index over to it. A twin may run on the data folder: it
/// goes on with its old model until the switch and then loads the new one.
pub async fn run(config: Config) -> Result<()> {
    let folder = DataFolder::open_for_reindex(&config.data)?;
    let embedder = tokio::task::spawn_blocking(|| Embedder::load(config.embedder, &Registry::new())).await??;
    let id = embedder.model_id();
    let Some(index) = stores::rebuild(&folder, index_model(&embedder)).await? else {
        return say(&format!("nothing to do: the index is of {id} already"));
    };
    let (kept, all) = index.progress().await?;
    say(&format!("embedding with {id}: {} of {all} chunks to do", all - kept))?;
    let mut told = Instant::now();
    let mut progress = |done: u64, all: u64| {
        if told.elapsed() >= PAUSE {
            told = Instant::now();
            // Nobody may be reading it.
            let _ = say(&format!("{done} of {all} chunks"));
        }
    };
    let began = Instant::now();
    rebuild(&embedder, &index, &mut progress)
        .await
        .context("the index is as it was; what was embedded is kept for the next `twin reindex`")?;
    say(&format!("done in {:.1} s: the index is of {id} now", began.elapsed().as_secs_f64()))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(io::stderr().lock(), "{line}")?)
}
