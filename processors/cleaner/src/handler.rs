//! The stage: events in, events out.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use futures::StreamExt;
use tracing::{debug, warn};
use twin_schemas::{Attributes, CleanedDocument, DocumentId, RawDocument, Revision, Service};
use twin_stream::{Handler, Message, NewEvent, Outcome};
use twin_telemetry::{MetricError, MetricsRegistry};
use twin_warehouse::{Progress, ProgressState, StageName, Warehouse};

use crate::metrics::{Handled, Metrics};
use crate::workers::{Failure, Workers};
use crate::{Options, Rejection, RejectionKind, clean};

/// The cleaner stage.
pub struct Cleaner {
    options: Arc<Options>,
    warehouse: Arc<dyn Warehouse>,
    workers: Workers,
    metrics: Metrics,
}

/// What a message comes to, before the warehouse knows of it.
enum Verdict {
    /// The revision has come this far.
    Handled { progress: Progress, outcome: Outcome, handled: Handled },
    /// It was not looked at, or could not be.
    Unhandled(Outcome),
}

impl Cleaner {
    /// A cleaner that notes progress in the warehouse. Fails if its metrics are registered already.
    pub fn new(
        options: Options,
        warehouse: Arc<dyn Warehouse>,
        registry: &MetricsRegistry,
    ) -> Result<Self, MetricError> {
        let metrics = Metrics::new(registry)?;
        let abandoned = metrics.abandoned_threads.clone();
        let (threads, deadline) = (options.thread_count(), options.deadline());
        let workers = Workers::new(threads, options.max_abandoned_threads, deadline, abandoned);
        Ok(Self { options: Arc::new(options), warehouse, workers, metrics })
    }

    async fn verdict(&self, message: Message<RawDocument>) -> Verdict {
        match message.payload {
            Some(raw) => self.clean(message.attributes, raw).await,
            None => deletion(&message.attributes),
        }
    }

    async fn clean(&self, cause: Attributes, raw: RawDocument) -> Verdict {
        let (document_id, revision, category) = (raw.meta.document_id, raw.meta.revision, raw.meta.category);
        let options = Arc::clone(&self.options);
        let seconds = self.metrics.seconds.clone();
        let work = move || {
            let _timer = seconds.start_timer();
            clean(&raw, &options).map(|cleaned| cleaned_event(document_id, revision, &cleaned, &cause))
        };
        let result = match self.workers.run(work).await {
            Ok(result) => result,
            Err(failure @ Failure::Deadline(_)) => {
                warn!(%document_id, %revision, "cleaning goes on past its deadline in an abandoned thread");
                Err(Rejection { kind: RejectionKind::TooSlow, detail: failure.to_string() })
            }
            Err(failure @ Failure::Panicked) => return Verdict::Unhandled(Outcome::dead("panic", failure)),
            Err(failure @ (Failure::Starved(_) | Failure::NoThread(_) | Failure::Spawn(_))) => {
                return Verdict::Unhandled(Outcome::retry("threads", failure));
            }
        };
        match result {
            Ok(event) => Verdict::Handled {
                progress: progress(document_id, revision, ProgressState::Done),
                outcome: Outcome::Emit(vec![event]),
                handled: Handled::Cleaned(category),
            },
            Err(rejection) => {
                debug!(%document_id, %revision, %rejection, "rejected");
                let state = ProgressState::Rejected { reason: rejection.to_string() };
                Verdict::Handled {
                    progress: progress(document_id, revision, state),
                    outcome: Outcome::Done,
                    handled: Handled::Rejected(category, rejection.kind),
                }
            }
        }
    }

    /// Notes the progress of the whole batch. What can not be noted is handled again.
    async fn note(&self, verdicts: Vec<Verdict>) -> Vec<Outcome> {
        let noted: Vec<Progress> = verdicts
            .iter()
            .filter_map(|verdict| match verdict {
                Verdict::Handled { progress, .. } => Some(progress.clone()),
                Verdict::Unhandled(_) => None,
            })
            .collect();
        let failure = match noted.is_empty() {
            true => None,
            false => self.warehouse.note_progress(noted).await.err(),
        };
        let settle = |verdict| match (verdict, &failure) {
            (Verdict::Unhandled(outcome), _) => outcome,
            (Verdict::Handled { .. }, Some(error)) if error.is_transient() => Outcome::wait("warehouse", error),
            (Verdict::Handled { .. }, Some(error)) => Outcome::retry("warehouse", error),
            (Verdict::Handled { outcome, handled, .. }, None) => {
                self.metrics.count(handled);
                outcome
            }
        };
        verdicts.into_iter().map(settle).collect()
    }
}

#[async_trait]
impl Handler for Cleaner {
    type Input = RawDocument;

    async fn handle(&self, batch: Vec<Message<RawDocument>>) -> Vec<Outcome> {
        let pending: Vec<_> = batch.into_iter().map(|message| self.verdict(message)).collect();
        let verdicts = futures::stream::iter(pending).buffered(self.options.thread_count().max(1)).collect().await;
        self.note(verdicts).await
    }
}

/// Serialises too, so that a long text does not hold up the runtime.
fn cleaned_event(document: DocumentId, revision: Revision, cleaned: &CleanedDocument, cause: &Attributes) -> NewEvent {
    NewEvent::document(Service::Cleaner.name(), document, revision, cleaned).caused_by(cause)
}

fn deletion(attributes: &Attributes) -> Verdict {
    let (document, revision) = match attributes.document() {
        Ok(named) => named,
        Err(error) => return Verdict::Unhandled(Outcome::dead("decode", error)),
    };
    let tombstone =
        NewEvent::tombstone::<CleanedDocument>(Service::Cleaner.name(), document, revision).caused_by(attributes);
    Verdict::Handled {
        progress: progress(document, revision, ProgressState::Done),
        outcome: Outcome::Emit(vec![tombstone]),
        handled: Handled::Deleted,
    }
}

fn progress(document_id: DocumentId, revision: Revision, state: ProgressState) -> Progress {
    Progress { document_id, revision, stage: StageName::Cleaned, state, at: Utc::now() }
}
