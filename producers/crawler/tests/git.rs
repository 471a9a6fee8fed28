//! A git repository, on the disk and behind a real git server.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use common::{Driver, commit, git, write};
use std::io::Write;
use tempfile::tempdir;
use twin_crawler::sources::{Evidence, Sink, SourceDocument};
use twin_crawler::{Error, Options};
use twin_schemas::{Category, MediaType};

const CODE: &str = "def f(x):\n\tif x:\n        return  1\n\n\n";

fn example(root: &Path) {
    write(root, "src/engine.py", CODE);
    write(root, "README.md", "# Engine\n");
    write(root, "Cargo.lock", "x");
    write(root, "vendor/other.py", "x");
    write(root, "generated/api.py", "x");
    write(root, "generated/kept.py", "kept");
    write(root, "logo.png", b"\x89PNG");
    write(root, "data.bin2", b"a\0b");
    write(root, "generated/.gitattributes", "api.py linguist-generated=true\n");
    write(root, ".gitattributes", "*.gen.py linguist-generated\nown.gen.py -linguist-generated\n");
    write(root, "x.gen.py", "x");
    write(root, "own.gen.py", "own");
    std::os::unix::fs::symlink("src/engine.py", root.join("link.py")).unwrap();
    commit(root);
}

#[tokio::test]
async fn the_files_of_the_newest_commit_are_listed_with_whitespace_intact() {
    let root = tempdir().unwrap();
    example(root.path());
    write(root.path(), "uncommitted.py", "x");
    let mut driver = Driver::new(&Options::default(), "git", root.path().to_str().unwrap());
    let (found, listing) = driver.sync().await.unwrap();
    let expected =
        [".gitattributes", "README.md", "generated/.gitattributes", "generated/kept.py", "own.gen.py", "src/engine.py"];
    assert_eq!(found.keys(), expected);
    assert_eq!(listing.evidence, Evidence::Complete);
    let code = found.get("src/engine.py");
    assert_eq!((code.content.as_str(), code.category, code.media_type), (CODE, Category::Code, MediaType::Text));
    assert_eq!(code.title.as_deref(), Some("src/engine.py"));
    assert!(code.content_hash.as_str().starts_with("git:"));
    let readme = found.get("README.md");
    assert_eq!((readme.category, readme.title.as_deref()), (Category::Code, Some("README.md")));
}

#[tokio::test]
async fn prose_is_what_the_author_says_it_is_and_its_front_matter_counts() {
    let root = tempdir().unwrap();
    example(root.path());
    write(root.path(), "posts/engines.md", "---\ntitle: On engines\ndate: 2025-01-31\n---\n# Heading\n");
    write(root.path(), "posts/draft.md", "---\ndraft: true\n---\nNot yet.\n");
    write(root.path(), "posts/wrong.md", "---\ndate: soon\n---\nText.\n");
    commit(root.path());
    let mut driver = Driver::new(&Options::default(), "git", root.path().to_str().unwrap());
    let (as_code, _) = driver.sync().await.unwrap();
    let mut driver = driver.category(Category::Article);
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["README.md", "posts/engines.md"], "code is as it was, a draft is left out");
    let post = found.get("posts/engines.md");
    assert_eq!((post.category, post.media_type), (Category::Article, MediaType::Markdown));
    assert_eq!((post.title.as_deref(), post.content.as_str()), (Some("On engines"), "# Heading\n"));
    assert!(post.published_at.is_some());
    assert_ne!(post.content_hash, as_code.get("posts/engines.md").content_hash);
    assert!(found.failed["posts/wrong.md"].contains("date"), "{:?}", found.failed);
}

#[tokio::test]
async fn only_files_whose_content_changed_are_handed_over_again() {
    let root = tempdir().unwrap();
    example(root.path());
    let mut driver = Driver::new(&Options::default(), "git", root.path().to_str().unwrap());
    driver.sync().await.unwrap();
    write(root.path(), "src/engine.py", "x = 1\n");
    std::fs::remove_file(root.path().join("README.md")).unwrap();
    commit(root.path());
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["src/engine.py"]);
    assert!(!found.unchanged.contains(&"README.md".to_owned()));
    assert_eq!(found.unchanged.len(), 4);
}

