//! The local model on the default weights.

use std::path::PathBuf;

use twin_llm::{ChatModel, ChatRequest, Device, whole};
use twin_mistral::MistralModel;
use twin_schemas::{ChatMessage, FinishReason, Role};

fn model() -> PathBuf {
    let cache = std::env::var_os("TWIN_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/llm-twin"));
    cache.join("models/smollm2-135m-instruct-f32")
}

/// The answer and why it ended, within so many tokens.
async fn answered(model: &MistralModel, question: &str, max_tokens: u32) -> (String, FinishReason) {
    let messages = vec![ChatMessage { role: Role::User, content: question.to_owned() }];
    let reply = whole(model.chat(ChatRequest::greedy(messages, max_tokens)).await.unwrap()).await.unwrap();
    (reply.text, reply.finish_reason)
}

/// A crab is four bytes and more than one token. mistral.rs sends no last chunk where the limit cuts one in two.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_within_a_character_ends_like_any_other() {
    let model = MistralModel::load(&model(), "base", Device::Cpu).await.unwrap();
    let question = "Repeat this line and nothing else: 🦀🦀🦀🦀🦀🦀🦀🦀";
    let (whole, _) = answered(&model, question, 24).await;
    assert!(whole.contains('🦀'), "{whole:?}");
    for max_tokens in 1..8 {
        let (text, reason) = answered(&model, question, max_tokens).await;
        assert!(whole.starts_with(&text), "{text:?} is no beginning of {whole:?}");
        assert_eq!(reason, FinishReason::Length);
    }
}
