use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use twin_index::{Index, Pair};
use twin_schemas::{ChunkedDocument, ContentHash, DecodeError, DocumentId, Revision};
use twin_stream::{Handler, Message, Outcome, Reason};
use twin_telemetry::{MetricError, MetricsRegistry};
use twin_vectors::Point;
use twin_warehouse::{LedgerEntry, Warehouse};

use crate::metrics::Metrics;

/// The embedder stage.
pub struct Embedding {
    index: Index,
    warehouse: Arc<dyn Warehouse>,
    metrics: Metrics,
}

/// The newest state of a document in a batch; none is a deletion.
#[derive(Clone)]
struct Newest {
    revision: Revision,
    document: Option<Arc<ChunkedDocument>>,
}

/// Why documents could not be indexed.
#[derive(Clone)]
struct Failure {
    reason: Reason,
    fault: Fault,
    /// The index went over to other vectors than those that were written to.
    superseded: bool,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A document's: it will fail again.
    Document,
    /// Perhaps a document's.
    Unclear,
    /// Nobody's: a store is away.
    Away,
}

impl Failure {
    fn new(class: &'static str, error: &dyn std::fmt::Display, fault: Fault) -> Self {
        Self { reason: Reason { class, message: error.to_string() }, fault, superseded: false }
    }

    fn of_store(class: &'static str, error: &dyn std::fmt::Display, is_transient: bool) -> Self {
        Self::new(class, error, if is_transient { Fault::Away } else { Fault::Unclear })
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure.fault {
            Fault::Document => Self::Dead(failure.reason),
            Fault::Unclear => Self::Retry(failure.reason),
            Fault::Away => Self::Wait(failure.reason),
        }
    }
}

impl Embedding {
    /// A stage that embeds into `index` and keeps the ledger in `warehouse`.
    pub fn new(index: Index, warehouse: Arc<dyn Warehouse>, registry: &MetricsRegistry) -> Result<Self, MetricError> {
        Ok(Self { index, warehouse, metrics: Metrics::new(registry)? })
    }

    /// Indexes the documents together. If one of them can never be indexed, each is tried alone, so that it takes no
    /// other with it. Returns the documents that failed.
    async fn index_batch(&self, newest: HashMap<DocumentId, Newest>) -> HashMap<DocumentId, Failure> {
        let Err(failure) = self.index(newest.clone()).await else { return HashMap::new() };
        if failure.fault != Fault::Document || newest.len() == 1 {
            return newest.into_keys().map(|id| (id, failure.clone())).collect();
        }
        let mut failures = HashMap::new();
        for (id, document) in newest {
            if let Err(failure) = self.index(HashMap::from([(id, document)])).await {
                failures.insert(id, failure);
            }
        }
        failures
    }

    /// Brings the index and the ledger up to these revisions. If the index has gone over to another embedding model,
    /// nothing is written, and the documents are tried again with that.
    async fn index(&self, newest: HashMap<DocumentId, Newest>) -> Result<(), Failure> {
        let result = self.index_into(&self.index.current(), newest.clone()).await;
        match result {
            Err(failure) if failure.superseded => {
                self.index.renew().await.map_err(renewal)?;
                self.index_into(&self.index.current(), newest).await
            }
            result => result,
        }
    }

    async fn index_into(&self, pair: &Pair, newest: HashMap<DocumentId, Newest>) -> Result<(), Failure> {
        let ids: Vec<DocumentId> = newest.keys().copied().collect();
        let ledger = self.warehouse.ledger(&ids).await.map_err(warehouse)?;
        let indexed = |id: &DocumentId| ledger.get(id).map_or(Revision(0), |entry| entry.revision);
        let (fresh, stale): (HashMap<_, _>, HashMap<_, _>) =
            newest.into_iter().partition(|(id, newest)| newest.revision > indexed(id));
        self.metrics.documents.with_label_values(&["stale"]).inc_by(stale.len() as u64);

        let mut entries = Vec::with_capacity(fresh.len());
        let mut documents = Vec::new();
        for (id, newest) in fresh {
            let chunks = newest.document.as_ref().map_or(0, |document| document.chunks.len());
            entries.push(entry(pair, id, newest.revision, chunks));
            let outcome = if newest.document.is_some() { "indexed" } else { "deleted" };
            self.metrics.documents.with_label_values(&[outcome]).inc();
            documents.extend(newest.document);
        }
        let points = self.points(pair, documents).await?;
        if !points.is_empty() {
            pair.vectors.upsert(points).await.map_err(index)?;
        }
        self.warehouse.mark_indexed(entries).await.map_err(warehouse)?;
        self.delete_leftovers(pair, &ids).await
    }

