//! `twin ask`: a question, and the answer as it is written.

use clap::Args;
use twin_api::{
    AnswerCheckView, CitationView, QueryAnswer, QueryRequest, SentenceSupportView, Speaker, TimingsView, Turn,
    UsageView,
};
use twin_schemas::{AnswerMode, Category, FinishReason, Replaced, SupportReason};

use super::streamed::Streamed;
use super::text::{count, duration};
use super::views::{beginning, heading};
use super::{AuthorOption, Context};
use crate::error::CommandError;

/// How many of the best passages are shown.
const PASSAGES_SHOWN: usize = 3;
/// Their width, columns.
const PASSAGE_WIDTH: usize = 100;
/// The width of a sentence that no passage supports.
const SENTENCE_WIDTH: usize = 80;

/// Said below a text that was cut since the model repeated itself.
pub const CUT_AT_REPETITION: &str = "(cut: the model began to repeat itself)";

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
        let streamed = Streamed { path: "query", doing: "answering", ending };
        return match streamed.tell(&body, context).await? {
            Some(answer) => tell_rest(&body, &answer, context),
            None => Ok(()),
        };
    }
    let reply = context.client.post(&["query"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let answer: QueryAnswer = reply.parse()?;
    context.out.line(&answer.answer)?;
    tell_rest(&body, &answer, context)
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
    } else if answer.finish_reason == FinishReason::Repetition {
        lines.push(CUT_AT_REPETITION.to_owned());
    }
    lines.extend(doubts(&answer.check));
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

/// What stands behind the text that came: all of the answer where none did, and where what came was replaced.
fn ending(answer: &QueryAnswer, text_came: bool) -> String {
    match (text_came, answer.check.replaced) {
        (false, _) => answer.answer.clone(),
        (true, None) => String::new(),
        (true, Some(Replaced::Ungrounded)) => {
            format!("\n\nPassages support too little of that. In the author's own words:\n\n{}", answer.answer)
        }
    }
}

/// What in a model's text rests on no passage.
pub fn doubts(check: &AnswerCheckView) -> Vec<String> {
    let unsupported: Vec<&SentenceSupportView> = check.support.iter().filter(|sentence| !sentence.supported).collect();
    let invented = &check.invented_quotations;
    let mut lines = Vec::new();
    if check.replaced.is_some() {
        let all = check.support.len();
        let sentences = count(all as u64, "sentence");
        let supported = all - unsupported.len();
        lines.push(String::new());
        lines.push(format!("A model's answer was replaced. Passages support {supported} of its {sentences}, and not:"));
    } else if !unsupported.is_empty() {
        lines.push(String::new());
        lines.push("No passage supports:".to_owned());
    }
    lines.extend(unsupported.into_iter().map(doubt));
    if !invented.is_empty() {
        lines.push(String::new());
        lines.push("Quoted, but in no passage:".to_owned());
        lines.extend(invented.iter().map(|quotation| format!("  “{}”", short(quotation))));
    }
    lines
}

/// `  “A sentence” (the number 7)`.
fn doubt(sentence: &SentenceSupportView) -> String {
    let unknown = sentence.unknown.as_deref().unwrap_or_default();
    let why = match sentence.reason {
        SupportReason::Number => format!(" (the number {unknown})"),
        SupportReason::Name => format!(" (the name {unknown})"),
        SupportReason::Negation => " (a passage says the contrary)".to_owned(),
        SupportReason::Code => " (a line of code)".to_owned(),
        SupportReason::Unlike | SupportReason::Supported => String::new(),
    };
    format!("  “{}”{why}", short(&sentence.text))
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SENTENCE_WIDTH) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
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

    /// An answer of which passages support the first of two sentences.
    fn doubtful() -> Value {
        let sentence = |text: &str, supported: bool, reason: &str, unknown: Option<&str>| {
            json!({"text": text, "supported": supported, "marker": supported.then_some(2), "score": 0.7, "reason": reason,
                "unknown": unknown})
        };
        let mut answer = answer_json(false);
        let support =
            [sentence("Yes [2].", true, "supported", None), sentence("It took 7\nyears.", false, "number", Some("7"))];
        answer["support"] = json!(support);
        answer["grounded_share"] = json!(0.5);
        answer
    }

    #[test]
    fn what_no_passage_supports_is_listed_below_the_answer() {
        let mut doubtful = doubtful();
        doubtful["invented_quotations"] = json!(["as nobody ever said"]);
        doubtful["finish_reason"] = json!("repetition");
        let text = rest("why so", &serde_json::from_value(doubtful).unwrap());
        let expected = "(cut: the model began to repeat itself)\n\nNo passage supports:\n  “It took 7 years.” (the number 7)\n\n\
             Quoted, but in no passage:\n  “as nobody ever said”\n\nPassages (* cited";
        assert!(text.starts_with(expected), "{text}");
    }

    #[tokio::test]
    async fn where_a_streamed_text_does_not_count_the_one_that_does_stands_below_it() {
        let mut replaced = doubtful();
        replaced["replaced"] = json!("ungrounded");
        replaced["mode"] = json!("quoted");
        replaced["answer"] = json!("In May [2].");
        let done = format!("event: done\ndata: {replaced}\n\n");
        let (text, end) = asked(format!("{BEGINNING}{done}")).await;
        end.unwrap();
        let expected = "Yes\n\nPassages support too little of that. In the author's own words:\n\nIn May [2].\n\n\
             A model's answer was replaced. Passages support 1 of its 2 sentences, and not:\n  “It took 7 years.” \
             (the number 7)\n";
        assert!(text.starts_with(expected), "{text}");
        let (text, end) = asked(done).await;
        end.unwrap();
        assert!(text.starts_with("In May [2].\n\nA model's answer was replaced."), "{text}");
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
