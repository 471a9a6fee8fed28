//! The embedder: a handle for async callers, and the threads that do the work.
//!
//! A request is first tokenised and packed into batches by whichever thread is free; its batches then spread over
//! all threads. Each lane has its own bound on texts, so a full passage lane never holds up a query.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, oneshot};
use twin_telemetry::{Readiness, Registry};

use crate::availability::Availability;
use crate::metrics::Metrics;
use crate::queue::{Lane, Queue};
use crate::request::Request;
use crate::session::EmbeddingSession;
use crate::worker::{self, Model, Shared, Work};
use crate::{EmbedderOptions, Error, ModelSettings, OnnxRuntime, Tokenizer};

/// Texts to unit vectors. Cheap to clone; the threads end, after the batches under way, with the last handle.
#[derive(Clone)]
pub struct Embedder {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    query_room: Arc<Semaphore>,
    passage_room: Arc<Semaphore>,
    dimension: usize,
    model_id: String,
}

impl Embedder {
    /// Loads the runtime, the tokenizer and the sessions, and runs one text through each session. Blocks for a
    /// second or two: call it at start or from [`tokio::task::spawn_blocking`].
    pub fn load(options: EmbedderOptions, registry: &Registry) -> Result<Self, Error> {
        Self::open(options, Metrics::register(registry)?, Availability::default())
    }

    /// Loads another model beside this one, with this one's options and metrics. Blocks as [`Self::load`].
    pub fn load_other(&self, model: ModelSettings) -> Result<Self, Error> {
        let shared = &self.inner.shared;
        Self::open(shared.options.with_model(model), shared.metrics.clone(), shared.availability.clone())
    }

    /// Tells `readiness` whether every session is there: one is loaded anew after a panic.
    pub fn report_to(&self, readiness: Readiness) {
        self.inner.shared.availability.report_to(readiness);
    }

    fn open(options: EmbedderOptions, metrics: Metrics, availability: Availability) -> Result<Self, Error> {
        options.validate()?;
        let runtime = OnnxRuntime::load(&options.runtime_library)?;
        let tokenizer = Tokenizer::from_file(&options.model_dir.join("tokenizer.json"))?;
        let model_path = options.model_dir.join("model.onnx");
        let model_id = model_id(&options, &model_path)?;
        let device = options.device;
        let load = move || -> Result<Box<dyn Model>, Error> {
            Ok(Box::new(EmbeddingSession::load(&runtime, &model_path, device)?))
        };
        Self::start(
            Shared { options, tokenizer, queue: Queue::new(), metrics, availability, load: Box::new(load) },
            model_id,
        )
    }

    fn start(shared: Shared, model_id: String) -> Result<Self, Error> {
        let options = &shared.options;
        let query_room = Arc::new(Semaphore::new(options.queue.min(Semaphore::MAX_PERMITS)));
        let passage_room = Arc::new(Semaphore::new(options.queue.min(Semaphore::MAX_PERMITS)));
        let sessions = options.session_count();
        let shared = Arc::new(shared);

        // Dropping `inner`, on any error from here on, ends the threads that run already.
        let threads = Vec::with_capacity(sessions);
        let mut inner = Inner { shared, threads, query_room, passage_room, dimension: 0, model_id };
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
            inner.dimension = ready.recv().unwrap_or(Err(Error::Closed))?;
        }
        tracing::info!(model = inner.model_id, dimension = inner.dimension, sessions, "embedder ready");
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Unit vectors of passages, in order. Waits while the passage lane is full.
    pub async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        self.embed(Lane::Passage, texts).await
    }

    /// The unit vector of a query. Goes before passages that wait.
    pub async fn embed_query(&self, text: String) -> Result<Vec<f32>, Error> {
        let vectors = self.embed(Lane::Query, vec![text]).await?;
        vectors.into_iter().next().ok_or(Error::Closed)
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.inner.dimension
    }

    /// `<folder's name>@<first 12 hex digits of the SHA-256 of model.onnx and the passage prefix>`. Vectors of different
    /// models never mix.
    pub fn model_id(&self) -> &str {
        &self.inner.model_id
    }

    /// What another process needs to load the same model.
    pub fn model_settings(&self) -> ModelSettings {
        self.inner.shared.options.model_settings()
    }

    /// The window in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.inner.shared.options.max_tokens
    }

    async fn embed(&self, lane: Lane, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let shared = &self.inner.shared;
        let room = match lane {
            Lane::Query => &self.inner.query_room,
            Lane::Passage => &self.inner.passage_room,
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

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // What a panic of a batch leaves to do was done by the thread.
            let _ = thread.join();
        }
    }
}

/// `<folder's name>@<hash>`.
fn model_id(options: &EmbedderOptions, model_path: &Path) -> Result<String, Error> {
    let unreadable = |cause| Error::File { path: model_path.to_owned(), cause };
    let mut file = std::fs::File::open(model_path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(unreadable)?;
    hasher.update(&options.passage_prefix);
    let hash = hex::encode(hasher.finalize());
    let name = options.model_dir.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
    Ok(format!("{name}@{}", &hash[..12]))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use twin_telemetry::{Health, gather_text};

    use super::*;

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
    fn embedder(sessions: usize, registry: &Registry, load: impl Fn() + Send + Sync + 'static) -> Embedder {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, TOKENIZER).unwrap();
        let load = move || -> Result<Box<dyn Model>, Error> {
            load();
            Ok(Box::new(Fragile))
        };
        let shared = Shared {
            options: EmbedderOptions { sessions, ..EmbedderOptions::default() },
            tokenizer: Tokenizer::from_file(&file).unwrap(),
            queue: Queue::new(),
            metrics: Metrics::register(registry).unwrap(),
            availability: Availability::default(),
            load: Box::new(load),
        };
        Embedder::start(shared, "fragile".to_owned()).unwrap()
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_panic_fails_the_request_that_met_it_and_no_other() {
        let registry = Registry::new();
        let embedder = embedder(2, &registry, || {});
        for _ in 0..5 {
            let (good, poison, query) = tokio::join!(
                embedder.embed_passages(texts(&["good", "better"])),
                embedder.embed_passages(texts(&["good", "poison"])),
                embedder.embed_query("good".to_owned()),
            );
            assert_eq!((good.unwrap().len(), query.unwrap().len()), (2, 2));
            let error = poison.unwrap_err();
            assert!(matches!(error, Error::Panicked) && !error.is_transient(), "{error}");
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
        let embedder = embedder(1, &Registry::new(), move || {
            if loads.fetch_add(1, Ordering::SeqCst) > 0 {
                let _ = wait.lock().unwrap().recv();
            }
        });
        let health = Health::default();
        embedder.report_to(health.part("embedding-model"));
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
