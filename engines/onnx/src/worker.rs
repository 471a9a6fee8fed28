//! A thread with a session of the model: what it does, and how it goes on after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tracing::{error, info};
use twin_embedding::Purpose;

use crate::availability::Availability;
use crate::metrics::Metrics;
use crate::packing::{batch_tokens, pack};
use crate::queue::Queue;
use crate::request::Request;
use crate::session::EmbeddingSession;
use crate::{EmbedderOptions, Error, HuggingFaceTokenizer};

/// Between two attempts to load a session anew.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// Token ids to vectors; no vector where the numbers are not finite.
pub(crate) trait Model {
    fn run(&mut self, rows: &[&[u32]]) -> Result<Vec<Option<Vec<f32>>>, Error>;
}

impl Model for EmbeddingSession {
    fn run(&mut self, rows: &[&[u32]]) -> Result<Vec<Option<Vec<f32>>>, Error> {
        self.run(rows)
    }
}

/// Gives each thread a session of its own.
pub(crate) type Loader = dyn Fn() -> Result<Box<dyn Model>, Error> + Send + Sync;

/// What the threads know.
pub(crate) struct Shared {
    pub(crate) options: EmbedderOptions,
    pub(crate) tokenizer: HuggingFaceTokenizer,
    pub(crate) queue: Queue<Work>,
    pub(crate) metrics: Metrics,
    pub(crate) availability: Availability,
    pub(crate) load: Box<Loader>,
}

/// What a thread is given to do.
pub(crate) enum Work {
    /// Tokenise a request and queue its batches.
    Encode(Arc<Request>, Vec<String>),
    /// Run a batch of a request: positions in the request, and token ids.
    Batch(Arc<Request>, Vec<(usize, Vec<u32>)>),
}

impl Work {
    fn request(&self) -> &Arc<Request> {
        match self {
            Self::Encode(request, _) | Self::Batch(request, _) => request,
        }
    }
}

/// Closes the queue when a thread ends, so that no caller waits for ever.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

/// Works until the queue is closed. `ready` is told the dimension, or why there is no session.
pub(crate) fn run(shared: &Shared, ready: mpsc::Sender<Result<usize, Error>>) {
    let _close_at_end = CloseAtEnd(shared);
    let (dimension, mut model) = match load(shared) {
        Ok(loaded) => loaded,
        Err(error) => {
            // Whoever loads the embedder waits for it.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(dimension));
    drop(ready);
    while let Some(work) = shared.queue.pop() {
        let request = Arc::clone(work.request());
        if request.is_over() {
            continue;
        }
        let done = catch_unwind(AssertUnwindSafe(|| match work {
            Work::Encode(request, texts) => encode(shared, &request, texts),
            Work::Batch(request, rows) => run_batch(shared, model.as_mut(), &request, rows),
        }));
        if done.is_err() {
            error!("embedding panicked; its session is loaded anew");
            request.fail(Error::Panicked);
            drop(request);
            match reload(shared) {
                Some(loaded) => model = loaded,
                None => return,
            }
        }
    }
}

fn load(shared: &Shared) -> Result<(usize, Box<dyn Model>), Error> {
    let mut model = (shared.load)()?;
    Ok((warm_up(shared, model.as_mut())?, model))
}

/// Nobody knows in what state a panic has left the session. None if the embedder is closed meanwhile.
fn reload(shared: &Shared) -> Option<Box<dyn Model>> {
    shared.metrics.restarts.inc();
    let _unavailable = shared.availability.suspend();
    loop {
        let loaded = catch_unwind(AssertUnwindSafe(|| load(shared))).unwrap_or(Err(Error::Panicked));
        match loaded {
            Ok((_, model)) => {
                info!("the embedding session is back");
                return Some(model);
            }
            Err(error) => error!(%error, "the embedding session can not be loaded, trying again"),
        }
        if shared.queue.closes_within(RELOAD_PAUSE) {
            return None;
        }
    }
}

/// Runs one text, so that the first caller does not pay for the first allocation. Gives the dimension.
fn warm_up(shared: &Shared, model: &mut dyn Model) -> Result<usize, Error> {
    let ids = shared.tokenizer.encode("warm-up", shared.options.max_tokens)?;
    let vector = model.run(&[&ids])?.pop().flatten();
    vector.map(|vector| vector.len()).ok_or(Error::NotFinite { index: 0 })
}

fn encode(shared: &Shared, request: &Arc<Request>, texts: Vec<String>) {
    let prefix = shared.options.prefix(request.lane);
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

fn run_batch(shared: &Shared, model: &mut dyn Model, request: &Request, rows: Vec<(usize, Vec<u32>)>) {
    let ids: Vec<&[u32]> = rows.iter().map(|(_, ids)| ids.as_slice()).collect();
    let timer = shared.metrics.batch_seconds.start_timer();
    let vectors = match model.run(&ids) {
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
    shared.metrics.texts.with_label_values(&[kind(request.lane)]).inc_by(finished.len() as u64);
    request.fulfil(finished);
}

/// The label of a text in metrics.
fn kind(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query => "query",
        Purpose::Candidate => "candidate",
        Purpose::Passage => "passage",
    }
}
