//! Where articles and posts are cut.

mod common;

use common::{article, chunked, document, expected, heads, small};
use twin_chunker::Options;
use twin_schemas::{Category, Chunk};

const SENTENCE: &str = "The broker keeps every event in order. ";

fn texts(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.text.as_str()).collect()
}

#[test]
fn each_section_starts_a_chunk_under_its_headings() {
    let body = SENTENCE.repeat(3);
    let text =
        format!("{body}\n\n# Logs\n\n{body}\n\n## Offsets\n\n{body}\n\nKeys\n====\n\n{body}\n\n### Deep\n\n{body}\n");
    assert_eq!(
        heads(&article(&text, &small(40))),
        expected(&[
            (body.trim_end_matches('\n'), ""),
            ("# Logs", "Logs"),
            ("## Offsets", "Logs > Offsets"),
            ("Keys", "Keys"),
            ("### Deep", "Keys > Deep"),
        ])
    );
}

#[test]
fn tiny_sections_are_merged_under_their_common_heading() {
    let text = "# Setup\n\n## Linux\n\nRun make.\n\n## Windows\n\nRun nmake.\n\n# Use\n\nCall it often.\n";
    let chunks = article(text, &Options::default());
    assert_eq!(heads(&chunks), expected(&[("# Setup", "")]));
    let under_one = article("# Setup\n\n## Linux\n\nRun make.\n\n## Windows\n\nRun nmake.\n", &Options::default());
    assert_eq!(heads(&under_one), expected(&[("# Setup", "Setup")]));
}

#[test]
fn a_tiny_section_is_not_merged_where_it_does_not_fit() {
    let text = format!("# One\n\nShort.\n\n# Two\n\n{}", SENTENCE.repeat(4));
    assert_eq!(heads(&article(&text, &small(36))), expected(&[("# One", "One"), ("# Two", "Two")]));
}

#[test]
fn a_long_section_is_cut_at_a_paragraph_before_a_sentence() {
    let paragraph = |word: &str| format!("{word} begins. {}", SENTENCE.repeat(3));
    let text = format!("# Log\n\n{}\n\n{}\n\n{}\n", paragraph("One"), paragraph("Two"), paragraph("Three"));
    let chunks = article(&text, &small(40));
    assert_eq!(heads(&chunks).len(), 3);
    assert!(chunks[1].text.starts_with("Two begins.") && chunks[2].text.starts_with("Three begins."), "{chunks:#?}");
    assert!(chunks.iter().all(|chunk| chunk.heading_path == ["Log"]));
}

#[test]
fn a_long_paragraph_is_cut_after_a_sentence() {
    let chunks = article(&SENTENCE.repeat(20), &small(40));
    assert!(chunks.len() >= 4);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("The broker") && chunk.text.ends_with(". ")));
    let least = chunks.iter().map(|chunk| chunk.token_count).min().unwrap();
    assert!(least >= 10, "a scrap of {least} tokens is left");
}

#[test]
fn a_wrapped_paragraph_is_cut_after_a_sentence_and_not_at_a_line() {
    let text =
        "The broker of this system keeps every event that it is given in\norder. It never loses one. ".repeat(12);
    let chunks = article(&text, &small(40));
    assert!(chunks.len() > 3);
    let ends = |text: &str| text.trim_end().ends_with('.');
    assert!(chunks.iter().all(|chunk| ends(&chunk.text)), "{:#?}", texts(&chunks));
}

#[test]
fn a_list_is_cut_between_its_items() {
    let items: Vec<String> = (1..=12).map(|n| format!("- item {n} says. Something in two sentences")).collect();
    let chunks = article(&items.join("\n"), &small(40));
    assert!(chunks.len() > 2);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("- item")), "{:#?}", texts(&chunks));
}

#[test]
fn a_fenced_block_that_fits_is_never_cut() {
    let fence = "```rust\nlet a = 1;\n\nlet b = 2;\n\nlet c = a + b;\n```";
    for sentences in 0..8 {
        let text = format!("Intro.\n\n{}\n\n{fence}\n\n{}", SENTENCE.repeat(sentences), SENTENCE.repeat(4));
        let chunks = article(&text, &small(48));
        assert!(chunks.iter().any(|chunk| chunk.text.contains(fence)), "{sentences}: {:#?}", texts(&chunks));
    }
}

