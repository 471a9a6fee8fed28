//! From a question to live passages.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use twin_embedding::Embedder;
use twin_index::{Index, Pair};
use twin_schemas::{AuthorId, Category, DocumentId, Passage, QueryFilter, StageTimings};
use twin_text::language::is_prose;
use twin_vectors::{Filter, Frequencies, Generation, Hit, SampledChunk, SearchRequest, VectorIndex};
use twin_warehouse::Warehouse;

use crate::evidence::{Evidence, TellingWords};
use crate::options::RetrievalOptions;
use crate::thresholds::Thresholds;

/// How often a search is repeated when documents have changed between it and the look at the ledger.
const SEARCHES: usize = 3;

/// How often a retrieval is begun anew since the index went over to another embedding model meanwhile.
const MODELS: usize = 3;

/// Categories of which everything is written to be read. What is asked of code is in other words than its own.
const PROSE: [Category; 2] = [Category::Article, Category::Post];

/// Chunks of the category code that are looked through for one of a Markdown file.
const CODE_CHUNKS: usize = 8;

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

/// Finds passages, and says whether they answer.
#[derive(Clone)]
pub struct Retriever {
    index: Index,
    warehouse: Arc<dyn Warehouse>,
    options: RetrievalOptions,
    thresholds: Thresholds,
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
    /// The question, as it was searched.
    pub searched: String,
    /// The question's vector, as the passages were searched with it.
    pub question: Vec<f32>,
    /// The model that made it. Vectors of another are not to be compared with it, whatever the index has gone over to since.
    pub embedder: Arc<dyn Embedder>,
    /// What speaks for it that the question is answered by what was found, whatever number of passages was wanted.
    pub evidence: Evidence,
    /// The generation of the index that was searched.
    pub generation: u64,
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
        let thresholds = Thresholds::new(warehouse.clone());
        Self { index, warehouse, options, thresholds }
    }

    /// The best `k` live passages of an author for a question. A text that several documents share comes once.
    pub async fn retrieve(
        &self,
        author: &AuthorId,
        question: &str,
        k: usize,
        filter: &QueryFilter,
    ) -> Result<Retrieved, Error> {
        Ok(self.find(author, question, k, filter).await?.best(question, k))
    }

    /// The same, as if a document, and what others have of its texts, were not there.
    pub(crate) async fn retrieve_without(
        &self,
        author: &AuthorId,
        question: &str,
        k: usize,
        document: DocumentId,
    ) -> Result<Retrieved, Error> {
        let mut found = self.find(author, question, k, &QueryFilter::default()).await?;
        found.leave_out(document);
        Ok(found.best(question, k))
    }

    /// What speaks for it that an author's texts answer a question; and the same if a document were not there.
    pub(crate) async fn judge(
        &self,
        author: &AuthorId,
        question: &str,
        without: Option<DocumentId>,
    ) -> Result<(Evidence, Option<Evidence>), Error> {
        let found = self.find(author, question, 1, &QueryFilter::default()).await?;
        Ok((found.evidence(None), without.map(|document| found.evidence(Some(document)))))
    }

    /// Whether what was found answers the question: by the similarity of what is `given` of it that the options name, or else
    /// by all that speaks for it and the author's threshold.
    pub async fn knows(&self, author: &AuthorId, found: &Retrieved, given: &[Passage]) -> Result<bool, Error> {
        if let Some(least) = self.options.min_score {
            return Ok(given.iter().any(|passage| passage.score >= least));
        }
        let threshold = self.thresholds.of(author, found.generation, &found.embedder.model().id).await?;
        Ok(!found.passages.is_empty() && found.evidence.score() >= threshold)
    }

    /// The thresholds that questions are held against.
    pub(crate) fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The generation of the index that is searched.
    pub(crate) fn generation(&self) -> Generation {
        self.index.current().vectors.generation().clone()
    }

    /// How many chunks the index has of an author.
    pub(crate) async fn chunks(&self, author: &AuthorId) -> Result<u64, Error> {
        let count = |pair: Pair| async move { Ok(pair.vectors.frequencies(author, &[]).await?.chunks) };
        self.with_pair(count).await
    }

    /// Whether an author's texts have this one in them, word for word.
    pub(crate) async fn holds(&self, author: &AuthorId, text: &str) -> Result<bool, Error> {
        let texts = [text.to_owned()];
        let held = |pair: Pair| {
            let texts = texts.clone();
            async move { Ok(pair.vectors.frequencies(author, &texts).await?.having) }
        };
        Ok(self.with_pair(held).await?.first().is_some_and(|count| *count > 0))
    }

    /// A sample of an author's prose, of live revisions: at most `limit` chunks.
    pub(crate) async fn sample(&self, author: &AuthorId, limit: usize) -> Result<Vec<SampledChunk>, Error> {
        let sample = |pair: Pair| async move { prose(pair.vectors.as_ref(), author, limit).await };
        let mut sample = self.with_pair(sample).await?;
        let mut ids: Vec<DocumentId> = sample.iter().map(|chunk| chunk.document_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let live = self.warehouse.live_revisions_of_all(&ids).await?;
        sample.retain(|chunk| live.get(&chunk.document_id) == Some(&chunk.revision));
        Ok(sample)
    }

    async fn find(&self, author: &AuthorId, question: &str, k: usize, filter: &QueryFilter) -> Result<Found, Error> {
        self.with_pair(|pair| self.find_in(pair, author, question, k, filter)).await
    }

    /// Does something with the model and the index; anew if the index went over to another model meanwhile.
    async fn with_pair<T, F: Future<Output = Result<T, Error>>>(&self, work: impl Fn(Pair) -> F) -> Result<T, Error> {
        let mut model = 1;
        loop {
            match work(self.index.current()).await {
                Err(Error::Index(twin_vectors::Error::Superseded { .. })) if model < MODELS => {
                    self.index.renew().await?
                }
                result => return result,
            }
            model += 1;
        }
    }

    async fn find_in(
        &self,
        Pair { embedder, vectors }: Pair,
        author: &AuthorId,
        question: &str,
        k: usize,
        filter: &QueryFilter,
    ) -> Result<Found, Error> {
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
        let words = TellingWords::of(question);
        let counted = async { Ok::<_, Error>(vectors.frequencies(author, words.words()).await?) };
        let ((hits, stale), frequencies) = tokio::try_join!(self.search_live(vectors.as_ref(), request), counted)?;
        let timings = StageTimings { embed_ms, search_ms: milliseconds(began), ..StageTimings::default() };
        let generation = vectors.generation().clone();
        Ok(Found { hits, stale, timings, vector, generation, embedder, words, frequencies })
    }

    /// The embedding model that the index is of now.
    pub(crate) async fn embedder(&self) -> Result<Arc<dyn Embedder>, Error> {
        self.index.renew().await?;
        Ok(self.index.current().embedder)
    }

    /// The index and the ledger are read one after the other. If a document moves on between the two, its hits are of a
    /// revision that is no longer live; searching again finds its new one.
    async fn search_live(&self, vectors: &dyn VectorIndex, request: SearchRequest) -> Result<(Vec<Hit>, u64), Error> {
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
                return Ok((hits.into_iter().filter(is_live).collect(), stale));
            }
        }
        Ok((Vec::new(), stale))
    }
}

