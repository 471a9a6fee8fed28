//! Answers in the author's own words: what a question costs where no language model is asked.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;
use twin_schemas::Category;

use crate::bench::Bench;
use crate::both_logs::stage;
use crate::figure::Figure;
use crate::server::{AUTHOR, Server};
use crate::target::Target;

/// What this repository's documents answer.
pub const QUESTIONS: [&str; 12] = [
    "What happens to an event that a stage can not process?",
    "How does the crawler make sure that a changed document is published once?",
    "Which parts does the embedded mode use instead of Kafka, MongoDB and Qdrant?",
    "How do I make a backup of a running twin?",
    "Which exit code does a wrong configuration value give?",
    "How are passages kept from being served after a deletion?",
    "Why does training run in child processes?",
    "How do leases work without deadlines?",
    "What is left out of datasets?",
    "When is a zip archive refused?",
    "How can I change the embedding model?",
    "What does the twin do while the disk is full?",
];

/// Milliseconds of a question, as its client sees them, and memory.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let server = Server::start(&[("TWIN_ANSWERS_MODE", "quote")])?;
    let articles = bench.corpus.documents.iter().filter(|document| document.meta.category == Category::Article);
    let articles: Vec<(String, &str)> =
        articles.map(|document| (document.meta.natural_key.clone(), document.text.as_str())).collect();
    let (mut whole, mut choosing) = (Vec::new(), Vec::new());
    bench.runtime.block_on(async {
        let count = articles.len();
        server.push(articles).await?;
        server.settled(count).await?;
        // The first answer pays for the first allocations.
        for question in QUESTIONS.iter().take(1).chain(&QUESTIONS) {
            let began = Instant::now();
            let answer = server.post("/v1/query", &json!({ "author": AUTHOR, "question": question })).await?;
            ensure!(answer["mode"] == "quoted" && answer["abstained"] == false, "{answer}");
            whole.push(began.elapsed().as_secs_f64() * 1e3);
            choosing.push(stage(&answer, "generate")?);
        }
        Ok(())
    })?;
    Ok(vec![
        Figure::new("a quoted answer: from question to the whole answer", "ms", whole.split_off(1))
            .wanting(Target::at_most(250.0)),
        Figure::new("a quoted answer: choosing what is quoted", "ms", choosing.split_off(1)),
        Figure::once("peak memory of twin run that quotes", "MB", server.peak_memory_mb()?),
    ])
}
