//! The parser, fed in small pieces, with an eye on the clock and on the depth of what it built.

use std::time::Duration;

use dom_query::{Document, NodeRef};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, QualName, local_name, ns, parse_document, parse_fragment};

use super::screen::too_deep;
use crate::characters::head;
use crate::{Rejection, RejectionKind, processor_time};

/// Bytes between two looks at the clock: small, since a hostile kilobyte can take a tenth of a second.
const PIECE_BYTES: usize = 1024;

/// Parses a page or a fragment, until this thread has had that much processor time.
pub(super) fn parse(html: &str, is_page: bool, max_depth: usize, give_up_at: Duration) -> Result<Document, Rejection> {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts { scripting_enabled: false, drop_doctype: !is_page, ..Default::default() },
        ..Default::default()
    };
    let mut parser = if is_page {
        parse_document(Document::default(), options)
    } else {
        let context = QualName::new(None, ns!(html), local_name!("body"));
        parse_fragment(Document::fragment_sink(), options, context, Vec::new(), false)
    };
    let mut rest = html;
    while !rest.is_empty() {
        let piece = head(rest, PIECE_BYTES);
        rest = &rest[piece.len()..];
        parser.process(StrTendril::from(piece));
        if processor_time::of_this_thread() >= give_up_at {
            return Err(Rejection::new(RejectionKind::TooSlow, "parsing the HTML takes too long"));
        }
    }
    let document = parser.finish();
    check_depth(document.root(), max_depth)?;
    Ok(document)
}

/// What follows may recurse: from here on the depth is known to be bounded.
fn check_depth(root: NodeRef<'_>, max_depth: usize) -> Result<(), Rejection> {
    // The root, `html`, `body` and a text node are no nesting of the author's.
    let max_depth = max_depth + 4;
    let mut pending = vec![(root, 0)];
    while let Some((node, depth)) = pending.pop() {
        if depth > max_depth {
            return Err(too_deep(max_depth));
        }
        pending.extend(node.children().into_iter().map(|child| (child, depth + 1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LATER: Duration = Duration::MAX;

    #[test]
    fn a_text_split_between_two_pieces_is_whole() {
        let word = "ä&amp;ö".repeat(1000);
        let document = parse(&format!("<p title=\"{word}\">{word}</p>"), false, 512, LATER).unwrap();
        assert_eq!(document.text().to_string(), "ä&ö".repeat(1000));
    }

    #[test]
    fn nesting_that_the_scan_does_not_see_ends_at_the_deadline() {
        let started = Instant::now();
        let soon = processor_time::of_this_thread() + Duration::from_millis(300);
        let verdict = parse(&"<ul><li>".repeat(64 * 1024), false, 512, soon);
        assert_eq!(verdict.err().map(|rejection| rejection.kind), Some(RejectionKind::TooSlow));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn a_tree_deeper_than_the_scan_thought_is_rejected() {
        let verdict = parse(&"<i>".repeat(600), false, 512, LATER);
        assert_eq!(verdict.err().map(|rejection| rejection.kind), Some(RejectionKind::TooDeep));
    }
}
