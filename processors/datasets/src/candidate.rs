//! The samples of one document, before it is compared with others.

use serde::{Deserialize, Serialize};
use twin_corpus::CorpusDocument;
use twin_schemas::{Category, Refusal, Refusals, Span};

use crate::Options;
use crate::code::{Bounds, code_passages};
use crate::instructions::Place;
use crate::passages::passages;
use crate::quality::{Judged, is_generated, refused};
use crate::quotation::quotation;
use crate::words::choice;

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
}

/// The usable samples of a document. No input or output but its arguments.
pub fn samples_of(document: &CorpusDocument, options: &Options) -> Vec<Candidate> {
    candidates(document, options).0
}

/// As [`samples_of`], with what was refused.
pub(crate) fn candidates(document: &CorpusDocument, options: &Options) -> (Vec<Candidate>, Refusals) {
    let mut refusals = Refusals::default();
    let id = document.document_id.to_string();
    let found = match document.category {
        Category::Code => of_code(document, &id, options, &mut refusals),
        Category::Article | Category::Post => of_prose(document, &id, options, &mut refusals),
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

fn of_prose(document: &CorpusDocument, id: &str, options: &Options, refusals: &mut Refusals) -> Vec<Candidate> {
    let least = if document.category == Category::Post { options.min_post_chars } else { options.min_chars };
    let mut found = Vec::new();
    for (passage, ordinal) in passages(&document.text, least, options.max_chars, refusals).into_iter().zip(0..) {
        let text = &document.text[passage.range.clone()];
        let place = Place {
            seed: options.seed,
            document: id,
            ordinal,
            category: document.category,
            title: document.title.as_deref(),
            heading_path: &passage.heading_path,
            part: passage.part,
            is_whole: 3 * text.len() > 2 * document.text.len(),
        };
        let Some(instruction) = place.instruction(text) else {
            refusals.add(Refusal::NoInstruction);
            continue;
        };
        let grounding = place.question(text).and_then(|(question, subject)| {
            let quote = quotation(text, &subject, options.prompt.passage_chars)?;
            Some(Grounding { question, subject, quote: text[quote].to_owned() })
        });
        let span = Span { start: passage.range.start as u64, end: passage.range.end as u64 };
        let text = text.to_owned();
        let heading_path = passage.heading_path;
        found.push(Candidate { ordinal, span, text, heading_path, instruction, grounding });
    }
    found
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
        instruction: passage.instruction,
        grounding: None,
    };
    passages.into_iter().zip(0..).map(candidate).collect()
}

fn judged(document: &CorpusDocument, candidate: &Candidate, options: &Options) -> Option<Refusal> {
    let question = candidate.grounding.as_ref().map_or("", |grounding| grounding.question.as_str());
    let title = document.title.as_deref().unwrap_or("");
    let mut beside = vec![candidate.instruction.as_str(), question, title, document.natural_key.as_str()];
    beside.extend(candidate.heading_path.iter().map(String::as_str));
    let judged = Judged {
        text: &candidate.text,
        beside: &beside,
        category: document.category,
        language: document.language.as_deref(),
    };
    refused(&judged, options)
}
