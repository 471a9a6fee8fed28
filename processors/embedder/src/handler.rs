use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use twin_models::Embedder;
use twin_schemas::{ChunkedDocument, ContentHash, DocumentId, Revision};
use twin_stream::{Handler, Message, Outcome, Reason};
use twin_telemetry::{MetricError, Registry};
use twin_vectors::{Point, VectorIndex};
use twin_warehouse::{LedgerEntry, Warehouse};

use crate::metrics::Metrics;

/// The embedder stage.
pub struct Embedding {
    embedder: Embedder,
    vectors: Arc<dyn VectorIndex>,
    warehouse: Arc<dyn Warehouse>,
    metrics: Metrics,
}

/// The newest state of a document in a batch; none is a deletion.
struct Newest {
    revision: Revision,
    document: Option<ChunkedDocument>,
}

impl Embedding {
    /// A stage that embeds with `embedder`, writes to `vectors` and keeps the ledger in `warehouse`.
    pub fn new(
        embedder: Embedder,
        vectors: Arc<dyn VectorIndex>,
        warehouse: Arc<dyn Warehouse>,
        registry: &Registry,
    ) -> Result<Self, MetricError> {
        Ok(Self { embedder, vectors, warehouse, metrics: Metrics::new(registry)? })
    }

    /// Brings the index and the ledger up to these revisions.
    async fn index(&self, newest: HashMap<DocumentId, Newest>) -> Result<(), Reason> {
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
            entries.push(self.entry(id, newest.revision, chunks));
            let outcome = if newest.document.is_some() { "indexed" } else { "deleted" };
            self.metrics.documents.with_label_values(&[outcome]).inc();
            documents.extend(newest.document);
        }
        let points = self.points(documents).await?;
        if !points.is_empty() {
            self.vectors.upsert(points).await.map_err(index)?;
        }
        self.warehouse.mark_indexed(entries).await.map_err(warehouse)?;
        self.delete_leftovers(&ids).await
    }

    fn entry(&self, document_id: DocumentId, revision: Revision, chunks: usize) -> LedgerEntry {
        LedgerEntry {
            document_id,
            revision,
            chunks: u32::try_from(chunks).unwrap_or(u32::MAX),
            model: self.embedder.model_id().to_owned(),
            indexed_at: Utc::now(),
        }
    }

    /// Deletes what is below the ledger as it is now: if another consumer has advanced it meanwhile, that takes away
    /// what this one has just written too late.
    async fn delete_leftovers(&self, ids: &[DocumentId]) -> Result<(), Reason> {
        let ledger = self.warehouse.ledger(ids).await.map_err(warehouse)?;
        let mut below: Vec<_> = ledger.into_values().map(|entry| (entry.document_id, entry.revision)).collect();
        // A deletion has no points of its own revision, but an upsert that came late may have left some.
        below.sort_unstable();
        self.vectors.delete_below(&below).await.map_err(index)
    }

    /// Points of the documents; vectors of unchanged chunks are copied.
    async fn points(&self, documents: Vec<ChunkedDocument>) -> Result<Vec<Point>, Reason> {
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.meta.document_id).collect();
        let held = self.vectors.vectors_of(&ids).await.map_err(index)?;
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
            let made = self.embedder.embed_passages(texts).await.map_err(embedding)?;
            vectors.extend(hashes.into_iter().zip(made));
        }
        self.metrics.chunks.with_label_values(&["embedded"]).inc_by(embedded);
        self.metrics.chunks.with_label_values(&["copied"]).inc_by(total - embedded);
        assemble(documents, &vectors)
    }
}

fn assemble(documents: Vec<ChunkedDocument>, vectors: &HashMap<ContentHash, Vec<f32>>) -> Result<Vec<Point>, Reason> {
    let mut points = Vec::new();
    for document in documents {
        for chunk in document.chunks {
            let vector = vectors.get(&chunk.content_hash).cloned().ok_or_else(|| Reason {
                class: "embedding",
                message: "the model returned fewer vectors than it was given texts".to_owned(),
            })?;
            points.push(Point { meta: document.meta.clone(), chunk, vector });
        }
    }
    Ok(points)
}

fn warehouse(error: twin_warehouse::Error) -> Reason {
    Reason { class: "warehouse", message: error.to_string() }
}

fn index(error: twin_vectors::Error) -> Reason {
    Reason { class: "index", message: error.to_string() }
}

fn embedding(error: twin_models::Error) -> Reason {
    Reason { class: "embedding", message: error.to_string() }
}

#[async_trait]
impl Handler for Embedding {
    type Input = ChunkedDocument;

    async fn handle(&self, batch: Vec<Message<ChunkedDocument>>) -> Vec<Outcome> {
        let mut newest: HashMap<DocumentId, Newest> = HashMap::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            match message.document() {
                Ok((id, revision)) => {
                    if newest.get(&id).is_none_or(|known| known.revision < revision) {
                        newest.insert(id, Newest { revision, document: message.payload });
                    }
                    outcomes.push(Outcome::Done);
                }
                Err(error) => outcomes.push(Outcome::dead("decode", error)),
            }
        }
        if let Err(reason) = self.index(newest).await {
            for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::Done)) {
                *outcome = Outcome::Retry(reason.clone());
            }
        }
        outcomes
    }
}
