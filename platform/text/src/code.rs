//! Syntax trees of source code.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Language, ParseOptions, ParseState, Parser};
pub use tree_sitter::{Node, Tree};

/// Calls of the parser's progress callback (every 100 steps) for each kilobyte, and for any text. Ordinary code
/// takes a small part of it; text that makes the parser try everything is given up instead. A count and not a clock, so
/// that the same text gives the same tree on any machine.
const CALLS_PER_KILOBYTE: usize = 64;
const CALLS_AT_LEAST: usize = 1_000;

/// The clock is the last resort, for steps that take long themselves.
const PARSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The tree of a text in a language by the name that the cleaner gives it. None if the language is not known, or the text
/// takes too long.
pub fn parse(text: &str, language: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    if let Err(error) = parser.set_language(&grammar(language)?) {
        // Grammars are compiled in: this is a mistake in the build, and blank lines still do.
        tracing::error!(%error, "grammar does not fit the parser");
        return None;
    }
    let bytes = text.as_bytes();
    let started = Instant::now();
    let mut calls_left = CALLS_AT_LEAST + bytes.len() / 1024 * CALLS_PER_KILOBYTE;
    let mut stop = |_: &ParseState| {
        calls_left = calls_left.saturating_sub(1);
        calls_left == 0 || started.elapsed() > PARSE_TIMEOUT
    };
    let options = ParseOptions::new().progress_callback(&mut stop);
    let tree = parser.parse_with_options(&mut |byte, _| bytes.get(byte..).unwrap_or_default(), None, Some(options));
    if tree.is_none() {
        tracing::warn!(bytes = bytes.len(), "code takes too long to parse; it is cut at blank lines");
    }
    tree
}

fn grammar(language: &str) -> Option<Language> {
    let grammar = match language {
        "rust" => tree_sitter_rust::LANGUAGE,
        "python" => tree_sitter_python::LANGUAGE,
        "javascript" | "jsx" => tree_sitter_javascript::LANGUAGE,
        "typescript" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        "tsx" => tree_sitter_typescript::LANGUAGE_TSX,
        "go" => tree_sitter_go::LANGUAGE,
        "java" => tree_sitter_java::LANGUAGE,
        _ => return None,
    };
    Some(grammar.into())
}

/// The start of the line of this byte, if only white space stands between.
pub fn line_start(text: &str, byte: usize) -> Option<usize> {
    let before = text[..byte].char_indices().rev().try_for_each(|(index, c)| match c {
        '\n' => ControlFlow::Break(Some(index + 1)),
        c if c.is_whitespace() => ControlFlow::Continue(()),
        _ => ControlFlow::Break(None),
    });
    match before {
        ControlFlow::Break(line) => line,
        ControlFlow::Continue(()) => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_language_has_a_tree_and_no_other_has() {
        let texts = [
            ("rust", "fn a() {}"),
            ("python", "def a():\n    pass\n"),
            ("javascript", "function a() {}"),
            ("jsx", "const a = <b/>;"),
            ("typescript", "type A = number;"),
            ("tsx", "const a = <b/>;"),
            ("go", "package a"),
            ("java", "class A {}"),
        ];
        for (language, text) in texts {
            let tree = parse(text, language).unwrap();
            assert!(!tree.root_node().has_error(), "{language}");
        }
        assert!(parse("IDENTIFICATION DIVISION.", "cobol").is_none());
    }

    #[test]
    fn a_line_starts_where_only_white_space_stands_before() {
        assert_eq!(line_start("a\n  b", 4), Some(2));
        assert_eq!(line_start("  b", 2), Some(0));
        assert_eq!(line_start("a b", 2), None);
    }
}
