//! Bounds checked by one linear scan of the bytes, before the parser sees them.
//!
//! html5ever takes time quadratic in the nesting depth (512 KB of `<ul><li>` are 94 s), so hostile nesting has to be
//! found without building a tree. The scan follows the parser's rules only roughly; [`super::parse`] watches the clock
//! for what gets past it.

use crate::{Options, Rejection, RejectionKind};

/// Attributes of one tag: the tokenizer compares each with all others.
const MAX_ATTRIBUTES: usize = 512;

/// Elements that have no content.
const VOID: [&[u8]; 14] = [
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param", b"source",
    b"track", b"wbr",
];

/// Elements whose content is text, whatever it looks like.
const RAW_TEXT: [&[u8]; 4] = [b"script", b"style", b"textarea", b"title"];

/// Rejects a document with too many tags, or nested too deeply.
pub(super) fn check(html: &str, options: &Options) -> Result<(), Rejection> {
    let mut scan = Scan { bytes: html.as_bytes(), position: 0, open: Vec::new(), tags: 0 };
    while let Some(tag) = scan.next_tag() {
        if scan.tags > options.max_tags {
            let detail = format!("more than {} tags", options.max_tags);
            return Err(Rejection::new(RejectionKind::TooLarge, detail));
        }
        if tag.attributes > MAX_ATTRIBUTES {
            let detail = format!("a tag with more than {MAX_ATTRIBUTES} attributes");
            return Err(Rejection::new(RejectionKind::TooLarge, detail));
        }
        scan.apply(&tag);
        if scan.open.len() > options.max_depth {
            return Err(too_deep(options.max_depth));
        }
    }
    Ok(())
}

pub(super) fn too_deep(max_depth: usize) -> Rejection {
    Rejection::new(RejectionKind::TooDeep, format!("elements nested more than {max_depth} deep"))
}

struct Scan<'a> {
    bytes: &'a [u8],
    position: usize,
    open: Vec<&'a [u8]>,
    tags: usize,
}

struct Tag<'a> {
    name: &'a [u8],
    is_closing: bool,
    is_self_closing: bool,
    attributes: usize,
}

impl<'a> Scan<'a> {
    fn next_tag(&mut self) -> Option<Tag<'a>> {
        loop {
            let bytes = self.bytes;
            let rest = bytes.get(self.position..)?;
            let start = self.position + rest.iter().position(|byte| *byte == b'<')?;
            let after = &bytes[start + 1..];
            if after.starts_with(b"!--") {
                self.position = start + 4 + comment_length(&after[3..]);
                continue;
            }
            let is_closing = after.first() == Some(&b'/');
            let name = &after[usize::from(is_closing)..];
            if !name.first().is_some_and(u8::is_ascii_alphabetic) {
                self.position = start + 1;
                continue;
            }
            self.tags += 1;
            let name_length = name.iter().position(|byte| ends_name(*byte)).unwrap_or(name.len());
            let name_start = start + 1 + usize::from(is_closing);
            let name_end = name_start + name_length;
            let (length, attributes) = attributes(&bytes[name_end..]);
            let end = name_end + length;
            self.position = end + 1;
            let is_self_closing = bytes.get(end.wrapping_sub(1)) == Some(&b'/');
            return Some(Tag { name: &bytes[name_start..name_end], is_closing, is_self_closing, attributes });
        }
    }

    fn apply(&mut self, tag: &Tag<'a>) {
        if is_one_of(tag.name, &VOID) {
            return;
        }
        if tag.is_closing {
            if let Some(index) = self.open.iter().rposition(|name| name.eq_ignore_ascii_case(tag.name)) {
                self.open.truncate(index);
            }
            return;
        }
        let in_foreign = self.open.iter().any(|name| is_one_of(name, &[b"svg", b"math"]));
        if tag.is_self_closing && in_foreign {
            return;
        }
        if is_one_of(tag.name, &RAW_TEXT) && !in_foreign {
            self.skip_raw_text(tag.name);
            return;
        }
        while self.open.last().is_some_and(|open| closes_implicitly(open, tag.name)) {
            self.open.pop();
        }
        self.open.push(tag.name);
    }

    /// Goes on after the end tag; where there is none, with what follows, as if it were markup.
    fn skip_raw_text(&mut self, name: &[u8]) {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let mut searched = 0;
        while let Some(found) = rest[searched..].iter().position(|byte| *byte == b'<') {
            let at = searched + found;
            let candidate = rest.get(at + 2..at + 2 + name.len());
            if rest.get(at + 1) == Some(&b'/') && candidate.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
                self.position += at;
                return;
            }
            searched = at + 1;
        }
        self.position = self.bytes.len();
    }
}

