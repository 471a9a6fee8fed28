//! The models of an evaluation: answers by mistral.rs, as in serving; losses by the training engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use twin_artifacts::Artifacts;
use twin_embedding::Embedder;
use twin_evaluator::end_to_end::Checks;
use twin_evaluator::{
    Answer, EvaluationOrder, Loss, Subject, SubjectError, SubjectRole, Subjects, Unloadable, Version,
};
use twin_inference::LlmOptions;
use twin_llm::{ChatModel, ChatRequest, Reply, whole};
use twin_lora::{Scorer, merge, scorer};
use twin_mistral::MistralModel;
use twin_onnx::EmbedderOptions;
use twin_registry::FoldAdapter;
use twin_schemas::{AnswerCheck, ChatMessage, Passage};
use twin_telemetry::MetricsRegistry;
use twin_training::Base;

use crate::run::embedding;

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
    /// The embedding model that answers are held against their passages by.
    embedder: Option<EmbedderOptions>,
}

impl OrderedModels {
    /// They answer as `llm` says for serving, but greedily.
    pub fn new(order: &EvaluationOrder, artifacts: String, folder: PathBuf, base: PathBuf, llm: LlmOptions) -> Self {
        Self { order: order.clone(), artifacts, folder, base, llm, embedder: None }
    }

    /// Answers are checked with this embedding model.
    pub fn checked_by(self, embedder: EmbedderOptions) -> Self {
        Self { embedder: Some(embedder), ..self }
    }

    /// The version in production; [`Unloadable`] where no later try would load it either.
    async fn production(&self, version: &Version) -> Result<Box<dyn Subject>, SubjectError> {
        let opened = async {
            let directory = self.fetched(version).await?;
            self.opened(&version.name, &directory).await
        };
        opened.await.map_err(|error| given_up(&version.name, error))
    }

    /// The base model of this machine. A candidate of another one is held against it all the same.
    async fn base_model(&self, base: &Base) -> Result<Box<dyn Subject>, SubjectError> {
        let without_folds = match &self.order.folds {
            Some(_) => " Its folds are of no use without that model: it was measured on the test split alone.",
            None => "",
        };
        let remark = (!base.is(&self.order.base)).then(|| {
            format!(
                "{} was trained on another base model than {}, which it is shown beside here.{without_folds}",
                self.order.candidate.name,
                base.name()
            )
        });
        let opened = self.loaded(&base.name(), &base.path).await?;
        Ok(Box::new(Opened { remark, ..opened }))
    }

    async fn fetched(&self, version: &Version) -> Result<PathBuf, SubjectError> {
        let directory = self.folder.join(&version.name);
        Artifacts::open_existing(&self.artifacts)?.fetch_folder(&version.files, &directory).await?;
        Ok(directory)
    }

    /// The base model that this machine has. Looked at each time, though it is opened last: without it the others' work would be
    /// of no use.
    async fn base(&self) -> Result<Base, SubjectError> {
        let base = self.base.clone();
        Ok(tokio::task::spawn_blocking(move || Base::open(&base)).await??)
    }

    /// A fold of a model: its name, and its adapter.
    fn fold(&self, role: SubjectRole, fold: u32) -> Option<(&str, &FoldAdapter)> {
        let order = self.order.folds.as_ref()?;
        let (version, adapters) = match role {
            SubjectRole::Candidate => (&self.order.candidate, &order.candidate),
            SubjectRole::Production => (self.order.production.as_ref()?, &order.production),
            SubjectRole::Base => return None,
        };
        Some((&version.name, adapters.iter().find(|adapter| adapter.fold == fold)?))
    }

    /// The base model with a fold's adapter merged into it.
    async fn merged(&self, base: Base, name: &str, fold: &FoldAdapter) -> Result<Box<dyn Subject>, SubjectError> {
        let (adapter, merged) = (self.folder.join("fold-adapter"), self.folder.join("fold"));
        if tokio::fs::try_exists(&adapter).await? {
            tokio::fs::remove_dir_all(&adapter).await?;
        }
        Artifacts::open_existing(&self.artifacts)?.fetch_folder(&fold.adapter, &adapter).await?;
        let directory = merged.clone();
        tokio::task::spawn_blocking(move || merge(&base.path, &adapter, &directory)).await??;
        self.opened(name, &merged).await
    }

    /// The model in that directory. What answers is loaded at once: a model that can not be is told before anything is asked.
    async fn opened(&self, name: &str, directory: &Path) -> Result<Box<dyn Subject>, SubjectError> {
        Ok(Box::new(self.loaded(name, directory).await?))
    }

