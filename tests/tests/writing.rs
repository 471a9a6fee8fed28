//! Texts in an author's voice, by the default model and by one behind an endpoint, over REST and the command line.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_stack::{TwinOptions, TwinProcess};
use twin_tests::{Api, Llm, Script, TOPICS, author, start};

/// An article long enough to be an example of style, on a topic that no other document is about.
const ARTICLE: &str = "# Bees in winter\n\nEvery winter somebody tells me that bees have lived for thirty million years \
    without wool. So they have. I wrap the hives all the same, because the wind comes over the hill in February and does not \
    ask how old a species is.\n\nIn spring I open the first hive with cold hands, and I am as glad as if I had done it myself.";

async fn with_article(twin: &TwinProcess) -> Result<(Api, String)> {
    let (api, author) = (Api::new(twin.base_url())?, author());
    api.push(&author, "winter.md", ARTICLE).await?;
    api.push(&author, TOPICS[1].file, TOPICS[1].text).await?;
    Ok((api, author))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|passage| passage["natural_key"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_twin_that_nobody_configured_writes_with_the_default_model_and_says_so() -> Result<()> {
    let twin = TwinProcess::start(TwinOptions::default())?;
    let (api, author) = with_article(&twin).await?;
    let order = json!({ "author": author, "instruction": "Write about how bees get through the winter.", "words": 25 });
    let written = api.post("/v1/write", &order).await?;
    ensure!(written["model"] == "smollm2-135m-instruct-f32" && written["abstained"] == false, "{written:#}");
    ensure!(written["text"].as_str().is_some_and(|text| !text.trim().is_empty()), "{written:#}");
    ensure!(!names(&written["citations"]).is_empty(), "it was given passages for the facts: {written:#}");
    ensure!(matches!(written["finish_reason"].as_str(), Some("stop" | "length")), "{written:#}");
    let tokens = written["usage"]["completion_tokens"].as_u64().unwrap_or_default();
    ensure!((1..=120).contains(&tokens), "twenty-five words are no more: {tokens}");

    let mut streamed = order.clone();
    streamed["stream"] = json!(true);
    let events = api.events("/v1/write", &streamed).await?;
    let done = events.last().context("the stream has events")?.json()?;
    let deltas = events.iter().filter(|event| event.name == "delta");
    let text: String =
        deltas.map(|event| Ok(event.json()?["text"].as_str().unwrap_or_default().to_owned())).collect::<Result<_>>()?;
    ensure!(done["text"] == text && done["text"] == written["text"], "greedy, it is the same text: {done:#}");

    let nothing = json!({ "author": author, "instruction": "Which tax form does a shipping company file?" });
    let abstained = api.post("/v1/write", &nothing).await?;
    ensure!(abstained["abstained"] == true && abstained["usage"]["total_tokens"] == 0, "{abstained:#}");
    let shown =
        twin.command(&["write", "--author", &author, "--words", "15", "--no-facts", "Write of bees."]).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("Written by smollm2-135m-instruct-f32, which is not the author's own"), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_model_copies_of_what_it_was_shown_is_told() -> Result<()> {
    let copy = "Every winter somebody tells me that bees have lived for thirty million years without wool. So they have. I wrap \
        the hives all the same.";
    let llm = Llm::start(Script::of(&["Listen. ", copy, " \"So they have.\""], Duration::ZERO)).await?;
    let twin = start(&[("TWIN_LLM_ENDPOINT", llm.endpoint())])?;
    let (api, author) = with_article(&twin).await?;
    let order = json!({ "author": author, "instruction": "Write about bees.", "facts": false, "words": 40 });
    let written = api.post("/v1/write", &order).await?;
    ensure!(written["voice"] == "examples" && names(&written["examples"]).contains(&"winter.md"), "{written:#}");
    let copied = written["copied"].as_array().context("what is copied is an array")?;
    ensure!(copied.len() == 1 && copied[0]["citation"]["natural_key"] == "winter.md", "{copied:#?}");
    ensure!(copied[0]["text"] == copy.trim_end_matches('.'), "{copied:#?}");
    let asked = llm.last_request();
    let prompt = asked["messages"][1]["content"].as_str().context("there is a prompt")?;
    ensure!(prompt.contains("<passage example=\"1\">") && prompt.ends_with("(About 40 words.)"), "{prompt}");
    ensure!(asked["max_tokens"].as_u64().is_some_and(|tokens| (60..300).contains(&tokens)), "{asked}");
    let shown = twin.command(&["write", "--author", &author, "--no-facts", "Write about bees."]).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("Copied without quotation marks, in 1 place"), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_model_the_order_is_refused_with_what_to_do() -> Result<()> {
    let twin = start(&[("TWIN_ANSWERS_MODE", "quote"), ("TWIN_LLM_MODEL", "/nowhere")])?;
    let (_, author) = with_article(&twin).await?;
    let refused = twin.command(&["write", "--author", &author, "Write about bees."]).output()?;
    let told = String::from_utf8(refused.stderr)?;
    ensure!(!refused.status.success() && told.contains("no language model") && told.contains("llm.endpoint"), "{told}");
    Ok(())
}
