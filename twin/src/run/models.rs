//! Which engine runs models in this process.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use twin_inference::{Base, LlmOptions, Mode};
use twin_llm::openai::OpenAiModel;
use twin_llm::{ChatModel, Engine, Error};
use twin_mistral::Mistral;
use twin_training::Base as BaseModel;

use super::memory::Trimming;
use crate::config::Config;

/// What runs models on this machine.
pub(super) fn engine(options: &LlmOptions) -> Arc<dyn Engine> {
    Arc::new(Trimming(Mistral { device: options.device }))
}

/// The model that answers for authors without a version of their own. Where answers are quoted, none is loaded; an
/// endpoint costs nothing, and serves those who ask for JSON.
pub(super) async fn base(config: &Config) -> Result<Base, Error> {
    let llm = &config.llm;
    if config.answers.mode == Mode::Quote && llm.endpoint.is_none() {
        return Ok(Base::Absent);
    }
    let model = chat_model(llm).await?;
    Ok(if config.has_default_model() { Base::Default(model) } else { Base::Chosen(model) })
}

/// The model that the options name: an endpoint if there is one, else the local model.
pub(super) async fn chat_model(options: &LlmOptions) -> Result<Arc<dyn ChatModel>, Error> {
    match &options.endpoint {
        Some(endpoint) => {
            let api_key = options.api_key.clone();
            let model = OpenAiModel::new(endpoint, &options.endpoint_model, api_key)?;
            Ok(Arc::new(model.with_profile(options.profile).with_window(options.endpoint_window)))
        }
        None => engine(options).open(&options.model, &name(options)).await,
    }
}

/// The name that this model has.
pub(super) fn name(options: &LlmOptions) -> String {
    match &options.endpoint {
        Some(_) => options.endpoint_model.clone(),
        None => options.model.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
    }
}

/// What tells that model from any other: at an endpoint its address and name, here its content, whatever it is called.
pub(super) async fn identity(options: &LlmOptions) -> Result<String> {
    if let Some(endpoint) = &options.endpoint {
        return Ok(format!("{} at {endpoint}", options.endpoint_model));
    }
    let path = options.model.clone();
    tokio::task::spawn_blocking(move || content(&path)).await?
}

/// The content of a folder as jobs name it. A form that no job can begin with is named by its place, length and age: to read
/// all of it may take minutes.
fn content(path: &Path) -> Result<String> {
    if let Ok(base) = BaseModel::open(path) {
        return Ok(base.fingerprint);
    }
    let file = || path.display().to_string();
    let metadata = std::fs::metadata(path).with_context(file)?;
    let modified = metadata.modified().with_context(file)?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}, {} bytes of {}", path.display(), metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_is_told_from_another_by_its_endpoint_or_its_file() {
        let at = |endpoint: &str, name: &str| LlmOptions {
            endpoint: Some(endpoint.parse().unwrap()),
            endpoint_model: name.to_owned(),
            ..LlmOptions::default()
        };
        let (here, there) = ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1");
        let mut known = Vec::new();
        for options in [at(here, "a"), at(here, "b"), at(there, "a")] {
            known.push(identity(&options).await.unwrap());
        }
        assert!(known[0] != known[1] && known[0] != known[2], "{known:?}");
        assert_eq!(identity(&at(here, "a")).await.unwrap(), known[0]);

        let folder = tempfile::tempdir().unwrap();
        let options = LlmOptions { model: folder.path().join("model.gguf"), ..LlmOptions::default() };
        assert!(identity(&options).await.unwrap_err().to_string().contains("model.gguf"));
        std::fs::write(&options.model, "GGUF").unwrap();
        let before = identity(&options).await.unwrap();
        std::fs::write(&options.model, "GGUF, and more").unwrap();
        assert_ne!(identity(&options).await.unwrap(), before);
    }
}
