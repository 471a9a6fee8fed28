//! What is at an address that somebody registers: a feed, a page that names one, or neither.

use chrono::Utc;
use reqwest::StatusCode;
use url::Url;

use super::discover::feeds_in;
use super::{ACCEPT_FEED, parse};
use crate::http::{Session, Validators};
use crate::sources::thread::joined;
use crate::{Error, charset};

/// Feeds of a page that are tried.
const FEEDS_TRIED: usize = 5;
/// How far an answer is searched for the beginning of a page, bytes.
const PAGE_BEGINS_BYTES: usize = 1024;

/// The address of the feed: this one, or the first that can be read of those that the page here names.
pub(super) async fn find(session: &Session, url: &Url) -> Result<Url, Error> {
    let feeds = match look(session, url).await? {
        Seen::Feed => return Ok(url.clone()),
        Seen::Page(feeds) => feeds,
        Seen::Neither(problem) => return Err(Error::NotAFeed { url: url.to_string(), problem }),
    };
    let (mut why_not, mut busy) = (None, None);
    for feed in feeds.into_iter().take(FEEDS_TRIED) {
        let problem = match look(session, &feed).await {
            Ok(Seen::Feed) => return Ok(feed),
            Ok(_) => format!("{feed} is none"),
            Err(error) if error.is_transient() => {
                busy.get_or_insert(error);
                continue;
            }
            Err(error) => error.to_string(),
        };
        why_not.get_or_insert(problem);
    }
    // It may be the feed.
    if let Some(error) = busy {
        return Err(error);
    }
    let problem = match why_not {
        None => "it is a page that names no feed (<link rel=\"alternate\">); give the address of the feed".to_owned(),
        Some(problem) => format!("it is a page, and no feed that it names can be read: {problem}"),
    };
    Err(Error::NotAFeed { url: url.to_string(), problem })
}

enum Seen {
    Feed,
    /// A page, and the feeds that it names.
    Page(Vec<Url>),
    /// What is wrong with it as a feed.
    Neither(String),
}

async fn look(session: &Session, url: &Url) -> Result<Seen, Error> {
    let answer = session.get(url, ACCEPT_FEED, &Validators::default()).await?;
    if answer.status() == StatusCode::GONE {
        return Err(Error::FeedGone { url: url.to_string() });
    }
    if !answer.status().is_success() {
        return Err(session.status_error(&answer, Utc::now()));
    }
    let (content_type, from) = (answer.content_type(), answer.url.clone());
    let body = session.body(answer).await?;
    let looking = tokio::task::spawn_blocking(move || {
        let problem = match parse::parse(&body, content_type.as_deref(), &from, from.as_str()) {
            Ok(_) => return Ok(Seen::Feed),
            Err(problem) => problem,
        };
        let says_html = content_type.as_deref().is_some_and(|content_type| content_type.contains("html"));
        let page = charset::html(&body, content_type.as_deref());
        let beginning = &page[..page.floor_char_boundary(PAGE_BEGINS_BYTES)];
        let is_page = says_html || beginning.to_ascii_lowercase().contains("<html");
        Ok(if is_page { Seen::Page(feeds_in(&page, &from)) } else { Seen::Neither(problem) })
    });
    joined(looking.await)
}
