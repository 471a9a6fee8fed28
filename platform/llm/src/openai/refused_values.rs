//! Values of parameters that an endpoint has refused, for a while.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::dialect::Parameter;

/// How long a value counts as refused. Then it is sent again: servers are brought up to date.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Values of one parameter that are known, at most: the oldest makes room.
const VALUES: usize = 16;

/// The longest value that is remembered, bytes as JSON. Only texts that end an answer can be longer.
const VALUE_BYTES: usize = 1_000;

/// What one model behind an endpoint has refused, oldest first.
#[derive(Debug, Default)]
pub(super) struct RefusedValues {
    refused: VecDeque<RefusedValue>,
}

#[derive(Debug)]
struct RefusedValue {
    parameter: Parameter,
    value: Value,
    at: Instant,
}

impl RefusedValues {
    /// Remembers, at `now`, the value that a request's body had. False: it is not remembered. The limit of tokens never
    /// is: it is another number in nearly every request.
    pub(super) fn learn(&mut self, parameter: Parameter, body: &Value, now: Instant) -> bool {
        let is_limit = matches!(parameter, Parameter::MaxTokens | Parameter::MaxCompletionTokens);
        let is_fit = |value: &&Value| !is_limit && value.to_string().len() <= VALUE_BYTES;
        let Some(value) = body.get(parameter.name()).filter(is_fit) else { return false };
        self.refused.retain(|one| is_remembered(one, now) && !(one.parameter == parameter && one.value == *value));
        if self.refused.iter().filter(|one| one.parameter == parameter).count() >= VALUES
            && let Some(oldest) = self.refused.iter().position(|one| one.parameter == parameter)
        {
            self.refused.remove(oldest);
        }
        self.refused.push_back(RefusedValue { parameter, value: value.clone(), at: now });
        true
    }

    /// The parameters of which this body has a value that is known, at `now`, to be refused.
    pub(super) fn of<'a>(&'a self, body: &'a Value, now: Instant) -> impl Iterator<Item = Parameter> + 'a {
        let has = move |one: &&RefusedValue| body.get(one.parameter.name()) == Some(&one.value);
        self.refused.iter().filter(move |one| is_remembered(one, now)).filter(has).map(|one| one.parameter)
    }
}

fn is_remembered(one: &RefusedValue, now: Instant) -> bool {
    now.saturating_duration_since(one.at) < REMEMBERED
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(values: &RefusedValues, body: &Value, now: Instant) -> Vec<Parameter> {
        values.of(body, now).collect()
    }

    #[test]
    fn a_value_is_known_as_it_was_refused_until_its_time_is_over() {
        let (mut values, now) = (RefusedValues::default(), Instant::now());
        let refused = json!({ "temperature": 0.0, "stop": ["END"], "seed": 7 });
        assert!(values.learn(Parameter::Temperature, &refused, now));
        assert!(values.learn(Parameter::Stop, &refused, now + Duration::from_secs(1)));
        assert_eq!(known(&values, &refused, now), [Parameter::Temperature, Parameter::Stop]);
        assert_eq!(known(&values, &json!({ "temperature": 0.5, "stop": ["end"], "seed": 7 }), now), []);
        assert_eq!(known(&values, &json!({}), now), []);
        assert_eq!(known(&values, &refused, now + REMEMBERED), [Parameter::Stop]);
        assert_eq!(known(&values, &refused, now + 2 * REMEMBERED), []);
    }

    #[test]
    fn a_value_that_is_refused_again_is_known_for_as_long_again() {
        let (mut values, now) = (RefusedValues::default(), Instant::now());
        let body = json!({ "temperature": 0.0 });
        assert!(values.learn(Parameter::Temperature, &body, now));
        assert!(values.learn(Parameter::Temperature, &body, now + REMEMBERED / 2));
        assert_eq!(known(&values, &body, now + REMEMBERED), [Parameter::Temperature], "once");
    }

    #[test]
    fn the_oldest_of_many_values_makes_room_and_those_of_other_parameters_stay() {
        let (mut values, now) = (RefusedValues::default(), Instant::now());
        let temperature = json!({ "temperature": 0.0 });
        assert!(values.learn(Parameter::Temperature, &temperature, now));
        let seed = |seed: usize| json!({ "seed": seed });
        for number in 0..=VALUES {
            assert!(values.learn(Parameter::Seed, &seed(number), now));
        }
        assert_eq!(values.refused.len(), VALUES + 1);
        assert_eq!(known(&values, &seed(0), now), []);
        assert_eq!(known(&values, &seed(1), now), [Parameter::Seed]);
        assert_eq!(known(&values, &temperature, now), [Parameter::Temperature]);
    }

    #[test]
    fn neither_limits_of_tokens_nor_long_values_nor_what_was_not_sent_are_remembered() {
        let (mut values, now) = (RefusedValues::default(), Instant::now());
        let body = json!({ "max_tokens": 5, "max_completion_tokens": 5, "stop": ["x".repeat(VALUE_BYTES)] });
        let parameters = [Parameter::MaxTokens, Parameter::MaxCompletionTokens, Parameter::Stop, Parameter::Seed];
        for parameter in parameters {
            assert!(!values.learn(parameter, &body, now), "{}", parameter.name());
        }
        assert_eq!(known(&values, &body, now), []);
    }
}
