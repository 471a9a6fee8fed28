//! `twin models evaluate`: an evaluation is queued, also once more.

use clap::Args;
use twin_api::{EvaluationGuardRule, EvaluationMetric, EvaluationRequest};

use super::super::Context;
use crate::error::CommandError;

/// Which model version to evaluate, and what of it otherwise than configured.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// Its name: `<author>-v<number>`.
    model: String,
    /// Who asks.
    #[arg(long)]
    by: Option<String>,
    /// Voice samples, at most.
    #[arg(long, value_name = "N")]
    max_voice: Option<u32>,
    /// Grounded samples, at most.
    #[arg(long, value_name = "N")]
    max_grounded: Option<u32>,
    /// Refusal samples, at most.
    #[arg(long, value_name = "N")]
    max_refusal: Option<u32>,
    /// Questions with an answer, and without one, that are put from end to end, at most of each.
    #[arg(long, value_name = "N")]
    max_asked: Option<u32>,
    /// Pairs of answers that a judge is shown, at most.
    #[arg(long, value_name = "N")]
    max_judged: Option<u32>,
    /// The metric that must have improved.
    #[arg(long, value_name = "METRIC", value_parser = metric)]
    primary: Option<EvaluationMetric>,
    /// How guards are read: `interval` or `mean`.
    #[arg(long, value_name = "RULE", value_parser = guard_rule)]
    guards: Option<EvaluationGuardRule>,
    /// Level of the intervals, above 0.5 and below 1.
    #[arg(long, value_name = "LEVEL")]
    confidence: Option<f64>,
    /// Samples that a metric needs to say something.
    #[arg(long, value_name = "N")]
    min_samples: Option<u32>,
    /// Documents that a metric needs to say something.
    #[arg(long, value_name = "N")]
    min_documents: Option<u32>,
}

fn metric(name: &str) -> Result<EvaluationMetric, String> {
    let found = EvaluationMetric::ALL.into_iter().find(|metric| metric.as_str() == name);
    found.ok_or_else(|| format!("must be one of {}", EvaluationMetric::ALL.map(EvaluationMetric::as_str).join(", ")))
}

fn guard_rule(name: &str) -> Result<EvaluationGuardRule, String> {
    let rules = [EvaluationGuardRule::Interval, EvaluationGuardRule::Mean];
    rules.into_iter().find(|rule| rule.as_str() == name).ok_or_else(|| "must be interval or mean".to_owned())
}

/// Runs the command.
pub async fn run(args: Evaluate, context: &mut Context) -> Result<(), CommandError> {
    let request = EvaluationRequest {
        by: args.by,
        max_voice: args.max_voice,
        max_grounded: args.max_grounded,
        max_refusal: args.max_refusal,
        max_asked: args.max_asked,
        max_judged: args.max_judged,
        primary: args.primary,
        guard_rule: args.guards,
        confidence: args.confidence,
        min_samples: args.min_samples,
        min_documents: args.min_documents,
    };
    let reply = context.client.post(&["model-versions", &args.model, "evaluate"], &request).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    context.out.line(&format!("the evaluation of {} is queued", args.model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_and_rules_that_can_be_asked_for_are_those_of_the_evaluator() {
        let measured = twin_evaluator::Metric::ALL.map(twin_evaluator::Metric::as_str);
        assert_eq!(EvaluationMetric::ALL.map(EvaluationMetric::as_str), measured);
        for name in measured {
            assert_eq!(serde_json::to_value(metric(name).unwrap()).unwrap(), name);
        }
        assert!(metric("beauty").unwrap_err().contains("likeness"));
        for rule in ["interval", "mean"] {
            let known: twin_evaluator::GuardRule = serde_json::from_value(rule.into()).unwrap();
            assert_eq!(serde_json::to_value(known).unwrap(), serde_json::to_value(guard_rule(rule).unwrap()).unwrap());
        }
    }
}
