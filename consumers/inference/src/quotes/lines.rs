//! Cutting a text at its lines.

use std::ops::Range;

/// The lines of a part of a text, without their ends.
pub(crate) fn lines(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    text[range].split_inclusive('\n').map(move |line| {
        let begin = start;
        start += line.len();
        begin..begin + line.trim_end_matches(['\n', '\r']).len()
    })
}

/// A part of a text in pieces of at most so many characters, which begin and end with lines that say something: as many
/// paragraphs (what stands between blank lines) as fit, and the lines of a paragraph that does not fit alone. A line that
/// does not fit is left out.
pub(super) fn pieces(text: &str, range: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let fits = |range: &Range<usize>| text[range.clone()].chars().count() <= most;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    for paragraph in paragraphs(text, range) {
        let parts: Vec<Range<usize>> =
            if fits(&paragraph) { vec![paragraph] } else { lines(text, paragraph).filter(fits).collect() };
        // Lines of a paragraph that is cut do not go with the paragraph before.
        is_open &= parts.len() == 1;
        for part in parts {
            match found.last_mut() {
                Some(last) if is_open && fits(&(last.start..part.end)) => last.end = part.end,
                _ => found.push(part),
            }
            is_open = true;
        }
    }
    found
}

/// Lines that no blank line parts.
fn paragraphs(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    for line in lines(text, range) {
        if text[line.clone()].trim().is_empty() {
            is_open = false;
            continue;
        }
        match found.last_mut() {
            Some(last) if is_open => last.end = line.end,
            _ => found.push(line),
        }
        is_open = true;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, most: usize) -> Vec<&str> {
        pieces(text, 0..text.len(), most).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn paragraphs_stay_together_as_long_as_they_fit() {
        let text = "\n  one\n  two\n\nthree\r\n\r\nfour\n";
        assert_eq!(cut(text, 100), ["  one\n  two\n\nthree\r\n\r\nfour"]);
        assert_eq!(cut(text, 20), ["  one\n  two\n\nthree", "four"]);
        assert_eq!(cut(text, 11), ["  one\n  two", "three", "four"]);
    }

    #[test]
    fn a_paragraph_that_is_too_long_is_cut_at_its_lines_and_a_line_that_is_too_long_is_left_out() {
        assert_eq!(cut("a\n\nbb\ncc\ndddddd\nee\n", 5), ["a", "bb\ncc", "ee"]);
        assert!(cut(" \n\n", 5).is_empty());
    }
}
