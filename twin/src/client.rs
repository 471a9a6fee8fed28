//! The REST API of a running twin, from outside.

use std::error::Error as _;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use crate::commands::sse::{Event, Parser};
use crate::error::CommandError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A read is a few rows of a store.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A write may be the deletion of all documents of a source, or an answer: the gateway has its own, shorter limit.
const WRITE_TIMEOUT: Duration = Duration::from_secs(600);
/// Half a gigabyte over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// The last event of an answer holds up to 50 passages.
const EVENT_MAX_BYTES: usize = 16 << 20;

/// A client of one twin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Value,
}

impl Reply {
    /// Something new was made (201).
    pub fn is_created(&self) -> bool {
        self.status == StatusCode::CREATED
    }

    /// The JSON document as it came.
    pub fn json(&self) -> &Value {
        &self.body
    }

    /// The JSON document itself.
    pub fn into_json(self) -> Value {
        self.body
    }

    /// The document as a type. An error: it is not what this version of the program knows.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        parse(&self.body)
    }
}

/// A document as a type. An error: it is not what this version of the program knows.
pub fn parse<T: DeserializeOwned>(document: &Value) -> Result<T, CommandError> {
    T::deserialize(document).map_err(unexpected)
}

impl Client {
    /// A client of the twin at an http or https URL. It does not connect yet.
    pub fn new(url: &str) -> Result<Self, CommandError> {
        let usage = |problem: &str| CommandError::Usage(format!("the twin's URL {url:?} {problem}"));
        let base = Url::parse(url).map_err(|error| usage(&format!("can not be read: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(usage("must begin with http:// or https://"));
        }
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
        // A proxy has another idea of what this machine is.
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|error| CommandError::Failed(format!("HTTP client: {}", root_cause(&error))))?;
        Ok(Self { http, base })
    }

    /// The twin's URL.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// `GET /v1/<path…>?<query…>`.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, CommandError> {
        self.reply(self.request(Method::GET, path, query).timeout(READ_TIMEOUT)).await
    }

    /// `POST /v1/<path…>` with a JSON body.
    pub async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Reply, CommandError> {
        self.reply(self.request(Method::POST, path, &[]).timeout(WRITE_TIMEOUT).json(body)).await
    }

    /// `POST /v1/<path…>` without a body.
    pub async fn trigger(&self, path: &[&str]) -> Result<Reply, CommandError> {
        self.reply(self.request(Method::POST, path, &[]).timeout(WRITE_TIMEOUT)).await
    }

    /// `POST /v1/<path…>?<query…>` of a file, as it is read.
    pub async fn upload(&self, path: &[&str], query: &[(&str, &str)], file: &Path) -> Result<Reply, CommandError> {
        let opened = tokio::fs::File::open(file).await;
        let content = opened.map_err(|error| CommandError::Usage(format!("{}: {error}", file.display())))?;
        let request = self.request(Method::POST, path, query).header(CONTENT_TYPE, "application/octet-stream");
        self.reply(request.timeout(UPLOAD_TIMEOUT).body(content)).await
    }

    /// `DELETE /v1/<path…>?<query…>`.
    pub async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, CommandError> {
        self.reply(self.request(Method::DELETE, path, query).timeout(WRITE_TIMEOUT)).await
    }

    /// `GET /v1/<path…>` of a file or a page, as it comes.
    pub async fn content(&self, path: &[&str]) -> Result<Content<'_>, CommandError> {
        let response = self.request(Method::GET, path, &[]).send().await.map_err(|error| self.failed(&error))?;
        Ok(Content { client: self, response: self.accept(response).await? })
    }

    /// `POST /v1/<path…>`, answered as server-sent events. Dropping them ends the request.
    pub async fn events(&self, path: &[&str], body: &impl Serialize) -> Result<Events<'_>, CommandError> {
        let request = self.request(Method::POST, path, &[]).header(ACCEPT, "text/event-stream").json(body);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let response = self.accept(response).await?;
        Ok(Events { client: self, response, parser: Parser::new(EVENT_MAX_BYTES) })
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        // An http URL can have a path: `new` lets no other in.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url)
    }

    async fn reply(&self, request: RequestBuilder) -> Result<Reply, CommandError> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let response = self.accept(response).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        let body = serde_json::from_slice(&body)
            .map_err(|error| CommandError::Failed(format!("{} does not answer like a twin: {error}", self.url())))?;
        Ok(Reply { status, body })
    }

    /// The response, if it is no problem.
    async fn accept(&self, response: Response) -> Result<Response, CommandError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        Err(CommandError::of_problem(status.as_u16(), &body, retry_after.as_deref()))
    }

    fn failed(&self, error: &reqwest::Error) -> CommandError {
        if error.is_timeout() && !error.is_connect() {
            return CommandError::TimedOut(format!("the twin at {} did not answer in time", self.url()));
        }
        CommandError::Unreachable { url: self.url().to_owned(), problem: root_cause(error) }
    }
}

/// Server-sent events of an answer.
#[derive(Debug)]
pub struct Events<'a> {
    client: &'a Client,
    response: Response,
    parser: Parser,
}

