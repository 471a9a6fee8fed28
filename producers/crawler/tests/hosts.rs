//! Several sources of one server, which is asked by all of them together.

mod common;

use std::time::{Duration, Instant};

use common::server::{Page, Server};
use common::{Recording, new_source};
use std::sync::Arc;
use twin_crawler::sources::Collect;
use twin_crawler::{Error, Options, Sources, Waits};
use twin_schemas::{SourceId, SourceKind};
use twin_warehouse::{Secrets, SourceRow};

/// A registered feed.
fn row(location: String) -> SourceRow {
    let source = new_source("ada".parse().unwrap(), SourceKind::new("feed"), &location, 60);
    SourceRow {
        id: SourceId::of(&source.author, &source.kind, &source.location),
        source,
        created_at: chrono::Utc::now(),
        cursor: serde_json::Value::Null,
        last_sync: None,
        next_run_at: chrono::Utc::now(),
        deletions_confirmed: false,
    }
}

/// Syncs a feed with sources that it shares with others; the time that it waited, and what it found.
async fn sync(sources: &Sources, location: String) -> (u64, Result<Recording, Error>) {
    let row = row(location);
    let mut found = Recording::default();
    let waits = Waits::default();
    let request = Collect {
        source: &row,
        known: Arc::default(),
        secrets: Arc::new(Secrets::default()),
        files: Vec::new(),
        waits: waits.clone(),
    };
    let collected = sources.get(&row.source.kind).unwrap().collect(request, &mut found).await;
    (waits.total_ms(), collected.map(|_| found))
}

fn feeds(server: &Server, count: usize) {
    for feed in 0..count {
        let ids: Vec<String> = (0..4).map(|item| format!("f{feed}i{item}")).collect();
        for id in &ids {
            server.put(&format!("/{id}"), Page::html(id).after(Duration::from_millis(20)));
        }
        let items: Vec<String> = ids.iter().map(|id| server.item_of_page(id)).collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        server.put(&format!("/feed{feed}"), Page::feed(&items).after(Duration::from_millis(20)));
    }
}

fn options(server: &Server, max_in_flight: usize, spacing_ms: u64, longest_wait_ms: u64) -> Options {
    let mut options = server.options();
    options.per_host = twin_crawler::PerHostOptions { max_in_flight, spacing_ms, longest_wait_ms };
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sources_of_a_server_together_ask_it_a_few_things_at_a_time() {
    let server = Server::start().await;
    feeds(&server, 6);
    let sources = Sources::new(&options(&server, 2, 0, 1000)).unwrap();
    let syncs = (0..6).map(|feed| sync(&sources, server.url(&format!("/feed{feed}"))));
    for (_, found) in futures::future::join_all(syncs).await {
        assert_eq!(found.unwrap().documents.len(), 4);
    }
    assert_eq!(server.most_at_a_time(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_server_are_spaced_and_each_sync_says_how_long_it_waited() {
    let server = Server::start().await;
    feeds(&server, 2);
    let sources = Sources::new(&options(&server, 8, 30, 1000)).unwrap();
    let began = Instant::now();
    let (one, other) = tokio::join!(sync(&sources, server.url("/feed0")), sync(&sources, server.url("/feed1")));
    assert_eq!(server.asked().len(), 10);
    assert!(began.elapsed() >= Duration::from_millis(9 * 30), "{:?}", began.elapsed());
    assert!(one.0 > 0 && other.0 > 0, "{} and {} ms", one.0, other.0);
    assert!(one.1.is_ok() && other.1.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_rate_limit_is_waited_out_within_the_sync() {
    let server = Server::start().await;
    feeds(&server, 1);
    server.put("/f0i2", Page::status(429).header("retry-after", "1"));
    let back = server.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        back.put("/f0i2", Page::html("let in"));
    });
    let sources = Sources::new(&options(&server, 2, 0, 5000)).unwrap();
    let (waited_ms, found) = sync(&sources, server.url("/feed0")).await;
    assert_eq!(found.unwrap().documents.len(), 4);
    assert!(waited_ms >= 900, "{waited_ms}");
    assert_eq!(server.asked(), ["/feed0", "/f0i0", "/f0i1", "/f0i2", "/f0i2", "/f0i3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_rate_limit_ends_the_syncs_of_its_server_and_leaves_others_alone() {
    let (server, other) = (Server::start().await, Server::start().await);
    feeds(&server, 2);
    feeds(&other, 1);
    server.put("/feed0", Page::status(503).header("retry-after", "3600"));
    let mut options = options(&server, 2, 0, 1000);
    options.http.allow_private_hosts.push(other.host.clone());
    let sources = Sources::new(&options).unwrap();
    let (_, limited) = sync(&sources, server.url("/feed0")).await;
    assert!(matches!(limited, Err(Error::RetryAfter { status: 503, after_s: 3600, .. })));
    let (_, same_server) = sync(&sources, server.url("/feed1")).await;
    let error = same_server.err().unwrap();
    assert!(error.retry_after_s().is_some_and(|after_s| (3500..=3600).contains(&after_s)), "{error}");
    assert_eq!(server.asked(), ["/feed0"], "the other source of the server does not ask");
    let (_, elsewhere) = sync(&sources, other.url("/feed0")).await;
    assert_eq!(elsewhere.unwrap().documents.len(), 4);
}
