//! From a feed's bytes to its items.

use chrono::{DateTime, Utc};
use dom_query::Document;
use feed_rs::model::{Entry, Link, Text};
use feed_rs::parser;
use twin_schemas::MediaType;
use url::Url;

use super::address::{canonical, medium_post_id};
use crate::charset;

/// A title longer than this is taken as it is, bytes.
const TITLE_BYTES: usize = 4096;

/// An item of a feed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeedItem {
    /// Empty where the identity is unique by itself.
    pub scope: String,
    pub identity: String,
    pub title: Option<String>,
    pub url: Option<Url>,
    pub published_at: Option<DateTime<Utc>>,
    /// The text, where the feed has all of it; else it is on the item's page.
    pub content: Option<(MediaType, String)>,
}

/// Parses a feed that came from `url` and is registered as `registered`. An item that can not be identified is an
/// error of its own.
pub(super) fn parse(
    bytes: &[u8],
    content_type: Option<&str>,
    url: &Url,
    registered: &str,
) -> Result<Vec<Result<FeedItem, String>>, String> {
    let decoded = charset::feed(bytes, content_type);
    let lenient = lenient_json(&decoded);
    let parser = parser::Builder::new()
        .base_uri(Some(url))
        // An id made up from link and title would change with the title: none is better.
        .id_generator(|_, _, _| String::new())
        .build();
    let feed = parser.parse(lenient.as_deref().unwrap_or(&decoded)).map_err(|error| error.to_string())?;
    Ok(feed.entries.into_iter().enumerate().map(|(index, entry)| item(index, entry, url, registered)).collect())
}

/// A JSON feed with what the specification lets through and the parser does not: numbers as ids ("a reader must coerce
/// to a string"), and no title.
fn lenient_json(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut feed: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let object = feed.as_object_mut()?;
    object.entry("title").or_insert_with(|| "".into());
    for item in object.get_mut("items")?.as_array_mut()? {
        if let Some(id) = item.get_mut("id").filter(|id| id.is_number()) {
            *id = id.to_string().into();
        }
    }
    serde_json::to_vec(&feed).ok()
}

fn item(index: usize, entry: Entry, base: &Url, registered: &str) -> Result<FeedItem, String> {
    let url = page(&entry.links, base);
    let (scope, identity) = identity(entry.id.trim(), url.as_ref(), registered)
        .ok_or_else(|| format!("item {} has neither an id nor a link", index + 1))?;
    let title = entry.title.map(plain).filter(|title| !title.is_empty());
    let written = entry.content.and_then(|content| {
        let media_type = media_type(content.content_type.subty().as_str());
        Some((media_type, content.body?))
    });
    // The description of an item without a title is all of its text (RSS 2.0); with a title it may be an excerpt.
    let is_whole = title.is_none() || url.is_none();
    let summary = entry.summary.filter(|_| is_whole).map(|text| (MediaType::Html, text.content));
    let content = written.or(summary).filter(|(_, text)| !text.trim().is_empty());
    Ok(FeedItem { scope, identity, title, url, published_at: entry.published.or(entry.updated), content })
}

fn media_type(subtype: &str) -> MediaType {
    match subtype {
        "plain" => MediaType::Text,
        "markdown" => MediaType::Markdown,
        _ => MediaType::Html,
    }
}

/// The page that a person reads: the first link that is not to something else (an enclosure, replies, the feed).
fn page(links: &[Link], base: &Url) -> Option<Url> {
    let is_page = |link: &&Link| matches!(link.rel.as_deref(), None | Some("alternate")) && link.length.is_none();
    let url = base.join(links.iter().find(is_page)?.href.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| canonical(&url))
}

/// The scope and the identity of an item. An id that is an address, a `urn:` or a `tag:` is unique by itself; any other
/// is unique within its feed.
fn identity(id: &str, page: Option<&Url>, registered: &str) -> Option<(String, String)> {
    let Ok(url) = Url::parse(id) else {
        let by_page = || page.map(|page| (String::new(), page.to_string()));
        return if id.is_empty() { by_page() } else { Some((registered.to_owned(), id.to_owned())) };
    };
    if let Some(post_id) = medium_post_id(&url) {
        return Some((String::new(), post_id));
    }
    match url.scheme() {
        // Kept as it is written unless it carries tracking parameters.
        "http" | "https" if canonical(&url).query() != url.query() => {
            Some((String::new(), canonical(&url).to_string()))
        }
        "http" | "https" | "urn" | "tag" => Some((String::new(), id.to_owned())),
        _ => Some((registered.to_owned(), id.to_owned())),
    }
}

