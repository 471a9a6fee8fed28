//! What a job's process fetches, says and stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use twin_artifacts::Artifacts;
use twin_backend::Error as BackendError;
use twin_registry::JobCheckpoint;
use twin_schemas::JobId;
use twin_trainer::{Keep, StageSamples, TrainingOrder, TrainingProduct, TrainingReport, work};
use twin_training::{Base, Engine, Finished, Fit, Measured, Method, Observer, Plan, Progress, Recipe, Stage, Task};

const SAMPLE: &[u8] = b"{\"messages\": []}\n";
const PREFERENCE: &[u8] = b"{\"prompt\": []}\n";
const CHECKPOINT: &str = "checkpoints/step-00000002";

/// Does four steps, with a checkpoint after the second. Where that is there already, it says so in its curve.
struct Steps {
    /// Fails after the second step.
    fails: Option<fn() -> BackendError>,
    /// Grounded samples of thirty that do not fit.
    too_long: u64,
}

impl Steps {
    fn output(&self, task: &Task) -> PathBuf {
        let output = task.output();
        let write = |name: &str, text: &str| {
            let path = output.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("adapter/adapter_config.json", "{}");
        for name in ["loss.csv", "loss.json", "loss.svg"] {
            write(name, name);
        }
        if task.merge {
            write("merged/config.json", "{}");
        }
        output
    }
}

/// A plan of four steps, in which that many grounded samples of thirty are too long.
fn planned(recipe: &Recipe, too_long: u64) -> Plan {
    Plan {
        recipe: Recipe { pack_tokens: Some(256), ..recipe.clone() },
        samples: [("grounded".to_owned(), Fit { read: 30, too_long, unseen: 0 })].into(),
        longest: 1_380,
        limit: 256,
        positions: 8_192,
        steps: 4,
        tokens: 1_024,
        evaluation_tokens: 0,
        memory_bytes: 1 << 30,
        parameters: 135_000_000,
        stages: Vec::new(),
    }
}

impl Engine for Steps {
    fn plan(&self, task: &Task) -> Result<Plan, BackendError> {
        Ok(planned(&task.recipe, self.too_long))
    }

    fn train(&self, task: &Task, observer: &mut dyn Observer) -> Result<Finished, BackendError> {
        assert_eq!(std::fs::read(&task.train).unwrap(), SAMPLE.repeat(2));
        assert_eq!(task.recipe.pack_tokens, Some(256), "what was planned is what is done");
        for files in &task.following {
            assert_eq!(std::fs::read(&files.train).unwrap(), PREFERENCE);
            assert_eq!(files.validation, None);
        }
        let checkpoint = task.folder.join(CHECKPOINT);
        let first = if checkpoint.exists() { 3 } else { 1 };
        let mut measured = Vec::new();
        for step in first..=4 {
            let (loss, learning_rate) = (1.0 / step as f64, 0.1);
            let (tokens, tokens_per_s, eta_s) = (step, 1.0, 1.0);
            // As of a run that was evaluated after its first step.
            let (evaluation_loss, evaluated_at) = (Some(0.7), Some(1));
            let stage = usize::from(!task.following.is_empty() && step > 2);
            let progress = Progress {
                stage,
                step,
                steps: 4,
                loss,
                learning_rate,
                tokens,
                tokens_per_s,
                eta_s,
                evaluation_loss,
                evaluated_at,
            };
            observer.progress(&progress);
            measured.push(Measured { name: "loss".into(), step: step as u64, value: loss });
            if step == 2 {
                std::fs::create_dir_all(&checkpoint).unwrap();
                std::fs::write(checkpoint.join("state"), "two steps").unwrap();
                observer.checkpoint(step, &checkpoint);
                if let Some(fails) = self.fails {
                    return Err(fails());
                }
            }
        }
        Ok(Finished { output: self.output(task), steps: 4, evaluation_loss: Some(0.5), measured })
    }
}

struct Place {
    folder: TempDir,
    store: PathBuf,
    artifacts: Artifacts,
}

impl Place {
    /// A store, and a base model: a configuration and a safetensors file without a tensor.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, base) = (folder.path().join("artifacts"), folder.path().join("base"));
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join("config.json"), "{}").unwrap();
        std::fs::write(base.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
        let artifacts = Artifacts::in_folder(&store).unwrap();
        Self { folder, store, artifacts }
    }

