//! `twin ask`: a question, and the answer as it is written.

use clap::Args;
use twin_api::{CitationView, QueryAnswer, QueryRequest, TimingsView, UsageView};
use twin_schemas::{AnswerMode, Category, FinishReason};

use super::streamed::Streamed;
use super::text::duration;
use super::views::{beginning, heading};
use super::{AuthorOption, Context};
use crate::error::CommandError;

/// How many of the best passages are shown.
const PASSAGES_SHOWN: usize = 3;
/// Their width, columns.
const PASSAGE_WIDTH: usize = 100;

/// A question.
#[derive(Debug, Args)]
pub struct Ask {
    #[command(flatten)]
    author: AuthorOption,
    /// The question.
    #[arg(required = true)]
    question: Vec<String>,
    /// Passages to find, at most. Answers are quoted from all of them; a model is given the best (`llm.prompt.passages`).
    #[arg(short)]
    k: Option<u32>,
    /// Answer only from documents of this category: article, post or code.
    #[arg(long, short)]
    category: Option<Category>,
    /// Write the answer when it is complete.
    #[arg(long)]
    no_stream: bool,
}

/// Runs the command.
pub async fn run(args: Ask, context: &mut Context) -> Result<(), CommandError> {
    let stream = !args.no_stream && !context.json;
    let body = QueryRequest {
        question: args.question.join(" "),
        author: args.author.author,
        k: args.k,
        category: args.category,
        stream,
    };
    context.out.progress("searching…");
    if stream {
        let streamed = Streamed { path: "query", doing: "answering", text: |answer: &QueryAnswer| &answer.answer };
        return match streamed.tell(&body, context).await? {
            Some(answer) => tell_rest(&answer, context),
            None => Ok(()),
        };
    }
    let reply = context.client.post(&["query"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let answer: QueryAnswer = reply.parse()?;
    context.out.line(&answer.answer)?;
    tell_rest(&answer, context)
}

/// What an answer rests on, and what it took.
fn tell_rest(answer: &QueryAnswer, context: &mut Context) -> Result<(), CommandError> {
    context.out.line(&rest(answer))
}

fn rest(answer: &QueryAnswer) -> String {
    let mut lines = Vec::new();
    if answer.abstained {
        lines.push(String::new());
        lines.push("The twin does not know: nothing that was published is near enough to the question.".to_owned());
    } else if answer.finish_reason == FinishReason::Length {
        lines.push("(cut at the limit of tokens)".to_owned());
    }
    if !answer.citations.is_empty() {
        lines.push(String::new());
        lines.push(passages_title(answer).to_owned());
        lines.extend(answer.citations.iter().map(citation_line));
        // What is quoted needs no quotation.
        if answer.mode == AnswerMode::Generated {
            lines.push(String::new());
            for citation in best(&answer.citations) {
                let first = beginning(&citation.passage, 1, PASSAGE_WIDTH).pop().unwrap_or_default();
                lines.push(format!("[{}] “{first}”", citation.marker));
            }
        }
    }
    lines.push(String::new());
    lines.push(timings_line(answer));
    lines.join("\n")
}

fn passages_title(answer: &QueryAnswer) -> &'static str {
    let is_any_cited = answer.citations.iter().any(|citation| citation.cited);
    match (answer.mode, is_any_cited) {
        (AnswerMode::Quoted, _) => "Quoted, in the author's own words, from (* quoted in the answer):",
        (AnswerMode::Generated, true) => "Passages (* cited in the answer):",
        (AnswerMode::Generated, false) => "Passages, none of them cited:",
    }
}

/// Those that the answer cites first, then by score.
fn best(citations: &[CitationView]) -> impl Iterator<Item = &CitationView> {
    let mut best: Vec<&CitationView> = citations.iter().collect();
    best.sort_by(|a, b| b.cited.cmp(&a.cited).then(b.passage.score.total_cmp(&a.passage.score)));
    best.into_iter().take(PASSAGES_SHOWN)
}

/// `* [1] Title — Heading (url) 0.83`.
pub fn citation_line(citation: &CitationView) -> String {
    let CitationView { marker, cited, passage } = citation;
    let mark = if *cited { '*' } else { ' ' };
    let mut line = format!("{mark} [{marker}] {}", passage.title.as_deref().unwrap_or("(no title)"));
    let heading = heading(passage);
    if !heading.is_empty() {
        line += &format!(" — {heading}");
    }
    let place = passage.url.as_deref().unwrap_or(&passage.natural_key);
    line += &format!(" ({place}) {:.2}", passage.score);
    line
}

fn timings_line(answer: &QueryAnswer) -> String {
    let ms = |milliseconds: f64| duration(milliseconds / 1000.0);
    let TimingsView { total, queue, embed, search, first_token, generate } = answer.timings_ms;
    let mut line = format!("{}: queue {}, embed {}, search {}", ms(total), ms(queue), ms(embed), ms(search));
    match answer.mode {
        _ if generate == 0.0 => {}
        AnswerMode::Quoted => line += &format!(", quote {}", ms(generate)),
        AnswerMode::Generated => line += &format!(", first token {}, generate {}", ms(first_token), ms(generate)),
    }
    let UsageView { prompt_tokens, completion_tokens, .. } = answer.usage;
    if completion_tokens > 0 {
        line += &format!("; {prompt_tokens} + {completion_tokens} tokens, {}", answer.model);
    }
    line
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use serde_json::{Value, json};

    use super::super::out::testing::captured;
    use super::super::views::testing::passage as passage_of;
    use super::*;
    use crate::client::testing::serve;

    fn answer_json(abstained: bool) -> Value {
        let passage = |marker: u32, cited: bool, score: f32| {
            let mut passage = passage_of("\nFirst line\nSecond", "Parsers", &["Top", "Errors"]);
            passage.score = score;
            CitationView { marker, cited, passage }
        };
        json!({
            "answer": "Yes [2].", "abstained": abstained, "mode": "generated", "model": "tiny", "finish_reason": "stop",
            "citations": [passage(1, false, 0.9), passage(2, !abstained, 0.834)],
            "usage": {"prompt_tokens": 812, "completion_tokens": 93, "total_tokens": 905},
            "timings_ms": {"total": 1234.0, "queue": 2.0, "embed": 8.0, "search": 5.0, "first_token": 300.0, "generate": 900.0},
        })
    }

    fn answer(abstained: bool) -> QueryAnswer {
        serde_json::from_value(answer_json(abstained)).unwrap()
    }

    /// What a question writes, and how it ends, where the twin sends this stream.
    async fn asked(stream: String) -> (String, Result<(), CommandError>) {
        let answer = move || async move { ([("content-type", "text/event-stream")], stream) };
        let client = serve(Router::new().route("/v1/query", post(answer))).await;
        let (out, results, _) = captured(false);
        let mut context = Context { client, out, json: false };
        let question = vec!["why".to_owned(), "so".to_owned()];
        let args = Ask { author: AuthorOption::default(), question, k: None, category: None, no_stream: false };
        let end = run(args, &mut context).await;
        (results.text(), end)
    }

    const BEGINNING: &str =
        "event: retrieved\ndata: {\"passages\": [{}]}\n\nevent: delta\ndata: {\"text\": \"Yes\"}\n\n";

    #[tokio::test]
    async fn an_answer_is_written_as_it_comes_and_then_what_it_rests_on() {
        let delta = "event: delta\ndata: {\"text\": \" [2].\"}\n\n: keep-alive\n\nevent: later\ndata: 5\n\n";
        let done = format!("event: done\ndata: {}\n\n", answer_json(false));
        let (text, end) = asked(format!("{BEGINNING}{delta}{done}")).await;
        end.unwrap();
        assert!(text.starts_with("Yes [2].\n\nPassages (* cited"), "{text}");
        let (text, end) = asked(done).await;
        end.unwrap();
        assert!(text.starts_with("Yes [2].\n\nPassages"), "an answer without parts: {text}");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_failure_and_what_came_of_it_is_a_line() {
        let (text, end) = asked(BEGINNING.to_owned()).await;
        assert_eq!(text, "Yes\n");
        assert!(matches!(end, Err(CommandError::Failed(message)) if message.contains("cut off")));
        let problem = r#"{"status": 504, "title": "Gateway Timeout", "code": "expired", "detail": "too late"}"#;
        let (text, end) = asked(format!("{BEGINNING}event: error\ndata: {problem}\n\n")).await;
        assert_eq!(text, "Yes\n");
        assert_eq!(end.unwrap_err().exit_code(), 75);
    }

    #[test]
    fn an_answer_ends_with_its_passages_and_what_it_took() {
        assert_eq!(
            rest(&answer(false)),
            "\nPassages (* cited in the answer):\n  \
             [1] Parsers — Top › Errors (posts/a.md) 0.90\n\
             * [2] Parsers — Top › Errors (posts/a.md) 0.83\n\n\
             [2] “First line”\n[1] “First line”\n\n\
             1.2 s: queue 2 ms, embed 8 ms, search 5 ms, first token 300 ms, generate 900 ms; 812 + 93 tokens, tiny"
        );
    }

    #[test]
    fn a_quoted_answer_is_said_to_be_one_and_its_passages_are_not_quoted_again() {
        let usage = UsageView { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
        let answer = QueryAnswer { mode: AnswerMode::Quoted, usage, ..answer(false) };
        assert_eq!(
            rest(&answer),
            "\nQuoted, in the author's own words, from (* quoted in the answer):\n  \
             [1] Parsers — Top › Errors (posts/a.md) 0.90\n\
             * [2] Parsers — Top › Errors (posts/a.md) 0.83\n\n\
             1.2 s: queue 2 ms, embed 8 ms, search 5 ms, quote 900 ms"
        );
    }

    #[test]
    fn a_twin_that_does_not_know_says_so() {
        let text = rest(&answer(true));
        assert!(text.contains("does not know") && text.contains("none of them cited"), "{text}");
    }
}