#[test]
fn a_fenced_block_that_is_too_long_is_cut_at_its_blank_lines() {
    let blocks: Vec<String> = (0..12).map(|n| format!("let first_{n} = {n};\nlet second_{n} = {n};\n")).collect();
    let text = format!("```rust\n{}```\n", blocks.join("\n"));
    let chunks = article(&text, &small(48));
    assert!(chunks.len() > 2);
    assert!(chunks[1..].iter().all(|chunk| chunk.text.starts_with("let first_")), "{:#?}", texts(&chunks));
    assert!(chunks.last().unwrap().text.ends_with("```\n"));
}

#[test]
fn a_heading_is_never_the_end_of_a_chunk() {
    for sentences in 1..12 {
        let text = format!(
            "# One\n\n{}\n\n# Two\n\n## Two and a half\n\n{}\n\nThree\n---\n\n{}",
            SENTENCE.repeat(sentences),
            SENTENCE.repeat(12 - sentences),
            SENTENCE.repeat(5)
        );
        for chunk in article(&text, &small(32)) {
            let last = chunk.text.trim_end().lines().last().unwrap();
            assert!(
                !last.starts_with('#') && !last.starts_with("---") && last != "Three",
                "{sentences}: {:?}",
                chunk.text
            );
        }
    }
}

#[test]
fn a_hash_in_a_fence_is_no_heading() {
    let text = format!("# Real\n\n{}\n\n```sh\n# not a heading\nmake\n```\n", SENTENCE.repeat(2));
    assert_eq!(heads(&article(&text, &Options::default())), expected(&[("# Real", "Real")]));
}

#[test]
fn a_post_that_fits_is_one_chunk_whatever_its_headings() {
    let text = format!("# A\n\n{}\n\n# B\n\n{}", SENTENCE.repeat(10), SENTENCE.repeat(10));
    let post = document(Category::Post, &text);
    let chunks = chunked(&post, &Options::default());
    assert_eq!(chunks.len(), 1);
    assert!(chunks[0].heading_path.is_empty());
    let cut = chunked(&post, &small(100));
    assert_eq!(heads(&cut), expected(&[("# A", "A"), ("# B", "B")]));
}

#[test]
fn chinese_is_cut_after_its_sentences() {
    let chunks = article(&"日志按顺序保存每个事件。".repeat(20), &small(60));
    assert!(chunks.len() > 3);
    assert!(chunks.iter().all(|chunk| chunk.text.ends_with('。')));
}

#[test]
fn white_space_alone_has_no_chunks() {
    assert!(article(" \n\t\n  ", &Options::default()).is_empty());
    assert!(article("", &Options::default()).is_empty());
}

#[test]
fn an_edit_leaves_the_chunks_of_the_other_paragraphs_as_they_were() {
    let subjects = ["broker", "consumer", "producer", "index", "embedder", "crawler", "gateway"];
    let verbs = ["keeps", "reads", "writes", "loses", "finds", "orders"];
    let sentence = |n: usize| format!("The {} {} {} events a day. ", subjects[n % 7], verbs[n % 6], n * 7919 % 1000);
    let paragraph = |n: usize| (0..2 + n * 5 % 7).map(|m| sentence(n * 11 + m)).collect::<String>();
    let build = |edited: Option<usize>| {
        let mut text = String::new();
        for n in 0..120 {
            if n % 12 == 0 {
                text.push_str(&format!("## Part {n}\n\n"));
            }
            let paragraph =
                if edited == Some(n) { "Entirely new words stand here now.".to_owned() } else { paragraph(n) };
            text.push_str(&paragraph);
            text.push_str("\n\n");
        }
        text
    };
    let before = article(&build(None), &Options::default());
    let after = article(&build(Some(40)), &Options::default());
    let known: Vec<_> = before.iter().map(|chunk| &chunk.content_hash).collect();
    let changed = after.iter().filter(|chunk| !known.contains(&&chunk.content_hash)).count();
    assert!(before.len() >= 30, "{}", before.len());
    assert!((1..=4).contains(&changed), "{changed} of {} chunks changed", after.len());
}
