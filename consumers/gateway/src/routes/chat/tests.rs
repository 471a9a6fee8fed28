//! Requests of chat completions, right and wrong ones.

use serde_json::{Value, json};
use twin_schemas::{AnswerSchema, ResponseFormat, Role};

use super::check::Conversation;
use super::request::ChatRequest;
use crate::Options;
use crate::extract::parse_json;
use crate::problem::Problem;

fn request(changes: Value) -> Value {
    let mut body = json!({"model": "twin/ada", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn check(changes: Value) -> Result<Conversation, Problem> {
    parse_json::<ChatRequest>(request(changes).to_string().as_bytes())?.check(&Options::default())
}

fn wrong_fields(changes: Value) -> Vec<String> {
    let problem = serde_json::to_value(check(changes).unwrap_err()).unwrap();
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_the_official_client_sends_is_accepted() {
    let conversation = check(json!({
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "x",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ],
        "temperature": 0.0, "top_p": 1, "max_tokens": 5, "max_completion_tokens": 7, "stop": "END", "n": 1,
        "stream": true, "stream_options": {"include_usage": true}, "user": "u", "seed": 1, "tools": null,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "metadata": {"a": "b"}, "store": false,
        "safety_identifier": "u", "prompt_cache_key": "k", "prompt_cache_retention": "24h", "service_tier": "auto",
    }))
    .unwrap();
    assert_eq!(conversation.author.as_str(), "ada");
    assert_eq!(conversation.messages[0].role, Role::System);
    assert_eq!(conversation.messages[1].content, "a\nb");
    assert_eq!(conversation.sampling.max_tokens, Some(7));
    assert_eq!(conversation.sampling.stop, ["END"]);
    let penalties = (conversation.sampling.frequency_penalty, conversation.sampling.presence_penalty);
    assert_eq!(penalties, (Some(0.5), Some(-0.5)));
    assert_eq!((conversation.sampling.seed, conversation.format), (Some(1), ResponseFormat::Text));
}

#[test]
fn a_form_is_handed_on_as_it_is_asked_for() {
    let format = |format: Value| check(json!({ "response_format": format })).map(|asked| asked.format);
    assert_eq!(format(Value::Null).unwrap(), ResponseFormat::Text);
    assert_eq!(format(json!({"type": "text"})).unwrap(), ResponseFormat::Text);
    assert_eq!(format(json!({"type": "json_object"})).unwrap(), ResponseFormat::JsonObject);
    let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}});
    let mut asked = json!({"type": "json_schema", "json_schema": {"name": "summary", "schema": schema}});
    let wanted = |strict, description: Option<&str>| ResponseFormat::JsonSchema {
        json_schema: AnswerSchema {
            name: "summary".to_owned(),
            description: description.map(str::to_owned),
            schema: schema.clone(),
            strict,
        },
    };
    assert_eq!(format(asked.clone()).unwrap(), wanted(false, None));
    asked["json_schema"]["strict"] = json!(true);
    asked["json_schema"]["description"] = json!("What it says, in short.");
    assert_eq!(format(asked).unwrap(), wanted(true, Some("What it says, in short.")));
}

#[test]
fn what_is_wrong_with_a_form_is_named() {
    let schema = |schema: Value| json!({"type": "json_schema", "json_schema": schema});
    let long = json!({"type": "object", "description": "x".repeat(16_000)});
    for (format, field) in [
        (json!("json"), "response_format"),
        (json!({}), "response_format.type"),
        (json!({"type": "xml"}), "response_format.type"),
        (json!({"type": "json_schema"}), "response_format.json_schema"),
        (schema(json!({"schema": {}})), "response_format.json_schema.name"),
        (schema(json!({"name": "a b", "schema": {}})), "response_format.json_schema.name"),
        (schema(json!({"name": "a"})), "response_format.json_schema.schema"),
        (schema(json!({"name": "a", "schema": []})), "response_format.json_schema.schema"),
        (schema(json!({"name": "a", "schema": long})), "response_format.json_schema.schema"),
        (schema(json!({"name": "a", "schema": {}, "strict": 1})), "response_format.json_schema.strict"),
        (schema(json!({"name": "a", "schema": {}, "extra": 1})), "response_format.json_schema.extra"),
        (json!({"type": "text", "grammar": "x"}), "response_format.grammar"),
    ] {
        assert_eq!(wrong_fields(json!({ "response_format": format })), [field], "{format}");
    }
    assert_eq!(wrong_fields(json!({"seed": "one"})), ["seed"]);
}

