//! What sources are registered with, what is looked at before, and what is uploaded to them.

use serde_json::{Value, json};
use twin_gateway::Options;
use twin_schemas::SourceId;
use twin_warehouse::Secret;

use crate::support::{Node, body, problem};

const SECRET: &str = "s3cr3t-0f-ada";

fn feed(location: &str, more: Value) -> Value {
    let mut feed = json!({"author": "ada", "location": location});
    for (name, value) in more.as_object().unwrap() {
        feed[name] = value.clone();
    }
    feed
}

fn id(source: &Value) -> SourceId {
    source["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_secret_is_stored_for_the_crawler_and_shown_in_no_answer() {
    let node = Node::start().await;
    let location = "https://example.org/private";
    let with_secret = json!({"settings": {"user": "ada"}, "secrets": {"token": SECRET}});
    let source = body(node.post("/v1/sources", &feed(location, with_secret)).await, 201).await;
    assert_eq!((&source["settings"], &source["secrets"]), (&json!({"user": "ada"}), &json!(["token"])));
    let path = format!("/v1/sources/{}", source["id"].as_str().unwrap());
    for shown in [source.clone(), node.read(&path).await, node.read("/v1/sources").await, node.read("/v1/status").await]
    {
        assert!(!shown.to_string().contains(SECRET), "{shown}");
    }
    let stored = || async { node.warehouse.secrets(id(&source)).await.unwrap() };
    assert_eq!(stored().await.get("token").map(Secret::expose), Some(SECRET));

    // Registered again without secrets it keeps them; with none it loses them; removed, they are forgotten.
    let again = body(node.post("/v1/sources", &feed(location, json!({"interval_s": 60}))).await, 200).await;
    assert_eq!((&again["secrets"], &again["settings"]), (&json!(["token"]), &json!({})));
    let without = body(node.post("/v1/sources", &feed(location, json!({"secrets": {}}))).await, 200).await;
    assert_eq!((&without["secrets"], stored().await.is_empty()), (&json!([]), true));
    let back = json!({"secrets": {"token": SECRET}});
    body(node.post("/v1/sources", &feed(location, back)).await, 200).await;
    body(node.delete(&path).send().await.unwrap(), 200).await;
    assert!(stored().await.is_empty());
}

#[tokio::test]
async fn a_wrong_setting_or_secret_is_named_and_no_secret_is_in_the_problem() {
    let node = Node::start().await;
    for (more, field) in [
        (json!({"settings": {"usr": "ada"}, "secrets": {"token": SECRET}}), "settings.usr"),
        (json!({"secrets": {"cookie": SECRET}}), "secrets.cookie"),
        (json!({"secrets": {"token": [SECRET]}}), "secrets.token"),
        (json!({"secrets": SECRET}), "secrets"),
        (json!({"settings": [SECRET]}), "settings"),
        (json!({"secrets": {"token": 471147}}), "secrets.token"),
        (json!({"unchecked": "yes"}), "unchecked"),
    ] {
        let wrong = problem(node.post("/v1/sources", &feed("https://example.org/feed", more.clone())).await, 422).await;
        assert_eq!(wrong["errors"][0]["field"], field, "{more}: {wrong}");
        let text = wrong.to_string();
        assert!(!text.contains("471147") && !text.contains(SECRET), "{text}");
    }
    assert_eq!(node.read("/v1/sources").await["sources"], json!([]));
}

#[tokio::test]
async fn the_feed_that_a_page_names_is_registered_and_what_can_not_be_read_is_refused_unless_unchecked() {
    let node = Node::start().await;
    let source = body(node.post("/v1/sources", &feed("https://blog.example", json!({}))).await, 201).await;
    assert_eq!(source["location"], "https://blog.example/feed");
    body(node.post("/v1/sources", &feed("https://blog.example", json!({}))).await, 200).await;

    let refused = problem(node.post("/v1/sources", &feed("https://away.example/feed", json!({}))).await, 422).await;
    assert_eq!(refused["errors"][0]["field"], "location");
    assert!(refused["detail"].as_str().unwrap().contains("away"), "{refused}");
    let busy = node.post("/v1/sources", &feed("https://busy.example/feed", json!({}))).await;
    assert_eq!(busy.headers()["retry-after"], "120");
    let busy = problem(busy, 503).await;
    assert!(busy["detail"].as_str().unwrap().contains("unchecked"), "{busy}");
    let unchecked = feed("https://away.example/feed", json!({"unchecked": true}));
    let source = body(node.post("/v1/sources", &unchecked).await, 201).await;
    assert_eq!(source["location"], "https://away.example/feed");
    // One that is there is not asked again: its server may be away just now.
    body(node.post("/v1/sources", &feed("https://away.example/feed", json!({"interval_s": 60}))).await, 200).await;
}

async fn upload(node: &Node, source: &Value, name: &str, content: &str) -> reqwest::Response {
    let path = format!("/v1/sources/{}/files?name={name}", source["id"].as_str().unwrap());
    node.raw(&path, "application/octet-stream", content.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn files_are_uploaded_replaced_listed_and_removed() {
    let node = Node::start().await;
    let uploads = json!({"author": "ada", "kind": "files", "location": "files:notes"});
    let source = body(node.post("/v1/sources", &uploads).await, 201).await;
    let path = format!("/v1/sources/{}/files", source["id"].as_str().unwrap());
    let stored = body(upload(&node, &source, "a.md", "# A").await, 201).await;
    assert_eq!((stored["name"].as_str(), stored["bytes"].as_u64()), (Some("a.md"), Some(3)));
    body(upload(&node, &source, "a.md", "# A, edited").await, 200).await;
    body(upload(&node, &source, "b.md", "# B").await, 201).await;
    let listed = node.read(&path).await;
    let names: Vec<_> = listed["files"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, ["a.md", "b.md"]);
    let rows = node.warehouse.files(id(&source), None, 9).await.unwrap().items;
    assert_eq!(node.artifacts.get(&rows[0].artifact).await.unwrap(), b"# A, edited");
    let due = node.warehouse.due_sources(chrono::Utc::now(), 10).await.unwrap();
    assert_eq!(due, [id(&source)]);

    body(node.delete(&format!("{path}/a.md")).send().await.unwrap(), 200).await;
    problem(node.delete(&format!("{path}/a.md")).send().await.unwrap(), 404).await;
    node.warehouse.begin_removal(id(&source)).await.unwrap().unwrap();
    let refused = problem(upload(&node, &source, "c.md", "# C").await, 409).await;
    assert!(refused["detail"].as_str().unwrap().contains("is being removed"), "{refused}");
    body(node.delete(&format!("/v1/sources/{}", source["id"].as_str().unwrap())).send().await.unwrap(), 200).await;
    assert!(node.warehouse.files(id(&source), None, 9).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn an_upload_that_is_too_large_empty_of_another_kind_or_to_no_source_leaves_nothing() {
    let node = Node::start_with(Options { max_upload_bytes: 10, ..Options::default() }).await;
    let uploads = json!({"author": "ada", "kind": "files", "location": "files:notes"});
    let source = body(node.post("/v1/sources", &uploads).await, 201).await;
    let too_large = problem(upload(&node, &source, "a.md", "more than ten").await, 413).await;
    assert!(too_large["detail"].as_str().unwrap().contains("gateway.max_upload_bytes"), "{too_large}");
    problem(upload(&node, &source, "a.md", "").await, 422).await;
    assert_eq!(problem(upload(&node, &source, "a.exe", "x").await, 422).await["errors"][0]["field"], "name");
    let folder = body(node.post("/v1/sources", &json!({"author": "ada", "location": "/notes"})).await, 201).await;
    assert_eq!(problem(upload(&node, &folder, "a.md", "x").await, 422).await["errors"][0]["field"], "name");
    let nobody = json!({"id": "00000000-0000-0000-0000-000000000000"});
    problem(upload(&node, &nobody, "a.md", "x").await, 404).await;
    assert!(node.warehouse.files(id(&source), None, 9).await.unwrap().items.is_empty());
    assert_eq!(node.uploads_left(), 0);
}

#[tokio::test]
async fn a_source_takes_so_many_uploads_and_no_more_and_they_are_listed_in_parts() {
    let node = Node::start_with(Options { max_uploads_per_source: 2, ..Options::default() }).await;
    let uploads = json!({"author": "ada", "kind": "files", "location": "files:notes"});
    let source = body(node.post("/v1/sources", &uploads).await, 201).await;
    for name in ["a.md", "b.md"] {
        body(upload(&node, &source, name, "# A").await, 201).await;
    }
    let refused = problem(upload(&node, &source, "c.md", "# C").await, 422).await;
    assert_eq!(refused["errors"][0]["field"], "name");
    assert!(refused["detail"].as_str().unwrap().contains("gateway.max_uploads_per_source"), "{refused}");
    body(upload(&node, &source, "b.md", "# B, edited").await, 200).await;

    let path = format!("/v1/sources/{}/files", source["id"].as_str().unwrap());
    let first = node.read(&format!("{path}?limit=1")).await;
    assert_eq!((first["files"].as_array().unwrap().len(), &first["files"][0]["name"]), (1, &json!("a.md")));
    let second = node.read(&format!("{path}?limit=1&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&second["files"][0]["name"], &second["next"]), (&json!("b.md"), &Value::Null));
    let wrong = problem(node.get(&format!("{path}?after=b.md")).send().await.unwrap(), 422).await;
    assert_eq!(wrong["errors"][0]["field"], "after");
}
