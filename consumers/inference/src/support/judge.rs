//! Whether a part of a passage says what a claim says.

use std::collections::HashSet;

use twin_schemas::{SentenceSupport, SupportReason};
use twin_text::words::words;

use super::claims::Claim;
use super::enumeration::invented_item;
use super::evidence::{Evidence, View, without_space};
use super::exchange::{exchanged, is_within};
use super::facts::{Known, Stated, facts, initial_word};
use super::pieces::Form;
use super::polarity::Polarity;
use crate::quotes::terms::stem;

/// What the share of a claim's words counts; the similarity of the two vectors counts the rest. How well this and the next two
/// tell sentences apart is what `tests/support.rs` prints.
const WORDS_WEIGHT: f32 = 0.55;

/// The score from which on a part of a passage says the same. A sentence in other words has most of its words there and a
/// similarity of 0.8 or so; one of another subject a third and 0.3.
const LEAST_SCORE: f32 = 0.55;

/// The share of its words from which on a claim needs no vector: a part of a passage has all of it.
const VERBATIM: f32 = 0.97;

/// The share of its words that a passage as a whole must have of a claim that is put together from several places.
const PASSAGE_WORDS: f32 = 0.9;

/// What that share counts: words that stand apart tell less than those that stand together.
const APART: f32 = 0.7;

/// The share of its words from which on a claim is supported where there was no room for its vector.
const WORDS_ALONE: f32 = 0.85;

/// The share of its words from which on a claim is one that a part of a passage denies, or that denies it, where no other part
/// comes as near as that, but for the next number: parts that come less near can not outweigh it.
const CONTRARY: f32 = 0.9;

/// How much less near, in the share of its words.
const CONTRARY_BEFORE: f32 = 0.1;

/// What a claim may rest on, at most, that is told by vectors.
const CANDIDATES: usize = 3;

/// A claim with what is known of it without vectors.
pub(super) struct Judged {
    claim: Claim,
    outcome: Outcome,
}

enum Outcome {
    Decided(Verdict),
    /// What the vectors decide; the likeliest first. `otherwise`: none of them says so.
    Open {
        candidates: Vec<Candidate>,
        otherwise: Verdict,
    },
}

#[derive(Clone)]
struct Verdict {
    marker: Option<u32>,
    score: f32,
    reason: SupportReason,
    unknown: Option<String>,
}

/// A part of a passage that may say the same.
struct Candidate {
    marker: u32,
    /// Indices of pieces.
    pieces: Vec<usize>,
    /// The share of the claim's words that it has.
    words: f32,
}

/// What can be told of a claim by its words.
pub(super) fn judge(evidence: &Evidence, claim: Claim) -> Judged {
    let outcome = match claim.form {
        Form::Code => Outcome::Decided(code(evidence, &claim.reading)),
        Form::Sentence | Form::Row => Comparison::new(evidence, &claim.reading).outcome(),
    };
    Judged { claim, outcome }
}

