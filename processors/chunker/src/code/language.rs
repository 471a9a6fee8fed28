//! The languages whose items are known.

use tree_sitter::Language;

/// The grammar of a language by the name that the cleaner gives it.
pub(super) fn grammar(language: &str) -> Option<Language> {
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
