//! Small authors: each document is measured by an adapter that has not seen it, as many of them as samples are asked for.
//!
//! Of 30 posts a test split has three, which say nothing for certain. A training job of such an author leaves folds beside its
//! model ([`FoldAdapter`]): adapters of the same recipe, each trained without some of the documents, of which each is left out
//! once. So the candidate's answers about a document are given here by the adapter that has not seen it, and the differences of
//! all documents are pooled. What is measured is the recipe on this author's documents, and not the model that would be
//! deployed: that one has learned from somewhat more of them.
//!
//! - The base model has seen no document of anybody's. The version in production is measured on a document by its own fold that
//!   left it out, by itself if it has not learned from it, and not at all otherwise: such documents are left out of the
//!   comparison. If no more are left than the test split has, the candidate itself is measured on that split, as without folds.
//!   If that is so since the version in production is of another base model, without which its folds are of no use, the folds
//!   are compared with the base model alone. The report says so, and a person decides.
//! - Style is compared within a fold: an answer is held against the author's other documents of the same fold, which the
//!   adapter has not seen either. One that repeats what it was trained on gains nothing by it. The version in production, whose
//!   folds are cut otherwise, may have learned from those others: that can only favour it.
//!
//! # How sure a pooled difference is
//! Any two adapters have learned from mostly the same documents, and what one is measured on another has learned from. So the
//! differences are no independent draws, and their plain interval is too narrow: no estimate of the variance of a
//! cross-validation is unbiased (Bengio and Grandvalet 2004, "No Unbiased Estimator of the Variance of K-Fold
//! Cross-Validation"). The interval is widened by the factor `sqrt(1 + k / (k - 1))` for `k` folds, 1.5 for five, which is the
//! correction of Nadeau and Bengio (2003, "Inference for the Generalization Error", Machine Learning 52, section 4.2): the
//! variance `s2 / k` of the mean of `k` folds becomes `(1 / k + n_test / n_train) s2`, with `n_test / n_train = 1 / (k - 1)`.
//! What the two cover by simulation is in `tests/evaluation_folds.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;
use twin_artifacts::Artifacts;
use twin_registry::{FoldAdapter, ModelManifest, Registry, read_dataset_manifest};
use twin_schemas::{Category, DatasetManifest, DocumentId, FOLD_SAMPLES, ModelId, Split};

use crate::end_to_end::{Checks, Questions, Served};
use crate::evaluate::{Observed, OnProgress, observe};
use crate::measure::{Measured, Measurements, Observation, measure};
use crate::{Error, Options, Progress, SampleKind, Subject, SubjectError, SubjectRole, Subjects, TestSample};

/// The folds of an evaluation, by reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldsOrder {
    /// The artifacts whose contents, one after the other, are the samples of the training and the test split.
    pub samples: Vec<String>,
    /// The candidate's.
    pub candidate: Vec<FoldAdapter>,
    /// Those of the version in production, if it has any.
    pub production: Vec<FoldAdapter>,
    /// The documents that the version in production has learned from. None: the base model is in production.
    pub learned: Option<BTreeSet<DocumentId>>,
    /// The name of the version in production, if it is of another base model: what folds it has are of no use here. An order of an
    /// earlier version of the program does not say.
    #[serde(default)]
    pub of_another_base: Option<String>,
}

impl FoldsOrder {
    /// The documents that the candidate's folds leave out: all of its training and test split.
    pub(crate) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.candidate.iter().flat_map(|fold| fold.left_out.iter().copied())
    }
}

