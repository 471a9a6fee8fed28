//! The stage: events in, events out.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use twin_embedding::Tokenizer;
use twin_schemas::{ChunkedDocument, CleanedDocument, Service};
use twin_stream::{Handler, Message, NewEvent, Outcome};
use twin_telemetry::MetricsRegistry;
use twin_warehouse::{Progress, ProgressState, StageName, Warehouse};

use crate::metrics::Metrics;
use crate::{Error, Options, chunk};

/// The chunker stage.
pub struct Chunker {
    core: Arc<Core>,
    warehouse: Arc<dyn Warehouse>,
}

/// What the CPU work needs.
struct Core {
    options: Options,
    tokenizer: Arc<dyn Tokenizer>,
    metrics: Metrics,
}

impl Chunker {
    /// A chunker that measures with this tokenizer, the embedding model's if chunks are to fit its window.
    pub fn new(
        options: Options,
        tokenizer: Arc<dyn Tokenizer>,
        warehouse: Arc<dyn Warehouse>,
        registry: &MetricsRegistry,
    ) -> Result<Self, Error> {
        options.validate()?;
        let core = Core { options, tokenizer, metrics: Metrics::register(registry)? };
        Ok(Self { core: Arc::new(core), warehouse })
    }
}

#[async_trait]
impl Handler for Chunker {
    type Input = CleanedDocument;

    async fn handle(&self, batch: Vec<Message<CleanedDocument>>) -> Vec<Outcome> {
        let (core, events) = (self.core.clone(), batch.len());
        let work =
            tokio::task::spawn_blocking(move || batch.into_iter().map(|message| core.message(message)).collect());
        let handled: Vec<Handled> = match work.await {
            Ok(handled) => handled,
            // Each document's panic is caught by itself; what is left is a panic of this crate's own frame.
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The process ends before the work began.
            Err(error) => return (0..events).map(|_| Outcome::wait("shutdown", &error)).collect(),
        };
        let progress: Vec<Progress> = handled.iter().filter_map(|handled| handled.progress.clone()).collect();
        if progress.is_empty() {
            return handled.into_iter().map(|handled| handled.outcome).collect();
        }
        match self.warehouse.note_progress(progress).await {
            Ok(()) => handled.into_iter().map(|handled| handled.outcome).collect(),
            Err(error) => handled.into_iter().map(|handled| handled.without_progress(&error)).collect(),
        }
    }
}

/// An outcome, and the progress to note before it counts.
struct Handled {
    outcome: Outcome,
    progress: Option<Progress>,
}

impl Handled {
    fn dead(class: &'static str, message: impl ToString) -> Self {
        Self { outcome: Outcome::dead(class, message), progress: None }
    }

    /// What becomes of it when progress could not be noted: an event that had none to note keeps its outcome.
    fn without_progress(self, error: &twin_warehouse::Error) -> Outcome {
        match self.progress {
            Some(_) if error.is_transient() => Outcome::wait("warehouse", error),
            Some(_) => Outcome::retry("warehouse", error),
            None => self.outcome,
        }
    }
}

impl Core {
    fn message(&self, message: Message<CleanedDocument>) -> Handled {
        let (document_id, revision) = match message.document() {
            Ok(document) => document,
            Err(error) => return Handled::dead("decode", error),
        };
        let event = match message.payload {
            None => NewEvent::tombstone::<ChunkedDocument>(Service::Chunker.name(), document_id, revision),
            Some(document) => match catch_unwind(AssertUnwindSafe(|| self.document(document))) {
                Ok(Ok(chunked)) => NewEvent::document(Service::Chunker.name(), document_id, revision, &chunked),
                Ok(Err(error)) => return Handled::dead("tokenizer", error),
                Err(panic) => return Handled::dead("panic", panic_message(panic.as_ref())),
            },
        };
        let progress =
            Progress { document_id, revision, stage: StageName::Chunked, state: ProgressState::Done, at: Utc::now() };
        Handled { outcome: Outcome::Emit(vec![event.caused_by(&message.attributes)]), progress: Some(progress) }
    }

    fn document(&self, document: CleanedDocument) -> Result<ChunkedDocument, Error> {
        let timer = self.metrics.seconds.start_timer();
        let chunks = chunk(&document, self.tokenizer.as_ref(), &self.options)?;
        timer.observe_duration();
        let category = document.meta.category.as_str();
        self.metrics.chunks.with_label_values(&[category]).inc_by(chunks.len() as u64);
        Ok(ChunkedDocument { meta: document.meta, language: document.language, chunks })
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