impl Judged {
    /// The claim.
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The pieces that have to be embedded.
    pub(super) fn open_pieces(&self) -> Vec<usize> {
        let Outcome::Open { candidates, .. } = &self.outcome else { return Vec::new() };
        let mut pieces: Vec<usize> = candidates.iter().flat_map(|candidate| candidate.pieces.iter().copied()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        pieces
    }

    /// The verdict, where `meaning` is the cosine similarity of the claim and a piece, if both were embedded.
    pub(super) fn support(&self, meaning: impl Fn(usize) -> Option<f32>) -> SentenceSupport {
        let Verdict { marker, score, reason, unknown } = match &self.outcome {
            Outcome::Decided(verdict) => verdict.clone(),
            Outcome::Open { candidates, otherwise } => decide(candidates, otherwise, meaning),
        };
        let supported = reason == SupportReason::Supported;
        let score = score.clamp(0.0, 1.0);
        SentenceSupport { text: self.claim.text.clone(), supported, marker, score, reason, unknown }
    }
}

fn decide(candidates: &[Candidate], otherwise: &Verdict, meaning: impl Fn(usize) -> Option<f32>) -> Verdict {
    let judged = candidates.iter().map(|candidate| {
        let meanings: Vec<f32> = candidate.pieces.iter().filter_map(|piece| meaning(*piece)).collect();
        let Some(meaning) = meanings.into_iter().reduce(f32::max) else {
            return (candidate.words, candidate.words >= WORDS_ALONE, candidate.marker);
        };
        let score = WORDS_WEIGHT * candidate.words + (1.0 - WORDS_WEIGHT) * meaning;
        (score, score >= LEAST_SCORE, candidate.marker)
    });
    match judged.reduce(|best, one| if (one.1, one.0) > (best.1, best.0) { one } else { best }) {
        Some((score, true, marker)) => {
            Verdict { marker: Some(marker), score, reason: SupportReason::Supported, unknown: None }
        }
        Some((score, false, _)) => Verdict { score: score.max(otherwise.score), ..otherwise.clone() },
        None => otherwise.clone(),
    }
}

/// Every line of code has to stand in one passage, but for white space.
fn code(evidence: &Evidence, block: &str) -> Verdict {
    let is_fence = |line: &&str| line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
    let lines = block.lines().filter(|line| !words(line).is_empty() && !is_fence(line));
    let lines: Vec<String> = lines.map(without_space).collect();
    let (marker, found) = evidence.lines_in(&lines);
    let score = found as f32 / lines.len().max(1) as f32;
    if found == lines.len() {
        Verdict { marker: Some(marker), score, reason: SupportReason::Supported, unknown: None }
    } else {
        Verdict { marker: None, score, reason: SupportReason::Code, unknown: None }
    }
}

/// A claim beside the passages.
struct Comparison<'a> {
    evidence: &'a Evidence,
    facts: Vec<Stated>,
    polarity: Polarity,
    weighted: Vec<(String, f32)>,
    stems: HashSet<String>,
    /// The word that begins it, where it may be a name that no passage has.
    unknown_initial: Option<String>,
    /// One of the items that it enumerates is in no passage.
    has_invented_item: bool,
}

impl<'a> Comparison<'a> {
    fn new(evidence: &'a Evidence, claim: &str) -> Self {
        let is_unknown = |word: &&str| evidence.capitals_tell && !evidence.all().has_word(&word.to_lowercase());
        let unknown_initial = initial_word(claim).filter(is_unknown).map(str::to_owned);
        let weighted = evidence.weighted(claim);
        Self {
            evidence,
            facts: facts(claim, evidence.capitals_tell),
            polarity: Polarity::new(claim),
            stems: weighted.iter().map(|(stem, _)| stem.clone()).collect(),
            weighted,
            unknown_initial,
            has_invented_item: invented_item(claim, |word| evidence.all().has_word(word)).is_some(),
        }
    }

    fn outcome(&self) -> Outcome {
        let mut candidates: Vec<Candidate> = Vec::new();
        // The nearest part that is not it for what it says otherwise.
        let mut nearest = Verdict { marker: None, score: 0.0, reason: SupportReason::Unlike, unknown: None };
        let mut contrary = 0.0_f32;
        for view in self.evidence.views() {
            let share = self.share(&view.known);
            match self.obstacle(view) {
                None => {
                    let pieces = (view.window.first..=view.window.last).collect();
                    candidates.push(Candidate { marker: view.marker, pieces, words: share });
                }
                Some((reason, unknown)) => {
                    contrary = if reason == SupportReason::Negation { contrary.max(share) } else { contrary };
                    if share > nearest.score {
                        nearest = Verdict { marker: None, score: share, reason, unknown };
                    }
                }
            }
        }
        if let Some(missing) = self.facts.iter().find(|stated| !self.evidence.all().has(&stated.fact)) {
            let best = candidates.iter().map(|candidate| candidate.words).fold(nearest.score, f32::max);
            let (reason, unknown) = (missing.reason(), Some(missing.shown.clone()));
            return Outcome::Decided(Verdict { marker: None, score: best, reason, unknown });
        }
        if let Some(verdict) = self.exchange() {
            return Outcome::Decided(verdict);
        }
        candidates.extend(self.evidence.passages().filter_map(|(marker, known)| self.put_together(marker, known)));
        let best = candidates.iter().map(|candidate| candidate.words).fold(0.0, f32::max);
        if contrary >= CONTRARY && best < contrary - CONTRARY_BEFORE {
            let reason = SupportReason::Negation;
            return Outcome::Decided(Verdict { marker: None, score: contrary, reason, unknown: None });
        }
        if self.has_invented_item {
            let (score, reason) = (WORDS_WEIGHT * best, SupportReason::Unlike);
            return Outcome::Decided(Verdict { marker: None, score, reason, unknown: None });
        }
        self.among(candidates, nearest)
    }

