//! Folds: adapters of a job's recipe, each trained without some of the documents.
//!
//! Of a small author the test split says next to nothing: of 30 posts it has three. So the documents of the training and the
//! test split are cut into folds, and of each fold an adapter is trained on the documents of all others, with the recipe
//! settled for them and the same validation split. Every document is then measured by the adapter that has not seen it
//! (cross-validation: Stone 1974, "Cross-Validatory Choice and Assessment of Statistical Predictions"). What is measured is
//! what the recipe makes of this author's documents; the model itself, which is trained on what it would be without folds, has
//! seen somewhat more of them.
//!
//! - Documents of one family, which share a prompt or too many words, are in one fold.
//! - A sample that shows a passage of a left-out document beside others is left out with it, and counted: an adapter has
//!   learned of a question with fewer samples than the model.
//! - The cut follows from the documents alone.
//!
//! Folds are trained before the model, one after the other, each in a folder of its own. One that is finished is named in the
//! job's report, so that an attempt after this one, on whatever machine, does not train it again; the job's checkpoint is that
//! of the run under way. A fold that can not be trained ends the job: its model could not be measured as it should be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;
use twin_artifacts::Artifacts;
use twin_registry::FoldAdapter;
use twin_schemas::{
    ChatMessage, ChatSample, ContentHash, DatasetManifest, DocumentId, FOLD_SAMPLES, FoldSample, Role, SampleKind,
    SourceDocument, Split,
};
use twin_training::{Engine, Method, Plan, Recipe, Task};

use crate::Error;
use crate::order::FoldTraining;
use crate::work::{Course, Watch, trained};

/// Documents of a fold, at least, on average: an answer is held against the other documents of its fold, which the adapter has
/// not seen either.
const LEAST_DOCUMENTS: usize = 3;

/// When a job trains folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldLimits {
    /// How many, at most; with fewer than two there are none.
    pub folds: usize,
    /// Documents of the test split from which on there are none.
    pub below: u64,
    /// Steps of the model's training beyond which there are none.
    pub steps: u64,
}

impl FoldLimits {
    /// What a job by that recipe is to train beside its model, of which `done` is done. None: nothing.
    pub(crate) fn order(
        &self,
        recipe: &Recipe,
        manifest: &DatasetManifest,
        done: Vec<FoldAdapter>,
    ) -> Option<FoldTraining> {
        let is_tested = |document: &&SourceDocument| document.split == Some(Split::Test) && document.passages > 0;
        let tested = manifest.documents.iter().filter(is_tested).count() as u64;
        let samples = manifest.parts(FOLD_SAMPLES).to_vec();
        let is_foldable = !learns_from_preferences(recipe) && !samples.is_empty();
        let is_wanted = self.folds > 1 && tested > 0 && tested < self.below;
        (is_foldable && is_wanted).then_some(FoldTraining { folds: self.folds, max_steps: self.steps, samples, done })
    }
}

/// Whether preferences are learned from, in whatever part of a recipe: they do not say which document they are of.
fn learns_from_preferences(recipe: &Recipe) -> bool {
    recipe.by_stage().iter().any(|stage| stage.method == Method::Dpo)
}

/// The run of a fold.
#[derive(Debug, Clone)]
pub(crate) struct FoldRun {
    number: u32,
    left_out: BTreeSet<DocumentId>,
    samples: u64,
    shown_beside: u64,
    /// With a recipe that leaves nothing open.
    task: Task,
    pub plan: Plan,
}

/// The runs of a job's folds, with their samples in folders of `task`'s. None where the job itself, whose plan is given, is
/// too long, or the documents can not be cut. `task` has the recipe as it was ordered.
pub(crate) async fn prepared(
    order: &FoldTraining,
    task: &Task,
    plan: &Plan,
    engine: &Arc<dyn Engine>,
    artifacts: &Artifacts,
) -> Result<Vec<FoldRun>, Error> {
    if plan.steps > order.max_steps {
        info!(steps = plan.steps, most = order.max_steps, "no folds are trained: the training is too long");
        return Ok(Vec::new());
    }
    let mut content = Vec::new();
    for part in &order.samples {
        content.extend(artifacts.get(part).await?);
    }
    let (folds, task, engine) = (order.folds, task.clone(), engine.clone());
    let prepared = tokio::task::spawn_blocking(move || -> Result<Vec<FoldRun>, Error> {
        let samples = read(&content)?;
        let parts = cut(&samples, folds).into_iter().enumerate();
        parts.map(|(number, left_out)| run(number, left_out, &samples, &task, engine.as_ref())).collect()
    });
    prepared.await.map_err(|panic| Error::Refused(format!("planning the folds panicked: {panic}")))?
}