impl Events<'_> {
    /// The next event; none at the end.
    pub async fn next(&mut self) -> Result<Option<Event>, CommandError> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            let bytes = self.response.chunk().await.map_err(|error| match self.client.failed(&error) {
                CommandError::Unreachable { url, problem } => {
                    CommandError::Unreachable { url, problem: format!("the connection was cut: {problem}") }
                }
                other => other,
            })?;
            let Some(bytes) = bytes else { return Ok(None) };
            self.parser.feed(&bytes).map_err(|_| {
                CommandError::Failed(format!("an event of the answer is longer than {EVENT_MAX_BYTES} bytes"))
            })?;
        }
    }
}

/// The body of a response that is no JSON document.
pub struct Content<'a> {
    client: &'a Client,
    response: Response,
}

impl Content<'_> {
    /// Writes all of it and returns how many bytes there were. An error: the connection was cut, or the writer failed.
    pub async fn write_to(mut self, writer: &mut impl Write) -> Result<u64, CommandError> {
        let mut written = 0;
        while let Some(bytes) = self.response.chunk().await.map_err(|error| self.client.failed(&error))? {
            writer.write_all(&bytes).map_err(|error| CommandError::Failed(format!("writing: {error}")))?;
            written += bytes.len() as u64;
        }
        Ok(written)
    }
}

/// The error for a document that this program does not know.
pub fn unexpected(error: serde_json::Error) -> CommandError {
    CommandError::Failed(format!("the twin's answer is not as expected ({error}); is it of this program's version?"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The innermost error: those around it only say that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(error) = cause {
        text = Some(error.to_string());
        cause = error.source();
    }
    text.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
pub mod testing {
    use tokio::net::TcpListener;

    use super::*;

    /// A client of these routes, served on a port of their own.
    pub async fn serve(router: axum::Router) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Client::new(&url).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::testing::serve;
    use super::*;

    #[test]
    fn a_bad_url_is_a_usage_error() {
        for url in ["", "localhost:7700", "ftp://example.org", "http://"] {
            assert!(matches!(Client::new(url), Err(CommandError::Usage(_))), "{url:?}");
        }
        assert_eq!(Client::new("http://localhost:7700/").unwrap().url(), "http://localhost:7700");
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for url in ["http://localhost", "http://127.0.0.5:80", "http://[::1]:7700", "http://twin.localhost"] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(!is_loopback(&Url::parse("http://localhost.example.org").unwrap()));
    }

    #[test]
    fn path_segments_and_parameters_are_encoded() {
        let client = Client::new("http://127.0.0.1:1/behind/a/proxy/").unwrap();
        let request =
            client.request(Method::GET, &["dlq", "a/b?c"], &[("url", "https://e.org/?a=b&c")]).build().unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:1/behind/a/proxy/v1/dlq/a%2Fb%3Fc?url=https%3A%2F%2Fe.org%2F%3Fa%3Db%26c"
        );
    }

    #[tokio::test]
    async fn a_twin_that_does_not_run_is_unreachable() {
        // Bound and dropped: nothing listens there.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let client = Client::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let error = client.get(&["status"], &[]).await.unwrap_err();
        assert_eq!(error.exit_code(), 69);
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn a_problem_is_told_with_its_retry_after() {
        let busy = || async {
            let problem =
                json!({"status": 503, "title": "Service Unavailable", "code": "overloaded", "detail": "busy"});
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], Json(problem))
        };
        let client = serve(Router::new().route("/v1/query", post(busy))).await;
        let error = client.post(&["query"], &json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "the twin answered 503 Service Unavailable: busy; try again in 2 s");
        let error = client.events(&["query"], &json!({})).await.unwrap_err();
        assert_eq!(error.exit_code(), 75, "a stream that does not begin fails the same way");
    }

    #[tokio::test]
    async fn a_server_that_is_no_twin_is_told_apart() {
        let routes = Router::new()
            .route("/v1/status", get(async || "<html>welcome</html>"))
            .route("/v1/sources", get(async || Redirect::to("/v1/status")));
        let client = serve(routes).await;
        for path in ["status", "sources"] {
            let error = client.get(&[path], &[]).await.unwrap_err();
            assert!(error.to_string().contains("does not answer like a twin"), "{error}");
        }
        let reply = Reply { status: StatusCode::OK, body: json!({"sources": 5}) };
        assert!(reply.parse::<Vec<String>>().unwrap_err().to_string().contains("not as expected"));
    }

    #[tokio::test]
    async fn events_come_one_by_one_and_end_with_the_stream() {
        let stream = || async {
            let body = "event: delta\ndata: {\"text\": \"a\"}\n\n: keep-alive\n\nevent: done\ndata: {}\n\n";
            ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
        };
        let client = serve(Router::new().route("/v1/query", post(stream))).await;
        let mut events = client.events(&["query"], &json!({})).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().data, "{\"text\": \"a\"}");
        assert_eq!(events.next().await.unwrap().unwrap().name, "done");
        assert_eq!(events.next().await.unwrap(), None);
    }
}
