//! Folds: what a job trains beside the model of a small author, and where it goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use twin_artifacts::Artifacts;
use twin_backend::Error as BackendError;
use twin_schemas::{ChatMessage, ChatSample, DocumentId, EvaluationSample, FoldSample, JobId, Role, SampleKind, Split};
use twin_trainer::{FoldTraining, Keep, TrainingOrder, TrainingProduct, TrainingReport, work};
use twin_training::{Base, Engine, Finished, Measured, Observer, Plan, Progress, Recipe, Task};

/// Of the model's own training.
const MODEL: &[u8] = b"{\"messages\": []}\n";

/// Steps of each run.
const STEPS: usize = 4;

/// Where a checkpoint is in a run's folder.
const CHECKPOINT: &str = "checkpoints/step-00000002";

/// How a run fails.
type Failure = fn() -> BackendError;

/// Trains nothing, in four steps with a checkpoint after the second; notes what it was given.
#[derive(Default)]
struct Notes {
    /// The runs that were begun: the folder below the job's, and the step that it began with.
    runs: Mutex<Vec<(String, usize)>>,
    /// The samples of each run.
    samples: Mutex<Vec<(String, String)>>,
    /// The run that fails after its second step, and how.
    fails: Option<(&'static str, Failure)>,
    job: PathBuf,
}

impl Notes {
    fn of(job: &Path) -> Self {
        Self { job: job.to_owned(), ..Self::default() }
    }

    /// The run's folder below the job's, without what tells a fold from that of another cut.
    fn name(&self, task: &Task) -> String {
        without_hash(&task.folder.strip_prefix(&self.job).unwrap().display().to_string())
    }

    fn runs(&self) -> Vec<(String, usize)> {
        self.runs.lock().unwrap().clone()
    }
}

/// `folds/1` of the path `folds/1-0123abcd` of a fold, and of all that is below it.
fn without_hash(path: &str) -> String {
    let without = |name: &str| match name.split_once('-') {
        Some((fold, hash)) if hash.len() == 8 && fold.parse::<usize>().is_ok() => fold.to_owned(),
        _ => name.to_owned(),
    };
    path.split('/').map(without).collect::<Vec<_>>().join("/")
}

/// A plan of four steps.
fn planned(recipe: &Recipe) -> Plan {
    let recipe = Recipe { pack_tokens: Some(256), ..recipe.clone() };
    serde_json::from_value(json!({
        "recipe": recipe, "samples": {}, "longest": 200, "limit": 256, "positions": 8_192, "steps": STEPS,
        "tokens": 1_024, "evaluation_tokens": 0, "memory_bytes": 1, "parameters": 1,
    }))
    .unwrap()
}

fn progress(step: usize) -> Progress {
    serde_json::from_value(json!({
        "stage": 0, "step": step, "steps": STEPS, "loss": 1.0 / step as f64, "learning_rate": 0.1, "tokens": step,
        "tokens_per_s": 1_024.0, "eta_s": 1.0, "evaluation_loss": null,
    }))
    .unwrap()
}

impl Engine for Notes {
    fn plan(&self, task: &Task) -> Result<Plan, BackendError> {
        Ok(planned(&task.recipe))
    }

    fn train(&self, task: &Task, observer: &mut dyn Observer) -> Result<Finished, BackendError> {
        assert_eq!(task.recipe.pack_tokens, Some(256), "what was planned is what is done");
        let (name, checkpoint) = (self.name(task), task.folder.join(CHECKPOINT));
        let first = if checkpoint.exists() { 3 } else { 1 };
        self.runs.lock().unwrap().push((name.clone(), first));
        let samples = std::fs::read_to_string(&task.train).unwrap();
        self.samples.lock().unwrap().push((name.clone(), samples));
        assert_eq!(task.merge, name.is_empty(), "folds are adapters alone");
        for step in first..=STEPS {
            observer.progress(&progress(step));
            if step == 2 {
                std::fs::create_dir_all(&checkpoint).unwrap();
                std::fs::write(checkpoint.join("state"), name.as_str()).unwrap();
                observer.checkpoint(step, &checkpoint);
                if let Some((_, error)) = self.fails.filter(|(failing, _)| *failing == name) {
                    return Err(error());
                }
            }
        }
        let output = task.output();
        for (file, text) in [("adapter/adapter_config.json", name.as_str()), ("merged/config.json", "{}")]
            .into_iter()
            .chain(["loss.csv", "loss.json", "loss.svg"].map(|curve| (curve, curve)))
        {
            let path = output.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let measured = vec![Measured { name: "loss".into(), step: STEPS as u64, value: 0.25 }];
        Ok(Finished { output, steps: STEPS as u64, evaluation_loss: Some(0.5), measured })
    }
}

fn id(number: usize) -> DocumentId {
    format!("{number:032x}").parse().unwrap()
}

/// A sample of each of nine documents, and a title of the first.
fn samples() -> Vec<FoldSample> {
    let sample = |number: usize, measured: bool| FoldSample {
        sample: EvaluationSample {
            kind: SampleKind::Voice,
            document_id: id(number),
            prompt: vec![ChatMessage { role: Role::User, content: format!("Write about {number}.") }],
            reference: if measured { format!("Text {number}.") } else { format!("Title {number}.") },
            passages: Vec::new(),
            right: None,
            ends: true,
        },
        split: if number < 8 { Split::Train } else { Split::Test },
        family: id(number),
        measured,
    };
    (0..9).map(|number| sample(number, true)).chain([sample(0, false)]).collect()
}

struct Place {
    folder: TempDir,
    store: PathBuf,
    artifacts: Artifacts,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (store, base) = (folder.path().join("artifacts"), folder.path().join("base"));
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join("config.json"), "{}").unwrap();
        std::fs::write(base.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
        let artifacts = Artifacts::in_folder(&store).unwrap();
        Self { folder, store, artifacts }
    }