/// What an evaluation is told of folds: none if the candidate has none.
///
/// # Errors
/// If the registry or the artifact store fails. A version in production of which it can not be told what it has learned from
/// counts as one that knows all but the test split.
pub(crate) async fn ordered(
    registry: &Registry,
    artifacts: &Artifacts,
    model: &ModelId,
    dataset: &DatasetManifest,
    production: Option<&ModelId>,
) -> Result<Option<FoldsOrder>, Error> {
    let ModelManifest { base, folds: candidate, .. } = registry.model_manifest(artifacts, model).await?;
    let samples = dataset.parts(FOLD_SAMPLES).to_vec();
    if candidate.is_empty() || samples.is_empty() {
        return Ok(None);
    }
    let Some(production) = production else {
        return Ok(Some(FoldsOrder {
            samples,
            candidate,
            production: Vec::new(),
            learned: None,
            of_another_base: None,
        }));
    };
    let before = registry.model_manifest(artifacts, production).await?;
    let learned = match taught(registry, artifacts, &before).await {
        Ok(taught) => learned(&taught),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            warn!(%production, %error, "what the version in production has learned from is not known");
            learned(dataset)
        }
    };
    // An adapter is of no use without its base model, and there is one here.
    let of_another_base = (before.base != base).then(|| production.0.clone());
    let production = if of_another_base.is_none() { before.folds } else { Vec::new() };
    Ok(Some(FoldsOrder { samples, candidate, production, learned: Some(learned), of_another_base }))
}

/// The dataset version that a model was trained on.
async fn taught(registry: &Registry, artifacts: &Artifacts, model: &ModelManifest) -> Result<DatasetManifest, Error> {
    let row = registry.dataset(&model.dataset.0).await?;
    let row = row.ok_or_else(|| Error::Refused(format!("there is no dataset {}", model.dataset.short())))?;
    Ok(read_dataset_manifest(artifacts, &row.manifest).await?)
}

/// The documents of a version that whoever is trained on it has seen: those that training is stopped by, too.
fn learned(dataset: &DatasetManifest) -> BTreeSet<DocumentId> {
    let seen = dataset.documents.iter().filter(|document| document.split.is_some_and(|split| split != Split::Test));
    seen.map(|document| document.document_id).collect()
}

/// Who is asked about a document in a model's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    /// The model itself.
    Itself,
    /// That fold of it.
    Fold(u32),
}

/// Which adapter measures which document.
#[derive(Debug, Clone, PartialEq)]
pub struct Folds {
    /// Of each document the candidate's fold that has not seen it.
    candidate: BTreeMap<DocumentId, u32>,
    /// Of each document who of the version in production has not seen it. None: the base model is in production.
    production: Option<BTreeMap<DocumentId, Reader>>,
    /// The candidate's folds.
    count: u32,
    /// Whether more is measured by them than the test split has.
    is_used: bool,
    /// Why the version in production is not asked, where nothing but that lets more be measured than the test split has.
    without_production: Option<String>,
}

/// What a report says of folds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedFolds {
    /// Adapters that stood in for the candidate, each on documents that it has not seen. 0: none, the candidate itself was
    /// measured on the test split alone, since the version in production has learned from all other documents.
    pub adapters: u32,
    /// Documents of the training and the test split that were not measured, since the version in production has learned from
    /// them.
    pub seen_by_production: u64,
    /// By how much the intervals are wider than those of independent measurements.
    pub widening: f64,
}

/// A line of the samples' file.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    sample: TestSample,
    measured: bool,
}

impl Folds {
    /// Who measures what, by the folds of the candidate, those of the version in production, and what that one has learned
    /// from (none: the base model is in production).
    pub fn new(candidate: &[FoldAdapter], production: &[FoldAdapter], learned: Option<&BTreeSet<DocumentId>>) -> Self {
        let left_out = |folds: &[FoldAdapter]| -> BTreeMap<DocumentId, u32> {
            folds.iter().flat_map(|fold| fold.left_out.iter().map(move |document| (*document, fold.fold))).collect()
        };
        let (of_candidate, of_production) = (left_out(candidate), left_out(production));
        let reader = |document: &DocumentId, learned: &BTreeSet<DocumentId>| match of_production.get(document) {
            Some(fold) => Some(Reader::Fold(*fold)),
            None => (!learned.contains(document)).then_some(Reader::Itself),
        };
        let production = learned.map(|learned| {
            of_candidate.keys().filter_map(|document| Some((*document, reader(document, learned)?))).collect()
        });
        let count = candidate.len() as u32;
        Self { count, candidate: of_candidate, production, is_used: true, without_production: None }
    }

