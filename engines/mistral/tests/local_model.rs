//! The local model on the default weights.

use std::path::PathBuf;

use serde_json::{Value, json};
use twin_llm::{ChatModel, ChatRequest, Device, Error, Reply, whole};
use twin_mistral::MistralModel;
use twin_schemas::{ChatMessage, FinishReason, ResponseFormat, Role};

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

fn question(text: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest::greedy(vec![ChatMessage { role: Role::User, content: text.to_owned() }], max_tokens)
}

async fn reply(model: &MistralModel, request: ChatRequest) -> Result<Reply, Error> {
    whole(model.chat(request).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_form_that_is_asked_for_and_ends_with_it() {
    let model = MistralModel::load(&model(), "base", Device::Cpu).await.unwrap();
    let schema = json!({
        "type": "object", "required": ["colour", "sure"], "additionalProperties": false,
        "properties": { "colour": { "enum": ["red", "blue"] }, "sure": { "type": "boolean" } },
    });
    let asked = question("What colour has the sky?", 120);
    let plain = reply(&model, asked.clone()).await.unwrap();
    let sky = ResponseFormat::json_schema("sky", schema);
    let formed = reply(&model, asked.clone().in_format(sky.clone())).await.unwrap();
    let read: Value = serde_json::from_str(&formed.text).unwrap();
    assert!(read["colour"].is_string() && read["sure"].is_boolean(), "{formed:?}");
    assert_eq!(formed.finish_reason, FinishReason::Stop, "{formed:?}");
    assert_eq!(formed.usage.prompt_tokens, plain.usage.prompt_tokens);
    assert!((4..60).contains(&formed.usage.completion_tokens), "{formed:?}");

    let object = reply(&model, asked.clone().in_format(ResponseFormat::JsonObject)).await.unwrap();
    assert!(serde_json::from_str::<Value>(&object.text).unwrap().is_object(), "{object:?}");
    let cut = reply(&model, ChatRequest { max_tokens: 3, ..asked.clone().in_format(sky) }).await.unwrap();
    assert!(cut.text.starts_with('{') && cut.finish_reason == FinishReason::Length, "{cut:?}");
    let refused = reply(&model, asked.in_format(ResponseFormat::json_schema("x", json!({ "type": "colour" })))).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_an_answer_whatever_is_drawn_for_others() {
    let model = MistralModel::load(&model(), "base", Device::Cpu).await.unwrap();
    let sampled = |seed| ChatRequest { temperature: 1.0, top_p: 0.95, seed, ..question("Tell me a story.", 24) };
    let text = async |seed| reply(&model, sampled(seed)).await.unwrap().text;
    let first = text(Some(7)).await;
    assert_eq!(text(Some(7)).await, first);
    assert_ne!(text(Some(8)).await, first);
    let unseeded = [text(None).await, text(None).await, text(None).await];
    assert!(unseeded[0] != unseeded[1] || unseeded[1] != unseeded[2], "a temperature has an effect: {unseeded:?}");
    assert_eq!(text(Some(7)).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tokens_than_the_window_has_may_be_asked_for() {
    let model = MistralModel::load(&model(), "base", Device::Cpu).await.unwrap();
    let asked = ChatRequest { stop: vec![".".to_owned()], ..question("What is the capital of France?", 1_000_000) };
    let reply = reply(&model, asked).await.unwrap();
    assert!(reply.text.contains("Paris") && reply.finish_reason == FinishReason::Stop, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penalty_holds_back_what_the_answer_says_again_and_nothing_of_the_prompt() {
    let model = MistralModel::load(&model(), "base", Device::Cpu).await.unwrap();
    let text = async |max_tokens, penalty| {
        let asked = question("Tell me a story about the rain, the rain, the rain and the sea.", max_tokens);
        let asked = ChatRequest { frequency_penalty: penalty, presence_penalty: penalty, ..asked };
        reply(&model, asked).await.unwrap().text
    };
    let first = text(1, 0.0).await;
    assert_eq!(text(1, 2.0).await, first, "whatever the prompt has said, the answer has said nothing yet");
    let said_again = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.len() - words.iter().collect::<std::collections::HashSet<_>>().len()
    };
    let (plain, held_back) = (text(80, 0.0).await, text(80, 2.0).await);
    assert!(said_again(&held_back) < said_again(&plain), "{held_back:?} beside {plain:?}");
}
