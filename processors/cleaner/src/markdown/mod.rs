//! Markdown: cleaning that leaves the author's markup as it is.
//!
//! Code (fences, indented blocks, `<pre>`) keeps its bytes. In prose, invisible characters, HTML comments and
//! presentational HTML tags go, images become their alternative text, trailing spaces and surplus empty lines go.

mod inline;
mod lines;
mod tags;

use crate::characters::{self, head};
use lines::Kind;

pub(crate) use inline::is_markup;
pub(crate) use lines::escape_block_start;
pub(crate) use tags::style_hides;

/// Removing one thing can bring two others together, and these can then be removed as well; text that is not made
/// for it settles in the second pass.
const MAX_PASSES: usize = 8;

/// Cleans Markdown. Cleaning the result again changes nothing.
pub(crate) fn clean(content: &str) -> String {
    let mut text = characters::unix_newlines(content).into_owned();
    for _ in 0..MAX_PASSES {
        let cleaned = pass(&text);
        if cleaned == text {
            break;
        }
        text = cleaned;
    }
    text
}

fn pass(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for segment in lines::segments(text) {
        match segment.kind {
            Kind::Code => out.push_str(segment.text),
            Kind::Prose => push_tidy(&mut out, &inline::tidy(&characters::prose(segment.text))),
            Kind::Dropped => {}
        }
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// Appends lines without trailing spaces, and of several empty lines one.
fn push_tidy(out: &mut String, prose: &str) {
    for line in prose.lines() {
        let line = line.trim_end();
        if line.is_empty() && (out.is_empty() || out.ends_with("\n\n")) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// The first heading of the first level.
pub(crate) fn title(text: &str) -> Option<String> {
    for segment in lines::segments(text).into_iter().filter(|segment| segment.kind == Kind::Prose) {
        let mut previous = "";
        for line in segment.text.lines() {
            if let Some(heading) = line.strip_prefix("# ") {
                return Some(heading.trim().trim_end_matches('#').trim_end().to_owned());
            }
            let is_underline = line.starts_with("==") && line.bytes().all(|byte| byte == b'=');
            if is_underline && !previous.trim().is_empty() {
                return Some(previous.trim().to_owned());
            }
            previous = line;
        }
    }
    None
}

/// The first bytes of the text, at most so many, without code blocks.
pub(crate) fn prose_sample(text: &str, bytes: usize) -> String {
    let mut sample = String::new();
    // Code in front of the prose may be long; the prose is rarely more than this far away.
    for segment in lines::segments(head(text, bytes * 16)) {
        if segment.kind == Kind::Prose {
            sample.push_str(head(segment.text, bytes - sample.len()));
        }
        if sample.len() + 4 > bytes {
            break;
        }
    }
    sample
}
