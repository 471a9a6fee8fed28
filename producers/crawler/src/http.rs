//! Asking servers: conditional requests, redirects followed by hand so that each hop is checked, and limits.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
    RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::Error;
use crate::error::chain;
use crate::network::{Guard, Reach, Resolver, without_secrets};
use crate::options::HttpOptions;

const MAX_REDIRECTS: usize = 5;
/// Asked to wait, but not for how long.
const DEFAULT_RETRY_AFTER_S: u64 = 300;

/// What a server gave to tell later whether its answer changed. Sent back verbatim, quotes and `W/` included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// The server gave none.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// A server's answer, its body not read yet.
pub struct Answer {
    response: Response,
    /// Where it came from, after redirects.
    pub url: Url,
    /// Every redirect on the way was permanent, and there was one.
    pub moved_for_good: bool,
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// What to send next time.
    pub fn validators(&self) -> Validators {
        Validators { etag: self.header(ETAG), last_modified: self.header(LAST_MODIFIED) }
    }

    /// `Content-Type`.
    pub fn content_type(&self) -> Option<String> {
        self.header(CONTENT_TYPE)
    }

    fn header(&self, name: HeaderName) -> Option<String> {
        self.response.headers().get(name)?.to_str().ok().map(str::to_owned)
    }
}

/// The HTTP client of all sources.
#[derive(Clone)]
pub struct Http {
    public: Client,
    any: Client,
    guard: Guard,
    max_body_bytes: u64,
}

impl Http {
    /// A client with these limits.
    pub fn new(user_agent: &str, options: &HttpOptions) -> Result<Self, Error> {
        let client = |reach| {
            let built = Client::builder()
                .user_agent(user_agent)
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .dns_resolver(Arc::new(Resolver(reach)))
                .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
                .read_timeout(Duration::from_millis(options.read_timeout_ms))
                .timeout(Duration::from_millis(options.total_timeout_ms))
                .build();
            built.map_err(|error| Error::Http { url: "HTTP client".to_owned(), problem: chain(&error) })
        };
        Ok(Self {
            public: client(Reach::Public)?,
            any: client(Reach::Any)?,
            guard: Guard::new(&options.allow_private_hosts),
            max_body_bytes: options.max_body_bytes,
        })
    }

    /// Which addresses may be asked.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Asks for `url` on behalf of the source at `source`, following redirects, each hop checked.
    pub async fn get(&self, url: &Url, source: &Url, accept: &str, validators: &Validators) -> Result<Answer, Error> {
        let source_reach = self.guard.reach(source);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (ACCEPT, Some(accept)),
            (IF_NONE_MATCH, validators.etag.as_deref()),
            (IF_MODIFIED_SINCE, validators.last_modified.as_deref()),
        ] {
            // What a server gave as a header value is one; were it not, the request would only be unconditional.
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        }
        let mut hop = url.clone();
        let mut all_permanent = true;
        for redirects in 0..=MAX_REDIRECTS {
            let reach = self.guard.check(&hop, source_reach)?;
            let client = if reach == Reach::Any { &self.any } else { &self.public };
            let sent = client.get(hop.clone()).headers(headers.clone()).send().await;
            let response = sent.map_err(|error| no_answer(&hop, error))?;
            let Some(target) = redirect_target(&response, &hop)? else {
                return Ok(Answer { response, url: hop, moved_for_good: redirects > 0 && all_permanent });
            };
            all_permanent &=
                matches!(response.status(), StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
            hop = target;
        }
        Err(Error::Http { url: without_secrets(url), problem: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// Reads the body, up to the limit.
    pub async fn body(&self, answer: Answer) -> Result<Vec<u8>, Error> {
        let Answer { mut response, url, .. } = answer;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&url, error))? {
            // Counted after decompression: a small answer may unpack to gigabytes.
            if (body.len() + chunk.len()) as u64 > self.max_body_bytes {
                return Err(Error::TooLarge { url: without_secrets(&url), limit_bytes: self.max_body_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn no_answer(url: &Url, error: reqwest::Error) -> Error {
    Error::Http { url: without_secrets(url), problem: chain(&error.without_url()) }
}

fn redirect_target(response: &Response, from: &Url) -> Result<Option<Url>, Error> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| from.join(location).ok());
    target.map(Some).ok_or_else(|| Error::Http {
        url: without_secrets(from),
        problem: format!("{} without a usable Location", status.as_u16()),
    })
}

/// The error for a status that is not a success.
pub fn status_error(answer: &Answer, now: DateTime<Utc>) -> Error {
    let url = without_secrets(&answer.url);
    let status = answer.status().as_u16();
    let advice = match status {
        429 | 503 => {
            let after = answer.header(RETRY_AFTER).and_then(|value| retry_after_s(&value, now));
            if status == 429 || after.is_some() {
                return Error::RetryAfter { url, status, after_s: after.unwrap_or(DEFAULT_RETRY_AFTER_S) };
            }
            "the server is unavailable"
        }
        401 | 403 | 407 => "the server does not let the crawler in; use an export or a feed that is open",
        404 => "there is nothing at this address; check it",
        410 => "it was taken down for good",
        500..=599 => "the server failed",
        _ => "not an answer that can be used",
    };
    Error::Status { url, status, advice }
}

/// Seconds from a `Retry-After`: a number, or a date (RFC 9110, section 10.2.3).
fn retry_after_s(value: &str, now: DateTime<Utc>) -> Option<u64> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(seconds);
    }
    let at = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some(u64::try_from((at.with_timezone(&Utc) - now).num_seconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: DateTime<Utc> = "2015-10-21T07:27:00Z".parse().unwrap();
        assert_eq!(retry_after_s("120", now), Some(120));
        assert_eq!(retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(60));
        assert_eq!(retry_after_s("Wed, 21 Oct 2015 07:26:00 GMT", now), Some(0));
        assert_eq!(retry_after_s("soon", now), None);
    }
}
