//! Who is woken by what.

use std::sync::Arc;

use tokio::sync::watch;

use crate::rules::Step;

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Wishes for dataset versions.
    Freezes,
    /// Jobs that wait, are to stop, or have ended.
    Jobs,
    /// Evaluations that wait.
    Evaluations,
    /// Deployments.
    Deployments,
    /// Events to publish.
    Events,
}

/// Wake-ups, one for each interest; clones share them.
#[derive(Clone)]
pub(crate) struct Changes {
    signals: Arc<[watch::Sender<()>; 5]>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { signals: Arc::new(std::array::from_fn(|_| watch::channel(()).0)) }
    }
}

impl Changes {
    pub(crate) fn subscribe(&self, interest: Interest) -> watch::Receiver<()> {
        self.signals[interest as usize].subscribe()
    }

    pub(crate) fn announce(&self, interests: Vec<Interest>) {
        for interest in interests {
            self.signals[interest as usize].send_replace(());
        }
    }
}

/// Who is meant by a step. Who makes a step and follows it anyway is not: it would wake itself.
pub(crate) fn interests(step: &Step) -> Vec<Interest> {
    match step {
        Step::FreezeRequested { .. } => vec![Interest::Freezes],
        Step::JobQueued { .. }
        | Step::JobRequeued { .. }
        | Step::JobRetried { .. }
        | Step::JobStopRequested { .. }
        | Step::JobFailed { .. }
        | Step::JobCancelled { .. } => vec![Interest::Jobs],
        Step::JobSucceeded { .. } => vec![Interest::Jobs, Interest::Events],
        Step::EvaluationQueued { .. }
        | Step::EvaluationRequeued { .. }
        | Step::EvaluationRetried { .. }
        | Step::EvaluationReopened { .. }
        | Step::EvaluationFailed { .. } => vec![Interest::Evaluations],
        Step::EvaluationFinished { .. } => vec![Interest::Evaluations, Interest::Events],
        Step::DatasetAdded { .. } | Step::CarriedOver { .. } => vec![Interest::Events],
        Step::Approved { .. } | Step::Deployed { .. } => vec![Interest::Deployments, Interest::Events],
        Step::Imported { .. }
        | Step::FreezeAnswered { .. }
        | Step::JobStarted { .. }
        | Step::RecipeSet { .. }
        | Step::SweepConcluded { .. }
        | Step::EvaluationStarted { .. }
        | Step::Rejected { .. }
        | Step::WorkerReported { .. } => Vec::new(),
    }
}