    async fn loaded(&self, name: &str, directory: &Path) -> Result<Opened, SubjectError> {
        let model = MistralModel::load(directory, name, self.llm.device).await?;
        Ok(Opened {
            name: name.to_owned(),
            remark: None,
            directory: directory.to_owned(),
            held: Mutex::new(Some(Held::Answering(Arc::new(model)))),
            llm: self.llm.clone(),
        })
    }
}

/// The error of a version in production: [`Unloadable`] where no later try would load it either.
fn given_up(version: &str, error: SubjectError) -> SubjectError {
    match is_lasting(&error) {
        true => Unloadable { version: version.to_owned(), cause: error.to_string() }.into(),
        false => error,
    }
}

/// Whether a version's files are not there, are not what they were, or are none that an engine reads.
fn is_lasting(error: &SubjectError) -> bool {
    match error.downcast_ref::<twin_artifacts::Error>() {
        Some(error) => !error.is_transient() && !error.is_of_the_disk(),
        None => matches!(error.downcast_ref(), Some(twin_llm::Error::Load { .. })),
    }
}

#[async_trait]
impl Subjects for OrderedModels {
    async fn open(&self, role: SubjectRole) -> Result<Option<Box<dyn Subject>>, SubjectError> {
        let base = self.base().await?;
        match (role, &self.order.production) {
            (SubjectRole::Candidate, _) => {
                let candidate = &self.order.candidate;
                let directory = self.fetched(candidate).await?;
                self.opened(&candidate.name, &directory).await.map(Some)
            }
            (SubjectRole::Production, None) => match &self.order.unloadable {
                Some(unloadable) => Err(unloadable.clone().into()),
                None => Ok(None),
            },
            (SubjectRole::Production, Some(production)) => self.production(production).await.map(Some),
            (SubjectRole::Base, _) => self.base_model(&base).await.map(Some),
        }
    }

    async fn opens_folds(&self) -> Result<bool, SubjectError> {
        Ok(self.base().await?.is(&self.order.base))
    }

    /// Merged into the base model, in place of the fold before it: there is room for one on the disk, too. [`Unloadable`] where
    /// no later try would open a fold of the version in production either.
    async fn open_fold(&self, role: SubjectRole, fold: u32) -> Result<Box<dyn Subject>, SubjectError> {
        let base = self.base().await?;
        // An adapter is of no use without its own base model.
        base.require(&self.order.base)?;
        let missing = || format!("there is no fold {fold} of the {role}");
        let (name, adapter) = self.fold(role, fold).ok_or_else(missing)?;
        self.merged(base, name, adapter).await.map_err(|error| match role {
            SubjectRole::Production => given_up(name, error),
            SubjectRole::Candidate | SubjectRole::Base => error,
        })
    }

    async fn checks(&self) -> Result<Option<Box<dyn Checks>>, SubjectError> {
        let Some(options) = self.embedder.clone() else { return Ok(None) };
        let (embedder, _) = embedding::load(options, &MetricsRegistry::new()).await?;
        Ok(Some(Box::new(ServingChecks(embedder))))
    }
}

/// The check of serving, with an embedding model of this process's own.
struct ServingChecks(Arc<dyn Embedder>);

#[async_trait]
impl Checks for ServingChecks {
    async fn check(&self, answer: &str, passages: &[Passage]) -> Result<AnswerCheck, SubjectError> {
        Ok(twin_inference::check(answer, passages, self.0.as_ref()).await?)
    }
}

struct Opened {
    name: String,
    remark: Option<String>,
    directory: PathBuf,
    /// None while the other is loaded.
    held: Mutex<Option<Held>>,
    llm: LlmOptions,
}

/// The one of the two engines that holds the model now. Both at once would take its memory twice.
enum Held {
    Answering(Arc<MistralModel>),
    Scoring(Arc<Scorer>),
}

impl Opened {
    async fn model(&self) -> Result<Arc<MistralModel>, SubjectError> {
        let mut held = self.held.lock().await;
        if let Some(Held::Answering(model)) = &*held {
            return Ok(model.clone());
        }
        *held = None;
        let model = Arc::new(MistralModel::load(&self.directory, &self.name, self.llm.device).await?);
        *held = Some(Held::Answering(model.clone()));
        Ok(model)
    }

    async fn scorer(&self) -> Result<Arc<Scorer>, SubjectError> {
        let mut held = self.held.lock().await;
        if let Some(Held::Scoring(scorer)) = &*held {
            return Ok(scorer.clone());
        }
        *held = None;
        let directory = self.directory.clone();
        let scorer = Arc::new(tokio::task::spawn_blocking(move || scorer(&directory)).await??);
        *held = Some(Held::Scoring(scorer.clone()));
        Ok(scorer)
    }
}

