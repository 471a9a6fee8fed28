//! Datasets and jobs, as they are shown.

use std::collections::BTreeMap;

use twin_api::{
    CountChangeView, DatasetDiff, DatasetView, FreezeView, JobProgressView, JobStateView, JobView, MetricView,
    PlanView, SampleFit, StagePlanView,
};
use twin_registry::{CountChange, DatasetRow, Diff, FreezeRequest, JobProgress, JobRow, JobState, Metric};
use twin_schemas::DocumentId;
use twin_training::{Fit, Plan, StagePlan};

use crate::views::Shown;

impl Shown for DatasetRow {
    type View = DatasetView;

    fn shown(self) -> DatasetView {
        DatasetView {
            dataset: self.dataset.0,
            author: self.author.to_string(),
            number: self.number,
            parent: self.parent.map(|parent| parent.0),
            manifest: self.manifest,
            training_samples: self.training_samples,
            counts: self.counts,
            reason: self.reason,
            created_at: self.created_at,
            documents: self.documents,
            deleted_documents: self.deleted_documents,
        }
    }
}

impl Shown for Diff {
    type View = DatasetDiff;

    fn shown(self) -> DatasetDiff {
        let ids = |documents: Vec<DocumentId>| documents.into_iter().map(|document| document.0).collect();
        DatasetDiff {
            from: self.from.0,
            to: self.to.0,
            added: ids(self.added),
            removed: ids(self.removed),
            changed: ids(self.changed),
            moved: ids(self.moved),
            counts: self.counts.into_iter().map(Shown::shown).collect(),
            options_changed: self.options_changed,
            build_changed: self.build_changed,
        }
    }
}

impl Shown for CountChange {
    type View = CountChangeView;

    fn shown(self) -> CountChangeView {
        let (split, kind) = (self.split.as_str().to_owned(), self.kind.as_str().to_owned());
        CountChangeView { split, kind, before: self.before, after: self.after }
    }
}

impl Shown for FreezeRequest {
    type View = FreezeView;

    fn shown(self) -> FreezeView {
        let FreezeRequest { author, requested_by, requested_at, outcome, refused, retrain: _ } = self;
        FreezeView { author: author.to_string(), requested_by, requested_at, outcome, refused }
    }
}

impl Shown for JobState {
    type View = JobStateView;

    fn shown(self) -> JobStateView {
        match self {
            JobState::Queued => JobStateView::Queued,
            JobState::Running => JobStateView::Running,
            JobState::Succeeded => JobStateView::Succeeded,
            JobState::Failed => JobStateView::Failed,
            JobState::Cancelled => JobStateView::Cancelled,
        }
    }
}

/// The registry's name for it.
pub fn job_state(state: JobStateView) -> JobState {
    match state {
        JobStateView::Queued => JobState::Queued,
        JobStateView::Running => JobState::Running,
        JobStateView::Succeeded => JobState::Succeeded,
        JobStateView::Failed => JobState::Failed,
        JobStateView::Cancelled => JobState::Cancelled,
    }
}

impl Shown for JobProgress {
    type View = JobProgressView;

    fn shown(self) -> JobProgressView {
        // Where checkpoints and folds are concerns runners alone; the plan is shown beside it.
        let JobProgress { step, steps, loss, evaluation_loss, tokens_per_s, eta_s, plan: _, checkpoint: _, folds: _ } =
            self;
        JobProgressView { step, steps, loss, evaluation_loss, tokens_per_s, eta_s }
    }
}

impl Shown for Plan {
    type View = PlanView;

    fn shown(self) -> PlanView {
        PlanView {
            recipe: self.recipe.canonical(),
            samples: fits(self.samples),
            longest: self.longest,
            limit: self.limit,
            steps: self.steps,
            tokens: self.tokens,
            evaluation_tokens: self.evaluation_tokens,
            memory_bytes: self.memory_bytes,
            stages: self.stages.into_iter().map(Shown::shown).collect(),
        }
    }
}

impl Shown for StagePlan {
    type View = StagePlanView;

    fn shown(self) -> StagePlanView {
        let Self { method, samples, longest, limit, positions: _, steps, tokens, evaluation_tokens } = self;
        let (method, samples) = (method.as_str().to_owned(), fits(samples));
        StagePlanView { method, samples, longest, limit, steps, tokens, evaluation_tokens }
    }
}

fn fits(samples: BTreeMap<String, Fit>) -> BTreeMap<String, SampleFit> {
    let shown = |Fit { read, too_long, unseen }| SampleFit { read, too_long, unseen };
    samples.into_iter().map(|(kind, fit)| (kind, shown(fit))).collect()
}

impl Shown for JobRow {
    type View = JobView;

    fn shown(self) -> JobView {
        let plan = self.progress.as_ref().and_then(|progress| progress.plan.clone());
        JobView {
            job: self.job.0,
            author: self.author.to_string(),
            dataset: self.dataset.0,
            base: self.base,
            recipe: self.recipe,
            sweep: self.sweep,
            code_version: self.code_version,
            state: self.state.shown(),
            reason: self.reason,
            attempts: self.attempts,
            cancel_requested: self.cancel_requested,
            pending: self.pending,
            progress: self.progress.map(Shown::shown),
            plan: plan.map(Shown::shown),
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
            model: self.model.map(|model| model.0),
        }
    }
}

impl Shown for Metric {
    type View = MetricView;

    fn shown(self) -> MetricView {
        let Metric { name, step, value } = self;
        MetricView { name, step, value: value.is_finite().then_some(value) }
    }
}
