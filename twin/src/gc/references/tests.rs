use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use tempfile::TempDir;
use twin_artifacts::FolderFile;
use twin_registry::{
    EvaluationOutcome, FoldAdapter, JobCheckpoint, JobOutcome, JobProgress, NewDataset, NewJob, NewModel,
};
use twin_schemas::{DatasetId, JobId, ModelId, SourceKind, Verdict, dead_letter_topic};
use twin_sqlite::{Database, SqliteLog, SqliteWarehouse};
use twin_stream::{ClaimCheck, NewRecord};
use twin_warehouse::{NewSource, UploadedFile};

use super::super::{Collected, remove, unnamed};
use super::*;

/// Above this, values travel by name.
const MAX_VALUE_BYTES: usize = 500;

fn uploads() -> NewSource {
    NewSource {
        author: "ada".parse().unwrap(),
        kind: SourceKind::new("files"),
        location: "files:notes".into(),
        category: None,
        interval_s: 60,
        settings: serde_json::Value::Null,
        secret_names: Vec::new(),
    }
}

struct Place {
    folder: TempDir,
    registry: Registry,
    warehouse: Arc<dyn Warehouse>,
    artifacts: Artifacts,
    log: Arc<dyn EventLog>,
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let registry = twin_sqlite::registry(database.clone()).await.unwrap();
        let warehouse = Arc::new(SqliteWarehouse::open(database.clone()).await.unwrap());
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        let log = SqliteLog::open(database, MAX_VALUE_BYTES).await.unwrap();
        log.ensure_topics(&TopicSpec::all(2)).await.unwrap();
        Self { folder, registry, warehouse, artifacts, log: Arc::new(log) }
    }

    async fn put(&self, content: impl Into<String>) -> String {
        self.artifacts.put(content.into().into_bytes()).await.unwrap()
    }

    fn path_of(&self, name: &str) -> PathBuf {
        let digest = name.strip_prefix("sha256:").unwrap();
        self.folder.path().join("artifacts").join(&digest[..2]).join(digest)
    }

    /// Makes everything look as if it had been stored a month ago.
    async fn age(&self) {
        let stored: Vec<_> = self.artifacts.list().try_collect().await.unwrap();
        for stored in stored {
            let file = File::open(self.path_of(&stored.name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(30 * 24 * 60 * 60)).unwrap();
        }
    }

    async fn collect(&self, dry_run: bool) -> Result<Collected> {
        let since = Utc::now() - TimeDelta::days(7);
        let jobs = self.folder.path().join("jobs");
        let (registry, artifacts) = (&self.registry, &self.artifacts);
        let warehouse = &*self.warehouse;
        let references = References { registry, warehouse, log: &*self.log, artifacts, jobs: &jobs };
        let (unnamed, kept) = unnamed(&references, since).await?;
        remove(artifacts, unnamed, kept, since, dry_run).await
    }

    async fn append(&self, topic: &str, value: String) {
        let record =
            NewRecord { topic: topic.into(), key: b"k".into(), value: Some(value.into()), headers: Vec::new() };
        let log = ClaimCheck::new(self.log.clone(), self.artifacts.clone());
        log.append(vec![record]).await.unwrap();
    }

    async fn add_dataset(&self, digit: &str, manifest: String) -> DatasetId {
        let dataset = DatasetId(digit.repeat(64));
        let new = NewDataset {
            prompts: None,
            dataset: dataset.clone(),
            author: "ada".parse().unwrap(),
            manifest,
            training_samples: 1,
            counts: BTreeMap::new(),
            reason: String::new(),
            members: Vec::new(),
        };
        self.registry.add_dataset(new, Utc::now()).await.unwrap();
        dataset
    }

    /// A job that has begun and has stored a checkpoint.
    async fn start_job(&self, digit: &str, dataset: DatasetId, checkpoint: String) -> JobId {
        let job = JobId(digit.repeat(64));
        let new = NewJob {
            job: job.clone(),
            author: "ada".parse().unwrap(),
            dataset,
            base: "base".into(),
            recipe: "{}".into(),
            sweep: None,
            code_version: "1".into(),
        };
        self.registry.queue_job(new, Utc::now()).await.unwrap();
        self.registry.start_job(&job, Utc::now()).await.unwrap();
        let file = FolderFile { path: "state".into(), artifact: checkpoint, bytes: 1 };
        let checkpoint = JobCheckpoint { step: 1, path: "checkpoints/1".into(), files: vec![file] };
        let progress = JobProgress { checkpoint: Some(checkpoint), ..JobProgress::default() };
        self.registry.note_job_progress(&job, 1, progress).await.unwrap();
        job
    }

    /// A job under way is through with a fold.
    async fn finish_fold(&self, job: &JobId) {
        let adapter = FolderFile { path: "adapter".into(), artifact: self.put("a fold").await, bytes: 6 };
        let fold = FoldAdapter {
            fold: 0,
            left_out: Vec::new(),
            steps: 1,
            samples: 1,
            shown_beside: 0,
            evaluation_loss: None,
            adapter: vec![adapter],
        };
        let progress = self.registry.job(&job.0).await.unwrap().unwrap().progress.unwrap();
        let progress = JobProgress { folds: vec![fold], ..progress };
        assert!(self.registry.note_job_progress(job, 1, progress).await.unwrap());
    }

    async fn add_model(&self, dataset: DatasetId, manifest: String, checkpoint: String) -> ModelId {
        let job = self.start_job("1", dataset, checkpoint).await;
        let made = JobOutcome::Succeeded(Some(NewModel { manifest }));
        self.registry.finish_job(&job, 1, made, Utc::now()).await.unwrap().unwrap()
    }

    fn write_job(&self, file: &str, text: String) {
        let path = self.folder.path().join("jobs").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn removed(collected: &Collected) -> Vec<&str> {
    collected.removed.iter().map(|removed| removed.artifact.as_str()).collect()
}

#[tokio::test]
async fn all_that_anything_names_stays_and_nothing_else_does() {
    let place = Place::new().await;
    let (part, card) = (place.put("{\"messages\": []}\n").await, place.put("# Dataset").await);
    let manifest = json!({"files": [{"parts": [part]}, {"parts": [card]}]});
    let dataset = place.add_dataset("a", place.put(manifest.to_string()).await).await;
    let (weights, adapter, curve) = (place.put("weights").await, place.put("adapter").await, place.put("curve").await);
    let manifest = json!({"merged": [{"artifact": weights}], "adapter": [{"artifact": adapter}], "curves": [curve]});
    let (replaced, needed) = (place.put("nor me").await, place.put("a checkpoint").await);
    let model = place.add_model(dataset.clone(), place.put(manifest.to_string()).await, replaced.clone()).await;
    let under_way = place.start_job("2", dataset, needed).await;
    place.finish_fold(&under_way).await;
    place.registry.queue_evaluation(&model, Utc::now()).await.unwrap();
    let (report, page) = (place.put("{\"verdict\": 1}").await, place.put("<!doctype html>").await);
    let outcome = EvaluationOutcome { verdict: Verdict::Passed, grounded: false, report, page };
    place.registry.finish_evaluation(&model, 0, outcome, Utc::now()).await.unwrap();

    // What a job was ordered, and what an evaluation has made and nobody has taken over.
    place.write_job("train/1/order.json", json!({"train": [place.put("ordered").await]}).to_string());
    let outcome = json!({"Ok": {"report": place.put("a report").await, "page": place.put("a page").await}});
    place.write_job("evaluate/ada-v2/outcome.json", outcome.to_string());
    place.write_job("train/2/log", "no JSON at all".into());

    // Values that are too large, in a topic and among the dead letters; an event of a version that no row knows.
    place.append(Topic::DocumentsRaw.name(), "large ".repeat(MAX_VALUE_BYTES)).await;
    place.append(&dead_letter_topic(Topic::DocumentsCleaned.name()), "dead ".repeat(MAX_VALUE_BYTES)).await;
    let foreign = json!({"files": [{"parts": [place.put("a foreign part").await]}]});
    let event = json!({"manifest": place.put(foreign.to_string()).await, "gone": format!("sha256:{}", "0".repeat(64))});
    place.append(Topic::Datasets.name(), event.to_string()).await;

    let source_id = place.warehouse.put_source(uploads()).await.unwrap().id;
    for number in 0..ROWS_AT_ONCE + 2 {
        let (name, artifact) = (format!("{number}.md"), place.put(format!("upload {number}")).await);
        let file = UploadedFile { source_id, name, artifact, bytes: 1, uploaded_at: Utc::now() };
        place.warehouse.put_file(file, usize::MAX).await.unwrap();
    }

    // The checkpoint of a job that has ended well is of no use.
    let garbage = [place.put("nobody knows me").await, replaced];
    place.age().await;
    let young = place.put("just stored").await;
    let all: Vec<_> = place.artifacts.list().try_collect().await.unwrap();

    let told = place.collect(true).await.unwrap();
    let mut expected = garbage.clone();
    expected.sort();
    assert_eq!(removed(&told), expected);
    assert_eq!((told.bytes, told.kept), (21, all.len() as u64 - 2));
    assert!(place.artifacts.get(&garbage[0]).await.is_ok(), "nothing is removed by a dry run");

    assert_eq!(removed(&place.collect(false).await.unwrap()), expected);
    let left: Vec<_> = place.artifacts.list().try_collect().await.unwrap();
    assert_eq!(left.len(), all.len() - 2);
    assert!(left.iter().any(|stored| stored.name == young));
    assert!(place.collect(false).await.unwrap().removed.is_empty());
}

#[tokio::test]
async fn nothing_is_removed_where_a_manifest_can_not_be_read_or_the_log_is_not_the_twins() {
    let place = Place::new().await;
    let manifest = place.put(json!({"files": [{"parts": [place.put("part").await]}]}).to_string()).await;
    place.add_dataset("a", manifest.clone()).await;
    place.age().await;
    let sound = std::fs::read(place.path_of(&manifest)).unwrap();
    std::fs::write(place.path_of(&manifest), "{}").unwrap();
    let error = format!("{:#}", place.collect(false).await.unwrap_err());
    assert!(error.contains(&manifest) && error.contains("damaged"), "{error}");
    std::fs::write(place.path_of(&manifest), sound).unwrap();

    let other = Database::open(&place.folder.path().join("other.db")).unwrap();
    let log = Arc::new(SqliteLog::open(other, MAX_VALUE_BYTES).await.unwrap());
    let error = format!("{:#}", Place { log, ..place }.collect(false).await.unwrap_err());
    assert!(error.contains("there is no topic"), "{error}");
}

#[test]
fn a_name_is_found_in_any_text_and_nothing_else_is() {
    let name = format!("sha256:{}", "0f".repeat(32));
    let text = format!("{{\"a\":\"{name}\",\"b\":[\"sha256:short\",\"{name}\"]}}, SHA256:{}", "0".repeat(64));
    assert_eq!(names_in(text.as_bytes()).collect::<Vec<_>>(), [name.as_str(), &name]);
    assert_eq!(names_in(b"sha256:").count(), 0);
    let binary = [&[0xff, 0x00][..], name.as_bytes(), &[0xff]].concat();
    assert_eq!(names_in(&binary).count(), 1);
}
