//! Sources, documents, dead letters and status.

use std::convert::Infallible;

use chrono::Utc;
use serde_json::{Value, json};
use twin_gateway::Options;
use twin_schemas::{AuthorId, ContentHash, DocumentKey, MediaType, Revision, SourceId, SourceKind};
use twin_warehouse::testing::calibration;
use twin_warehouse::{
    Claim, LastSync, LedgerEntry, Observation, Progress, ProgressState, StageName, SyncFailure, SyncOutcome,
};

use crate::support::{Node, body, problem};

fn document(key: &str, text: &str) -> Value {
    json!({"author": "ada", "category": "post", "natural_key": key, "text": text})
}

#[tokio::test]
async fn a_source_is_registered_once_shown_synced_and_removed() {
    let node = Node::start().await;
    let feed = json!({"author": "ada", "location": "https://example.org/feed/", "category": "article"});
    let source = body(node.post("/v1/sources", &feed).await, 201).await;
    assert_eq!((source["kind"].as_str(), source["interval_s"].as_u64()), (Some("feed"), Some(900)));
    assert_eq!(source["location"], "https://example.org/feed");
    assert!(source["last_sync"].is_null());
    let mut again = feed.clone();
    again["interval_s"] = json!(60);
    let same = body(node.post("/v1/sources", &again).await, 200).await;
    assert_eq!((&same["id"], same["interval_s"].as_u64()), (&source["id"], Some(60)));
    let path = format!("/v1/sources/{}", source["id"].as_str().unwrap());
    assert_eq!(node.read("/v1/sources?author=ada").await["sources"][0]["id"], source["id"]);
    assert_eq!(node.read("/v1/sources?author=bob").await["sources"], json!([]));
    body(node.post(&format!("{path}/sync"), &json!({})).await, 202).await;
    assert_eq!(node.read(&path).await["deletions_confirmed"], false);
    body(node.post(&format!("{path}/confirm"), &json!({})).await, 202).await;
    assert_eq!(node.read(&path).await["deletions_confirmed"], true);
    body(node.delete(&path).send().await.unwrap(), 200).await;
    problem(node.get(&path).send().await.unwrap(), 404).await;
}

#[tokio::test]
async fn a_source_shows_how_its_last_sync_went() {
    let node = Node::start().await;
    let feed = json!({"author": "ada", "location": "https://example.org/feed"});
    let source = body(node.post("/v1/sources", &feed).await, 201).await;
    let id: SourceId = source["id"].as_str().unwrap().parse().unwrap();
    let sync = LastSync {
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: SyncOutcome::AwaitingConfirmation { deletions: 40 },
        seen: 10,
        new: 2,
        changed: 3,
        deleted: 0,
        failed: vec![SyncFailure { natural_key: "bad".into(), reason: "404".into() }],
        failed_total: 1,
        waited_ms: 0,
    };
    let (claim, _) = node.warehouse.claim_source(id, 1, Utc::now()).await.unwrap().unwrap();
    assert!(node.warehouse.finish_sync(&claim, sync, json!({}), Utc::now()).await.unwrap());
    let shown = node.read(&format!("/v1/sources/{id}")).await;
    assert_eq!(shown["awaiting_deletions"], 40);
    assert_eq!(shown["last_sync"]["status"], "awaiting_confirmation");
    assert_eq!(shown["last_sync"]["failed"], json!([{"natural_key": "bad", "reason": "404"}]));
    assert_eq!(node.read("/v1/status").await["sources"][0]["last_sync"]["seen"], 10);
}

fn observation(claim: Claim, author: &AuthorId, identity: &str) -> Observation {
    let (source_kind, author, scope) = (SourceKind::new("feed"), author.clone(), "https://example.org".into());
    Observation {
        key: DocumentKey { source_kind, author, scope, identity: identity.into() },
        claim: Some(claim),
        category: twin_schemas::Category::Article,
        natural_key: identity.into(),
        title: None,
        url: None,
        published_at: None,
        media_type: MediaType::Text,
        content: "hello".into(),
        content_hash: ContentHash::sha256([b"hello".as_slice()]),
        observed_at: Utc::now(),
    }
}

#[tokio::test]
async fn what_a_sync_records_while_its_source_is_removed_is_deleted_too() {
    let node = Node::start().await;
    let feed = json!({"author": "mary", "location": "https://example.org/feed"});
    let source = body(node.post("/v1/sources", &feed).await, 201).await;
    let id: SourceId = source["id"].as_str().unwrap().parse().unwrap();
    let author: AuthorId = "mary".parse().unwrap();
    let (claim, _) = node.warehouse.claim_source(id, 1, Utc::now()).await.unwrap().unwrap();
    let (warehouse, of) = (node.warehouse.clone(), author.clone());
    // Ends when it is told that it has no right to write any more.
    let sync = tokio::spawn(async move {
        let mut recorded = 0;
        while warehouse.record(observation(claim, &of, &recorded.to_string())).await.is_ok() {
            recorded += 1;
        }
        recorded
    });
    while node.warehouse.live_count(&author).await.unwrap() < 20 {
        tokio::task::yield_now().await;
    }
    let removed = body(node.delete(&format!("/v1/sources/{id}")).send().await.unwrap(), 200).await;
    assert_eq!(removed["documents_deleted"].as_u64(), Some(sync.await.unwrap()));
    assert_eq!(node.warehouse.live_count(&author).await.unwrap(), 0);
    problem(node.delete(&format!("/v1/sources/{id}")).send().await.unwrap(), 404).await;
}

