//! A feed behind a real server.

mod common;

use common::Driver;
use common::server::{Page, Server};
use twin_crawler::Error;
use twin_crawler::sources::Evidence;
use twin_schemas::{Category, MediaType};

#[tokio::test]
async fn items_come_with_their_whole_text_and_an_unchanged_feed_is_not_sent_again() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one"), &server.item("b", "two")]).etag("W/\"1\""));
    let mut driver = server.driver();
    let (found, listing) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["a", "b"]);
    assert_eq!(listing.evidence, Evidence::Window { gone: vec![] });
    let a = found.get("a");
    assert_eq!((a.content.as_str(), a.media_type, a.category), ("one", MediaType::Html, Category::Article));
    assert_eq!((a.scope.as_str(), a.url.as_deref()), (server.url("/feed").as_str(), Some(server.url("/a").as_str())));

    server.asked();
    let (found, _) = driver.sync().await.unwrap();
    assert!(found.documents.is_empty() && found.unchanged.is_empty());
    assert_eq!(server.asked(), ["/feed+"], "validators are echoed, and items in the feed are not probed");
}

#[tokio::test]
async fn an_edited_item_is_handed_over_again_and_the_others_are_not() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one"), &server.item("b", "two")]).etag("\"1\""));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    server.put("/feed", Page::feed(&[&server.item("a", "one, edited"), &server.item("b", "two")]).etag("\"2\""));
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["a"]);
    assert_eq!(found.unchanged, ["b"]);
}

#[tokio::test]
async fn a_feed_is_read_in_full_again_when_its_documents_were_lost() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one")]).etag("\"1\""));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    driver.forget_documents();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["a"]);
}

#[tokio::test]
async fn an_item_that_left_the_feed_is_gone_only_after_two_missing_answers() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one"), &server.item("b", "two")]));
    server.put("/a", Page::html("one"));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    let gone = |listing: twin_crawler::sources::Listing| match listing.evidence {
        Evidence::Window { gone } => gone,
        Evidence::Complete => panic!("a feed is never complete"),
    };

    server.put("/feed", Page::feed(&[]));
    server.put("/b", Page::status(410));
    assert_eq!(gone(driver.sync().await.unwrap().1), Vec::<String>::new());
    assert_eq!(gone(driver.sync().await.unwrap().1), ["b"]);
    // Still waiting for a confirmation, it is reported again.
    assert_eq!(gone(driver.sync().await.unwrap().1), ["b"]);

    for status in [403, 500, 503] {
        server.put("/a", Page::status(status));
        assert_eq!(gone(driver.sync().await.unwrap().1), ["b"], "{status} proves nothing");
    }
    server.put("/feed", Page::feed(&[&server.item("b", "two")]));
    assert_eq!(gone(driver.sync().await.unwrap().1), Vec::<String>::new(), "back in the feed");
}

#[tokio::test]
async fn departed_items_are_probed_although_the_feed_is_unchanged_and_a_few_at_a_time() {
    let server = Server::start().await;
    let items: Vec<String> = (0..8).map(|number| server.item(&format!("i{number}"), "x")).collect();
    server.put("/feed", Page::feed(&items.iter().map(String::as_str).collect::<Vec<_>>()).etag("\"1\""));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    server.put("/feed", Page::feed(&[]).etag("\"2\""));
    server.asked();
    driver.sync().await.unwrap();
    let first = server.asked();
    driver.sync().await.unwrap();
    let second = server.asked();
    assert_eq!((first.len(), second.len()), (6, 6), "the feed and five pages");
    assert_eq!(second[0], "/feed+");
    let never_asked = |request: &&String| !first.contains(request) && request.as_str() != "/feed+";
    assert_eq!(second.iter().filter(never_asked).count(), 3, "those not asked yet come first");
}

