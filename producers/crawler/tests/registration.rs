//! What is looked at when a source is registered.

mod common;

use common::server::{Page, Server};
use serde_json::Value;
use twin_crawler::{Error, Registration, Sources};
use twin_schemas::SourceKind;
use twin_warehouse::Secrets;

async fn inspect(server: &Server, kind: &str, path: &str) -> Result<String, Error> {
    let sources = Sources::new(&server.options()).unwrap();
    let (kind, location) = sources.resolve(Some(kind), &server.url(path)).unwrap();
    let registration = Registration { location: &location, settings: &Value::Null, secrets: &Secrets::default() };
    sources.check(&kind, &registration).unwrap();
    sources.inspect(&kind, &registration).await
}

#[tokio::test]
async fn a_feed_is_read_before_it_is_registered() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one")]));
    assert_eq!(inspect(&server, "feed", "/feed").await.unwrap(), server.url("/feed"));
    server.put("/moved", Page::status(301).header("location", "/feed"));
    assert_eq!(inspect(&server, "feed", "/moved").await.unwrap(), server.url("/moved"), "the sync follows it too");
    server.put("/notes.pdf", Page { content_type: "application/pdf", body: b"%PDF-1.7".to_vec(), ..Page::html("") });
    let error = inspect(&server, "feed", "/notes.pdf").await.unwrap_err();
    assert!(matches!(error, Error::NotAFeed { .. }), "{error}");
}

#[tokio::test]
async fn of_a_home_page_the_feed_that_it_names_is_found() {
    let server = Server::start().await;
    let page = "<!doctype html><html><head><title>Ada</title>\
                <link rel=alternate type=application/rss+xml href=/comments-that-are-gone>\
                <link rel=\"alternate\" type=\"application/rss+xml\" href=\"posts.xml\">";
    server.put("/blog/", Page::html(page));
    server.put("/blog/posts.xml", Page::feed(&[&server.item("a", "one")]));
    assert_eq!(inspect(&server, "feed", "/blog/").await.unwrap(), server.url("/blog/posts.xml"));
    assert_eq!(server.asked(), ["/blog/", "/comments-that-are-gone", "/blog/posts.xml"]);
}

#[tokio::test]
async fn a_secret_does_not_go_with_a_page_to_a_feed_on_another_server() {
    let (server, other) = (Server::start().await, Server::start().await);
    let mut options = server.options();
    options.http.allow_private_hosts.push(other.host.clone());
    let page = format!("<html><link rel=alternate type=application/rss+xml href=\"{}\">", other.url("/feed"));
    server.put("/", Page::html(&page));
    other.put("/feed", Page::feed(&[&other.item("a", "one")]));
    let sources = Sources::new(&options).unwrap();
    let (kind, location) = sources.resolve(Some("feed"), &server.url("/")).unwrap();
    let secrets: Secrets = [("token", twin_warehouse::Secret::new("s3cr3t"))].into_iter().collect();
    let registration = Registration { location: &location, settings: &Value::Null, secrets: &secrets };
    let error = sources.inspect(&kind, &registration).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains(&other.url("/feed")) && told.contains("register the feed's own address"), "{told}");
    assert_eq!(server.header("/", "authorization"), [Some("Bearer s3cr3t".to_owned())]);
    assert!(other.header("/feed", "authorization").iter().all(Option::is_none));

    let without = Secrets::default();
    let registration = Registration { secrets: &without, ..registration };
    assert_eq!(sources.inspect(&kind, &registration).await.unwrap(), other.url("/feed"), "there is nothing to keep");
    server.put("/here", Page::html("<html><link rel=alternate type=application/rss+xml href=/feed>"));
    server.put("/feed", Page::feed(&[]));
    let (here, secret) = (server.url("/here"), &secrets);
    let registration = Registration { location: &here, settings: &Value::Null, secrets: secret };
    assert_eq!(sources.inspect(&kind, &registration).await.unwrap(), server.url("/feed"));
}

#[tokio::test]
async fn a_page_without_a_feed_is_refused_with_what_to_do() {
    let server = Server::start().await;
    server.put("/", Page::html("<html><body>Just a moment...</body></html>"));
    let error = inspect(&server, "feed", "/").await.unwrap_err().to_string();
    assert!(error.contains("names no feed") && error.contains("give the address of the feed"), "{error}");
    let page = "<html><link rel=alternate type=application/rss+xml href=/gone.xml>";
    server.put("/", Page::html(page));
    let error = inspect(&server, "feed", "/").await.unwrap_err().to_string();
    assert!(error.contains("/gone.xml"), "{error}");
}

