//! Large and hostile texts take time in proportion to their size.

mod common;

use std::time::{Duration, Instant};

use common::{document, tokenizer};
use twin_chunker::{Options, chunk};
use twin_schemas::{Category, CleanedDocument};

/// Chunks within a generous time: quadratic work would take minutes.
fn in_seconds(seconds: u64, document: &CleanedDocument) -> usize {
    let started = Instant::now();
    let chunks = chunk(document, tokenizer(), &Options::default()).unwrap();
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(seconds), "{taken:?} for {} bytes", document.text.len());
    let longest = chunks.iter().map(|chunk| chunk.text.len()).max().unwrap();
    assert!(longest <= 64 << 10, "a chunk of {longest} bytes");
    chunks.len()
}

fn code(language: &str, text: String) -> CleanedDocument {
    CleanedDocument { code_language: Some(language.to_owned()), ..document(Category::Code, &text) }
}

#[test]
fn a_line_of_ten_megabytes() {
    let text = "All of these words stand on one line without a stop ".repeat(200_000);
    assert!(in_seconds(60, &document(Category::Article, &text)) > 5_000);
}

#[test]
fn a_word_of_a_megabyte() {
    for category in Category::ALL {
        assert!(in_seconds(20, &document(category, &"a".repeat(1 << 20))) >= 64);
    }
    assert!(in_seconds(20, &document(Category::Post, &"(".repeat(1 << 20))) > 1_000);
}

#[test]
fn a_hundred_thousand_headings_and_fences() {
    assert!(in_seconds(20, &document(Category::Article, &"# A\n\n".repeat(100_000))) > 500);
    assert!(in_seconds(20, &document(Category::Article, &"```\na\n```\n".repeat(100_000))) > 500);
    assert!(in_seconds(20, &document(Category::Article, &"> - * _ ` ~ [ ] ( ) ! ".repeat(50_000))) > 500);
}

#[test]
fn nesting_bombs_in_every_language() {
    let deep = 50_000;
    let bombs = [
        ("rust", "mod a { ".repeat(deep)),
        ("rust", "impl A {\n".repeat(deep)),
        ("python", (0..400).map(|depth| format!("{}class A:\n", " ".repeat(depth))).collect()),
        ("javascript", "[".repeat(deep)),
        ("typescript", "namespace a {\n".repeat(deep)),
        ("tsx", "<a>\n".repeat(deep)),
        ("go", "func a() {\n(((((".repeat(deep)),
        ("java", "class A {\n".repeat(deep)),
        ("javascript", "`${".repeat(deep)),
    ];
    for (language, text) in bombs {
        in_seconds(30, &code(language, text));
    }
}
