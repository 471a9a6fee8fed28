//! `twin write`: a text in an author's voice, as it is written.

use clap::Args;
use twin_api::{CopiedView, TimingsView, UsageView, WriteAnswer, WriteRequest};
use twin_schemas::{Category, FinishReason, Voice};

use super::ask::{CUT_AT_REPETITION, citation_line, doubts};
use super::streamed::Streamed;
use super::text::{count, duration};
use super::{AuthorOption, Context};
use crate::error::CommandError;

/// What to write.
#[derive(Debug, Args)]
pub struct Write {
    #[command(flatten)]
    author: AuthorOption,
    /// What to write.
    #[arg(required = true)]
    instruction: Vec<String>,
    /// What it is to be: article or post. A model that is not the author's own is shown examples of it.
    #[arg(long, short)]
    category: Option<Category>,
    /// Words wanted, about.
    #[arg(long, short)]
    words: Option<u32>,
    /// In the voice alone, without facts from what the author has published.
    #[arg(long)]
    no_facts: bool,
    /// Write the text when it is complete.
    #[arg(long)]
    no_stream: bool,
}

/// Runs the command.
pub async fn run(args: Write, context: &mut Context) -> Result<(), CommandError> {
    let stream = !args.no_stream && !context.json;
    let body = WriteRequest {
        instruction: args.instruction.join(" "),
        author: args.author.author,
        category: args.category,
        words: args.words,
        facts: !args.no_facts,
        stream,
    };
    context.out.progress(if body.facts { "searching…" } else { "writing…" });
    if stream {
        let ending = |written: &WriteAnswer, text_came| if text_came { String::new() } else { written.text.clone() };
        let streamed = Streamed { path: "write", doing: "writing", ending };
        return match streamed.tell(&body, context).await? {
            Some(written) => context.out.line(&rest(&written)),
            None => Ok(()),
        };
    }
    let reply = context.client.post(&["write"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let written: WriteAnswer = reply.parse()?;
    context.out.line(&written.text)?;
    context.out.line(&rest(&written))
}

/// What no passage supports, who wrote it, what it rests on, what it copies, and what it took.
fn rest(written: &WriteAnswer) -> String {
    let mut lines = Vec::new();
    if written.abstained {
        lines.push(String::new());
        lines.push(
            "Nothing was written: nothing that was published is near enough to take facts from. --no-facts".to_owned(),
        );
        lines.push("writes in the author's voice alone.".to_owned());
    } else {
        if written.finish_reason == FinishReason::Length {
            lines.push("(cut at the limit of tokens; --words sets it)".to_owned());
        } else if written.finish_reason == FinishReason::Repetition {
            lines.push(CUT_AT_REPETITION.to_owned());
        }
        lines.extend(doubts(&written.check));
        lines.push(String::new());
        lines.push(by(written));
    }
    if !written.citations.is_empty() {
        let is_any_cited = written.citations.iter().any(|citation| citation.cited);
        lines.push(String::new());
        lines.push(
            if is_any_cited { "Facts from (* cited in the text):" } else { "Facts from, none of them cited:" }.into(),
        );
        lines.extend(written.citations.iter().map(citation_line));
    }
    if !written.copied.is_empty() {
        lines.push(String::new());
        let places = count(written.copied.len() as u64, "place");
        lines.push(format!("Copied without quotation marks, in {places}:"));
        lines.extend(written.copied.iter().map(copied_line));
    }
    lines.push(String::new());
    lines.push(timings_line(written));
    lines.join("\n")
}

/// `Written by M, which was trained on the author.`
fn by(written: &WriteAnswer) -> String {
    let voice = match written.voice {
        Voice::Trained => "which was trained on the author".to_owned(),
        Voice::Examples => {
            let examples = count(written.examples.len() as u64, "passage");
            format!("which is not the author's own and was shown {examples} as examples of style")
        }
        Voice::Unknown => "which is not the author's own and was shown no example of style".to_owned(),
    };
    format!("Written by {}, {voice}.", written.model)
}

/// `“The hive survived …” from Title (place)`.
fn copied_line(copied: &CopiedView) -> String {
    let CopiedView { text, marker, citation } = copied;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = citation.title.as_deref().unwrap_or("(no title)");
    let place = citation.url.as_deref().unwrap_or(&citation.natural_key);
    let marker = marker.map(|marker| format!("[{marker}] ")).unwrap_or_default();
    format!("  “{text}” from {marker}{title} ({place})")
}

fn timings_line(written: &WriteAnswer) -> String {
    let ms = |milliseconds: f64| duration(milliseconds / 1000.0);
    let TimingsView { total, queue, first_token, generate, .. } = written.timings_ms;
    let mut line = format!("{}: queue {}", ms(total), ms(queue));
    if generate > 0.0 {
        line += &format!(", first token {}, generate {}", ms(first_token), ms(generate));
    }
    let UsageView { prompt_tokens, completion_tokens, .. } = written.usage;
    if completion_tokens > 0 {
        line += &format!("; {prompt_tokens} + {completion_tokens} tokens");
    }
    line
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use twin_api::CitationView;

    use super::super::out::testing::captured;
    use super::super::views::testing::passage;
    use super::*;
    use crate::client::testing::serve;

    fn written(changes: Value) -> Value {
        let citation = |marker, cited| CitationView { marker, cited, passage: passage("Text", "Hives", &["Hives"]) };
        let mut written = json!({
            "text": "It lives [2].", "abstained": false, "model": "tiny", "voice": "examples", "finish_reason": "stop",
            "citations": [citation(1, false), citation(2, true)],
            "examples": [passage("Text", "Wool", &[])],
            "copied": [
                {"text": "one\nand two", "marker": 2, "citation": passage("Text", "Hives", &[])},
                {"text": "three", "marker": null, "citation": passage("Text", "Wool", &[])},
            ],
            "usage": {"prompt_tokens": 812, "completion_tokens": 93, "total_tokens": 905},
            "timings_ms": {"total": 1234.0, "queue": 2.0, "embed": 8.0, "search": 5.0, "first_token": 300.0, "generate": 900.0},
        });
        for (name, value) in changes.as_object().unwrap() {
            written[name] = value.clone();
        }
        written
    }

    fn told(changes: Value) -> String {
        rest(&serde_json::from_value(written(changes)).unwrap())
    }

    #[test]
    fn a_text_ends_with_who_wrote_it_what_it_rests_on_and_what_it_copies() {
        assert_eq!(
            told(json!({})),
            "\nWritten by tiny, which is not the author's own and was shown 1 passage as examples of style.\n\n\
             Facts from (* cited in the text):\n  \
             [1] Hives (posts/a.md) 0.83\n\
             * [2] Hives (posts/a.md) 0.83\n\n\
             Copied without quotation marks, in 2 places:\n  \
             “one and two” from [2] Hives (posts/a.md)\n  \
             “three” from Wool (posts/a.md)\n\n\
             1.2 s: queue 2 ms, first token 300 ms, generate 900 ms; 812 + 93 tokens"
        );
        let trained = told(json!({"voice": "trained", "copied": [], "citations": [], "finish_reason": "length"}));
        assert!(
            trained.starts_with("(cut at the limit of tokens; --words sets it)\n\nWritten by tiny, which was trained")
        );
        assert!(!trained.contains("Facts") && !trained.contains("Copied"), "{trained}");
    }

    #[test]
    fn a_text_that_is_cut_at_a_repetition_and_what_no_passage_supports_are_told() {
        let sentence = json!({"text": "It took 7\nyears.", "supported": false, "marker": null, "score": 0.7, "reason": "number",
            "unknown": "7"});
        let text = told(json!({"finish_reason": "repetition", "support": [sentence], "grounded_share": 0.0,
            "invented_quotations": ["as nobody ever said"]}));
        let expected = "(cut: the model began to repeat itself)\n\nNo passage supports:\n  “It took 7 years.” (the number 7)\n\n\
             Quoted, but in no passage:\n  “as nobody ever said”\n\nWritten by tiny";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_was_not_written_says_what_to_do() {
        let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
        let text = told(json!({"abstained": true, "citations": [], "copied": [], "examples": [], "usage": usage}));
        assert!(text.contains("--no-facts") && !text.contains("Written by"), "{text}");
    }

    /// What the command writes, and the request that it sends.
    async fn run_with(args: Write, json: bool) -> (String, Value) {
        let answer = |Json(request): Json<Value>| async move {
            if request["stream"] == true {
                let delta = json!({ "text": "It lives [2]." });
                let done = written(json!({ "text": "It lives [2]." }));
                let stream = format!("event: delta\ndata: {delta}\n\nevent: done\ndata: {done}\n\n");
                return ([("content-type", "text/event-stream")], stream);
            }
            ([("content-type", "application/json")], written(json!({ "text": request.to_string() })).to_string())
        };
        let client = serve(Router::new().route("/v1/write", post(answer))).await;
        let (out, results, _) = captured(false);
        let mut context = Context { client, out, json };
        run(args, &mut context).await.unwrap();
        let text = results.text();
        let request = serde_json::from_str::<Value>(&text).ok();
        let request = request.and_then(|told| serde_json::from_str(told["text"].as_str()?).ok()).unwrap_or_default();
        (text, request)
    }

    fn args() -> Write {
        let instruction = vec!["Write".to_owned(), "of bees".to_owned()];
        Write {
            author: AuthorOption::default(),
            instruction,
            category: None,
            words: None,
            no_facts: false,
            no_stream: false,
        }
    }

    #[tokio::test]
    async fn a_text_is_written_as_it_comes_and_as_json_it_is_the_apis_own() {
        let (text, _) = run_with(args(), false).await;
        assert!(text.starts_with("It lives [2].\n\nWritten by tiny"), "{text}");
        let asked = Write { category: Some(Category::Post), words: Some(80), no_facts: true, ..args() };
        let (_, request) = run_with(asked, true).await;
        let expected = json!({
            "instruction": "Write of bees", "author": null, "category": "post", "words": 80, "facts": false, "stream": false,
        });
        assert_eq!(request, expected);
    }
}
