//! The embedder: a handle for async callers, and the threads that do the work.
//!
//! A request is first tokenised and packed into batches by whichever thread is free; its batches then spread over
//! all threads. Each lane has its own bound on texts, so a full passage lane never holds up a query.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use twin_telemetry::Registry;

use crate::metrics::Metrics;
use crate::packing::{batch_tokens, pack};
use crate::queue::{Lane, Queue};
use crate::session::EmbeddingSession;
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

/// What the threads know.
struct Shared {
    options: EmbedderOptions,
    tokenizer: Tokenizer,
    queue: Queue<Work>,
    metrics: Metrics,
}

/// What a thread is given to do.
enum Work {
    /// Tokenise a request and queue its batches.
    Encode(Arc<Request>, Vec<String>),
    /// Run a batch of a request: positions in the request, and token ids.
    Batch(Arc<Request>, Vec<(usize, Vec<u32>)>),
}

/// Some texts of one caller.
struct Request {
    lane: Lane,
    texts: usize,
    state: Mutex<RequestState>,
    metrics: Metrics,
    _room: OwnedSemaphorePermit,
}

struct RequestState {
    vectors: Vec<Vec<f32>>,
    left: usize,
    reply: Option<oneshot::Sender<Result<Vec<Vec<f32>>, Error>>>,
}

impl Embedder {
    /// Loads the runtime, the tokenizer and the sessions, and runs one text through each session. Blocks for a
    /// second or two: call it at start or from [`tokio::task::spawn_blocking`].
    pub fn load(options: EmbedderOptions, registry: &Registry) -> Result<Self, Error> {
        Self::start(options, Metrics::register(registry)?)
    }

    /// Loads another model beside this one, with this one's options and metrics. Blocks as [`Self::load`].
    pub fn load_other(&self, model: ModelSettings) -> Result<Self, Error> {
        let shared = &self.inner.shared;
        Self::start(shared.options.with_model(model), shared.metrics.clone())
    }

