//! Models that say one word, and versions of them that an author has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::sync::Notify;
use twin_llm::{ChatChunk, ChatModel, ChatRequest, ChatStream};
use twin_registry::{By, EvaluationOutcome, JobOutcome, NewDataset, NewJob, NewModel, Registry};
use twin_schemas::{AuthorId, DatasetId, FinishReason, JobId, ModelId, Usage, Verdict};

use super::ada;

/// A model that says one word, and is counted while it is in memory.
pub struct Word {
    name: String,
    text: &'static str,
    alive: Arc<AtomicUsize>,
}

impl Word {
    pub fn new(name: &str, text: &'static str, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self { name: name.to_owned(), text, alive: alive.clone() }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ChatModel for Word {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        let chunks = [Ok(ChatChunk::Text(self.text.to_owned())), Ok(end)];
        Ok(futures::stream::iter(chunks).boxed())
    }
}

/// A model that stops in the midst of its text until it is told to go on.
pub struct Interrupted {
    text: String,
    rest: String,
    go_on: Arc<Notify>,
}

impl Interrupted {
    /// What it writes first and then, and what tells it to go on.
    pub fn new(text: impl Into<String>, rest: impl Into<String>) -> (Self, Arc<Notify>) {
        let go_on = Arc::new(Notify::new());
        (Self { text: text.into(), rest: rest.into(), go_on: go_on.clone() }, go_on)
    }
}

#[async_trait]
impl ChatModel for Interrupted {
    fn name(&self) -> &str {
        "interrupted"
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let (rest, go_on) = (self.rest.clone(), self.go_on.clone());
        let words: Vec<String> = self.text.split_inclusive(' ').map(str::to_owned).collect();
        let first = futures::stream::iter(words.into_iter().map(|word| Ok(ChatChunk::Text(word))));
        let then = futures::stream::once(async move {
            go_on.notified().await;
            Ok(ChatChunk::Text(rest))
        });
        let end = Ok(ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() });
        Ok(first.chain(then).chain(futures::stream::iter([end])).boxed())
    }
}

/// A model that says the same again and again, and never ends by itself.
pub struct Endless(pub &'static str);

#[async_trait]
impl ChatModel for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let text = self.0;
        Ok(futures::stream::repeat_with(move || Ok(ChatChunk::Text(text.to_owned()))).boxed())
    }
}

/// A model that rewrites every question in the same way, and answers it.
pub struct Rewriter {
    rewritten: &'static str,
}

impl Rewriter {
    pub fn new(rewritten: &'static str) -> Self {
        Self { rewritten }
    }
}

#[async_trait]
impl ChatModel for Rewriter {
    fn name(&self) -> &str {
        "rewriter"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let rewrites = request.messages[0].content.starts_with("Rewrite");
        let text = if rewrites { self.rewritten } else { "Wool keeps it warm [1]." };
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        let chunks = [Ok(ChatChunk::Text(text.to_owned())), Ok(end)];
        Ok(futures::stream::iter(chunks).boxed())
    }
}

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// The author's next model, approved and thereby deployed. `grounded`: it has passed its evaluation for grounded answers.
pub async fn deployed(registry: &Registry, grounded: bool) -> ModelId {
    deployed_to(registry, &ada(), grounded).await
}

/// As [`deployed`], another author's.
pub async fn deployed_to(registry: &Registry, author: &AuthorId, grounded: bool) -> ModelId {
    let number = registry.newest_models(None, 9).await.unwrap().len();
    let dataset = DatasetId(format!("{author:d<64}"));
    let new = NewDataset {
        prompts: None,
        dataset: dataset.clone(),
        author: author.clone(),
        manifest: "sha256:d".into(),
        training_samples: 9,
        counts: BTreeMap::new(),
        reason: "requested".into(),
        members: Vec::new(),
    };
    registry.add_dataset(new, now()).await.unwrap();
    let job = JobId(format!("{number:064}"));
    let new = NewJob {
        job: job.clone(),
        author: author.clone(),
        dataset,
        base: "base".into(),
        recipe: "{}".into(),
        sweep: None,
        code_version: "1".into(),
    };
    registry.queue_job(new, now()).await.unwrap();
    registry.start_job(&job, now()).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
    let model = registry.finish_job(&job, 1, made, now()).await.unwrap().unwrap();
    registry.queue_evaluation(&model, now()).await.unwrap();
    let outcome = EvaluationOutcome { verdict: Verdict::Passed, grounded, report: "r".into(), page: "p".into() };
    registry.finish_evaluation(&model, 0, outcome, now()).await.unwrap();
    registry.approve(&model, By::new("grace", "", now())).await.unwrap();
    model
}
