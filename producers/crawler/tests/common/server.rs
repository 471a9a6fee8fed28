//! A real HTTP server on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use twin_crawler::Options;

use super::Driver;

/// What the server answers at a path.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub status: u16,
    pub content_type: &'static str,
    pub etag: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// How long the server thinks.
    pub delay: Duration,
}

impl Page {
    pub fn feed(items: &[&str]) -> Self {
        let body = format!("<rss version=\"2.0\"><channel><title>A</title>{}</channel></rss>", items.concat());
        Self { content_type: "application/rss+xml", ..Self::html(&body) }
    }

    pub fn html(body: &str) -> Self {
        Self { status: 200, content_type: "text/html", body: body.into(), ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::html("") }
    }

    pub fn etag(self, etag: &'static str) -> Self {
        Self { etag: Some(etag), ..self }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server whose pages the test puts there.
#[derive(Clone, Default)]
pub struct Server {
    pages: Arc<Mutex<HashMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Of each request: its path and its headers.
    requests: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    /// Requests under way, and the most of them at a time.
    under_way: Arc<Mutex<(usize, usize)>>,
    pub host: String,
}

impl Server {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { host: listener.local_addr().unwrap().to_string(), ..Self::default() };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// The requests since the last call: path, and `+` where it was conditional.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// A header of the requests for a path, as far as they had it.
    pub fn header(&self, path: &str, name: &str) -> Vec<Option<String>> {
        let requests = self.requests.lock().unwrap();
        let of_path = requests.iter().filter(|(asked, _)| asked == path);
        of_path.map(|(_, headers)| headers.get(name).map(|value| value.to_str().unwrap().to_owned())).collect()
    }

    /// The most requests at a time.
    pub fn most_at_a_time(&self) -> usize {
        self.under_way.lock().unwrap().1
    }

    pub fn options(&self) -> Options {
        let mut options = Options::default();
        options.http.allow_private_hosts = vec![self.host.clone()];
        options.feed.gone_after_s = 0;
        options.per_host.spacing_ms = 0;
        options
    }

    pub fn driver(&self) -> Driver {
        Driver::new(&self.options(), "feed", &self.url("/feed"))
    }

    /// An item whose text is on its page.
    pub fn item_of_page(&self, id: &str) -> String {
        let link = self.url(&format!("/{id}"));
        format!(
            "<item><title>{id}</title><guid>{id}</guid><link>{link}</link><description>Excerpt</description></item>"
        )
    }

    pub fn item(&self, id: &str, text: &str) -> String {
        let url = self.url(&format!("/{id}"));
        format!(
            "<item><title>{id}</title><guid isPermaLink=\"false\">{id}</guid><link>{url}?utm_source=rss</link>\
             <content:encoded xmlns:content=\"http://purl.org/rss/1.0/modules/content/\">{text}\
             </content:encoded></item>"
        )
    }
}

/// A request until its answer is ready, or nobody waits for it any more.
struct UnderWay(Arc<Mutex<(usize, usize)>>);

impl UnderWay {
    fn new(counts: &Arc<Mutex<(usize, usize)>>) -> Self {
        let mut held = counts.lock().unwrap();
        held.0 += 1;
        held.1 = held.1.max(held.0);
        Self(counts.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

async fn answer(State(server): State<Server>, uri: Uri, headers: HeaderMap) -> Response {
    let given = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mark = if given.is_some() { "+" } else { "" };
    server.asked.lock().unwrap().push(format!("{}{mark}", uri.path()));
    server.requests.lock().unwrap().push((uri.path().to_owned(), headers.clone()));
    let page = server.pages.lock().unwrap().get(uri.path()).cloned().unwrap_or_else(|| Page::status(404));
    let _under_way = UnderWay::new(&server.under_way);
    tokio::time::sleep(page.delay).await;
    let unchanged = page.etag.is_some() && given.as_deref() == page.etag;
    let status = if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::from_u16(page.status).unwrap() };
    let mut response = (status, if unchanged { Vec::new() } else { page.body }).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, page.content_type.parse().unwrap());
    for (name, value) in page.headers.iter().cloned().chain(page.etag.map(|etag| ("etag", etag.to_owned()))) {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
