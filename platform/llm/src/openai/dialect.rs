//! What an endpoint takes of a request.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use twin_schemas::ChatMessage;

use crate::model::ChatRequest;

/// How requests are put to an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// With everything, and without what the endpoint refuses by name: it is asked again, and differently from then on. Where
    /// it refuses a value alone, that value is left out for an hour.
    #[default]
    Auto,
    /// With everything. What the endpoint refuses is refused.
    Openai,
    /// As models take it that reason before they answer: with `max_completion_tokens`, and without temperature, `top_p`,
    /// penalties and `stop`. Else as `auto`.
    Reasoning,
}

/// A parameter that endpoints differ about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parameter {
    MaxTokens,
    MaxCompletionTokens,
    Temperature,
    TopP,
    FrequencyPenalty,
    PresencePenalty,
    Stop,
    Seed,
    StreamOptions,
}

impl Parameter {
    pub(super) const ALL: [Self; 9] = [
        Self::MaxTokens,
        Self::MaxCompletionTokens,
        Self::Temperature,
        Self::TopP,
        Self::FrequencyPenalty,
        Self::PresencePenalty,
        Self::Stop,
        Self::Seed,
        Self::StreamOptions,
    ];

    /// Its name in a request.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::FrequencyPenalty => "frequency_penalty",
            Self::PresencePenalty => "presence_penalty",
            Self::Stop => "stop",
            Self::Seed => "seed",
            Self::StreamOptions => "stream_options",
        }
    }
}

/// What an endpoint takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Which of the two names the limit of tokens has.
    limit: Parameter,
    left_out: BTreeSet<Parameter>,
}

impl Dialect {
    /// What an endpoint is taken for before it has refused anything.
    pub(super) fn of(profile: Profile) -> Self {
        match profile {
            Profile::Auto | Profile::Openai => Self { limit: Parameter::MaxTokens, left_out: BTreeSet::new() },
            Profile::Reasoning => Self {
                limit: Parameter::MaxCompletionTokens,
                left_out: BTreeSet::from([
                    Parameter::Temperature,
                    Parameter::TopP,
                    Parameter::FrequencyPenalty,
                    Parameter::PresencePenalty,
                    Parameter::Stop,
                ]),
            },
        }
    }

    /// Does without a parameter that was refused; the limit of tokens takes its other name. False: it did so already.
    pub(super) fn adapt(&mut self, refused: Parameter) -> bool {
        let other = match refused {
            Parameter::MaxTokens => Parameter::MaxCompletionTokens,
            Parameter::MaxCompletionTokens => Parameter::MaxTokens,
            parameter => return self.left_out.insert(parameter),
        };
        let is_in_use = self.limit == refused;
        self.limit = other;
        is_in_use
    }

    /// Whether it is sent where a request has it.
    pub(super) fn sends(&self, parameter: Parameter) -> bool {
        match parameter {
            Parameter::MaxTokens | Parameter::MaxCompletionTokens => self.limit == parameter,
            parameter => !self.left_out.contains(&parameter),
        }
    }

    /// The request's body. A parameter without an effect is not sent.
    pub(super) fn body(&self, model: &str, request: &ChatRequest) -> Value {
        let messages: Vec<&ChatMessage> = request.messages.iter().collect();
        let mut body = json!({ "model": model, "messages": messages, "stream": true });
        let has_effect = |value: f64, neutral: f64| (value != neutral).then(|| json!(value));
        let values = [
            (self.limit, Some(json!(request.max_tokens))),
            (Parameter::Temperature, Some(json!(request.temperature))),
            (Parameter::TopP, has_effect(request.top_p, 1.0)),
            (Parameter::FrequencyPenalty, has_effect(request.frequency_penalty.into(), 0.0)),
            (Parameter::PresencePenalty, has_effect(request.presence_penalty.into(), 0.0)),
            (Parameter::Stop, (!request.stop.is_empty()).then(|| json!(request.stop))),
            // That API's seeds are signed.
            (Parameter::Seed, request.seed.map(|seed| json!(seed.cast_signed()))),
            (Parameter::StreamOptions, Some(json!({ "include_usage": true }))),
        ];
        for (parameter, value) in values {
            if let Some(value) = value.filter(|_| self.sends(parameter)) {
                body[parameter.name()] = value;
            }
        }
        if !request.format.is_text() {
            body["response_format"] = json!(request.format);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &Value) -> Vec<&str> {
        body.as_object().unwrap().keys().map(String::as_str).filter(|name| *name != "messages").collect()
    }

    #[test]
    fn each_profile_begins_with_what_its_endpoints_take() {
        let request = ChatRequest {
            top_p: 0.9,
            frequency_penalty: 0.5,
            presence_penalty: 0.5,
            stop: vec!["END".to_owned()],
            seed: Some(1),
            ..ChatRequest::greedy(Vec::new(), 5)
        };
        let all = [
            "frequency_penalty",
            "max_tokens",
            "model",
            "presence_penalty",
            "seed",
            "stop",
            "stream",
            "stream_options",
            "temperature",
            "top_p",
        ];
        for profile in [Profile::Auto, Profile::Openai] {
            let body = Dialect::of(profile).body("m", &request);
            let mut sent = names(&body);
            sent.sort_unstable();
            assert_eq!(sent, all);
        }
        let body = Dialect::of(Profile::Reasoning).body("m", &request);
        let mut sent = names(&body);
        sent.sort_unstable();
        assert_eq!(sent, ["max_completion_tokens", "model", "seed", "stream", "stream_options"]);
    }

    #[test]
    fn the_limit_of_tokens_changes_its_name_and_what_else_is_refused_is_left_out_once() {
        let mut dialect = Dialect::of(Profile::Auto);
        assert!(dialect.adapt(Parameter::MaxTokens) && dialect.sends(Parameter::MaxCompletionTokens));
        assert!(!dialect.adapt(Parameter::MaxTokens), "another request has learned it meanwhile");
        assert!(dialect.sends(Parameter::MaxCompletionTokens) && !dialect.sends(Parameter::MaxTokens));
        assert!(dialect.adapt(Parameter::Seed) && !dialect.adapt(Parameter::Seed) && !dialect.sends(Parameter::Seed));
    }
}
