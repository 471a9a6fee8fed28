//! Which of the author's passages show a model how the author writes.
//!
//! Prose, in whole paragraphs, near to the instruction and each of another document: what the author says often in one text
//! is not what the author says in all of them.

use std::collections::HashSet;

use twin_schemas::{Category, Passage, Query, QueryFilter};
use twin_text::blocks::{Kind, blocks};
use twin_text::language::is_prose;
use twin_text::markdown::list_item;
use twin_text::sentences::ends_sentence;
use twin_text::words::words;

use crate::answer::question;
use crate::retrieve::{Error, Retriever};

/// Examples that a model is shown, at most.
const EXAMPLES: usize = 3;

/// Passages among which they are looked for.
const LOOKED_AT: usize = 24;

/// Words of an example, at least: fewer show no manner.
const LEAST_WORDS: usize = 30;

/// Characters of an example, about: it ends with the paragraph that reaches them.
const EXAMPLE_CHARS: usize = 700;

/// Characters of an example, at most: a longer paragraph is none.
const MOST_CHARS: usize = 1_600;

/// A passage, and what of it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Example {
    pub passage: Passage,
    /// Whole paragraphs.
    pub text: String,
}

/// Examples for a text of this category; where the author has too few of it, of others. Passages whose facts are wanted are
/// none: the model sees them already.
pub(crate) async fn examples(
    retriever: &Retriever,
    query: &Query,
    category: Category,
    facts: &[Passage],
) -> Result<Vec<Example>, Error> {
    let mut chosen = Vec::new();
    for filter in [Some(category), None] {
        let filter = QueryFilter { category: filter, ..QueryFilter::default() };
        let found = retriever.retrieve(&query.author, question(query), LOOKED_AT, &filter).await?;
        choose(found.passages, facts, &mut chosen);
        if chosen.len() == EXAMPLES {
            break;
        }
    }
    Ok(chosen)
}

/// Adds the best of these passages to those that were chosen, one of a document, until there are enough.
fn choose(passages: Vec<Passage>, facts: &[Passage], chosen: &mut Vec<Example>) {
    let key = |passage: &Passage| (passage.document_id, passage.ordinal);
    let shown: HashSet<_> = facts.iter().map(key).collect();
    for passage in passages {
        if chosen.len() == EXAMPLES {
            return;
        }
        let is_new = chosen.iter().all(|example| example.passage.document_id != passage.document_id);
        let is_code = passage.category == Category::Code;
        if !is_new || shown.contains(&key(&passage)) || !is_prose(is_code, &passage.natural_key) {
            continue;
        }
        if let Some(text) = paragraphs(&passage.text) {
            chosen.push(Example { passage, text });
        }
    }
}

/// The paragraphs of a passage, from the first on, as many as an example has. None if they are too short to show anything.
fn paragraphs(text: &str) -> Option<String> {
    let read = blocks(text);
    let of_prose = read.blocks.iter().filter(|block| block.kind == Kind::Text).map(|block| &text[block.range.clone()]);
    // A paragraph that the chunker cut does not end as a sentence does.
    let whole = of_prose.filter(|paragraph| list_item(paragraph).is_none() && ends_sentence(paragraph));
    let mut shown = String::new();
    for paragraph in whole {
        let chars = shown.chars().count();
        if chars >= EXAMPLE_CHARS || chars + paragraph.chars().count() > MOST_CHARS {
            break;
        }
        if !shown.is_empty() {
            shown.push_str("\n\n");
        }
        shown.push_str(paragraph);
    }
    (words(&shown).len() >= LEAST_WORDS).then_some(shown)
}

#[cfg(test)]
mod tests {
    use twin_schemas::{DocumentId, Revision};

    use super::*;

    const PROSE: &str = "Every winter I wrap the hives in wool, and every winter somebody tells me that bees have lived for \
        thirty million years without it. So they have.\n\nI wrap them all the same, because the wind comes over the hill \
        in February and does not ask how old a species is.";

    fn passage(document: u8, ordinal: u32, category: Category, name: &str) -> Passage {
        Passage {
            document_id: DocumentId(format!("00000000-0000-0000-0000-{document:012}").parse().unwrap()),
            revision: Revision(1),
            ordinal,
            natural_key: name.into(),
            title: None,
            url: None,
            category,
            heading_path: Vec::new(),
            text: PROSE.into(),
            score: 0.5,
        }
    }

    /// `<name>#<ordinal>` of each that was chosen.
    fn chosen(passages: &[Passage], facts: &[Passage]) -> Vec<String> {
        let mut chosen = Vec::new();
        choose(passages.to_vec(), facts, &mut chosen);
        let name = |example: &Example| format!("{}#{}", example.passage.natural_key, example.passage.ordinal);
        chosen.iter().map(name).collect()
    }

    #[test]
    fn examples_are_of_documents_of_their_own_and_no_more_than_a_few() {
        let article = |(document, ordinal)| passage(document, ordinal, Category::Article, &document.to_string());
        let passages = [(1, 0), (1, 1), (2, 0), (3, 4), (4, 0)].map(article);
        assert_eq!(chosen(&passages, &[]), ["1#0", "2#0", "3#4"]);
        assert_eq!(chosen(&passages, &passages[..1]), ["1#1", "2#0", "3#4"], "what is shown as a fact is none");
    }

    #[test]
    fn code_is_no_example_and_prose_of_a_repository_is() {
        let code = passage(1, 0, Category::Code, "src/main.rs");
        let readme = passage(2, 0, Category::Code, "README.md");
        assert_eq!(chosen(&[code, readme], &[]), ["README.md#0"]);
    }

    #[test]
    fn an_example_is_made_of_whole_paragraphs() {
        let text = format!(
            "# Hives\n\n{PROSE}\n\n- a list\n- of things.\n\n```\nlet code = 1;\n```\n\n| a | b |\n\nAnd then it was"
        );
        assert_eq!(paragraphs(&text).unwrap(), PROSE, "no heading, list, code or table, and nothing that was cut");
        let many = [PROSE; 6].join("\n\n");
        let shown = paragraphs(&many).unwrap();
        assert!((EXAMPLE_CHARS..MOST_CHARS).contains(&shown.chars().count()) && shown.ends_with('.'), "{shown}");
        assert_eq!(paragraphs("Too short to show anything."), None);
        assert_eq!(paragraphs(&"An endless sentence, ".repeat(100)), None);
    }
}
