//! Prompts with passages, in the form that questions are put in when the twin serves.

use std::collections::{BTreeMap, BTreeSet};

use twin_llm::{abstention, grounded_prompt};
use twin_schemas::{AuthorId, ChatMessage, Passage, Role, SampleKind, Split};
use twin_text::natural::Language;

use super::answers::{Source, answer, of_two};
use super::{Sample, key, near};
use crate::candidate::Grounding;
use crate::families::Families;
use crate::instructions::wording;
use crate::scratch::{Known, Scratch};
use crate::topic::content_words;
use crate::weights::Weights;
use crate::words::{choice, combined, common, leak_sequences, unit, word_hashes};
use crate::{Error, Options};

/// Passages that a search gives: those that are looked through for ones that do not answer.
const FOUND: usize = 32;

/// Passages drawn for each distractor that is wanted and not found, at most: an author who wrote of one thing alone has
/// few that do not answer.
const DRAWS: u64 = 8;

/// Refusals of the test split, at least, from so many passages on; and refusals, and grounded samples, of what is held out in turn,
/// where that is done. With fewer an evaluation says nothing of them.
const LEAST_TESTED: usize = 10;
const PASSAGES_FOR_THEM: u64 = 200;

/// Refusals of one passage, at most: each with other passages and another wording.
const MOST_ROUNDS: usize = 4;

/// One in so many right passages stands where chance puts it, the others where a search would: it is not always the first.
const BY_CHANCE: u64 = 3;

/// One in so many questions that two passages answer has both in its answer.
const OF_TWO: u64 = 2;

/// Makes the prompts of one split. Distractors are passages that were kept in the same split.
pub(super) struct Prompts<'a> {
    scratch: &'a Scratch,
    pub author: &'a AuthorId,
    pub options: &'a Options,
    weights: &'a Weights,
    split: Split,
    /// Kept passages of prose in the split.
    population: u64,
    /// How many refusals are made of each passage.
    refusals: BTreeMap<i64, usize>,
    /// Of which passages a grounded sample is made, whatever the share.
    grounded_besides: BTreeSet<i64>,
}

impl<'a> Prompts<'a> {
    pub(super) fn new(
        scratch: &'a Scratch,
        author: &'a AuthorId,
        options: &'a Options,
        weights: &'a Weights,
        split: Split,
    ) -> Result<Self, Error> {
        near::index(scratch, weights, split)?;
        let population = scratch.prose_passages(split)?;
        let refusals = refusals(scratch, options, split)?;
        let grounded_besides = grounded_besides(scratch, options, split)?;
        Ok(Self { scratch, author, options, weights, split, population, refusals, grounded_besides })
    }

    /// Whether a grounded sample is made of a passage though it is not within the share of them.
    pub(super) fn grounds_besides(&self, passage: i64) -> bool {
        self.grounded_besides.contains(&passage)
    }

    /// How many refusals are made of a passage.
    pub(super) fn refusals_of(&self, passage: i64) -> usize {
        self.refusals.get(&passage).copied().unwrap_or(0)
    }

    /// The question with the right passage among others, and now and then a second one that answers it too. With none, if
    /// the author wrote of nothing else.
    pub(super) fn grounded(&self, known: &Known, grounding: &Grounding) -> Result<Option<Sample>, Error> {
        let found = self.found(known, &grounding.question)?;
        let second = self.second(known, grounding)?;
        let given = 1 + usize::from(second.is_some());
        let wanted = self.options.prompt.passages.saturating_sub(given);
        let others = self.distractors(known, grounding, &found, wanted, 0)?;
        let by_chance = self.chosen("placed", known, 0).is_multiple_of(BY_CHANCE);
        let right = match by_chance {
            true => (self.chosen("right", known, 0) % (others.len() as u64 + 1)) as usize,
            // As many of the others as a search puts before it.
            false => {
                let before: BTreeSet<i64> = found.iter().copied().take_while(|id| *id != known.id).collect();
                others.iter().filter(|other| before.contains(&other.id)).count()
            }
        };
        let mut passages: Vec<Passage> = others.into_iter().map(|other| other.passage).collect();
        passages.insert(right, known.passage.clone());
        let marker = right as u64 + 1;
        let limit = self.options.prompt.passage_chars;
        let source = Source { text: &known.passage.text, quote: &grounding.quote, marker, limit };
        let answer = match &second {
            Some((other, quote)) => {
                // Behind all others, so that the first one's place stays.
                passages.push(other.passage.clone());
                let marker = passages.len() as u64;
                of_two(source, Source { text: &other.passage.text, quote, marker, limit })
            }
            None => answer(source, self.chosen("form", known, 0)),
        };
        let right = u32::try_from(right).ok();
        Ok(Some(self.sample(SampleKind::Grounded, known, &grounding.question, passages, answer, right)))
    }

