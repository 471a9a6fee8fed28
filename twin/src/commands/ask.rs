//! `twin ask`: a question, and the answer as it is written.

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use twin_api::{CitationView, QueryAnswer, QueryRequest, Speaker, TimingsView, Turn, UsageView};
use twin_schemas::{AnswerMode, Category, FinishReason};

use super::text::{count, duration};
use super::views::{beginning, heading};
use super::{AuthorOption, Context};
use crate::client::unexpected;
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
    /// A question that was asked before this one, so that one that goes on from it is understood; several from the first on.
    #[arg(long, value_name = "QUESTION")]
    earlier: Vec<String>,
    /// Write the answer when it is complete.
    #[arg(long)]
    no_stream: bool,
}

#[derive(Deserialize)]
struct Retrieved {
    passages: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Delta {
    text: String,
}

/// Runs the command.
pub async fn run(args: Ask, context: &mut Context) -> Result<(), CommandError> {
    let stream = !args.no_stream && !context.json;
    let asked = |content: String| Turn { role: Speaker::User, content };
    let body = QueryRequest {
        question: args.question.join(" "),
        history: args.earlier.into_iter().map(asked).collect(),
        author: args.author.author,
        k: args.k,
        category: args.category,
        stream,
    };
    context.out.progress("searching…");
    if stream {
        return streamed(&body, context).await;
    }
    let reply = context.client.post(&["query"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let answer: QueryAnswer = reply.parse()?;
    context.out.line(&answer.answer)?;
    tell_rest(&body, &answer, context)
}

async fn streamed(body: &QueryRequest, context: &mut Context) -> Result<(), CommandError> {
    let mut text_came = false;
    let streamed = tell_stream(body, context, &mut text_came).await;
    if text_came && streamed.is_err() {
        // What came of the answer stands alone; the error begins on a line of its own.
        context.out.line("")?;
    }
    match streamed? {
        Some(answer) => tell_rest(body, &answer, context),
        None => Ok(()),
    }
}

/// Writes the answer as it comes, to the end of its last line. None: nobody reads it any more.
async fn tell_stream(
    body: &QueryRequest,
    context: &mut Context,
    text_came: &mut bool,
) -> Result<Option<QueryAnswer>, CommandError> {
    let Context { client, out, .. } = context;
    let mut events = client.events(&["query"], body).await?;
    while let Some(event) = events.next().await? {
        match event.name.as_str() {
            "retrieved" => {
                let found = read::<Retrieved>(&event.data)?.passages.len() as u64;
                out.progress(&format!("{} found, answering…", count(found, "passage")));
            }
            "delta" => {
                *text_came = true;
                out.text(&read::<Delta>(&event.data)?.text)?;
            }
            "done" => {
                let answer: QueryAnswer = read(&event.data)?;
                // An answer may come without parts.
                out.line(if *text_came { "" } else { &answer.answer })?;
                return Ok(Some(answer));
            }
            "error" => return Err(CommandError::of_problem(500, event.data.as_bytes(), None)),
            // What a later version may send beside these.
            _ => {}
        }
        if out.is_closed() {
            return Ok(None);
        }
    }
    Err(CommandError::Failed("the answer was cut off: the connection ended before it was complete".to_owned()))
}

fn read<T: DeserializeOwned>(data: &str) -> Result<T, CommandError> {
    serde_json::from_str(data).map_err(unexpected)
}

/// What an answer rests on, and what it took.
fn tell_rest(asked: &QueryRequest, answer: &QueryAnswer, context: &mut Context) -> Result<(), CommandError> {
    context.out.line(&rest(&asked.question, answer))
}

fn rest(asked: &str, answer: &QueryAnswer) -> String {
    let mut lines = Vec::new();
    if let Some(searched) = answer.searched_question.as_deref().filter(|searched| *searched != asked) {
        lines.push(format!("(searched: {searched})"));
    }
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
fn citation_line(citation: &CitationView) -> String {
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
            "searched_question": "why so",
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
        let author = AuthorOption::default();
        let args = Ask { author, question, k: None, category: None, earlier: Vec::new(), no_stream: false };
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
            rest("why so", &answer(false)),
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
            rest("why so", &answer),
            "\nQuoted, in the author's own words, from (* quoted in the answer):\n  \
             [1] Parsers — Top › Errors (posts/a.md) 0.90\n\
             * [2] Parsers — Top › Errors (posts/a.md) 0.83\n\n\
             1.2 s: queue 2 ms, embed 8 ms, search 5 ms, quote 900 ms"
        );
    }

    #[test]
    fn a_question_that_was_searched_in_other_words_is_told() {
        let text = rest("and so?", &answer(false));
        assert!(text.starts_with("(searched: why so)\n\nPassages"), "{text}");
        let courteous = QueryAnswer { searched_question: None, citations: Vec::new(), ..answer(false) };
        assert!(rest("thanks", &courteous).starts_with("\n1.2 s"), "nothing was searched");
    }

    #[test]
    fn a_twin_that_does_not_know_says_so() {
        let text = rest("why so", &answer(true));
        assert!(text.contains("does not know") && text.contains("none of them cited"), "{text}");
    }
}
