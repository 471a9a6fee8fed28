//! Models that follow a script, and samples of the two authors in `tests/data`.

// Each test target uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use twin_evaluator::end_to_end::{Checks, Questions};
use twin_evaluator::{
    Answer, Assignment, Comparison, Error, Folds, Loss, Metric, Options, Report, SampleKind, Subject, SubjectError,
    SubjectRole, Subjects, TestSample, evaluate,
};
use twin_llm::{ABSTENTION, cited_markers};
use twin_schemas::{AnswerCheck, Category, ChatMessage, DatasetId, DocumentId, FinishReason, Passage, Role};

const PLAIN: &str = include_str!("../data/plain.txt");
const ORNATE: &str = include_str!("../data/ornate.txt");

/// How a scripted model behaves.
#[derive(Clone, Copy)]
pub struct Script {
    pub name: &'static str,
    /// Nats per token on the author's text.
    pub loss: f64,
    /// Whose paragraphs it writes; empty: it repeats the author's own on the same topic, and goes on and on.
    pub voice: &'static str,
    /// Whether it quotes, cites and refuses as it should.
    pub keeps_to_passages: bool,
    /// The call that fails, if any.
    pub fails_at: Option<usize>,
    /// Tokens for each word of the author's.
    pub tokens_per_word: u64,
    /// What a reader has to know of it; empty: nothing.
    pub remark: &'static str,
}

pub const TUNED: Script = Script {
    name: "ada-v2",
    loss: 2.0,
    voice: PLAIN,
    keeps_to_passages: true,
    fails_at: None,
    tokens_per_word: 1,
    remark: "",
};
pub const BASE: Script = Script {
    name: "small-base",
    loss: 3.0,
    voice: ORNATE,
    keeps_to_passages: false,
    fails_at: None,
    tokens_per_word: 1,
    remark: "",
};

struct Scripted {
    script: Script,
    pub samples: Vec<TestSample>,
    calls: AtomicUsize,
    /// It was asked for a loss: what answers has made room for what scores.
    scores: AtomicBool,
    pub open: std::sync::Arc<AtomicUsize>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Subject for Scripted {
    fn name(&self) -> &str {
        self.script.name
    }

    fn remark(&self) -> Option<String> {
        (!self.script.remark.is_empty()).then(|| self.script.remark.to_owned())
    }

    async fn answer(&self, prompt: &[ChatMessage]) -> Result<Answer, SubjectError> {
        if self.script.fails_at == Some(self.calls.fetch_add(1, Ordering::SeqCst)) {
            return Err("out of memory".into());
        }
        if self.scores.load(Ordering::SeqCst) {
            return Err("the model would have to be loaded again to answer".into());
        }
        let sample = self.samples.iter().find(|sample| sample.prompt == prompt).ok_or("an unknown prompt")?;
        let number = sample.document_id.0.as_u128() as usize;
        let text = match sample.kind {
            SampleKind::Voice if self.script.voice.is_empty() => {
                format!("{} {}", sample.reference, "More of all of this there was, and much of it. ".repeat(3))
            }
            // The other half of the next paragraph: a text that no reference holds.
            SampleKind::Voice => halves(&paragraphs(self.script.voice)[(number + 1) % 12]).1,
            SampleKind::Grounded | SampleKind::Refusal if self.script.keeps_to_passages => sample.reference.clone(),
            SampleKind::Grounded | SampleKind::Refusal => "I said: \"all of this is quite well known\" [7].".to_owned(),
        };
        Ok(Answer { text, finish_reason: FinishReason::Stop })
    }

    async fn loss(&self, prompt: &[ChatMessage], completion: &str, ends: bool) -> Result<Loss, SubjectError> {
        self.scores.store(true, Ordering::SeqCst);
        let is_asked = |sample: &&TestSample| sample.prompt == prompt && sample.reference == completion;
        let sample = self.samples.iter().find(is_asked).ok_or("an unknown prompt")?;
        if sample.ends != ends {
            return Err("an end is scored where the text ends, and nowhere else".into());
        }
        let tokens = self.script.tokens_per_word * completion.split_whitespace().count() as u64;
        // Long passages are a little easier, so that samples differ.
        Ok(Loss { nll: self.script.loss * tokens as f64 - (tokens % 7) as f64, tokens })
    }
}

/// Opens scripted models, and notices when two are open together.
pub struct Stage {
    pub candidate: Script,
    pub production: Option<Script>,
    /// Why the version in production can not be opened: one that comes back, or [`Unloadable`].
    pub closed: Option<fn() -> SubjectError>,
    pub base: Script,
    pub samples: Vec<TestSample>,
    pub open: std::sync::Arc<AtomicUsize>,
    pub opened: Mutex<Vec<SubjectRole>>,
    /// Questions that are put from end to end.
    pub questions: Option<Questions>,
    /// What the documents are.
    pub categories: BTreeMap<DocumentId, Category>,
    /// Whether there is something to check answers with.
    pub checks: bool,
    /// Who stands in for the models.
    pub folds: Option<Folds>,
    /// The documents that each fold of a model leaves out: it is asked about no other.
    pub left_out: BTreeMap<(SubjectRole, u32), Vec<DocumentId>>,
    /// The folds that were opened.
    pub opened_folds: Mutex<Vec<(SubjectRole, u32)>>,
}

impl Stage {
    pub fn new(candidate: Script, production: Option<Script>, samples: &[TestSample]) -> Self {
        let samples = samples.to_vec();
        Self {
            candidate,
            production,
            closed: None,
            base: BASE,
            samples,
            open: Default::default(),
            opened: Mutex::default(),
            questions: None,
            categories: BTreeMap::new(),
            checks: true,
            folds: None,
            left_out: BTreeMap::new(),
            opened_folds: Mutex::default(),
        }
    }