/// A title as plain text.
fn plain(title: Text) -> String {
    let is_html = title.content_type.subty().as_str() == "html" || title.content_type.subty().as_str() == "xhtml";
    // Parsing takes time that grows with the square of the nesting: what is longer is no title.
    let text = if is_html && title.content.len() <= TITLE_BYTES {
        Document::from(title.content).text().to_string()
    } else {
        title.content
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = "https://ada.example/feed";

    fn items(feed: &str) -> Vec<FeedItem> {
        let parsed = parse(feed.as_bytes(), None, &FEED.parse().unwrap(), FEED).unwrap();
        parsed.into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn mediums_items_are_known_by_their_post_id_and_carry_their_whole_text() {
        let feed = r#"<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
            <channel><title>A</title>
            <item><title><![CDATA[Engines & looms]]></title>
            <link>https://medium.com/@ada/engines-0123456789ab?source=rss-1------2</link>
            <guid isPermaLink="false">https://medium.com/p/0123456789ab</guid>
            <pubDate>Wed, 08 Jan 2025 12:00:00 GMT</pubDate>
            <content:encoded><![CDATA[<p>All of it.</p>]]></content:encoded></item></channel></rss>"#;
        let item = items(feed).remove(0);
        assert_eq!((item.scope.as_str(), item.identity.as_str()), ("", "0123456789ab"));
        assert_eq!(item.url.unwrap().as_str(), "https://medium.com/@ada/engines-0123456789ab");
        assert_eq!(item.title.as_deref(), Some("Engines & looms"));
        assert_eq!(item.published_at, Some("2025-01-08T12:00:00Z".parse().unwrap()));
        assert_eq!(item.content, Some((MediaType::Html, "<p>All of it.</p>".into())));
    }

    #[test]
    fn an_id_that_is_unique_only_within_its_feed_is_scoped_to_it() {
        let feed = r#"<rss version="2.0"><channel><title>A</title>
            <item><title>1</title><guid>42</guid><link>/a</link></item>
            <item><title>2</title><guid>urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a</guid></item>
            <item><title>3</title><link>https://ada.example/c?utm_source=rss</link></item></channel></rss>"#;
        let items = items(feed);
        assert_eq!((items[0].scope.as_str(), items[0].identity.as_str()), (FEED, "42"));
        assert_eq!(items[0].url.as_ref().unwrap().as_str(), "https://ada.example/a");
        assert_eq!(items[1].scope, "");
        assert_eq!((items[2].scope.as_str(), items[2].identity.as_str()), ("", "https://ada.example/c"));
    }

    #[test]
    fn an_atom_entry_has_its_alternate_link_and_a_plain_title() {
        let feed = r#"<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>A</title>
            <entry><id>tag:ada.example,2025:1</id><title type="html">Looms &amp;amp; &lt;b&gt;engines&lt;/b&gt;</title>
            <link rel="replies" href="https://ada.example/replies"/><link rel="alternate" href="https://ada.example/1"/>
            <updated>2025-01-09T00:00:00Z</updated><published>2025-01-08T00:00:00Z</published>
            <content type="html">&lt;p&gt;Text&lt;/p&gt;</content></entry></feed>"#;
        let item = items(feed).remove(0);
        assert_eq!(item.title.as_deref(), Some("Looms & engines"));
        assert_eq!(item.url.unwrap().as_str(), "https://ada.example/1");
        assert_eq!(item.content, Some((MediaType::Html, "<p>Text</p>".into())));
        assert_eq!(item.published_at, Some("2025-01-08T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_json_feed_may_number_its_items_and_leave_titles_out() {
        let feed = r#"{"version":"https://jsonfeed.org/version/1.1","items":[
            {"id":7,"url":"https://ada.example/7","content_text":"A short note.",
             "attachments":[{"url":"https://ada.example/7.mp3","mime_type":"audio/mpeg"}]},
            {"id":"https://ada.example/8","title":"Long","content_html":"<p>Long</p>"}]}"#;
        let items = items(feed);
        assert_eq!((items[0].identity.as_str(), items[0].title.as_deref()), ("7", None));
        assert_eq!(items[0].content, Some((MediaType::Text, "A short note.".into())));
        assert_eq!(items[1].content, Some((MediaType::Html, "<p>Long</p>".into())));
    }

    #[test]
    fn a_titled_item_with_a_summary_only_has_its_text_on_its_page() {
        let feed = r#"<rss version="2.0"><channel><title>A</title>
            <item><title>T</title><guid>1</guid><link>https://ada.example/1</link>
            <description>Excerpt…</description></item>
            <item><guid>2</guid><link>https://ada.example/2</link><description>A whole note.</description></item>
            </channel></rss>"#;
        let items = items(feed);
        assert_eq!(items[0].content, None);
        assert_eq!(items[1].content, Some((MediaType::Html, "A whole note.".into())));
    }

    #[test]
    fn a_page_is_not_a_feed() {
        let parsed = parse(b"<html><body>Just a moment...</body></html>", None, &FEED.parse().unwrap(), FEED);
        assert!(parsed.is_err());
    }

    /// A feed of each format, to be damaged.
    const WHOLE: [&str; 3] = [
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><rss version=\"2.0\"><channel><title>A</title><item><guid>1</guid>\
         <title>t &amp; u</title><link>https://ada.example/1</link><pubDate>Wed, 08 Jan 2025 12:00:00 GMT</pubDate>\
         <description><![CDATA[<p>x</p>]]></description></item></channel></rss>",
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>a</id><title>A</title><updated>2025-01-08T12:00:00Z</updated>\
         <entry><id>1</id><title>t</title><updated>2025-01-08T12:00:00Z</updated><content type=\"html\">x</content>\
         </entry></feed>",
        "{\"version\":\"https://jsonfeed.org/version/1.1\",\"title\":\"A\",\"items\":[{\"id\":\"1\",\"url\":\
         \"https://ada.example/1\",\"content_html\":\"<p>x</p>\",\"date_published\":\"2025-01-08T12:00:00Z\"}]}",
    ];

    proptest::proptest! {
        #[test]
        fn a_damaged_feed_is_an_error_or_items_that_can_be_told_apart(
            whole in 0..WHOLE.len(),
            at in 0.0..1.0_f64,
            cut in 0..60_usize,
            put in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            content_type in proptest::option::of("[a-z/; =\\-0-9]{0,30}"),
        ) {
            let mut bytes = WHOLE[whole].as_bytes().to_vec();
            let start = (at * bytes.len() as f64) as usize;
            bytes.splice(start..(start + cut).min(bytes.len()), put);
            let parsed = parse(&bytes, content_type.as_deref(), &FEED.parse().unwrap(), FEED);
            for item in parsed.into_iter().flatten().flatten() {
                proptest::prop_assert!(!item.identity.is_empty());
            }
        }
    }
}
