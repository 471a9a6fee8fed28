//! Hostile content through the whole pipeline: each piece ends searchable or with a reason, in bounded time and
//! memory, and what comes beside it is searchable.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_stack::TwinProcess;
use twin_tests::{Api, TOPICS, Usage, author, start};

/// Far more than any of it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The process with a model and 40 MB of hostile documents.
const MEMORY_MB: u64 = 1_000;

fn twin() -> Result<(TwinProcess, Api, String)> {
    let twin = start(&[("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1")])?;
    let api = Api::new(twin.base_url())?;
    Ok((twin, api, author()))
}

/// A word that no other document has, so that the document is found by it.
const BEACON: &str = "zugzwang";

/// What becomes of a document.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Searchable,
    /// With a reason that has this in it.
    Rejected(&'static str),
    /// Either of the two: it is the bounds that count.
    Somehow,
}

struct Hostile {
    name: &'static str,
    category: &'static str,
    field: &'static str,
    content: String,
    ends: Ends,
}

fn hostile(name: &'static str, field: &'static str, content: String, ends: Ends) -> Hostile {
    Hostile { name, category: "article", field, content, ends }
}

fn bombs() -> Vec<Hostile> {
    use Ends::{Rejected, Searchable, Somehow};
    let deep = 100_000;
    let list: String = (0..1_500).map(|depth| format!("{}- item\n", " ".repeat(depth * 2))).collect();
    let table: String = (0..2_500).map(|row| format!("<tr><td>{row}<td>cell<td>cell<td>cell")).collect();
    let rows = "| a | b | c |\n".repeat(20_000);
    vec![
        hostile("deep-divs", "html", "<div>".repeat(deep) + "text", Rejected("too_deep")),
        hostile("deep-closed", "html", "<b>".repeat(deep) + "text" + &"</b>".repeat(deep), Rejected("too_")),
        hostile("deep-tables", "html", "<table><tr><td>".repeat(deep), Rejected("too_")),
        hostile("comments", "html", "<!--".repeat(deep), Somehow),
        hostile("attributes", "html", format!("<p {}>{BEACON} a b c d e</p>", "a=b ".repeat(deep)), Somehow),
        hostile("quotes", "markdown", "> ".repeat(50_000) + "text", Somehow),
        hostile("quote-lines", "markdown", "> > > > > > > > text\n".repeat(10_000), Somehow),
        hostile("brackets", "markdown", "[".repeat(50_000) + "text" + &"](x)".repeat(50_000), Somehow),
        hostile("images", "markdown", "![".repeat(50_000) + "text", Somehow),
        hostile("emphasis", "markdown", "*_".repeat(50_000) + "text", Somehow),
        hostile("list", "markdown", list, Somehow),
        hostile("fences", "markdown", "```\n~~~\n".repeat(10_000), Somehow),
        hostile("table", "html", format!("<p>{BEACON} one two three four</p><table>{table}</table>"), Searchable),
        hostile("table-rows", "markdown", rows, Somehow),
        hostile("line", "text", "all on one line ".repeat(10 << 16), Rejected("too_large")),
        hostile("marks", "text", "a".to_owned() + &"\u{301}".repeat(1 << 19), Somehow),
        hostile("nul", "text", "\0".repeat(1_000), Rejected("not_text")),
        hostile("some-nul", "text", format!("{BEACON} with a \0 in it"), Searchable),
        hostile("control", "markdown", "\u{1b}[2J\u{7}".repeat(1_000), Rejected("not_text")),
        hostile("invisible", "markdown", "\u{200b}\u{202e}\u{2066}\u{e0041}".repeat(1_000), Rejected("empty")),
        hostile(
            "bidi",
            "markdown",
            format!("{BEACON} \u{202e}sdrawkcab\u{202c} a\u{200b}b \u{2066}c\u{2069}"),
            Searchable,
        ),
        hostile(
            "entities",
            "html",
            format!("<p>{BEACON} one two three four {}</p>", "&#x202e;&lt;".repeat(1_000)),
            Searchable,
        ),
        hostile("title", "html", format!("<title>{}</title><p>a b c d e f</p>", "x ".repeat(1 << 19)), Somehow),
        Hostile { category: "code", ..hostile("deep.json", "text", "[".repeat(deep), Somehow) },
        Hostile { category: "code", ..hostile("deep.rs", "text", "mod a { ".repeat(20_000), Somehow) },
        Hostile { category: "code", ..hostile("deep.py", "text", "(".repeat(deep), Somehow) },
    ]
}

async fn push(api: &Api, author: &str, hostile: &Hostile) -> Result<String> {
    let Hostile { name, category, field, content, .. } = hostile;
    let mut body = json!({ "author": author, "category": category, "natural_key": name });
    body[*field] = content.as_str().into();
    let pushed = api.post("/v1/documents", &body).await.with_context(|| name.to_string())?;
    pushed["document_id"].as_str().map(str::to_owned).context("a document has an id")
}

/// The topics, which are to be found whatever comes beside them.
async fn push_good(api: &Api, author: &str, number: usize) -> Result<()> {
    let topic = TOPICS[number % TOPICS.len()];
    let body = json!({ "author": author, "category": "post", "natural_key": topic.file, "markdown": topic.text });
    api.post("/v1/documents", &body).await.map(drop)
}

