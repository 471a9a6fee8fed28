//! What a whole page shows besides its main content: its title, and the signs of a wall in front of it.

use dom_query::{Document, NodeRef};

/// Text is collected up to this many bytes: walls are short.
const MAX_VISIBLE_BYTES: usize = 16 * 1024;

/// Scripts and elements of bot checks.
const CHALLENGE: &str = "#challenge-form, #challenge-running, #challenge-error-text, #cf-challenge-running, \
    .cf-turnstile, \
    .g-recaptcha, .h-captcha, #px-captcha, #captcha, script[src*='/cdn-cgi/challenge-platform']";

/// Signs of a page, seen before anything is removed from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The text of `<title>`.
    pub(crate) title: String,
    /// Everything a reader without scripts would see, from the top.
    pub(crate) visible_text: String,
    /// It asks for a password.
    pub(crate) has_password_field: bool,
    /// It has the elements of a known bot check.
    pub(crate) has_challenge: bool,
}

/// Whether the text is a whole page rather than a fragment of one.
pub(super) fn is_page(html: &str) -> bool {
    let is_start = |at: usize, start: &str| {
        let found = html.as_bytes().get(at + 1..at + 1 + start.len());
        let next = html.as_bytes().get(at + 1 + start.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
            && next.is_none_or(|next| next.is_ascii_whitespace() || *next == b'>')
    };
    html.match_indices('<').any(|(at, _)| ["html", "body", "head", "!doctype"].iter().any(|start| is_start(at, start)))
}

/// The text of the first heading of the first level.
pub(super) fn first_heading(document: &Document) -> Option<String> {
    let text = one_line(&document.select("h1").first().text());
    (!text.is_empty()).then_some(text)
}

impl Page {
    pub(super) fn observe(document: &Document) -> Self {
        let mut visible_text = String::new();
        if let Some(body) = document.body() {
            collect_text(&body, &mut visible_text);
        }
        Self {
            title: one_line(&document.select("head title, body > title").first().text()),
            visible_text,
            has_password_field: document.select("input[type=password]").exists(),
            has_challenge: document.select(CHALLENGE).exists(),
        }
    }

    /// The title of the content: the page's only first-level heading if the page's title begins with it (mostly with
    /// the site's name after it), else the page's title, else the first heading.
    pub(super) fn content_title(&self, document: &Document) -> Option<String> {
        let headings = document.select("h1");
        let heading = first_heading(document);
        if let Some(heading) = &heading
            && headings.length() == 1
            && self.title.starts_with(heading.as_str())
        {
            return Some(heading.clone());
        }
        if self.title.is_empty() { heading } else { Some(self.title.clone()) }
    }
}

fn collect_text(node: &NodeRef<'_>, out: &mut String) {
    for child in node.children_it(false) {
        if out.len() > MAX_VISIBLE_BYTES {
            return;
        }
        if child.is_text() {
            out.push_str(&child.text());
        } else if child.is_element() && !["script", "style", "template"].iter().any(|name| child.has_name(name)) {
            out.push(' ');
            collect_text(&child, out);
            out.push(' ');
        }
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
