//! Which artifacts are in use: the one place that knows who names artifacts.
//!
//! A name is in use if one of these has it:
//!
//! - the folder of a job or an evaluation: its order, and an outcome that nobody has taken over yet;
//! - a row of the registry: the manifest of a dataset version or a model, the report and the page of an evaluation, the
//!   checkpoint and the finished folds of a job that may go on;
//! - a row of the warehouse: a file that was uploaded to a source;
//! - a record that the log retains, dead letters too: a large value travels by name, and events of the learning loop
//!   name manifests;
//! - a manifest that is in use itself: of a dataset version its parts, of a model its files.
//!
//! Names move from the folder of a job into a row and from a row into the log. They are read in this order, so that one
//! that moves meanwhile is met at one of the two places. Whoever names an artifact has stored it just before, which
//! makes it too young to be deleted: what is named anew while this is read needs not be met.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use twin_artifacts::{Artifacts, Error};
use twin_registry::{JobState, Registry};
use twin_schemas::Topic;
use twin_stream::{EventLog, TopicPartition, TopicSpec};
use twin_warehouse::Warehouse;

/// What the name of an artifact begins with, and how long it is.
const PREFIX: &[u8] = b"sha256:";
const LENGTH: usize = 71;
/// Rows of one read.
const ROWS_AT_ONCE: usize = 500;

/// Partitions read at once. Over Kafka each is a client of its own, which waits most of its time for the cluster.
const CONCURRENCY: usize = 8;

/// Where artifacts are named.
pub struct References<'a> {
    /// Rows.
    pub registry: &'a Registry,
    /// Uploaded files.
    pub warehouse: &'a dyn Warehouse,
    /// Records.
    pub log: &'a dyn EventLog,
    /// Manifests.
    pub artifacts: &'a Artifacts,
    /// The folders of jobs and evaluations.
    pub jobs: &'a Path,
}