    /// The samples to evaluate on: of `all` those of documents that can be measured, or `tested` where that are no more documents.
    /// Where it is a version `of_another_base` that leaves no more of them, it is not asked at all.
    fn samples(
        mut self,
        all: Vec<TestSample>,
        tested: Vec<TestSample>,
        of_another_base: Option<&str>,
    ) -> (Self, Vec<TestSample>) {
        let documents =
            |samples: &[TestSample]| samples.iter().map(|sample| sample.document_id).collect::<BTreeSet<_>>().len();
        let least = documents(&tested);
        let mut pooled = self.measurable_of(&all);
        if let Some(version) = of_another_base
            && documents(&pooled) <= least
        {
            self.production = None;
            self.without_production = Some(format!(
                "{version} is of another base model, so that its folds are of no use here, and too few documents are left that \
                 it has not learned from"
            ));
            pooled = self.measurable_of(&all);
        }
        self.is_used = self.count > 1 && documents(&pooled) > least;
        let samples = if self.is_used { pooled } else { tested };
        (self, samples)
    }

    fn measurable_of(&self, all: &[TestSample]) -> Vec<TestSample> {
        all.iter().filter(|sample| self.measures(sample.document_id)).cloned().collect()
    }

    /// Why the version in production is not asked, if it is not.
    pub(crate) fn without_production(&self) -> Option<String> {
        self.without_production.clone()
    }

    /// Whether every model has somebody who has not seen the document.
    fn measures(&self, document: DocumentId) -> bool {
        let production = self.production.as_ref();
        self.candidate.contains_key(&document) && production.is_none_or(|readers| readers.contains_key(&document))
    }

    /// These folds, if anything is measured by them.
    pub(crate) fn used(&self) -> Option<&Self> {
        self.is_used.then_some(self)
    }

    /// By how much intervals are wider than those of independent measurements.
    pub fn widening(&self) -> f64 {
        match self.count {
            2.. if self.is_used => widening(self.count),
            _ => 1.0,
        }
    }

    /// What the report says of them.
    pub(crate) fn reported(&self) -> ReportedFolds {
        let unmeasured = self.candidate.keys().filter(|document| !self.measures(**document)).count();
        ReportedFolds {
            adapters: if self.is_used { self.count } else { 0 },
            seen_by_production: unmeasured as u64,
            widening: self.widening(),
        }
    }

    /// The questions of documents that can be measured.
    pub(crate) fn measurable(&self, questions: &Questions) -> Questions {
        let of_measured = questions.questions.iter().filter(|question| self.measures(question.document_id));
        Questions { questions: of_measured.cloned().collect(), ..questions.clone() }
    }

    fn reader(&self, role: SubjectRole, document: DocumentId) -> Option<Reader> {
        match (role, &self.production) {
            (SubjectRole::Candidate, _) => self.candidate.get(&document).map(|fold| Reader::Fold(*fold)),
            (SubjectRole::Production, Some(readers)) => readers.get(&document).copied(),
            (SubjectRole::Production, None) | (SubjectRole::Base, _) => Some(Reader::Itself),
        }
    }

    /// Puts samples and questions, all of documents that are measured, to those who have not seen them, one after the other.
    /// None: the base model is in production, or what is in production is not asked ([`Self::without_production`]).
    pub(crate) async fn observe(
        &self,
        role: SubjectRole,
        samples: &[TestSample],
        questions: Option<&Questions>,
        subjects: &dyn Subjects,
        progress: OnProgress<'_>,
    ) -> Result<Option<Observed>, Error> {
        if role == SubjectRole::Production && self.without_production.is_some() {
            return Ok(None);
        }
        let asked = questions.map_or(&[][..], |questions| questions.questions.as_slice());
        let places = |documents: &mut dyn Iterator<Item = DocumentId>| {
            let mut places: BTreeMap<Reader, Vec<usize>> = BTreeMap::new();
            for (place, document) in documents.enumerate() {
                let reader = self.reader(role, document).ok_or_else(|| Error::Seen { role, document })?;
                places.entry(reader).or_default().push(place);
            }
            Ok::<_, Error>(places)
        };
        let of_samples = places(&mut samples.iter().map(|sample| sample.document_id))?;
        let of_questions = places(&mut asked.iter().map(|question| question.document_id))?;
        let readers: BTreeSet<Reader> = of_samples.keys().chain(of_questions.keys()).copied().collect();
        let (mut name, mut remark) = (String::new(), None);
        let mut observations: Vec<Option<Observation>> = vec![None; samples.len()];
        let mut served: Vec<Option<Served>> = vec![None; asked.len()];
        let told = Told::new(role, samples, asked.len(), progress);
        for reader in readers {
            let sample_places = of_samples.get(&reader).map_or(&[][..], Vec::as_slice);
            let question_places = of_questions.get(&reader).map_or(&[][..], Vec::as_slice);
            let its_samples: Vec<TestSample> = sample_places.iter().map(|place| samples[*place].clone()).collect();
            let its_questions = questions.map(|questions| Questions {
                questions: question_places.iter().map(|place| asked[*place].clone()).collect(),
                ..questions.clone()
            });
            let (stand_ins, tell) = (StandIns { subjects, reader }, |now: Progress| told.tell(now));
            let seen = observe(role, &its_samples, its_questions.as_ref(), &stand_ins, &tell).await?;
            let Some(seen) = seen else { return Ok(None) };
            told.through(&its_samples, question_places.len());
            name = seen.name;
            remark = seen.remark.or(remark);
            for (place, observation) in sample_places.iter().zip(seen.observations) {
                observations[*place] = Some(observation);
            }
            for (place, answer) in question_places.iter().zip(seen.served) {
                served[*place] = Some(answer);
            }
        }
        // Every place is some reader's.
        let (observations, served) =
            (observations.into_iter().flatten().collect(), served.into_iter().flatten().collect());
        Ok(Some(Observed { role, name, remark, observations, served }))
    }

