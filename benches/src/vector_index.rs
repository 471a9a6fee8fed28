//! Hybrid search in the embedded index, against a scan of the same vectors in memory.

use std::cmp::Ordering;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use twin_embedding::{Embedder, EmbeddingModel, EmbeddingModelId};
use twin_schemas::{Category, Chunk, ContentHash, Span};
use twin_sqlite::{Database, SqliteVectors};
use twin_vectors::{Filter, Point, SearchRequest, VectorIndex, VectorStore};

use crate::bench::{Bench, Results};
use crate::comparison::{Better, Comparison, ours_first, percentile};
use crate::corpus::{author, document, drawn_text};
use crate::figure::Figure;
use crate::target::Target;

/// Numbers in a vector, as MiniLM has.
const DIMENSION: usize = 384;

/// Hits of each kind of search before fusion: the default of retrieval.
const CANDIDATES: usize = 50;

/// Words of a chunk: about the chunker's 254 tokens.
const CHUNK_WORDS: usize = 120;

const IF_SLOW: &str = "Most of it is BM25 and the embedding of the question, one after the other: searching by words \
     while the question is embedded would close some of it.";

const CHUNKS_PER_DOCUMENT: usize = 10;
const QUESTION_WORDS: usize = 10;

/// Searches of a round on each side: two are above the 99th percentile.
const SEARCHES: usize = 200;

/// Chunks of the smaller index.
pub const SMALLER: usize = 2_000;

/// Chunks of the larger one: an author of some years.
pub const LARGEST: usize = 20_000;

struct Sides {
    index: Arc<dyn VectorIndex>,
    vectors: Vec<Vec<f32>>,
    _folder: TempDir,
}

struct Question {
    text: String,
    vector: Vec<f32>,
}

/// The median and the 99th percentile of a search among so many chunks, milliseconds; and of the embedding of its
/// question together with it.
pub fn compare(bench: &Bench, chunks: usize) -> Result<Results> {
    let embedder = bench.embedder(bench.embedder_options())?;
    bench.runtime.block_on(compare_with(bench, &embedder, chunks))
}

async fn compare_with(bench: &Bench, embedder: &dyn Embedder, chunks: usize) -> Result<Results> {
    let words = bench.corpus.words();
    let mut random = StdRng::seed_from_u64(chunks as u64);
    let sides = Sides::fill(&bench.work, &words, chunks, &mut random).await?;
    let floor = "vectors alone, scanned in memory (a floor)";
    let name = |part| format!("search among {chunks} chunks, {part}");
    let mut median = Comparison::new(name("median"), "ms", Better::Lower, floor);
    let mut tail = Comparison::new(name("99th percentile"), "ms", Better::Lower, floor);
    let (mut whole_median, mut whole_tail) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let questions: Vec<Question> = (0..SEARCHES).map(|_| Question::drawn(&words, &mut random)).collect();
        let (ours, scan) = if ours_first(round) {
            let ours = sides.search(&questions).await?;
            (ours, sides.scan(&questions))
        } else {
            let scan = sides.scan(&questions);
            (sides.search(&questions).await?, scan)
        };
        let whole = sides.embed_and_search(embedder, &questions).await?;
        let of = |times: &[f64], share| percentile(times, share).context("there were searches");
        median.round(of(&ours, 0.5)?, of(&scan, 0.5)?);
        tail.round(of(&ours, 0.99)?, of(&scan, 0.99)?);
        whole_median.push(of(&whole, 0.5)?);
        whole_tail.push(of(&whole, 0.99)?);
    }
    let name = |part| format!("search among {chunks} chunks with the question's embedding, {part}");
    let median_of_all = Figure::new(name("median"), "ms", whole_median);
    let mut tail_of_all = Figure::new(name("99th percentile"), "ms", whole_tail);
    if chunks == LARGEST {
        tail_of_all = tail_of_all.wanting(Target::at_most(25.0).if_missed(IF_SLOW));
    }
    Ok(Results { comparisons: vec![median, tail], figures: vec![median_of_all, tail_of_all] })
}

impl Question {
    fn drawn(words: &[&str], random: &mut StdRng) -> Self {
        Self { text: drawn_text(words, QUESTION_WORDS, random), vector: unit_vector(random) }
    }
}