#[tokio::test]
async fn a_page_does_not_lead_into_the_network_of_the_crawler() {
    let (server, inside) = (Server::start().await, Server::start().await);
    inside.put("/feed", Page::feed(&[]));
    let page = format!("<html><link rel=alternate type=application/rss+xml href=\"{}\">", inside.url("/feed"));
    server.put("/", Page::html(&page));
    assert!(inspect(&server, "feed", "/").await.is_err());
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_not_be_reached_or_is_not_let_in_is_said() {
    let server = Server::start().await;
    for (status, expected) in [(404, "nothing at this address"), (401, "secret"), (500, "failed"), (410, "gone")] {
        server.put("/feed", Page::status(status));
        let error = inspect(&server, "feed", "/feed").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{status}: {error}");
    }
    server.put("/", Page::html("<html><link rel=alternate type=application/rss+xml href=/busy>"));
    server.put("/busy", Page::status(503));
    assert!(inspect(&server, "feed", "/").await.unwrap_err().is_transient(), "the feed of a page may come back");
    let is_transient = async |page: Page| {
        server.put("/feed", page);
        inspect(&server, "feed", "/feed").await.unwrap_err().is_transient()
    };
    assert!(!is_transient(Page::status(404)).await && !is_transient(Page::status(500)).await);
    assert!(is_transient(Page::status(503)).await);
    assert!(is_transient(Page::status(429).header("retry-after", "3600")).await);
    // Bound and dropped: nothing listens there.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut nobody = Server::default();
    nobody.host = format!("127.0.0.1:{port}");
    for (kind, path) in [("feed", "/feed"), ("git", "/ada/engine.git")] {
        let error = inspect(&nobody, kind, path).await.unwrap_err();
        assert!(matches!(error, Error::Http { .. }) && !error.is_transient(), "{error}");
    }
    server.put("/ada/engine.git/info/refs", Page::status(404));
    let error = inspect(&server, "git", "/ada/engine.git").await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_setting_or_a_secret_that_the_kind_does_not_know_is_named() {
    let sources = Sources::new(&Server::start().await.options()).unwrap();
    let check = |kind: &str, location: &str, settings: Value, secret: Option<&str>| {
        let secrets: Secrets = secret.map(|name| (name, twin_warehouse::Secret::new("s3cr3t"))).into_iter().collect();
        let registration = Registration { location, settings: &settings, secrets: &secrets };
        sources.check(&SourceKind::new(kind), &registration).map_err(|invalid| invalid.key)
    };
    let feed = "https://ada.example/feed";
    assert_eq!(check("feed", feed, Value::Null, Some("token")), Ok(()));
    let wrong = |key: &str| Err(key.to_owned());
    assert_eq!(check("feed", feed, Value::Null, Some("cookie")), wrong("secrets.cookie"));
    assert_eq!(check("feed", feed, serde_json::json!({"depth": 3}), None), wrong("settings.depth"));
    assert_eq!(
        check("feed", "http://ada.example/feed", Value::Null, Some("token")),
        wrong("location"),
        "not over http"
    );
    assert_eq!(check("git", "https://ada.example/x.git", serde_json::json!({"user": 5}), None), wrong("settings.user"));
    assert_eq!(check("git", "/srv/x", Value::Null, Some("token")), wrong("secrets"), "a local one needs none");
    assert_eq!(check("folder", "/srv/notes", serde_json::json!({"user": "ada"}), None), wrong("settings.user"));
    assert_eq!(check("folder", "/srv/notes", Value::Null, Some("token")), wrong("secrets.token"));
}

#[test]
fn every_setting_and_every_secret_is_described() {
    let sources = Sources::new(&twin_crawler::Options::default()).unwrap();
    for kind in sources.kinds() {
        let source = sources.get(&SourceKind::new(kind)).unwrap();
        let schema = serde_json::to_value(source.settings_schema()).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{kind}");
        for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
            assert!(setting["description"].is_string(), "{kind}: {name}");
        }
        assert!(source.secrets().iter().all(|secret| !secret.description.is_empty()), "{kind}");
    }
}
