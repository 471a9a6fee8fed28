//! Feed servers as they are on a bad day.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::Driver;
use common::server::{Page, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twin_crawler::sources::Evidence;
use twin_crawler::{Error, Options};

/// A server that answers each connection by hand, byte for byte.
async fn by_hand<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The request is read before it is answered; it fits one packet.
            let _ = stream.read(&mut [0; 4096]).await;
            tokio::spawn(answer(stream));
        }
    });
    host
}

fn driver(host: &str, limit_ms: u64) -> Driver {
    let mut options = Options::default();
    options.http.allow_private_hosts = vec![host.to_owned()];
    options.http.total_timeout_ms = limit_ms;
    Driver::new(&options, "feed", &format!("http://{host}/feed"))
}

#[tokio::test]
async fn a_body_that_is_cut_off_hands_over_nothing() {
    let host = by_hand(async |mut stream: TcpStream| {
        let half = "<rss><channel><item><title>a</title><guid>a</guid><description>half</description></item>";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", 2 * half.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(half.as_bytes()).await
    })
    .await;
    let mut driver = driver(&host, 60_000);
    let error = driver.sync().await.unwrap_err();
    assert!(matches!(error, Error::Http { .. }), "{error}");
    assert_eq!(driver.row.cursor, serde_json::json!({}));
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_given_up() {
    let host = by_hand(async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n").await?;
        loop {
            stream.write_all(b" ").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let began = Instant::now();
    let error = driver(&host, 500).sync().await.unwrap_err();
    assert!(matches!(error, Error::Http { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30), "the limit was half a second");
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_gigabytes_is_not_unpacked() {
    let pack = Command::new("sh").args(["-c", "head -c 200000000 /dev/zero | gzip -9"]).output().unwrap();
    let bomb = pack.stdout;
    assert!((1..1_000_000).contains(&bomb.len()), "{}", bomb.len());
    let server = Server::start().await;
    server.put("/feed", Page { body: bomb, ..Page::feed(&[]) }.header("content-encoding", "gzip"));
    let error = server.driver().sync().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_feed_without_items_deletes_nothing() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one")]));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    server.put("/a", Page::html("still there"));
    for body in [Page::feed(&[]), Page { body: b"<rss version=\"2.0\"><channel/></rss>".to_vec(), ..Page::feed(&[]) }] {
        server.put("/feed", body);
        let (found, listing) = driver.sync().await.unwrap();
        assert!(found.documents.is_empty());
        assert_eq!(listing.evidence, Evidence::Window { gone: vec![] });
    }
    server.put("/feed", Page { body: Vec::new(), ..Page::feed(&[]) });
    let error = driver.sync().await.unwrap_err();
    assert!(matches!(error, Error::NotAFeed { .. }), "{error}");
}

#[tokio::test]
async fn a_feed_is_read_in_the_encoding_that_it_names() {
    let server = Server::start().await;
    let feed = |declaration: &str| {
        let mut body = declaration.as_bytes().to_vec();
        body.extend_from_slice(b"<rss version=\"2.0\"><channel><item><guid>a</guid><title>caf\xE9</title>");
        body.extend_from_slice(b"<description>cr\xE8me br\xFBl\xE9e</description></item></channel></rss>");
        Page { body, content_type: "text/xml", ..Page::feed(&[]) }
    };
    server.put("/feed", feed("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>"));
    let (found, _) = server.driver().sync().await.unwrap();
    assert_eq!(found.get("a").title.as_deref(), Some("café"));
    server.put("/feed", Page { content_type: "text/xml; charset=windows-1252", ..feed("") });
    let (found, _) = server.driver().sync().await.unwrap();
    assert_eq!(found.get("a").content, "crème brûlée");
    // Bytes that no encoding was named for are an error or readable apart from the letters concerned: never a panic.
    server.put("/feed", feed(""));
    match server.driver().sync().await {
        Ok((found, _)) => assert!(found.get("a").content.contains("me br"), "{:?}", found.documents),
        Err(error) => assert!(matches!(error, Error::NotAFeed { .. }), "{error}"),
    }
}

#[tokio::test]
async fn no_redirect_leads_into_the_machines_own_network() {
    let server = Server::start().await;
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://10.0.0.1/",
        "http://0.0.0.0:1/",
        "http://2130706433/",
    ] {
        server.put("/feed", Page::status(302).header("location", target));
        let error = server.driver().sync().await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{target}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_keeps_failing_deletes_nothing_and_is_read_when_it_is_back() {
    let server = Server::start().await;
    server.put("/feed", Page::feed(&[&server.item("a", "one")]));
    let mut driver = server.driver();
    driver.sync().await.unwrap();
    for status in [500, 502, 503, 504, 520] {
        server.put("/feed", Page::status(status));
        let error = driver.sync().await.unwrap_err();
        assert!(matches!(error, Error::Status { .. }), "{error}");
    }
    server.put("/feed", Page::feed(&[&server.item("a", "one"), &server.item("b", "two")]));
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!((found.keys(), &found.unchanged), (vec!["b"], &vec!["a".to_owned()]));
}
