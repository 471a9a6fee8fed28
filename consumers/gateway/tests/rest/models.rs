//! Model versions, their evaluations, and what is decided about them.

use chrono::Utc;
use serde_json::{Value, json};
use twin_artifacts::FolderFile;
use twin_registry::{EvaluationOutcome, JobOutcome, Member, ModelManifest, NewDataset, NewModel};
use twin_schemas::{DatasetId, DocumentId, JobId, ModelId, Split, Verdict};

use crate::learning::{document, frozen, member, without_files};
use crate::support::{Node, body, problem, rank};

/// What stands for weights: more than a block of the artifact store.
fn weights() -> Vec<u8> {
    (0..700_001_u32).map(|at| (at % 251) as u8).collect()
}

/// The files of a model, stored; the name of its manifest.
async fn stored_files(node: &Node, job: &JobId) -> String {
    let put = async |path: &str, content: Vec<u8>| {
        let bytes = content.len() as u64;
        FolderFile { path: path.to_owned(), artifact: node.artifacts.put(content).await.unwrap(), bytes }
    };
    let manifest = ModelManifest {
        author: "ada".parse().unwrap(),
        job: job.clone(),
        dataset: DatasetId("a".repeat(64)),
        base: "base".to_owned(),
        recipe: "{}".to_owned(),
        code_version: "1.2.3".to_owned(),
        steps: 4,
        evaluation_loss: None,
        seconds: 1.0,
        plan: None,
        merged: Some(vec![put("model.safetensors", weights()).await]),
        adapter: vec![put("adapter_model.safetensors", b"adapter".to_vec()).await],
        curves: vec![put("loss.svg", b"<svg/>".to_vec()).await],
        folds: Vec::new(),
    };
    node.artifacts.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap()
}

/// A model version of `ada`, trained with that rank on the dataset `aaa…`.
async fn trained(node: &Node, rank: u32) -> ModelId {
    if node.registry.dataset("aa").await.unwrap().is_none() {
        frozen(node, "ada", "a", 12).await;
    }
    trained_by(node, &json!({"dataset": "aa", "recipe": format!("rank = {rank}")})).await
}

/// A model version that was trained on a dataset version that is there.
pub async fn trained_on(node: &Node, dataset: &str) -> ModelId {
    trained_by(node, &json!({"dataset": dataset, "recipe": "rank = 2"})).await
}

async fn trained_by(node: &Node, job: &Value) -> ModelId {
    let queued = body(node.post("/v1/jobs", job).await, 202).await;
    let job = JobId(queued["job"].as_str().unwrap().to_owned());
    assert_eq!(node.registry.start_job(&job, Utc::now()).await.unwrap(), Some(1));
    let manifest = stored_files(node, &job).await;
    let outcome = JobOutcome::Succeeded(Some(NewModel { manifest }));
    node.registry.finish_job(&job, 1, outcome, Utc::now()).await.unwrap().unwrap()
}

/// A model version that was evaluated with that verdict.
pub async fn evaluated(node: &Node, rank: u32, verdict: Verdict) -> String {
    let model = trained(node, rank).await;
    body(node.post(&format!("/v1/model-versions/{model}/evaluate"), &json!({})).await, 202).await;
    node.registry.start_evaluation(&model, Utc::now()).await.unwrap();
    let report = json!({"verdict": verdict}).to_string().into_bytes();
    let report = node.artifacts.put(report).await.unwrap();
    let page = node.artifacts.put(b"<!doctype html><title>report</title>".to_vec()).await.unwrap();
    let outcome = EvaluationOutcome { verdict, grounded: false, report, page };
    node.registry.finish_evaluation(&model, 1, outcome, Utc::now()).await.unwrap();
    model.0
}

/// A decision about it by Grace.
pub async fn step(node: &Node, model: &str, action: &str) -> reqwest::Response {
    node.post(&format!("/v1/model-versions/{model}/{action}"), &json!({"by": "Grace", "why": "it is good"})).await
}

