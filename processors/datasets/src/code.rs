//! Items of source code: functions, types, classes with the comments that document them.
//!
//! A known language is parsed; a file of another one is cut at blank lines between unindented lines. An item that is
//! too long is replaced by its members.

mod comments;
mod grammar;
mod plain;
mod tree;

use std::ops::Range;

use twin_schemas::{Refusal, Refusals};

use crate::words::choice;

/// Characters of a comment that says enough to write the code from.
const LEAST_COMMENT_CHARS: usize = 24;

/// Characters of a signature or comment in an instruction.
const MOST_GIVEN_CHARS: usize = 800;

/// An item, or a part of a file that stands by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// With the comments before it. Begins at the start of a line.
    pub range: Range<usize>,
    /// Where the code begins, behind those comments. The start of a line, too.
    pub code: usize,
    /// Everything before its body, where it has one.
    pub signature: Option<Range<usize>>,
    /// The items that it stands in, outermost first, and itself.
    pub path: Vec<String>,
}

/// What is asked for, and the range that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodePassage {
    /// Where it stands.
    pub range: Range<usize>,
    /// The items that it stands in, and itself.
    pub heading_path: Vec<String>,
    /// What it answers.
    pub instruction: String,
}

/// How long an item may be, in characters.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// At least.
    pub least: usize,
    /// At most.
    pub most: usize,
}

/// The items of a file that something can be asked for, each once.
pub(crate) fn code_passages(
    text: &str,
    language: Option<&str>,
    bounds: Bounds,
    chosen_by: (u64, &str),
    refusals: &mut Refusals,
) -> Vec<CodePassage> {
    let items = language.and_then(|language| tree::items(text, language, bounds.most));
    let items = items.unwrap_or_else(|| plain::items(text));
    let mut found = Vec::new();
    for item in items {
        let chars = text[item.range.clone()].trim_end().chars().count();
        if chars > bounds.most {
            refusals.add(Refusal::TooLong);
            continue;
        }
        match asked_for(text, language, item, chosen_by) {
            Some(passage) if text[passage.range.clone()].chars().count() >= bounds.least => found.push(passage),
            Some(_) => refusals.add(Refusal::TooShort),
            None => refusals.add(Refusal::NoInstruction),
        }
    }
    found
}

/// The comment asks for the code, or the signature for code and comment. Never both of one item: the two answers would
/// be nearly the same.
fn asked_for(text: &str, language: Option<&str>, item: Item, (seed, document): (u64, &str)) -> Option<CodePassage> {
    let language = language.map_or_else(|| "the".to_owned(), |language| format!("the {}", spelled(language)));
    let comment = comments::content(&text[item.range.start..item.code]);
    let is_telling = (LEAST_COMMENT_CHARS..=MOST_GIVEN_CHARS).contains(&comment.chars().count());
    let signature = item.signature.map(|range| one_line(&text[range]));
    let signature = signature.filter(|signature| (1..=MOST_GIVEN_CHARS).contains(&signature.chars().count()));
    let number = choice(seed, &["code", document, &item.range.start.to_string()]);
    let by_comment = is_telling && (signature.is_none() || number.is_multiple_of(2));
    let wording = number / 2;
    let (start, instruction) = if by_comment {
        let wording = match wording % 3 {
            0 => format!("Write {language} code that this comment documents:\n\n{comment}"),
            1 => format!("Write {language} code for this description:\n\n{comment}"),
            _ => format!("How do you write this as {language} code you would keep?\n\n{comment}"),
        };
        (item.code, wording)
    } else {
        let signature = signature?;
        let documented = if item.range.start < item.code { ", with its comment" } else { "" };
        let wording = match wording % 3 {
            0 => format!("Write {language} item `{signature}`{documented}."),
            1 => format!("Write out {language} code of `{signature}`{documented}."),
            _ => format!("How do you write {language} item `{signature}`{documented}?"),
        };
        (item.range.start, wording)
    };
    let end = start + text[start..item.range.end].trim_end().len();
    Some(CodePassage { range: start..end, heading_path: item.path, instruction })
}

/// A language as people write it.
fn spelled(language: &str) -> &str {
    match language {
        "rust" => "Rust",
        "python" => "Python",
        "javascript" | "jsx" => "JavaScript",
        "typescript" | "tsx" => "TypeScript",
        "go" => "Go",
        "java" => "Java",
        "cpp" => "C++",
        "csharp" => "C#",
        "c" => "C",
        "ruby" => "Ruby",
        "haskell" => "Haskell",
        "kotlin" => "Kotlin",
        "swift" => "Swift",
        other => other,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(['{', ':', '=', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { least: 10, most: 400 };

    fn passages(text: &str, language: &str) -> Vec<(String, String)> {
        let found: Vec<CodePassage> = (0..8)
            .flat_map(|seed| code_passages(text, Some(language), BOUNDS, (seed, "d"), &mut Refusals::default()))
            .collect();
        found.into_iter().map(|passage| (passage.instruction, text[passage.range].to_owned())).collect()
    }

    #[test]
    fn a_comment_asks_for_the_code_and_a_signature_for_both() {
        let text = "//! A module.\n\n/// Adds two numbers, and nothing else.\n#[inline]\npub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n";
        let found = passages(text, "rust");
        let code = "#[inline]\npub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}";
        for (instruction, answer) in &found {
            if instruction.contains("Adds two numbers, and nothing else.") {
                assert_eq!(answer, code);
            } else {
                assert!(instruction.contains("`pub fn add(a: u32, b: u32) -> u32`"), "{instruction}");
                assert_eq!(*answer, format!("/// Adds two numbers, and nothing else.\n{code}"));
            }
        }
        assert!(found.iter().any(|(_, answer)| answer.starts_with("///")));
        assert!(found.iter().any(|(_, answer)| answer.starts_with("#[")));
    }

    #[test]
    fn the_members_stand_for_an_item_that_is_too_long() {
        let method = |name: &str| format!("    def {name}(self):\n        return \"{}\"\n\n", "x".repeat(150));
        let text = format!("class A:\n{}{}{}", method("one"), method("two"), method("three"));
        let found = passages(&text, "python");
        assert!(found.iter().all(|(_, answer)| answer.starts_with("    def ")), "{found:?}");
        assert!(found.iter().any(|(instruction, _)| instruction.contains("`def two(self)`")), "{found:?}");
    }

    #[test]
    fn a_language_without_grammar_is_cut_at_blank_lines() {
        let text = "-- Adds one to what is given to it.\nadd x = x + 1\n\n-- short\nf = 1\n\nmain = do\n  print 1\n\n  print 2\n";
        let found = passages(text, "haskell");
        assert!(found.iter().all(|(_, answer)| answer == "add x = x + 1"), "{found:?}");
        assert!(!found.is_empty());
    }
}
