//! Answers in the author's own words, which is how a twin answers that nobody has told otherwise.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use twin_stack::{TwinOptions, TwinProcess};
use twin_tests::{Api, Folder, TOPICS, author, start};

/// Documents of this repository, which are prose with lists, tables and commands. Cargo runs tests in their package's folder.
const NOTES: [&str; 3] = ["events.md", "learning.md", "operations.md"];

const QUESTIONS: [&str; 4] = [
    "What happens to an event that a stage can not process?",
    "How do I make a backup of a running twin?",
    "Which exit code does a wrong configuration value give?",
    "How does a colony of bees get through the winter?",
];

/// A folder of notes that the twin has read.
async fn read_notes(twin: &TwinProcess) -> Result<(Api, String, Folder)> {
    let (api, author, folder) = (Api::new(twin.base_url())?, author(), Folder::new()?);
    for name in NOTES {
        folder.write(name, &std::fs::read_to_string(format!("../docs/{name}"))?)?;
    }
    for topic in TOPICS {
        folder.write(topic.file, topic.text)?;
    }
    api.add_source(&author, folder.location()).await?;
    Ok((api, author, folder))
}

/// The quotations of a streamed answer, one for each delta, and the whole.
async fn streamed(api: &Api, question: &Value) -> Result<(Vec<String>, Value)> {
    let mut question = question.clone();
    question["stream"] = json!(true);
    let events = api.events("/v1/query", &question).await?;
    let deltas = events.iter().filter(|event| event.name == "delta");
    let texts = deltas.map(|event| Ok(event.json()?["text"].as_str().context("a delta has a text")?.to_owned()));
    let done = events.iter().find(|event| event.name == "done").context("the stream has an end")?.json()?;
    Ok((texts.collect::<Result<_>>()?, done))
}

/// Each line of a quotation, but for the fences of code, is a part of a line of the passage whose marker ends it.
fn check_verbatim(quotation: &str, answer: &Value) -> Result<()> {
    let citations = answer["citations"].as_array().context("citations are an array")?;
    let (text, marker) = quotation.rsplit_once('[').context("a quotation ends with a marker")?;
    let marker: u64 = marker.trim_end_matches(']').parse()?;
    let cited = citations.iter().find(|citation| citation["marker"] == marker).context("the marker is a citation's")?;
    ensure!(cited["cited"] == true, "{cited} is quoted: {quotation}");
    let passage = cited["text"].as_str().context("a citation has its text")?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("```")) {
        ensure!(passage.lines().any(|whole| whole.contains(line)), "{line:?} is not in {passage:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twin_that_nobody_configured_answers_verbatim_and_the_same_each_time_without_a_language_model() -> Result<()>
{
    let twin = TwinProcess::start(TwinOptions::default())?;
    let (api, author, _folder) = read_notes(&twin).await?;
    let mut most_parts = 0;
    for question in QUESTIONS {
        let question = json!({ "author": author, "question": question });
        let answer = api.post("/v1/query", &question).await?;
        ensure!(answer["mode"] == "quoted" && answer["abstained"] == false, "{answer:#}");
        ensure!(answer["usage"]["total_tokens"] == 0, "a language model was asked: {answer:#}");
        let (quotations, done) = streamed(&api, &question).await?;
        ensure!(quotations.concat() == answer["answer"], "{quotations:?} instead of {answer:#}");
        ensure!(done["answer"] == answer["answer"] && done["citations"] == answer["citations"], "{done:#}");
        for quotation in &quotations {
            check_verbatim(quotation, &answer)?;
        }
        most_parts = most_parts.max(quotations.len());
    }
    ensure!(most_parts > 1, "no answer came in several parts");
    let asked = api.metrics().await?.sum("twin_inference_tokens_total", &[]);
    ensure!(asked == 0.0, "{asked} tokens of a language model");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_answers_are_quoted_no_model_has_to_be_there_and_json_is_refused() -> Result<()> {
    let twin = start(&[("TWIN_ANSWERS_MODE", "quote"), ("TWIN_LLM_MODEL", "/nowhere")])?;
    let (api, author, _folder) = read_notes(&twin).await?;
    let chat = |question: &str, format: &str| {
        let messages = json!([{ "role": "user", "content": question }]);
        let model = format!("twin/{author}");
        json!({ "model": model, "messages": messages, "response_format": { "type": format } })
    };
    let topic = TOPICS[1];
    let completion = api.post("/v1/chat/completions", &chat(topic.question, "text")).await?;
    let content = completion["choices"][0]["message"]["content"].as_str().context("a completion has content")?;
    ensure!(completion["mode"] == "quoted" && content.contains("I wrapped it in wool"), "{completion:#}");
    let json = api.request(Method::POST, "/v1/chat/completions").json(&chat(topic.question, "json_object"));
    let refused = api.send(json).await?;
    ensure!(refused.status == StatusCode::BAD_REQUEST, "{}: {}", refused.status, refused.json);
    ensure!(refused.json.to_string().contains("answers.mode"), "{}", refused.json);
    let shown = twin.command(&["ask", "--author", &author, topic.question]).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("I wrapped it in wool") && shown.contains("* quoted in the answer"), "{shown}");
    Ok(())
}
