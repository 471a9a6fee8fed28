//! Which parameter an endpoint's refusal is about.

use serde_json::Value;

use super::dialect::Parameter;

/// Codes of OpenAI's API for a parameter, or a value of it, that a model does not take.
const CODES: [&str; 3] = ["unsupported_parameter", "unsupported_value", "unknown_parameter"];

/// What servers say that have no such codes (vLLM, llama.cpp, FastAPI, Azure).
const PHRASES: [&str; 10] = [
    "unsupported",
    "not supported",
    "not support",
    "unknown",
    "unrecognized",
    "unexpected",
    "not permitted",
    "not allowed",
    "extra inputs",
    "extra fields",
];

/// The parameter of `sent` that an error's body says is not taken. None: it is refused for something else, such as a value
/// that is too large, or names none that could be left out.
pub(super) fn parameter(error: &str, sent: &Value) -> Option<Parameter> {
    let body: Value = serde_json::from_str(error).unwrap_or_default();
    let told = if body["error"].is_object() { &body["error"] } else { &body };
    let message = [&told["message"], &told["detail"], &body["error"]].into_iter().find_map(Value::as_str);
    let message = message.unwrap_or(error).to_lowercase();
    let is_code = told["code"].as_str().is_some_and(|code| CODES.contains(&code));
    if !is_code && !PHRASES.iter().any(|phrase| message.contains(phrase)) {
        return None;
    }
    let named = told["param"].as_str().or_else(|| location(told));
    let candidates = || Parameter::ALL.into_iter().filter(|parameter| sent.get(parameter.name()).is_some());
    match named.and_then(|named| candidates().find(|parameter| parameter.name() == named)) {
        Some(parameter) => Some(parameter),
        // It is about another field of the request.
        None if named.is_some_and(|named| !named.is_empty()) => None,
        // Messages name what to use in its place too, behind it.
        None => candidates().filter_map(|one| Some((place(&message, one.name())?, one))).min().map(|(_, one)| one),
    }
}

/// The field that FastAPI names: `{"detail": [{"loc": ["body", "seed"], "type": "extra_forbidden"}]}`.
fn location(told: &Value) -> Option<&str> {
    told["detail"].get(0)?["loc"].as_array()?.last()?.as_str()
}

/// Where a name stands in a text, as a word.
fn place(text: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + name.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(error: Value) -> Option<&'static str> {
        let sent = json!({ "max_tokens": 5, "temperature": 0.0, "stop": ["x"], "seed": 1, "stream_options": {} });
        parameter(&error.to_string(), &sent).map(Parameter::name)
    }

    #[test]
    fn refusals_of_known_servers_name_their_parameter() {
        let instead = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
            'max_completion_tokens' instead.";
        let code = "unsupported_parameter";
        let openai = json!({ "error": { "message": instead, "param": "max_tokens", "code": code } });
        assert_eq!(refused(openai), Some("max_tokens"));
        assert_eq!(
            refused(json!({ "error": { "message": instead, "param": null, "code": null } })),
            Some("max_tokens")
        );
        let value = json!({ "error": {
            "message": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value \
                is supported.",
            "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value",
        } });
        assert_eq!(refused(value), Some("temperature"));
        let vllm =
            json!({ "object": "error", "message": "Unexpected field seed", "type": "BadRequestError", "code": 400 });
        assert_eq!(refused(vllm), Some("seed"));
        let fast_api = json!({ "detail": [{
            "type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted",
        }] });
        assert_eq!(refused(fast_api), Some("stream_options"));
        let azure = json!({ "error": { "message": "Unrecognized request argument supplied: stop", "param": null } });
        assert_eq!(refused(azure), Some("stop"));
        assert_eq!(parameter("unknown parameter: seed", &json!({ "seed": 1 })), Some(Parameter::Seed));
    }

    #[test]
    fn what_is_refused_for_something_else_is_about_no_parameter() {
        let too_large = "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.";
        let invalid = json!({ "error": { "message": too_large, "param": "max_tokens", "code": "invalid_value" } });
        assert_eq!(refused(invalid), None);
        let form = json!({ "error": { "message": "unknown field response_format", "param": "response_format" } });
        assert_eq!(refused(form), None);
        assert_eq!(
            refused(json!({ "error": { "message": "'top_p' is not supported", "param": "top_p" } })),
            None,
            "not sent"
        );
        assert_eq!(
            refused(json!({ "error": { "message": "the prompt is unsupported; stopped" } })),
            None,
            "stop is a word"
        );
        assert_eq!(refused(json!({ "error": "the model does not exist" })), None);
        assert_eq!(refused(Value::Null), None);
    }
}
