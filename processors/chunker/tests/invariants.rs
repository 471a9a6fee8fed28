//! What holds for any text. `common::chunked` checks it; here are the texts.

mod common;

use std::time::{Duration, Instant};

use common::{chunked, document, small, tokenizer};
use proptest::prelude::*;
use twin_chunker::{Options, chunk};
use twin_schemas::{Category, CleanedDocument};

const LANGUAGES: [&str; 8] = ["rust", "python", "javascript", "typescript", "tsx", "go", "java", "tcl"];

/// Lines as in Markdown, in any order.
fn markdown_soup() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("# Heading".to_owned()),
        Just("### Deeper ###".to_owned()),
        Just("======".to_owned()),
        Just("---".to_owned()),
        Just("```rust".to_owned()),
        Just("~~~".to_owned()),
        Just(String::new()),
        Just("   ".to_owned()),
        Just("- item of a list. With two sentences.".to_owned()),
        Just("> quoted".to_owned()),
        Just("| a | b |".to_owned()),
        "[a-zé漢한 .!?]{0,60}",
        "\\PC{0,20}",
        Just("supercalifragilisticexpialidocious".repeat(2)),
    ];
    prop::collection::vec(line, 0..60).prop_map(|lines| lines.join("\n"))
}

/// Pieces as in code, in any order.
fn code_soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "fn a() {\n",
        "}\n",
        "impl A for B {\n",
        "    ",
        "\n\n",
        "class C:\n",
        "  def d(self):\n",
        "\treturn 1\n",
        "// c\n",
        "# e\n",
        "/* f */ ",
        "@g\n",
        "export ",
        "function h() {",
        "((((",
        "\"",
        "`${",
        "const i = () => 1;\n",
        "#[j]\n",
        "type K struct {\n",
        "func (l *L) M() {\n",
        "public class N {\n",
        "é",
        "\u{feff}",
        "\r\n",
        "x = 1; ",
    ]);
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

fn category() -> impl Strategy<Value = Category> {
    prop::sample::select(Category::ALL.to_vec())
}

fn options() -> impl Strategy<Value = Options> {
    (16_usize..80, 0.1_f64..0.9).prop_map(|(max_tokens, min_share)| Options { min_share, ..small(max_tokens) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_covered_by_chunks_that_fit(text in "(?s).{0,400}", category in category(), options in options()) {
        chunked(&document(category, &text), &options);
    }

    #[test]
    fn any_markdown_is_covered_by_chunks_that_fit(
        text in markdown_soup(),
        category in category(),
        options in options(),
    ) {
        chunked(&document(category, &text), &options);
    }

    #[test]
    fn any_code_is_covered_by_chunks_that_fit(
        text in code_soup(),
        language in prop::sample::select(LANGUAGES.to_vec()),
        options in options(),
    ) {
        let code = CleanedDocument { code_language: Some(language.to_owned()), ..document(Category::Code, &text) };
        chunked(&code, &options);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// What takes quadratic time shows when it is repeated.
    #[test]
    fn whatever_is_repeated_it_takes_little_time(
        piece in prop_oneof![markdown_soup(), code_soup(), "\\PC{1,40}"],
        language in prop::option::of(prop::sample::select(LANGUAGES.to_vec())),
        category in category(),
    ) {
        prop_assume!(!piece.is_empty());
        let text = piece.repeat((128 << 10) / piece.len() + 1);
        let document = CleanedDocument { code_language: language.map(str::to_owned), ..document(category, &text) };
        let started = Instant::now();
        let chunks = chunk(&document, tokenizer(), &Options::default()).unwrap();
        prop_assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        let covered: usize = chunks.iter().map(|chunk| chunk.text.len()).sum();
        prop_assert!(chunks.is_empty() || covered == text.len(), "{covered} of {}", text.len());
    }
}

#[test]
fn a_word_longer_than_a_chunk_is_cut_inside_and_still_fits() {
    // 90 letters are one word of many tokens, cut only because nothing else is there.
    let word = "zqxjkvbpyg".repeat(9);
    for max_tokens in 16..40 {
        chunked(&document(Category::Post, &format!("{word} {word}")), &small(max_tokens));
    }
    // Syllables that the tokenizer takes apart share their bytes.
    chunked(&document(Category::Post, &"한국어의각".repeat(15)), &small(16));
}
