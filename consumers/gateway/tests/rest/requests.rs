//! How strict the interface is.

use serde_json::{Value, json};
use twin_gateway::Options;

use crate::learning::SWEEP;
use crate::support::{Node, problem};

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// A good request of each type, to be spoiled one field at a time.
fn good_requests() -> Vec<(&'static str, Value)> {
    vec![
        ("/v1/query", json!({"question": "hi", "author": "ada"})),
        ("/v1/retrieve", json!({"query": "hi", "author": "ada"})),
        ("/v1/write", json!({"instruction": "hi", "author": "ada"})),
        ("/v1/chat/completions", json!({"model": "twin/ada", "messages": [{"role": "user", "content": "hi"}]})),
        ("/v1/embeddings", json!({"model": "twin/ada", "input": "hi"})),
        ("/v1/sources", json!({"author": "ada", "location": "https://example.org/feed.xml"})),
        ("/v1/documents", json!({"author": "ada", "category": "post", "natural_key": "k", "text": "hello"})),
        ("/v1/sweeps", json!({"sweep": SWEEP, "author": "ada"})),
        ("/v1/model-versions/ada-v1/approve", json!({"by": "Grace"})),
        ("/v1/authors/ada/rollback", json!({"by": "Grace"})),
        ("/v1/model-versions/ada-v1/evaluate", json!({})),
    ]
}

/// A value that is wrong for each field of each type of request.
fn wrong_values(path: &str) -> Vec<(&'static str, Value)> {
    match path {
        "/v1/query" => vec![
            ("question", json!(5)),
            ("question", json!(" ")),
            ("question", json!("x".repeat(8_001))),
            ("author", json!("Ada Lovelace")),
            ("author", json!(["ada"])),
            ("k", json!("five")),
            ("k", json!(0)),
            ("k", json!(51)),
            ("k", json!(2.5)),
            ("category", json!("novel")),
            ("stream", json!("yes")),
            ("temperature", json!(0.5)),
        ],
        "/v1/retrieve" => vec![
            ("query", json!({})),
            ("query", json!("")),
            ("author", json!(1)),
            ("k", json!(-1)),
            ("category", json!(3)),
            ("source_kind", json!(3)),
            ("published_after", json!("last week")),
            ("published_before", json!(2026)),
            ("stream", json!(true)),
        ],
        "/v1/write" => vec![
            ("instruction", json!(5)),
            ("instruction", json!(" ")),
            ("instruction", json!("x".repeat(8_001))),
            ("author", json!("Ada Lovelace")),
            ("category", json!("novel")),
            ("category", json!("code")),
            ("words", json!(0)),
            ("words", json!(5_001)),
            ("words", json!("many")),
            ("facts", json!("yes")),
            ("stream", json!(1)),
            ("k", json!(5)),
        ],
        "/v1/chat/completions" => vec![
            ("model", json!("ada")),
            ("model", json!(5)),
            ("messages", json!({})),
            ("messages", json!([])),
            ("temperature", json!("hot")),
            ("temperature", json!(3)),
            ("top_p", json!(true)),
            ("max_tokens", json!("many")),
            ("max_completion_tokens", json!(0)),
            ("seed", json!(1.5)),
            ("response_format", json!("json")),
            ("stop", json!(5)),
            ("frequency_penalty", json!(3)),
            ("presence_penalty", json!("much")),
            ("tools", json!([{"type": "function"}])),
            ("logprobs", json!(true)),
            ("store", json!(true)),
            ("top_k", json!(40)),
            ("n", json!(2)),
            ("stream", json!(1)),
            ("stream_options", json!({})),
        ],
        "/v1/embeddings" => vec![
            ("model", json!(5)),
            ("model", json!("twin/Ada Lovelace")),
            ("input", json!("")),
            ("input", json!([])),
            ("input", json!({})),
            ("encoding_format", json!("hex")),
            ("dimensions", json!("all")),
            ("input_type", json!("song")),
            ("user", json!(5)),
        ],
        "/v1/sources" => vec![
            ("author", json!("")),
            ("kind", json!("fax")),
            ("kind", json!(5)),
            ("location", json!(5)),
            ("location", json!("")),
            ("category", json!("novel")),
            ("interval_s", json!("hourly")),
            ("interval_s", json!(0)),
            ("interval", json!(5)),
        ],
        "/v1/documents" => vec![
            ("author", json!(5)),
            ("category", json!("novel")),
            ("natural_key", json!(5)),
            ("title", json!([])),
            ("url", json!("nowhere")),
            ("text", json!(5)),
            ("markdown", json!(5)),
            ("html", json!(5)),
            ("published_at", json!("soon")),
            ("tags", json!([])),
        ],
        "/v1/sweeps" => vec![("sweep", json!(5)), ("author", json!(5)), ("by", json!("x"))],
        "/v1/model-versions/ada-v1/approve" | "/v1/authors/ada/rollback" => vec![
            ("by", json!(5)),
            ("by", json!(" ")),
            ("by", json!("x".repeat(101))),
            ("by", json!("a\u{7}b")),
            ("why", json!(5)),
            ("why", json!("x".repeat(2_001))),
            ("reason", json!("x")),
        ],
        "/v1/model-versions/ada-v1/evaluate" => vec![
            ("by", json!(" ")),
            ("max_voice", json!(-1)),
            ("max_grounded", json!(10_001)),
            ("max_refusal", json!("all")),
            ("max_asked", json!("many")),
            ("max_judged", json!(1.5)),
            ("primary", json!("beauty")),
            ("guard_rule", json!("never")),
            ("confidence", json!(1)),
            ("min_samples", json!(0)),
            ("min_documents", json!(0)),
            ("policy", json!({})),
        ],
        other => panic!("no wrong values for {other}"),
    }
}

