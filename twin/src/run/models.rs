//! Which engine runs models in this process.

use std::sync::Arc;

use twin_inference::{Base, LlmOptions, Mode};
use twin_llm::openai::OpenAiModel;
use twin_llm::{ChatModel, Engine, Error};
use twin_mistral::Mistral;

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
        None => {
            let name = options.model.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            engine(options).open(&options.model, &name).await
        }
    }
}
