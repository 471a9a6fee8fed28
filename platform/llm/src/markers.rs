//! The markers by which an answer names its passages: `[1]` is the first one.

use twin_text::code_marks::without_code;

/// The markers `[1]` to `[count]` that an answer names, ascending. What stands in code names no passage: `rows[1]` is an
/// index.
pub fn cited_markers(answer: &str, count: usize) -> Vec<u32> {
    let prose = without_code(answer);
    (1..=count).filter(|marker| names(&prose, *marker)).filter_map(|marker| u32::try_from(marker).ok()).collect()
}

/// Whether a text has one of the markers `[1]` to `[count]` in it, wherever: in a part of a text it can not always be told
/// what is code.
pub fn has_marker(text: &str, count: usize) -> bool {
    (1..=count).any(|marker| names(text, marker))
}

/// The text with spaces in place of `[1]`, `[23]`: every place stays where it was.
pub fn without_markers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        kept.push_str(&rest[..at]);
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let is_marker = digits > 0 && rest[at + 1 + digits..].starts_with(']');
        let length = if is_marker { digits + 2 } else { 1 };
        kept.push_str(if is_marker { "" } else { "[" });
        kept.extend(std::iter::repeat_n(' ', if is_marker { length } else { 0 }));
        rest = &rest[at + length..];
    }
    kept.push_str(rest);
    kept
}

fn names(text: &str, marker: usize) -> bool {
    text.contains(&format!("[{marker}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_markers_of_given_passages_count_as_cited() {
        assert_eq!(cited_markers("Yes [2], and [1]; not [7].", 3), [1, 2]);
    }

    #[test]
    fn what_stands_in_code_is_no_marker() {
        assert_eq!(cited_markers("Take `rows[1]` [2]:\n\n```\nrows[3] = 0\n```\n", 3), [2]);
        assert_eq!(cited_markers("The ` key [1].\n\nAnother ` key.", 1), [1], "nothing closes the mark");
        assert!(has_marker("rows[1]` is read", 1) && !has_marker("rows[2]", 1));
    }

    #[test]
    fn a_text_without_its_markers_is_as_long_as_with_them() {
        assert_eq!(
            without_markers("It rises [12], as `rows[i]` [the docs]."),
            "It rises     , as `rows[i]` [the docs]."
        );
    }
}
