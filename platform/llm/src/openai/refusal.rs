//! Which parameter an endpoint's refusal is about.

use serde_json::Value;

use super::dialect::Parameter;

/// Codes of OpenAI's API for a parameter that a model does not take.
const CODES: [&str; 2] = ["unsupported_parameter", "unknown_parameter"];

/// Its code for a value of a parameter.
const VALUE_CODE: &str = "unsupported_value";

/// What tells a value from a parameter where there is no such code.
const VALUE_PHRASES: [&str; 2] = ["unsupported value", "not allowed"];

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

/// What is not taken of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) parameter: Parameter,
    /// Another value of it may be taken.
    pub(super) is_of_value: bool,
}

/// What of `sent` an error's body says is not taken. None: it is refused for something else, such as a value that is too
/// large, or names no parameter that could be left out.
pub(super) fn refusal(error: &str, sent: &Value) -> Option<Refusal> {
    let body: Value = serde_json::from_str(error).unwrap_or_default();
    let told = if body["error"].is_object() { &body["error"] } else { &body };
    let message = [&told["message"], &told["detail"], &body["error"]].into_iter().find_map(Value::as_str);
    let message = message.unwrap_or(error).to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let is_of_value = match told["code"].as_str() {
        Some(VALUE_CODE) => true,
        Some(code) if CODES.contains(&code) => false,
        _ if says(&PHRASES) => says(&VALUE_PHRASES),
        _ => return None,
    };
    let named = told["param"].as_str().or_else(|| location(told));
    let candidates = || Parameter::ALL.into_iter().filter(|parameter| sent.get(parameter.name()).is_some());
    let parameter = match named.and_then(|named| candidates().find(|parameter| parameter.name() == named)) {
        Some(parameter) => Some(parameter),
        // It is about another field of the request.
        None if named.is_some_and(|named| !named.is_empty()) => None,
        // Messages name what to use in its place too, behind it.
        None => candidates().filter_map(|one| Some((place(&message, one.name())?, one))).min().map(|(_, one)| one),
    };
    parameter.map(|parameter| Refusal { parameter, is_of_value })
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

    fn read(error: &Value) -> Option<Refusal> {
        let sent = json!({ "max_tokens": 5, "temperature": 0.0, "stop": ["x"], "seed": 1, "stream_options": {} });
        refusal(&error.to_string(), &sent)
    }

    /// The parameter that is refused whatever its value.
    fn refused(error: Value) -> Option<&'static str> {
        read(&error).filter(|refusal| !refusal.is_of_value).map(|refusal| refusal.parameter.name())
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
        let vllm =
            json!({ "object": "error", "message": "Unexpected field seed", "type": "BadRequestError", "code": 400 });
        assert_eq!(refused(vllm), Some("seed"));
        let fast_api = json!({ "detail": [{
            "type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted",
        }] });
        assert_eq!(refused(fast_api), Some("stream_options"));
        let azure = json!({ "error": { "message": "Unrecognized request argument supplied: stop", "param": null } });
        assert_eq!(refused(azure), Some("stop"));
        let plain = refusal("unknown parameter: seed", &json!({ "seed": 1 }));
        assert_eq!(plain, Some(Refusal { parameter: Parameter::Seed, is_of_value: false }));
    }

    #[test]
    fn a_value_that_is_refused_is_told_from_its_parameter_by_its_code_or_in_words() {
        let message = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value \
            is supported.";
        let other = "temperature = 0 is not allowed";
        for error in [
            json!({ "error": { "message": message, "param": "temperature", "code": "unsupported_value" } }),
            json!({ "error": { "message": message, "param": null, "code": null } }),
            json!({ "error": { "message": other, "param": "temperature", "code": 400 } }),
        ] {
            let found = read(&error);
            assert_eq!(found, Some(Refusal { parameter: Parameter::Temperature, is_of_value: true }), "{error}");
        }
    }

    #[test]
    fn what_is_refused_for_something_else_is_about_no_parameter() {
        let too_large = "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.";
        let invalid = json!({ "error": { "message": too_large, "param": "max_tokens", "code": "invalid_value" } });
        assert_eq!(read(&invalid), None);
        let form = json!({ "error": { "message": "unknown field response_format", "param": "response_format" } });
        assert_eq!(read(&form), None);
        assert_eq!(
            read(&json!({ "error": { "message": "'top_p' is not supported", "param": "top_p" } })),
            None,
            "not sent"
        );
        assert_eq!(
            read(&json!({ "error": { "message": "the prompt is unsupported; stopped" } })),
            None,
            "stop is a word"
        );
        assert_eq!(read(&json!({ "error": "the model does not exist" })), None);
        assert_eq!(read(&Value::Null), None);
    }
}