    /// Measures the models' observations as [`measure`] does, fold by fold.
    pub(crate) fn measure(
        &self,
        samples: &[TestSample],
        models: &[&[Observation]],
        others: &[Vec<String>],
        categories: &BTreeMap<DocumentId, Category>,
        genres_are_apart: bool,
        options: &Options,
    ) -> Measurements {
        let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, sample) in samples.iter().enumerate() {
            if let Some(fold) = self.candidate.get(&sample.document_id) {
                places.entry(*fold).or_default().push(place);
            }
        }
        let mut of_models = vec![vec![Measured::default(); samples.len()]; models.len()];
        let mut of_author = vec![Measured::default(); samples.len()];
        for places in places.values() {
            let of_fold: Vec<TestSample> = places.iter().map(|place| samples[*place].clone()).collect();
            let of_fold_by_model = |model: &&[Observation]| -> Vec<Observation> {
                places.iter().map(|place| model[*place].clone()).collect()
            };
            let observed: Vec<Vec<Observation>> = models.iter().map(of_fold_by_model).collect();
            let observed: Vec<&[Observation]> = observed.iter().map(Vec::as_slice).collect();
            let found = measure(&of_fold, &observed, others, categories, genres_are_apart, options);
            for (all, measured) in of_models.iter_mut().zip(found.of_models) {
                put(all, places, measured);
            }
            put(&mut of_author, places, found.of_author);
        }
        Measurements { of_models, of_author, genres_apart: genres_are_apart }
    }
}

fn put(all: &mut [Measured], places: &[usize], measured: Vec<Measured>) {
    for (place, measured) in places.iter().zip(measured) {
        all[*place] = measured;
    }
}

/// The correction of Nadeau and Bengio for so many folds, two at least, as a factor of a standard error.
pub fn widening(folds: u32) -> f64 {
    let folds = f64::from(folds);
    (1.0 + folds / (folds - 1.0)).sqrt()
}

/// The samples of an evaluation with folds, and who measures them: of all documents that can be measured, or `tested`.
pub(crate) async fn pooled(
    artifacts: &Artifacts,
    order: &FoldsOrder,
    tested: Vec<TestSample>,
) -> Result<(Folds, Vec<TestSample>), Error> {
    let mut content = Vec::new();
    for part in &order.samples {
        content.extend(artifacts.get(part).await?);
    }
    let folds = Folds::new(&order.candidate, &order.production, order.learned.as_ref());
    Ok(folds.samples(read(&content)?, tested, order.of_another_base.as_deref()))
}

