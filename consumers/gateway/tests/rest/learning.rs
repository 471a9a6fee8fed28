//! Datasets and training jobs.

use std::collections::BTreeMap;

use chrono::Utc;
use serde_json::{Value, json};
use twin_registry::{
    By, DatasetRow, EvaluationOutcome, JobOutcome, JobProgress, JobQueue, Member, Metric, NewDataset, NewModel,
    Placement, SplitRule,
};
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, ModelId, Revision, Split, Verdict};
use twin_training::Recipe;
use uuid::Uuid;

use crate::support::{Node, body, planned, problem, rank};

/// A sample, as far as a store of files knows one.
const LINE: &str = "{\"messages\": []}\n";

/// Two trials.
pub const SWEEP: &str = "search = \"grid\"\ntrials = 4\n[values]\nrank = [4, 8]\n";

/// The document with that number.
pub fn document(number: u128) -> DocumentId {
    DocumentId(Uuid::from_u128(number))
}

/// A document of a dataset version, in that split.
pub fn member(document_id: DocumentId, revision: u64, split: Split) -> Member {
    let rule = SplitRule { seed: 0, train_share: 0.8, validation_share: 0.1 };
    Member { document_id, revision: Revision(revision), passages: 1, placement: Some(Placement { split, rule }) }
}

/// A dataset version of `author` whose id is `digit` 64 times, with a file in two parts, a file in one, and
/// two documents.
pub async fn frozen(node: &Node, author: &str, digit: &str, samples: u64) -> DatasetRow {
    let put = async |text: String| node.artifacts.put(text.into_bytes()).await.unwrap();
    let parts = [put(LINE.repeat(2)).await, put(LINE.to_owned()).await];
    let card = put("# Dataset\n".to_owned()).await;
    let files = json!([
        {"name": "sft/train.jsonl", "parts": parts, "lines": 3, "bytes": 3 * LINE.len()},
        {"name": "README.md", "parts": [card], "lines": 1, "bytes": 10},
    ]);
    let manifest = json!({
        "dataset": digit.repeat(64), "number": 1, "created_at": Utc::now(), "author": author, "build_version": 3,
        "options": {}, "documents": [], "counts": {"train": {"voice": samples}}, "refusals": {}, "files": files,
    });
    let manifest = node.artifacts.put(manifest.to_string().into_bytes()).await.unwrap();
    let new = NewDataset {
        prompts: None,
        dataset: DatasetId(digit.repeat(64)),
        author: author.parse().unwrap(),
        manifest,
        training_samples: samples,
        counts: BTreeMap::from([("voice".to_owned(), samples)]),
        reason: "enough new samples".into(),
        members: vec![member(document(1), 1, Split::Train), member(document(2), 4, Split::Train)],
    };
    node.registry.add_dataset(new, Utc::now()).await.unwrap()
}

/// A dataset version whose id is `a` 64 times and whose manifest is not in the store.
pub fn without_files() -> NewDataset {
    NewDataset {
        prompts: None,
        dataset: DatasetId("a".repeat(64)),
        author: "ada".parse().unwrap(),
        manifest: format!("sha256:{}", "0".repeat(64)),
        training_samples: 1,
        counts: BTreeMap::new(),
        reason: String::new(),
        members: Vec::new(),
    }
}

/// A version of `ada` that serves, trained on the base model of that name.
async fn served(node: &Node, base: &str) -> ModelId {
    let (ada, now) = ("ada".parse::<AuthorId>().unwrap(), Utc::now());
    let queue = JobQueue::new(node.registry.clone(), base, Recipe::default());
    let job = queue.train(&ada, &DatasetId("a".repeat(64)), &Recipe::default()).await.unwrap().job;
    node.registry.start_job(&job, now).await.unwrap();
    let made = JobOutcome::Succeeded(Some(NewModel { manifest: "sha256:m".into() }));
    let model = node.registry.finish_job(&job, 1, made, now).await.unwrap().unwrap();
    node.registry.queue_evaluation(&model, now).await.unwrap();
    node.registry.start_evaluation(&model, now).await.unwrap();
    let (verdict, report, page) = (Verdict::Passed, "sha256:r".to_owned(), "sha256:p".to_owned());
    let outcome = EvaluationOutcome { verdict, grounded: true, report, page };
    node.registry.finish_evaluation(&model, 1, outcome, now).await.unwrap();
    node.registry.approve(&model, By::new("Grace", "", now)).await.unwrap();
    model
}

