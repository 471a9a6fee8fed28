//! The whole: an author's documents into a version.

mod models;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tempfile::TempDir;
use tracing::info;
use twin_artifacts::Artifacts;
use twin_corpus::{Corpus, CorpusDocument};
use twin_registry::{Placements, SplitRule, placements_of};
use twin_schemas::{AuthorId, DatasetId, DatasetManifest, DocumentId, Refusals, SampleKind, SourceDocument, Split};

use crate::candidate::{candidates, is_prose, language_of};
use crate::card::card;
use crate::compose::{Composed, compose};
use crate::files::{Files, Written, stored};
use crate::manifest::{BUILD_VERSION, content_id};
use crate::ports::{Answers, Instructor, OneForAll, Respondents};
use crate::scratch::Scratch;
use crate::select::{select, split};
use crate::verify::verify;
use crate::weights::Weights;
use crate::work::blocking;
use crate::{Error, Options};

/// Documents of one read from the corpus. Each may be as large as a source file.
const PAGE: usize = 16;

/// Makes versions.
#[derive(Clone)]
pub struct Builder {
    options: Options,
    corpus: Arc<dyn Corpus>,
    artifacts: Artifacts,
    respondents: Option<Arc<dyn Respondents>>,
    instructor: Option<Arc<dyn Instructor>>,
}

/// A version that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Everything about it.
    pub manifest: DatasetManifest,
    /// The artifact that holds the manifest.
    pub manifest_artifact: String,
    /// How the build went.
    pub report: Report,
}

/// The version before one that is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// Its id.
    pub dataset: DatasetId,
    /// Where its documents are. Empty where that is not known.
    pub placements: Placements,
}

impl From<&DatasetManifest> for Parent {
    fn from(manifest: &DatasetManifest) -> Self {
        Self { dataset: manifest.dataset.clone(), placements: placements_of(manifest) }
    }
}

/// How a build went: what of it is not part of the version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Documents read.
    pub documents: u64,
    /// Passages cut, before duplicates were left out.
    pub candidates: u64,
    /// Passages that samples were made of.
    pub kept: u64,
    /// Passages refused, by reason.
    pub refusals: Refusals,
    /// Instructions asked of a model that were not usable: the structural ones were kept.
    pub instruction_fallbacks: u64,
    /// Answers that did not end by themselves: no preference was made of them.
    pub cut_answers: u64,
    /// Other answers that were not usable: none, an empty one, or the author's own words.
    pub answer_failures: u64,
    /// Seconds.
    pub seconds: f64,
}

/// A build in progress.
struct Draft {
    /// How telling words are among all that the author has written.
    weights: Weights,
    scratch: Scratch,
    files: Files,
    refusals: Refusals,
    report: Report,
}

impl Draft {
    fn new(weights: Weights) -> Result<Self, Error> {
        let scratch = Scratch::new()?;
        let files = Files::new(scratch.folder.path());
        Ok(Self { weights, scratch, files, refusals: Refusals::default(), report: Report::default() })
    }

    fn with(mut self, documents: &[CorpusDocument], options: &Options) -> Result<Self, Error> {
        for document in documents {
            let (found, refused) = candidates(document, &self.weights, options);
            self.scratch.add(document, &found)?;
            self.refusals.merge(&refused);
            self.report.documents += 1;
            self.report.candidates += found.len() as u64;
        }
        Ok(self)
    }
}

impl Builder {
    /// Versions of the corpus's documents, written to `artifacts`.
    pub fn new(options: Options, corpus: Arc<dyn Corpus>, artifacts: Artifacts) -> Result<Self, Error> {
        options.validate()?;
        Ok(Self { options, corpus, artifacts, respondents: None, instructor: None })
    }

    /// How documents are divided.
    pub(crate) fn split_rule(&self) -> SplitRule {
        self.options.split_rule()
    }

    /// Makes preferences against this model's answers, as many as [`Options::preferences`] says.
    pub fn with_answers(self, answers: Arc<dyn Answers>) -> Self {
        self.with_respondents(Arc::new(OneForAll(answers)))
    }

    /// Makes preferences against the answers of whichever model answers for the author.
    pub fn with_respondents(self, respondents: Arc<dyn Respondents>) -> Self {
        Self { respondents: Some(respondents), ..self }
    }

    /// Lets this model write instructions, as many as [`Options::model_instructions`] says.
    pub fn with_instructor(self, instructor: Arc<dyn Instructor>) -> Self {
        Self { instructor: Some(instructor), ..self }
    }

    /// The form of the prompts that its versions have.
    pub fn prompts(&self) -> String {
        self.options.prompt.form()
    }

