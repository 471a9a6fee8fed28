//! Models, evaluations, decisions and deployments, as they are shown.

use std::collections::HashMap;

use twin_api::{
    DecisionView, DeploymentView, EvaluationState, EvaluationView, LineageView, ModelVersionState, ModelVersionView,
    TaughtDocumentView,
};
use twin_registry::{
    Action, DecisionRow, DeploymentRow, DeploymentState, EvaluationRow, Lineage, ModelRow, ModelState, TaughtDocument,
};
use twin_schemas::DocumentId;
use twin_warehouse::DocumentRow;

use crate::views::Shown;

impl Shown for ModelRow {
    type View = ModelVersionView;

    fn shown(self) -> ModelVersionView {
        ModelVersionView {
            model: self.model.0,
            author: self.author.to_string(),
            number: self.number,
            job: self.job.0,
            dataset: self.dataset.0,
            base: self.base,
            manifest: self.manifest,
            state: match self.state {
                ModelState::Trained => ModelVersionState::Trained,
                ModelState::Evaluated => ModelVersionState::Evaluated,
                ModelState::Approved => ModelVersionState::Approved,
                ModelState::Rejected => ModelVersionState::Rejected,
            },
            created_at: self.created_at,
            verdict: self.verdict,
            in_production: self.in_production,
        }
    }
}

impl Shown for twin_registry::EvaluationState {
    type View = EvaluationState;

    fn shown(self) -> EvaluationState {
        match self {
            Self::Queued => EvaluationState::Queued,
            Self::Running => EvaluationState::Running,
            Self::Done => EvaluationState::Done,
            Self::Failed => EvaluationState::Failed,
        }
    }
}

impl Shown for EvaluationRow {
    type View = EvaluationView;

    fn shown(self) -> EvaluationView {
        EvaluationView {
            model: self.model.0,
            state: self.state.shown(),
            reason: self.reason,
            attempts: self.attempts,
            verdict: self.verdict,
            grounded: self.grounded,
            against: self.against.and_then(|against| against.model).map(|model| model.0),
            look: self.look,
            report: self.report,
            page: self.page,
            created_at: self.created_at,
            ended_at: self.ended_at,
        }
    }
}

impl Shown for DecisionRow {
    type View = DecisionView;

    fn shown(self) -> DecisionView {
        DecisionView {
            author: self.author.to_string(),
            model: self.model.map(|model| model.0),
            action: match self.action {
                Action::Approve => twin_api::Action::Approve,
                Action::Reject => twin_api::Action::Reject,
                Action::Deploy => twin_api::Action::Deploy,
                Action::Rollback => twin_api::Action::Rollback,
            },
            decided_by: self.decided_by,
            why: self.why,
            at: self.at,
        }
    }
}

impl Shown for DeploymentRow {
    type View = DeploymentView;

    fn shown(self) -> DeploymentView {
        DeploymentView {
            author: self.author.to_string(),
            number: self.number,
            model: self.model.map(|model| model.0),
            state: match self.state {
                DeploymentState::Requested => twin_api::DeploymentState::Requested,
                DeploymentState::Serving => twin_api::DeploymentState::Serving,
                DeploymentState::Failed => twin_api::DeploymentState::Failed,
            },
            detail: self.detail,
            at: self.at,
            settled_at: self.settled_at,
        }
    }
}

/// `known` is what the warehouse has of it.
fn taught_view(taught: TaughtDocument, known: Option<&DocumentRow>) -> TaughtDocumentView {
    let meta = known.map(|row| &row.meta);
    TaughtDocumentView {
        document_id: taught.document_id.0,
        revision: taught.revision.0,
        title: meta.and_then(|meta| meta.title.clone()),
        natural_key: meta.map(|meta| meta.natural_key.clone()),
        url: meta.and_then(|meta| meta.url.clone()),
        deleted: known.map_or(taught.deleted_at.is_some(), |row| row.deleted),
        deleted_at: taught.deleted_at,
    }
}

/// Of the documents, these alone: `known` is what the warehouse has of them, deleted ones too; `next` is where their list goes on.
pub fn lineage_view(
    lineage: Lineage,
    documents: Vec<TaughtDocument>,
    known: &[DocumentRow],
    next: Option<String>,
) -> LineageView {
    let known: HashMap<DocumentId, &DocumentRow> = known.iter().map(|row| (row.meta.document_id, row)).collect();
    let view = |taught: TaughtDocument| {
        let row = known.get(&taught.document_id).copied();
        taught_view(taught, row)
    };
    LineageView {
        model: lineage.model.shown(),
        job: lineage.job.shown(),
        dataset: lineage.dataset.shown(),
        documents: documents.into_iter().map(view).collect(),
        split_known: lineage.split_known,
        next,
    }
}