#[tokio::test]
async fn a_source_is_removed_with_its_documents_unless_they_should_stay() {
    let node = Node::start().await;
    for (documents, left) in [("keep", 1), ("delete", 0)] {
        let author = format!("author-{documents}");
        let location = format!("https://example.org/{documents}");
        let feed = json!({"author": author, "location": location});
        let source = body(node.post("/v1/sources", &feed).await, 201).await;
        let id: SourceId = source["id"].as_str().unwrap().parse().unwrap();
        let (claim, _) = node.warehouse.claim_source(id, 1, Utc::now()).await.unwrap().unwrap();
        let author: AuthorId = author.parse().unwrap();
        let observation = observation(claim, &author, "1");
        node.warehouse.record(observation).await.unwrap();
        let removal = node.delete(&format!("/v1/sources/{id}?documents={documents}")).send().await.unwrap();
        assert_eq!(body(removal, 200).await["documents_deleted"], 1 - left);
        assert_eq!(node.warehouse.live_count(&author).await.unwrap(), left);
    }
}

#[tokio::test]
async fn a_document_is_created_left_alone_revised_and_deleted() {
    let node = Node::start().await;
    let created = body(node.post("/v1/documents", &document("k", "one")).await, 201).await;
    assert_eq!((created["revision"].as_u64(), created["change"].as_str()), (Some(1), Some("created")));
    let unchanged = body(node.post("/v1/documents", &document("k", "one")).await, 200).await;
    assert_eq!((unchanged["revision"].as_u64(), unchanged["change"].as_str()), (Some(1), Some("unchanged")));
    let revised = body(node.post("/v1/documents", &document("k", "two")).await, 200).await;
    assert_eq!((revised["revision"].as_u64(), revised["change"].as_str()), (Some(2), Some("revised")));
    assert_eq!(revised["document_id"], created["document_id"]);
    let path = format!("/v1/documents/{}", created["document_id"].as_str().unwrap());
    assert_eq!(node.read(&path).await["content"], "two");
    assert_eq!(body(node.delete(&path).send().await.unwrap(), 202).await["revision"], 3);
    assert_eq!(body(node.delete(&path).send().await.unwrap(), 200).await["change"], "unchanged");
    let deleted = node.read(&path).await;
    assert_eq!((deleted["deleted"].as_bool(), deleted["searchable"].as_bool()), (Some(true), Some(false)));
    assert_eq!(deleted["reason"], "it was deleted");
}

#[tokio::test]
async fn a_document_says_how_far_it_has_come_and_why_it_is_not_searched() {
    let node = Node::start().await;
    let mut pushed = document("k", "one");
    pushed["url"] = json!("https://example.org/k");
    let created = body(node.post("/v1/documents", &pushed).await, 201).await;
    let id = created["document_id"].as_str().unwrap().parse().unwrap();
    let path = format!("/v1/documents/{id}");
    let shown = node.read(&path).await;
    assert_eq!(shown["searchable"], false);
    assert_eq!(shown["reason"], "still on its way: to be published next");
    assert_eq!(shown["stages"][0]["state"], "done");
    let rejected = ProgressState::Rejected { reason: "no text is left".into() };
    let note =
        |state| Progress { document_id: id, revision: Revision(1), stage: StageName::Cleaned, state, at: Utc::now() };
    node.warehouse.note_progress(vec![note(rejected)]).await.unwrap();
    assert_eq!(node.read(&path).await["reason"], "rejected, to be cleaned: no text is left");
    node.warehouse.mark_published(&[(id, Revision(1))]).await.unwrap();
    node.warehouse.note_progress(vec![note(ProgressState::Done)]).await.unwrap();
    let entry =
        LedgerEntry { document_id: id, revision: Revision(1), chunks: 1, model: "m".into(), indexed_at: Utc::now() };
    node.warehouse.mark_indexed(vec![entry]).await.unwrap();
    let shown = node.read(&path).await;
    assert_eq!((shown["searchable"].as_bool(), shown["live_revision"].as_u64()), (Some(true), Some(1)));
    assert!(shown["reason"].is_null());
    let listed = node.read("/v1/documents?author=ada&url=https%3A%2F%2Fexample.org%2Fk").await;
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1);
    assert_eq!(listed["documents"][0]["live_revision"], 1);
}

