//! The samples of one document, before it is compared with others.

use serde::{Deserialize, Serialize};
use twin_corpus::CorpusDocument;
use twin_schemas::{Category, Refusal, Refusals, Span};
use twin_text::natural::Language;

use crate::Options;
use crate::code::{Bounds, code_passages};
use crate::instructions::Place;
use crate::passages::{Lengths, ProsePassage, passages, whole};
use crate::quality::{Judged, is_generated, refused};
use crate::quotation::quotation;
use crate::weights::Weights;
use crate::words::{choice, unit};

/// Of a text whose language was not told, bytes that are looked at for it.
const LANGUAGE_BYTES: usize = 4_096;

/// A passage of a document and what it can be asked for by.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its place among the document's passages, from 0. Passages that were refused have one too.
    pub ordinal: u32,
    /// Where it stands in the cleaned text, in bytes.
    pub span: Span,
    /// The text of `span`, exactly.
    pub text: String,
    /// The headings above it, outermost first; for code, the enclosing items and its own.
    pub heading_path: Vec<String>,
    /// What it answers.
    pub instruction: String,
    /// Another one, for when that one stands in another split already.
    pub other_instruction: Option<String>,
    /// The text ends where it does: nothing of its section or item follows.
    pub ends: bool,
    /// The question that a sentence of it answers, where there is such a sentence.
    pub grounding: Option<Grounding>,
}

/// A question about a passage and the sentence that answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grounding {
    /// The question.
    pub question: String,
    /// What it asks for, in a few words.
    pub subject: String,
    /// The sentence, or two: verbatim of the passage.
    pub quote: String,
    /// Another question about the passage, with what it asks for and the sentence that answers it, for when the first one
    /// stands in another split already.
    #[serde(default)]
    pub other: Option<Box<Grounding>>,
}

impl Grounding {
    /// It and the other one, in the order in which they are asked.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.other.as_deref())
    }
}

/// Whether a document of that category and key is written to be read: Markdown of a repository is, though it stands among
/// code.
pub(crate) fn is_prose(category: Category, natural_key: &str) -> bool {
    twin_text::language::is_prose(category == Category::Code, natural_key)
}

/// The usable samples of a document. No input or output but its arguments.
pub fn samples_of(document: &CorpusDocument, options: &Options) -> Vec<Candidate> {
    candidates(document, &Weights::default(), options).0
}

/// As [`samples_of`], with topics by how telling words are among all that the author has written, and with what was
/// refused.
pub(crate) fn candidates(
    document: &CorpusDocument,
    weights: &Weights,
    options: &Options,
) -> (Vec<Candidate>, Refusals) {
    let mut refusals = Refusals::default();
    let id = document.document_id.to_string();
    let found = match is_prose(document.category, &document.natural_key) {
        true => of_prose(document, &id, weights, options, &mut refusals),
        false => of_code(document, &id, options, &mut refusals),
    };
    let mut usable: Vec<Candidate> = found
        .into_iter()
        .filter(|candidate| match judged(document, candidate, options) {
            Some(reason) => {
                refusals.add(reason);
                false
            }
            None => true,
        })
        .collect();
    if usable.len() > options.max_passages_per_document {
        thin_out(&mut usable, &id, options, &mut refusals);
    }
    (usable, refusals)
}

/// Keeps those that a hash picks, in their order: not the beginning of a document alone.
fn thin_out(usable: &mut Vec<Candidate>, id: &str, options: &Options, refusals: &mut Refusals) {
    let rank = |candidate: &Candidate| choice(options.seed, &["passage", id, &candidate.ordinal.to_string()]);
    let mut ranks: Vec<u64> = usable.iter().map(rank).collect();
    ranks.sort_unstable();
    let last = ranks[options.max_passages_per_document - 1];
    let before = usable.len();
    usable.retain(|candidate| rank(candidate) <= last);
    for _ in usable.len()..before {
        refusals.add(Refusal::TooMany);
    }
}

/// The language of a document's prose, where there are words for it: as it was told when it was cleaned, and for a text
/// too short for that, by its stop words.
pub(crate) fn language_of(document: &CorpusDocument) -> Option<Language> {
    match &document.language {
        Some(code) => Language::of_code(code),
        None => Language::told(&document.text[..document.text.floor_char_boundary(LANGUAGE_BYTES)]),
    }
}