    /// The question with passages that come near it and do not answer it. None if there are no such passages, or if that
    /// wording of the question stands elsewhere.
    pub(super) fn refusal(&self, known: &Known, grounding: &Grounding, round: usize) -> Result<Option<Sample>, Error> {
        let Some(question) = self.worded(known, grounding, round)? else { return Ok(None) };
        let found = self.found(known, &question)?;
        let others = self.distractors(known, grounding, &found, self.options.prompt.passages, round)?;
        let passages: Vec<Passage> = others.into_iter().map(|other| other.passage).collect();
        let says = abstention(known.language.map(Language::code)).to_owned();
        let sample = || self.sample(SampleKind::Refusal, known, &question, passages.clone(), says.clone(), None);
        Ok((!passages.is_empty()).then(sample))
    }

    /// The question, in other words for each round.
    fn worded(&self, known: &Known, grounding: &Grounding, round: usize) -> Result<Option<String>, Error> {
        if round == 0 {
            return Ok(Some(grounding.question.clone()));
        }
        if grounding.question == grounding.subject {
            return Ok(None);
        }
        let templates = wording(known.language).questions;
        let number = (self.chosen("worded", known, 0) as usize).wrapping_add(round) % templates.len();
        let question = templates[number].replace("{subject}", &grounding.subject);
        let hash = combined(&word_hashes(&question));
        Ok(self.scratch.claim_prompt(hash, self.split)?.then_some(question))
    }

    fn sample(
        &self,
        kind: SampleKind,
        known: &Known,
        question: &str,
        passages: Vec<Passage>,
        answer: String,
        right: Option<u32>,
    ) -> Sample {
        debug_assert_eq!(known.split, Some(self.split));
        let question = ChatMessage { role: Role::User, content: question.to_owned() };
        let prompt = grounded_prompt(self.author, &[question], &passages, &self.options.prompt);
        let passages = passages.into_iter().map(|passage| passage.text).collect();
        Sample { kind, prompt, answer, ends: true, passages, right, measured: true }
    }

    /// Another passage of the same section, with a sentence of its own that the first one does not say.
    fn second(&self, known: &Known, grounding: &Grounding) -> Result<Option<(Known, String)>, Error> {
        if self.options.prompt.passages < 2 || !self.chosen("second", known, 0).is_multiple_of(OF_TWO) {
            return Ok(None);
        }
        let Some(other) = self.scratch.next_of_document(known.document, known.id)? else { return Ok(None) };
        let is_of_section = other.passage.heading_path == known.passage.heading_path;
        let Some(quote) = other.grounding.as_ref().filter(|_| is_of_section).map(|other| other.quote.clone()) else {
            return Ok(None);
        };
        let is_own = !known.passage.text.contains(&quote) && !other.passage.text.contains(&grounding.quote);
        Ok(is_own.then_some((other, quote)))
    }

    /// The passages that a search for a question would find, best first, the right one among them.
    fn found(&self, known: &Known, question: &str) -> Result<Vec<i64>, Error> {
        let found = near::found(self.scratch, self.weights, self.split, known, question)?;
        Ok(found.into_iter().map(|(id, _)| id).take(FOUND).collect())
    }

    /// Passages that do not hold the answer, those first that were found: no sequence of words of the right passage is in
    /// them, and not most of the words that the question asks for. Of other documents; of the same one, from other
    /// sections, where there are no others.
    fn distractors(
        &self,
        known: &Known,
        grounding: &Grounding,
        found: &[i64],
        wanted: usize,
        round: usize,
    ) -> Result<Vec<Known>, Error> {
        let mut chosen = Chosen::new(known, grounding, wanted);
        let mut near: Vec<Known> = Vec::new();
        for id in found {
            near.extend(self.scratch.passage(*id)?);
        }
        // Each round begins behind what the one before was given.
        let fitting: Vec<&Known> = near.iter().filter(|other| chosen.fits(other)).collect();
        let skipped = (round * wanted).min(fitting.len().saturating_sub(wanted));
        fitting.into_iter().skip(skipped).for_each(|other| chosen.offer(other));
        let draws = if self.population == 0 { 0 } else { DRAWS * (wanted as u64 + 1) };
        for draw in 0..draws {
            if chosen.is_full() {
                break;
            }
            let serial = self.chosen("distractor", known, draw + round as u64 * draws) % self.population;
            if let Some(other) = self.scratch.by_serial(self.split, serial)? {
                chosen.offer(&other);
            }
        }
        if chosen.passages.is_empty() {
            near.iter().for_each(|other| chosen.offer_of_document(other));
        }
        Ok(chosen.passages)
    }

