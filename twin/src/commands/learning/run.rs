//! A run: a job and what it measured.

use serde_json::{Value, json};
use twin_api::{JobView, MetricList, MetricView};

use super::super::Context;
use super::super::lists::List;
use crate::client::parse;
use crate::error::CommandError;

/// Values that the API gives at once, at most.
const METRICS_AT_ONCE: usize = 10_000;

/// A run: a job and what it measured.
pub struct Run {
    /// The job.
    pub job: JobView,
    /// By name and step.
    pub metrics: Vec<MetricView>,
    /// The API's documents of both.
    pub document: Value,
}

/// One metric of a run in a few numbers.
#[derive(Debug, PartialEq)]
pub struct Summary {
    pub name: String,
    pub first: f64,
    pub last: f64,
    pub lowest: f64,
    pub values: u64,
}

/// A run by the id of its job, or the beginning of it.
pub async fn fetch(id: &str, context: &Context) -> Result<Run, CommandError> {
    let reply = context.client.get(&["jobs", id], &[]).await?;
    let job: JobView = reply.parse()?;
    let path = ["jobs", job.job.as_str(), "metrics"];
    let list = List { page: METRICS_AT_ONCE, ..List::by_name(&path, "metrics") };
    let measured = list.read_all(&context.client, &[]).await?;
    let metrics = parse::<MetricList>(&measured)?.metrics;
    let document = json!({ "job": reply.json(), "metrics": measured["metrics"] });
    Ok(Run { job, metrics, document })
}

/// The metrics of a run, by name. `metrics` are in the order of name and step.
pub fn summaries(metrics: &[MetricView]) -> Vec<Summary> {
    metrics
        .chunk_by(|a, b| a.name == b.name)
        .filter_map(|values| {
            let (first, last) = (values.first()?, values.last()?);
            Some(Summary {
                name: first.name.clone(),
                first: first.value.unwrap_or(f64::NAN),
                last: last.value.unwrap_or(f64::NAN),
                lowest: values.iter().filter_map(|metric| metric.value).fold(f64::INFINITY, f64::min),
                values: values.len() as u64,
            })
        })
        .collect()
}