impl Sides {
    async fn fill(work: &Path, words: &[&str], chunks: usize, random: &mut StdRng) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(work)?;
        let database = Database::open(&folder.path().join("vectors.db"))?;
        let id = EmbeddingModelId::new("random", "1");
        let model = EmbeddingModel { id, dimension: DIMENSION, settings: String::new() };
        let index = SqliteVectors::open(database).await?.open(&model).await?;
        let mut vectors = Vec::with_capacity(chunks);
        for number in 0..chunks.div_ceil(CHUNKS_PER_DOCUMENT) {
            let count = CHUNKS_PER_DOCUMENT.min(chunks - vectors.len());
            let points = points(number, count, words, random)?;
            vectors.extend(points.iter().map(|point| point.vector.clone()));
            index.upsert(points).await?;
        }
        Ok(Self { index, vectors, _folder: folder })
    }

    /// Milliseconds of each search.
    async fn search(&self, questions: &[Question]) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(questions.len());
        for question in questions {
            let start = Instant::now();
            self.search_one(&question.text, question.vector.clone()).await?;
            times.push(milliseconds(start));
        }
        Ok(times)
    }

    /// Milliseconds of each search, with those of embedding its question.
    async fn embed_and_search(&self, embedder: &dyn Embedder, questions: &[Question]) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(questions.len());
        for question in questions {
            let start = Instant::now();
            let vector = embedder.embed_query(question.text.clone()).await?;
            self.search_one(&question.text, vector).await?;
            times.push(milliseconds(start));
        }
        Ok(times)
    }

    async fn search_one(&self, text: &str, vector: Vec<f32>) -> Result<()> {
        let request = SearchRequest {
            filter: Filter::author(author()?),
            vector,
            text: text.to_owned(),
            limit: CANDIDATES,
            candidates: CANDIDATES,
        };
        let hits = self.index.search(request).await?;
        ensure!(hits.len() == CANDIDATES, "{} hits in place of {CANDIDATES}", hits.len());
        Ok(())
    }

    /// Milliseconds of each exact scan.
    fn scan(&self, questions: &[Question]) -> Vec<f64> {
        let timed = |question: &Question| {
            let start = Instant::now();
            black_box(nearest(&self.vectors, &question.vector, CANDIDATES));
            milliseconds(start)
        };
        questions.iter().map(timed).collect()
    }
}

fn points(number: usize, count: usize, words: &[&str], random: &mut StdRng) -> Result<Vec<Point>> {
    let meta = document(Category::Article, &format!("notes/{number}.md"), String::new())?.meta;
    let mut points = Vec::with_capacity(count);
    for ordinal in 0..u32::try_from(count)? {
        let text = drawn_text(words, CHUNK_WORDS, random);
        let chunk = Chunk {
            ordinal,
            span: Span { start: 0, end: text.len() as u64 },
            token_count: CHUNK_WORDS as u32,
            heading_path: Vec::new(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
            text,
        };
        points.push(Point { meta: meta.clone(), chunk, vector: unit_vector(random) });
    }
    Ok(points)
}

/// A random direction.
fn unit_vector(random: &mut StdRng) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..DIMENSION).map(|_| random.random_range(-1.0_f32..1.0)).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// The vectors most similar to a question, best first: positions and cosine similarities.
fn nearest(vectors: &[Vec<f32>], question: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut scored: Vec<(usize, f32)> = vectors.iter().map(|vector| dot(vector, question)).enumerate().collect();
    let best_first = |left: &(usize, f32), right: &(usize, f32)| -> Ordering { right.1.total_cmp(&left.1) };
    if scored.len() > count {
        scored.select_nth_unstable_by(count, best_first);
        scored.truncate(count);
    }
    scored.sort_by(best_first);
    scored
}

/// Sums in eight lanes, so that the compiler may use vector instructions.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_lanes, left_rest) = left.as_chunks::<8>();
    let (right_lanes, right_rest) = right.as_chunks::<8>();
    let mut sums = [0_f32; 8];
    for (a, b) in left_lanes.iter().zip(right_lanes) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_scan_and_the_index_agree_on_what_is_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = StdRng::seed_from_u64(7);
        let sides = Sides::fill(folder.path(), &["river", "valley"], 105, &mut random).await.unwrap();
        assert_eq!(sides.index.info().await.unwrap().points, 105);
        let vector = unit_vector(&mut random);
        let expected = nearest(&sides.vectors, &vector, 5);
        let (limit, candidates, text) = (5, 5, String::new());
        let request = SearchRequest { filter: Filter::author(author().unwrap()), vector, text, limit, candidates };
        let hits = sides.index.search(request).await.unwrap();
        assert_eq!(hits.len(), 5);
        for (hit, (_, similarity)) in hits.iter().zip(expected) {
            assert!((hit.similarity - similarity).abs() < 1e-4, "{} and {similarity}", hit.similarity);
        }
    }
}