#[async_trait]
impl Subject for Opened {
    fn name(&self) -> &str {
        &self.name
    }

    fn remark(&self) -> Option<String> {
        self.remark.clone()
    }

    async fn answer(&self, prompt: &[ChatMessage]) -> Result<Answer, SubjectError> {
        let request = ChatRequest {
            frequency_penalty: self.llm.frequency_penalty,
            ..ChatRequest::greedy(prompt.to_vec(), self.llm.max_tokens)
        };
        let Reply { text, finish_reason, .. } = whole(self.model().await?.chat(request).await?).await?;
        Ok(Answer { text, finish_reason })
    }

    async fn loss(&self, prompt: &[ChatMessage], completion: &str, ends: bool) -> Result<Loss, SubjectError> {
        let (scorer, prompt, completion) = (self.scorer().await?, prompt.to_vec(), completion.to_owned());
        let (nll, tokens) = tokio::task::spawn_blocking(move || scorer.loss(&prompt, &completion, ends)).await??;
        Ok(Loss { nll, tokens: tokens as u64 })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use twin_schemas::DocumentId;

    use super::*;

    /// A base model, and an order of a candidate and a version in production whose folds' files are lost.
    fn ordered(folder: &TempDir, base_of_order: Option<&str>) -> OrderedModels {
        let base = folder.path().join("base");
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join("config.json"), "{}").unwrap();
        std::fs::write(base.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat()).unwrap();
        let store = folder.path().join("artifacts");
        Artifacts::in_folder(&store).unwrap();
        let document: DocumentId = format!("{:032x}", 1).parse().unwrap();
        let lost = format!("sha256:{}", "0".repeat(64));
        let adapter = json!([{ "path": "adapter_config.json", "artifact": lost, "bytes": 1 }]);
        let fold: Value = json!({
            "fold": 0, "left_out": [document], "steps": 1, "samples": 1, "shown_beside": 0, "evaluation_loss": null,
            "adapter": adapter,
        });
        let fingerprint = Base::open(&base).unwrap().fingerprint;
        let order = json!({
            "model": "ada-v2", "dataset": "d", "test": [], "candidate": { "name": "ada-v2", "files": [] },
            "production": { "name": "ada-v1", "files": [] }, "base": base_of_order.unwrap_or(&fingerprint), "options": {},
            "folds": { "samples": [], "candidate": [fold], "production": [fold], "learned": [document] },
        });
        let order: EvaluationOrder = serde_json::from_value(order).unwrap();
        let models = folder.path().join("models");
        std::fs::create_dir(&models).unwrap();
        OrderedModels::new(&order, Artifacts::url_of_folder(&store), models, base, LlmOptions::default())
    }

    #[tokio::test]
    async fn a_lost_fold_of_production_is_given_up_and_one_of_the_candidate_ends_the_evaluation() {
        let folder = TempDir::new().unwrap();
        let models = ordered(&folder, None);
        assert!(models.opens_folds().await.unwrap());
        let of_production = models.open_fold(SubjectRole::Production, 0).await.err().unwrap();
        assert_eq!(of_production.downcast_ref::<Unloadable>().unwrap().version, "ada-v1", "{of_production}");
        let of_candidate = models.open_fold(SubjectRole::Candidate, 0).await.err().unwrap();
        assert!(!of_candidate.is::<Unloadable>(), "{of_candidate}");
    }

    #[tokio::test]
    async fn no_fold_can_be_opened_where_another_base_model_is_than_the_candidates() {
        let folder = TempDir::new().unwrap();
        assert!(!ordered(&folder, Some("the former one")).opens_folds().await.unwrap());
    }

    #[test]
    fn a_version_is_given_up_only_for_what_no_later_try_would_mend() {
        let artifact = |error: twin_artifacts::Error| is_lasting(&error.into());
        assert!(artifact(twin_artifacts::Error::Missing("sha256:d".into())));
        assert!(artifact(twin_artifacts::Error::Damaged("sha256:d".into())));
        assert!(!artifact(Artifacts::existing(Path::new("/no/such/folder")).unwrap_err()), "the store is away");
        let load = twin_llm::Error::Load { location: "there".into(), problem: "an unknown architecture".into() };
        assert!(is_lasting(&load.into()));
        assert!(!is_lasting(&twin_llm::Error::Generation("broken off".into()).into()));
    }
}