/// Trains what is not done of the folds that are wanted beside a task. `plan` is the task's, which is trained after them.
pub(crate) async fn train(
    order: &FoldTraining,
    task: &Task,
    plan: &Plan,
    engine: &Arc<dyn Engine>,
    mut watch: Watch,
) -> Result<(Watch, Vec<FoldAdapter>), Error> {
    let runs = prepared(order, task, plan, engine, &watch.artifacts).await?;
    let count = runs.len();
    let mut course = Course {
        steps_before: 0,
        steps_after: runs.iter().map(|run| run.plan.steps).sum::<u64>() + plan.steps,
        tokens_after: runs.iter().map(|run| run.plan.tokens).sum::<u64>() + plan.tokens,
        is_beside: true,
    };
    watch.report.progress.steps = course.steps_after;
    let mut done = Vec::with_capacity(count);
    for run in runs {
        let steps = run.plan.steps;
        course.steps_after -= steps;
        course.tokens_after -= run.plan.tokens;
        watch.course = course;
        let note = note(&run.task.folder);
        let fold = match known(&run, &order.done, &note).await? {
            Some(fold) => fold,
            None => {
                let (number, folder) = (run.number, run.task.folder.clone());
                info!(fold = number + 1, folds = count, left_out = run.left_out.len(), "a fold is trained");
                let (watched, fold) =
                    run_of(run, engine, watch).await.map_err(|error| explained(error, number, count))?;
                watch = watched;
                keep(&fold, &note).await?;
                remove(&folder).await?;
                fold
            }
        };
        course.steps_before += steps;
        let progress = &mut watch.report.progress;
        progress.step = course.steps_before;
        // What it went on from is of no use any more. What an attempt before this one is through with stays noted.
        progress.checkpoint = progress.checkpoint.take().filter(|checkpoint| !is_of(&checkpoint.path, &note));
        progress.folds.retain(|known| known.fold != fold.fold);
        progress.folds.push(fold.clone());
        watch.tell();
        done.push(fold);
    }
    watch.course = Course { steps_after: 0, tokens_after: 0, is_beside: false, ..course };
    Ok((watch, done))
}

/// Trains a fold and stores its adapter.
async fn run_of(run: FoldRun, engine: &Arc<dyn Engine>, watch: Watch) -> Result<(Watch, FoldAdapter), Error> {
    let FoldRun { number, left_out, samples, shown_beside, task, plan: _ } = run;
    let (watch, finished) = trained(engine, task, watch).await?;
    let adapter = watch.artifacts.put_folder(&finished.output.join("adapter")).await?;
    let fold = FoldAdapter {
        fold: number,
        left_out: left_out.into_iter().collect(),
        steps: finished.steps,
        samples,
        shown_beside,
        evaluation_loss: finished.evaluation_loss,
        adapter,
    };
    Ok((watch, fold))
}

/// Which fold, and what to do without, where it is the fold's own fault.
fn explained(error: Error, number: u32, folds: usize) -> Error {
    if error.is_transient() || error.is_of_a_full_disk() {
        return error;
    }
    let number = number + 1;
    Error::Refused(format!(
        "fold {number} of {folds}: {error}; without folds (`trainer.folds = 0`) the model alone is trained"
    ))
}

/// The samples of a file.
fn read(content: &[u8]) -> Result<Vec<FoldSample>, Error> {
    let lines = content.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let sample = |(number, line): (usize, &[u8])| {
        serde_json::from_slice::<FoldSample>(line)
            .map_err(|error| Error::Refused(format!("line {} of the dataset's {FOLD_SAMPLES}: {error}", number + 1)))
    };
    lines.map(sample).collect()
}