#[tokio::test]
async fn the_text_of_an_item_with_a_summary_only_is_taken_from_its_page() {
    let server = Server::start().await;
    let item = |id: &str| {
        let link = server.url(&format!("/{id}"));
        format!(
            "<item><title>{id}</title><guid>{id}</guid><link>{link}</link><description>Excerpt</description></item>"
        )
    };
    let note = "<item><guid>note</guid><description>All of a short note</description></item>";
    server.put("/feed", Page::feed(&[&item("a"), &item("lost"), note]).etag("\"1\""));
    let latin = Page { body: b"<meta charset=iso-8859-1><p>caf\xE9</p>".to_vec(), ..Page::html("") };
    server.put("/a", latin.etag("\"p1\""));
    let mut driver = server.driver();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["a", "note"]);
    assert!(found.get("a").content.contains("café"));
    assert_eq!(found.get("note").category, Category::Post);
    assert!(found.failed["lost"].contains("404"));

    server.put("/lost", Page::html("found"));
    server.asked();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(server.asked(), ["/feed", "/a+", "/lost"], "a failed item is tried again, a known page conditionally");
    assert_eq!(found.keys(), ["lost"]);
    assert_eq!(found.unchanged, ["a", "note"]);
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_leave_the_cursor_alone() {
    let server = Server::start().await;
    let mut driver = server.driver();
    server.put("/feed", Page::status(410));
    assert!(matches!(driver.sync().await, Err(Error::FeedGone { .. })));
    server.put("/feed", Page::status(503));
    assert!(matches!(driver.sync().await, Err(Error::Status { status: 503, .. })));
    server.put("/feed", Page::html("<html><body>Just a moment...</body></html>"));
    assert!(matches!(driver.sync().await, Err(Error::NotAFeed { .. })));
    server.put("/feed", Page::status(403));
    assert!(driver.sync().await.unwrap_err().to_string().contains("export"));
    server.put("/feed", Page::status(401));
    assert!(driver.sync().await.unwrap_err().to_string().contains("secret"));
    server.put("/feed", Page::status(429).header("retry-after", "120"));
    assert!(matches!(driver.sync().await, Err(Error::RetryAfter { after_s: 120, .. })));
    assert_eq!(driver.row.cursor, serde_json::json!({}));
}

#[tokio::test]
async fn a_feed_that_moved_for_good_is_asked_at_its_new_address_and_keeps_its_documents() {
    let server = Server::start().await;
    server.put("/feed", Page::status(301).header("location", "/new"));
    server.put("/new", Page::feed(&[&server.item("a", "one")]));
    let mut driver = server.driver();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.get("a").scope, server.url("/feed"), "the identity stays that of the registered address");
    server.asked();
    driver.sync().await.unwrap();
    assert_eq!(server.asked(), ["/new"]);

    server.put("/feed", Page::status(302).header("location", "/new"));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    server.asked();
    driver.sync().await.unwrap();
    assert_eq!(server.asked(), ["/feed", "/new"], "a move for now is not remembered");
}

#[tokio::test]
async fn no_redirect_leads_to_an_address_that_is_not_listed() {
    let server = Server::start().await;
    let other = Server::start().await;
    other.put("/secret", Page::feed(&[&other.item("a", "secret")]));
    server.put("/feed", Page::status(302).header("location", other.url("/secret")));
    let error = server.driver().sync().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(other.asked(), Vec::<String>::new(), "not a byte is sent");

    server.put("/feed", Page::status(302).header("location", "/feed"));
    let error = server.driver().sync().await.unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_asked() {
    let server = Server::start().await;
    let port = server.host.rsplit_once(':').unwrap().1.to_owned();
    let location = format!("http://localhost:{port}/feed");
    server.put("/feed", Page::feed(&[&server.item("a", "one")]));
    let error = Driver::new(&server.options(), "feed", &location).sync().await.unwrap_err();
    assert!(error.to_string().contains("no public address"), "{error}");
    assert_eq!(server.asked(), Vec::<String>::new());
    let mut options = server.options();
    options.http.allow_private_hosts = vec!["localhost".into()];
    assert!(Driver::new(&options, "feed", &location).sync().await.is_ok());
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_not_read_to_its_end() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", &"x".repeat(5000))]));
    let mut options = server.options();
    options.http.max_body_bytes = 4000;
    let error = Driver::new(&options, "feed", &server.url("/feed")).sync().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit_bytes: 4000, .. }), "{error}");
}
