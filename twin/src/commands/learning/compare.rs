//! `twin runs compare`: what two runs did differently, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::Context;
use super::super::text::{Align, Table};
use super::chart::{self, Series};
use super::run::{self, Run};
use super::{number, recipe, short};
use crate::error::CommandError;

/// Two runs.
#[derive(Debug, Args)]
pub struct Compare {
    /// The id of the first run's job, or the beginning of it.
    a: String,
    /// The id of the second run's job, or the beginning of it.
    b: String,
    /// The metric to draw.
    #[arg(long, default_value = "loss", value_name = "NAME")]
    metric: String,
    /// Write the picture into an SVG file too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(args: Compare, context: &mut Context) -> Result<(), CommandError> {
    let (a, b) = (run::fetch(&args.a, context).await?, run::fetch(&args.b, context).await?);
    let curves = [
        Series::of(&a.metrics, &args.metric, short(&a.job.job), 'a'),
        Series::of(&b.metrics, &args.metric, short(&b.job.job), 'b'),
    ];
    if let Some(path) = &args.svg {
        chart::write(path, &args.metric, &curves)?;
    }
    if context.json {
        return context.out.json(&document(&a, &b));
    }
    context.out.line(&description(&a, &b, &args.metric, &curves))?;
    if let Some(path) = &args.svg {
        context.out.note(&format!("the picture is in {}", path.display()));
    }
    Ok(())
}

fn description(a: &Run, b: &Run, metric: &str, curves: &[Series]) -> String {
    let differences = differences(a, b);
    let parameters = if differences.is_empty() {
        "the two runs have the same parameters".to_owned()
    } else {
        let mut table = Table::new(&[("PARAMETER", Align::Left), ("A", Align::Left), ("B", Align::Left)]);
        for (name, (a, b)) in differences {
            table.row(vec![name, a, b]);
        }
        table.render()
    };
    let mut blocks = vec![parameters];
    let finals = finals(a, b);
    if !finals.is_empty() {
        blocks.push(metrics(&finals).render());
    }
    match chart::text(curves) {
        Some(drawing) => blocks.push(format!("{metric} by step\n{drawing}")),
        None => blocks.push(format!("neither run has measured {metric:?}")),
    }
    blocks.join("\n\n")
}

/// The parameters that differ, by name, as each run has them.
fn differences(a: &Run, b: &Run) -> BTreeMap<String, (String, String)> {
    let (a, b) = (parameters(a), parameters(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &BTreeMap<String, String>, name: &str| of.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    let pairs = names.into_iter().map(|name| (name.clone(), (value(&a, name), value(&b, name))));
    pairs.filter(|(_, (a, b))| a != b).collect()
}

/// Everything that a run depends on. The keys of the recipe stand under `recipe.`; one that can not be read is one value.
fn parameters(run: &Run) -> BTreeMap<String, String> {
    let job = &run.job;
    let mut all = BTreeMap::from([
        ("dataset".to_owned(), short(&job.dataset).to_owned()),
        ("base model".to_owned(), job.base.clone()),
        ("code".to_owned(), job.code_version.clone()),
    ]);
    match recipe::parameters(&job.recipe) {
        Some(recipe) => all.extend(recipe.into_iter().map(|(name, value)| (format!("recipe.{name}"), value))),
        None => drop(all.insert("recipe".to_owned(), job.recipe.clone())),
    }
    all
}

/// The last value of each metric in both runs.
fn finals(a: &Run, b: &Run) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let mut finals: BTreeMap<String, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for metric in run::summaries(&a.metrics) {
        finals.entry(metric.name).or_default().0 = Some(metric.last);
    }
    for metric in run::summaries(&b.metrics) {
        finals.entry(metric.name).or_default().1 = Some(metric.last);
    }
    finals
}

fn metrics(finals: &BTreeMap<String, (Option<f64>, Option<f64>)>) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[("LAST VALUE", Left), ("A", Right), ("B", Right), ("B - A", Right)]);
    let shown = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    for (name, (a, b)) in finals {
        let difference = a.zip(*b).map(|(a, b)| b - a);
        table.row(vec![name.clone(), shown(a), shown(b), shown(&difference)]);
    }
    table
}

fn document(a: &Run, b: &Run) -> Value {
    let pair = |a: Value, b: Value| json!({ "a": a, "b": b });
    let parameters: Map<String, Value> =
        differences(a, b).into_iter().map(|(name, (a, b))| (name, pair(a.into(), b.into()))).collect();
    let metrics: Map<String, Value> =
        finals(a, b).into_iter().map(|(name, (a, b))| (name, pair(a.into(), b.into()))).collect();
    json!({ "a": a.document, "b": b.document, "parameters": parameters, "metrics": metrics })
}

#[cfg(test)]
mod tests {
    use twin_api::{JobView, MetricView};

    use super::super::testing::job;
    use super::*;

    fn run(digits: &str, recipe: &str, losses: &[f64]) -> Run {
        let metrics =
            losses.iter().zip(1..).map(|(value, step)| MetricView { name: "loss".into(), step, value: Some(*value) });
        let job = JobView { recipe: recipe.to_owned(), ..job(digits) };
        Run { job, metrics: metrics.collect(), document: json!({"job": digits}) }
    }

    #[test]
    fn only_the_parameters_that_differ_are_shown() {
        let a = run("ab", "rank = 8\nseed = 1\ntargets = [\"q\", \"v\"]\n[schedule]\nwarmup = 10\n", &[3.0, 2.0]);
        let b = run("cd", "rank = 16\nseed = 1\ntargets = [\"q\"]\n[schedule]\nwarmup = 10\nend = 5\n", &[3.0, 1.5]);
        let expected = [("recipe.rank", "8", "16"), ("recipe.schedule.end", "-", "5")];
        let found = differences(&a, &b);
        for (name, left, right) in expected {
            assert_eq!(found[name], (left.to_owned(), right.to_owned()));
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), ["recipe.rank", "recipe.schedule.end", "recipe.targets"]);
        let curves = [Series::of(&a.metrics, "loss", "a", 'a'), Series::of(&b.metrics, "loss", "b", 'b')];
        let text = description(&a, &b, "loss", &curves);
        assert!(text.contains("loss        2.000  1.500  -0.5000"), "{text}");
        assert!(text.contains("loss by step\n     3.000 |"), "{text}");
        let document = document(&a, &b);
        assert_eq!(document["parameters"]["recipe.rank"], json!({"a": "8", "b": "16"}));
        assert_eq!(document["metrics"]["loss"], json!({"a": 2.0, "b": 1.5}));
    }

    #[test]
    fn runs_that_are_the_same_and_measured_nothing_say_so() {
        let (a, b) = (run("ab", "rank = 8", &[]), run("cd", "rank = 8", &[]));
        let text = description(&a, &b, "loss", &[]);
        assert_eq!(text, "the two runs have the same parameters\n\nneither run has measured \"loss\"");
        let broken = run("ef", "rank = [", &[]);
        assert_eq!(differences(&a, &broken)["recipe"], ("-".to_owned(), "rank = [".to_owned()));
    }
}
