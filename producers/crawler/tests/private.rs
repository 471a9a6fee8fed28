//! Sources that show their server a secret.

mod common;

use common::Driver;
use common::server::{Page, Server};
use serde_json::{Value, json};
use twin_crawler::Error;

const SECRET: &str = "s3cr3t-0f-ada";

fn driver(server: &Server, settings: Value, name: &str) -> Driver {
    server.driver().with(settings, name, SECRET)
}

#[tokio::test]
async fn a_private_feed_is_shown_a_token_a_password_or_a_header() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one")]));
    for (settings, name, header, value) in [
        (Value::Null, "token", "authorization", format!("Bearer {SECRET}")),
        (json!({"user": "ada"}), "password", "authorization", "Basic YWRhOnMzY3IzdC0wZi1hZGE=".to_owned()),
        (json!({"header": "X-Api-Key"}), "header", "x-api-key", SECRET.to_owned()),
    ] {
        let (found, _) = driver(&server, settings, name).sync().await.unwrap();
        assert_eq!(found.keys(), ["a"]);
        assert_eq!(server.header("/feed", header).last(), Some(&Some(value)));
    }
}

#[tokio::test]
async fn a_secret_goes_to_the_pages_of_its_server_and_to_no_other() {
    let (server, other) = (Server::start().await, Server::start().await);
    let mut options = server.options();
    options.http.allow_private_hosts.push(other.host.clone());
    let elsewhere = other.item_of_page("elsewhere");
    server.put("/feed", Page::feed(&[&server.item_of_page("here"), &elsewhere, &server.item_of_page("away")]));
    server.put("/here", Page::html("here"));
    server.put("/away", Page::status(302).header("location", other.url("/target")));
    other.put("/elsewhere", Page::html("elsewhere"));
    other.put("/target", Page::html("target"));
    let mut driver = Driver::new(&options, "feed", &server.url("/feed")).with(Value::Null, "token", SECRET);
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["here", "elsewhere", "away"]);
    let shown = Some(format!("Bearer {SECRET}"));
    assert_eq!(server.header("/here", "authorization"), std::slice::from_ref(&shown));
    assert_eq!(server.header("/away", "authorization"), [shown]);
    assert_eq!(other.header("/elsewhere", "authorization"), [None]);
    assert_eq!(other.header("/target", "authorization"), [None]);
}

#[tokio::test]
async fn a_secret_that_is_refused_is_told_from_one_that_is_missing_and_neither_shows_it() {
    let server = Server::start().await;
    server.put("/feed", Page::status(401));
    let missing = server.driver().sync().await.unwrap_err().to_string();
    assert!(missing.contains("register the source with one"), "{missing}");
    let refused = driver(&server, Value::Null, "token").sync().await.unwrap_err();
    assert!(refused.to_string().contains("renew it"), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains(SECRET));

    // A line end in it, as of a file: it is an error, and not shown.
    let broken = server.driver().with(Value::Null, "token", "s3cr3t\nof ada").sync().await.unwrap_err();
    assert!(matches!(&broken, Error::Settings(invalid) if invalid.key == "secrets.token"), "{broken}");
    assert!(!format!("{broken} {broken:?}").contains("s3cr3t"));
}
