//! Prompts with passages, in the form that questions are put in when the twin serves.

use std::collections::BTreeSet;

use twin_llm::{ABSTENTION, grounded_prompt};
use twin_schemas::{AuthorId, ChatMessage, Passage, Role, SampleKind, Split};

use super::{Sample, key};
use crate::candidate::Grounding;
use crate::scratch::{Known, Scratch};
use crate::topic::content_words;
use crate::words::{choice, common, leak_sequences};
use crate::{Error, Options};

/// Passages drawn for each distractor that is wanted, at most: an author who wrote of one thing alone has few that do
/// not answer.
const DRAWS: u64 = 8;

/// Makes the prompts of one split. Distractors are passages that were kept in the same split.
pub(super) struct Prompts<'a> {
    scratch: &'a Scratch,
    pub author: &'a AuthorId,
    pub options: &'a Options,
    split: Split,
    /// Kept passages of prose in the split.
    population: u64,
}

impl<'a> Prompts<'a> {
    pub(super) fn new(
        scratch: &'a Scratch,
        author: &'a AuthorId,
        options: &'a Options,
        split: Split,
    ) -> Result<Self, Error> {
        let population = scratch.prose_passages(split)?;
        Ok(Self { scratch, author, options, split, population })
    }

    /// The question with the right passage among others. With none, if the author wrote of nothing else.
    pub(super) fn grounded(&self, known: &Known, grounding: &Grounding) -> Result<Option<Sample>, Error> {
        let mut passages = self.distractors(known, grounding, self.options.prompt.passages - 1)?;
        let right = self.chosen("right", known, 0) % (passages.len() as u64 + 1);
        passages.insert(right as usize, known.passage.clone());
        let answer = format!("\"{}\" [{}]", grounding.quote, right + 1);
        let right = u32::try_from(right).ok();
        Ok(Some(self.sample(SampleKind::Grounded, grounding, passages, answer, right)))
    }

    /// The question with passages that do not answer it. None if there are no such passages.
    pub(super) fn refusal(&self, known: &Known, grounding: &Grounding) -> Result<Option<Sample>, Error> {
        let passages = self.distractors(known, grounding, self.options.prompt.passages)?;
        let sample = || self.sample(SampleKind::Refusal, grounding, passages.clone(), ABSTENTION.to_owned(), None);
        Ok((!passages.is_empty()).then(sample))
    }

    fn sample(
        &self,
        kind: SampleKind,
        grounding: &Grounding,
        passages: Vec<Passage>,
        answer: String,
        right: Option<u32>,
    ) -> Sample {
        let question = ChatMessage { role: Role::User, content: grounding.question.clone() };
        let prompt = grounded_prompt(self.author, &[question], &passages, &self.options.prompt);
        let passages = passages.into_iter().map(|passage| passage.text).collect();
        Sample { kind, prompt, answer, passages, right }
    }

    /// Passages of other documents that do not hold the answer: no sequence of words of the right passage is in them,
    /// and not most of the words that the question asks for.
    fn distractors(&self, known: &Known, grounding: &Grounding, wanted: usize) -> Result<Vec<Passage>, Error> {
        let right = leak_sequences(&known.passage.text);
        let subject = content_words(&grounding.subject);
        let mut found: Vec<Passage> = Vec::new();
        let draws = if self.population == 0 { 0 } else { DRAWS * (wanted as u64 + 1) };
        for draw in 0..draws {
            if found.len() == wanted {
                break;
            }
            let serial = self.chosen("distractor", known, draw) % self.population;
            let Some(other) = self.scratch.by_serial(self.split, serial)? else { continue };
            let is_new = other.document != known.document
                && found.iter().all(|passage| passage.document_id != other.passage.document_id);
            if is_new && !answers(&other.passage, &right, &subject) {
                found.push(other.passage);
            }
        }
        Ok(found)
    }

    fn chosen(&self, what: &str, known: &Known, draw: u64) -> u64 {
        choice(self.options.seed, &[what, &key(known), &draw.to_string()])
    }
}

fn answers(passage: &Passage, right: &[u64], subject: &[String]) -> bool {
    if common(&leak_sequences(&passage.text), right) > 0 {
        return true;
    }
    let title = passage.title.as_deref().unwrap_or(&passage.natural_key);
    let headings = passage.heading_path.iter().map(String::as_str);
    let texts = std::iter::once(passage.text.as_str()).chain(std::iter::once(title)).chain(headings);
    let words: BTreeSet<String> = texts.flat_map(content_words).collect();
    let spoken_of = subject.iter().filter(|word| words.contains(*word)).count();
    spoken_of * 2 > subject.len()
}