#[tokio::test]
async fn a_retraining_is_offered_where_the_base_model_has_changed_and_is_taken_once() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let nothing = node.post("/v1/authors/ada/retrain", &json!({})).await;
    assert!(refused(nothing, 409).await.contains("nothing has changed for ada"));
    let model = served(&node, "the base model of before").await;

    let offered = node.read("/v1/authors/ada/learning").await;
    assert_eq!(offered["offer"], json!({"model": model, "changed": ["base"], "version_first": false}));
    let part = &offered["parts"][5];
    assert_eq!((&part["part"], &part["standing"]), (&json!("retraining"), &json!("offered")));
    let taken = body(node.post("/v1/authors/ada/retrain", &json!({"by": "Grace"})).await, 202).await;
    assert_eq!((&taken["offer"], &taken["parts"][5]["standing"]), (&Value::Null, &json!("waits")));
    body(node.post("/v1/authors/ada/retrain", &json!({})).await, 202).await;
    let jobs = node.read("/v1/jobs?author=ada").await;
    assert_eq!((jobs["jobs"].as_array().unwrap().len(), &jobs["jobs"][0]["base"]), (2, &json!("base")));
    let serving = node.read("/v1/authors/ada/deployments").await;
    assert_eq!(serving["deployments"][0]["model"], json!(model), "what serves goes on");
}

#[tokio::test]
async fn without_a_base_model_to_train_nothing_is_offered_and_the_view_says_why() {
    let node = Node::start_without_base().await;
    frozen(&node, "ada", "a", 12).await;
    served(&node, "the base model of before").await;
    let view = node.read("/v1/authors/ada/learning").await;
    assert_eq!((&view["offer"], &view["parts"][5]["standing"]), (&Value::Null, &json!("not_begun")));
    assert!(view["parts"][5]["detail"].as_str().unwrap().contains("there is no base model"), "{view}");
    assert!(refused(node.post("/v1/authors/ada/retrain", &json!({})).await, 409).await.contains("no base model"));
}

async fn refused(response: reqwest::Response, status: u16) -> String {
    problem(response, status).await["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_twin_without_the_learning_loop_says_so_on_each_of_its_routes() {
    let node = Node::start_without_learning().await;
    for path in [
        "/v1/datasets",
        "/v1/datasets/aa",
        "/v1/datasets/aa/diff/bb",
        "/v1/datasets/aa/files/sft/train.jsonl",
        "/v1/datasets/requests/ada",
        "/v1/jobs",
        "/v1/jobs/aa/metrics",
        "/v1/model-versions",
        "/v1/model-versions/ada-v1/report.html",
        "/v1/model-versions/ada-v1/files",
        "/v1/model-versions/ada-v1/files/manifest.json",
        "/v1/authors/ada/deployments",
        "/v1/authors/ada/recipe",
        "/v1/authors/ada/learning",
        &format!("/v1/documents/{}/models", document(1)),
    ] {
        let response = node.get(path).send().await.unwrap();
        assert!(!response.headers().contains_key("retry-after"), "{path} would say the same later");
        assert!(refused(response, 503).await.contains("without the learning loop"), "{path}");
    }
    let response = node.post("/v1/authors/ada/rollback", &json!({"by": "Grace"})).await;
    assert!(refused(response, 503).await.contains("without the learning loop"));
}

#[tokio::test]
async fn datasets_are_listed_newest_first_by_author_and_no_more_than_asked_for() {
    let node = Node::start().await;
    for (author, digit) in [("ada", "a"), ("ada", "b"), ("bob", "c")] {
        frozen(&node, author, digit, 12).await;
    }
    let ids = |list: Value| -> Vec<String> {
        let datasets = list["datasets"].as_array().unwrap().iter();
        datasets.map(|dataset| dataset["dataset"].as_str().unwrap()[..1].to_owned()).collect()
    };
    assert_eq!(ids(node.read("/v1/datasets").await), ["c", "b", "a"]);
    assert_eq!(ids(node.read("/v1/datasets?author=ada").await), ["b", "a"]);
    assert_eq!(ids(node.read("/v1/datasets?author=ada&limit=1").await), ["b"]);
    let second = &node.read("/v1/datasets?author=ada").await["datasets"][0];
    assert_eq!((second["number"].as_u64(), second["parent"].as_str()), (Some(2), Some("a".repeat(64).as_str())));
    assert_eq!(second["counts"], json!({"voice": 12}));
}

#[tokio::test]
async fn a_dataset_is_found_by_the_beginning_of_its_id_and_shown_with_its_manifest() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    node.registry.mark_deleted(document(2), Utc::now()).await.unwrap();
    let shown = node.read("/v1/datasets/aaaa").await;
    assert_eq!(shown["dataset"]["dataset"], "a".repeat(64));
    assert_eq!((&shown["dataset"]["documents"], &shown["dataset"]["deleted_documents"]), (&json!(2), &json!(1)));
    assert_eq!(shown["manifest"]["files"][0]["name"], "sft/train.jsonl");
    let missing = node.get("/v1/datasets/ff").send().await.unwrap();
    assert!(refused(missing, 404).await.contains("\"ff\""));
}

