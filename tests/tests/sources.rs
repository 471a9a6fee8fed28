//! Sources from the command line: what is looked at before they are registered, private ones, and uploads.

use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use twin_stack::TwinProcess;
use twin_tests::{Api, Shared, TOPICS, author, start};

const SECRET: &str = "s3cr3t-0f-ada";

fn run(mut command: Command) -> Result<(Output, String)> {
    let output = command.output()?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output, told))
}

/// The output of a command that succeeds.
fn succeed(twin: &TwinProcess, arguments: &[&str]) -> Result<String> {
    let (output, told) = run(twin.command(arguments))?;
    ensure!(output.status.success(), "twin {arguments:?}: {told}");
    ensure!(!told.contains(SECRET), "twin {arguments:?} shows a secret: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

fn json_of(twin: &TwinProcess, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&succeed(twin, &[arguments, &["--json"]].concat())?)?)
}

fn hits(twin: &TwinProcess, author: &str, question: &str) -> Result<Vec<Value>> {
    let found = json_of(twin, &["search", "--author", author, "-k", "1", question])?;
    Ok(found["hits"].as_array().context("there are hits")?.clone())
}

/// A blog whose page names its feed, which is let to whoever has the token.
async fn private_blog() -> Result<String> {
    let page = || async {
        Html("<!doctype html><html><link rel=alternate type=application/rss+xml href=/feed.xml><body>Ada</body></html>")
    };
    let feed = |headers: HeaderMap| async move {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if shown != Some(&format!("Bearer {SECRET}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let text = TOPICS[1].text;
        let feed = format!(
            "<rss version=\"2.0\"><channel><title>Ada</title><item><guid>bees</guid><title>Bees</title>\
             <link>http://127.0.0.1/bees</link><content:encoded xmlns:content=\
             \"http://purl.org/rss/1.0/modules/content/\"><![CDATA[<p>{text}</p>]]></content:encoded></item>\
             </channel></rss>"
        );
        ([(header::CONTENT_TYPE, "application/rss+xml")], feed).into_response() as Response
    };
    serve(Router::new().route("/", get(page)).route("/feed.xml", get(feed))).await
}

/// Its `host:port`.
async fn serve(app: Router) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(host)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_feed_is_found_on_its_page_read_with_a_secret_and_the_secret_is_shown_nowhere() -> Result<()> {
    let host = private_blog().await?;
    let twin = start(&[("TWIN_CRAWLER_HTTP_ALLOW_PRIVATE_HOSTS", &format!("[\"{host}\"]"))])?;
    let (author, home) = (author(), format!("http://{host}/"));
    let (output, told) = run(twin.command(&["sources", "add", "--author", &author, &home]))?;
    ensure!(!output.status.success() && told.contains("asks for a secret"), "{told}");

    let folder = TempDir::new()?;
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{SECRET}\n"))?;
    let secret = format!("token={}", file.display());
    let added = json_of(&twin, &["sources", "add", "--author", &author, "--secret-file", &secret, &home])?;
    assert_eq!(added["location"], format!("http://{host}/feed.xml"));
    assert_eq!((&added["secrets"], &added["kind"]), (&json!(["token"]), &json!("feed")));
    succeed(&twin, &["sync", "--author", &author, "--wait"])?;
    assert_eq!(hits(&twin, &author, TOPICS[1].question)?[0]["natural_key"], "bees");
    for arguments in [["sources", "list"], ["sources", "show"], ["documents", "list"]] {
        let location = format!("http://{host}/feed.xml");
        let named: &[&str] = if arguments[1] == "show" { &[&location] } else { &[] };
        succeed(&twin, &[&arguments[..], named].concat())?;
        succeed(&twin, &[&arguments[..], named, &["--json"]].concat())?;
    }
    assert!(!twin.log().contains(SECRET), "{}", twin.log());

    // A home page without a feed, and an address where nobody is, are refused; the latter may be registered all the same.
    let (output, told) = run(twin.command(&["sources", "add", "--author", &author, "http://127.0.0.1:9/feed"]))?;
    ensure!(!output.status.success() && told.contains("not a public address"), "{told}");
    let nobody = "https://nobody.invalid/feed.xml";
    let (output, told) = run(twin.command(&["sources", "add", "--author", &author, nobody]))?;
    ensure!(!output.status.success() && told.contains("--force"), "{told}");
    assert_eq!(json_of(&twin, &["sources", "add", "--author", &author, "--force", nobody])?["location"], nobody);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_does_not_reach_another_server_whose_feed_a_page_names() -> Result<()> {
    let asked: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let asked_of_other = asked.clone();
    let feed = move |headers: HeaderMap| {
        let asked = asked_of_other.clone();
        async move {
            asked.lock().await.push(headers);
            let feed = "<rss version=\"2.0\"><channel><title>B</title></channel></rss>";
            ([(header::CONTENT_TYPE, "application/rss+xml")], feed)
        }
    };
    let other = serve(Router::new().route("/feed.xml", get(feed))).await?;
    let page = format!("<html><link rel=alternate type=application/rss+xml href=\"http://{other}/feed.xml\">");
    let home = serve(Router::new().route("/", get(move || async move { Html(page) }))).await?;
    let twin = start(&[("TWIN_CRAWLER_HTTP_ALLOW_PRIVATE_HOSTS", &format!("[\"{home}\",\"{other}\"]"))])?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    let body = json!({"author": author, "location": format!("http://{home}/"), "secrets": {"token": SECRET}});
    let answer = api.send(api.request(Method::POST, "/v1/sources").json(&body)).await?;
    assert_eq!(answer.status.as_u16(), 422, "{}", answer.json);
    assert_eq!(answer.json["errors"][0]["field"], "location");
    ensure!(answer.json["detail"].as_str().context("there is a detail")?.contains("on another server"));
    assert_eq!(api.get(&format!("/v1/sources?author={author}")).await?["sources"], json!([]));
    let asked = asked.lock().await;
    ensure!(!asked.is_empty() && asked.iter().all(|headers| !headers.contains_key(header::AUTHORIZATION)), "{asked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_when_its_source_is_registered_is_tried_again_later_or_registered_unchecked() -> Result<()>
{
    let busy = || async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")]) };
    let down = || async { StatusCode::SERVICE_UNAVAILABLE };
    let host = serve(Router::new().route("/busy", get(busy)).route("/down", get(down))).await?;
    let twin = start(&[("TWIN_CRAWLER_HTTP_ALLOW_PRIVATE_HOSTS", &format!("[\"{host}\"]"))])?;
    let (api, author) = (Api::new(twin.base_url())?, author());
    for (path, after_s) in [("/down", "5"), ("/busy", "3600")] {
        let body = json!({"author": author, "location": format!("http://{host}{path}")});
        let answer = api.request(Method::POST, "/v1/sources").json(&body).send().await?;
        let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        assert_eq!((answer.status().as_u16(), after), (503, Some(after_s)), "{path}");
        let told = answer.text().await?;
        ensure!(told.contains("unchecked") && told.contains(path), "{told}");
    }
    let unchecked = json!({"author": author, "location": format!("http://{host}/busy"), "unchecked": true});
    api.post("/v1/sources", &unchecked).await?;
    Ok(())
}

fn shared_twin() -> Result<Arc<TwinProcess>> {
    static TWIN: Shared<TwinProcess> = Shared::new();
    TWIN.get(|| start(&[]))
}

#[test]
fn an_uploaded_file_is_found_until_it_is_replaced_or_removed() -> Result<()> {
    let (twin, author, folder) = (shared_twin()?, author(), TempDir::new()?);
    let path = folder.path().join("note.md");
    let file = path.to_str().context("the path is UTF-8")?;
    let name = format!("files:{author}");
    let added = json_of(&twin, &["sources", "add", "--author", &author, "--kind", "files", &author])?;
    assert_eq!(added["location"], name);
    let synced = |text: &str| -> Result<()> {
        std::fs::write(&path, text)?;
        succeed(&twin, &["sources", "upload", &name, file])?;
        succeed(&twin, &["sync", &name, "--wait"]).map(drop)
    };
    synced(TOPICS[0].text)?;
    assert_eq!(hits(&twin, &author, TOPICS[0].question)?[0]["title"], "Sourdough");
    synced(TOPICS[1].text)?;
    assert_eq!(hits(&twin, &author, TOPICS[0].question)?[0]["title"], "Bees in winter");
    ensure!(succeed(&twin, &["sources", "files", &name])?.contains("note.md"));
    let (output, told) = run(twin.command(&["sources", "upload", &name, "--name", "note.exe", file]))?;
    ensure!(!output.status.success() && told.contains("note.exe"), "{told}");
    succeed(&twin, &["sources", "remove-file", &name, "note.md"])?;
    succeed(&twin, &["sync", &name, "--wait"])?;
    assert!(hits(&twin, &author, TOPICS[1].question)?.is_empty());
    Ok(())
}