/// A sample of an author's prose: of articles and posts, and where these have fewer chunks than are wanted, of the Markdown
/// files among the code.
async fn prose(vectors: &dyn VectorIndex, author: &AuthorId, limit: usize) -> Result<Vec<SampledChunk>, Error> {
    let mut sample = vectors.sample(author, &PROSE, limit).await?;
    if sample.len() < limit {
        let mut code = vectors.sample(author, &[Category::Code], CODE_CHUNKS * limit).await?;
        code.retain(|chunk| is_prose(chunk.category == Category::Code, &chunk.natural_key));
        let wanted = code.len().min(limit - sample.len());
        // Spread over all of them, as the index spreads a sample.
        sample.extend((0..wanted).map(|number| code[number * code.len() / wanted].clone()));
    }
    Ok(sample)
}

/// What a search has found, before it is cut to the number of passages that are wanted.
struct Found {
    /// Live, best first.
    hits: Vec<Hit>,
    stale: u64,
    timings: StageTimings,
    vector: Vec<f32>,
    generation: Generation,
    embedder: Arc<dyn Embedder>,
    words: TellingWords,
    frequencies: Frequencies,
}

impl Found {
    /// What speaks for what was found, as if this document, and what others have of its texts, were not there.
    fn evidence(&self, without: Option<DocumentId>) -> Evidence {
        let left_out = self.texts_of(without);
        let there = self.hits.iter().filter(|hit| !left_out.contains(hit.text.as_str()));
        self.words.evidence(&self.frequencies, distinct(there))
    }

    /// The texts that were found of a document.
    fn texts_of(&self, document: Option<DocumentId>) -> HashSet<&str> {
        let of_it = self.hits.iter().filter(|hit| Some(hit.document_id) == document);
        of_it.map(|hit| hit.text.as_str()).collect()
    }

    /// Takes a document out, and what others have of its texts.
    fn leave_out(&mut self, document: DocumentId) {
        let left_out: HashSet<String> = self.texts_of(Some(document)).into_iter().map(str::to_owned).collect();
        self.hits.retain(|hit| !left_out.contains(&hit.text));
    }

    /// The best `k` of it.
    fn best(self, question: &str, k: usize) -> Retrieved {
        let evidence = self.evidence(None);
        let Self { hits, stale, timings, vector, generation, embedder, .. } = self;
        Retrieved {
            passages: distinct(hits).take(k).map(passage).collect(),
            stale,
            timings,
            searched: question.to_owned(),
            question: vector,
            embedder,
            evidence,
            generation: generation.number,
        }
    }
}

/// The same words twice tell nobody anything new: the best place of them is enough.
fn distinct<H: Borrow<Hit>>(hits: impl IntoIterator<Item = H>) -> impl Iterator<Item = H> {
    let mut texts = HashSet::new();
    hits.into_iter().filter(move |hit| {
        let hit: &Hit = hit.borrow();
        texts.insert(hit.text.clone())
    })
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