    /// A job with three folds, for a training of at most so many steps.
    async fn order(&self, max_steps: u64) -> TrainingOrder {
        let lines: Vec<String> = samples().iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        let (first, second) = lines.split_at(4);
        let mut parts = Vec::new();
        for part in [first, second] {
            parts.push(self.artifacts.put(part.concat().into_bytes()).await.unwrap());
        }
        TrainingOrder {
            job: JobId("1".repeat(64)),
            base: Base::open(&self.folder.path().join("base")).unwrap().fingerprint,
            recipe: toml::to_string(&Recipe::default()).unwrap(),
            train: vec![self.artifacts.put(MODEL.to_vec()).await.unwrap()],
            validation: Vec::new(),
            following: Vec::new(),
            threads: 1,
            keep: Keep::Merged,
            max_left_out: 0.01,
            checkpoint: None,
            folds: Some(FoldTraining { folds: 5, max_steps, samples: parts, done: Vec::new() }),
        }
    }

    fn job(&self, name: &str, order: &TrainingOrder) -> PathBuf {
        let job = self.folder.path().join(name);
        std::fs::create_dir_all(&job).unwrap();
        let submission = json!({ "resources": { "memory_bytes": 1 << 30, "seconds": 600 }, "order": order });
        std::fs::write(job.join("order.json"), submission.to_string()).unwrap();
        job
    }

