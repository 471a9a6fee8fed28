//! Whether passages support what a model wrote.
//!
//! In: the text of an answer, and the passages that it was written from. Out: each sentence of it that claims something, with
//! whether a part of a passage says the same and which ([`SentenceSupport`]), and the quotations that are in no passage.
//!
//! Answer and passages are cut alike (`pieces`). A sentence is compared with each sentence, item, row and line of the passages,
//! and with two that stand one behind the other: by the share of its words there, the rarer the more (`evidence`), and by how
//! near the vectors of the two are, made by the embedding model that found the passages. Together they make a score
//! (`judge`). Whatever the score, a number, date, version, unit, name or identifier that is not there (`facts`) and a denial that is
//! not there (`polarity`) are always unsupported. Sentences that claim nothing are not judged (`claims`). Code is compared
//! line by line, and quotations as they stand.
//!
//! Promises: the same answer, passages and model give the same result; a number, a date, a version, an identifier, or a name that is
//! told by its form, which no passage has, is never supported; the time is bounded, since no more than [`EMBEDDED`]
//! texts and [`EMBEDDED_CHARS`] characters are embedded. No language model is asked.
//!
//! In English alone: numbers and units as words (`ten`, `minutes`; figures are read in any language), short names of months,
//! pairs of opposites (`before`, `after`), and which greetings and offers of help claim nothing. Denials are known in the seven
//! languages of [`twin_text::natural::Language`], by the language of each sentence.
//!
//! Deliberately not here: what follows from it (`checked`), and whether what the author wrote is true.

mod claims;
mod evidence;
mod facts;
mod judge;
mod numbers;
mod pieces;
mod polarity;
#[cfg(test)]
mod tests;
mod tokens;

use twin_embedding::{Embedder, Error};
use twin_llm::quotations::{Originals, invented, without_marks};
use twin_schemas::{AnswerCheck, Passage, SentenceSupport};
use twin_text::blocks::{Kind, blocks};
use twin_text::words::words;

use crate::quotes::off_the_runtime;
use claims::{Claim, claims};
use evidence::Evidence;
use judge::{Judged, judge};

/// Texts that are embedded for an answer, at most: its sentences and the parts of passages that they are compared with.
const EMBEDDED: usize = 64;

/// Of these, characters, at most.
const EMBEDDED_CHARS: usize = 8_000;

/// A quotation of fewer words may be a title, a term or irony.
const QUOTATION_WORDS: usize = 4;

/// Checks an answer against the passages that it was written from, in the order of their markers.
///
/// # Errors
/// The embedding model's.
pub async fn check(answer: &str, passages: &[Passage], embedder: &dyn Embedder) -> Result<AnswerCheck, Error> {
    let (answer, passages) = (answer.to_owned(), passages.to_vec());
    let reading = off_the_runtime(move || Reading::new(&answer, &passages)).await?;
    let texts = reading.texts();
    let vectors = if texts.is_empty() { Vec::new() } else { embedder.embed_candidates(texts).await? };
    off_the_runtime(move || reading.check(&vectors)).await
}

/// An answer and its passages as they were read.
struct Reading {
    evidence: Evidence,
    claims: Vec<Judged>,
    /// What is embedded: parts of the passages, then claims; each once.
    embedded: Vec<Embedded>,
    invented_quotations: Vec<String>,
}

/// What a vector is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Embedded {
    Piece(usize),
    Claim(usize),
}

impl Reading {
    fn new(answer: &str, passages: &[Passage]) -> Self {
        let evidence = Evidence::new(passages);
        let claims = claims(answer).into_iter().map(|claim: Claim| judge(&evidence, claim)).collect();
        let invented_quotations = invented_quotations(answer, passages);
        let mut reading = Self { evidence, claims, embedded: Vec::new(), invented_quotations };
        reading.embedded = reading.to_embed();
        reading
    }

    /// What has to be embedded: claims that words alone do not decide, each with the parts that it may rest on, the likeliest
    /// first, as long as there is room.
    fn to_embed(&self) -> Vec<Embedded> {
        let mut wanted: Vec<Embedded> = Vec::new();
        let mut chars = 0;
        for (index, judged) in self.claims.iter().enumerate() {
            let pieces = judged.open_pieces();
            if pieces.is_empty() {
                continue;
            }
            let new = std::iter::once(Embedded::Claim(index)).chain(pieces.into_iter().map(Embedded::Piece));
            let new: Vec<Embedded> = new.filter(|one| !wanted.contains(one)).collect();
            let more: usize = new.iter().map(|one| self.text(*one).chars().count()).sum();
            if wanted.len() + new.len() <= EMBEDDED && chars + more <= EMBEDDED_CHARS {
                chars += more;
                wanted.extend(new);
            }
        }
        wanted
    }

    fn text(&self, embedded: Embedded) -> &str {
        match embedded {
            Embedded::Piece(piece) => self.evidence.reading(piece),
            Embedded::Claim(claim) => self.claims[claim].reading(),
        }
    }

    fn texts(&self) -> Vec<String> {
        self.embedded.iter().map(|one| self.text(*one).to_owned()).collect()
    }

    fn check(self, vectors: &[Vec<f32>]) -> AnswerCheck {
        let vector =
            |wanted: Embedded| self.embedded.iter().zip(vectors).find(|(one, _)| **one == wanted).map(|(_, v)| v);
        let judged = self.claims.iter().enumerate().map(|(index, judged)| {
            let claim = vector(Embedded::Claim(index));
            let meaning = |piece: usize| Some(crate::quotes::dot(claim?, vector(Embedded::Piece(piece))?));
            judged.support(meaning)
        });
        let support: Vec<SentenceSupport> = judged.collect();
        let supported = support.iter().filter(|sentence| sentence.supported).count();
        let grounded_share = (!support.is_empty()).then(|| supported as f32 / support.len() as f32);
        AnswerCheck { support, grounded_share, invented_quotations: self.invented_quotations, replaced: None }
    }
}

/// What the answer gives out as somebody's words, in quotation marks or as a quotation of Markdown, and no passage has.
fn invented_quotations(answer: &str, passages: &[Passage]) -> Vec<String> {
    let originals = Originals::new(passages.iter().map(|passage| passage.text.as_str()));
    let mut found = invented(answer, &originals, QUOTATION_WORDS);
    let quoted = blocks(answer).blocks.into_iter().filter(|block| block.kind == Kind::Quotation);
    for block in quoted.map(|block| &answer[block.range]).filter(|block| block.starts_with('>')) {
        let words_of = claims::without_markers(&without_marks(block));
        let quotation = words_of.split_whitespace().collect::<Vec<_>>().join(" ");
        if words(&quotation).len() >= QUOTATION_WORDS && !originals.hold(&quotation) && !found.contains(&quotation) {
            found.push(quotation);
        }
    }
    found
}