#[tokio::test]
async fn a_bare_repository_is_read_and_one_without_a_commit_is_an_error() {
    let root = tempdir().unwrap();
    let (work, bare, empty) = (root.path().join("work"), root.path().join("bare.git"), root.path().join("empty"));
    example(&work);
    git(root.path(), &["clone", "--quiet", "--bare", "work", "bare.git"]);
    let (found, _) = Driver::new(&Options::default(), "git", bare.to_str().unwrap()).sync().await.unwrap();
    assert_eq!(found.get("src/engine.py").content, CODE);
    std::fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "--quiet"]);
    let error = Driver::new(&Options::default(), "git", empty.to_str().unwrap()).sync().await.unwrap_err();
    assert!(error.to_string().contains("no commit"), "{error}");
}

#[tokio::test]
async fn a_branch_that_is_published_on_a_forge_gives_each_file_its_page() {
    let root = tempdir().unwrap();
    example(root.path());
    git(root.path(), &["remote", "add", "origin", "git@github.com:ada/engine.git"]);
    let page = async || {
        let (found, _) = Driver::new(&Options::default(), "git", root.path().to_str().unwrap()).sync().await.unwrap();
        found.get("src/engine.py").url.clone()
    };
    assert_eq!(page().await, None, "never pushed");
    git(root.path(), &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    assert_eq!(page().await.as_deref(), Some("https://github.com/ada/engine/blob/main/src/engine.py"));
}

#[tokio::test]
async fn a_remote_repository_is_fetched_without_history_and_brought_up_to_date() {
    let root = tempdir().unwrap();
    let (work, options, url) = served(root.path()).await;
    write(&work, "history.py", "gone\n");
    commit(&work);
    std::fs::remove_file(work.join("history.py")).unwrap();
    commit(&work);
    let mut driver = Driver::new(&options, "git", &format!("{url}/work/.git"));
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.get("src/engine.py").content, CODE);

    let (found, _) = driver.sync().await.unwrap();
    assert_eq!((found.keys().len(), found.unchanged.len()), (0, 6));

    let copy = std::fs::read_dir(&options.git.work_dir).unwrap().next().unwrap().unwrap().path();
    assert!(copy.join("shallow").exists(), "without history");
    std::fs::write(copy.join("mark"), "").unwrap();
    for round in 0..3 {
        write(&work, "src/engine.py", format!("round = {round}\n"));
        commit(&work);
        let (found, listing) = driver.sync().await.unwrap();
        assert_eq!(found.keys(), ["src/engine.py"], "round {round}");
        assert_eq!(listing.evidence, Evidence::Complete);
    }

    // A rewritten history is just another newest commit.
    git(&work, &["checkout", "--quiet", "--orphan", "fresh"]);
    write(&work, "src/engine.py", "rewritten\n");
    commit(&work);
    git(&work, &["branch", "--quiet", "--force", "main", "fresh"]);
    git(&work, &["checkout", "--quiet", "main"]);
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.get("src/engine.py").content, "rewritten\n");
    assert!(copy.join("mark").exists(), "the copy was brought up to date, not made anew");
}

#[tokio::test]
async fn a_damaged_copy_is_made_anew() {
    let root = tempdir().unwrap();
    let (_, options, url) = served(root.path()).await;
    let mut driver = Driver::new(&options, "git", &format!("{url}/work/.git"));
    driver.sync().await.unwrap();
    let copy = std::fs::read_dir(&options.git.work_dir).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(copy.join("HEAD")).unwrap();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.unchanged.len(), 6);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_one_that_is_gone_deletes_nothing() {
    let root = tempdir().unwrap();
    let (_, options, url) = served(root.path()).await;
    let (found, _) = Driver::new(&options, "git", &format!("{url}/old-name.git")).sync().await.unwrap();
    assert_eq!(found.get("src/engine.py").content, CODE);
    let error = Driver::new(&options, "git", &format!("{url}/nothing.git")).sync().await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_repository_at_a_private_address_is_not_asked_unless_its_host_is_listed() {
    let root = tempdir().unwrap();
    let (_, mut options, url) = served(root.path()).await;
    let location = format!("{url}/work/.git");
    let mut driver = Driver::new(&options, "git", &location);
    options.http.allow_private_hosts.clear();
    let sources = twin_crawler::Sources::new(&options).unwrap();
    assert!(sources.resolve(None, &location).unwrap_err().contains("not a public address"));
    let mut elsewhere = Driver::new(&options, "git", "https://ada.example/x.git");
    elsewhere.row.source.location = location;
    assert!(matches!(elsewhere.sync().await, Err(Error::Refused { .. })));
    assert!(driver.sync().await.is_ok());
}

/// A sink that is never done with its third document.
#[derive(Default)]
struct Stuck(usize);

#[async_trait]
impl Sink for Stuck {
    async fn document(&mut self, _: SourceDocument) -> Result<(), Error> {
        self.0 += 1;
        if self.0 == 3 { std::future::pending().await } else { Ok(()) }
    }

    async fn unchanged(&mut self, _: String) -> Result<(), Error> {
        Ok(())
    }

    async fn failed(&mut self, _: String, _: String) -> Result<(), Error> {
        Ok(())
    }

    async fn save(&mut self, _: serde_json::Value) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_was_cut_off_after_its_fetch_fetches_nothing_again() {
    let root = tempdir().unwrap();
    let (_, options, url) = served(root.path()).await;
    let fetches = || {
        let log = std::fs::read_to_string(root.path().join("asked")).unwrap();
        log.lines().filter(|line| line.contains("command=fetch")).count()
    };
    let mut driver = Driver::new(&options, "git", &format!("{url}/work/.git"));
    let mut stuck = Stuck::default();
    let cut_off = driver.sync_into(&mut stuck);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(5), cut_off).await.is_err());
    assert_eq!((stuck.0, fetches()), (3, 1));
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!((found.keys().len(), fetches()), (6, 1));
}