    /// Makes a version of all that the author has. `parent` is the version before: its split of documents is kept if
    /// seed and shares are the same. The version is stored, and nothing else refers to it yet: the caller notes it
    /// ([`Corpus::mark_frozen`]) and announces it.
    pub async fn build(
        &self,
        author: &AuthorId,
        parent: Option<&Parent>,
        number: u32,
        now: DateTime<Utc>,
    ) -> Result<Built, Error> {
        let began = Instant::now();
        if self.corpus.author_state(author).await?.documents == 0 {
            return Err(Error::NoDocuments(author.clone()));
        }
        let draft = self.drafted(author, parent).await?;
        let (draft, by_model) = self.instruct(author, number, draft).await?;
        let (draft, Composed { mut counts, lengths, longest }) = self.composed(author, draft).await?;
        self.require_enough(author, &counts, &draft)?;
        let (draft, rejected_by) = self.prefer(author, number, draft, &mut counts).await?;

        let Draft { scratch, mut files, refusals, mut report, .. } = draft;
        files.write("lengths.svg", &lengths.svg()?)?;
        let written = files.finish()?;
        let (folder, written, documents) = blocking(move || verified(scratch, written)).await?;
        let mut manifest = DatasetManifest {
            dataset: DatasetId(String::new()),
            number,
            parent: parent.map(|parent| parent.dataset.clone()),
            created_at: now,
            author: author.clone(),
            build_version: BUILD_VERSION,
            options: serde_json::to_value(&self.options)?,
            documents,
            counts,
            longest,
            refusals: refusals.clone(),
            instructor: by_model,
            rejected_by,
            cut_answers: report.cut_answers,
            answer_failures: report.answer_failures,
            instruction_fallbacks: report.instruction_fallbacks,
            files: Vec::new(),
        };
        for file in written {
            manifest.files.push(stored(file, &self.artifacts).await?);
        }
        let manifest_artifact = self.sealed(&mut manifest, folder.path()).await?;
        report.refusals = refusals;
        report.seconds = began.elapsed().as_secs_f64();
        let Report { kept, cut_answers, answer_failures, instruction_fallbacks, .. } = report;
        info!(
            %author, dataset = manifest.dataset.short(), number, kept, cut_answers, answer_failures, instruction_fallbacks,
            "dataset frozen"
        );
        Ok(Built { manifest, manifest_artifact, report })
    }

    /// Reads all documents and decides which of their passages are kept.
    async fn drafted(&self, author: &AuthorId, parent: Option<&Parent>) -> Result<Draft, Error> {
        let earlier = parent.map(|parent| earlier_splits(parent, &self.options)).unwrap_or_default();
        let mut draft = Draft::new(self.weighed(author).await?)?;
        let mut after = None;
        loop {
            let page = self.corpus.documents(author, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.document_id);
            let options = self.options.clone();
            draft = blocking(move || draft.with(&page, &options)).await?;
        }
        let options = self.options.clone();
        blocking(move || {
            split(&draft.scratch, &earlier, &options)?;
            select(&draft.scratch, &options, &mut draft.refusals)?;
            for split in Split::ALL {
                draft.report.kept += draft.scratch.kept(split)?.0;
            }
            Ok(draft)
        })
        .await
    }

    /// Reads all prose once, for how many documents each word is in.
    async fn weighed(&self, author: &AuthorId) -> Result<Weights, Error> {
        let mut weights = Weights::default();
        let mut after = None;
        loop {
            let page = self.corpus.documents(author, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(weights) };
            after = Some(last.document_id);
            weights = blocking(move || {
                let prose = page.iter().filter(|document| is_prose(document.category, &document.natural_key));
                prose.for_each(|document| weights.add(&document.text, language_of(document)));
                Ok(weights)
            })
            .await?;
        }
    }

    async fn composed(&self, author: &AuthorId, mut draft: Draft) -> Result<(Draft, Composed), Error> {
        let (author, options) = (author.clone(), self.options.clone());
        blocking(move || {
            let composed = compose(&draft.scratch, &author, &options, &draft.weights, &mut draft.files)?;
            Ok((draft, composed))
        })
        .await
    }

    fn require_enough(
        &self,
        author: &AuthorId,
        counts: &BTreeMap<Split, BTreeMap<SampleKind, u64>>,
        draft: &Draft,
    ) -> Result<(), Error> {
        let found: u64 = counts.get(&Split::Train).map_or(0, |kinds| kinds.values().sum());
        if found >= self.options.min_samples.max(1) {
            return Ok(());
        }
        Err(Error::TooFewSamples {
            author: author.clone(),
            found,
            needed: self.options.min_samples.max(1),
            documents: draft.report.documents,
            refused: draft.refusals.total(),
        })
    }

    /// Adds the card, gives the manifest its id and stores it.
    async fn sealed(&self, manifest: &mut DatasetManifest, folder: &Path) -> Result<String, Error> {
        let mut files = Files::new(folder);
        files.write("README.md", &card(manifest))?;
        for file in files.finish()? {
            manifest.files.push(stored(file, &self.artifacts).await?);
        }
        manifest.files.sort_by(|a, b| a.name.cmp(&b.name));
        manifest.dataset = content_id(manifest)?;
        Ok(self.artifacts.put(serde_json::to_vec(manifest)?).await?)
    }
}

/// The splits of the version before, as far as they were decided in the same way.
fn earlier_splits(parent: &Parent, options: &Options) -> BTreeMap<DocumentId, Split> {
    let rule = options.split_rule();
    let kept = parent.placements.iter().filter(|(_, placement)| placement.rule == rule);
    kept.map(|(document, placement)| (*document, placement.split)).collect()
}

/// Checks the samples' files. The scratch file is of no use afterwards, its folder holds what was written.
fn verified(scratch: Scratch, written: Vec<Written>) -> Result<(TempDir, Vec<Written>, Vec<SourceDocument>), Error> {
    for split in Split::ALL {
        let name = format!("sft/{}.jsonl", split.as_str());
        if let Some(file) = written.iter().find(|file| file.name == name) {
            verify(&scratch, split, &file.path)?;
        }
    }
    let documents = scratch.source_documents()?;
    Ok((scratch.folder, written, documents))
}

/// The name of the file of preferences of a split.
fn preference_file(split: Split) -> String {
    format!("preference/{}.jsonl", split.as_str())
}
