//! Claims of an answer, judged one behind the other.
//!
//! What is embedded of a claim, and so its verdict, depends on that claim and on those before it: an answer that is judged
//! sentence by sentence while it is written ends with what is found of the whole.

use twin_schemas::{AnswerCheck, Passage, SentenceSupport};

use super::claims::Claim;
use super::evidence::Evidence;
use super::judge::{Judged, judge};

/// Texts that are embedded for an answer, at most: its sentences and the parts of passages that they are compared with.
pub(super) const EMBEDDED: usize = 64;

/// Of these, characters, at most.
pub(super) const EMBEDDED_CHARS: usize = 8_000;

/// Passages as they were read, and what was judged by them.
pub(super) struct Judging {
    evidence: Evidence,
    claims: Vec<Judged>,
    /// What there was room for when each of the claims came.
    taken: Vec<Taken>,
    /// What is embedded: claims and parts of the passages, each once.
    embedded: Vec<Embedded>,
    chars: usize,
    /// The vectors of the first of these.
    vectors: Vec<Vec<f32>>,
}

/// What a vector is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Embedded {
    Piece(usize),
    Claim(usize),
}

/// How much is embedded.
#[derive(Debug, Clone, Copy)]
struct Taken {
    texts: usize,
    chars: usize,
}

impl Judging {
    /// Reads passages, in the order of their markers.
    pub(super) fn new(passages: &[Passage]) -> Self {
        Self {
            evidence: Evidence::new(passages),
            claims: Vec::new(),
            taken: Vec::new(),
            embedded: Vec::new(),
            chars: 0,
            vectors: Vec::new(),
        }
    }

    /// How many claims were judged.
    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    /// Takes up claims that stand behind those before.
    pub(super) fn add(&mut self, claims: impl IntoIterator<Item = Claim>) {
        for claim in claims {
            self.taken.push(Taken { texts: self.embedded.len(), chars: self.chars });
            self.claims.push(judge(&self.evidence, claim));
            self.choose(self.claims.len() - 1);
        }
    }

    /// Goes over to all claims of the whole answer. What was judged of its beginning stays judged.
    pub(super) fn complete(&mut self, all: Vec<Claim>) {
        let same = self.claims.iter().zip(&all).take_while(|(judged, claim)| judged.claim() == *claim).count();
        if let Some(Taken { texts, chars }) = self.taken.get(same).copied() {
            self.claims.truncate(same);
            self.taken.truncate(same);
            self.embedded.truncate(texts);
            self.vectors.truncate(texts);
            self.chars = chars;
        }
        self.add(all.into_iter().skip(same));
    }

    /// Has a claim embedded that words alone do not decide, with the parts that it may rest on, if there is room.
    fn choose(&mut self, index: usize) {
        let pieces = self.claims[index].open_pieces();
        if pieces.is_empty() {
            return;
        }
        let new = std::iter::once(Embedded::Claim(index)).chain(pieces.into_iter().map(Embedded::Piece));
        let new: Vec<Embedded> = new.filter(|one| !self.embedded.contains(one)).collect();
        let more: usize = new.iter().map(|one| self.text(*one).chars().count()).sum();
        if self.embedded.len() + new.len() <= EMBEDDED && self.chars + more <= EMBEDDED_CHARS {
            self.chars += more;
            self.embedded.extend(new);
        }
    }

    fn text(&self, embedded: Embedded) -> &str {
        match embedded {
            Embedded::Piece(piece) => self.evidence.reading(piece),
            Embedded::Claim(claim) => &self.claims[claim].claim().reading,
        }
    }

    /// The texts whose vectors are still to be had.
    pub(super) fn texts(&self) -> Vec<String> {
        self.embedded[self.vectors.len()..].iter().map(|one| self.text(*one).to_owned()).collect()
    }

    /// Takes the vectors of these texts.
    pub(super) fn learn(&mut self, vectors: Vec<Vec<f32>>) {
        self.vectors.extend(vectors);
    }

    /// Whether passages support the claims from this one on.
    pub(super) fn support(&self, from: usize) -> Vec<SentenceSupport> {
        let vector = |wanted: Embedded| {
            self.embedded.iter().zip(&self.vectors).find(|(one, _)| **one == wanted).map(|(_, vector)| vector)
        };
        let judged = self.claims.iter().enumerate().skip(from).map(|(index, judged)| {
            let claim = vector(Embedded::Claim(index));
            let meaning = |piece: usize| Some(crate::quotes::dot(claim?, vector(Embedded::Piece(piece))?));
            judged.support(meaning)
        });
        judged.collect()
    }

    /// What was found of all claims.
    pub(super) fn check(&self, invented_quotations: Vec<String>) -> AnswerCheck {
        let support = self.support(0);
        let supported = support.iter().filter(|sentence| sentence.supported).count();
        let grounded_share = (!support.is_empty()).then(|| supported as f32 / support.len() as f32);
        AnswerCheck { support, grounded_share, invented_quotations, replaced: None }
    }
}
