//! What a comment says.

/// What begins a line of a comment in one language or another, the longest first.
const MARKS: &[&str] = &["///", "//!", "/**", "/*!", "//", "/*", "*/", "\"\"\"", "--", ";;", "#:", "#", "*", ";", "%"];

/// The text of a comment, without its marks, attributes left out.
pub(super) fn content(comment: &str) -> String {
    let lines = comment.lines().map(|line| {
        let line = line.trim();
        let text = MARKS.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        text.trim_end_matches("*/").trim()
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Whether a line of a language without grammar is a comment. A shebang and a preprocessor's line are none.
pub(super) fn is_comment_line(line: &str) -> bool {
    let line = line.trim_start();
    let is_hash = line.starts_with('#') && line[1..].starts_with([' ', '\n', '#', ':']);
    is_hash || ["//", "--", ";;", "/*", "* ", "*/", "%"].iter().any(|mark| line.starts_with(mark))
}
