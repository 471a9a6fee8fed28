//! How often the twin refuses a question that it could answer, and how often one that it can not.

use std::env;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use twin_schemas::Category;

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::figure::Figure;
use crate::quoting::QUESTIONS;
use crate::server::{AUTHOR, Server};
use crate::target::Target;

/// Names a folder with the Markdown files of another author, which are measured as well.
const NOTES: &str = "TWIN_BENCH_NOTES";

/// Questions on fields that nobody here writes on, which are not among those that thresholds are chosen by.
const FOREIGN: [&str; 12] = [
    "How do I remove moss from a lawn?",
    "Which spices belong in a masala chai?",
    "Who won the battle of Hastings?",
    "How is a violin bow rehaired?",
    "What do sea turtles eat?",
    "How long does it take to sail across the Atlantic?",
    "Which vaccinations does a kitten need?",
    "Why do glaciers look blue?",
    "How do I get candle wax off a tablecloth?",
    "What is the tallest building in Chicago?",
    "Wie wird Apfelwein gekeltert?",
    "Comment tailler un olivier ?",
];

const IF_MORE_ARE_LOST: &str = "the threshold loses 2 % of the half of the questions that it is chosen by; this is the other \
    half, of fewer than 100, where each is 1 % or more";

/// Error rates on this repository's documents, and on another author's where they are named.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = of_corpus(bench, &bench.corpus, "this repository's documents", &QUESTIONS)?;
    if let Some(folder) = env::var_os(NOTES) {
        let notes = Corpus::read(Path::new(&folder)).with_context(|| format!("the notes that {NOTES} names"))?;
        let name = format!("{} notes of another author", notes.documents.len());
        figures.extend(of_corpus(bench, &notes, &name, &[])?);
    }
    Ok(figures)
}

fn of_corpus(bench: &Bench, corpus: &Corpus, name: &str, answerable: &[&str]) -> Result<Vec<Figure>> {
    let server = Server::start(&[("TWIN_ANSWERS_MODE", "quote")])?;
    let articles = corpus.documents.iter().filter(|document| document.meta.category == Category::Article);
    let articles: Vec<(String, &str)> =
        articles.map(|document| (document.meta.natural_key.clone(), document.text.as_str())).collect();
    let (threshold, lost, kept) = bench.runtime.block_on(async {
        let count = articles.len();
        server.push(articles).await?;
        server.settled(count).await?;
        let threshold = server.calibrated().await?;
        let lost = refused(&server, answerable).await?;
        let kept = refused(&server, &FOREIGN).await?;
        anyhow::Ok((threshold, lost, kept))
    })?;
    let share = |kind: &str| -> Result<f64> {
        let counted = |field: &str| threshold[kind][field].as_f64().with_context(|| format!("{kind}: {threshold}"));
        Ok(100.0 * counted("refused")? / counted("asked")?)
    };
    let figure = |what: &str, number| Figure::once(format!("refusal, {name}: {what}"), "%", number);
    let mut figures = vec![
        figure("answerable questions made of them that are refused", share("answerable")?)
            .wanting(Target::at_most(2.0).if_missed(IF_MORE_ARE_LOST)),
        figure("general questions that are refused", share("general")?).wanting(Target::at_least(95.0)),
        figure("the answerable ones without their documents that are refused", share("left_out")?),
        figure("foreign questions that are refused, of 12 that no threshold was chosen by", kept),
    ];
    if !answerable.is_empty() {
        figures.push(figure("questions of people that they answer and that are refused, of 12", lost));
    }
    Ok(figures)
}

/// The share of the questions that are refused, percent.
async fn refused(server: &Server, questions: &[&str]) -> Result<f64> {
    let mut refused = 0;
    for question in questions {
        let answer: Value = server.post("/v1/query", &json!({ "author": AUTHOR, "question": question })).await?;
        refused += i32::from(answer["abstained"] == true);
    }
    Ok(100.0 * f64::from(refused) / questions.len().max(1) as f64)
}
