//! The embedder: a handle for async callers, and the threads that do the work.
//!
//! A request is first tokenised and packed into batches by whichever thread is free; its batches then spread over
//! all threads. Each lane has its own bound on texts, so a full lane never holds up one that goes before it.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use twin_embedding::{EmbeddingModel, EmbeddingModelId, Purpose, Texts, Tokenizer};
use twin_telemetry::MetricsRegistry;

use crate::loader::OnnxLoader;
use crate::request::Request;
use crate::worker::{self, Shared, Work};
use crate::{EmbedderOptions, Error};

/// Texts to unit vectors. Cheap to clone; the threads end, after the batches under way, with the last handle.
#[derive(Clone)]
pub struct OnnxEmbedder {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    query_room: Arc<Semaphore>,
    candidate_room: Arc<Semaphore>,
    passage_room: Arc<Semaphore>,
    model: EmbeddingModel,
}

impl OnnxEmbedder {
    /// Loads the runtime, the tokenizer and the sessions, and runs one text through each session. Blocks for a
    /// second or two: call it at start or from [`tokio::task::spawn_blocking`].
    pub fn load(options: EmbedderOptions, registry: &MetricsRegistry) -> Result<Self, Error> {
        OnnxLoader::new(options, registry)?.load_configured()
    }

    /// Starts the threads, and waits until each has its session. `settings` is what an index keeps of the model.
    pub(crate) fn start(shared: Shared, id: EmbeddingModelId, settings: String) -> Result<Self, Error> {
        let options = &shared.options;
        let texts = options.queue.min(Semaphore::MAX_PERMITS);
        let room = || Arc::new(Semaphore::new(texts));
        let (query_room, candidate_room, passage_room) = (room(), room(), room());
        let sessions = options.session_count();
        let shared = Arc::new(shared);

        // Dropping `inner`, on any error from here on, ends the threads that run already.
        let threads = Vec::with_capacity(sessions);
        let model = EmbeddingModel { id, dimension: 0, settings };
        let mut inner = Inner { shared, threads, query_room, candidate_room, passage_room, model };
        let (ready_sender, ready) = mpsc::channel();
        for index in 0..sessions {
            let (shared, ready_sender) = (inner.shared.clone(), ready_sender.clone());
            let thread = std::thread::Builder::new()
                .name(format!("embedder-{index}"))
                .spawn(move || worker::run(&shared, ready_sender))
                .map_err(|cause| Error::Option { key: "sessions", problem: cause.to_string() })?;
            inner.threads.push(thread);
        }
        drop(ready_sender);
        for _ in 0..sessions {
            inner.model.dimension = ready.recv().unwrap_or(Err(Error::Closed))?;
        }
        tracing::info!(model = %inner.model.id, dimension = inner.model.dimension, sessions, "embedder ready");
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn run(&self, lane: Purpose, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let shared = &self.inner.shared;
        let room = match lane {
            Purpose::Query => &self.inner.query_room,
            Purpose::Candidate => &self.inner.candidate_room,
            Purpose::Passage => &self.inner.passage_room,
        };
        // A request larger than the lane takes all of it.
        let permits = texts.len().min(shared.options.queue).min(u32::MAX as usize) as u32;
        let room = room.clone().acquire_many_owned(permits).await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Arc::new(Request::new(lane, texts.len(), room, shared.metrics.clone(), reply));
        shared.queue.push(lane, [Work::Encode(request, texts)]);
        answer.await.map_err(|_| Error::Closed)?
    }
}

#[async_trait]
impl twin_embedding::Embedder for OnnxEmbedder {
    async fn embed(&self, Texts { purpose, texts }: Texts) -> Result<Vec<Vec<f32>>, twin_embedding::Error> {
        Ok(self.run(purpose, texts).await?)
    }

    async fn count_tokens(&self, Texts { purpose, texts }: Texts) -> Result<Vec<usize>, twin_embedding::Error> {
        let shared = self.inner.shared.clone();
        let counting = tokio::task::spawn_blocking(move || -> Result<Vec<usize>, twin_embedding::Error> {
            let (prefix, special) = (shared.options.prefix(purpose), shared.tokenizer.special_tokens()?);
            let count = |text: &String| Ok(special + shared.tokenizer.count(&format!("{prefix}{text}"))?);
            texts.iter().map(count).collect()
        });
        match counting.await {
            Ok(counted) => counted,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process ends before the work began.
            Err(_) => Err(twin_embedding::Error::Closed),
        }
    }