/// The documents that each fold leaves out: all of them, in at most so many folds, of about as many documents each. Families
/// are dealt out whole, the largest first and then by their ids, which are hashes, always to the fold with the fewest
/// documents. None where there are too few documents for two folds, or one fold would leave out more than half of them.
fn cut(samples: &[FoldSample], folds: usize) -> Vec<BTreeSet<DocumentId>> {
    let mut families: BTreeMap<DocumentId, BTreeSet<DocumentId>> = BTreeMap::new();
    for line in samples {
        families.entry(line.family).or_default().insert(line.sample.document_id);
    }
    let documents: usize = families.values().map(BTreeSet::len).sum();
    let count = folds.min(documents / LEAST_DOCUMENTS).min(families.len());
    if count < 2 {
        return Vec::new();
    }
    let mut families: Vec<(DocumentId, BTreeSet<DocumentId>)> = families.into_iter().collect();
    families.sort_by_key(|(family, members)| (Reverse(members.len()), *family));
    let mut cut: Vec<BTreeSet<DocumentId>> = vec![BTreeSet::new(); count];
    for (_, members) in families {
        if let Some(smallest) = cut.iter_mut().min_by_key(|fold| fold.len()) {
            smallest.extend(members);
        }
    }
    let largest = cut.iter().map(BTreeSet::len).max().unwrap_or(0);
    if 2 * largest > documents.next_multiple_of(2) {
        info!(largest, documents, "no folds are trained: the documents are too alike to be held out in turn");
        return Vec::new();
    }
    cut
}

/// What a fold's adapter learns from.
struct Learned {
    lines: Vec<u8>,
    samples: u64,
    shown_beside: u64,
}

/// The samples of the documents that a fold does not leave out, as the engine reads them.
fn learned(samples: &[FoldSample], left_out: &BTreeSet<DocumentId>) -> Result<Learned, Error> {
    let is_left_out = |line: &&FoldSample| left_out.contains(&line.sample.document_id);
    let voice = samples.iter().filter(is_left_out).filter(|line| line.sample.kind == SampleKind::Voice);
    // Each passage of a document is the answer of a sample of its voice.
    let unseen: HashSet<&str> = voice.map(|line| line.sample.reference.as_str()).collect();
    let mut learned = Learned { lines: Vec::new(), samples: 0, shown_beside: 0 };
    for line in samples.iter().filter(|line| !is_left_out(line)) {
        let sample = &line.sample;
        if sample.passages.iter().any(|passage| unseen.contains(passage.as_str())) {
            learned.shown_beside += 1;
            continue;
        }
        let answer = ChatMessage { role: Role::Assistant, content: sample.reference.clone() };
        let messages = sample.prompt.iter().cloned().chain([answer]).collect();
        let conversation = ChatSample { messages, kind: Some(sample.kind), ends: sample.ends };
        let text = serde_json::to_vec(&conversation).map_err(|error| Error::Refused(error.to_string()))?;
        learned.lines.extend(text);
        learned.lines.push(b'\n');
        learned.samples += 1;
    }
    Ok(learned)
}

/// A fold's run, planned. Its samples are written into its folder.
fn run(
    number: usize,
    left_out: BTreeSet<DocumentId>,
    samples: &[FoldSample],
    task: &Task,
    engine: &dyn Engine,
) -> Result<FoldRun, Error> {
    let Learned { lines, samples, shown_beside } = learned(samples, &left_out)?;
    let folder = task.folder.join("folds").join(name_of(number, &left_out));
    std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    let train = folder.join("train.jsonl");
    std::fs::write(&train, lines).map_err(|source| Error::File { path: train.clone(), source })?;
    let task = Task { train, folder, merge: false, ..task.clone() };
    let plan = engine.plan(&task).map_err(Error::Engine)?;
    let task = Task { recipe: plan.recipe.clone(), ..task };
    Ok(FoldRun { number: number as u32, left_out, samples, shown_beside, task, plan })
}

/// The name of a fold's folder. An attempt whose options cut the documents otherwise does not find the work on another fold of
/// the same number there.
fn name_of(number: usize, left_out: &BTreeSet<DocumentId>) -> String {
    let ids: Vec<String> = left_out.iter().map(DocumentId::to_string).collect();
    let hash = ContentHash::sha256(ids.iter().map(String::as_bytes));
    let digits: String = hash.as_str().trim_start_matches("sha256:").chars().take(8).collect();
    format!("{number}-{digits}")
}

/// Where it is noted here that a fold is finished.
fn note(folder: &Path) -> PathBuf {
    folder.with_extension("json")
}