#[tokio::test]
async fn a_file_of_a_dataset_is_read_as_it_was_frozen() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let response = node.get("/v1/datasets/aa/files/sft/train.jsonl").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["content-length"], (3 * LINE.len()).to_string().as_str());
    assert!(response.headers()["etag"].to_str().unwrap().contains("aaaa"));
    assert_eq!(response.text().await.unwrap(), LINE.repeat(3), "the parts one after the other");
    let card = node.get("/v1/datasets/aa/files/README.md").send().await.unwrap();
    assert_eq!(card.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(card.text().await.unwrap(), "# Dataset\n");
    let missing = node.get("/v1/datasets/aa/files/../../../etc/passwd").send().await.unwrap();
    assert_eq!(missing.status(), 404);
    let missing = node.get("/v1/datasets/aa/files/dpo.jsonl").send().await.unwrap();
    assert!(refused(missing, 404).await.contains("only sft/train.jsonl, README.md"));
}

#[tokio::test]
async fn an_artifact_that_is_gone_is_a_fault_of_the_twin_and_not_of_the_client() {
    let node = Node::start().await;
    let new = without_files();
    node.registry.add_dataset(new, Utc::now()).await.unwrap();
    let failed = problem(node.get("/v1/datasets/aa").send().await.unwrap(), 500).await;
    assert_eq!(failed["code"], "internal");
}

#[tokio::test]
async fn a_file_whose_later_part_is_gone_is_not_taken_for_a_whole_one() {
    let node = Node::start().await;
    let first = node.artifacts.put(LINE.as_bytes().to_vec()).await.unwrap();
    let parts = [first, format!("sha256:{}", "0".repeat(64))];
    let manifest = json!({"files": [{"name": "a.jsonl", "parts": parts, "lines": 2, "bytes": 2 * LINE.len()}]});
    let manifest = node.artifacts.put(manifest.to_string().into_bytes()).await.unwrap();
    let new = NewDataset { manifest, ..without_files() };
    node.registry.add_dataset(new, Utc::now()).await.unwrap();
    // The connection may be cut before the head of the response has gone out, or within the body.
    let read = async { node.get("/v1/datasets/aa/files/a.jsonl").send().await?.bytes().await };
    assert!(read.await.is_err(), "the client is told");
}

#[tokio::test]
async fn two_datasets_are_compared_by_the_beginnings_of_their_ids() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    frozen(&node, "ada", "b", 15).await;
    let difference = node.read("/v1/datasets/aa/diff/bb").await;
    assert_eq!(difference["to"], "b".repeat(64));
    assert_eq!(difference["counts"], json!([{"split": "train", "kind": "voice", "before": 12, "after": 15}]));
    problem(node.get("/v1/datasets/aa/diff/cc").send().await.unwrap(), 404).await;
}

#[tokio::test]
async fn a_freeze_is_asked_for_once_and_its_answer_is_shown() {
    let node = Node::start().await;
    problem(node.get("/v1/datasets/requests/ada").send().await.unwrap(), 404).await;
    problem(node.post("/v1/datasets", &json!({"author": "nobody"})).await, 404).await;
    let asked = body(node.post("/v1/datasets", &json!({"author": "ada", "by": "Grace"})).await, 202).await;
    assert_eq!((asked["requested_by"].as_str(), &asked["outcome"]), (Some("Grace"), &Value::Null));
    let again = body(node.post("/v1/datasets", &json!({"author": "ada", "by": "Joan"})).await, 202).await;
    assert_eq!(again, asked, "an open request stays");
    node.registry
        .answer_freeze(&"ada".parse().unwrap(), Ok("nothing is new since version 3"), Utc::now())
        .await
        .unwrap();
    let answered = node.read("/v1/datasets/requests/ada").await;
    assert_eq!(answered["outcome"], "nothing is new since version 3");
    let unnamed = body(node.post("/v1/datasets", &json!({"author": "ada"})).await, 202).await;
    assert_eq!((unnamed["requested_by"].as_str(), &unnamed["outcome"]), (Some("unnamed"), &Value::Null));
}