/// The samples of a file that are measured.
fn read(content: &[u8]) -> Result<Vec<TestSample>, Error> {
    let mut samples = Vec::new();
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let unusable = |problem: String| Error::Sample { line: number + 1, problem };
        let Line { sample, measured } = serde_json::from_slice(line).map_err(|error| unusable(error.to_string()))?;
        if let Some(problem) = sample.problem() {
            return Err(unusable(problem.to_owned()));
        }
        samples.extend(measured.then_some(sample));
    }
    Ok(samples)
}

/// Opens those who stand in for a model.
struct StandIns<'a> {
    subjects: &'a dyn Subjects,
    reader: Reader,
}

#[async_trait]
impl Subjects for StandIns<'_> {
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        match self.reader {
            Reader::Itself => self.subjects.open(role).await,
            Reader::Fold(fold) => self.subjects.open_fold(role, fold).await.map(Some),
        }
    }

    async fn checks(&self) -> Result<Option<Box<dyn Checks>>, SubjectError> {
        self.subjects.checks().await
    }
}

/// How far all who stand in for a model are together.
struct Told<'a> {
    role: SubjectRole,
    total: usize,
    before: AtomicUsize,
    progress: OnProgress<'a>,
}

impl<'a> Told<'a> {
    fn new(role: SubjectRole, samples: &[TestSample], questions: usize, progress: OnProgress<'a>) -> Self {
        Self { role, total: steps(samples, questions), before: AtomicUsize::new(0), progress }
    }

    fn tell(&self, now: Progress) -> ControlFlow<()> {
        let done = self.before.load(Ordering::Relaxed) + now.done;
        (self.progress)(Progress { role: Some(self.role), done, total: self.total })
    }

    /// One of them is through with these.
    fn through(&self, samples: &[TestSample], questions: usize) {
        self.before.fetch_add(steps(samples, questions), Ordering::Relaxed);
    }
}

