//! Lines of Markdown that are more than text (CommonMark 0.31).

/// What opened a block of fenced code: its mark, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// The fence that a line opens, given without the white space around it (4.5; any indentation, for lists).
    pub fn opened_by(content: &str) -> Option<Self> {
        let mark = content.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = content.chars().take_while(|&c| c == mark).count();
        // Three back-ticks and more of them later are code within a line.
        let inline = mark == '`' && content[length..].contains('`');
        (length >= 3 && !inline).then_some(Self { mark, length })
    }

    /// Whether a line closes it, given without the white space around it.
    pub fn is_closed_by(self, content: &str) -> bool {
        content.len() >= self.length && content.chars().all(|c| c == self.mark)
    }
}

/// Level and text of `## Text ##` (4.2).
pub fn atx_heading(line: &str) -> Option<(usize, &str)> {
    let content = line.trim_start_matches(' ');
    if line.len() - content.len() > 3 {
        return None;
    }
    let level = content.bytes().take_while(|&byte| byte == b'#').count();
    let rest = &content[level..];
    if !(1..=6).contains(&level) || !(rest.trim().is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let text = rest.trim();
    let without_closing = text.trim_end_matches('#');
    let closed = without_closing.is_empty() || without_closing.ends_with([' ', '\t']);
    Some((level, if closed { without_closing.trim_end() } else { text }))
}

/// The level of the heading that a line underlines, given without the white space around it (4.3; two marks at least, so
/// that a lone hyphen stays what it is).
pub fn underline_level(content: &str) -> Option<usize> {
    let mark = content.chars().next()?;
    let level = match mark {
        '=' => 1,
        '-' => 2,
        _ => return None,
    };
    (content.len() >= 2 && content.chars().all(|c| c == mark)).then_some(level)
}

/// What a list item says, behind its mark (5.2; a bullet is a mark, too). None: the text begins no item.
pub fn list_item(text: &str) -> Option<&str> {
    let content = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = content.len() < text.len() && content.starts_with(['.', ')']);
    let content = if numbered { &content[1..] } else { text.strip_prefix(['-', '*', '+', '•'])? };
    content.starts_with(char::is_whitespace).then(|| content.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_closed_by_as_many_of_its_marks_or_more() {
        let fence = Fence::opened_by("````rust").unwrap();
        assert!(fence.is_closed_by("````") && fence.is_closed_by("`````"));
        assert!(!fence.is_closed_by("```") && !fence.is_closed_by("~~~~") && !fence.is_closed_by("```` x"));
        assert_eq!(Fence::opened_by("```inline``` code"), None);
        assert_eq!(Fence::opened_by("``"), None);
        assert!(Fence::opened_by("~~~ a ~~~").is_some());
    }

    #[test]
    fn a_heading_has_one_to_six_marks_a_space_and_no_more_than_three_before_it() {
        assert_eq!(atx_heading("## Two ##"), Some((2, "Two")));
        assert_eq!(atx_heading("   # C#"), Some((1, "C#")));
        assert_eq!(atx_heading("###"), Some((3, "")));
        for text in ["    # code", "#tag", "####### seven", "text"] {
            assert_eq!(atx_heading(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_item_is_told_by_its_mark_and_the_space_behind_it() {
        for (text, item) in [("- one", "one"), ("* **two**", "**two**"), ("10.  three", "three"), ("2) four", "four")] {
            assert_eq!(list_item(text), Some(item));
        }
        for text in ["**bold** text", "-dash", "1.5 litres", "text - more", "1", "-"] {
            assert_eq!(list_item(text), None, "{text}");
        }
    }

    #[test]
    fn an_underline_is_two_of_one_mark_or_more() {
        assert_eq!(underline_level("=="), Some(1));
        assert_eq!(underline_level("-----"), Some(2));
        for text in ["-", "=-", "- -", "", "**"] {
            assert_eq!(underline_level(text), None, "{text}");
        }
    }
}