impl References<'_> {
    /// Tells every name in use, some of them more than once. An error means that not all have been told.
    pub async fn each(&self, mut used: impl FnMut(&str)) -> Result<()> {
        let mut manifests = HashSet::new();
        let jobs = self.jobs.to_owned();
        let in_jobs = tokio::task::spawn_blocking(move || in_jobs(&jobs)).await??;
        in_jobs.iter().for_each(|name| used(name));
        self.rows(&mut used, &mut manifests).await?;
        self.uploads(&mut used).await?;
        for name in &manifests {
            let content = self.artifacts.get(name).await;
            let content = content.with_context(|| format!("what the manifest {name} names is not known"))?;
            names_in(&content).for_each(&mut used);
        }
        self.records(&mut used, &mut manifests).await
    }

    async fn rows(&self, used: &mut impl FnMut(&str), manifests: &mut HashSet<String>) -> Result<()> {
        let mut before = None;
        loop {
            let datasets = self.registry.list_datasets(None, before.as_ref(), ROWS_AT_ONCE).await?;
            manifests.extend(datasets.items.into_iter().map(|dataset| dataset.manifest));
            before = datasets.next;
            if before.is_none() {
                break;
            }
        }
        loop {
            let models = self.registry.list_models(None, before.as_ref(), ROWS_AT_ONCE).await?;
            for model in models.items {
                manifests.insert(model.manifest);
                let evaluation = self.registry.evaluation(&model.model).await?;
                let report = evaluation.map(|evaluation| [evaluation.report, evaluation.page]);
                report.into_iter().flatten().flatten().for_each(|name| used(&name));
            }
            before = models.next;
            if before.is_none() {
                break;
            }
        }
        self.checkpoints(used).await?;
        manifests.iter().for_each(|name| used(name));
        Ok(())
    }

    async fn checkpoints(&self, used: &mut impl FnMut(&str)) -> Result<()> {
        let mut before = None;
        loop {
            let jobs = self.registry.list_jobs(None, None, before.as_ref(), ROWS_AT_ONCE).await?;
            // A job that has succeeded needs none any more.
            for job in jobs.items.into_iter().filter(|job| job.state != JobState::Succeeded) {
                let progress = job.progress.unwrap_or_default();
                let of_checkpoint = progress.checkpoint.iter().flat_map(|checkpoint| &checkpoint.files);
                let of_folds = progress.folds.iter().flat_map(|fold| &fold.adapter);
                of_checkpoint.chain(of_folds).for_each(|file| used(&file.artifact));
            }
            before = jobs.next;
            if before.is_none() {
                return Ok(());
            }
        }
    }

    async fn uploads(&self, used: &mut impl FnMut(&str)) -> Result<()> {
        let mut after = None;
        loop {
            let files = self.warehouse.files_after(after.as_ref(), ROWS_AT_ONCE).await?;
            files.iter().for_each(|file| used(&file.artifact));
            let Some(last) = files.into_iter().next_back() else { return Ok(()) };
            after = Some((last.source_id, last.name));
        }
    }

    /// `read` are the manifests whose names have been told.
    async fn records(&self, used: &mut impl FnMut(&str), read: &mut HashSet<String>) -> Result<()> {
        let partitions = self.partitions().await?;
        let records_of = |partition: TopicPartition| {
            let records = self.log.records(&partition, 0..u64::MAX);
            records.map_err(move |error| anyhow::Error::from(error).context(partition.to_string())).boxed()
        };
        let mut records = stream::iter(partitions).map(records_of).flatten_unordered(CONCURRENCY);
        while let Some(record) = records.try_next().await? {
            let headers = record.headers.iter().map(|(_, value)| value);
            let mut named: HashSet<&str> = HashSet::new();
            headers.chain(&record.value).for_each(|text| named.extend(names_in(text)));
            let may_name_manifests = may_name_manifests(&record.position.partition.topic);
            for name in named {
                used(name);
                if may_name_manifests && read.insert(name.to_owned()) {
                    self.of_event(name, used).await?;
                }
            }
        }
        Ok(())
    }

    /// The partitions of all topics.
    async fn partitions(&self) -> Result<Vec<TopicPartition>> {
        let mut partitions = Vec::new();
        for topic in TopicSpec::all(1) {
            let ends = self.log.watermarks(&topic.name).await.with_context(|| topic.name.clone())?;
            let name: Arc<str> = topic.name.as_str().into();
            partitions.extend(ends.into_keys().map(|partition| TopicPartition { topic: name.clone(), partition }));
        }
        Ok(partitions)
    }

    /// What an artifact names that an event does. One that is gone is of no use to whoever reads the event.
    async fn of_event(&self, name: &str, used: &mut impl FnMut(&str)) -> Result<()> {
        match self.artifacts.get(name).await {
            Ok(content) => names_in(&content).for_each(used),
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error).with_context(|| format!("what the manifest {name} names is not known")),
        }
        Ok(())
    }
}

/// Whether events of the topic name manifests; its dead letters do as well.
fn may_name_manifests(topic: &str) -> bool {
    [Topic::Datasets, Topic::Models].iter().any(|known| topic.starts_with(known.name()))
}

/// The names in a text of any form.
fn names_in(text: &[u8]) -> impl Iterator<Item = &str> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let is_name = move |window: &&[u8]| window.starts_with(PREFIX) && window[PREFIX.len()..].iter().all(is_digit);
    text.windows(LENGTH).filter(is_name).filter_map(|name| std::str::from_utf8(name).ok())
}

/// The names in the files of all jobs: `<kind>/<job>/<file>.json`. A job may end and its folder go meanwhile.
fn in_jobs(jobs: &Path) -> Result<HashSet<String>> {
    let mut names = HashSet::new();
    let mut folders = vec![jobs.to_owned()];
    for _ in ["kinds", "jobs"] {
        folders = folders.iter().map(|folder| entries(folder)).collect::<Result<Vec<_>>>()?.concat();
    }
    for file in folders.iter().map(|folder| entries(folder)).collect::<Result<Vec<_>>>()?.concat() {
        if file.extension().is_some_and(|extension| extension == "json")
            && let Some(text) = if_there(std::fs::read(&file)).with_context(|| file.display().to_string())?
        {
            names.extend(names_in(&text).map(str::to_owned));
        }
    }
    Ok(names)
}

/// What is in a folder; nothing is in a file, or in what is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let Some(entries) = if_there(std::fs::read_dir(folder)).with_context(|| folder.display().to_string())? else {
        return Ok(Vec::new());
    };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn if_there<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    use std::io::ErrorKind;
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests;