async fn why_refused(response: reqwest::Response) -> String {
    let refused = problem(response, 409).await;
    assert_eq!(refused["code"], "refused");
    refused["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_version_is_shown_with_its_evaluation_and_the_decisions_about_it() {
    let node = Node::start().await;
    let model = trained(&node, 4).await;
    let path = format!("/v1/model-versions/{model}");
    let fresh = node.read(&path).await;
    assert_eq!((fresh["model"]["state"].as_str(), &fresh["evaluation"]), (Some("trained"), &Value::Null));
    let second = evaluated(&node, 8, Verdict::Passed).await;
    body(step(&node, &second, "approve").await, 202).await;
    let shown = node.read(&format!("/v1/model-versions/{second}")).await;
    assert_eq!((shown["model"]["state"].as_str(), &shown["model"]["in_production"]), (Some("approved"), &json!(true)));
    assert_eq!(
        (shown["evaluation"]["state"].as_str(), shown["model"]["verdict"].as_str()),
        (Some("done"), Some("passed"))
    );
    let actions: Vec<_> = shown["decisions"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["deploy", "approve"]);
    assert_eq!(shown["decisions"][1]["decided_by"], "Grace");
    let listed = node.read("/v1/model-versions?author=ada").await;
    let names: Vec<_> = listed["model_versions"].as_array().unwrap().iter().map(|row| row["model"].clone()).collect();
    assert_eq!(names, ["ada-v2", "ada-v1"]);
    assert_eq!(node.read("/v1/model-versions?limit=1").await["model_versions"].as_array().unwrap().len(), 1);
    assert_eq!(node.read("/v1/model-versions?author=bob").await["model_versions"], json!([]));
}

#[tokio::test]
async fn the_files_of_a_model_are_listed_and_each_is_read_as_it_was_stored() {
    let node = Node::start().await;
    let path = format!("/v1/model-versions/{}/files", trained(&node, 4).await);
    let listed = node.read(&path).await;
    let files = listed["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["adapter/adapter_model.safetensors", "merged/model.safetensors", "loss.svg", "manifest.json"]);
    for file in files {
        let response = node.get(&format!("{path}/{}", file["path"].as_str().unwrap())).send().await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        let headers = response.headers().clone();
        assert_eq!(headers["content-length"], file["bytes"].to_string().as_str(), "{file}");
        assert_eq!(headers["etag"], format!("\"{}\"", file["sha256"].as_str().unwrap()).as_str());
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let content = response.bytes().await.unwrap();
        let stored = node.artifacts.put(content.to_vec()).await.unwrap();
        assert_eq!(stored, format!("sha256:{}", file["sha256"].as_str().unwrap()), "{file}");
    }
    let merged = node.get(&format!("{path}/merged/model.safetensors")).send().await.unwrap();
    assert!(merged.bytes().await.unwrap() == weights(), "the weights are what was stored");
    let manifest = node.read(&format!("{path}/manifest.json")).await;
    assert_eq!((&manifest["steps"], manifest["merged"][0]["path"].as_str()), (&json!(4), Some("model.safetensors")));
}

#[tokio::test]
async fn no_path_leads_out_of_a_models_files() {
    let node = Node::start().await;
    let path = format!("/v1/model-versions/{}/files", trained(&node, 4).await);
    let artifact = node.read(&path).await["files"][0]["sha256"].as_str().unwrap().to_owned();
    let plain = ["merged", "merged/", "MERGED/model.safetensors", "model.safetensors", "merged//model.safetensors"];
    let hostile = ["..%2F..%2F..%2Fetc%2Fpasswd", "merged%2F..%2F..%2Ftwin.db", "%2Fetc%2Fpasswd", "%2e%2e/twin.db"];
    let stored = [format!("sha256:{artifact}"), format!("{}/{artifact}", &artifact[..2])];
    for wrong in plain.into_iter().chain(hostile).map(str::to_owned).chain(stored) {
        let response = node.get(&format!("{path}/{wrong}")).send().await.unwrap();
        problem(response, 404).await;
    }
}

#[tokio::test]
async fn a_file_whose_artifact_is_damaged_ends_before_its_length() {
    let node = Node::start().await;
    let path = format!("/v1/model-versions/{}/files", trained(&node, 4).await);
    let file = node.read(&path).await["files"][1].clone();
    node.damage(file["sha256"].as_str().unwrap());
    let response = node.get(&format!("{path}/{}", file["path"].as_str().unwrap())).send().await.unwrap();
    assert_eq!((response.status(), response.content_length()), (reqwest::StatusCode::OK, file["bytes"].as_u64()));
    assert!(response.bytes().await.is_err(), "it must not look whole");
}

#[tokio::test]
async fn lineage_leads_from_a_model_to_its_documents_and_back() {
    let node = Node::start().await;
    let model = trained(&node, 4).await;
    node.registry.mark_deleted(document(2), Utc::now()).await.unwrap();
    let lineage = node.read(&format!("/v1/model-versions/{model}/lineage")).await;
    assert_eq!(rank(&lineage["job"]), 4);
    assert_eq!(lineage["dataset"]["dataset"], "a".repeat(64));
    let documents = lineage["documents"].as_array().unwrap();
    assert_eq!((documents.len(), documents[1]["revision"].as_u64()), (2, Some(4)));
    assert!(documents[0]["deleted_at"].is_null() && documents[1]["deleted_at"].is_string(), "{documents:?}");
    let taught = node.read(&format!("/v1/documents/{}/models", document(2))).await;
    assert_eq!(taught["models"], json!(["ada-v1"]));
    assert_eq!(node.read(&format!("/v1/documents/{}/models", document(9))).await["models"], json!([]));
}

#[tokio::test]
async fn lineage_names_the_documents_that_the_twin_knows_and_says_which_are_deleted() {
    let node = Node::start().await;
    let push = json!({"author": "ada", "category": "post", "natural_key": "posts/2", "text": "hello again",
        "title": "Hello", "url": "https://example.org/2"});
    let pushed = body(node.post("/v1/documents", &push).await, 201).await;
    let id = pushed["document_id"].as_str().unwrap().to_owned();
    let pushed = DocumentId(id.parse().unwrap());
    let members = vec![member(document(1), 1, Split::Train), member(pushed, 1, Split::Train)];
    node.registry.add_dataset(NewDataset { members, ..without_files() }, Utc::now()).await.unwrap();
    let path = format!("/v1/model-versions/{}/lineage", trained(&node, 4).await);
    let taught = async || {
        let lineage = node.read(&path).await;
        let documents = lineage["documents"].as_array().unwrap().clone();
        assert_eq!(documents.len(), 2, "{lineage}");
        documents.into_iter().partition::<Vec<_>, _>(|document| document["document_id"] == id)
    };
    let (known, unknown) = taught().await;
    assert_eq!((&known[0]["title"], &known[0]["natural_key"]), (&json!("Hello"), &json!("posts/2")));
    assert_eq!((&known[0]["url"], &known[0]["deleted"]), (&json!("https://example.org/2"), &json!(false)));
    assert_eq!((&unknown[0]["title"], &unknown[0]["natural_key"]), (&Value::Null, &Value::Null));
    assert!(node.delete(&format!("/v1/documents/{id}")).send().await.unwrap().status().is_success());
    let (known, _) = taught().await;
    assert_eq!((&known[0]["title"], &known[0]["deleted"]), (&json!("Hello"), &json!(true)));
}

#[tokio::test]
async fn lineage_leaves_out_what_was_tested_with_and_says_where_that_is_not_known() {
    let node = Node::start().await;
    let members = vec![member(document(1), 1, Split::Train), member(document(2), 1, Split::Test)];
    node.registry.add_dataset(NewDataset { members, ..without_files() }, Utc::now()).await.unwrap();
    let model = trained(&node, 4).await;
    let lineage = node.read(&format!("/v1/model-versions/{model}/lineage")).await;
    let documents = lineage["documents"].as_array().unwrap();
    assert_eq!((documents.len(), &documents[0]["document_id"]), (1, &json!(document(1))));
    assert_eq!((&lineage["split_known"], &lineage["dataset"]["documents"]), (&json!(true), &json!(2)));
    assert_eq!(node.read(&format!("/v1/documents/{}/models", document(2))).await["models"], json!([]));

    // As an earlier version of the program has noted it. Its manifest is gone.
    let node = Node::start().await;
    let old = |number| Member { placement: None, ..member(document(number), 1, Split::Train) };
    let new = NewDataset { members: vec![old(1), old(2)], ..without_files() };
    node.registry.add_dataset(new, Utc::now()).await.unwrap();
    let model = trained(&node, 4).await;
    let lineage = node.read(&format!("/v1/model-versions/{model}/lineage")).await;
    assert_eq!((lineage["documents"].as_array().unwrap().len(), &lineage["split_known"]), (2, &json!(false)));
}

#[tokio::test]
async fn nothing_is_known_of_a_model_that_is_not_there() {
    let node = Node::start().await;
    for route in ["", "/lineage", "/report", "/report.html", "/files", "/files/manifest.json"] {
        let missing = node.get(&format!("/v1/model-versions/ada-v9{route}")).send().await.unwrap();
        assert!(problem(missing, 404).await["detail"].as_str().unwrap().contains("ada-v9"), "{route}");
    }
    for action in ["approve", "reject", "deploy"] {
        problem(step(&node, "ada-v9", action).await, 404).await;
    }
    problem(node.post("/v1/model-versions/ada-v9/evaluate", &json!({})).await, 404).await;
}

#[tokio::test]
async fn only_a_model_that_passed_is_approved_and_only_an_approved_one_deployed() {
    let node = Node::start().await;
    let raw = trained(&node, 4).await.0;
    assert!(why_refused(step(&node, &raw, "approve").await).await.contains("not evaluated yet"));
    assert!(why_refused(step(&node, &raw, "deploy").await).await.contains("not evaluated yet"));
    let worse = evaluated(&node, 8, Verdict::Failed).await;
    assert!(why_refused(step(&node, &worse, "approve").await).await.contains("did not pass"));
    let better = evaluated(&node, 12, Verdict::Passed).await;
    assert!(why_refused(step(&node, &better, "deploy").await).await.contains("nobody has approved it"));
    let deployment = body(step(&node, &better, "approve").await, 202).await;
    assert_eq!((&deployment["model"], deployment["state"].as_str()), (&json!(better), Some("requested")));
    let again = body(step(&node, &better, "deploy").await, 202).await;
    assert_eq!(again["number"], deployment["number"], "it is in production already");
    assert!(why_refused(step(&node, &better, "reject").await).await.contains("roll back first"));
    let rejected = body(step(&node, &worse, "reject").await, 200).await;
    assert_eq!(rejected["state"], "rejected");
    assert!(why_refused(step(&node, &worse, "approve").await).await.contains("was rejected"));
}

#[tokio::test]
async fn a_rollback_goes_back_to_what_served_before_and_then_to_the_base_model() {
    let node = Node::start().await;
    let by = json!({"by": "Grace", "why": "it repeats itself"});
    let none = node.post("/v1/authors/ada/rollback", &by).await;
    assert!(why_refused(none).await.contains("nothing to go back to"));
    let first = evaluated(&node, 4, Verdict::Passed).await;
    body(step(&node, &first, "approve").await, 202).await;
    let second = evaluated(&node, 8, Verdict::Passed).await;
    body(step(&node, &second, "approve").await, 202).await;
    assert_eq!(body(node.post("/v1/authors/ada/rollback", &by).await, 202).await["model"], json!(first));
    assert!(body(node.post("/v1/authors/ada/rollback", &by).await, 202).await["model"].is_null());
    let shown = node.read("/v1/authors/ada/deployments").await;
    let models: Vec<_> = shown["deployments"].as_array().unwrap().iter().map(|row| row["model"].clone()).collect();
    assert_eq!(models, [Value::Null, json!(first), json!(second), json!(first)]);
    assert!(shown["in_production"].is_null());
    assert_eq!(node.read("/v1/authors/ada/deployments?limit=1").await["deployments"][0]["number"], 4);
    assert_eq!(node.read("/v1/authors/bob/deployments").await["deployments"], json!([]));
}

#[tokio::test]
async fn a_report_is_there_once_its_evaluation_is_done_and_its_page_runs_no_script() {
    let node = Node::start().await;
    let waiting = trained(&node, 4).await;
    let path = format!("/v1/model-versions/{waiting}");
    let missing = problem(node.get(&format!("{path}/report")).send().await.unwrap(), 404).await;
    assert!(missing["detail"].as_str().unwrap().contains("no evaluation was queued"), "{missing}");
    body(node.post(&format!("{path}/evaluate"), &json!({})).await, 202).await;
    let missing = problem(node.get(&format!("{path}/report.html")).send().await.unwrap(), 404).await;
    assert!(missing["detail"].as_str().unwrap().contains("is queued"), "{missing}");

    let model = evaluated(&node, 8, Verdict::Inconclusive).await;
    assert_eq!(node.read(&format!("/v1/model-versions/{model}/report")).await["verdict"], "inconclusive");
    let page = node.get(&format!("/v1/model-versions/{model}/report.html")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn an_evaluation_is_queued_once_and_again_after_it_failed() {
    let node = Node::start().await;
    let model = trained(&node, 4).await;
    let path = format!("/v1/model-versions/{model}/evaluate");
    assert_eq!(body(node.post(&path, &json!({})).await, 202).await["state"], "queued");
    assert!(why_refused(node.post(&path, &json!({})).await).await.contains("is queued"));
    node.registry.start_evaluation(&model, Utc::now()).await.unwrap();
    node.registry.fail_evaluation(&model, 1, "the judge is away", Utc::now()).await.unwrap();
    let failed = problem(node.get(&format!("/v1/model-versions/{model}/report")).send().await.unwrap(), 404).await;
    assert!(failed["detail"].as_str().unwrap().contains("the judge is away"), "{failed}");
    let again = body(node.post(&path, &json!({})).await, 202).await;
    assert_eq!((again["state"].as_str(), again["attempts"].as_u64()), (Some("queued"), Some(1)));
}

#[tokio::test]
async fn a_model_is_not_approved_after_production_has_changed_until_it_is_evaluated_again() {
    let node = Node::start().await;
    let (first, second) = (evaluated(&node, 4, Verdict::Passed).await, evaluated(&node, 8, Verdict::Passed).await);
    body(step(&node, &first, "approve").await, 202).await;
    let why = why_refused(step(&node, &second, "approve").await).await;
    assert!(why.contains("compared with the base model, and ada-v1 answers"), "{why}");
    let path = format!("/v1/model-versions/{second}");
    body(node.post(&format!("{path}/evaluate"), &json!({"by": "Grace"})).await, 202).await;
    let model = ModelId(second.clone());
    let attempt = node.registry.start_evaluation(&model, Utc::now()).await.unwrap().unwrap();
    let (report, page) = ("sha256:r".to_owned(), "sha256:p".to_owned());
    let outcome = EvaluationOutcome { verdict: Verdict::Inconclusive, grounded: false, report, page };
    node.registry.finish_evaluation(&model, attempt, outcome, Utc::now()).await.unwrap();
    let shown = node.read(&path).await;
    assert_eq!((&shown["evaluation"]["against"], &shown["evaluation"]["look"]), (&json!(first), &json!(1)));
    body(step(&node, &second, "approve").await, 202).await;
}

#[tokio::test]
async fn a_verdict_is_asked_for_again_on_more_samples_and_by_another_policy() {
    let node = Node::start().await;
    let model = evaluated(&node, 4, Verdict::Inconclusive).await;
    let path = format!("/v1/model-versions/{model}/evaluate");
    let same = why_refused(node.post(&path, &json!({})).await).await;
    assert!(same.contains("ask for more samples or another policy"), "{same}");
    let wanted = json!({"max_voice": 120, "primary": "bits_per_byte", "guard_rule": "mean", "min_documents": 3});
    assert_eq!(body(node.post(&path, &wanted).await, 202).await["state"], "queued");
    let row = node.registry.evaluation(&ModelId(model.clone())).await.unwrap().unwrap();
    let changes = row.changes;
    assert_eq!((changes.max_voice, changes.primary.as_deref()), (Some(120), Some("bits_per_byte")));
    assert_eq!((changes.guard_rule.as_deref(), changes.min_documents), (Some("mean"), Some(3)));
}