#[tokio::test]
async fn a_private_repository_is_shown_a_token_that_is_written_down_nowhere() {
    const TOKEN: &str = "s3cr3t-0f-ada";
    let root = tempdir().unwrap();
    let (work, options, url) = served(root.path()).await;
    // ada:s3cr3t-0f-ada
    write(root.path(), "authorization", "Basic YWRhOnMzY3IzdC0wZi1hZGE=");
    let location = format!("{url}/work/.git");
    let error = Driver::new(&options, "git", &location).sync().await.unwrap_err().to_string();
    assert!(error.contains("register the source with one"), "{error}");
    let with =
        |token: &str| Driver::new(&options, "git", &location).with(serde_json::json!({"user": "ada"}), "token", token);
    let error = with("expired").sync().await.unwrap_err().to_string();
    assert!(error.contains("renew it") && !error.contains("expired"), "{error}");
    let mut driver = with(TOKEN);
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.get("src/engine.py").content, CODE);
    write(&work, "src/engine.py", "edited\n");
    commit(&work);
    assert_eq!(driver.sync().await.unwrap().0.keys(), ["src/engine.py"]);
    let copies = walkdir::WalkDir::new(&options.git.work_dir).into_iter().map(Result::unwrap);
    let files: Vec<_> = copies.filter(|entry| entry.file_type().is_file()).collect();
    assert!(files.iter().any(|file| file.file_name() == "config"), "{files:?}");
    for file in files {
        let content = String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned();
        assert!(!content.contains(TOKEN) && !content.contains("YWRhOnMz"), "{}", file.path().display());
    }
}

/// A repository in `work` under the folder, served by git's own CGI program; options that let it be reached; and where.
async fn served(root: &Path) -> (PathBuf, Options, String) {
    let work = root.join("work");
    example(&work);
    let app = Router::new()
        .route(
            "/old-name.git/{*rest}",
            any(async |uri: Uri| {
                let target = uri.to_string().replace("/old-name.git/", "/work/.git/");
                Redirect::permanent(&target)
            }),
        )
        .fallback(backend)
        .with_state(root.to_owned());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut options = Options::default();
    options.http.allow_private_hosts = vec![host.clone()];
    options.git.work_dir = root.join("copies");
    options.per_host.spacing_ms = 0;
    (work, options, format!("http://{host}"))
}

async fn backend(
    State(root): State<PathBuf>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let asked = String::from_utf8_lossy(&body).replace('\n', " ");
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(root.join("asked")).unwrap();
    writeln!(log, "{method} {uri} {asked}").unwrap();
    if let Ok(expected) = std::fs::read_to_string(root.join("authorization"))
        && headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&expected)
    {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"git\"")]).into_response();
    }
    tokio::task::spawn_blocking(move || cgi(&root, &method, &uri, &headers, &body)).await.unwrap()
}

fn cgi(root: &Path, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let mut status = StatusCode::OK;
    let mut response_headers = HeaderMap::new();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = value[..3].parse().unwrap();
        } else {
            response_headers.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
    }
    (status, response_headers, output[split + 4..].to_vec()).into_response()
}
