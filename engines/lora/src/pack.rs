//! Several samples computed at once, one below the other.
//!
//! Each sample keeps its own positions and sees itself alone, so that a pack gives what its samples give one by one.

use super::error::Error;

/// A tokenised text, of which a part is learned or scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// The first token of the completion, at least 1: each token from here on is predicted from those before it.
    pub completion: usize,
}

impl Sequence {
    /// Tokens that are predicted.
    pub fn targets(&self) -> usize {
        self.tokens.len() - self.completion
    }

    /// Without its last token, the one that ends the answer, where another is predicted: for an answer that is a part of
    /// a text which goes on. A model that learned an end there would end in the middle, and one that is scored there would be
    /// charged for not doing so.
    pub fn without_end(mut self) -> Self {
        if self.targets() > 1 {
            self.tokens.pop();
        }
        self
    }
}

/// Sequences to be computed at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pack {
    /// The tokens of all sequences.
    pub(crate) tokens: Vec<u32>,
    /// Tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
    /// The rows whose following token is predicted, ascending.
    pub(crate) rows: Vec<u32>,
    /// The token that follows each of these rows.
    pub(crate) targets: Vec<u32>,
    /// How many of these rows belong to each sequence.
    pub(crate) counts: Vec<usize>,
}

impl Pack {
    /// Puts sequences below each other.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a Sequence>) -> Self {
        let mut pack = Self::default();
        for sequence in sequences {
            let offset = pack.tokens.len();
            pack.tokens.extend(&sequence.tokens);
            pack.lengths.push(sequence.tokens.len());
            pack.rows.extend((sequence.completion..sequence.tokens.len()).map(|index| (offset + index - 1) as u32));
            pack.targets.extend(&sequence.tokens[sequence.completion..]);
            pack.counts.push(sequence.targets());
        }
        pack
    }

    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Tokens that are predicted.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Each sequence's first row and length.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.lengths.iter().scan(0, |row, &length| {
            let first = *row;
            *row += length;
            Some((first, length))
        })
    }

    /// Fails where a token is not in a vocabulary of `vocabulary` tokens: an index beyond a table is a panic otherwise.
    pub(crate) fn check(&self, vocabulary: usize) -> Result<(), Error> {
        match self.tokens.iter().find(|token| **token as usize >= vocabulary) {
            Some(token) => {
                Err(Error::Tokenizer(format!("token {token} is not in the model's vocabulary of {vocabulary}")))
            }
            None => Ok(()),
        }
    }
}

/// Groups items of the given sizes into bins of at most `capacity`: each goes into the first of the open bins that has
/// room. The order of the items is kept as well as that allows. No size may be above the capacity.
pub(crate) fn first_fit(sizes: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    /// Older bins are as good as full; looking at all of them takes quadratic time.
    const OPEN: usize = 32;
    let mut bins: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        let oldest = bins.len().saturating_sub(OPEN);
        match bins[oldest..].iter_mut().find(|(used, _)| used + size <= capacity) {
            Some((used, items)) => {
                *used += size;
                items.push(index);
            }
            None => bins.push((size, vec![index])),
        }
    }
    bins.into_iter().map(|(_, items)| items).collect()
}
