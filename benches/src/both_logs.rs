//! What a user waits for, over both event logs: a document to be found, and everything of a query but search and model.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use twin_stack::{Kafka, KafkaOptions};

use crate::bench::Bench;
use crate::comparison::percentile;
use crate::corpus::drawn_text;
use crate::figure::Figure;
use crate::server::{AUTHOR, NO_MODEL, Server, document};
use crate::target::Target;

/// Documents, one after the other.
const DOCUMENTS: usize = 200;

const WORDS: usize = 300;

/// Queries, one after the other.
const QUERIES: usize = 200;

/// How often it is asked whether a document is searchable.
const POLL_INTERVAL: Duration = Duration::from_millis(4);

/// What is wanted of a log, milliseconds.
struct Wanted {
    fresh_median: f64,
    fresh_tail: f64,
    query_tail: f64,
}

/// Milliseconds over the embedded log, then over Kafka.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let wanted = Wanted { fresh_median: 150.0, fresh_tail: 500.0, query_tail: 15.0 };
    let mut figures = measure_one(bench, "SQLite", &[NO_MODEL], &wanted)?;
    let broker = Kafka::start(KafkaOptions::default())?;
    let url = format!("kafka://{}", broker.bootstrap());
    let wanted = Wanted { fresh_median: 250.0, fresh_tail: 800.0, query_tail: 15.0 };
    figures.extend(measure_one(bench, "Kafka", &[NO_MODEL, ("TWIN_LOG_URL", &url)], &wanted)?);
    Ok(figures)
}

fn measure_one(bench: &Bench, log: &str, variables: &[(&str, &str)], wanted: &Wanted) -> Result<Vec<Figure>> {
    let server = Server::start(variables)?;
    let (fresh, query) = bench.runtime.block_on(async {
        let fresh = freshness(bench, &server).await?;
        Ok::<_, anyhow::Error>((fresh, query_path(&server).await?))
    })?;
    let figure = |what: &str, times: &[f64], share, part: &str| -> Result<Figure> {
        let time = percentile(times, share).context("there were measurements")?;
        Ok(Figure::once(format!("{what} over {log}, {part}"), "ms", time))
    };
    let found = "one document from push to searchable";
    let path = "a query without search and model";
    Ok(vec![
        figure(found, &fresh, 0.5, "median")?.wanting(Target::at_most(wanted.fresh_median)),
        figure(found, &fresh, 0.99, "99th percentile")?.wanting(Target::at_most(wanted.fresh_tail)),
        figure(path, &query, 0.5, "median")?,
        figure(path, &query, 0.99, "99th percentile")?.wanting(Target::at_most(wanted.query_tail)),
    ])
}

/// Milliseconds from the push of each document until it is searchable.
async fn freshness(bench: &Bench, server: &Server) -> Result<Vec<f64>> {
    let words = bench.corpus.words();
    let mut random = StdRng::seed_from_u64(300);
    let mut times = Vec::with_capacity(DOCUMENTS);
    for number in 0..DOCUMENTS {
        let body = document(&format!("fresh/{number}"), &drawn_text(&words, WORDS, &mut random));
        let start = Instant::now();
        let pushed = server.post("/v1/documents", &body).await?;
        let path = format!("/v1/documents/{}", pushed["document_id"].as_str().context("a document has an id")?);
        while server.get(&path).await?["searchable"] != true {
            ensure!(start.elapsed() < Duration::from_secs(60), "document {number} is not searchable after a minute");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        times.push(milliseconds(start.elapsed()));
    }
    Ok(times)
}

/// Milliseconds of each query as its client sees it, without those that it says were spent on the question's embedding
/// and on search. No passage fits it, so no model is asked.
async fn query_path(server: &Server) -> Result<Vec<f64>> {
    let question = json!({ "author": AUTHOR, "category": "code", "question": "What is the river's name?" });
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES {
        let start = Instant::now();
        let answer = server.post("/v1/query", &question).await?;
        let total = milliseconds(start.elapsed());
        ensure!(answer["abstained"] == true, "there is nothing to answer from, but: {answer}");
        times.push(total - stage(&answer, "embed")? - stage(&answer, "search")?);
    }
    Ok(times)
}

/// Milliseconds of a stage, as an answer tells them.
pub fn stage(answer: &Value, name: &str) -> Result<f64> {
    answer["timings_ms"][name].as_f64().with_context(|| format!("an answer has no time of {name}: {answer}"))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