#[tokio::test]
async fn a_job_is_queued_on_the_newest_dataset_with_the_recipe_given_or_the_configured_one() {
    let node = Node::start().await;
    let none = refused(node.post("/v1/jobs", &json!({"author": "ada"})).await, 409).await;
    assert!(none.contains("POST /v1/datasets"), "{none}");
    frozen(&node, "ada", "a", 12).await;
    frozen(&node, "ada", "b", 12).await;
    let job = body(node.post("/v1/jobs", &json!({"author": "ada"})).await, 202).await;
    assert_eq!((job["state"].as_str(), rank(&job)), (Some("queued"), 16));
    assert_eq!(job["dataset"], "b".repeat(64));
    let again = body(node.post("/v1/jobs", &json!({"author": "ada"})).await, 202).await;
    assert_eq!(again, job, "the same work is the same job");
    let other = body(node.post("/v1/jobs", &json!({"dataset": "aa", "recipe": "rank=4"})).await, 202).await;
    assert_eq!((&other["dataset"], rank(&other)), (&json!("a".repeat(64)), 4));
    assert_eq!(node.read("/v1/jobs?author=ada").await["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_job_that_can_not_be_is_refused_with_the_reason() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let wrong = problem(node.post("/v1/jobs", &json!({"author": "ada", "recipe": "rank = x"})).await, 422).await;
    assert_eq!(wrong["errors"][0]["field"], "recipe");
    let foreign = problem(node.post("/v1/jobs", &json!({"author": "bob", "dataset": "aa"})).await, 422).await;
    assert_eq!(foreign["errors"][0]["field"], "author");
    problem(node.post("/v1/jobs", &json!({"dataset": "ff"})).await, 404).await;
    problem(node.post("/v1/jobs", &json!({"author": "nobody"})).await, 404).await;
    assert_eq!(problem(node.post("/v1/jobs", &json!({})).await, 422).await["errors"][0]["field"], "author");
    let node = Node::start_without_base().await;
    frozen(&node, "ada", "a", 12).await;
    for (path, request) in
        [("/v1/jobs", json!({"author": "ada"})), ("/v1/sweeps", json!({"author": "ada", "sweep": SWEEP}))]
    {
        let none = problem(node.post(path, &request).await, 409).await;
        let says_why = none["detail"].as_str().unwrap().contains("no base model");
        assert_eq!((none["code"].as_str(), says_why), (Some("refused"), true), "{path}");
    }
}

#[tokio::test]
async fn a_sweep_queues_its_trials_and_names_a_text_that_is_none() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let trials = body(node.post("/v1/sweeps", &json!({"author": "ada", "sweep": SWEEP})).await, 202).await;
    let ranks: Vec<_> = trials["jobs"].as_array().unwrap().iter().map(rank).collect();
    assert_eq!(ranks, [4, 8]);
    assert!(trials["jobs"][0]["sweep"].is_string() && trials["jobs"][0]["sweep"] == trials["jobs"][1]["sweep"]);
    let wrong = problem(node.post("/v1/sweeps", &json!({"author": "ada", "sweep": "rank = 4"})).await, 422).await;
    assert_eq!(wrong["errors"][0]["field"], "sweep");
}

#[tokio::test]
async fn a_job_is_followed_cancelled_and_tried_again() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let queued = body(node.post("/v1/jobs", &json!({"author": "ada"})).await, 202).await;
    let id = JobId(queued["job"].as_str().unwrap().to_owned());
    let path = format!("/v1/jobs/{}", id.short());
    assert!(node.read(&path).await["progress"].is_null());
    let early = refused(node.post(&format!("{path}/retry"), &json!({})).await, 409).await;
    assert!(early.contains("nothing to try again"), "{early}");

    assert_eq!(node.registry.start_job(&id, Utc::now()).await.unwrap(), Some(1));
    let starting = node.read("/v1/jobs").await["jobs"][0].clone();
    assert_eq!((starting["state"].as_str(), &starting["pending"]), (Some("running"), &json!(true)));
    let plan = Some(planned(&Recipe::default()));
    let progress =
        JobProgress { step: 30, steps: 120, loss: Some(1.5), eta_s: Some(60.0), plan, ..JobProgress::default() };
    node.registry.note_job_progress(&id, 1, progress).await.unwrap();
    let running = node.read(&path).await;
    assert_eq!((running["state"].as_str(), &running["progress"]["step"]), (Some("running"), &json!(30)));
    assert_eq!(running["pending"], false);
    assert_eq!(running["plan"]["samples"], json!({"grounded": {"read": 2, "too_long": 1, "unseen": 1}}));
    assert_eq!(node.read("/v1/jobs?state=running").await["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(node.read("/v1/jobs?state=queued").await["jobs"], json!([]));

    let stopping = body(node.post(&format!("{path}/cancel"), &json!({"by": "Grace"})).await, 202).await;
    assert_eq!(
        (&stopping["cancel_requested"], stopping["reason"].as_str()),
        (&json!(true), Some("cancelled by Grace"))
    );
    node.registry.finish_job(&id, 1, JobOutcome::Cancelled("cancelled by Grace".into()), Utc::now()).await.unwrap();
    let late = refused(node.post(&format!("{path}/cancel"), &json!({})).await, 409).await;
    assert!(late.contains("has ended already"), "{late}");
    let again = body(node.post(&format!("{path}/retry"), &json!({})).await, 202).await;
    assert_eq!((again["state"].as_str(), &again["cancel_requested"]), (Some("queued"), &json!(false)));
    let bare = node.raw(&format!("{path}/cancel"), "text/plain", "").send().await.unwrap();
    assert_eq!(body(bare, 202).await["reason"], "cancelled by unnamed", "the body may be left away");
    for route in ["", "/metrics"] {
        problem(node.get(&format!("/v1/jobs/ff{route}")).send().await.unwrap(), 404).await;
    }
    problem(node.post("/v1/jobs/ff/cancel", &json!({})).await, 404).await;
    problem(node.post("/v1/jobs/ff/retry", &json!({})).await, 404).await;
}

#[tokio::test]
async fn what_a_run_measured_is_shown_by_name_and_step() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let queued = body(node.post("/v1/jobs", &json!({"author": "ada"})).await, 202).await;
    let id = JobId(queued["job"].as_str().unwrap().to_owned());
    let metric = |name: &str, step, value| Metric { name: name.into(), step, value };
    let metrics = vec![metric("loss", 2, 1.5), metric("loss", 1, 2.0), metric("evaluation_loss", 2, 1.75)];
    node.registry.add_metrics(&id, metrics).await.unwrap();
    let shown = node.read(&format!("/v1/jobs/{}/metrics", id.short())).await;
    assert_eq!(shown["job"], id.0);
    let expected = json!([
        {"name": "evaluation_loss", "step": 2, "value": 1.75},
        {"name": "loss", "step": 1, "value": 2.0},
        {"name": "loss", "step": 2, "value": 1.5},
    ]);
    assert_eq!(shown["metrics"], expected);
}

#[tokio::test]
async fn a_recipe_is_set_in_its_canonical_form_and_shown() {
    let node = Node::start().await;
    problem(node.get("/v1/authors/ada/recipe").send().await.unwrap(), 404).await;
    let wrong = problem(node.put("/v1/authors/ada/recipe", &json!({"recipe": "depth = 3"})).await, 422).await;
    assert_eq!(wrong["errors"][0]["field"], "recipe");
    problem(node.put("/v1/authors/nobody/recipe", &json!({"recipe": "rank = 8"})).await, 404).await;
    let set = body(node.put("/v1/authors/ada/recipe", &json!({"recipe": " rank=8 ", "by": "Grace"})).await, 200).await;
    assert_eq!((rank(&set), set["origin"].as_str()), (8, Some("set by Grace")));
    let again = body(node.put("/v1/authors/ada/recipe", &json!({"recipe": set["recipe"]})).await, 200).await;
    assert_eq!(again["recipe"], set["recipe"], "what was shown can be given back");
    let shown = node.read("/v1/authors/ada/recipe").await;
    assert_eq!((&shown["recipe"], &shown["origin"]), (&again["recipe"], &json!("set by unnamed")));
}

#[tokio::test]
async fn what_a_job_would_be_is_told_and_nothing_is_queued() {
    let node = Node::start().await;
    frozen(&node, "ada", "a", 12).await;
    let told = body(node.post("/v1/jobs/plan", &json!({"dataset": "aa", "recipe": "rank = 4"})).await, 200).await;
    assert_eq!((rank(&told["plan"]), &told["author"], &told["seconds"]), (4, &json!("ada"), &json!(60.0)));
    assert_eq!(told["plan"]["samples"]["grounded"], json!({"read": 2, "too_long": 1, "unseen": 1}));
    assert_eq!(told["folds"], json!({"folds": 5, "steps": 20, "tokens": 5_120, "seconds": 50.0}));
    assert_eq!(node.read("/v1/jobs").await["jobs"], json!([]));
    problem(node.post("/v1/jobs/plan", &json!({"dataset": "aa", "recipe": "rank = 0"})).await, 422).await;
    let without = Node::start_without_base().await;
    frozen(&without, "ada", "a", 12).await;
    let refused = refused(without.post("/v1/jobs/plan", &json!({"author": "ada", "recipe": ""})).await, 409).await;
    assert!(refused.contains("no base model"), "{refused}");
}
