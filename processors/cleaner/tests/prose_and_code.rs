//! Markdown, plain text and source code.

mod support;

use support::{clean_as, markdown, raw};
use twin_cleaner::{Options, clean};
use twin_schemas::{Category, MediaType};

#[test]
fn markdown_keeps_the_authors_markup() {
    let text = "# Title\n\nA *b* [link](https://x.y) and `code`.\n\n- a\n  - b\n\n1. c\n\n| a | b |\n| --- | --- \
        |\n| 1 | 2 |\n\n\
        > quote\n\n[ref]: https://x.y\n\n***\n\nlast";
    let cleaned = markdown(text);
    assert_eq!(cleaned.text, text);
    assert_eq!(cleaned.meta.title.as_deref(), Some("Title"));
}

#[test]
fn markdown_code_keeps_its_bytes() {
    let text = "a\n\n```html\n<!-- kept -->\u{200b}  \n\n\n<b>e\u{301}</b> ![x](y)\n```\n\n    <!-- kept -->   x\n\nb";
    assert_eq!(markdown(text).text, text);
}

#[test]
fn markdown_prose_loses_comments_images_and_invisible_characters() {
    let cleaned = markdown("\u{feff}a<!-- hidden -->\u{200b}b  \r\n\r\n\r\n\r\n![A graph](g.png)\r\ncafe\u{301}\n\n\n");
    assert_eq!(cleaned.text, "ab\n\nA graph\ncafé");
}

#[test]
fn a_readme_with_html_at_its_top_reads_as_text() {
    let readme = "<p align=\"center\">\n  <img src=\"logo.svg\" alt=\"Twin\">\n</p>\n<h1 align=\"center\">Twin</h1>\n\n\
        [![CI](ci.svg)](https://ci)\n\n<details>\n<summary>More</summary>\n\ntext\n\n</details>\n";
    let cleaned = markdown(readme);
    assert_eq!(cleaned.text, "  Twin\n\n# Twin\n\n[CI](https://ci)\n\nMore\n\ntext");
    assert_eq!(cleaned.meta.title.as_deref(), Some("Twin"));
}

#[test]
fn plain_text_keeps_its_layout() {
    let cleaned =
        clean_as(Category::Post, MediaType::Text, "\u{feff}one\r\n\r\n\r\n  * two\u{202e} <b> # x \n\n").unwrap();
    assert_eq!(cleaned.text, "one\n\n\n  * two <b> # x");
    assert_eq!(cleaned.meta.title, None);
}

#[test]
fn code_passes_byte_for_byte() {
    let source = "\u{feff}fn main() {\r\n\t// e\u{301} \u{200b}<!-- -->  \n\n\n\n}\n\n";
    let cleaned = clean(&raw(Category::Code, MediaType::Text, "src/main.rs", source), &Options::default()).unwrap();
    assert_eq!(cleaned.text, source.strip_prefix('\u{feff}').unwrap());
    assert_eq!((cleaned.code_language.as_deref(), cleaned.language), (Some("rust"), None));
}

#[test]
fn the_language_is_told_from_the_prose_and_only_when_it_is_sure() {
    let german = "Die Replikation eines Protokolls ist im Grunde einfach, solange niemand schreibt, während man liest. \
        Danach wird es schnell unübersichtlich, und man wünscht sich eine klare Reihenfolge.";
    let code = "```rust\nfn main() { println!(\"the quick brown fox jumps over the lazy dog\"); }\n```\n".repeat(50);
    assert_eq!(markdown(&format!("{code}\n{german}")).language.as_deref(), Some("deu"));
    assert_eq!(markdown("ok 1 2 3").language, None);
}