fn of_prose(
    document: &CorpusDocument,
    id: &str,
    weights: &Weights,
    options: &Options,
    refusals: &mut Refusals,
) -> Vec<Candidate> {
    let least = if document.category == Category::Post { options.min_post_chars } else { options.min_chars };
    let lengths = Lengths { least, most: options.max_chars, longest: options.max_long_chars };
    let language = language_of(document);
    let mut found = Vec::new();
    for (passage, ordinal) in prose_passages(&document.text, id, lengths, options, refusals).into_iter().zip(0..) {
        let text = &document.text[passage.range.clone()];
        let place = Place {
            seed: options.seed,
            document: id,
            text: &document.text,
            ordinal,
            category: document.category,
            language,
            weights,
            title: document.title.as_deref(),
            heading_path: &passage.heading_path,
            part: passage.part,
            is_whole: 3 * text.len() > 2 * document.text.len(),
            before: passage.before,
            answers: passage.answers,
        };
        let Some(instruction) = place.instruction(text) else {
            refusals.add(Refusal::NoInstruction);
            continue;
        };
        found.push(Candidate {
            ordinal,
            span: Span { start: passage.range.start as u64, end: passage.range.end as u64 },
            other_instruction: place.by_words(text).filter(|other| *other != instruction),
            instruction,
            ends: passage.ends,
            grounding: grounding(&place, text, options),
            text: text.to_owned(),
            heading_path: passage.heading_path,
        });
    }
    found
}

/// A text as a whole, or its passages.
fn prose_passages(
    text: &str,
    id: &str,
    lengths: Lengths,
    options: &Options,
    refusals: &mut Refusals,
) -> Vec<ProsePassage> {
    // By its text and not by its id: a copy of it elsewhere is cut alike, and thereby found to be one.
    if unit(choice(options.seed, &["whole", text])) < options.long_share
        && let Some(passage) = whole(text, lengths)
    {
        return vec![passage];
    }
    let is_whole =
        |section: usize| unit(choice(options.seed, &["long", id, &section.to_string()])) < options.long_share;
    passages(text, lengths, is_whole, refusals)
}

fn grounding(place: &Place<'_>, text: &str, options: &Options) -> Option<Grounding> {
    let mut asked = place.questions(text).into_iter().filter_map(|(question, subject)| {
        let quote = quotation(text, &subject, options.prompt.passage_chars, place.language)?;
        Some(Grounding { question, subject, quote: text[quote].to_owned(), other: None })
    });
    let first = asked.next()?;
    Some(Grounding { other: asked.next().map(Box::new), ..first })
}

fn of_code(document: &CorpusDocument, id: &str, options: &Options, refusals: &mut Refusals) -> Vec<Candidate> {
    if is_generated(&document.text) {
        refusals.add(Refusal::Boilerplate);
        return Vec::new();
    }
    let bounds = Bounds { least: options.min_code_chars, most: options.max_chars };
    let language = document.code_language.as_deref();
    let passages = code_passages(&document.text, language, bounds, (options.seed, id), refusals);
    let candidate = |(passage, ordinal): (crate::code::CodePassage, u32)| Candidate {
        ordinal,
        span: Span { start: passage.range.start as u64, end: passage.range.end as u64 },
        text: document.text[passage.range].to_owned(),
        heading_path: passage.heading_path,
        other_instruction: Some(format!("{} It is part of `{}`.", passage.instruction, document.natural_key)),
        instruction: passage.instruction,
        ends: true,
        grounding: None,
    };
    passages.into_iter().zip(0..).map(candidate).collect()
}

fn judged(document: &CorpusDocument, candidate: &Candidate, options: &Options) -> Option<Refusal> {
    let questions = candidate.grounding.iter().flat_map(Grounding::each).map(|asked| asked.question.as_str());
    let title = document.title.as_deref().unwrap_or("");
    let other = candidate.other_instruction.as_deref().unwrap_or("");
    let mut beside = vec![candidate.instruction.as_str(), other, title, document.natural_key.as_str()];
    beside.extend(questions);
    beside.extend(candidate.heading_path.iter().map(String::as_str));
    let judged = Judged {
        text: &candidate.text,
        beside: &beside,
        is_prose: is_prose(document.category, &document.natural_key),
        language: document.language.as_deref(),
    };
    refused(&judged, options)
}