    async fn order(&self) -> TrainingOrder {
        let samples = self.artifacts.put(SAMPLE.to_vec()).await.unwrap();
        TrainingOrder {
            job: JobId("1".repeat(64)),
            base: Base::open(&self.base()).unwrap().fingerprint,
            recipe: toml::to_string(&Recipe::default()).unwrap(),
            train: vec![samples.clone(), samples],
            validation: Vec::new(),
            following: Vec::new(),
            threads: 1,
            keep: Keep::Merged,
            max_left_out: 0.01,
            checkpoint: None,
            folds: None,
        }
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    /// The folder of a job with that order.
    fn job(&self, name: &str, order: &TrainingOrder) -> PathBuf {
        let job = self.folder.path().join(name);
        std::fs::create_dir_all(&job).unwrap();
        let submission = json!({ "resources": { "memory_bytes": 1 << 30, "seconds": 600 }, "order": order });
        std::fs::write(job.join("order.json"), submission.to_string()).unwrap();
        job
    }

    async fn work(&self, job: &Path, fails: Option<fn() -> BackendError>) -> Result<(), twin_trainer::Error> {
        self.work_with(job, Steps { fails, too_long: 0 }).await
    }

    async fn work_with(&self, job: &Path, steps: Steps) -> Result<(), twin_trainer::Error> {
        work(job, &Artifacts::url_of_folder(&self.store), &self.base(), Arc::new(steps)).await
    }
}

fn read(job: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(job.join(name)).unwrap()).unwrap()
}

fn product(job: &Path) -> TrainingProduct {
    serde_json::from_value(read(job, "outcome.json")["Ok"].take()).unwrap()
}

fn reported(job: &Path) -> TrainingReport {
    serde_json::from_value(read(job, "progress.json")).unwrap()
}

fn checkpoint(job: &Path) -> JobCheckpoint {
    reported(job).progress.checkpoint.expect("there is a checkpoint")
}

#[tokio::test]
async fn a_job_stores_what_is_wanted_of_it_and_names_it_without_a_path_of_this_machine() {
    let place = Place::new();
    for (keep, merged, curves) in
        [(Keep::Merged, Some(true), 3), (Keep::Adapter, Some(false), 3), (Keep::Measurements, None, 0)]
    {
        let job = place.job(&format!("{keep:?}"), &TrainingOrder { keep, ..place.order().await });
        place.work(&job, None).await.unwrap();
        let product = product(&job);
        assert_eq!((product.steps, product.evaluation_loss, product.metrics.len()), (4, Some(0.5), 4));
        assert_eq!(product.files.as_ref().map(|files| files.merged.is_some()), merged, "{keep:?}");
        assert_eq!(product.files.as_ref().map_or(0, |files| files.curves.len()), curves, "{keep:?}");
        for file in product.files.iter().flat_map(|files| files.adapter.iter().chain(&files.curves)) {
            assert_eq!(place.artifacts.get(&file.artifact).await.unwrap().len() as u64, file.bytes);
        }
        let home = place.folder.path().display().to_string();
        let said = ["order.json", "outcome.json", "progress.json"].map(|name| read(&job, name).to_string());
        assert!(said.iter().all(|said| !said.contains(&home)), "{said:?}");
    }
}

#[tokio::test]
async fn a_job_of_two_stages_has_the_samples_of_each_and_tells_their_losses_apart() {
    let place = Place::new();
    let recipe = Recipe { stages: [Method::Sft, Method::Dpo].map(Stage::of).to_vec(), ..Recipe::default() };
    let preferences = place.artifacts.put(PREFERENCE.to_vec()).await.unwrap();
    let order = TrainingOrder {
        recipe: toml::to_string(&recipe).unwrap(),
        following: vec![StageSamples { train: vec![preferences], validation: Vec::new() }],
        ..place.order().await
    };
    let job = place.job("staged", &order);
    place.work(&job, None).await.unwrap();
    let named = |name: &str| -> Vec<u64> {
        let report = reported(&job);
        report.metrics.iter().filter(|metric| metric.name == name).map(|metric| metric.step).collect()
    };
    assert_eq!((named("loss"), named("dpo_loss")), (vec![1, 2], vec![3, 4]));
    // An order of one stage is what it was.
    assert!(!serde_json::to_string(&place.order().await).unwrap().contains("following"));
}

#[tokio::test]
async fn a_job_that_would_not_see_its_samples_ends_before_its_first_step_with_the_numbers_and_the_key() {
    let place = Place::new();
    let blind = place.job("blind", &place.order().await);
    place.work_with(&blind, Steps { fails: None, too_long: 30 }).await.unwrap();
    let outcome = read(&blind, "outcome.json");
    let why = outcome["Err"].as_str().unwrap();
    assert!(why.contains("30 of 30 grounded") && why.contains("`pack_tokens`") && why.contains("1380"), "{why}");
    let planned = reported(&blind).progress.plan.unwrap();
    assert_eq!(planned.samples["grounded"], Fit { read: 30, too_long: 30, unseen: 0 });
    assert!(!blind.join(CHECKPOINT).exists(), "nothing was trained");

    // Whoever allows it has it, and it is told where the job and its model are.
    let order = TrainingOrder { max_left_out: 0.5, ..place.order().await };
    let allowed = place.job("allowed", &order);
    place.work_with(&allowed, Steps { fails: None, too_long: 12 }).await.unwrap();
    assert_eq!(product(&allowed).plan.unwrap().left_out(), "12 of 30 grounded samples");
    assert_eq!(reported(&allowed).progress.plan.unwrap().steps, 4, "it is there after the last step, too");
    // An order of an earlier version knows nothing of a bound.
    let mut earlier = serde_json::to_value(place.order().await).unwrap();
    earlier.as_object_mut().unwrap().remove("max_left_out");
    assert_eq!(serde_json::from_value::<TrainingOrder>(earlier).unwrap().max_left_out, 1.0);
}

