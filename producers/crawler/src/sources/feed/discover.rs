//! The feeds that a page names: `<link rel="alternate" type="application/rss+xml" href="…">` (RSS Board, "RSS
//! Autodiscovery"; WHATWG HTML, "link type alternate").

use dom_query::Document;
use url::Url;

/// How far a page is searched, bytes: such links stand in its head.
const SEARCHED_BYTES: usize = 512 << 10;
/// Links that are looked at.
const LINKS: usize = 200;
/// A tag longer than this is none that names a feed, bytes.
const TAG_BYTES: usize = 4096;

/// Types of feeds, and the one that feeds share with much else.
const TYPES: [&str; 4] = ["application/rss+xml", "application/atom+xml", "application/feed+json", "application/json"];
const SHARED_TYPE: &str = "application/json";

/// The addresses of the feeds that the page at `url` names, in its order; those that may be something else come last.
/// The page as a whole is not parsed: deep nesting would take long, and only single tags matter.
pub(super) fn feeds_in(page: &str, url: &Url) -> Vec<Url> {
    let base = tags(page, "<base").take(LINKS).find_map(|tag| url.join(&attribute(tag, "base", "href")?).ok());
    let base = base.unwrap_or_else(|| url.clone());
    let mut feeds = Vec::new();
    let mut perhaps = Vec::new();
    for tag in tags(page, "<link").take(LINKS) {
        let Some((feed, is_shared)) = feed(tag, &base) else { continue };
        let list = if is_shared { &mut perhaps } else { &mut feeds };
        if !list.contains(&feed) {
            list.push(feed);
        }
    }
    feeds.extend(perhaps);
    feeds
}

/// The address of the feed that a tag names, and whether its type is one of much else too.
fn feed(tag: &str, base: &Url) -> Option<(Url, bool)> {
    let rel = attribute(tag, "link", "rel")?;
    let is_alternate = rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("alternate"));
    let content_type = attribute(tag, "link", "type")?;
    let content_type = content_type.split(';').next()?.trim().to_ascii_lowercase();
    if !is_alternate || !TYPES.contains(&content_type.as_str()) {
        return None;
    }
    let url = base.join(attribute(tag, "link", "href")?.trim()).ok()?;
    matches!(url.scheme(), "http" | "https").then_some((url, content_type == SHARED_TYPE))
}

/// The tags that begin so, each without what comes after it.
fn tags<'a>(page: &'a str, beginning: &'a str) -> impl Iterator<Item = &'a str> {
    let page = &page[..page.floor_char_boundary(SEARCHED_BYTES)];
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = find(&page[at..], beginning)? + at;
            at = start + beginning.len();
            let is_whole_name = page[at..].starts_with(|next: char| next.is_ascii_whitespace() || next == '/');
            let end = page.as_bytes()[start..].iter().take(TAG_BYTES).position(|byte| *byte == b'>');
            if let Some(length) = end.filter(|_| is_whole_name) {
                return Some(&page[start..=start + length]);
            }
        }
    })
}

/// Where an ASCII text is, whatever its case.
fn find(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes().windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// An attribute of the one element in a tag, its entities decoded.
fn attribute(tag: &str, element: &str, name: &str) -> Option<String> {
    Document::from(tag).select(element).attr(name).map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        feeds_in(page, &"https://ada.example/blog/".parse().unwrap()).into_iter().map(String::from).collect()
    }

    #[test]
    fn feeds_are_found_in_the_pages_order_and_what_may_be_something_else_comes_last() {
        let page = r#"<!doctype html><html><head><LINK REL="stylesheet" type="text/css" href="/a.css">
            <link rel="alternate" type="application/json" href="https://ada.example/wp-json/wp/v2/pages/2">
            <link type='application/rss+xml' title="RSS" rel='home Alternate' href='feed/?a=1&amp;b=2'/>
            <link rel=alternate type="application/atom+xml; charset=utf-8" href=//ada.example/atom.xml>
            <link rel="alternate" hreflang="de" href="/de/">
            <link rel="alternate" type="application/rss+xml" href="javascript:alert(1)">
            <linkx rel="alternate" type="application/rss+xml" href="/no">"#;
        let expected = [
            "https://ada.example/blog/feed/?a=1&b=2",
            "https://ada.example/atom.xml",
            "https://ada.example/wp-json/wp/v2/pages/2",
        ];
        assert_eq!(found(page), expected);
    }

    #[test]
    fn a_base_counts_and_a_page_may_name_no_feed() {
        let page = r#"<base href="https://cdn.example/x/"><link rel="alternate" type="application/rss+xml" href="f">"#;
        assert_eq!(found(page), ["https://cdn.example/x/f"]);
        assert_eq!(found("<html><body>Just a moment...</body></html>"), Vec::<String>::new());
        assert_eq!(found("<link rel=alternate type=application/rss+xml href=\"/unfinished"), Vec::<String>::new());
        assert_eq!(found(&"é".repeat(SEARCHED_BYTES)), Vec::<String>::new());
    }
}
