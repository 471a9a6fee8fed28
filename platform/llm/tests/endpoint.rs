//! What an OpenAI-compatible endpoint is asked, over HTTP.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use twin_llm::openai::{OpenAiModel, Profile};
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

/// Refuses one parameter after the other, as OpenAI's API does for models that reason.
fn reasons(request: &Value) -> Option<Value> {
    let unsupported = |parameter: &str, code: &str, message: String| {
        let kind = "invalid_request_error";
        Some(json!({ "error": { "message": message, "type": kind, "param": parameter, "code": code } }))
    };
    if request.get("max_tokens").is_some() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
            'max_completion_tokens' instead.";
        return unsupported("max_tokens", "unsupported_parameter", message.to_owned());
    }
    if request.get("temperature").is_some_and(|temperature| temperature != 1) {
        let message = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value \
            is supported.";
        return unsupported("temperature", "unsupported_value", message.to_owned());
    }
    let parameter =
        ["top_p", "frequency_penalty", "stop", "seed"].into_iter().find(|name| request.get(name).is_some())?;
    let message = format!("Unsupported parameter: '{parameter}' is not supported with this model.");
    unsupported(parameter, "unsupported_parameter", message)
}

fn demanding() -> ChatRequest {
    ChatRequest { top_p: 0.9, frequency_penalty: 0.5, stop: vec!["vers".to_owned()], seed: Some(1), ..greedy() }
}

#[tokio::test]
async fn what_an_endpoint_refuses_is_given_up_once_and_for_all_and_a_stop_is_kept_all_the_same() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse_as(reasons);
    let reply = whole(model.chat(demanding()).await?).await?;
    assert_eq!(reply.text, "{\"title\": \"Ri", "the text that ends the answer is looked for here");
    let asked = llm.last_request();
    assert_eq!((&asked["max_completion_tokens"], asked.get("max_tokens")), (&json!(20), None));
    for refused in ["temperature", "top_p", "frequency_penalty", "stop", "seed"] {
        assert!(asked.get(refused).is_none(), "{refused} in {asked}");
    }
    assert_eq!(llm.requests(), 7, "one more for each of six parameters");
    whole(model.chat(demanding()).await?).await?;
    assert_eq!(llm.requests(), 8, "of the second question nothing is refused");
    Ok(())
}

#[tokio::test]
async fn a_value_that_is_refused_is_learned_once_and_another_one_is_sent() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse_as(|request| {
        let is_refused = request["temperature"].as_f64().is_some_and(|temperature| temperature < 0.5);
        let message = "Unsupported value: 'temperature' does not support 0 with this model.";
        let error = json!({ "message": message, "param": "temperature", "code": "unsupported_value" });
        is_refused.then(|| json!({ "error": error }))
    });
    whole(model.chat(greedy()).await?).await?;
    assert_eq!((llm.requests(), llm.last_request().get("temperature")), (2, None));
    whole(model.chat(ChatRequest { temperature: 0.9, ..greedy() }).await?).await?;
    assert_eq!((llm.requests(), &llm.last_request()["temperature"]), (3, &json!(0.9)));
    whole(model.chat(greedy()).await?).await?;
    assert_eq!((llm.requests(), llm.last_request().get("temperature")), (4, None), "it is known to be refused");
    whole(model.chat(ChatRequest { temperature: 0.1, ..greedy() }).await?).await?;
    assert_eq!((llm.requests(), llm.last_request().get("temperature")), (6, None), "another value is another refusal");
    let other = OpenAiModel::new(&llm.endpoint().parse()?, "other", None)?;
    whole(other.chat(greedy()).await?).await?;
    assert_eq!(llm.requests(), 8, "of another model nothing is known");
    Ok(())
}

#[tokio::test]
async fn a_stop_whose_value_is_refused_ends_the_answer_of_every_request() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse_as(|request| {
        let error = json!({ "message": "this is not allowed", "param": "stop", "code": "unsupported_value" });
        request.get("stop").is_some().then(|| json!({ "error": error }))
    });
    for requests in [2, 3] {
        let reply = whole(model.chat(ChatRequest { stop: vec!["vers".to_owned()], ..greedy() }).await?).await?;
        assert_eq!((reply.text.as_str(), llm.requests()), ("{\"title\": \"Ri", requests));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_model_thinks_within_its_text_is_no_answer_and_ends_none() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse("stop");
    let request = || ChatRequest { stop: vec!["END".to_owned()], ..greedy() };
    for (pieces, text) in [
        (["<thi", "nk>END of it? Perhaps", ".</think>\n\nSo", " it is."], "So it is."),
        (["<think>", "hm", ", and", " hm"], ""),
        (["<b", ">So</b>", " it", " is.END"], "<b>So</b> it is."),
        ([" ", "<thi", "n", ""], " <thin"),
    ] {
        llm.say(Script::of(&pieces, Duration::ZERO));
        assert_eq!(whole(model.chat(request()).await?).await?.text, text, "{pieces:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_says_from_the_beginning_how_an_endpoint_is_asked() -> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse_as(reasons);
    let model = model.with_profile(Profile::Reasoning);
    whole(model.chat(ChatRequest { seed: None, ..demanding() }).await?).await?;
    assert_eq!(llm.requests(), 1);
    let strict = endpoint().await?;
    strict.0.refuse_as(reasons);
    let refused = strict.1.with_profile(Profile::Openai).chat(demanding()).await.err();
    assert!(matches!(&refused, Some(Error::Refused(told)) if told.contains("max_tokens")), "{refused:?}");
    assert_eq!(strict.0.requests(), 1);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_takes_neither_name_and_one_that_refuses_for_something_else_are_not_asked_for_ever()
-> Result<()> {
    let (llm, model) = endpoint().await?;
    llm.refuse_as(|request| {
        let names = ["max_tokens", "max_completion_tokens"];
        let name = names.into_iter().find(|name| request.get(name).is_some())?;
        Some(json!({ "error": { "message": format!("Unknown parameter: '{name}'."), "param": name } }))
    });
    assert!(matches!(model.chat(greedy()).await.err(), Some(Error::Refused(_))));
    assert_eq!(llm.requests(), 3, "by the one name, by the other, and by the one again");

    let too_large = json!({ "error": { "message": "max_tokens is too large: 20.", "param": "max_tokens",
        "code": "invalid_value" } });
    llm.refuse_as(move |_| Some(too_large.clone()));
    let refused = model.chat(greedy()).await.err();
    assert!(matches!(&refused, Some(Error::Refused(told)) if told.contains("too large")), "{refused:?}");
    assert_eq!(llm.requests(), 4);
    Ok(())
}

#[tokio::test]
async fn no_more_is_asked_for_than_the_window_leaves_beside_the_prompt() -> Result<()> {
    let (llm, model) = endpoint().await?;
    let asked = async |model: &OpenAiModel, max_tokens: u32, words: usize| -> Result<u64> {
        let messages = vec![ChatMessage { role: Role::User, content: "word ".repeat(words) }];
        whole(model.chat(ChatRequest::greedy(messages, max_tokens)).await?).await?;
        Ok(llm.last_request()["max_tokens"].as_u64().unwrap_or_default())
    };
    let model = model.with_window(4_000);
    assert_eq!(asked(&model, 3_000, 10).await?, 3_000);
    let left = asked(&model, 100_000, 1_000).await?;
    assert!((2_500..3_000).contains(&left), "{left}");
    assert_eq!(asked(&model, 200, 100_000).await?, 200, "the endpoint knows better how long the prompt is");
    Ok(())
}
