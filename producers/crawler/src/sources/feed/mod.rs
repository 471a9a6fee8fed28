//! RSS, Atom and JSON Feed. A feed is a window: an item that is no longer in it has not been deleted, so its page is
//! asked, and only pages that say so twice, a day apart, make it gone.

mod address;
mod discover;
mod inspect;
mod memory;
mod parse;
mod settings;

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{Duration, Utc};
use reqwest::StatusCode;
use tracing::{debug, warn};
use twin_schemas::{Category, ContentHash, MediaType};
use url::Url;

use super::thread::joined;
use super::{Collect, Evidence, Listing, Schema, Sink, Source, SourceDocument, schema_for};
use crate::credential::Credential;
use crate::hosts::Waits;
use crate::http::{Answer, Http, Session, Validators};
use crate::network::Reach;
use crate::options::FeedOptions;
use crate::settings::{Invalid, Registration, SecretName};
use crate::{Error, charset};
use memory::{Memory, Probe};
use parse::FeedItem;
use settings::FeedSettings;

const ACCEPT_FEED: &str =
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5";
const ACCEPT_PAGE: &str = "text/html, application/xhtml+xml;q=0.9, */*;q=0.1";

/// A reading that is cut off loses at most so large a part of the pages that it read: each time that a cursor is saved, all
/// of it is written.
const SAVED_PARTS: usize = 50;

/// A hundred years: what a duration holds for certain.
const LONGEST_GONE_AFTER_S: u64 = 100 * 366 * 86_400;

/// See the module.
pub(super) struct Feed {
    options: FeedOptions,
    http: Http,
}

#[async_trait]
impl Source for Feed {
    fn kind(&self) -> &'static str {
        "feed"
    }

    fn recognises(&self, location: &str) -> bool {
        Url::parse(location).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        let url = Url::parse(location)
            .map_err(|error| format!("{location:?} is not an address ({error}); give the feed's http(s) address"))?;
        self.http.guard().check(&url, self.http.guard().reach(&url)).map_err(|error| error.to_string())?;
        let mut feed = address::of_profile(&url);
        feed.set_fragment(None);
        Ok(feed.into())
    }

    fn settings_schema(&self) -> Schema {
        schema_for!(FeedSettings)
    }

    fn secrets(&self) -> &'static [SecretName] {
        settings::SECRETS
    }

    fn check(&self, registration: &Registration<'_>) -> Result<(), Invalid> {
        self.credential(registration).map(drop)
    }

    /// Reads what is there: a feed, or a page that names one.
    async fn inspect(&self, registration: &Registration<'_>) -> Result<String, Error> {
        let url = address_of(registration.location)?;
        let session = self.session(registration, Waits::default())?;
        let found = inspect::find(&session, &url).await?;
        if found == url {
            return Ok(registration.location.to_owned());
        }
        let refused = |problem| Error::Refused { url: found.clone().into(), problem };
        let location = self.accept(found.as_str()).map_err(refused)?;
        // The secret is stored for the location that is found, whose server is shown it from then on: what a page says does
        // not decide to whom it goes.
        let has_secret = session.credential_for(&url).is_some();
        if has_secret && session.credential_for(&address_of(&location)?).is_none() {
            return Err(refused(format!(
                "it is the feed that {url} names, on another server, and the secret is not sent there; register the \
                 feed's own address with the secret that is meant for its server, or without one"
            )));
        }
        Ok(location)
    }

    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let session = self.session(&request.registration(), request.waits.clone())?;
        let mut memory = Memory::read(&request.source.cursor).unwrap_or_else(|error| {
            warn!(source_id = %request.source.id, %error, "unreadable cursor, the feed is read anew");
            Memory::default()
        });
        let registered = address_of(request.location())?;
        let mut sync = FeedSync { feed: self, request, registered, session, memory: &mut memory, sink, pages_read: 0 };
        sync.run().await?;
        Ok(Listing { cursor: memory.write(), evidence: Evidence::Window { gone: memory.gone() } })
    }
}

impl Feed {
    pub fn new(options: FeedOptions, http: Http) -> Self {
        Self { options, http }
    }

    fn credential(&self, registration: &Registration<'_>) -> Result<Option<Credential>, Invalid> {
        let settings: FeedSettings = registration.settings()?;
        let credential = settings.credential(registration)?;
        let is_open = |url: Url| url.scheme() == "http" && self.http.guard().reach(&url) == Reach::Public;
        if credential.is_some() && Url::parse(registration.location).is_ok_and(is_open) {
            return Err(Invalid::new("location", "a secret is sent over https alone; give the https address"));
        }
        Ok(credential)
    }