/// Whether an open element ends where another starts (HTML, 13.1.2.4 "Optional tags").
fn closes_implicitly(open: &[u8], next: &[u8]) -> bool {
    let one_of = |names: &[&[u8]]| is_one_of(next, names);
    match open.to_ascii_lowercase().as_slice() {
        b"p" => one_of(&[
            b"p",
            b"div",
            b"ul",
            b"ol",
            b"dl",
            b"table",
            b"h1",
            b"h2",
            b"h3",
            b"h4",
            b"h5",
            b"h6",
            b"blockquote",
            b"pre",
            b"section",
            b"article",
            b"aside",
            b"header",
            b"footer",
            b"nav",
            b"figure",
            b"form",
            b"main",
            b"li",
            b"td",
            b"th",
            b"tr",
            b"dt",
            b"dd",
        ]),
        b"li" => one_of(&[b"li"]),
        b"dt" | b"dd" => one_of(&[b"dt", b"dd"]),
        b"option" => one_of(&[b"option", b"optgroup"]),
        b"td" | b"th" => one_of(&[b"td", b"th", b"tr", b"thead", b"tbody", b"tfoot"]),
        b"tr" => one_of(&[b"tr", b"thead", b"tbody", b"tfoot"]),
        b"thead" | b"tbody" | b"tfoot" => one_of(&[b"thead", b"tbody", b"tfoot"]),
        _ => false,
    }
}

/// Bytes of a comment after `<!--`, its end included.
fn comment_length(rest: &[u8]) -> usize {
    if rest.starts_with(b">") {
        return 1;
    }
    if rest.starts_with(b"->") {
        return 2;
    }
    let end = rest.windows(3).position(|window| window == b"-->" || window == b"--!");
    end.map_or(rest.len(), |end| end + 3)
}

/// Bytes from the end of a tag's name to its `>`, and how many attributes there are at most.
fn attributes(rest: &[u8]) -> (usize, usize) {
    let mut quote = None;
    let mut count = 0;
    let mut before = b' ';
    for (index, byte) in rest.iter().enumerate() {
        match (quote, *byte) {
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            // A quote is one only as the start of a value.
            (None, b'"' | b'\'') if before == b'=' => quote = Some(*byte),
            (None, b'>') => return (index, count),
            (None, byte) if !byte.is_ascii_whitespace() && ends_attribute(before) => count += 1,
            (None, _) => {}
        }
        if !byte.is_ascii_whitespace() || before != b'=' {
            before = *byte;
        }
    }
    (rest.len(), count)
}

fn ends_attribute(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'')
}

fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>')
}

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(html: &str) -> Option<RejectionKind> {
        check(html, &Options::default()).err().map(|rejection| rejection.kind)
    }

    #[test]
    fn deep_nesting_is_found_in_whatever_form() {
        for bomb in ["<ul><li>", "<div>", "<b>", "<table><tr><td>", "<DIV a='>'>", "<svg><g>", "<ul><!-- </ul> --><li>"]
        {
            assert_eq!(verdict(&bomb.repeat(1000)), Some(RejectionKind::TooDeep), "{bomb}");
        }
    }

    #[test]
    fn elements_without_end_tags_are_not_deep() {
        for flat in
            ["<p>text", "<ul><li>a<li>b</ul>", "<br>", "<table><tr><td>a<td>b<tr><td>c</table>", "<dl><dt>a<dd>b</dl>"]
        {
            assert_eq!(verdict(&flat.repeat(5000)), None, "{flat}");
        }
        let script = format!("<script>{}</script><p>text", "'<div>' + ".repeat(5000));
        assert_eq!(verdict(&script), None);
    }

    #[test]
    fn too_many_tags_or_attributes_are_too_large() {
        assert_eq!(verdict(&"<br>".repeat(200_001)), Some(RejectionKind::TooLarge));
        assert_eq!(verdict(&format!("<p {}>", "a=1 ".repeat(1000))), Some(RejectionKind::TooLarge));
        assert_eq!(verdict(&format!("<p title='{}'>", "a=1 ".repeat(1000))), None);
    }
}
