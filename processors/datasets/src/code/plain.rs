//! Parts of a file whose language is not known: they begin at an unindented line below an empty one.

use super::Item;
use super::comments::is_comment_line;

/// The parts of a file that begin with a comment and go on with something else.
pub(super) fn items(text: &str) -> Vec<Item> {
    let mut starts = Vec::new();
    let mut after_blank = true;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if !is_blank && after_blank && !line.starts_with(char::is_whitespace) {
            starts.push(position);
        }
        after_blank = is_blank;
        position += line.len();
    }
    starts.push(text.len());
    starts.windows(2).filter_map(|part| item(text, part[0], part[1])).collect()
}

fn item(text: &str, start: usize, end: usize) -> Option<Item> {
    let end = start + text[start..end].trim_end().len();
    let comment: usize =
        text[start..end].split_inclusive('\n').take_while(|line| is_comment_line(line)).map(str::len).sum();
    let code = start + comment;
    (comment > 0 && code < end).then(|| Item { range: start..end, code, signature: None, path: Vec::new() })
}
