//! Models, evaluations, decisions and deployments, as they are shown.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use twin_registry::{
    Action, DecisionRow, DeploymentRow, DeploymentState, EvaluationRow, EvaluationState, Lineage, ModelRow, ModelState,
    TaughtDocument,
};
use twin_schemas::{DocumentId, Verdict};
use twin_warehouse::DocumentRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::views::{DatasetView, JobView};

/// A version of an author's model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelVersionView {
    /// Its name.
    #[schema(example = "ada-v3")]
    model: String,
    /// Whose.
    #[schema(example = "ada")]
    author: String,
    /// Its number among the author's, from 1.
    number: u32,
    /// The job that made it.
    job: String,
    /// The dataset version that it was trained on.
    dataset: String,
    /// The base model's fingerprint.
    base: String,
    /// The artifact that holds its manifest.
    manifest: String,
    /// `trained`, `evaluated`, `approved` or `rejected`.
    #[schema(value_type = String, example = "evaluated")]
    state: &'static str,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// What its evaluation says: `passed`, `failed` or `inconclusive`; null before there is one.
    #[schema(value_type = Option<String>, example = "passed")]
    verdict: Option<&'static str>,
    /// It answers for its author now, or is about to.
    in_production: bool,
}

impl From<ModelRow> for ModelVersionView {
    fn from(row: ModelRow) -> Self {
        Self {
            model: row.model.0,
            author: row.author.to_string(),
            number: row.number,
            job: row.job.0,
            dataset: row.dataset.0,
            base: row.base,
            manifest: row.manifest,
            state: match row.state {
                ModelState::Trained => "trained",
                ModelState::Evaluated => "evaluated",
                ModelState::Approved => "approved",
                ModelState::Rejected => "rejected",
            },
            created_at: row.created_at,
            verdict: row.verdict.map(Verdict::as_str),
            in_production: row.in_production,
        }
    }
}

/// The evaluation of a model version.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EvaluationView {
    /// The model version.
    model: String,
    /// `queued`, `running`, `done` or `failed`.
    #[schema(value_type = String, example = "done")]
    state: &'static str,
    /// Why it failed.
    reason: Option<String>,
    /// How often it was started.
    attempts: u32,
    /// `passed`, `failed` or `inconclusive`.
    #[schema(value_type = Option<String>, example = "passed")]
    verdict: Option<&'static str>,
    /// The artifact that holds the report as JSON.
    report: Option<String>,
    /// The artifact that holds the report as a page.
    page: Option<String>,
    /// When it was queued.
    created_at: DateTime<Utc>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
}

/// Where an evaluation stands, as a word.
pub fn evaluation_state(state: EvaluationState) -> &'static str {
    match state {
        EvaluationState::Queued => "queued",
        EvaluationState::Running => "running",
        EvaluationState::Done => "done",
        EvaluationState::Failed => "failed",
    }
}

impl From<EvaluationRow> for EvaluationView {
    fn from(row: EvaluationRow) -> Self {
        Self {
            model: row.model.0,
            state: evaluation_state(row.state),
            reason: row.reason,
            attempts: row.attempts,
            verdict: row.verdict.map(Verdict::as_str),
            report: row.report,
            page: row.page,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

/// Who decided what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DecisionView {
    /// For whose twin.
    author: String,
    /// About which model version; null is the base model.
    model: Option<String>,
    /// `approve`, `reject`, `deploy` or `rollback`.
    #[schema(value_type = String, example = "approve")]
    action: &'static str,
    /// Who: a person's name, or `policy`.
    decided_by: String,
    /// Why.
    why: String,
    /// When.
    at: DateTime<Utc>,
}

impl From<DecisionRow> for DecisionView {
    fn from(row: DecisionRow) -> Self {
        Self {
            author: row.author.to_string(),
            model: row.model.map(|model| model.0),
            action: match row.action {
                Action::Approve => "approve",
                Action::Reject => "reject",
                Action::Deploy => "deploy",
                Action::Rollback => "rollback",
            },
            decided_by: row.decided_by,
            why: row.why,
            at: row.at,
        }
    }
}

/// A change of the model that answers for an author.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeploymentView {
    /// For whose twin.
    author: String,
    /// Its number among the author's, from 1.
    number: u64,
    /// The model version; null is the base model.
    model: Option<String>,
    /// `requested`: no worker has taken it up yet. `serving`: a worker answers with it. `failed`: it could not be
    /// loaded, and the one before goes on.
    #[schema(value_type = String, example = "serving")]
    state: &'static str,
    /// Why it failed.
    detail: Option<String>,
    /// When it was asked for.
    at: DateTime<Utc>,
    /// When it began to serve, or failed.
    settled_at: Option<DateTime<Utc>>,
}

impl From<DeploymentRow> for DeploymentView {
    fn from(row: DeploymentRow) -> Self {
        Self {
            author: row.author.to_string(),
            number: row.number,
            model: row.model.map(|model| model.0),
            state: match row.state {
                DeploymentState::Requested => "requested",
                DeploymentState::Serving => "serving",
                DeploymentState::Failed => "failed",
            },
            detail: row.detail,
            at: row.at,
            settled_at: row.settled_at,
        }
    }
}

/// A document that a dataset version holds. What it is called is that of its newest revision, as the twin knows it; a
/// deleted document keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TaughtDocumentView {
    /// The document.
    document_id: Uuid,
    /// The revision that was taught.
    revision: u64,
    /// Its title.
    title: Option<String>,
    /// The source's own name for it; null: this twin does not know the document.
    natural_key: Option<String>,
    /// Where a person can read it.
    url: Option<String>,
    /// It is deleted now.
    deleted: bool,
    /// When the document was deleted, if it was since; it may have come back.
    deleted_at: Option<DateTime<Utc>>,
}

impl TaughtDocumentView {
    /// `known` is what the warehouse has of it.
    fn new(taught: TaughtDocument, known: Option<&DocumentRow>) -> Self {
        let meta = known.map(|row| &row.meta);
        Self {
            document_id: taught.document_id.0,
            revision: taught.revision.0,
            title: meta.and_then(|meta| meta.title.clone()),
            natural_key: meta.map(|meta| meta.natural_key.clone()),
            url: meta.and_then(|meta| meta.url.clone()),
            deleted: known.map_or(taught.deleted_at.is_some(), |row| row.deleted),
            deleted_at: taught.deleted_at,
        }
    }
}

/// Everything that a model version came from.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LineageView {
    /// The model version.
    model: ModelVersionView,
    /// The job that made it, with its recipe, base model and code version.
    job: JobView,
    /// What it was trained on.
    dataset: DatasetView,
    /// The documents of that dataset version.
    documents: Vec<TaughtDocumentView>,
}

impl LineageView {
    /// `known` are the author's documents, deleted ones too.
    pub fn new(lineage: Lineage, known: &[DocumentRow]) -> Self {
        let known: HashMap<DocumentId, &DocumentRow> = known.iter().map(|row| (row.meta.document_id, row)).collect();
        let view = |taught: TaughtDocument| {
            let row = known.get(&taught.document_id).copied();
            TaughtDocumentView::new(taught, row)
        };
        Self {
            model: lineage.model.into(),
            job: lineage.job.into(),
            dataset: lineage.dataset.into(),
            documents: lineage.documents.into_iter().map(view).collect(),
        }
    }
}
