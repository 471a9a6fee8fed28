//! What an OpenAI-compatible endpoint is asked, over HTTP.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use twin_llm::openai::OpenAiModel;
use twin_llm::{ChatModel, ChatRequest, Error, whole, whole_in_format};
use twin_schemas::{ChatMessage, ResponseFormat, Role};
use twin_tests::{Llm, Script};

async fn endpoint() -> Result<(Llm, OpenAiModel)> {
    let llm = Llm::start(Script::of(&["{\"title\":", " \"Rivers\"}"], Duration::ZERO)).await?;
    let model = OpenAiModel::new(&llm.endpoint().parse()?, "default", None)?;
    Ok((llm, model))
}

fn greedy() -> ChatRequest {
    ChatRequest::greedy(vec![ChatMessage { role: Role::User, content: "Name it.".to_owned() }], 20)
}

fn summary() -> ResponseFormat {
    ResponseFormat::json_schema("summary", json!({ "type": "object", "required": ["title"] }))
}

#[tokio::test]
async fn seed_and_form_are_sent_as_openai_has_them_and_not_where_there_are_none() -> Result<()> {
    let (llm, model) = endpoint().await?;
    whole(model.chat(greedy()).await?).await?;
    let plain = llm.last_request();
    assert!(plain.get("seed").is_none() && plain.get("response_format").is_none(), "{plain}");

    let seed = Some((-3_i64).cast_unsigned());
    let reply = whole(model.chat(ChatRequest { seed, ..greedy() }.in_format(summary())).await?).await?;
    assert_eq!(serde_json::from_str::<Value>(&reply.text)?, json!({ "title": "Rivers" }));
    let asked = llm.last_request();
    let schema = json!({ "name": "summary", "schema": { "type": "object", "required": ["title"] }, "strict": true });
    assert_eq!(asked["response_format"], json!({ "type": "json_schema", "json_schema": schema }));
    assert_eq!(asked["seed"], json!(-3));

    whole(model.chat(greedy().in_format(ResponseFormat::JsonObject)).await?).await?;
    assert_eq!(llm.last_request()["response_format"], json!({ "type": "json_object" }));
    Ok(())
}

#[tokio::test]
async fn an_endpoint_without_forms_refuses_and_who_checks_the_answer_may_ask_without() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse("response_format");
    let refused = model.chat(greedy().in_format(summary())).await.err();
    assert!(matches!(&refused, Some(Error::Refused(told)) if told.contains("response_format")), "{refused:?}");
    let reply = whole_in_format(&model, greedy().in_format(summary())).await?;
    assert_eq!(reply.text, "{\"title\": \"Rivers\"}");
    assert!(llm.last_request().get("response_format").is_none());
    Ok(())
}