/// Whether a checkpoint is of the run that this note is about.
fn is_of(checkpoint: &str, note: &Path) -> bool {
    let fold = note.file_stem().map(|stem| format!("folds/{}/", stem.to_string_lossy()));
    fold.is_some_and(|fold| checkpoint.starts_with(&fold))
}

/// The fold, if an attempt before this one is through with it. A note here that can not be read costs its training.
async fn known(run: &FoldRun, done: &[FoldAdapter], note: &Path) -> Result<Option<FoldAdapter>, Error> {
    let here: Option<FoldAdapter> = match tokio::fs::read(note).await {
        Ok(text) => serde_json::from_slice(&text).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::File { path: note.to_owned(), source }),
    };
    let is_it = |fold: &&FoldAdapter| fold.fold == run.number && fold.left_out.iter().eq(&run.left_out);
    Ok(here.iter().chain(done).find(is_it).cloned())
}

/// Notes that a fold is finished, as a whole or not at all.
async fn keep(fold: &FoldAdapter, note: &Path) -> Result<(), Error> {
    let text = serde_json::to_vec(fold).map_err(|error| Error::Refused(error.to_string()))?;
    let partial = note.with_extension("partial");
    let of_file = |source| Error::File { path: note.to_owned(), source };
    tokio::fs::write(&partial, text).await.map_err(of_file)?;
    tokio::fs::rename(&partial, note).await.map_err(of_file)
}