async fn all_good_are_found(api: &Api, author: &str) -> Result<()> {
    for topic in TOPICS {
        let hits = api.retrieve(author, topic.question, 5).await?;
        ensure!(hits.iter().any(|hit| hit["natural_key"] == topic.file), "{} is not found: {hits:?}", topic.file);
    }
    Ok(())
}

fn check(hostile: &Hostile, document: &Value) -> Result<()> {
    let reason = document["reason"].as_str().unwrap_or_default();
    let searchable = document["searchable"] == true;
    let as_expected = match hostile.ends {
        Ends::Searchable => searchable,
        Ends::Rejected(why) => !searchable && reason.contains(why),
        Ends::Somehow => searchable || !reason.is_empty(),
    };
    ensure!(as_expected, "{} was to end {:?}: searchable {searchable}, {reason:?}", hostile.name, hostile.ends);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_documents_are_searchable_or_have_a_reason() -> Result<()> {
    let (twin, api, author) = twin()?;
    let (bombs, began) = (bombs(), Instant::now());
    let mut ids = Vec::new();
    for (number, bomb) in bombs.iter().enumerate() {
        ids.push(push(&api, &author, bomb).await?);
        push_good(&api, &author, number).await?;
    }
    api.settled(&author).await?;
    ensure!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    let usage = Usage::of(&twin)?;
    ensure!(usage.memory_mb < MEMORY_MB, "{usage:?}");
    for (bomb, id) in bombs.iter().zip(ids) {
        check(bomb, &api.get(&format!("/v1/documents/{id}")).await?)?;
    }
    let letters = api.get("/v1/dlq").await?;
    ensure!(letters["dead_letters"] == json!([]), "{letters}");
    all_good_are_found(&api, &author).await?;
    for hit in api.retrieve(&author, BEACON, 50).await? {
        let text = hit["text"].as_str().context("a hit has a text")?;
        let is_hidden =
            |c: char| matches!(c, '\0' | '\u{1b}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        ensure!(hit["category"] == "code" || !text.contains(is_hidden), "{hit}");
    }
    Ok(())
}

/// What is refused before it becomes a document: each with a problem that says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_with_a_problem() -> Result<()> {
    let (_twin, api, author) = twin()?;
    let document = |key: &str, text: &str| {
        json!({ "author": author, "category": "post", "natural_key": key, "text": text }).to_string().into_bytes()
    };
    let deep = format!("{{\"author\":{}", "[".repeat(1_000_000)).into_bytes();
    let mut broken = document("broken", "caf? and more");
    let at = broken.iter().position(|byte| *byte == b'?').context("it is there")?;
    broken[at] = 0xe9;
    for (what, path, body, status) in [
        ("nested JSON", "/v1/documents", deep.clone(), StatusCode::BAD_REQUEST),
        ("nested JSON", "/v1/chat/completions", deep, StatusCode::BAD_REQUEST),
        ("invalid UTF-8", "/v1/documents", broken, StatusCode::BAD_REQUEST),
        ("a key of two lines", "/v1/documents", document("a\nb", "x"), StatusCode::UNPROCESSABLE_ENTITY),
        ("a key with an escape", "/v1/documents", document("\u{1b}[2J", "x"), StatusCode::UNPROCESSABLE_ENTITY),
        ("a long key", "/v1/documents", document(&"k".repeat(1 << 20), "x"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let request = api.request(Method::POST, path).header("content-type", "application/json").body(body);
        let answer = api.send(request).await.context(what)?;
        ensure!(answer.status == status, "{what}: {} {}", answer.status, answer.json);
        ensure!(answer.json["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {}", answer.json);
    }
    too_large(&api, document("k", &"x".repeat(40 << 20))).await?;
    let large = [document("line", &"x".repeat(9 << 20)), document("good", "a good line")].join(&b'\n');
    let request = api.request(Method::POST, "/v1/documents").header("content-type", "application/x-ndjson");
    let answer = api.send(request.body(large)).await?;
    ensure!(answer.json["accepted"] == 1 && answer.json["failed"][0]["line"] == 1, "{}", answer.json);
    Ok(())
}

/// It is refused before it is read, so that a client may still be writing when the connection ends.
async fn too_large(api: &Api, body: Vec<u8>) -> Result<()> {
    let request = api.request(Method::POST, "/v1/documents").header("content-type", "application/json").body(body);
    if let Ok(answer) = api.send(request).await {
        ensure!(answer.status == StatusCode::PAYLOAD_TOO_LARGE, "{} {}", answer.status, answer.json);
    }
    let refused = api.metrics().await?.sum("twin_gateway_requests_total", &["status=\"413\""]);
    ensure!(refused == 1.0, "{refused} requests were refused as too large");
    Ok(())
}

/// Files that no editor makes.
fn fill(root: &Path, outside: &Path) -> Result<Vec<(String, &'static str)>> {
    let bytes = |name: &[u8]| root.join(OsStr::from_bytes(name));
    fs::write(root.join("utf-8.md"), b"caf\xe9 and more")?;
    fs::write(root.join("nul.md"), b"a\0b")?;
    fs::write(root.join("line.txt"), "all on one line ".repeat(10 << 16))?;
    fs::write(root.join("divs.html"), "<div>".repeat(100_000))?;
    fs::File::create(root.join("sparse.md"))?.set_len(1 << 40)?;
    fs::write(root.join("aliases.md"), format!("---\n{}---\ntext", aliases()))?;
    fs::write(bytes(b"two\nlines.md"), "# Two lines\n\nThe name of this file has two lines.")?;
    fs::write(bytes("\u{202e}dm.\u{2066}bidi.md".as_bytes()), "# Turned\n\nThe name of this file is turned around.")?;
    fs::write(bytes(b"\x1b[2Jescape.md"), "# Escape\n\nThe name of this file clears a terminal.")?;
    fs::write(bytes(b"a\\..\\..\\dots.md"), "# Dots\n\nThe name of this file looks like a path.")?;
    fs::write(bytes(b"caf\xe9.md"), "text")?;
    let long = root.join("d".repeat(200)).join("e".repeat(200)).join("f".repeat(200));
    fs::create_dir_all(&long)?;
    fs::write(long.join("deep.md"), "# Deep\n\nThis file has a long path.")?;
    symlink(outside, root.join("outside"))?;
    symlink(outside.join("secret.md"), root.join("secret.md"))?;
    symlink(root, root.join("loop"))?;
    symlink("itself.md", root.join("itself.md"))?;
    symlink("/dev/zero", root.join("zero.md"))?;
    let made = Command::new("mkfifo").arg(root.join("fifo.md")).status()?;
    ensure!(made.success(), "mkfifo ended with {made}");
    let failed = [
        ("utf-8.md", "UTF-8"),
        ("nul.md", "NUL"),
        ("line.txt", "max_file_bytes"),
        ("sparse.md", "max_file_bytes"),
        ("aliases.md", "front matter"),
        ("caf\u{fffd}.md", "UTF-8"),
        ("fifo.md", "no regular file"),
        ("socket.md", "no regular file"),
    ];
    Ok(failed.map(|(name, reason)| (name.to_owned(), reason)).into())
}

/// YAML that unfolds to billions of values.
fn aliases() -> String {
    let level = |depth: u32| {
        let names = vec![format!("*a{}", depth - 1); 10].join(", ");
        format!("a{depth}: &a{depth} [{names}]\n")
    };
    let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    first + &(1..10).map(level).collect::<String>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_folder_is_read_as_far_as_it_can_be_and_the_rest_is_explained() -> Result<()> {
    let (twin, api, author) = twin()?;
    let (place, outside) = (TempDir::with_prefix("twin-hostile-")?, TempDir::with_prefix("twin-outside-")?);
    fs::write(outside.path().join("secret.md"), format!("# Secret\n\nThe {BEACON} is kept outside of the folder."))?;
    let root = place.path().join("notes");
    fs::create_dir(&root)?;
    for topic in TOPICS {
        fs::write(root.join(topic.file), topic.text)?;
    }
    let failed = fill(&root, outside.path())?;
    let _socket = UnixListener::bind(root.join("socket.md"))?;
    let began = Instant::now();
    let source = api.add_source(&author, root.to_str().context("the path is UTF-8")?).await?;
    ensure!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    ensure!(Usage::of(&twin)?.memory_mb < MEMORY_MB, "{:?}", Usage::of(&twin)?);

    let sync = api.get(&format!("/v1/sources/{source}")).await?["last_sync"].clone();
    let told = sync["failed"].as_array().context("failures are an array")?;
    for (name, reason) in &failed {
        let found = told.iter().find(|failure| failure["natural_key"] == name.as_str());
        let found = found.with_context(|| format!("{name} is not explained: {sync}"))?;
        ensure!(found["reason"].as_str().is_some_and(|told| told.contains(reason)), "{found}");
    }
    ensure!(told.len() == failed.len(), "{sync}");
    all_good_are_found(&api, &author).await?;
    let documents = api.documents(&author).await?;
    for name in ["two\nlines.md", "\u{202e}dm.\u{2066}bidi.md", "\u{1b}[2Jescape.md", "a\\..\\..\\dots.md"] {
        let document = documents.iter().find(|document| document["natural_key"] == name);
        ensure!(document.is_some_and(|document| document["live_revision"] == 1), "{name:?}: {document:?}");
    }
    let divs = documents.iter().find(|document| document["natural_key"] == "divs.html").context("it is listed")?;
    let divs = api.get(&format!("/v1/documents/{}", divs["document_id"].as_str().unwrap_or_default())).await?;
    ensure!(divs["reason"].as_str().is_some_and(|reason| reason.contains("too_deep")), "{divs}");
    for hit in api.retrieve(&author, BEACON, 50).await? {
        ensure!(!hit["text"].to_string().contains(BEACON), "a link out of the folder was followed: {hit}");
    }
    let log = twin.log();
    ensure!(!log.contains('\u{1b}') && !log.contains('\u{202e}'), "names reach the log as they are");
    Ok(())
}
