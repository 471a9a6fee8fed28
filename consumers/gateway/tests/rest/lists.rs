//! Lists, read in parts.

use chrono::Utc;
use serde_json::{Value, json};
use twin_registry::{Metric, NewDataset};
use twin_schemas::{DatasetId, Split, Verdict};

use crate::learning::{document, frozen, member, without_files};
use crate::models::{evaluated, step, trained_on};
use crate::support::{Node, body, problem};

/// The rows of a list, read in parts of `limit`, and the cursors on the way.
async fn parts(node: &Node, path: &str, rows: &str, cursor: &str, limit: usize) -> (Vec<Value>, Vec<String>) {
    let (mut all, mut cursors) = (Vec::new(), Vec::new());
    let separator = if path.contains('?') { '&' } else { '?' };
    let first = format!("{path}{separator}limit={limit}");
    let mut next = first.clone();
    loop {
        let part = node.read(&next).await;
        let listed = part[rows].as_array().unwrap_or_else(|| panic!("{next}: {part}"));
        all.extend(listed.iter().cloned());
        let Some(text) = part["next"].as_str() else { return (all, cursors) };
        assert_eq!(listed.len(), limit, "only the last part is shorter");
        next = format!("{first}&{cursor}={text}");
        cursors.push(text.to_owned());
    }
}

/// Reads a list of `count` rows in parts and as a whole, and gives one of its cursors.
async fn check(node: &Node, path: &str, rows: &str, cursor: &str, count: usize) -> String {
    let (whole, none) = parts(node, path, rows, cursor, 1_000).await;
    assert_eq!((whole.len(), none.len()), (count, 0), "{path}");
    let (in_parts, mut cursors) = parts(node, path, rows, cursor, 2).await;
    assert_eq!(in_parts, whole, "{path}");
    assert_eq!(cursors.len(), (count - 1) / 2, "{path}");
    cursors.remove(0)
}

#[tokio::test]
async fn what_was_collected_is_listed_in_parts_to_the_end() {
    let node = Node::start().await;
    for number in 0..6 {
        let author = if number < 4 { "ada" } else { "bob" };
        let push = json!({"author": author, "category": "post", "natural_key": number.to_string(), "text": "hello"});
        body(node.post("/v1/documents", &push).await, 201).await;
        let source = json!({"author": format!("author-{number}"), "location": "https://example.org/feed"});
        body(node.post("/v1/sources", &source).await, 201).await;
    }
    // One of ada is there from the start.
    let of_documents = check(&node, "/v1/documents", "documents", "before", 7).await;
    check(&node, "/v1/documents?author=ada", "documents", "before", 5).await;
    let of_sources = check(&node, "/v1/sources", "sources", "after", 6).await;
    let of_models = check(&node, "/v1/models", "data", "after", 8).await;
    let status = node.read("/v1/status").await;
    assert_eq!((status["sources"].as_array().unwrap().len(), &status["sources_next"]), (6, &Value::Null));

    for (path, cursor) in [
        (format!("/v1/documents?before={of_sources}"), "before"),
        (format!("/v1/sources?after={of_models}"), "after"),
        (format!("/v1/jobs?before={of_documents}"), "before"),
    ] {
        let refused = problem(node.get(&path).send().await.unwrap(), 422).await;
        assert_eq!(refused["errors"][0]["field"], cursor, "a cursor of another list: {refused}");
    }
}

#[tokio::test]
async fn what_was_learned_is_listed_in_parts_to_the_end() {
    let node = Node::start().await;
    let mut last = None;
    for rank in 1..=5 {
        let model = evaluated(&node, rank, Verdict::Passed).await;
        body(step(&node, &model, "approve").await, 202).await;
        last = Some(model);
    }
    for digit in ["b", "c", "d", "e"] {
        frozen(&node, "ada", digit, 12).await;
    }
    let of_datasets = check(&node, "/v1/datasets", "datasets", "before", 5).await;
    check(&node, "/v1/datasets?author=ada", "datasets", "before", 5).await;
    let of_jobs = check(&node, "/v1/jobs", "jobs", "before", 5).await;
    check(&node, "/v1/jobs?author=ada&state=succeeded", "jobs", "before", 5).await;
    check(&node, "/v1/model-versions", "model_versions", "before", 5).await;
    check(&node, "/v1/authors/ada/deployments", "deployments", "before", 5).await;

    let model = node.read(&format!("/v1/model-versions/{}", last.unwrap())).await;
    let job = node.registry.job(model["model"]["job"].as_str().unwrap()).await.unwrap().unwrap().job;
    let metric = |name: &str, step| Metric { name: name.to_owned(), step, value: 1.0 };
    let metrics = (1..=5).flat_map(|step| [metric("loss", step), metric("evaluation_loss", step)]).collect();
    node.registry.add_metrics(&job, metrics).await.unwrap();
    check(&node, &format!("/v1/jobs/{}/metrics", job.short()), "metrics", "after", 10).await;

    let members = (1..=5).map(|number| member(document(number), 1, Split::Train)).collect();
    let five = NewDataset { members, dataset: DatasetId("f".repeat(64)), ..without_files() };
    node.registry.add_dataset(five, Utc::now()).await.unwrap();
    let taught = trained_on(&node, "ff").await;
    check(&node, &format!("/v1/model-versions/{taught}/lineage"), "documents", "after", 5).await;
    let lineage = node.read(&format!("/v1/model-versions/{taught}/lineage?limit=1")).await;
    assert_eq!((&lineage["model"]["model"], &lineage["dataset"]["documents"]), (&json!(taught), &json!(5)));
    let elsewhere = format!("/v1/model-versions/{taught}/lineage?after={of_datasets}");
    let refused = problem(node.get(&elsewhere).send().await.unwrap(), 422).await;
    assert_eq!(refused["errors"][0]["field"], "after", "a cursor of another list: {refused}");

    let refused = node.get(&format!("/v1/jobs?before={of_datasets}")).send().await.unwrap();
    assert_eq!(problem(refused, 422).await["errors"][0]["field"], "before", "a cursor of another list");
    // A job that comes meanwhile is in no later part.
    let job = json!({"dataset": "e".repeat(64), "recipe": format!("rank = {}", Utc::now().timestamp())});
    let queued = body(node.post("/v1/jobs", &job).await, 202).await;
    let rest = node.read(&format!("/v1/jobs?before={of_jobs}")).await["jobs"].clone();
    assert_eq!(rest.as_array().unwrap().len(), 3);
    assert!(rest.as_array().unwrap().iter().all(|job| job["job"] != queued["job"]));
}