/// A finished fold's samples and checkpoints are of no use any more.
async fn remove(folder: &Path) -> Result<(), Error> {
    let removed = tokio::fs::remove_dir_all(folder).await;
    removed.map_err(|source| Error::File { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use twin_schemas::EvaluationSample;
    use twin_training::Stage;

    use super::*;

    fn id(number: usize) -> DocumentId {
        format!("{number:032x}").parse().unwrap()
    }

    fn line(document: usize, family: usize) -> FoldSample {
        let prompt = vec![ChatMessage { role: Role::User, content: format!("Write about {document}.") }];
        let sample = EvaluationSample {
            kind: SampleKind::Voice,
            document_id: id(document),
            prompt,
            reference: format!("Text {document}."),
            passages: Vec::new(),
            right: None,
            ends: true,
        };
        FoldSample { sample, split: Split::Train, family: id(family), measured: true }
    }

    /// A question about the first of these documents' texts, beside those of the others.
    fn question(documents: &[usize]) -> FoldSample {
        let mut line = line(documents[0], documents[0]);
        line.sample.kind = SampleKind::Grounded;
        line.sample.reference = format!("\"Text {}.\" [1]", documents[0]);
        line.sample.passages = documents.iter().map(|document| format!("Text {document}.")).collect();
        line.sample.right = Some(0);
        line
    }

    fn sizes(cut: &[BTreeSet<DocumentId>]) -> Vec<usize> {
        cut.iter().map(BTreeSet::len).collect()
    }

    #[test]
    fn every_document_is_left_out_once_and_the_order_of_samples_does_not_matter() {
        let mut lines: Vec<FoldSample> =
            (0..27).flat_map(|document| [line(document, document), line(document, document)]).collect();
        let found = cut(&lines, 5);
        let all: BTreeSet<DocumentId> = found.iter().flatten().copied().collect();
        assert_eq!((all.len(), found.iter().map(BTreeSet::len).sum::<usize>()), (27, 27));
        assert!(sizes(&found).iter().all(|size| (5..=6).contains(size)), "{:?}", sizes(&found));
        lines.reverse();
        assert_eq!(cut(&lines, 5), found);
    }

    #[test]
    fn a_family_is_left_out_as_a_whole_and_one_that_is_most_of_the_author_leaves_no_folds() {
        let family = |document: usize| if document < 4 { 0 } else { document };
        let lines: Vec<FoldSample> = (0..15).map(|document| line(document, family(document))).collect();
        let found = cut(&lines, 5);
        assert_eq!(found.len(), 5);
        assert!(found.iter().any(|fold| (0..4).all(|document| fold.contains(&id(document)))), "{found:?}");
        let alike: Vec<FoldSample> = (0..15).map(|document| line(document, document / 9)).collect();
        assert!(cut(&alike, 5).is_empty(), "nine documents of fifteen");
    }

    #[test]
    fn few_documents_have_fewer_folds_and_too_few_none() {
        let folds = |documents: usize| {
            let lines: Vec<FoldSample> = (0..documents).map(|document| line(document, document)).collect();
            cut(&lines, 5).len()
        };
        assert_eq!([5, 6, 7, 9, 14, 15, 90].map(folds), [0, 2, 2, 3, 4, 5, 5]);
        let lines: Vec<FoldSample> = (0..30).map(|document| line(document, document)).collect();
        assert!(cut(&lines, 1).is_empty() && cut(&lines, 0).is_empty());
    }

    #[test]
    fn nothing_of_a_left_out_document_is_learned_not_even_beside_another_one() {
        let lines = [line(1, 1), line(2, 2), question(&[1, 3]), question(&[1, 2]), question(&[2, 1]), line(3, 3)];
        let Learned { lines, samples, shown_beside } = learned(&lines, &[id(2)].into()).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!((samples, shown_beside, text.lines().count()), (3, 1, 3));
        assert!(!text.contains("Text 2"), "{text}");
        let last: ChatSample = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            (last.messages.last().unwrap().content.as_str(), last.kind),
            ("\"Text 1.\" [1]", Some(SampleKind::Grounded))
        );
    }

    /// A version with so many documents in its test split, that keeps what folds are made of or does not.
    fn version(tested: usize, keeps: bool) -> DatasetManifest {
        let document = |number: usize| {
            let split = if number < tested { "test" } else { "train" };
            json!({ "document_id": id(number), "revision": 1, "content_hash": "sha256:0", "split": split, "passages": 1 })
        };
        let name = if keeps { FOLD_SAMPLES } else { "sft/train.jsonl" };
        let manifest = json!({
            "dataset": "d".repeat(64), "number": 1, "created_at": "2026-01-01T00:00:00Z", "author": "ada",
            "build_version": 6, "options": {}, "counts": {}, "refusals": {},
            "documents": (0..30).map(document).collect::<Vec<_>>(),
            "files": [{ "name": name, "parts": ["sha256:f"], "lines": 1, "bytes": 1 }],
        });
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn folds_are_ordered_where_the_test_split_is_small_and_the_version_says_which_sample_is_of_which_document() {
        let limits = FoldLimits { folds: 5, below: 20, steps: 200 };
        let ordered = limits.order(&Recipe::default(), &version(3, true), vec![]).unwrap();
        assert_eq!(
            (ordered.folds, ordered.max_steps, ordered.samples.as_slice()),
            (5, 200, &["sha256:f".to_owned()][..])
        );
        let is_ordered =
            |limits: FoldLimits, recipe: &Recipe, version| limits.order(recipe, &version, Vec::new()).is_some();
        let sft = Recipe::default();
        assert!(is_ordered(limits, &sft, version(19, true)) && !is_ordered(limits, &sft, version(20, true)));
        assert!(!is_ordered(limits, &sft, version(0, true)), "nothing is tested");
        assert!(!is_ordered(limits, &sft, version(3, false)), "a version of before");
        assert!(!is_ordered(FoldLimits { folds: 1, ..limits }, &sft, version(3, true)), "switched off");
        let preferences = Recipe { method: Method::Dpo, ..Recipe::default() };
        assert!(!is_ordered(limits, &preferences, version(3, true)));
        let staged = Recipe { stages: [Method::Sft, Method::Dpo].map(Stage::of).to_vec(), ..Recipe::default() };
        assert!(!is_ordered(limits, &staged, version(3, true)), "its second stage learns from them");
    }

    #[test]
    fn a_checkpoint_is_told_from_that_of_another_run() {
        let names =
            [&[1][..], &[1, 2]].map(|left_out| name_of(1, &left_out.iter().map(|number| id(*number)).collect()));
        assert_ne!(names[0], names[1], "another cut");
        let [name, other] = names.map(|name| format!("folds/{name}"));
        let note = note(&Path::new("/jobs/1").join(&name));
        assert_eq!(note, Path::new("/jobs/1").join(format!("{name}.json")));
        assert!(is_of(&format!("{name}/checkpoints/step-2"), &note));
        assert!(!is_of(&format!("{other}/checkpoints/step-2"), &note));
        assert!(!is_of("checkpoints/step-2", &note));
    }
}
