//! The REST API is strict about what it reads, and tells of each document what became of it.

#[path = "api/wrong.rs"]
mod wrong;

use std::sync::Arc;

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use twin_stack::TwinProcess;
use twin_tests::{Answer, Api, Shared, TOPICS, author, note, start};

use wrong::{Wrong, wrong_bodies, wrong_parameters};

const MAX_BODY_BYTES: usize = 1 << 20;
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn twin() -> Result<Arc<TwinProcess>> {
    static TWIN: Shared<TwinProcess> = Shared::new();
    let limit = MAX_BODY_BYTES.to_string();
    TWIN.get(|| start(&[("TWIN_GATEWAY_MAX_BODY_BYTES", &limit), ("TWIN_GATEWAY_MAX_LINE_BYTES", "65536")]))
}

fn api() -> Result<Api> {
    Api::new(twin()?.base_url())
}

/// Whether an answer is a problem (RFC 9457) of this status.
fn assert_problem(answer: &Answer, status: StatusCode, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.json);
    assert_problem_of_its_status(answer, what);
}

fn assert_problem_of_its_status(answer: &Answer, what: &str) {
    assert_eq!(answer.content_type, "application/problem+json", "{what}: {}", answer.json);
    assert_eq!(answer.json["status"], answer.status.as_u16(), "{what}: {}", answer.json);
    assert!(answer.json["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {}", answer.json);
}

/// Sends something wrong and says what is not as it should be about the answer.
async fn complaint(api: &Api, wrong: &Wrong, request: RequestBuilder) -> Result<Option<String>> {
    let answer = api.send(request).await?;
    let what = format!("{} {} with {} = {}", wrong.method, wrong.path, wrong.field, wrong.value);
    if !answer.status.is_client_error() || answer.content_type != "application/problem+json" {
        return Ok(Some(format!("{what}: {} {} {}", answer.status, answer.content_type, answer.json)));
    }
    let errors = answer.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_named = errors.iter().any(|error| error["field"] == wrong.field);
    Ok((!is_named).then(|| format!("{what}: the field is not named: {}", answer.json)))
}

#[tokio::test]
async fn every_field_of_every_body_is_refused_by_name_when_its_type_is_wrong() -> Result<()> {
    let api = api()?;
    let document = api.get("/v1/openapi.json").await?;
    let wrongs = wrong_bodies(&document)?;
    let mut complaints = Vec::new();
    for wrong in &wrongs {
        let request = api.request(wrong.method.clone(), &wrong.path).json(&wrong.body);
        complaints.extend(complaint(&api, wrong, request).await?);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // What stands in the address in place of an id does not matter.
    let route = |wrong: &Wrong| wrong.path.replace("00000000-0000-0000-0000-000000000001", "ID");
    let paths: std::collections::BTreeSet<String> = wrongs.iter().map(route).collect();
    let expected = [
        "/v1/authors/ada/recipe",
        "/v1/authors/ada/retrain",
        "/v1/authors/ada/rollback",
        "/v1/chat/completions",
        "/v1/datasets",
        "/v1/documents",
        "/v1/embeddings",
        "/v1/jobs",
        "/v1/jobs/ID/cancel",
        "/v1/jobs/plan",
        "/v1/model-versions/ID/approve",
        "/v1/model-versions/ID/deploy",
        "/v1/model-versions/ID/evaluate",
        "/v1/model-versions/ID/reject",
        "/v1/query",
        "/v1/retrieve",
        "/v1/sources",
        "/v1/sweeps",
        "/v1/write",
    ];
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected, "a route with a body is not in the table");
    assert!(wrongs.iter().any(|wrong| wrong.field == "messages[0].role"), "nested fields are not in the table");
    Ok(())
}

#[tokio::test]
async fn every_parameter_is_refused_by_name_when_its_type_is_wrong_or_it_is_unknown() -> Result<()> {
    let api = api()?;
    let wrongs = wrong_parameters(&api.get("/v1/openapi.json").await?)?;
    let mut complaints = Vec::new();
    for wrong in &wrongs {
        let request = api.request(wrong.method.clone(), &wrong.path);
        complaints.extend(complaint(&api, wrong, request).await?);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for field in ["limit", "author", "id", "documents", "before", "after", "unheard_of"] {
        assert!(wrongs.iter().any(|wrong| wrong.field == field), "{field} is not in the table");
    }
    Ok(())
}

#[tokio::test]
async fn an_address_a_method_a_content_type_or_a_size_that_is_not_served_is_a_problem() -> Result<()> {
    let api = api()?;
    let get = |path: &str| api.request(Method::GET, path);
    let answer = api.send(get("/v1/nothing")).await?;
    assert_problem(&answer, StatusCode::NOT_FOUND, "an unknown route");
    let answer = api.send(api.request(Method::PUT, "/v1/query")).await?;
    assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED, "an unknown method");
    for path in ["documents", "sources", "dlq"] {
        let answer = api.send(get(&format!("/v1/{path}/{NOBODY}"))).await?;
        assert_problem(&answer, StatusCode::NOT_FOUND, path);
    }
    let answer = api.send(get("/v1/models/twin/nobody-at-all")).await?;
    assert_problem(&answer, StatusCode::NOT_FOUND, "an unknown model");

    let post = |path: &str| api.request(Method::POST, path);
    for path in ["/v1/query", "/v1/retrieve", "/v1/sources", "/v1/documents", "/v1/chat/completions", "/v1/embeddings"]
    {
        let answer = api.send(post(path).header("content-type", "text/plain").body("hello")).await?;
        assert_problem(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, path);
        let broken = post(path).header("content-type", "application/json").body("{\"question\": ");
        assert_problem(&api.send(broken).await?, StatusCode::BAD_REQUEST, path);
        let large = json!({ "question": "x".repeat(MAX_BODY_BYTES) });
        assert_problem(&api.send(post(path).json(&large)).await?, StatusCode::PAYLOAD_TOO_LARGE, path);
    }
    Ok(())
}

#[tokio::test]
async fn an_author_of_whom_nothing_is_known_is_not_found() -> Result<()> {
    let api = api()?;
    let bodies = [
        ("/v1/query", json!({ "author": "nobody-at-all", "question": "Who?" })),
        ("/v1/retrieve", json!({ "author": "nobody-at-all", "query": "who" })),
        (
            "/v1/chat/completions",
            json!({ "model": "twin/nobody-at-all", "messages": [{ "role": "user", "content": "Who?" }] }),
        ),
        ("/v1/write", json!({ "author": "nobody-at-all", "instruction": "Write." })),
        ("/v1/embeddings", json!({ "model": "twin/nobody-at-all", "input": "who" })),
    ];
    for (path, body) in bodies {
        let answer = api.send(api.request(Method::POST, path).json(&body)).await?;
        assert_problem(&answer, StatusCode::NOT_FOUND, path);
        let error = &answer.json["error"]["message"];
        let is_openais = path.ends_with("completions") || path.ends_with("embeddings");
        assert_eq!(error.is_string(), is_openais, "OpenAI's error member, and only there: {path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pushed_document_is_created_then_unchanged_then_revised_then_deleted() -> Result<()> {
    let (api, author) = (api()?, author());
    let push = async |text: &str| {
        let body = json!({
            "author": author, "category": "post", "natural_key": "a/post", "title": "A post", "markdown": text,
            "url": "https://example.org/a/post", "published_at": "2026-01-31T12:00:00Z",
        });
        api.send(api.request(Method::POST, "/v1/documents").json(&body)).await
    };
    let created = push(TOPICS[2].text).await?;
    assert_eq!((created.status, &created.json["change"]), (StatusCode::CREATED, &json!("created")));
    let again = push(TOPICS[2].text).await?;
    assert_eq!((again.status, &again.json["change"]), (StatusCode::OK, &json!("unchanged")));
    let revised = push(TOPICS[3].text).await?;
    assert_eq!((&revised.json["change"], &revised.json["revision"]), (&json!("revised"), &json!(2)));
    let ids = [&created, &again, &revised].map(|answer| answer.json["document_id"].as_str().unwrap_or_default());
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && !ids[0].is_empty(), "{ids:?}");

    api.settled(&author).await?;
    let path = format!("/v1/documents/{}", ids[0]);
    let document = api.get(&path).await?;
    let expected = json!({
        "author": author, "category": "post", "natural_key": "a/post", "title": "A post", "searchable": true,
        "url": "https://example.org/a/post", "revision": 2, "live_revision": 2, "reason": null, "deleted": false,
        "media_type": "markdown", "content": TOPICS[3].text, "source_kind": "push", "source_id": null,
    });
    for (field, value) in expected.as_object().context("it is an object")? {
        assert_eq!(&document[field], value, "{field}");
    }
    let stages = document["stages"].as_array().context("stages are an array")?;
    assert!(stages.iter().all(|stage| stage["state"] == "done") && stages.len() == 5, "{stages:?}");

    let delete = async || api.send(api.request(Method::DELETE, &path)).await;
    assert_eq!(delete().await?.status, StatusCode::ACCEPTED);
    assert_eq!(delete().await?.status, StatusCode::OK, "it was deleted before");
    assert_eq!(api.retrieve(&author, TOPICS[3].question, 5).await?, Vec::<Value>::new());
    let document = api.get(&path).await?;
    assert_eq!((&document["searchable"], &document["deleted"]), (&json!(false), &json!(true)));
    assert!(document["reason"].as_str().is_some_and(|reason| reason.contains("deleted")), "{document}");
    assert_eq!(api.documents(&author).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn many_documents_are_pushed_line_by_line_and_each_bad_line_is_named() -> Result<()> {
    let (api, author) = (api()?, author());
    let line = |key: &str, text: &str| {
        json!({ "author": author, "category": "article", "natural_key": key, "text": text }).to_string()
    };
    let lines = [
        line("one", &note("paper boats")),
        line("two", &note("brass doors")),
        json!({ "author": author, "category": "article", "natural_key": 5, "text": "x" }).to_string(),
        "no json".to_owned(),
        line("one", &note("paper boats")),
        line("three", &"x".repeat(70_000)),
    ];
    let request = api.request(Method::POST, "/v1/documents").header("content-type", "application/x-ndjson");
    let answer = api.send(request.body(lines.join("\n"))).await?;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    assert_eq!((&answer.json["accepted"], &answer.json["unchanged"]), (&json!(2), &json!(1)), "{}", answer.json);
    let failed = answer.json["failed"].as_array().context("failed is an array")?;
    let told: Vec<(u64, u64)> = failed
        .iter()
        .map(|line| (line["line"].as_u64().unwrap_or_default(), line["problem"]["status"].as_u64().unwrap_or_default()))
        .collect();
    assert_eq!(told, [(3, 422), (4, 400), (6, 413)], "{failed:#?}");
    assert_eq!(failed[0]["problem"]["errors"][0]["field"], "natural_key");
    let status = api.settled(&author).await?;
    assert_eq!(status["totals"]["searchable"], 2);
    Ok(())
}

#[tokio::test]
async fn a_login_page_is_rejected_and_says_so() -> Result<()> {
    let (api, author) = (api()?, author());
    let page = "<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1><form>\
                <input name=\"user\"><input type=\"password\" name=\"password\"><button>Log in</button></form>\
                <p>Log in or create an account. Forgot password?</p></body></html>";
    let body = json!({ "author": author, "category": "article", "natural_key": "members", "html": page });
    let pushed = api.post("/v1/documents", &body).await?;
    let status = api.settled(&author).await?;
    assert_eq!((&status["totals"]["rejected"], &status["totals"]["searchable"]), (&json!(1), &json!(0)), "{status}");
    let id = pushed["document_id"].as_str().context("a document has an id")?;
    let document = api.get(&format!("/v1/documents/{id}")).await?;
    assert_eq!(document["searchable"], false);
    let reason = document["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("rejected") && reason.contains("login"), "{reason}");
    Ok(())
}