    fn session(&self, registration: &Registration<'_>, waits: Waits) -> Result<Session, Error> {
        let credential = self.credential(registration)?;
        Ok(self.http.session(address_of(registration.location)?, credential, waits))
    }
}

fn address_of(location: &str) -> Result<Url, Error> {
    Url::parse(location).map_err(|error| Error::Location { location: location.to_owned(), problem: error.to_string() })
}

/// One sync of one feed.
struct FeedSync<'a> {
    feed: &'a Feed,
    request: Collect<'a>,
    registered: Url,
    session: Session,
    memory: &'a mut Memory,
    sink: &'a mut dyn Sink,
    /// Pages that were read since the cursor was saved.
    pages_read: usize,
}

impl FeedSync<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        if let Some(answer) = self.fetch().await? {
            self.read(answer).await?;
        }
        self.forget_what_nobody_knows();
        self.probe_departed().await;
        Ok(())
    }

    /// The feed, or none if it has not changed.
    async fn fetch(&mut self) -> Result<Option<Answer>, Error> {
        let address = self.memory.moved_to.clone().unwrap_or_else(|| self.registered.clone());
        // Validators without documents are of no use: the warehouse was emptied, or the author's documents were.
        let conditional = !self.request.known.is_empty();
        let validators = if conditional { self.memory.validators.clone() } else { Validators::default() };
        let answer = self.get(&address, ACCEPT_FEED, &validators).await?;
        match answer.status() {
            status if status.is_success() => Ok(Some(answer)),
            StatusCode::NOT_MODIFIED if conditional => Ok(None),
            StatusCode::GONE => Err(Error::FeedGone { url: address.into() }),
            _ => Err(self.session.status_error(&answer, Utc::now())),
        }
    }

    async fn read(&mut self, answer: Answer) -> Result<(), Error> {
        let (validators, content_type, url) = (answer.validators(), answer.content_type(), answer.url.clone());
        let moved_to = answer.moved_for_good.then(|| url.clone());
        let body = self.session.body(answer).await?;
        let registered = self.request.location().to_owned();
        let from = url.clone();
        let parsing = tokio::task::spawn_blocking(move || {
            let parsed = parse::parse(&body, content_type.as_deref(), &from, &registered);
            let items = parsed.map_err(|problem| Error::NotAFeed { url: from.into(), problem })?;
            Ok((ContentHash::sha256([body.as_slice()]), items))
        });
        let (hash, items) = joined(parsing.await)?;

        self.memory.begin(hash.as_str().to_owned());
        let pages_between_saves = (items.len() / SAVED_PARTS).max(1);
        let mut all_read = true;
        let mut seen = HashSet::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok(item) if seen.insert(item.identity.clone()) => {
                    let read = self.item(item).await;
                    if matches!(read, Err(Error::RetryAfter { .. })) || self.pages_read >= pages_between_saves {
                        self.save().await?;
                    }
                    all_read &= read?;
                }
                Ok(item) => debug!(identity = item.identity, "listed twice, the first counts"),
                Err(reason) => self.sink.failed(format!("item {}", index + 1), reason).await?,
            }
        }
        // With the validators stored, an unchanged feed would not be read again and a failed item never retried.
        self.memory.validators = if all_read { validators } else { Validators::default() };
        self.memory.partial = None;
        if moved_to.is_some() {
            self.memory.moved_to = moved_to;
        }
        Ok(())
    }

    /// Hands over one item; false if its page could not be read.
    async fn item(&mut self, item: FeedItem) -> Result<bool, Error> {
        let remembered = self.memory.items.entry(item.identity.clone()).or_default();
        remembered.seen_in_feed(item.url.clone());
        let page_validators = remembered.validators.clone();
        if let Some((media_type, content)) = item.content.clone() {
            self.hand_over(item, media_type, content).await?;
            return Ok(true);
        }
        // What a reading that was cut off has recorded is not asked for again.
        if self.memory.has_read(&item.identity) && self.request.known.contains_key(&item.identity) {
            self.sink.unchanged(item.identity).await?;
            return Ok(true);
        }
        match self.page(&item, page_validators.clone()).await {
            Ok(Some((content, validators))) => {
                self.page_was_read(&item.identity, validators);
                self.hand_over(item, MediaType::Html, content).await?;
                Ok(true)
            }
            Ok(None) => {
                self.page_was_read(&item.identity, page_validators);
                self.sink.unchanged(item.identity).await?;
                Ok(true)
            }
            // The feed's own server asks for a pause: the other pages would be asked of it too.
            Err(error @ Error::RetryAfter { .. }) if item.url.and_then(origin) == origin(self.registered.clone()) => {
                Err(error)
            }
            Err(error) => {
                self.sink.failed(item.identity, error.to_string()).await?;
                Ok(false)
            }
        }
    }

    fn page_was_read(&mut self, identity: &str, validators: Validators) {
        self.memory.page_was_read(identity, validators);
        self.pages_read += 1;
    }

    /// Saves what was read so far: a rate limit or the end of the process does not begin it anew.
    async fn save(&mut self) -> Result<(), Error> {
        self.pages_read = 0;
        self.sink.save(self.memory.write()).await
    }

    /// The text of an item's page with its validators; none if it has not changed.
    async fn page(&mut self, item: &FeedItem, validators: Validators) -> Result<Option<(String, Validators)>, Error> {
        let Some(url) = &item.url else {
            let problem = "the feed has neither its text nor a link to it".to_owned();
            return Err(Error::Location { location: item.identity.clone(), problem });
        };
        let known = self.request.known.contains_key(&item.identity);
        let validators = if known { validators } else { Validators::default() };
        let answer = self.get(url, ACCEPT_PAGE, &validators).await?;
        match answer.status() {
            StatusCode::NOT_MODIFIED if known => return Ok(None),
            status if status.is_success() => {}
            _ => return Err(self.session.status_error(&answer, Utc::now())),
        }
        let content_type = answer.content_type();
        if let Some(other) = content_type.as_deref().filter(|content_type| !content_type.contains("html")) {
            let problem = format!("its page is {other}, not HTML");
            return Err(Error::Location { location: url.to_string(), problem });
        }
        let validators = answer.validators();
        let body = self.session.body(answer).await?;
        let decoding = tokio::task::spawn_blocking(move || Ok(charset::html(&body, content_type.as_deref())));
        Ok(Some((joined(decoding.await)?, validators)))
    }

    async fn hand_over(&mut self, item: FeedItem, media_type: MediaType, content: String) -> Result<(), Error> {
        let natural = if item.title.is_some() { Category::Article } else { Category::Post };
        let document = SourceDocument {
            scope: item.scope,
            natural_key: item.identity.clone(),
            identity: item.identity,
            category: self.request.category().unwrap_or(natural),
            title: item.title,
            url: item.url.map(String::from),
            published_at: item.published_at,
            media_type,
            content,
            content_hash: ContentHash::stored(""),
        };
        let document = document.hashed();
        let known = self.request.known.get(&document.identity);
        if known.is_some_and(|(content_hash, _)| *content_hash == document.content_hash) {
            return self.sink.unchanged(document.identity).await;
        }
        self.sink.document(document).await
    }

    /// Drops what has left the feed and is not in the warehouse either; takes in what is known but not remembered, as
    /// after a lost cursor, where its identity says where its page is.
    fn forget_what_nobody_knows(&mut self) {
        let known = &self.request.known;
        self.memory.items.retain(|identity, item| item.listed || known.contains_key(identity));
        for identity in
            known.keys().filter(|identity| self.recalled_page(identity).is_some()).cloned().collect::<Vec<_>>()
        {
            let url = self.recalled_page(&identity);
            self.memory.items.entry(identity).or_default().url = url;
        }
    }

    fn recalled_page(&self, identity: &str) -> Option<Url> {
        if self.memory.items.contains_key(identity) {
            return None;
        }
        Url::parse(identity).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    }

    /// Asks some of the pages of items that have left the feed whether they are still there.
    async fn probe_departed(&mut self) {
        let gone_after_s = self.feed.options.gone_after_s.min(LONGEST_GONE_AFTER_S);
        let gone_after = Duration::seconds(gone_after_s as i64);
        let due = self.memory.due_probes(Utc::now(), gone_after, self.feed.options.probes_per_sync);
        for (identity, url) in due {
            let probe = match self.get(&url, ACCEPT_PAGE, &Validators::default()).await {
                Ok(answer) if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) => Probe::Missing,
                Ok(answer) if answer.status().is_success() => Probe::Present,
                Ok(_) => Probe::Unclear,
                Err(error) => {
                    debug!(identity, %error, "an item's page could not be asked");
                    Probe::Unclear
                }
            };
            if let Some(item) = self.memory.items.get_mut(&identity) {
                item.probed(probe, Utc::now(), gone_after);
            }
        }
    }

    async fn get(&mut self, url: &Url, accept: &str, validators: &Validators) -> Result<Answer, Error> {
        self.session.get(url, accept, validators).await
    }
}

/// The server that an address is asked of.
fn origin(url: Url) -> Option<(String, Option<u16>)> {
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}