/// Answers and losses.
fn steps(samples: &[TestSample], questions: usize) -> usize {
    let voice = samples.iter().filter(|sample| sample.kind == SampleKind::Voice);
    samples.len() + questions + voice.count()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use twin_registry::{JobOutcome, NewDataset, NewJob, NewModel};
    use twin_schemas::{AuthorId, DatasetId, JobId};
    use twin_sqlite::Database;

    use super::*;

    fn id(number: usize) -> DocumentId {
        format!("{number:032x}").parse().unwrap()
    }

    fn fold(fold: u32, left_out: &[usize]) -> FoldAdapter {
        let left_out = left_out.iter().map(|number| id(*number)).collect();
        FoldAdapter {
            fold,
            left_out,
            steps: 1,
            samples: 1,
            shown_beside: 0,
            evaluation_loss: None,
            adapter: Vec::new(),
        }
    }

    #[test]
    fn who_has_seen_a_document_does_not_measure_it() {
        let candidate = [fold(0, &[1, 2]), fold(1, &[3, 4])];
        let against_base = Folds::new(&candidate, &[], None);
        assert!((1..=4).all(|number| against_base.measures(id(number))) && !against_base.measures(id(5)));
        assert_eq!(against_base.reader(SubjectRole::Candidate, id(3)), Some(Reader::Fold(1)));
        assert_eq!(against_base.reader(SubjectRole::Base, id(3)), Some(Reader::Itself));

        let learned = BTreeSet::from([1, 2, 3].map(id));
        let folds = Folds::new(&candidate, &[fold(7, &[1])], Some(&learned));
        let of_production = [1, 2, 3, 4].map(|number| folds.reader(SubjectRole::Production, id(number)));
        assert_eq!(of_production, [Some(Reader::Fold(7)), None, None, Some(Reader::Itself)]);
        assert_eq!([1, 2, 3, 4].map(|number| folds.measures(id(number))), [true, false, false, true]);
        assert_eq!(folds.reported(), ReportedFolds { adapters: 2, seen_by_production: 2, widening: widening(2) });
    }

    struct Place {
        registry: Registry,
        artifacts: Artifacts,
        _folder: TempDir,
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    /// Documents 0 and 1 are trained on, 2 is of the validation split, 3 is tested.
    fn dataset(digit: &str) -> Value {
        let document = |number: usize, split: &str| {
            json!({
                "document_id": id(number), "revision": 1, "content_hash": format!("sha256:{}", "0".repeat(64)),
                "split": split, "passages": 1,
            })
        };
        json!({
            "dataset": digit.repeat(64), "number": 1, "created_at": at(), "author": "ada", "build_version": 6,
            "options": {}, "counts": {}, "refusals": {},
            "documents": [document(0, "train"), document(1, "train"), document(2, "validation"), document(3, "test")],
            "files": [{ "name": FOLD_SAMPLES, "parts": ["sha256:f"], "lines": 1, "bytes": 1 }],
        })
    }

    impl Place {
        async fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let database = Database::open(&folder.path().join("twin.db")).unwrap();
            let registry = twin_sqlite::registry(database).await.unwrap();
            let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
            Self { registry, artifacts, _folder: folder }
        }

        /// A model that was trained on a dataset version of its own, by that base model, with those folds.
        async fn model(&self, digit: &str, base: &str, folds: Vec<FoldAdapter>) -> (ModelId, DatasetManifest) {
            let author: AuthorId = "ada".parse().unwrap();
            let manifest = dataset(digit);
            let id = DatasetId(digit.repeat(64));
            let new = NewDataset {
                prompts: None,
                dataset: id.clone(),
                author: author.clone(),
                manifest: self.artifacts.put(manifest.to_string().into_bytes()).await.unwrap(),
                training_samples: 1,
                counts: BTreeMap::new(),
                reason: "requested".into(),
                members: Vec::new(),
            };
            self.registry.add_dataset(new, at()).await.unwrap();
            let job = JobId(digit.repeat(64));
            let new = NewJob {
                job: job.clone(),
                author: author.clone(),
                dataset: id.clone(),
                base: base.into(),
                recipe: "{}".into(),
                sweep: None,
                code_version: "1".into(),
            };
            self.registry.queue_job(new, at()).await.unwrap();
            self.registry.start_job(&job, at()).await.unwrap();
            let made = ModelManifest {
                author,
                job: job.clone(),
                dataset: id,
                base: base.into(),
                recipe: "{}".into(),
                code_version: "1".into(),
                steps: 1,
                evaluation_loss: None,
                seconds: 1.0,
                plan: None,
                merged: None,
                adapter: Vec::new(),
                curves: Vec::new(),
                folds,
            };
            let made = self.artifacts.put(serde_json::to_vec(&made).unwrap()).await.unwrap();
            let outcome = JobOutcome::Succeeded(Some(NewModel { manifest: made }));
            let model = self.registry.finish_job(&job, 1, outcome, at()).await.unwrap().unwrap();
            (model, serde_json::from_value(manifest).unwrap())
        }

        async fn ordered(
            &self,
            (model, dataset): &(ModelId, DatasetManifest),
            production: Option<&ModelId>,
        ) -> Option<FoldsOrder> {
            ordered(&self.registry, &self.artifacts, model, dataset, production).await.unwrap()
        }
    }

    #[tokio::test]
    async fn an_order_names_the_folds_of_both_and_what_production_has_learned_from() {
        let place = Place::new().await;
        let before = place.model("1", "base", vec![fold(0, &[0]), fold(1, &[1, 3])]).await;
        let candidate = place.model("2", "base", vec![fold(0, &[0, 3]), fold(1, &[1])]).await;
        let order = place.ordered(&candidate, Some(&before.0)).await.unwrap();
        assert_eq!((order.samples.as_slice(), order.candidate.len()), (&["sha256:f".to_owned()][..], 2));
        assert_eq!(order.production, [fold(0, &[0]), fold(1, &[1, 3])]);
        assert_eq!(order.learned, Some([0, 1, 2].map(id).into()), "all but the test split, what it was stopped by too");

        let against_base = place.ordered(&candidate, None).await.unwrap();
        assert_eq!((against_base.production, against_base.learned), (Vec::new(), None));
        assert_eq!((order.of_another_base, against_base.of_another_base), (None, None));
        // Adapters are of no use without their base model.
        let other = place.model("3", "another base", vec![fold(0, &[0])]).await;
        let order = place.ordered(&candidate, Some(&other.0)).await.unwrap();
        assert!(order.production.is_empty() && order.learned.is_some());
        assert_eq!(order.of_another_base, Some(other.0.0));
        let without = place.model("4", "base", Vec::new()).await;
        assert_eq!(place.ordered(&without, Some(&before.0)).await, None);
    }
}
