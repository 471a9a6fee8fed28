//! Where the main content of a page is.

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, Readability};

use super::render;

/// The containers that platforms put a post's body in, surest first: Medium's export (microformats `h-entry`),
/// Substack, schema.org.
const KNOWN_CONTAINERS: [&str; 5] = [
    "article.h-entry .e-content",
    ".available-content .body.markup",
    "div.body.markup",
    ".h-entry .e-content",
    "[itemprop='articleBody']",
];

/// With fewer words the extractor has not found the content.
const FEW_WORDS: usize = 25;

/// The text of the page's main content.
///
/// A known container is taken as it is. Else the extractor (readability) decides; where it found next to nothing, or
/// lost much of the page's only article, that article or the whole body is taken.
pub(super) fn main_text(document: &Document) -> String {
    for selector in KNOWN_CONTAINERS {
        let found = document.select(selector);
        if let [container] = found.nodes()
            && has_text(container)
        {
            return render(container);
        }
    }
    let extracted = readable_text(document.clone()).unwrap_or_default();
    let words = extracted.split_whitespace().count();
    if let Some(article) = only_article(document) {
        let text = render(&article);
        let article_words = text.split_whitespace().count();
        if words * 10 < article_words * 6 {
            return text;
        }
    }
    if words < FEW_WORDS {
        let text = document.body().map(|body| render(&body)).unwrap_or_default();
        if text.split_whitespace().count() > words {
            return text;
        }
    }
    extracted
}

fn has_text(node: &NodeRef<'_>) -> bool {
    !node.text().trim().is_empty()
}

fn only_article(document: &Document) -> Option<NodeRef<'_>> {
    ["article", "main", "[role='main']"].iter().find_map(|selector| {
        let found = document.select(selector);
        match found.nodes() {
            [article] => Some(*article),
            _ => None,
        }
    })
}

/// The extractor's choice. It works on a copy and leaves the content in a `#readability-page-1`.
fn readable_text(document: Document) -> Option<String> {
    let config = Config { keep_classes: true, disable_json_ld: true, ..Config::default() };
    let mut readability = Readability::with_document(document, None, Some(config)).ok()?;
    readability.parse().ok()?;
    let content = readability.doc.select("#readability-page-1");
    content.nodes().first().map(render)
}