/// OpenAI's API answers every invalid request with 400.
fn status_of_wrong(path: &str) -> u16 {
    if matches!(path, "/v1/chat/completions" | "/v1/embeddings") { 400 } else { 422 }
}

#[tokio::test]
async fn every_wrong_field_of_every_request_is_named() {
    let node = Node::start().await;
    for (path, good) in good_requests() {
        let status = status_of_wrong(path);
        for (field, value) in wrong_values(path) {
            let mut body = good.clone();
            body[field] = value;
            let refused = problem(node.post(path, &body).await, status).await;
            let shown = format!("{path} {body}: {refused}");
            assert_eq!(refused["code"], "invalid_field", "{shown}");
            assert_eq!(refused["errors"][0]["field"], field, "{shown}");
            assert!(!refused["errors"][0]["detail"].as_str().unwrap().is_empty(), "{shown}");
        }
    }
    assert!(node.worker.asked().is_empty(), "nothing wrong reached the log");
}

#[tokio::test]
async fn every_missing_field_is_named() {
    let node = Node::start().await;
    for (path, good) in good_requests() {
        let status = status_of_wrong(path);
        for field in good.as_object().unwrap().keys() {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(field);
            let refused = problem(node.post(path, &body).await, status).await;
            assert_eq!(refused["errors"][0]["field"], *field, "{path} without {field}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_wrong_parameter_of_a_path_or_query_is_named() {
    let node = Node::start().await;
    for (path, field) in [
        ("/v1/sources?author=Ada".to_owned(), "author"),
        ("/v1/sources?autor=ada".to_owned(), "autor"),
        ("/v1/sources/5".to_owned(), "id"),
        ("/v1/documents?limit=many".to_owned(), "limit"),
        ("/v1/documents?limit=0".to_owned(), "limit"),
        ("/v1/documents/5".to_owned(), "id"),
        ("/v1/status?author=Ada".to_owned(), "author"),
        ("/v1/dlq?limit=100000".to_owned(), "limit"),
        ("/v1/dlq?stage=cleaner".to_owned(), "stage"),
        ("/v1/dlq?before=yesterday".to_owned(), "before"),
        ("/v1/datasets?limit=0".to_owned(), "limit"),
        ("/v1/jobs?limit=1001".to_owned(), "limit"),
        ("/v1/jobs?state=lost".to_owned(), "state"),
        ("/v1/model-versions?author=Ada".to_owned(), "author"),
        ("/v1/authors/ada/deployments?limit=0".to_owned(), "limit"),
        ("/v1/authors/Ada/recipe".to_owned(), "author"),
        ("/v1/datasets/requests/Ada".to_owned(), "author"),
        ("/v1/documents/5/models".to_owned(), "id"),
        ("/v1/sources?after=yesterday".to_owned(), "after"),
        ("/v1/sources?limit=1001".to_owned(), "limit"),
        ("/v1/documents?before=yesterday".to_owned(), "before"),
        ("/v1/datasets?before=yesterday".to_owned(), "before"),
        ("/v1/jobs?before=yesterday".to_owned(), "before"),
        ("/v1/jobs/ff/metrics?after=yesterday".to_owned(), "after"),
        ("/v1/jobs/ff/metrics?limit=10001".to_owned(), "limit"),
        ("/v1/model-versions?before=yesterday".to_owned(), "before"),
        ("/v1/authors/ada/deployments?before=yesterday".to_owned(), "before"),
    ] {
        let refused = problem(node.get(&path).send().await.unwrap(), 422).await;
        assert_eq!(refused["errors"][0]["field"], field, "{path}: {refused}");
    }
    let refused = node.get("/v1/models?after=yesterday").send().await.unwrap();
    assert_eq!(problem(refused, 400).await["errors"][0]["field"], "after", "as OpenAI's API tells it");
    let refused = node.delete(&format!("/v1/sources/{ID}?documents=burn")).send().await.unwrap();
    assert_eq!(problem(refused, 422).await["errors"][0]["field"], "documents");
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_as_a_problem() {
    let node = Node::start_with(Options { max_body_bytes: 4_096, max_line_bytes: 1_024, ..Options::default() }).await;
    for (path, _) in good_requests() {
        let broken = node.raw(path, "application/json", "{\"question\":").send().await.unwrap();
        assert_eq!(problem(broken, 400).await["code"], "malformed", "{path}");
        let plain = node.raw(path, "text/plain", "{}").send().await.unwrap();
        assert_eq!(problem(plain, 415).await["code"], "unsupported_media_type", "{path}");
        let long = node.raw(path, "application/json", "x".repeat(5_000)).send().await.unwrap();
        assert_eq!(problem(long, 413).await["code"], "too_large", "{path}");
    }
}

#[tokio::test]
async fn an_unknown_route_method_or_thing_is_a_problem() {
    let node = Node::start().await;
    assert_eq!(problem(node.get("/v2/query").send().await.unwrap(), 404).await["code"], "not_found");
    assert_eq!(problem(node.get("/v1/query").send().await.unwrap(), 405).await["code"], "method_not_allowed");
    let chat = problem(node.get("/v1/chat/completions").send().await.unwrap(), 405).await;
    assert_eq!(chat["error"]["type"], "invalid_request_error");
    for path in ["sources", "documents", "dlq"] {
        let missing = node.get(&format!("/v1/{path}/{ID}")).send().await.unwrap();
        assert_eq!(problem(missing, 404).await["code"], "not_found", "{path}");
    }
    for path in [format!("/v1/sources/{ID}/sync"), format!("/v1/sources/{ID}/confirm"), format!("/v1/dlq/{ID}/replay")]
    {
        assert_eq!(problem(node.post(&path, &json!({})).await, 404).await["code"], "not_found", "{path}");
    }
    for path in [format!("/v1/sources/{ID}"), format!("/v1/documents/{ID}")] {
        assert_eq!(problem(node.delete(&path).send().await.unwrap(), 404).await["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn every_operation_described_is_there() {
    let node = Node::start().await;
    let document = node.read("/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    for (template, operations) in paths {
        let path = template.replace("{id}", ID).replace("{model}", "twin/ada").replace("{author}", "ada");
        let path = path.replace("{other}", ID).replace("{path}", "sft/train.jsonl");
        for method in operations.as_object().unwrap().keys() {
            let response = match method.as_str() {
                "get" => node.get(&path).send().await.unwrap(),
                "post" => node.post(&path, &json!({})).await,
                "put" => node.put(&path, &json!({})).await,
                "delete" => node.delete(&path).send().await.unwrap(),
                other => panic!("{other} {path}"),
            };
            let status = response.status().as_u16();
            let body = response.text().await.unwrap();
            assert!(status != 405 && !body.contains("there is no route"), "{method} {path}: {body}");
        }
    }
    assert_eq!(paths.len(), 52, "a new route is described, and counted here: {:?}", paths.keys());
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let node = Node::start().await;
    for id in [ID, "5", "6"] {
        node.get(&format!("/v1/documents/{id}")).send().await.unwrap();
    }
    node.get("/anything/else").send().await.unwrap();
    node.post("/v1/query", &json!({"question": "hi", "author": "ada"})).await;
    let text = node.get("/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        r#"twin_gateway_requests_total{method="GET",route="/v1/documents/{id}",status="422"} 2"#,
        r#"twin_gateway_requests_total{method="GET",route="/v1/documents/{id}",status="404"} 1"#,
        r#"twin_gateway_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"twin_gateway_queries_total{kind="answer",outcome="answered"} 1"#,
        "twin_gateway_queries_in_flight 0",
        r#"twin_gateway_documents_total{outcome="created"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