    /// That it is a sentence of a passage in which two names or numbers have changed places, where no passage has it so.
    fn exchange(&self) -> Option<Verdict> {
        let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
        let is_fact = |word: &str| is_number(word) || self.evidence.is_name(word);
        let order = self.polarity.order();
        if self.evidence.orders().any(|said| is_within(order, said)) {
            return None;
        }
        let unknown = self.evidence.orders().find_map(|said| exchanged(order, said, is_fact))?;
        let reason = if is_number(unknown) { SupportReason::Number } else { SupportReason::Name };
        let shown = self.facts.iter().find(|stated| stem(&stated.shown.to_lowercase()) == unknown);
        let shown = shown.map_or(unknown, |stated| stated.shown.as_str()).to_owned();
        Some(Verdict { marker: None, score: 1.0, reason, unknown: Some(shown) })
    }

    /// What is left to decide. Of equals the first and the smallest comes first.
    fn among(&self, mut candidates: Vec<Candidate>, nearest: Verdict) -> Outcome {
        candidates.sort_by(|a, b| b.words.total_cmp(&a.words).then(a.pieces.len().cmp(&b.pieces.len())));
        let best = candidates.first().map_or(0.0, |best| best.words);
        if let Some(Candidate { marker, words, .. }) = candidates.first().filter(|best| best.words >= VERBATIM) {
            let verdict =
                Verdict { marker: Some(*marker), score: *words, reason: SupportReason::Supported, unknown: None };
            return Outcome::Decided(verdict);
        }
        // A part that is as near and not it tells why nothing is.
        let unlike = Verdict { marker: None, score: WORDS_WEIGHT * best, reason: SupportReason::Unlike, unknown: None };
        let otherwise = if nearest.score > best { nearest } else { unlike };
        candidates.retain(|candidate| WORDS_WEIGHT * candidate.words + (1.0 - WORDS_WEIGHT) >= LEAST_SCORE);
        candidates.truncate(CANDIDATES);
        if candidates.is_empty() { Outcome::Decided(otherwise) } else { Outcome::Open { candidates, otherwise } }
    }

    /// Why a part of a passage does not say the same, whatever its words.
    fn obstacle(&self, View { window, said, known, polarity, .. }: &View) -> Option<(SupportReason, Option<String>)> {
        if let Some(missing) = self.facts.iter().find(|stated| !known.has(&stated.fact)) {
            return Some((missing.reason(), Some(missing.shown.clone())));
        }
        let mut of_pieces = self.evidence.polarities(*window);
        if self.polarity.contradicts(polarity) || of_pieces.any(|piece| self.polarity.undoes(piece)) {
            return Some((SupportReason::Negation, None));
        }
        // One name for another at the beginning, where a capital letter does not tell.
        let initial = self.unknown_initial.as_ref()?;
        self.evidence.has_name_beside(said, &self.stems).then(|| (SupportReason::Name, Some(initial.clone())))
    }

    /// A whole passage, if it has nearly all words of the claim, and each fact beside another word of it.
    fn put_together(&self, marker: u32, known: &Known) -> Option<Candidate> {
        let words = self.share(known);
        if words < PASSAGE_WORDS || self.unknown_initial.is_some() {
            return None;
        }
        let mut pieces: Vec<(usize, &Known, &Polarity, f32)> = self
            .evidence
            .pieces_of(marker)
            .map(|(index, known, polarity)| (index, known, polarity, self.share(known)))
            .collect();
        let is_in_place = |stated: &Stated| {
            let beside = |known: &Known| {
                self.stems
                    .iter()
                    .any(|word| *word != stem(&stated.shown.to_lowercase()) && known.stems().contains(word))
            };
            pieces.iter().any(|(_, known, ..)| known.has(&stated.fact) && beside(known))
        };
        if !self.facts.iter().all(is_in_place) {
            return None;
        }
        pieces.sort_by(|a, b| b.3.total_cmp(&a.3));
        pieces.truncate(2);
        let contradicted = pieces.iter().any(|(_, _, polarity, _)| self.polarity.contradicts(polarity));
        let pieces = pieces.into_iter().map(|(index, ..)| index).collect();
        (!contradicted).then_some(Candidate { marker, pieces, words: APART * words })
    }

    /// The share of the claim's words, by what they tell, 0 to 1. A claim of numbers alone has no words that may be missing.
    fn share(&self, known: &Known) -> f32 {
        let total: f32 = self.weighted.iter().map(|(_, weight)| weight).sum();
        let found: f32 =
            self.weighted.iter().filter(|(word, _)| known.stems().contains(word)).map(|(_, weight)| weight).sum();
        if total > 0.0 { found / total } else { 1.0 }
    }
}
