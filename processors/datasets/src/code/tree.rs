//! Items by their syntax trees.

use twin_text::code::{Node, line_start, parse};

use super::Item;
use super::grammar::{body, is_attribute, is_comment, is_item, members, name, unwrapped};

/// Members are looked for this deep: a class in a class in a module.
const MAX_DEPTH: usize = 4;

/// Larger files are data or generated; blank lines do for them.
const MAX_BYTES: usize = 512 << 10;

/// The items of a file, in order; an item of more than `most` characters that has members is replaced by them. None if
/// the language is not known, or the text is too long or takes too long to parse.
pub(super) fn items(text: &str, language: &str, most: usize) -> Option<Vec<Item>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let tree = parse(text, language)?;
    let mut found = Vec::new();
    let mut open = vec![(tree.root_node(), Vec::new())];
    while let Some((container, path)) = open.pop() {
        for (item, node) in children(container, text, &path) {
            let is_long = text[item.range.clone()].chars().count() > most;
            match members(node).filter(|_| is_long && path.len() < MAX_DEPTH) {
                Some(members) => open.push((members, item.path)),
                None => found.push(item),
            }
        }
    }
    found.sort_by_key(|item| item.range.start);
    Some(found)
}

/// The comments and attributes before an item.
#[derive(Default)]
struct Leading {
    /// Where the first of them begins.
    start: Option<usize>,
    /// Where the first attribute begins.
    attribute: Option<usize>,
    end: usize,
}

/// The items among a node's children, with the comments that stand directly above them.
fn children<'tree>(container: Node<'tree>, text: &str, path: &[String]) -> Vec<(Item, Node<'tree>)> {
    let mut found = Vec::new();
    let mut leading = Leading::default();
    let mut cursor = container.walk();
    let mut more = cursor.goto_first_child();
    while more {
        let node = cursor.node();
        let line = line_start(text, node.start_byte());
        // A comment with an empty line below it says something about the file, not about the item.
        if leading.start.is_some() && text[leading.end..node.start_byte().max(leading.end)].matches('\n').count() > 1 {
            leading = Leading::default();
        }
        match line {
            Some(line) if is_comment(node) || is_attribute(node) => {
                leading.start = leading.start.or(Some(line));
                leading.attribute = leading.attribute.or(is_attribute(node).then_some(line));
                // A line comment of some grammars ends behind its line break.
                leading.end = node.start_byte() + text[node.byte_range()].trim_end().len();
            }
            Some(line) if node.is_named() => {
                let leading = std::mem::take(&mut leading);
                if is_item(unwrapped(node)) {
                    found.push((item(text, node, line, &leading, path), unwrapped(node)));
                }
            }
            _ => {}
        }
        more = cursor.goto_next_sibling();
    }
    found
}

fn item(text: &str, node: Node<'_>, line: usize, leading: &Leading, path: &[String]) -> Item {
    let inner = unwrapped(node);
    let signature =
        body(inner).map(|body| inner.start_byte()..body.start_byte()).filter(|range| range.start < range.end);
    let path = path.iter().cloned().chain(name(inner, text)).collect();
    let code = leading.attribute.unwrap_or(line);
    Item { range: leading.start.unwrap_or(line)..node.end_byte(), code, signature, path }
}
