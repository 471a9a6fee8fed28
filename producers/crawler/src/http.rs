//! Asking servers: conditional requests, redirects followed by hand so that each hop is checked, turns at hosts, and limits.

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
use crate::credential::Credential;
use crate::error::chain;
use crate::hosts::{Hosts, Turn, Waits};
use crate::network::{Guard, Reach, Resolver, without_secrets};
use crate::options::{HttpOptions, PerHostOptions};

const MAX_REDIRECTS: usize = 5;
/// A request is made so often where a host asks each time to come again soon.
const ASKED_IN_ONE_SYNC: u32 = 3;
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

/// A server's answer, its body not read yet. Its host has a request under way until it is dropped.
pub struct Answer {
    response: Response,
    /// Where it came from, after redirects.
    pub url: Url,
    /// Every redirect on the way was permanent, and there was one.
    pub moved_for_good: bool,
    _turn: Turn,
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
        header(&self.response, name)
    }
}

fn header(response: &Response, name: HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The HTTP client of all sources.
#[derive(Clone)]
pub struct Http {
    public: Client,
    any: Client,
    guard: Guard,
    hosts: Hosts,
    max_body_bytes: u64,
}

impl Http {
    /// A client with these limits.
    pub fn new(user_agent: &str, options: &HttpOptions, per_host: &PerHostOptions) -> Result<Self, Error> {
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
            hosts: Hosts::new(per_host),
            max_body_bytes: options.max_body_bytes,
        })
    }

    /// Which addresses may be asked.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Requests on behalf of the source at `source`.
    pub fn session(&self, source: Url, credential: Option<Credential>, waits: Waits) -> Session {
        Session { http: self.clone(), source, credential, waits }
    }
}

/// The requests of one source.
#[derive(Clone)]
pub struct Session {
    http: Http,
    source: Url,
    credential: Option<Credential>,
    waits: Waits,
}

impl Session {
    /// Asks for `url`, following redirects, each hop checked. Waits for its turn at each host, and where a host asks to be
    /// left alone for a while that is not too long.
    pub async fn get(&self, url: &Url, accept: &str, validators: &Validators) -> Result<Answer, Error> {
        let headers = headers(accept, validators);
        let mut hop = url.clone();
        let mut all_permanent = true;
        for redirects in 0..=MAX_REDIRECTS {
            let (response, turn) = self.ask(&hop, &headers).await?;
            let Some(target) = redirect_target(&response, &hop)? else {
                let moved_for_good = redirects > 0 && all_permanent;
                return Ok(Answer { response, url: hop, moved_for_good, _turn: turn });
            };
            all_permanent &=
                matches!(response.status(), StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
            hop = target;
        }
        Err(Error::Http { url: without_secrets(url), problem: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// One hop, again after a while where its host asks for that.
    async fn ask(&self, hop: &Url, headers: &HeaderMap) -> Result<(Response, Turn), Error> {
        let reach = self.http.guard.check(hop, self.http.guard.reach(&self.source))?;
        let client = if reach == Reach::Any { &self.http.any } else { &self.http.public };
        let mut asked = 0;
        loop {
            asked += 1;
            let turn = self.http.hosts.turn(hop, &self.waits).await?;
            let mut request = client.get(hop.clone()).headers(headers.clone());
            if let Some(credential) = self.credential_for(hop) {
                request = request.header(credential.name(), credential.value());
            }
            let response = request.send().await.map_err(|error| no_answer(hop, error))?;
            let status = response.status().as_u16();
            let Some(after_s) = wish(status, header(&response, RETRY_AFTER), Utc::now()) else {
                return Ok((response, turn));
            };
            let silence = Duration::from_secs(after_s);
            self.http.hosts.silence(hop, status, silence);
            if asked >= ASKED_IN_ONE_SYNC || !self.http.hosts.waits_for(silence) {
                return Ok((response, turn));
            }
        }
    }

    /// What is sent to the server that the source is registered at is sent to no other: not by a redirect, not by a link.
    pub fn credential_for(&self, hop: &Url) -> Option<&Credential> {
        self.credential.as_ref().filter(|_| hop.origin() == self.source.origin())
    }

    /// Waits until a host may be asked by other means than this client.
    pub async fn turn(&self, url: &Url) -> Result<Turn, Error> {
        self.http.hosts.turn(url, &self.waits).await
    }

    /// Reads the body, up to the limit.
    pub async fn body(&self, answer: Answer) -> Result<Vec<u8>, Error> {
        let Answer { mut response, url, _turn, .. } = answer;
        let limit_bytes = self.http.max_body_bytes;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&url, error))? {
            // Counted after decompression: a small answer may unpack to gigabytes.
            if (body.len() + chunk.len()) as u64 > limit_bytes {
                return Err(Error::TooLarge { url: without_secrets(&url), limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The error for a status that is not a success.
    pub fn status_error(&self, answer: &Answer, now: DateTime<Utc>) -> Error {
        let url = without_secrets(&answer.url);
        let status = answer.status().as_u16();
        if let Some(after_s) = wish(status, answer.header(RETRY_AFTER), now) {
            return Error::RetryAfter { url, status, after_s };
        }
        let advice = match status {
            401 | 403 | 407 if self.credential_for(&answer.url).is_some() => {
                "the server refuses the secret that the source is registered with: renew it, and register it again with it"
            }
            401 | 407 => {
                "the server asks for a secret: register the source with one, or use an export or a feed that is open"
            }
            403 => "the server does not let the crawler in; use an export or a feed that is open",
            404 => "there is nothing at this address; check it",
            410 => "it was taken down for good",
            503 => "the server is unavailable",
            500..=599 => "the server failed",
            _ => "not an answer that can be used",
        };
        Error::Status { url, status, advice }
    }
}

fn headers(accept: &str, validators: &Validators) -> HeaderMap {
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
    headers
}

/// Seconds that a server asks to be left alone. A 503 that does not say is just a failure.
fn wish(status: u16, retry_after: Option<String>, now: DateTime<Utc>) -> Option<u64> {
    let after_s = retry_after.and_then(|value| retry_after_s(&value, now));
    match status {
        429 => Some(after_s.unwrap_or(DEFAULT_RETRY_AFTER_S)),
        503 => after_s,
        _ => None,
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