    fn model(&self) -> &EmbeddingModel {
        &self.inner.model
    }

    fn max_tokens(&self) -> usize {
        self.inner.shared.options.max_tokens
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // What a panic of a batch leaves to do was done by the thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use twin_embedding::Embedder;
    use twin_telemetry::{Health, gather_text};

    use super::*;
    use crate::HuggingFaceTokenizer;
    use crate::availability::Availability;
    use crate::metrics::Metrics;
    use crate::queue::Queue;
    use crate::worker::Model;

    const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"[UNK]":0,"poison":1},"unk_token":"[UNK]"}}"#;

    /// Panics at the second token of the vocabulary.
    struct Fragile;

    impl Model for Fragile {
        fn run(&mut self, rows: &[&[u32]]) -> Result<Vec<Option<Vec<f32>>>, Error> {
            assert!(!rows.iter().any(|row| row.contains(&1)), "on purpose");
            Ok(vec![Some(vec![1.0, 0.0]); rows.len()])
        }
    }

    /// An embedder whose sessions are loaded by `load`.
    fn embedder(sessions: usize, registry: &MetricsRegistry, load: impl Fn() + Send + Sync + 'static) -> OnnxEmbedder {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, TOKENIZER).unwrap();
        let load = move || -> Result<Box<dyn Model>, Error> {
            load();
            Ok(Box::new(Fragile))
        };
        let shared = Shared {
            options: EmbedderOptions { sessions, ..EmbedderOptions::default() },
            tokenizer: HuggingFaceTokenizer::from_file(&file).unwrap(),
            queue: Queue::new(),
            metrics: Metrics::register(registry).unwrap(),
            availability: Availability::default(),
            load: Box::new(load),
        };
        OnnxEmbedder::start(shared, EmbeddingModelId::new("fragile", "0"), String::new()).unwrap()
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_panic_fails_the_request_that_met_it_and_no_other() {
        let registry = MetricsRegistry::new();
        let embedder = embedder(2, &registry, || {});
        for _ in 0..5 {
            let (good, poison, query) = tokio::join!(
                embedder.embed_passages(texts(&["good", "better"])),
                embedder.embed_passages(texts(&["good", "poison"])),
                embedder.embed_query("good".to_owned()),
            );
            assert_eq!((good.unwrap().len(), query.unwrap().len()), (2, 2));
            let error = poison.unwrap_err();
            assert!(error.to_string().contains("panicked") && !error.is_transient(), "{error}");
        }
        // The last thread comes back after its request was answered.
        let all_are_back = async {
            while !gather_text(&registry).unwrap().contains("twin_embedder_restarts_total 5") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all_are_back).await.unwrap();
    }

    #[tokio::test]
    async fn the_process_is_not_ready_until_the_session_is_back_and_requests_wait_for_it() {
        let (release, wait) = mpsc::channel::<()>();
        let (loads, wait) = (AtomicUsize::new(0), Mutex::new(wait));
        let embedder = embedder(1, &MetricsRegistry::new(), move || {
            if loads.fetch_add(1, Ordering::SeqCst) > 0 {
                let _ = wait.lock().unwrap().recv();
            }
        });
        let health = Health::default();
        embedder.inner.shared.availability.report_to(health.part("embedding-model"));
        assert!(health.is_ready());
        assert!(embedder.embed_query("poison".to_owned()).await.is_err());
        let until = |ready: bool| {
            let deadline = Instant::now() + Duration::from_secs(30);
            while health.is_ready() != ready {
                assert!(Instant::now() < deadline, "ready should be {ready}");
                std::thread::yield_now();
            }
        };
        until(false);
        let waiting = tokio::spawn(async move { embedder.embed_query("good".to_owned()).await });
        drop(release);
        assert_eq!(waiting.await.unwrap().unwrap(), [1.0, 0.0]);
        until(true);
    }
}