#[tokio::test]
async fn a_job_goes_on_from_a_checkpoint_that_another_machine_has_stored() {
    let place = Place::new();
    let order = place.order().await;
    let here = place.job("here", &order);
    place.work(&here, Some(|| BackendError::transient("the disk behind the network is away"))).await.unwrap_err();
    let stored = checkpoint(&here);
    assert_eq!((stored.step, stored.path.as_str(), stored.files.len()), (2, CHECKPOINT, 1));

    let there = place.job("there", &TrainingOrder { checkpoint: Some(stored.clone()), ..order.clone() });
    place.work(&there, None).await.unwrap();
    assert_eq!(std::fs::read_to_string(there.join(CHECKPOINT).join("state")).unwrap(), "two steps");
    assert_eq!(product(&there).metrics[0].step, 3, "it began after the second step");
    assert_eq!(checkpoint(&there), stored, "whoever comes next has it too");
    let evaluated = reported(&there).metrics.into_iter().filter(|metric| metric.name == "evaluation_loss");
    assert_eq!(evaluated.map(|metric| metric.step).collect::<Vec<_>>(), [1], "it is noted where it was measured");

    // One that is lost costs the steps before it and no job.
    let mut lost = stored;
    lost.files[0].artifact = format!("sha256:{}", "0".repeat(64));
    let anew = place.job("anew", &TrainingOrder { checkpoint: Some(lost), ..order });
    place.work(&anew, None).await.unwrap();
    assert_eq!(product(&anew).metrics[0].step, 1);
}

#[tokio::test]
async fn a_checkpoint_that_can_not_be_stored_is_this_machines_alone_and_stops_no_job() {
    let place = Place::new();
    let job = place.job("job", &TrainingOrder { keep: Keep::Measurements, ..place.order().await });
    // A file where the store wants a folder of the checkpoint's first hash digits: nothing can be stored there.
    let digest = hash_of(b"two steps").await;
    std::fs::write(place.store.join(&digest[..2]), "in the way").unwrap();
    place.work(&job, None).await.unwrap();
    assert_eq!(reported(&job).progress.checkpoint, None);
    assert!(job.join(CHECKPOINT).exists());
}

/// The hash of a content.
async fn hash_of(content: &[u8]) -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    let name = Artifacts::in_folder(elsewhere.path()).unwrap().put(content.to_vec()).await.unwrap();
    name.strip_prefix("sha256:").unwrap().to_owned()
}

#[tokio::test]
async fn a_job_whose_samples_are_away_for_a_while_gives_way_and_one_that_can_not_be_done_ends() {
    let place = Place::new();
    let job = place.job("job", &TrainingOrder { base: "another".into(), ..place.order().await });
    let away = place.folder.path().join("away");
    std::fs::rename(&place.store, &away).unwrap();
    let error = place.work(&job, None).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let outcome = read(&job, "outcome.json");
    let why = outcome["Passing"].as_str().unwrap();
    assert!(why.contains("artifact") && outcome["Err"].is_null(), "another attempt may succeed: {outcome}");
    assert!(!place.store.exists(), "no other store is begun in its place");

    std::fs::rename(&away, &place.store).unwrap();
    // The samples are there now, and the base model is another.
    place.work(&job, None).await.unwrap();
    let outcome = read(&job, "outcome.json");
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains("set trainer.base")), "{outcome}");
}

#[tokio::test]
async fn a_job_whose_samples_are_gone_or_whose_disk_is_full_ends() {
    let place = Place::new();
    let gone = format!("sha256:{}", "0".repeat(64));
    let job = place.job("gone", &TrainingOrder { train: vec![gone.clone()], ..place.order().await });
    place.work(&job, None).await.unwrap();
    let outcome = read(&job, "outcome.json");
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains(&gone)), "{outcome}");

    let full = || BackendError::new(twin_backend::Kind::Disk, "no space left");
    let job = place.job("full", &place.order().await);
    place.work(&job, Some(full)).await.unwrap();
    let outcome = read(&job, "outcome.json");
    assert!(outcome["Err"].as_str().is_some_and(|problem| problem.contains("make room")), "{outcome}");
}