#[tokio::test]
async fn each_line_of_an_upload_is_accepted_or_refused_by_itself() {
    let node = Node::start_with(Options { max_line_bytes: 200, ..Options::default() }).await;
    let lines = [
        document("a", "one").to_string(),
        "not json".to_owned(),
        String::new(),
        json!({"author": "ada", "category": "post", "natural_key": "b"}).to_string(),
        document("c", &"x".repeat(300)).to_string(),
        document("first", "hello").to_string(),
        // The same document twice: the later line counts.
        document("d", "old").to_string(),
        document("d", "new").to_string(),
    ];
    let upload = node.raw("/v1/documents", "application/x-ndjson", lines.join("\n")).send().await.unwrap();
    let upload = body(upload, 200).await;
    assert_eq!((upload["accepted"].as_u64(), upload["unchanged"].as_u64()), (Some(3), Some(1)), "{upload}");
    let failed: Vec<(u64, &str)> = upload["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| (failed["line"].as_u64().unwrap(), failed["problem"]["code"].as_str().unwrap()))
        .collect();
    assert_eq!(failed, [(2, "malformed"), (4, "invalid_field"), (5, "too_large")]);
    let revised = upload["documents"].as_array().unwrap().iter().find(|pushed| pushed["change"] == "revised").unwrap();
    let path = format!("/v1/documents/{}", revised["document_id"].as_str().unwrap());
    assert_eq!(node.read(&path).await["content"], "new");
}

#[tokio::test]
async fn an_upload_may_be_longer_than_what_is_held_of_it() {
    let options = Options { max_body_bytes: 4_096, max_line_bytes: 1_024, ..Options::default() };
    let node = Node::start_with(options).await;
    let lines = (0..200).map(|number| {
        let line = format!("{}\n", document(&number.to_string(), &"long ".repeat(60)));
        Ok::<_, Infallible>(line)
    });
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(lines));
    let upload = node.raw("/v1/documents", "application/x-ndjson", stream).send().await.unwrap();
    assert_eq!(body(upload, 200).await["accepted"], 200);
    assert_eq!(node.warehouse.live_count(&"ada".parse().unwrap()).await.unwrap(), 201);
}

#[tokio::test]
async fn an_upload_of_too_many_lines_says_where_it_stopped() {
    let node = Node::start_with(Options { max_lines: 2, ..Options::default() }).await;
    let lines: Vec<String> = (0..5).map(|number| document(&number.to_string(), "x").to_string()).collect();
    let upload = node.raw("/v1/documents", "application/x-ndjson", lines.join("\n")).send().await.unwrap();
    let upload = body(upload, 200).await;
    assert_eq!(upload["accepted"], 2);
    assert_eq!(upload["failed"][0]["line"], 3);
}

#[tokio::test]
async fn the_status_shows_parts_totals_lag_and_sources() {
    let node = Node::start().await;
    let status = node.read("/v1/status").await;
    assert_eq!(status["ready"], true);
    assert_eq!(status["parts"], json!([{"part": "gateway", "ready": true, "reason": null}]));
    assert_eq!((status["totals"]["documents"].as_u64(), status["pending"].as_u64()), (Some(1), Some(1)));
    let stage = &status["stages"][0];
    assert_eq!((stage["stage"].as_str(), stage["lag"].as_u64()), (Some("cleaner"), Some(0)));
    assert_eq!(node.read("/v1/status?author=bob").await["totals"]["documents"], 0);
    assert_eq!((&status["thresholds"], &status["min_score"]), (&json!([]), &Value::Null));
    let (ada, bob): (AuthorId, AuthorId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    for author in [&bob, &ada] {
        node.warehouse.put_calibration(calibration(author, 9)).await.unwrap();
    }
    let shown = json!({
        "author": "ada", "threshold": 0.61, "basis": "measured", "answerable": {"asked": 200, "refused": 3},
        "left_out": {"asked": 200, "refused": 140}, "general": {"asked": 300, "refused": 299},
        "measured_at": "1970-01-01T00:00:00Z",
    });
    let thresholds = node.read("/v1/status").await["thresholds"].clone();
    assert_eq!((thresholds.as_array().unwrap().len(), &thresholds[0]), (2, &shown));
    let of_bob = node.read("/v1/status?author=bob").await["thresholds"].clone();
    assert_eq!((of_bob.as_array().unwrap().len(), &of_bob[0]["author"]), (1, &json!("bob")));
}

#[tokio::test]
async fn dead_letters_are_listed_shown_and_replayed() {
    let node = Node::start().await;
    let listed = node.read("/v1/dlq?topic=twin.documents.raw.v1&limit=5").await;
    assert_eq!(listed["dead_letters"][0]["id"], "raw:1");
    let rest = node.read(&format!("/v1/dlq?before={}", listed["next"].as_str().unwrap())).await;
    assert_eq!(rest, json!({ "dead_letters": [] }));
    assert_eq!(node.read("/v1/dlq?topic=twin.queries.v1").await["dead_letters"], json!([]));
    assert_eq!(node.read("/v1/dlq/raw:1").await["value"], json!({"a": 1}));
    let replayed = node.post("/v1/dlq/raw:1/replay", &json!({})).await;
    assert_eq!(body(replayed, 202).await["position"], "raw[0]@9");
}
