//! What an evaluation found: for machines as JSON, for people as a page.

mod difference;
mod html;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::{DatasetId, DocumentId, Verdict};

use crate::bootstrap::Interval;
use crate::end_to_end::EndToEnd;
use crate::folds::ReportedFolds;
use crate::judge::Judgement;
use crate::{Counts, Metric, Options, SampleKind, SubjectRole};

pub use html::html;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// The candidate may answer from passages where the twin would quote the author ([`crate::verdict::is_grounded`]).
    #[serde(default)]
    pub grounded: bool,
    /// What it follows from, the primary metric first.
    pub checks: Vec<Check>,
    /// What a reader has to know of the models, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The models.
    pub models: Names,
    /// The dataset version whose test split was used.
    pub dataset: DatasetId,
    /// How often a candidate was held against the model in production, this time included: the primary metric is asked for
    /// more each time ([`crate::looks`]). Reports of earlier versions of the program do not count.
    #[serde(default = "first_look")]
    pub look: u32,
    /// What was evaluated on, by kind of sample.
    pub counts: Vec<KindCounts>,
    /// Authorship holds the author's posts against the author's articles, and the other way round: there is enough of both, and
    /// they are told apart.
    #[serde(default)]
    pub genres_apart: bool,
    /// The metrics.
    pub comparisons: Vec<Comparison>,
    /// How every document of a small author was measured by an adapter that has not seen it. Absent: the candidate itself was
    /// measured, on the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<ReportedFolds>,
    /// What serving does for questions of the test split, whatever model writes. Absent: nobody asked for it, or the report is of
    /// an earlier version of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEnd>,
    /// What the judge said, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// Some samples with all answers.
    pub samples: Vec<ReportedSample>,
    /// Settings, policy and seed included.
    pub options: Options,
    /// Time spent.
    pub seconds: Seconds,
    /// When it began.
    pub at: DateTime<Utc>,
}

fn first_look() -> u32 {
    1
}

/// The models of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// The model that may follow.
    pub candidate: String,
    /// The model that answers now; absent: the base model does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<String>,
    /// The model that was never trained on the author.
    pub base: String,
}

/// How many samples of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindCounts {
    /// The kind.
    pub kind: SampleKind,
    /// How many.
    #[serde(flatten)]
    pub counts: Counts,
}

/// One metric of all models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// What is measured.
    pub metric: Metric,
    /// On how many samples.
    #[serde(flatten)]
    pub counts: Counts,
    /// The candidate's value.
    pub candidate: f64,
    /// The value of the model in production (the base model's, if that is in production).
    pub production: f64,
    /// The base model's value.
    pub base: f64,
    /// The value that the author's own text has, where that means something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<f64>,
    /// Candidate less production, with its interval. Absent if they can not be compared.
    pub difference: Option<Interval>,
    /// The level of that interval, two-sided; absent in reports of earlier versions of the program: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
    /// Why they can not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomparable: Option<String>,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// The metric that must have improved.
    Primary,
    /// A metric that must not have fallen.
    Guard,
    /// The judge's opinion.
    Judge,
    /// Whether the version in production could be compared with. It is checked only where it could not.
    Production,
}

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All is well.
    Passed,
    /// It is surely not.
    Failed,
    /// Neither is shown.
    Inconclusive,
}

/// One of the checks that a verdict follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What it is about.
    pub kind: CheckKind,
    /// The metric checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// What it says.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
}

/// A sample with the answers of all models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedSample {
    /// What it tests.
    pub kind: SampleKind,
    /// The document that it was made of.
    pub document_id: DocumentId,
    /// The last message of the prompt.
    pub question: String,
    /// The answer looked for.
    pub reference: String,
    /// The answers: candidate, production (if it is not the base model), base.
    pub answers: Vec<ReportedAnswer>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedAnswer {
    /// Whose.
    pub role: SubjectRole,
    /// The text, cut to the options' length.
    pub text: String,
    /// What is wrong with it, in words.
    pub notes: Vec<String>,
    /// Of voice samples: nats per token on the author's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_per_token: Option<f64>,
    /// Of voice samples: likeness of the answer to the author's other documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<f64>,
    /// Of voice samples: authorship of the answer, in prose or code, as the author's passage is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorship: Option<f64>,
}

/// Time spent, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seconds {
    /// Opening and asking the candidate.
    pub candidate: f64,
    /// Opening and asking the model in production.
    pub production: f64,
    /// Opening and asking the base model.
    pub base: f64,
    /// Computing metrics and intervals.
    pub metrics: f64,
    /// Asking the judge.
    pub judge: f64,
}

impl Seconds {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.candidate + self.production + self.base + self.metrics + self.judge
    }

    pub(crate) fn of(&mut self, role: SubjectRole) -> &mut f64 {
        match role {
            SubjectRole::Candidate => &mut self.candidate,
            SubjectRole::Production => &mut self.production,
            SubjectRole::Base => &mut self.base,
        }
    }
}
