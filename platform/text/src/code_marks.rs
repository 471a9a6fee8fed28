//! Where Markdown is code: what stands there is a program's text, and no prose.

use std::ops::Range;

use crate::markdown::Fence;

/// The parts of a text that are code, in order: blocks with the lines of their fences (CommonMark 4.5), and code within a
/// line with its back-ticks (6.1). A fence that nothing closes goes to the end. Back-ticks that nothing closes within their
/// paragraph are characters like any others.
pub fn code(text: &str) -> Vec<Range<usize>> {
    read(text, within_lines)
}

/// The blocks of fenced code alone.
pub fn fenced(text: &str) -> Vec<Range<usize>> {
    read(text, |_, _, _| {})
}

/// The blocks of fenced code, and what is found in the paragraphs between them.
fn read(text: &str, in_paragraph: impl Fn(&str, Range<usize>, &mut Vec<Range<usize>>)) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(Fence, usize)> = None;
    let (mut paragraph, mut start) = (0, 0);
    for line in text.split_inclusive('\n') {
        let (end, content) = (start + line.len(), line.trim());
        match open {
            Some((fence, from)) if fence.is_closed_by(content) => {
                found.push(from..end);
                (open, paragraph) = (None, end);
            }
            Some(_) => {}
            None => {
                let fence = Fence::opened_by(content);
                if fence.is_some() || content.is_empty() {
                    in_paragraph(text, paragraph..start, &mut found);
                    (open, paragraph) = (fence.map(|fence| (fence, start)), end);
                }
            }
        }
        start = end;
    }
    match open {
        Some((_, from)) => found.push(from..text.len()),
        None => in_paragraph(text, paragraph..text.len(), &mut found),
    }
    found
}

/// The text with a space for each byte of its code, so that every place in it stays where it was. Ends of lines stay.
pub fn without_code(text: &str) -> String {
    blanked(text, &code(text))
}

/// The text with a space for each byte of these parts of it, which are in order; ends of lines stay.
pub fn blanked(text: &str, parts: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for part in parts {
        kept.push_str(&text[at..part.start]);
        kept.extend(text[part.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        at = part.end;
    }
    kept.push_str(&text[at..]);
    kept
}

/// Code between back-ticks in one paragraph.
fn within_lines(text: &str, paragraph: Range<usize>, found: &mut Vec<Range<usize>>) {
    let prose = &text[paragraph.clone()];
    let mut at = 0;
    while let Some(offset) = prose[at..].find('`') {
        let opening = at + offset;
        let marks = marks_at(&prose[opening..]);
        let inside = opening + marks;
        match closing(&prose[inside..], marks) {
            Some(end) => {
                found.push(paragraph.start + opening..paragraph.start + inside + end);
                at = inside + end;
            }
            None => at = inside,
        }
    }
}

/// Back-ticks at the beginning of a text.
fn marks_at(text: &str) -> usize {
    text.bytes().take_while(|&byte| byte == b'`').count()
}

/// Where the first run of exactly so many back-ticks ends.
fn closing(text: &str, marks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(offset) = text[at..].find('`') {
        let run = marks_at(&text[at + offset..]);
        at += offset + run;
        if run == marks {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        code(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn code_is_what_stands_in_fences_and_between_back_ticks() {
        assert_eq!(parts("Use `rows[1]` and ``a ` b``.\n"), ["`rows[1]`", "``a ` b``"]);
        assert_eq!(parts("a\n```rust\nx[1]\n```\nb `c`"), ["```rust\nx[1]\n```\n", "`c`"]);
        assert_eq!(parts("a\n~~~\n`x`\n"), ["~~~\n`x`\n"], "a fence that nothing closes");
        assert_eq!(parts("a ``` b ``` c"), ["``` b ```"]);
        assert_eq!(fenced("`a`\n```\nb\n```\n`c`").len(), 1);
    }

    #[test]
    fn a_back_tick_that_nothing_closes_in_its_paragraph_is_a_character() {
        assert!(parts("The ` key [1].\n\nAnother ` key.").is_empty());
        assert_eq!(parts("``a` b` c"), ["` b`"]);
    }

    #[test]
    fn without_code_every_place_stays_where_it_was() {
        let text = "Ä `ö[1]` ü\n```\nß\n```\nend";
        let prose = without_code(text);
        assert_eq!(prose.len(), text.len());
        assert_eq!(prose.find("end"), text.find("end"));
        assert!(!prose.contains('ö') && !prose.contains('`') && prose.contains("ü\n"));
        assert_eq!(prose.lines().count(), text.lines().count());
    }
}
