//! `twin models report`: what an evaluation found.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::super::Context;
use super::super::text::{Align, Table, fields};
use super::{number, short};
use crate::error::CommandError;

/// Which report, and how.
#[derive(Debug, Args)]
pub struct Report {
    /// The model version's name: `<author>-v<number>`.
    model: String,
    /// Write the report as a page into a file instead.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What is read of a report.
#[derive(Debug, Deserialize)]
struct Findings {
    verdict: String,
    /// None: a report of an earlier version of the program.
    #[serde(default)]
    grounded: Option<bool>,
    /// None: a report of an earlier version of the program.
    #[serde(default)]
    look: Option<u32>,
    /// None of a report of an earlier version of the program.
    #[serde(default)]
    notes: Vec<String>,
    /// None: the candidate itself was measured, on the test split.
    #[serde(default)]
    folds: Option<Folds>,
    #[serde(default)]
    genres_apart: bool,
    #[serde(default)]
    dataset: Option<String>,
    #[serde(default)]
    models: Option<Models>,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    comparisons: Vec<Comparison>,
    /// None: nobody asked for it, or a report of an earlier version of the program.
    #[serde(default)]
    end_to_end: Option<EndToEnd>,
}

/// What serving does, whatever model writes.
#[derive(Debug, Deserialize)]
struct EndToEnd {
    #[serde(default)]
    absent: Option<String>,
    #[serde(default)]
    unchecked: Option<String>,
    #[serde(default)]
    facts: Vec<Fact>,
}

#[derive(Debug, Deserialize)]
struct Fact {
    measure: String,
    #[serde(default)]
    samples: u64,
    share: f64,
    #[serde(default)]
    interval: Option<Interval>,
}

#[derive(Debug, Deserialize)]
struct Folds {
    adapters: u32,
    #[serde(default)]
    seen_by_production: u64,
}

#[derive(Debug, Deserialize)]
struct Models {
    candidate: String,
    #[serde(default)]
    production: Option<String>,
    base: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    kind: String,
    #[serde(default)]
    metric: Option<String>,
    outcome: String,
    reason: String,
}

/// JSON has no number for what is not finite: such a value is none.
#[derive(Debug, Deserialize)]
struct Comparison {
    metric: String,
    #[serde(default)]
    samples: u64,
    candidate: Option<f64>,
    production: Option<f64>,
    base: Option<f64>,
    #[serde(default)]
    difference: Option<Interval>,
    #[serde(default)]
    incomparable: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Interval {
    mean: f64,
    low: f64,
    high: f64,
}

/// Runs the command.
pub async fn run(args: Report, context: &mut Context) -> Result<(), CommandError> {
    if let Some(path) = args.html {
        let content = context.client.content(&["model-versions", &args.model, "report.html"]).await?;
        let failed = |error| CommandError::Failed(format!("{}: {error}", path.display()));
        let mut file = std::fs::File::create(&path).map_err(failed)?;
        content.write_to(&mut file).await?;
        return context.out.line(&format!("the report of {} is in {}", args.model, path.display()));
    }
    let reply = context.client.get(&["model-versions", &args.model, "report"], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    context.out.line(&description(&reply.parse()?))?;
    context.out.note(&format!("next: twin models report {} --html FILE", args.model));
    Ok(())
}

fn description(findings: &Findings) -> String {
    let mut pairs = vec![("verdict", findings.verdict.clone())];
    if let Some(models) = &findings.models {
        let production = models.production.clone().unwrap_or_else(|| "the base model".to_owned());
        pairs.push(("candidate", models.candidate.clone()));
        pairs.push(("in production", production));
        pairs.push(("base model", models.base.clone()));
    }
    pairs.extend(findings.dataset.as_deref().map(|dataset| ("dataset", short(dataset).to_owned())));
    pairs.extend(findings.folds.as_ref().map(|folds| ("measured", measured(folds))));
    if let Some(look) = findings.look.filter(|look| *look > 1) {
        pairs.push((
            "evaluations",
            format!("{look} against what is in production: the primary metric is asked for more"),
        ));
    }
    if findings.genres_apart {
        pairs.push(("authorship", "posts are held against articles too, and articles against posts".to_owned()));
    }
    if let Some(grounded) = findings.grounded {
        let said = if grounded { "good enough to be given" } else { "not shown to be good enough to be given" };
        pairs.push(("grounded answers", said.to_owned()));
    }
    pairs.extend(findings.notes.iter().map(|note| ("note", note.clone())));
    if let Some(end_to_end) = &findings.end_to_end {
        let absent = end_to_end.absent.as_ref();
        pairs.extend(absent.map(|why| ("end to end", format!("not measured: {why}"))));
        let unchecked = end_to_end.unchecked.as_ref();
        pairs.extend(unchecked.map(|why| ("grounded share", format!("not measured: {why}"))));
    }
    let mut blocks = vec![fields(&pairs)];
    if !findings.checks.is_empty() {
        blocks.push(checks(&findings.checks).render());
    }
    if !findings.comparisons.is_empty() {
        blocks.push(comparisons(&findings.comparisons).render());
    }
    let facts = findings.end_to_end.iter().flat_map(|end_to_end| &end_to_end.facts).collect::<Vec<_>>();
    if !facts.is_empty() {
        blocks.push(serving(&facts).render());
    }
    blocks.join("\n\n")
}

fn serving(facts: &[&Fact]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("END TO END, WHATEVER MODEL WRITES", Left),
        ("QUESTIONS", Right),
        ("SHARE", Right),
        ("INTERVAL", Left),
    ]);
    for Fact { measure, samples, share, interval } in facts {
        let interval = interval.as_ref();
        let interval = interval
            .map_or_else(String::new, |Interval { low, high, .. }| format!("{} to {}", number(*low), number(*high)));
        table.row(vec![measure.clone(), samples.to_string(), number(*share), interval]);
    }
    table
}

/// Who was measured, and on what.
fn measured(folds: &Folds) -> String {
    let Folds { adapters, seen_by_production: seen } = *folds;
    if adapters == 0 {
        return format!("the test split alone: the version in production has learned from {seen} other documents");
    }
    let by = format!("the recipe, by {adapters} adapters, each on documents that it has not seen");
    match seen {
        0 => by,
        seen => format!("{by}; {seen} that the version in production has learned from are left out"),
    }
}

fn checks(checks: &[Check]) -> Table {
    use Align::Left;
    let mut table = Table::new(&[("CHECK", Left), ("METRIC", Left), ("OUTCOME", Left), ("WHY", Left)]);
    for Check { kind, metric, outcome, reason } in checks {
        let metric = metric.clone().unwrap_or_default();
        table.row(vec![kind.clone(), metric, outcome.clone(), reason.clone()]);
    }
    table
}

fn comparisons(comparisons: &[Comparison]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("METRIC", Left),
        ("SAMPLES", Right),
        ("CANDIDATE", Right),
        ("PRODUCTION", Right),
        ("BASE", Right),
        ("CANDIDATE - PRODUCTION", Left),
    ]);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    for row in comparisons {
        let difference = match (&row.difference, &row.incomparable) {
            (Some(Interval { mean, low, high }), _) => {
                format!("{} ({} to {})", number(*mean), number(*low), number(*high))
            }
            (None, Some(why)) => why.clone(),
            (None, None) => "-".to_owned(),
        };
        table.row(vec![
            row.metric.clone(),
            row.samples.to_string(),
            shown(row.candidate),
            shown(row.production),
            shown(row.base),
            difference,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_shows_its_verdict_its_checks_and_its_metrics() {
        let mut report = json!({
            "verdict": "passed", "dataset": "ab".repeat(32), "models": {"candidate": "ada-v3", "base": "small"},
            "checks": [{"kind": "primary", "metric": "loss_per_token", "outcome": "passed", "reason": "it fell"}],
            "comparisons": [
                {"metric": "loss_per_token", "samples": 40, "documents": 9, "candidate": 2.5, "production": 3.0,
                 "base": 3.0, "difference": {"mean": -0.5, "low": -0.6, "high": -0.4}},
                {"metric": "likeness", "samples": 0, "documents": 0, "candidate": null, "production": null, "base": null,
                 "difference": null, "incomparable": "no samples"},
            ],
            "samples": [], "options": {},
        });
        let text = description(&serde_json::from_value(report.clone()).unwrap());
        assert!(
            text.starts_with("verdict        passed\ncandidate      ada-v3\nin production  the base model"),
            "{text}"
        );
        assert!(text.contains("primary  loss_per_token  passed   it fell"), "{text}");
        assert!(text.contains("-0.5000 (-0.6000 to -0.4000)") && text.contains("no samples"), "{text}");
        assert!(!text.contains("evaluations"), "{text}");
        assert!(!text.contains("measured "), "{text}");
        report["folds"] = json!({"adapters": 5, "seen_by_production": 2, "widening": 1.5});
        let text = description(&serde_json::from_value(report.clone()).unwrap());
        assert!(text.contains("the recipe, by 5 adapters, each on documents that it has not seen; 2 that"), "{text}");
        report["folds"] = json!({"adapters": 0, "seen_by_production": 24, "widening": 1.0});
        let text = description(&serde_json::from_value(report.clone()).unwrap());
        assert!(text.contains("the test split alone: the version in production has learned from 24"), "{text}");
        report["look"] = json!(3);
        report["grounded"] = json!(true);
        let text = description(&serde_json::from_value(report).unwrap());
        assert!(text.contains("grounded answers  good enough"), "{text}");
        assert!(text.contains("evaluations       3 against what is in production"), "{text}");
    }

    #[test]
    fn a_report_shows_what_serving_does_or_why_that_is_not_known() {
        let interval = json!({"mean": 0.9, "low": 0.75, "high": 1.0});
        let fact = json!({
            "measure": "passage_found", "samples": 20, "documents": 9, "share": 0.9, "interval": interval,
        });
        let mut report = json!({ "verdict": "passed", "end_to_end": {"k": 5, "facts": [fact]} });
        let text = description(&serde_json::from_value(report.clone()).unwrap());
        assert!(text.contains("passage_found") && text.contains("0.7500 to 1.000"), "{text}");
        report["end_to_end"] = json!({"absent": "the index has no passage of the author"});
        let text = description(&serde_json::from_value(report).unwrap());
        assert!(text.contains("end to end  not measured: the index has no passage of the author"), "{text}");
    }
}