    async fn work(&self, job: &Path, engine: Notes) -> (Arc<Notes>, Result<(), twin_trainer::Error>) {
        let engine = Arc::new(engine);
        let base = self.folder.path().join("base");
        let done = work(job, &Artifacts::url_of_folder(&self.store), &base, engine.clone()).await;
        (engine, done)
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

fn run(name: &str, first: usize) -> (String, usize) {
    (name.to_owned(), first)
}

fn away() -> BackendError {
    BackendError::transient("the disk behind the network is away")
}

#[tokio::test]
async fn each_document_is_left_out_of_one_fold_and_the_model_learns_what_it_would_without_them() {
    let place = Place::new();
    let job = place.job("job", &place.order(100).await);
    let (engine, done) = place.work(&job, Notes::of(&job)).await;
    done.unwrap();
    assert_eq!(engine.runs(), [run("folds/0", 1), run("folds/1", 1), run("folds/2", 1), run("", 1)]);

    let product = product(&job);
    let left_out: Vec<DocumentId> = product.folds.iter().flat_map(|fold| fold.left_out.clone()).collect();
    let all: BTreeSet<DocumentId> = (0..9).map(id).collect();
    assert_eq!((left_out.len(), left_out.into_iter().collect::<BTreeSet<_>>()), (9, all));
    let seen = engine.samples.lock().unwrap().clone();
    for (fold, (_, text)) in product.folds.iter().zip(&seen) {
        let learned: Vec<ChatSample> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(fold.samples, learned.len() as u64);
        for number in 0..9 {
            let is_there = text.contains(&format!("\"Text {number}.\""));
            assert_eq!(is_there, !fold.left_out.contains(&id(number)), "fold {}, document {number}", fold.fold);
        }
        // A title is learned, as the model learns it.
        assert_eq!(text.contains("Title 0."), !fold.left_out.contains(&id(0)));
        let adapter = place.artifacts.get(&fold.adapter[0].artifact).await.unwrap();
        assert_eq!(String::from_utf8(adapter).unwrap(), format!("folds/{}", fold.fold), "each has its own adapter");
    }
    assert_eq!(seen[3].1.as_bytes(), MODEL);
    assert_eq!(
        (product.steps, product.metrics.len(), product.files.is_some()),
        (4, 1, true),
        "what is told is the model's"
    );
    let progress = reported(&job).progress;
    assert_eq!((progress.step, progress.steps, progress.folds.len()), (16, 16, 3), "steps are those of all runs");
    let left = std::fs::read_dir(job.join("folds")).unwrap().map(|entry| entry.unwrap().path());
    let is_note = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let left: Vec<PathBuf> = left.collect();
    assert!(left.len() == 3 && left.iter().all(is_note), "what is done makes room: {left:?}");
}

#[tokio::test]
async fn a_job_that_is_broken_off_between_folds_goes_on_where_it_was_on_this_machine() {
    let place = Place::new();
    let job = place.job("job", &place.order(100).await);
    let (_, broken) = place.work(&job, Notes { fails: Some(("folds/1", away)), ..Notes::of(&job) }).await;
    assert!(broken.unwrap_err().is_transient());
    assert_eq!(reported(&job).progress.folds.len(), 1);
    let checkpoint = reported(&job).progress.checkpoint.unwrap().path;
    assert_eq!(without_hash(&checkpoint), format!("folds/1/{CHECKPOINT}"));
    let (engine, done) = place.work(&job, Notes::of(&job)).await;
    done.unwrap();
    assert_eq!(engine.runs(), [run("folds/1", 3), run("folds/2", 1), run("", 1)], "the same order, and nothing twice");
    let folds: Vec<u32> = product(&job).folds.iter().map(|fold| fold.fold).collect();
    assert_eq!(folds, [0, 1, 2]);
}

#[tokio::test]
async fn a_job_that_another_machine_has_begun_goes_on_with_its_folds_and_its_checkpoint() {
    let place = Place::new();
    let order = place.order(100).await;
    let here = place.job("here", &order);
    let (_, broken) = place.work(&here, Notes { fails: Some(("folds/2", away)), ..Notes::of(&here) }).await;
    broken.unwrap_err();
    let progress = reported(&here).progress;
    let folds = order.folds.clone().map(|folds| FoldTraining { done: progress.folds.clone(), ..folds });
    let next = TrainingOrder { checkpoint: progress.checkpoint.clone(), folds, ..order.clone() };
    let there = place.job("there", &next);
    let (engine, done) = place.work(&there, Notes::of(&there)).await;
    done.unwrap();
    assert_eq!(engine.runs(), [run("folds/2", 3), run("", 1)]);
    assert_eq!(product(&there).folds.len(), 3);

    // Of a fold of another cut nothing is taken over.
    let mut folds = next.folds.unwrap();
    folds.done[0].left_out.pop();
    let anew = place.job("anew", &TrainingOrder { folds: Some(folds), checkpoint: None, ..order });
    let (engine, done) = place.work(&anew, Notes::of(&anew)).await;
    done.unwrap();
    assert_eq!(engine.runs(), [run("folds/0", 1), run("folds/2", 1), run("", 1)]);
}

#[tokio::test]
async fn a_job_whose_documents_are_cut_otherwise_by_its_next_attempt_trains_these_folds() {
    let place = Place::new();
    let order = place.order(100).await;
    let job = place.job("job", &order);
    let (_, broken) = place.work(&job, Notes { fails: Some(("folds/1", away)), ..Notes::of(&job) }).await;
    broken.unwrap_err();
    let progress = reported(&job).progress;
    let folds = order.folds.clone().map(|folds| FoldTraining { folds: 2, done: progress.folds, ..folds });
    let job = place.job("job", &TrainingOrder { folds, checkpoint: progress.checkpoint, ..order });
    let (engine, done) = place.work(&job, Notes::of(&job)).await;
    done.unwrap();
    assert_eq!(engine.runs(), [run("folds/0", 1), run("folds/1", 1), run("", 1)], "nothing is gone on with");
    assert_eq!(product(&job).folds.len(), 2);
}

#[tokio::test]
async fn a_training_that_is_too_long_has_no_folds_and_an_order_of_an_earlier_version_neither() {
    let place = Place::new();
    let order = place.order(STEPS as u64 - 1).await;
    let long = place.job("long", &order);
    let (engine, done) = place.work(&long, Notes::of(&long)).await;
    done.unwrap();
    assert_eq!((engine.runs(), product(&long).folds.len()), (vec![run("", 1)], 0));

    let mut earlier = serde_json::to_value(&order).unwrap();
    earlier.as_object_mut().unwrap().remove("folds");
    assert_eq!(serde_json::from_value::<TrainingOrder>(earlier).unwrap().folds, None);
    let mut earlier = serde_json::to_value(product(&long)).unwrap();
    earlier.as_object_mut().unwrap().remove("folds");
    assert!(serde_json::from_value::<TrainingProduct>(earlier).unwrap().folds.is_empty());
}

#[tokio::test]
async fn a_fold_that_can_not_be_trained_ends_the_job_and_says_how_to_do_without() {
    let place = Place::new();
    let job = place.job("job", &place.order(100).await);
    let diverges: fn() -> BackendError =
        || BackendError::new(twin_backend::Kind::Permanent, "the loss is not a number any more");
    let (engine, done) = place.work(&job, Notes { fails: Some(("folds/1", diverges)), ..Notes::of(&job) }).await;
    done.unwrap();
    let outcome = read(&job, "outcome.json");
    let why = outcome["Err"].as_str().unwrap_or_else(|| panic!("{outcome}"));
    assert!(why.contains("fold 2 of 3") && why.contains("not a number") && why.contains("trainer.folds = 0"), "{why}");
    assert_eq!(engine.runs().len(), 2, "the model is not trained");
}
