//! Code blocks: the text of `<pre>`, exactly, and what it is written in.

use dom_query::NodeRef;

use super::blocks::Block;
use crate::characters;

/// Line numbers of highlighters.
const LINE_NUMBERS: [&str; 7] =
    ["lineno", "linenos", "linenumber", "line-number", "line-numbers-rows", "gutter", "rouge-gutter"];

/// The code block of an element; none if it is blank.
pub(super) fn code_block(node: &NodeRef<'_>) -> Option<Block> {
    let mut text = String::new();
    collect(node, &mut text);
    let text = characters::without_invisible(&characters::unix_newlines(&text));
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_prefix('\n').unwrap_or(text);
    if text.trim().is_empty() {
        return None;
    }
    Some(Block::Code { language: language(node), text: text.to_owned() })
}

fn collect(node: &NodeRef<'_>, out: &mut String) {
    for child in node.children_it(false) {
        if child.is_text() {
            out.push_str(&child.text());
        } else if child.has_name("br") {
            out.push('\n');
        } else if child.is_element() && !LINE_NUMBERS.iter().any(|class| child.has_class(class)) {
            collect(&child, out);
            let is_line = ["div", "p", "li"].iter().any(|name| child.has_name(name));
            if is_line && !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
}

/// The language named by the element, the `<code>` within it or what is around it.
fn language(node: &NodeRef<'_>) -> Option<String> {
    let within = node.find(&["code"]).into_iter().take(1);
    let around = node.ancestors_it(Some(2)).filter(|ancestor| ancestor.is_element());
    std::iter::once(*node).chain(within).chain(around).find_map(|element| {
        let named = ["data-lang", "data-language", "lang"].iter().find_map(|name| element.attr(name));
        named.as_deref().and_then(language_name).or_else(|| element.class().as_deref().and_then(language_of_class))
    })
}

fn language_of_class(classes: &str) -> Option<String> {
    const PREFIXES: [&str; 5] = ["language-", "lang-", "highlight-source-", "highlight-", "brush:"];
    let of_class = |class: &str| PREFIXES.iter().find_map(|prefix| class.strip_prefix(prefix).and_then(language_name));
    classes.split_whitespace().find_map(of_class)
}

fn language_name(name: &str) -> Option<String> {
    let name = name.trim().trim_end_matches(';').to_ascii_lowercase();
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'#' | b'-' | b'_' | b'.'));
    let is_none = matches!(name.as_str(), "" | "none" | "text" | "plain" | "plaintext" | "plain-text" | "txt");
    (is_name && !is_none && name.len() <= 20).then_some(name)
}
