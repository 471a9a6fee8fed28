//! What is removed from the tree before its text is read: what a reader would not see, and what is not the author's.

use std::collections::HashMap;

use dom_query::{Document, NodeId, NodeRef};

use crate::markdown::style_hides;

/// Elements without text of the author's, everywhere.
const NEVER_CONTENT: [&str; 19] = [
    "script", "style", "noscript", "template", "svg", "iframe", "button", "canvas", "object", "embed", "audio",
    "video", "input", "select", "textarea", "head", "map", "progress", "meter",
];

/// Widgets of known platforms: subscription boxes, share buttons, protected e-mail addresses.
const WIDGETS: &str = ".subscription-widget-wrap, .subscription-widget-wrap-editor, .subscription-widget, \
    p.button-wrapper, \
    .install-substack-app-embed, .headerlink, .anchor-link, a[href*='/cdn-cgi/l/email-protection'], .__cf_email__";

/// Elements around the content of a page.
const AROUND_CONTENT: [&str; 5] = ["nav", "footer", "aside", "form", "dialog"];

/// Words in a class or id that mark what surrounds the content of a page.
const AROUND_CONTENT_WORDS: [&str; 9] =
    ["share", "sharing", "social", "related", "comments", "newsletter", "cookie", "cookies", "consent"];

/// Removes what is not content from a fragment.
pub(super) fn fragment(document: &Document) {
    prune_everywhere(document);
    document.select(".pencraft, form").remove();
    drop_publication_footer(document);
}

/// Removes what is not content from a page.
pub(super) fn page(document: &Document) {
    prune_everywhere(document);
    drop_surroundings(document);
    drop_publication_footer(document);
}

fn prune_everywhere(document: &Document) {
    for node in document.root().descendants() {
        if node.is_comment() || (node.is_element() && (is_never_content(&node) || is_hidden(&node))) {
            node.remove_from_parent();
        }
    }
    document.select(WIDGETS).remove();
    for image in document.select(".captioned-image-container").nodes() {
        keep_caption_only(image);
    }
    // The extractor makes paragraphs of line breaks; in code these are the ends of lines.
    for line_break in document.select("pre br").nodes() {
        line_break.replace_with(&document.tree.new_text("\n"));
    }
}

fn is_never_content(node: &NodeRef<'_>) -> bool {
    NEVER_CONTENT.iter().any(|name| node.has_name(name))
}

fn is_hidden(node: &NodeRef<'_>) -> bool {
    node.has_attr("hidden")
        || node.attr("aria-hidden").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || node.attr("style").is_some_and(|style| style_hides(&style))
        || (node.has_name("dialog") && !node.has_attr("open"))
}

fn keep_caption_only(container: &NodeRef<'_>) {
    let captions: Vec<NodeRef<'_>> = container.find(&["figcaption"]);
    for caption in &captions {
        container.insert_before(caption);
    }
    container.remove_from_parent();
}

/// Removes navigation, footers, share bars and the like. One that holds half of the page's text, or the article
/// itself, is not what its name says.
fn drop_surroundings(document: &Document) {
    let Some(body) = document.body() else { return };
    let mut measures = HashMap::new();
    let total = measure(&body, &mut measures).text_bytes;
    for node in body.descendants() {
        let Some(measure) = measures.get(&node.id) else {
            continue;
        };
        let is_small = measure.text_bytes * 2 <= total && !measure.holds_article;
        if is_small && is_around_content(&node) {
            node.remove_from_parent();
        }
    }
}

fn is_around_content(node: &NodeRef<'_>) -> bool {
    if AROUND_CONTENT.iter().any(|name| node.has_name(name)) || node.has_class("pencraft") {
        return true;
    }
    let is_inline = ["span", "a", "code", "em", "strong"].iter().any(|name| node.has_name(name));
    let is_main = ["article", "main", "h1", "pre"].iter().any(|name| node.has_name(name));
    if is_inline || is_main {
        return false;
    }
    [node.class(), node.id_attr()].into_iter().flatten().any(|names| {
        let mut words = names.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| AROUND_CONTENT_WORDS.iter().any(|around| word.eq_ignore_ascii_case(around)))
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    text_bytes: usize,
    holds_article: bool,
}

/// Measures every element below the node, and the node. The depth is bounded by [`super::parse`].
fn measure(node: &NodeRef<'_>, measures: &mut HashMap<NodeId, Measure>) -> Measure {
    let mut sum = Measure::default();
    for child in node.children_it(false) {
        if child.is_text() {
            sum.text_bytes += child.text().trim().len();
        } else if child.is_element() {
            let inner = measure(&child, measures);
            sum.text_bytes += inner.text_bytes;
            let is_article = ["article", "main", "h1"].iter().any(|name| child.has_name(name));
            sum.holds_article |= inner.holds_article || is_article;
        }
    }
    measures.insert(node.id, sum);
    sum
}

/// Medium ends posts with where they appeared first.
fn drop_publication_footer(document: &Document) {
    let paragraphs = document.select("p, h4, h5, h6");
    for paragraph in paragraphs.nodes().iter().rev().take(4) {
        let text = super::page::one_line(&paragraph.text());
        let is_footer = text.contains("was originally published in")
            && (text.contains("on Medium") || text.contains("continuing the conversation"));
        let is_note = ["Originally published at ", "Originally published in ", "Originally published on "]
            .iter()
            .any(|start| text.starts_with(start))
            && text.split_whitespace().count() <= 30;
        if is_footer || is_note {
            let before = paragraph.prev_element_sibling().filter(|before| is_footer && before.has_name("hr"));
            if let Some(rule) = before {
                rule.remove_from_parent();
            }
            paragraph.remove_from_parent();
        }
    }
}