    fn start(options: EmbedderOptions, metrics: Metrics) -> Result<Self, Error> {
        options.validate()?;
        let runtime = OnnxRuntime::load(&options.runtime_library)?;
        let tokenizer = Tokenizer::from_file(&options.model_dir.join("tokenizer.json"))?;
        let model_path = options.model_dir.join("model.onnx");
        let model_id = model_id(&options, &model_path)?;
        let query_room = Arc::new(Semaphore::new(options.queue.min(Semaphore::MAX_PERMITS)));
        let passage_room = Arc::new(Semaphore::new(options.queue.min(Semaphore::MAX_PERMITS)));
        let sessions = options.session_count();
        let shared = Arc::new(Shared { options, tokenizer, queue: Queue::new(), metrics });

        // Dropping `inner`, on any error from here on, ends the threads that run already.
        let threads = Vec::with_capacity(sessions);
        let mut inner = Inner { shared, threads, query_room, passage_room, dimension: 0, model_id };
        let (ready_sender, ready) = mpsc::channel();
        for index in 0..sessions {
            let (shared, runtime, model_path) = (inner.shared.clone(), runtime.clone(), model_path.clone());
            let ready_sender = ready_sender.clone();
            let thread = std::thread::Builder::new()
                .name(format!("embedder-{index}"))
                .spawn(move || session_thread(&shared, &runtime, &model_path, ready_sender))
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
        shared.metrics.queue_texts.add(texts.len() as i64);
        let request = Arc::new(Request {
            lane,
            texts: texts.len(),
            state: Mutex::new(RequestState {
                vectors: vec![Vec::new(); texts.len()],
                left: texts.len(),
                reply: Some(reply),
            }),
            metrics: shared.metrics.clone(),
            _room: room,
        });
        shared.queue.push(lane, [Work::Encode(request, texts)]);
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has closed the queue already; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl Request {
    /// Nobody waits for it any more: it failed, or its caller is gone.
    fn is_over(&self) -> bool {
        self.lock().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn fail(&self, error: Error) {
        if let Some(reply) = self.lock().reply.take() {
            // The caller may be gone, which is fine.
            let _ = reply.send(Err(error));
        }
    }

    fn fulfil(&self, rows: impl IntoIterator<Item = (usize, Vec<f32>)>) {
        let mut state = self.lock();
        for (index, vector) in rows {
            state.vectors[index] = vector;
            state.left -= 1;
        }
        if state.left > 0 {
            return;
        }
        let vectors = std::mem::take(&mut state.vectors);
        if let Some(reply) = state.reply.take() {
            // The caller may be gone, which is fine.
            let _ = reply.send(Ok(vectors));
        }
    }

    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.metrics.queue_texts.sub(self.texts as i64);
    }
}

/// Closes the queue when a thread ends, a panic included, so that no caller waits for ever.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

fn session_thread(
    shared: &Shared,
    runtime: &OnnxRuntime,
    model_path: &Path,
    ready: mpsc::Sender<Result<usize, Error>>,
) {
    let _close_at_end = CloseAtEnd(shared);
    let loaded = EmbeddingSession::load(runtime, model_path, shared.options.device)
        .and_then(|mut session| Ok((warm_up(shared, &mut session)?, session)));
    let mut session = match loaded {
        Ok((dimension, session)) => {
            // `load` waits for it.
            let _ = ready.send(Ok(dimension));
            session
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    drop(ready);
    while let Some(work) = shared.queue.pop() {
        match work {
            Work::Encode(request, texts) if !request.is_over() => encode(shared, &request, texts),
            Work::Batch(request, rows) if !request.is_over() => run_batch(shared, &mut session, &request, rows),
            _ => {}
        }
    }
}

/// Runs one text, so that the first caller does not pay for the first allocation. Gives the dimension.
fn warm_up(shared: &Shared, session: &mut EmbeddingSession) -> Result<usize, Error> {
    let ids = shared.tokenizer.encode("warm-up", shared.options.max_tokens)?;
    let vector = session.run(&[&ids])?.pop().flatten();
    vector.map(|vector| vector.len()).ok_or(Error::NotFinite { index: 0 })
}

fn encode(shared: &Shared, request: &Arc<Request>, texts: Vec<String>) {
    let prefix = match request.lane {
        Lane::Query => &shared.options.query_prefix,
        Lane::Passage => &shared.options.passage_prefix,
    };
    let mut encoded = Vec::with_capacity(texts.len());
    for text in texts {
        let text = if prefix.is_empty() { text } else { format!("{prefix}{text}") };
        match shared.tokenizer.encode(&text, shared.options.max_tokens) {
            Ok(ids) => encoded.push(ids),
            Err(error) => return request.fail(error),
        }
    }
    let lengths: Vec<usize> = encoded.iter().map(Vec::len).collect();
    let tokens = batch_tokens(&lengths, shared.options.batch_tokens, shared.options.session_count());
    let batches = pack(&lengths, shared.options.batch_rows, tokens);
    let work: Vec<Work> = batches
        .into_iter()
        .map(|batch| batch.into_iter().map(|index| (index, std::mem::take(&mut encoded[index]))).collect())
        .map(|rows| Work::Batch(request.clone(), rows))
        .collect();
    shared.queue.push(request.lane, work);
}

fn run_batch(shared: &Shared, session: &mut EmbeddingSession, request: &Request, rows: Vec<(usize, Vec<u32>)>) {
    let ids: Vec<&[u32]> = rows.iter().map(|(_, ids)| ids.as_slice()).collect();
    let timer = shared.metrics.batch_seconds.start_timer();
    let vectors = match session.run(&ids) {
        Ok(vectors) => vectors,
        Err(error) => return request.fail(error),
    };
    timer.observe_duration();
    let mut finished = Vec::with_capacity(rows.len());
    for ((index, _), vector) in rows.iter().zip(vectors) {
        match vector {
            Some(vector) => finished.push((*index, vector)),
            None => return request.fail(Error::NotFinite { index: *index }),
        }
    }
    let tokens: usize = ids.iter().map(|row| row.len()).sum();
    shared.metrics.tokens.inc_by(tokens as u64);
    shared.metrics.texts.with_label_values(&[request.lane.as_str()]).inc_by(finished.len() as u64);
    request.fulfil(finished);
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
