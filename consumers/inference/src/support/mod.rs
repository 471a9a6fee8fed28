//! Whether passages support what a model wrote.
//!
//! In: the text of an answer, as a whole ([`check`]) or while it is written ([`Checking`]), and the passages that it was written
//! from. Out: each sentence of it that claims something, with whether a part of a passage says the same and which
//! ([`twin_schemas::SentenceSupport`]), and the quotations that are in no passage.
//!
//! Answer and passages are cut alike (`pieces`). A sentence is compared with each sentence, item, row and line of the passages,
//! and with two that stand one behind the other: by the share of its words there, the rarer the more (`evidence`), and by how
//! near the vectors of the two are, made by the embedding model that found the passages. Together they make a score
//! (`judge`). Whatever the score, a number, date, version, unit, name or identifier that is not there (`facts`), two that have changed
//! places (`exchange`), an item of an enumeration that is in no passage (`enumeration`), and a denial that is not there
//! (`polarity`) are always unsupported. Sentences that claim nothing are not judged (`claims`). Code is compared line by line, and
//! quotations as they stand.
//!
//! Promises: the same answer, passages and model give the same result; a number, a date, a version, an identifier, or a name that is
//! told by its form, which no passage has, is never supported; an answer that is checked while it is written ends
//! with the result of its whole text; the time is bounded, since no more than [`judging::EMBEDDED`] texts and
//! [`judging::EMBEDDED_CHARS`] characters are embedded. No language model is asked.
//!
//! In English alone: numbers and units as words (`ten`, `bytes`; figures and times are read in any language), short names of months,
//! pairs of opposites (`before`, `after`), and which greetings and offers of help claim nothing. Denials are known in the seven
//! languages of [`twin_text::natural::Language`], by the language of each sentence.
//!
//! Deliberately not here: what follows from it (`checked`), and whether what the author wrote is true.

mod checking;
mod claims;
mod enumeration;
mod evidence;
mod exchange;
mod facts;
mod judge;
mod judging;
mod numbers;
mod pieces;
mod polarity;
mod settled;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use twin_embedding::{Embedder, Error};
use twin_llm::quotations::{Originals, invented, without_marks};
use twin_schemas::{AnswerCheck, Passage};
use twin_text::blocks::{Kind, blocks};
use twin_text::words::words;

use crate::quotes::off_the_runtime;
pub(crate) use checking::Checking;
use claims::claims;
use judging::Judging;

/// A quotation of fewer words may be a title, a term or irony.
const QUOTATION_WORDS: usize = 4;

/// Checks an answer against the passages that it was written from, in the order of their markers.
///
/// # Errors
/// The embedding model's.
pub async fn check(answer: &str, passages: &[Passage], embedder: &dyn Embedder) -> Result<AnswerCheck, Error> {
    whole(None, answer, passages.into(), embedder).await
}

/// The check of a whole answer. Claims of its beginning may have been judged before.
async fn whole(
    judging: Option<Judging>,
    answer: &str,
    passages: Arc<[Passage]>,
    embedder: &dyn Embedder,
) -> Result<AnswerCheck, Error> {
    let answer = answer.to_owned();
    let reading = off_the_runtime(move || {
        let mut judging = judging.unwrap_or_else(|| Judging::new(&passages));
        judging.complete(claims(&answer));
        (judging, invented_quotations(&answer, &passages))
    });
    let (mut judging, invented) = reading.await?;
    let texts = judging.texts();
    let vectors = if texts.is_empty() { Vec::new() } else { embedder.embed_candidates(texts).await? };
    off_the_runtime(move || {
        judging.learn(vectors);
        judging.check(invented)
    })
    .await
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