    fn chosen(&self, what: &str, known: &Known, draw: u64) -> u64 {
        choice(self.options.seed, &[what, &key(known), &draw.to_string()])
    }
}

/// Of which passages of a split refusals are made, and how many of each.
fn refusals(scratch: &Scratch, options: &Options, split: Split) -> Result<BTreeMap<i64, usize>, Error> {
    let mut passages = 0;
    for split in Split::ALL {
        passages += scratch.kept(split)?.0;
    }
    let share = options.refusal_share;
    let ranked = ranked(scratch, options, split, "refusal")?;
    let is_tested = split == Split::Test && passages >= PASSAGES_FOR_THEM && share > 0.0;
    let least = match is_tested {
        true => LEAST_TESTED,
        false => lacking(scratch, options, split, "refusal", share)?,
    };
    let wanted = of_share(&ranked, share).max(least);
    let mut counts = BTreeMap::new();
    for (_, id) in ranked.iter().cycle().take(wanted.min(MOST_ROUNDS * ranked.len())) {
        *counts.entry(*id).or_insert(0) += 1;
    }
    Ok(counts)
}

/// Passages of which grounded samples are made whatever their share: those that come first.
fn grounded_besides(scratch: &Scratch, options: &Options, split: Split) -> Result<BTreeSet<i64>, Error> {
    let least = lacking(scratch, options, split, "grounded", options.grounded_share)?;
    if least == 0 {
        return Ok(BTreeSet::new());
    }
    let ranked = ranked(scratch, options, split, "grounded")?;
    Ok(ranked.into_iter().take(least).map(|(_, id)| id).collect())
}

/// Samples that a split has to have so that there are [`LEAST_TESTED`] in what is held out in turn: the training split has what
/// the test split lacks. None where nothing is held out in turn, or none are wanted at all.
fn lacking(scratch: &Scratch, options: &Options, split: Split, what: &str, share: f64) -> Result<usize, Error> {
    if split != Split::Train || share <= 0.0 || !Families::are_wanted(scratch)? {
        return Ok(0);
    }
    let tested = of_share(&ranked(scratch, options, Split::Test, what)?, share);
    Ok(LEAST_TESTED.saturating_sub(tested))
}

/// The passages of a split that have a question, by the lots that are drawn for what is made of them.
fn ranked(scratch: &Scratch, options: &Options, split: Split, what: &str) -> Result<Vec<(u64, i64)>, Error> {
    let askable = scratch.askable(split)?;
    let mut ranked = Vec::with_capacity(askable.len());
    for id in &askable {
        let Some(known) = scratch.passage(*id)? else { continue };
        ranked.push((choice(options.seed, &[what, &key(&known)]), *id));
    }
    ranked.sort_unstable();
    Ok(ranked)
}

/// How many of them are within a share.
fn of_share(ranked: &[(u64, i64)], share: f64) -> usize {
    ranked.iter().filter(|(rank, _)| unit(*rank) < share).count()
}

/// Distractors as they are chosen.
struct Chosen<'a> {
    known: &'a Known,
    right: Vec<u64>,
    subject: Vec<String>,
    wanted: usize,
    passages: Vec<Known>,
}

impl<'a> Chosen<'a> {
    fn new(known: &'a Known, grounding: &Grounding, wanted: usize) -> Self {
        let right = leak_sequences(&known.passage.text);
        let subject = content_words(&grounding.subject, known.language);
        Self { known, right, subject, wanted, passages: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.passages.len() >= self.wanted
    }

    /// Whether a passage of another document does not answer.
    fn fits(&self, other: &Known) -> bool {
        other.document != self.known.document && !self.answers(other)
    }

    fn offer(&mut self, other: &Known) {
        let is_new = self.passages.iter().all(|passage| passage.document != other.document);
        if is_new && !self.is_full() && self.fits(other) {
            self.passages.push(other.clone());
        }
    }

    fn offer_of_document(&mut self, other: &Known) {
        let is_elsewhere = other.passage.heading_path != self.known.passage.heading_path;
        if is_elsewhere && !self.is_full() && !self.answers(other) {
            self.passages.push(other.clone());
        }
    }

    fn answers(&self, other: &Known) -> bool {
        let passage = &other.passage;
        if common(&leak_sequences(&passage.text), &self.right) > 0 {
            return true;
        }
        let title = passage.title.as_deref().unwrap_or(&passage.natural_key);
        let headings = passage.heading_path.iter().map(String::as_str);
        let texts = std::iter::once(passage.text.as_str()).chain(std::iter::once(title)).chain(headings);
        let words: BTreeSet<String> = texts.flat_map(|text| content_words(text, other.language)).collect();
        let spoken_of = self.subject.iter().filter(|word| words.contains(*word)).count();
        spoken_of * 2 > self.subject.len()
    }
}
