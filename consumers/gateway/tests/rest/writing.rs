//! Having the twin write.

use serde_json::{Value, json};
use twin_schemas::{Category, QueryKind, Writing};

use crate::questions::{events, parsed};
use crate::support::{Node, body, eventually, problem};

fn order(instruction: &str) -> Value {
    json!({"instruction": instruction, "author": "ada"})
}

#[tokio::test]
async fn a_text_comes_with_its_citations_its_examples_and_what_it_copies() {
    let node = Node::start().await;
    let mut asked = order("Write about rivers.");
    asked["category"] = json!("post");
    asked["words"] = json!(80);
    asked["facts"] = json!(false);
    let written = body(node.post("/v1/write", &asked).await, 200).await;
    assert_eq!((&written["text"], &written["model"]), (&json!("Yes [1]."), &json!("scripted")));
    assert_eq!((&written["voice"], &written["abstained"]), (&json!("examples"), &json!(false)));
    assert_eq!(written["citations"][0]["marker"], 1);
    assert_eq!(written["examples"][0]["natural_key"], "first");
    let copied: Vec<&Value> = written["copied"].as_array().unwrap().iter().map(|copied| &copied["marker"]).collect();
    assert_eq!(copied, [&json!(1), &Value::Null]);
    assert_eq!(
        (&written["copied"][0]["text"], &written["copied"][0]["citation"]["title"]),
        (&json!("hello"), &json!("First"))
    );
    assert_eq!((&written["support"], &written["grounded_share"]), (&json!([]), &json!(0.25)));
    assert_eq!(
        (&written["invented_quotations"][0], &written["replaced"]),
        (&json!("as nobody ever said"), &Value::Null)
    );
    assert!(written["timings_ms"]["total"].as_f64().unwrap() > 0.0 && written["usage"]["total_tokens"] == 24);
    let query = node.worker.only_query().await;
    assert_eq!((query.kind, query.messages[0].content.as_str()), (QueryKind::Write, "Write about rivers."));
    assert_eq!(query.writing, Some(Writing { category: Category::Post, words: Some(80), facts: false }));
}

#[tokio::test]
async fn what_a_request_does_not_say_is_an_article_with_facts() {
    let node = Node::start().await;
    body(node.post("/v1/write", &order("Write.")).await, 200).await;
    let query = node.worker.only_query().await;
    assert_eq!(query.writing, Some(Writing { category: Category::Article, words: None, facts: true }));
    assert_eq!(query.filter.category, None, "facts come from everything that the author has published");
}

#[tokio::test]
async fn a_streamed_text_comes_as_retrieved_delta_and_done() {
    let node = Node::start().await;
    let mut asked = order("Write.");
    asked["stream"] = json!(true);
    let stream = node.post("/v1/write", &asked).await.text().await.unwrap();
    let events = events(&stream);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["retrieved", "delta", "delta", "done"]);
    let done = parsed(&events[3].1);
    assert_eq!((&done["text"], done["copied"].as_array().unwrap().len()), (&json!("Yes [1]."), 2));
}

#[tokio::test]
async fn a_text_that_is_not_written_says_so_and_a_failure_is_a_problem() {
    let node = Node::start().await;
    let abstained = body(node.post("/v1/write", &order("abstain")).await, 200).await;
    assert_eq!((&abstained["abstained"], &abstained["voice"]), (&json!(true), &json!("unknown")));
    assert_eq!((&abstained["examples"], &abstained["copied"]), (&json!([]), &json!([])));
    assert_eq!(problem(node.post("/v1/write", &order("invalid")).await, 400).await["code"], "invalid_query");
    let metrics = node.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"twin_gateway_queries_total{kind="write",outcome="abstained"} 1"#), "{metrics}");
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_writing() {
    let node = Node::start().await;
    let request = tokio::spawn(node.request("/v1/write", &order("silence")).send());
    let query = node.worker.only_query().await;
    request.abort();
    eventually("the cancellation", async || node.worker.is_cancelled(&query)).await;
}
