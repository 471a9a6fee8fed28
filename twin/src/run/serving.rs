//! Serving, as the evaluator rehearses it: the same index, threshold, prompt and quotations as for queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::OnceCell;
use twin_evaluator::end_to_end::{Rehearsed, Serving, ServingError, ServingSettings};
use twin_index::Index;
use twin_inference::{Rehearsal, Retriever};
use twin_schemas::{AuthorId, Category, DocumentId};
use twin_telemetry::{MetricsRegistry, ShutdownSignal};
use twin_warehouse::{LOOK_UP_MAX, Warehouse};

use super::embedding;
use super::node::Node;
use super::stores::Stores;
use crate::config::Config;

/// What serving does for questions, without a model.
pub(super) struct Rehearsals {
    config: Config,
    stores: Stores,
    warehouse: Arc<dyn Warehouse>,
    shutdown: ShutdownSignal,
    /// Opened when the first question is put, in a process that has no use for the index otherwise.
    rehearsal: OnceCell<Rehearsal>,
}

impl Rehearsals {
    /// With the index that this process has open, if it has.
    pub(super) fn new(node: &Node, index: Option<&Index>, shutdown: &ShutdownSignal) -> Self {
        let (config, warehouse) = (node.config.clone(), node.warehouse.clone());
        let open = index.map(|index| rehearsal(&config, index.clone(), warehouse.clone()));
        Self {
            config,
            stores: node.stores.clone(),
            warehouse,
            shutdown: shutdown.clone(),
            rehearsal: OnceCell::new_with(open),
        }
    }

    async fn open(&self) -> Result<Rehearsal> {
        let vectors = self.stores.vectors().await?;
        let options = self.config.embedder.clone();
        // Its metrics are nobody's: a second try would find those of the first registered.
        let index = embedding::open_index_aside(options, vectors.as_ref(), &MetricsRegistry::new()).await?;
        Ok(rehearsal(&self.config, index, self.warehouse.clone()))
    }

    /// What comes of it, unless the process stops before.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, ServingError>>) -> Result<T, ServingError> {
        tokio::select! {
            biased;
            () = self.shutdown.begun() => Err(ServingError::Stopping),
            done = work => done,
        }
    }
}

fn rehearsal(config: &Config, index: Index, warehouse: Arc<dyn Warehouse>) -> Rehearsal {
    let retriever = Retriever::new(index, warehouse, config.retrieval.clone());
    Rehearsal::new(retriever, config.llm.prompt.clone(), config.gateway.k as usize)
}

fn away(error: impl std::fmt::Display) -> ServingError {
    ServingError::Away(format!("{error:#}"))
}

#[async_trait]
impl Serving for Rehearsals {
    fn settings(&self) -> ServingSettings {
        ServingSettings { k: self.config.gateway.k as usize, min_grounded: self.config.answers.min_grounded }
    }

    async fn rehearse(
        &self,
        author: &AuthorId,
        question: &str,
        without: Option<DocumentId>,
    ) -> Result<Rehearsed, ServingError> {
        let work = async {
            let rehearsal = self.rehearsal.get_or_try_init(|| self.open()).await.map_err(away)?;
            let rehearsed = rehearsal.of(author, question, without).await.map_err(away)?;
            let twin_inference::Rehearsed { passages, given, prompt, asks, quoted } = rehearsed;
            let quoted = quoted.map(|quoted| quoted.text());
            Ok::<_, ServingError>(Rehearsed { passages, given, prompt, asks, quoted })
        };
        self.unless_stopped(work).await
    }

    async fn categories(&self, documents: &[DocumentId]) -> Result<BTreeMap<DocumentId, Category>, ServingError> {
        let work = async {
            let mut categories = BTreeMap::new();
            for documents in documents.chunks(LOOK_UP_MAX) {
                let rows = self.warehouse.summaries(documents).await.map_err(away)?;
                categories.extend(rows.into_iter().map(|row| (row.meta.document_id, row.meta.category)));
            }
            Ok::<_, ServingError>(categories)
        };
        self.unless_stopped(work).await
    }
}