    /// Deletes what is below the ledger as it is now: if another consumer has advanced it meanwhile, that takes away
    /// what this one has just written too late.
    async fn delete_leftovers(&self, pair: &Pair, ids: &[DocumentId]) -> Result<(), Failure> {
        let ledger = self.warehouse.ledger(ids).await.map_err(warehouse)?;
        let mut below: Vec<_> = ledger.into_values().map(|entry| (entry.document_id, entry.revision)).collect();
        // A deletion has no points of its own revision, but an upsert that came late may have left some.
        below.sort_unstable();
        pair.vectors.delete_below(&below).await.map_err(index)
    }

    /// Points of the documents; vectors of unchanged chunks are copied.
    async fn points(&self, pair: &Pair, documents: Vec<Arc<ChunkedDocument>>) -> Result<Vec<Point>, Failure> {
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.meta.document_id).collect();
        let held = pair.vectors.vectors_of(&ids).await.map_err(index)?;
        let mut vectors: HashMap<ContentHash, Vec<f32>> =
            held.into_iter().map(|stored| (stored.content_hash, stored.vector)).collect();
        let mut missing: HashMap<&ContentHash, &str> = HashMap::new();
        let mut total = 0_u64;
        for chunk in documents.iter().flat_map(|document| &document.chunks) {
            total += 1;
            if !vectors.contains_key(&chunk.content_hash) {
                missing.insert(&chunk.content_hash, &chunk.text);
            }
        }
        let embedded = missing.len() as u64;
        let (hashes, texts): (Vec<_>, Vec<_>) =
            missing.into_iter().map(|(hash, text)| (hash.clone(), text.to_owned())).unzip();
        if !texts.is_empty() {
            let made = pair.embedder.embed_passages(texts).await.map_err(embedding)?;
            vectors.extend(hashes.into_iter().zip(made));
        }
        self.metrics.chunks.with_label_values(&["embedded"]).inc_by(embedded);
        self.metrics.chunks.with_label_values(&["copied"]).inc_by(total - embedded);
        assemble(&documents, &vectors)
    }
}

fn entry(pair: &Pair, document_id: DocumentId, revision: Revision, chunks: usize) -> LedgerEntry {
    LedgerEntry {
        document_id,
        revision,
        chunks: u32::try_from(chunks).unwrap_or(u32::MAX),
        model: pair.embedder.model().id.to_string(),
        indexed_at: Utc::now(),
    }
}

fn assemble(
    documents: &[Arc<ChunkedDocument>],
    vectors: &HashMap<ContentHash, Vec<f32>>,
) -> Result<Vec<Point>, Failure> {
    let mut points = Vec::new();
    for document in documents {
        for chunk in &document.chunks {
            let vector = vectors.get(&chunk.content_hash).cloned().ok_or_else(|| {
                Failure::new("embedding", &"the model returned fewer vectors than it was given texts", Fault::Document)
            })?;
            points.push(Point { meta: document.meta.clone(), chunk: chunk.clone(), vector });
        }
    }
    Ok(points)
}

fn warehouse(error: twin_warehouse::Error) -> Failure {
    Failure::of_store("warehouse", &error, error.is_transient())
}

fn index(error: twin_vectors::Error) -> Failure {
    let superseded = matches!(error, twin_vectors::Error::Superseded { .. });
    Failure { superseded, ..Failure::of_store("index", &error, superseded || error.is_transient()) }
}

/// Whether the model can be loaded does not depend on any document.
fn renewal(error: twin_index::Error) -> Failure {
    Failure::new("index", &error, Fault::Away)
}

fn embedding(error: twin_embedding::Error) -> Failure {
    let fault = match &error {
        twin_embedding::Error::Closed => Fault::Away,
        error if error.is_transient() => Fault::Unclear,
        _ => Fault::Document,
    };
    Failure::new("embedding", &error, fault)
}

#[async_trait]
impl Handler for Embedding {
    type Input = ChunkedDocument;

    async fn handle(&self, batch: Vec<Message<ChunkedDocument>>) -> Vec<Outcome> {
        let mut newest: HashMap<DocumentId, Newest> = HashMap::new();
        let mut documents = Vec::with_capacity(batch.len());
        for message in batch {
            let document = message.document();
            if let Ok((id, revision)) = document
                && newest.get(&id).is_none_or(|known| known.revision < revision)
            {
                newest.insert(id, Newest { revision, document: message.payload.map(Arc::new) });
            }
            documents.push(document);
        }
        let failures = self.index_batch(newest).await;
        let outcome = |document: Result<(DocumentId, Revision), DecodeError>| match document {
            Ok((id, _)) => failures.get(&id).cloned().map_or(Outcome::Done, Outcome::from),
            Err(error) => Outcome::dead("decode", error),
        };
        documents.into_iter().map(outcome).collect()
    }
}