#[test]
fn each_value_out_of_range_is_named() {
    let wrong = wrong_fields(json!({
        "model": "gpt-4o", "temperature": 2.5, "top_p": -0.1, "n": 2, "max_tokens": 0, "max_completion_tokens": 0,
        "stop": ["a", "b", "c", "d", "e"], "stream_options": {},
    }));
    let expected =
        ["model", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stream_options", "stop"];
    assert_eq!(wrong, expected);
}

#[test]
fn each_wrong_type_is_named_by_its_path() {
    for (changes, field) in [
        (json!({"model": 5}), "model"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": [{"type": 5}]}]}), "messages[0].content[0].type"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"top_p": []}), "top_p"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"max_completion_tokens": 1.5}), "max_completion_tokens"),
        (json!({"stop": 5}), "stop"),
        (json!({"stop": ["a", 5]}), "stop[1]"),
        (json!({"n": "one"}), "n"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"stream": true, "stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
    ] {
        assert_eq!(wrong_fields(changes.clone()), [field], "{changes}");
    }
}

#[test]
fn content_that_is_no_text_is_named() {
    let image = json!([{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]);
    assert_eq!(
        wrong_fields(json!({"messages": [{"role": "user", "content": image}]})),
        ["messages[0].content[1].type"]
    );
    let empty = json!([{"role": "user", "content": " "}]);
    assert_eq!(wrong_fields(json!({ "messages": empty })), ["messages[0].content"]);
    assert_eq!(wrong_fields(json!({ "messages": [] })), ["messages"]);
    let answered = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    assert_eq!(wrong_fields(json!({ "messages": answered })), ["messages"]);
    let long = json!([{"role": "user", "content": "x".repeat(8001)}]);
    assert_eq!(wrong_fields(json!({ "messages": long })), ["messages[0].content"]);
}

#[test]
fn what_a_twin_does_not_do_is_refused_by_name_with_what_to_do() {
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (field, value) in [
        ("tools", tool.clone()),
        ("tool_choice", json!("required")),
        ("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        ("parallel_tool_calls", json!(true)),
        ("functions", json!([{"name": "f"}])),
        ("function_call", json!("auto")),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(3)),
        ("logit_bias", json!({"50256": -100})),
        ("audio", json!({"voice": "alloy", "format": "mp3"})),
        ("modalities", json!(["text", "audio"])),
        ("prediction", json!({"type": "content", "content": "x"})),
        ("reasoning_effort", json!("high")),
        ("verbosity", json!("low")),
        ("web_search_options", json!({})),
        ("store", json!(true)),
        ("n", json!(3)),
        ("frequency_penalty", json!(2.5)),
        ("presence_penalty", json!(-3)),
        ("top_k", json!(40)),
        ("anything_else", json!(1)),
    ] {
        assert_eq!(wrong_fields(json!({ field: value.clone() })), [field], "{value}");
    }
    let told = serde_json::to_value(check(json!({ "tools": tool })).unwrap_err()).unwrap();
    assert_eq!(told["errors"][0]["detail"], "a twin calls no tools: leave it out");
    let padded = json!({"stream": true, "stream_options": {"include_obfuscation": true}});
    assert_eq!(wrong_fields(padded), ["stream_options.include_obfuscation"]);
}

#[test]
fn a_field_that_asks_for_nothing_is_accepted() {
    check(json!({
        "tools": [], "tool_choice": "none", "parallel_tool_calls": false, "functions": [], "function_call": "none",
        "logprobs": false, "top_logprobs": null, "logit_bias": {}, "audio": null, "modalities": ["text"],
        "prediction": null, "reasoning_effort": null, "verbosity": null, "web_search_options": null, "store": false,
        "n": null, "stream": true, "stream_options": {"include_obfuscation": false},
    }))
    .unwrap();
}

#[test]
fn a_message_as_a_client_was_given_it_can_be_sent_back() {
    let answered = json!({
        "role": "assistant", "content": "Yes [1].", "refusal": null, "annotations": [], "audio": null,
        "function_call": null, "tool_calls": null,
    });
    let refused = json!({"role": "assistant", "content": null, "refusal": "I don't know."});
    let messages = json!([answered, refused, {"role": "user", "content": "why?"}]);
    let conversation = check(json!({ "messages": messages })).unwrap();
    let texts: Vec<&str> = conversation.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["Yes [1].", "I don't know.", "why?"]);
}

#[test]
fn fields_of_messages_that_can_not_be_followed_are_named() {
    let with = |field: &str, value: Value| {
        let mut message = json!({"role": "assistant", "content": "x"});
        message[field] = value;
        wrong_fields(json!({"messages": [message, {"role": "user", "content": "why?"}]}))
    };
    assert_eq!(with("tool_calls", json!([{"id": "1"}])), ["messages[0].tool_calls"]);
    assert_eq!(with("function_call", json!({"name": "f"})), ["messages[0].function_call"]);
    assert_eq!(with("audio", json!({"id": "1"})), ["messages[0].audio"]);
    assert_eq!(with("thinking", json!("hm")), ["messages[0].thinking"]);
    let part = json!({"type": "text", "text": "a", "image_url": {"url": "x"}});
    let question = json!([{"role": "user", "content": [part]}]);
    assert_eq!(wrong_fields(json!({ "messages": question })), ["messages[0].content[0].image_url"]);
}
