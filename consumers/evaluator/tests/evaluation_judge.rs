//! The judge: believed if it is steady, counted if it is not, and never in the way.

mod scripted;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use scripted::*;
use serde_json::json;
use twin_evaluator::judge::{Choice, Judgement, parse};
use twin_evaluator::{evaluate, html};
use twin_llm::{ChatChunk, ChatModel, ChatRequest, ChatStream};
use twin_schemas::{FinishReason, Usage, Verdict};

/// A judge that replies by a rule.
struct ScriptedJudge {
    reply: fn(prompt: &str, call: usize) -> Result<String, twin_llm::Error>,
    calls: AtomicUsize,
}

#[async_trait]
impl ChatModel for ScriptedJudge {
    fn name(&self) -> &str {
        "a judge"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        let prompt = &request.messages.last().unwrap().content;
        let format = serde_json::to_value(&request.format).unwrap();
        assert_eq!(format["json_schema"]["schema"]["properties"]["winner"]["enum"], json!(["A", "B", "tie"]));
        let text = (self.reply)(prompt, self.calls.fetch_add(1, Ordering::SeqCst))?;
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        Ok(Box::pin(futures::stream::iter([Ok(ChatChunk::Text(text)), Ok(end)])))
    }
}

async fn judged(reply: fn(&str, usize) -> Result<String, twin_llm::Error>) -> Judgement {
    let stage = Stage::new(TUNED, None, &samples());
    let judge = ScriptedJudge { reply, calls: AtomicUsize::new(0) };
    let go_on = |_| ControlFlow::Continue(());
    let report = evaluate(stage.assignment(&dataset()), &stage, Some(&judge), &options(), &go_on).await.unwrap();
    assert_eq!(report.verdict, Verdict::Passed);
    assert!(html(&report).unwrap().contains("Judge: a judge"));
    report.judgement.unwrap()
}

#[tokio::test]
async fn a_judge_that_prefers_the_candidate_in_both_orders_is_believed() {
    let judgement = judged(|prompt, _| {
        let answer =
            |tag: &str| prompt.split(&format!("id=\"{tag}\">")).nth(1).unwrap().split("</").next().unwrap().to_owned();
        // The base model's stock phrase, or else its long words.
        let weight = |text: &str| {
            if text.contains("quite well known") { 99_000 } else { 1_000 * text.len() / text.split(' ').count() }
        };
        let winner = if weight(&answer("answer A")) < weight(&answer("answer B")) { "A" } else { "B" };
        Ok(format!("{{\"winner\": \"{winner}\", \"reason\": \"tone\"}}"))
    })
    .await;
    assert_eq!((judgement.wins, judgement.losses, judgement.contradictory), (24, 0, 0), "{judgement:?}");
    assert!(judgement.win_rate.unwrap().low > 0.5);
}

#[tokio::test]
async fn a_judge_that_prefers_what_stands_first_decides_nothing() {
    let judgement = judged(|_, _| Ok("{\"winner\": \"A\"}".to_owned())).await;
    assert_eq!((judgement.wins, judgement.ties, judgement.losses, judgement.contradictory), (0, 24, 0, 24));
    assert_eq!(judgement.win_rate.unwrap().mean, 0.5);
}

#[tokio::test]
async fn malformed_replies_and_failures_of_a_judge_are_counted_and_end_nothing() {
    let judgement = judged(|_, call| match call {
        0 => Ok("A is better, I think.".to_owned()),
        1 => Err(twin_llm::Error::Generation("it broke".to_owned())),
        2 => Ok("{\"winner\": \"A\", \"confidence\": 1}".to_owned()),
        _ => Ok("{\"winner\": \"tie\", \"reason\": \"\"}".to_owned()),
    })
    .await;
    assert_eq!((judgement.malformed, judgement.unanswered, judgement.ties), (2, 1, 21));
}

#[tokio::test]
async fn a_judge_that_never_makes_sense_leaves_no_win_rate() {
    let judgement = judged(|_, _| Ok("?".to_owned())).await;
    assert_eq!((judgement.malformed, judgement.win_rate), (24, None));
}

#[tokio::test]
async fn a_judge_is_shown_answers_that_can_not_pose_as_something_else() {
    let judgement = judged(|prompt, _| {
        assert_eq!((prompt.matches("<passage").count(), prompt.matches("</passage>").count()), (4, 4), "{prompt}");
        Ok("{\"winner\": \"tie\"}".to_owned())
    })
    .await;
    assert_eq!(judgement.ties, 24);
}

#[test]
fn only_the_object_asked_for_is_a_reply() {
    assert_eq!(parse(" {\"winner\": \"B\", \"reason\": \"it is nearer\"}\n"), Some(Choice::B));
    assert_eq!(parse("{\"winner\": \"tie\"}"), Some(Choice::Tie));
    for malformed in ["", "A", "{}", "{\"winner\": \"C\"}", "{\"winner\": \"A\"} or B", "[{\"winner\": \"A\"}]"] {
        assert_eq!(parse(malformed), None, "{malformed}");
    }
}
