//! Which engine runs models in this process.

use std::sync::Arc;

use twin_inference::LlmOptions;
use twin_llm::openai::OpenAiModel;
use twin_llm::{ChatModel, Engine, Error};
use twin_mistral::Mistral;

use super::memory::Trimming;

/// What runs models on this machine.
pub(super) fn engine(options: &LlmOptions) -> Arc<dyn Engine> {
    Arc::new(Trimming(Mistral { device: options.device }))
}

/// The model that the options name: an endpoint if there is one, else the local model.
pub(super) async fn chat_model(options: &LlmOptions) -> Result<Arc<dyn ChatModel>, Error> {
    match &options.endpoint {
        Some(endpoint) => {
            let api_key = options.api_key.clone();
            Ok(Arc::new(OpenAiModel::new(endpoint, &options.endpoint_model, api_key)?))
        }
        None => {
            let name = options.model.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            engine(options).open(&options.model, &name).await
        }
    }
}