    /// The model in a role, if there is one and no other is in memory; asked about these documents alone, where some are given.
    fn scripted(
        &self,
        role: SubjectRole,
        documents: Option<&[DocumentId]>,
    ) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        let script = match role {
            SubjectRole::Candidate => Some(self.candidate),
            SubjectRole::Production => self.production,
            SubjectRole::Base => Some(self.base),
        };
        let Some(script) = script else { return Ok(None) };
        if self.open.fetch_add(1, Ordering::SeqCst) > 0 {
            return Err("another model is still in memory".into());
        }
        let is_known = |sample: &&TestSample| documents.is_none_or(|known| known.contains(&sample.document_id));
        let samples = self.samples.iter().filter(is_known).cloned().collect();
        Ok(Some(Box::new(Scripted {
            script,
            samples,
            calls: AtomicUsize::new(0),
            scores: AtomicBool::new(false),
            open: self.open.clone(),
        })))
    }

    pub fn assignment<'a>(&'a self, dataset: &'a DatasetId) -> Assignment<'a> {
        Assignment {
            dataset,
            samples: &self.samples,
            look: 1,
            others: &[],
            questions: self.questions.as_ref(),
            categories: &self.categories,
            folds: self.folds.as_ref(),
        }
    }
}

#[async_trait]
impl Subjects for Stage {
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        self.opened.lock().unwrap().push(role);
        if let (SubjectRole::Production, Some(why)) = (role, self.closed) {
            return Err(why());
        }
        self.scripted(role, None)
    }

    async fn open_fold(&self, role: SubjectRole, fold: u32) -> Result<Box<dyn Subject>, SubjectError> {
        self.opened_folds.lock().unwrap().push((role, fold));
        let documents = self.left_out.get(&(role, fold)).ok_or("there is no such fold")?;
        self.scripted(role, Some(documents))?.ok_or_else(|| "there is no such model".into())
    }

    async fn checks(&self) -> Result<Option<Box<dyn Checks>>, SubjectError> {
        Ok(self.checks.then(|| Box::new(Strict) as Box<dyn Checks>))
    }
}

/// Supports what cites a passage that there is, and nothing else.
struct Strict;

#[async_trait]
impl Checks for Strict {
    async fn check(&self, answer: &str, passages: &[Passage]) -> Result<AnswerCheck, SubjectError> {
        let supported = !cited_markers(answer, passages.len()).is_empty();
        Ok(AnswerCheck { grounded_share: Some(f32::from(u8::from(supported))), ..AnswerCheck::default() })
    }
}

pub fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(|paragraph| paragraph.trim().to_owned()).collect()
}

/// A paragraph cut in two in the middle of its words.
pub fn halves(paragraph: &str) -> (String, String) {
    let words: Vec<&str> = paragraph.split(' ').collect();
    let (first, second) = words.split_at(words.len() / 2);
    (first.join(" "), second.join(" "))
}

pub fn document(number: usize) -> DocumentId {
    format!("{number:032x}").parse().unwrap()
}

pub fn user(content: String) -> Vec<ChatMessage> {
    vec![ChatMessage { role: Role::User, content }]
}

/// Twelve samples of each kind, each of a document of its own.
pub fn samples() -> Vec<TestSample> {
    let paragraphs = paragraphs(PLAIN);
    let mut samples = Vec::new();
    for (number, paragraph) in paragraphs.iter().enumerate() {
        samples.push(TestSample {
            kind: SampleKind::Voice,
            document_id: document(number),
            prompt: user(format!("Write about topic {number}.")),
            reference: halves(paragraph).0,
            passages: vec![],
            right: None,
            ends: true,
        });
    }
    for (number, paragraph) in paragraphs.iter().enumerate() {
        let sentence = paragraph.split(". ").next().unwrap();
        samples.push(TestSample {
            kind: SampleKind::Grounded,
            document_id: document(number),
            prompt: user(format!("Passages.\n\nQuestion: what of topic {number}?")),
            reference: format!("\"{sentence}.\" [2]"),
            passages: vec![paragraphs[(number + 1) % 12].clone(), paragraph.clone()],
            right: Some(1),
            ends: true,
        });
        samples.push(TestSample {
            kind: SampleKind::Refusal,
            document_id: document(number),
            prompt: user(format!("Passages.\n\nQuestion: what of the unknown {number}?")),
            reference: ABSTENTION.to_owned(),
            passages: vec![paragraphs[(number + 1) % 12].clone()],
            right: None,
            ends: true,
        });
    }
    samples
}

pub fn dataset() -> DatasetId {
    DatasetId("0123456789abcdef".repeat(4))
}

pub fn options() -> Options {
    Options { resamples: 1_000, ..Options::default() }
}

pub async fn run(stage: &Stage, options: &Options) -> Result<Report, Error> {
    evaluate(stage.assignment(&dataset()), stage, None, options, &|_| ControlFlow::Continue(())).await
}

pub fn of(report: &Report, metric: Metric) -> &Comparison {
    report.comparisons.iter().find(|comparison| comparison.metric == metric).unwrap()
}
