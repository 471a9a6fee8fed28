//! `twin artifacts gc`: removes artifacts that nothing names any more.

mod references;

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use serde::Serialize;
use twin_artifacts::{Artifacts, Stored};

use crate::config::Config;
use crate::folder::DataFolder;
use crate::run::stores::Stores;
use references::References;

/// What was stored later than that is kept whatever names it: who stores something names it a moment later.
const AGE: TimeDelta = TimeDelta::days(7);

/// What was, or would be, removed.
#[derive(Debug, Serialize)]
struct Collected {
    dry_run: bool,
    /// Stored before the age limit and named by nothing.
    removed: Vec<Removed>,
    /// Bytes of these.
    bytes: u64,
    /// Artifacts that stay.
    kept: u64,
    /// Bytes that uploads have left that were never finished.
    leftover_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Removed {
    artifact: String,
    bytes: u64,
    stored_at: DateTime<Utc>,
}

/// Removes what is older than a week and named by nothing. A twin may run on the data folder.
pub async fn run(config: Config, dry_run: bool, json: bool) -> Result<()> {
    let kind = config.log_kind().map_err(anyhow::Error::msg).context("log.url")?;
    let folder = DataFolder::open_for_gc(&config.data)?;
    folder.require_log(kind.name())?;
    let artifacts = Artifacts::existing(&folder.artifacts())?;
    let stores = Stores::open(&config, kind, &folder).await?;
    let registry = stores.registry().await?;
    let warehouse = stores.warehouse().await?;
    let jobs = folder.jobs();
    let references = References {
        registry: &registry,
        warehouse: &*warehouse,
        log: &*stores.log,
        artifacts: &artifacts,
        jobs: &jobs,
    };
    let since = Utc::now() - AGE;
    let (unnamed, kept) = unnamed(&references, since).await.context("nothing was removed")?;
    let collected = remove(&artifacts, unnamed, kept, since, dry_run).await?;
    say(&if json { format!("{:#}\n", serde_json::to_value(&collected)?) } else { collected.to_string() })
}

/// The artifacts that were stored before `since` and that nothing names, and how many others there are.
async fn unnamed(references: &References<'_>, since: DateTime<Utc>) -> Result<(BTreeMap<String, Stored>, u64)> {
    let (mut old, mut kept) = (BTreeMap::new(), 0);
    // Listed before the names are read: what is stored later is not among them, and what is named later was stored later.
    let mut stored = std::pin::pin!(references.artifacts.list());
    while let Some(stored) = stored.try_next().await? {
        if stored.modified < since {
            old.insert(stored.name.clone(), stored);
        } else {
            kept += 1;
        }
    }
    references.each(|name| kept += u64::from(old.remove(name).is_some())).await?;
    Ok((old, kept))
}

async fn remove(
    artifacts: &Artifacts,
    unnamed: BTreeMap<String, Stored>,
    kept: u64,
    since: DateTime<Utc>,
    dry_run: bool,
) -> Result<Collected> {
    let mut collected = Collected { dry_run, removed: Vec::new(), bytes: 0, kept, leftover_bytes: 0 };
    for Stored { name, bytes, modified } in unnamed.into_values() {
        // Somebody may have stored it again since it was listed.
        if dry_run || artifacts.delete_unless_written_since(&name, since).await? {
            collected.bytes += bytes;
            collected.removed.push(Removed { artifact: name, bytes, stored_at: modified });
        } else {
            collected.kept += 1;
        }
    }
    if !dry_run {
        collected.leftover_bytes = artifacts.delete_leftovers(since).await?;
    }
    Ok(collected)
}

impl std::fmt::Display for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Removed { artifact, bytes, stored_at } in &self.removed {
            writeln!(f, "{artifact}  {bytes} bytes, stored {}", stored_at.format("%Y-%m-%d"))?;
        }
        let done = if self.dry_run { "would be removed" } else { "removed" };
        let (count, bytes, kept) = (self.removed.len(), self.bytes + self.leftover_bytes, self.kept);
        writeln!(f, "{count} artifacts {done}, {bytes} bytes; {kept} artifacts stay")
    }
}

/// Writes to standard output; a reader that has gone (`| head`) is no error.
fn say(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
