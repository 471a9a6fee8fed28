//! The models of an evaluation: answers by mistral.rs, as in serving; losses by the training engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use twin_artifacts::Artifacts;
use twin_evaluator::{Answer, EvaluationOrder, Loss, Subject, SubjectError, SubjectRole, Subjects, Version};
use twin_inference::LlmOptions;
use twin_llm::{ChatModel, ChatRequest, Reply, whole};
use twin_lora::{Scorer, scorer};
use twin_mistral::MistralModel;
use twin_schemas::ChatMessage;
use twin_training::Base;

/// The models that an order names.
pub struct OrderedModels {
    order: EvaluationOrder,
    /// The artifact store's address here.
    artifacts: String,
    /// Where the files of versions are put.
    folder: PathBuf,
    /// Where this machine has a base model.
    base: PathBuf,
    llm: LlmOptions,
}

impl OrderedModels {
    /// They answer as `llm` says for serving, but greedily.
    pub fn new(order: &EvaluationOrder, artifacts: String, folder: PathBuf, base: PathBuf, llm: LlmOptions) -> Self {
        Self { order: order.clone(), artifacts, folder, base, llm }
    }

    async fn fetched(&self, version: &Version) -> Result<PathBuf, SubjectError> {
        let directory = self.folder.join(&version.name);
        Artifacts::open_existing(&self.artifacts)?.fetch_folder(&version.files, &directory).await?;
        Ok(directory)
    }

    async fn opened(&self, name: &str, directory: &Path) -> Result<Box<dyn Subject>, SubjectError> {
        let model = MistralModel::load(directory, name, self.llm.device).await?;
        let target = directory.to_owned();
        let scorer = tokio::task::spawn_blocking(move || scorer(&target)).await??;
        Ok(Box::new(Opened { name: name.to_owned(), model, scorer: Arc::new(scorer), llm: self.llm.clone() }))
    }
}

#[async_trait]
impl Subjects for OrderedModels {
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        // Looked at each time, though it is opened last: without it the others' work would be of no use.
        let base = self.base.clone();
        let base = tokio::task::spawn_blocking(move || Base::open(&base)).await??;
        base.require(&self.order.base)?;
        match (role, &self.order.production) {
            (SubjectRole::Candidate, _) => {
                let candidate = &self.order.candidate;
                let directory = self.fetched(candidate).await?;
                self.opened(&candidate.name, &directory).await.map(Some)
            }
            (SubjectRole::Production, None) => Ok(None),
            (SubjectRole::Production, Some(production)) => {
                let directory = self.fetched(production).await?;
                self.opened(&production.name, &directory).await.map(Some)
            }
            (SubjectRole::Base, _) => self.opened(&base.name(), &base.path).await.map(Some),
        }
    }
}

struct Opened {
    name: String,
    model: MistralModel,
    scorer: Arc<Scorer>,
    llm: LlmOptions,
}

#[async_trait]
impl Subject for Opened {
    fn name(&self) -> &str {
        &self.name
    }

    async fn answer(&self, prompt: &[ChatMessage]) -> Result<Answer, SubjectError> {
        let request = ChatRequest {
            frequency_penalty: self.llm.frequency_penalty,
            ..ChatRequest::greedy(prompt.to_vec(), self.llm.max_tokens)
        };
        let Reply { text, finish_reason, .. } = whole(self.model.chat(request).await?).await?;
        Ok(Answer { text, finish_reason })
    }

    async fn loss(&self, prompt: &[ChatMessage], completion: &str) -> Result<Loss, SubjectError> {
        let (scorer, prompt, completion) = (self.scorer.clone(), prompt.to_vec(), completion.to_owned());
        let (nll, tokens) = tokio::task::spawn_blocking(move || scorer.loss(&prompt, &completion)).await??;
        Ok(Loss { nll, tokens: tokens as u64 })
    }
}
