//! From a question to live passages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use twin_embedding::Embedder;
use twin_index::{Index, Pair};
use twin_schemas::{AuthorId, Passage, QueryFilter, StageTimings};
use twin_vectors::{Filter, Hit, SearchRequest, VectorIndex};
use twin_warehouse::Warehouse;

use crate::options::RetrievalOptions;

/// How often a search is repeated when documents have changed between it and the look at the ledger.
const SEARCHES: usize = 3;

/// How often a retrieval is begun anew since the index went over to another embedding model meanwhile.
const MODELS: usize = 3;

/// Why nothing could be retrieved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question could not be embedded.
    #[error("embedding the question failed: {0}")]
    Embedding(#[from] twin_embedding::Error),
    /// The index.
    #[error("searching failed: {0}")]
    Index(#[from] twin_vectors::Error),
    /// The index is of another embedding model by now, and that can not be taken up.
    #[error("searching failed: {0}")]
    Renewal(#[from] twin_index::Error),
    /// The ledger.
    #[error("the ledger could not be read: {0}")]
    Ledger(#[from] twin_warehouse::Error),
}

/// Finds passages.
#[derive(Clone)]
pub struct Retriever {
    index: Index,
    warehouse: Arc<dyn Warehouse>,
    options: RetrievalOptions,
}

/// What was found.
#[derive(Clone)]
pub struct Retrieved {
    /// Live passages, best first.
    pub passages: Vec<Passage>,
    /// Hits dropped since their revision is not live.
    pub stale: u64,
    /// Time spent.
    pub timings: StageTimings,
    /// The question's vector, as the passages were searched with it.
    pub question: Vec<f32>,
    /// The model that made it. Vectors of another are not to be compared with it, whatever the index has gone over to since.
    pub embedder: Arc<dyn Embedder>,
}

impl Retrieved {
    /// The embedding model's name.
    pub(crate) fn model(&self) -> String {
        self.embedder.model().id.to_string()
    }
}

impl Retriever {
    /// A retriever over an index and a ledger.
    pub fn new(index: Index, warehouse: Arc<dyn Warehouse>, options: RetrievalOptions) -> Self {
        Self { index, warehouse, options }
    }

    /// The best `k` live passages of an author for a question. A text that several documents share comes once.
    pub async fn retrieve(
        &self,
        author: &AuthorId,
        question: &str,
        k: usize,
        filter: &QueryFilter,
    ) -> Result<Retrieved, Error> {
        let mut model = 1;
        loop {
            match self.retrieve_from(&self.index.current(), author, question, k, filter).await {
                Err(Error::Index(twin_vectors::Error::Superseded { .. })) if model < MODELS => {
                    self.index.renew().await?
                }
                result => return result,
            }
            model += 1;
        }
    }

    async fn retrieve_from(
        &self,
        Pair { embedder, vectors }: &Pair,
        author: &AuthorId,
        question: &str,
        k: usize,
        filter: &QueryFilter,
    ) -> Result<Retrieved, Error> {
        let began = Instant::now();
        let vector = embedder.embed_query(question.to_owned()).await?;
        let embed_ms = milliseconds(began);
        let began = Instant::now();
        let filter = Filter {
            author: author.clone(),
            category: filter.category,
            source_kind: filter.source_kind.clone(),
            published_after: filter.published_after,
            published_before: filter.published_before,
        };
        let candidates = self.options.candidates.max(2 * k);
        let request =
            SearchRequest { filter, vector: vector.clone(), text: question.to_owned(), limit: candidates, candidates };
        let (passages, stale) = self.search_live(vectors.as_ref(), request, k).await?;
        let timings = StageTimings { embed_ms, search_ms: milliseconds(began), ..StageTimings::default() };
        Ok(Retrieved { passages, stale, timings, question: vector, embedder: embedder.clone() })
    }

    /// The embedding model that the index is of now.
    pub(crate) async fn embedder(&self) -> Result<Arc<dyn Embedder>, Error> {
        self.index.renew().await?;
        Ok(self.index.current().embedder)
    }

    /// Whether one of the passages is close enough to answer from.
    pub(crate) fn knows(&self, passages: &[Passage]) -> bool {
        passages.iter().any(|passage| passage.score >= self.options.min_score)
    }

    /// The index and the ledger are read one after the other. If a document moves on between the two, its hits are of a
    /// revision that is no longer live; searching again finds its new one.
    async fn search_live(
        &self,
        vectors: &dyn VectorIndex,
        request: SearchRequest,
        k: usize,
    ) -> Result<(Vec<Passage>, u64), Error> {
        let mut stale = 0;
        for search in 1.. {
            let hits = vectors.search(request.clone()).await?;
            let mut ids: Vec<_> = hits.iter().map(|hit| hit.document_id).collect();
            ids.sort_unstable();
            ids.dedup();
            let live = self.warehouse.live_revisions_of_all(&ids).await?;
            let is_live = |hit: &Hit| live.get(&hit.document_id) == Some(&hit.revision);
            let overtaken = hits.iter().any(|hit| live.get(&hit.document_id).is_some_and(|live| *live > hit.revision));
            stale += hits.iter().filter(|hit| !is_live(hit)).count() as u64;
            if !overtaken || search >= SEARCHES {
                let mut texts = HashSet::new();
                // The same words twice tell the model nothing new: the best place of them is enough.
                let live = hits.into_iter().filter(|hit| is_live(hit) && texts.insert(hit.text.clone()));
                return Ok((live.take(k).map(passage).collect(), stale));
            }
        }
        Ok((Vec::new(), stale))
    }
}

fn passage(hit: Hit) -> Passage {
    Passage {
        document_id: hit.document_id,
        revision: hit.revision,
        ordinal: hit.ordinal,
        natural_key: hit.natural_key,
        title: hit.title,
        url: hit.url,
        category: hit.category,
        heading_path: hit.heading_path,
        text: hit.text,
        score: hit.similarity.clamp(0.0, 1.0),
    }
}

pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
