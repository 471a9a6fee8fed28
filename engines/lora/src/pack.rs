//! Several samples computed at once, one below the other.
//!
//! Each sample keeps its own positions and sees itself alone, so that a pack gives what its samples give one by one. What
//! samples begin with in common may stand in it once: no token sees what comes after it, so that the numbers of a beginning
//! are the same whatever follows.

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

/// Tokens that two samples must have in common for these to be computed once: a chat template's first words are not worth
/// the further products.
pub(crate) const LEAST_SHARED: usize = 64;

/// Sequences to be computed at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pack {
    /// The token of each row.
    pub(crate) tokens: Vec<u32>,
    /// Whose rows see each other, in the order of the rows.
    pub(crate) groups: Vec<Group>,
    /// The rows whose following token is predicted, sequence by sequence. Where sequences part, a row predicts the next
    /// token of each.
    pub(crate) rows: Vec<u32>,
    /// The token that follows each of these rows.
    pub(crate) targets: Vec<u32>,
    /// How many of these rows belong to each sequence.
    pub(crate) counts: Vec<usize>,
}

/// The rows of sequences that begin alike: their common beginning, and below it what each has of its own. One sequence by
/// itself is a beginning that nothing follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The first row.
    pub row: usize,
    /// Tokens of the common beginning, at least 1.
    pub prefix: usize,
    /// Tokens of each sequence behind it, of those that have any.
    pub branches: Vec<usize>,
}

impl Group {
    /// The first row and the tokens of each branch.
    pub fn branches(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.branches.iter().scan(self.row + self.prefix, |row, &tokens| {
            let first = *row;
            *row += tokens;
            Some((first, tokens))
        })
    }
}

impl Pack {
    /// Puts sequences below each other, each by itself.
    pub fn new<'a>(sequences: impl IntoIterator<Item = &'a Sequence>) -> Self {
        let alone = |sequence: &'a Sequence| Bundle { prefix: sequence.tokens.len(), sequences: vec![sequence] };
        Self::of(sequences.into_iter().map(alone))
    }

    /// Puts the sequences of some items below each other, with common beginnings once: of an item's sequences that follow each
    /// other (the two answers of a preference) any, of sequences of two items that follow each other one of at least 64
    /// tokens. Losses, counts and gradients are those of [`Self::new`], in the same order, in fewer rows.
    pub fn sharing<'a>(items: impl IntoIterator<Item = &'a [Sequence]>) -> Self {
        Self::of(bundles(items))
    }

    /// One sequence of which nothing is predicted.
    pub(crate) fn unscored(tokens: &[u32]) -> Self {
        let group = Group { row: 0, prefix: tokens.len(), branches: Vec::new() };
        Self { tokens: tokens.to_vec(), groups: vec![group], ..Self::default() }
    }

    fn of<'a>(bundles: impl IntoIterator<Item = Bundle<'a>>) -> Self {
        let mut pack = Self::default();
        bundles.into_iter().for_each(|bundle| pack.add(&bundle));
        pack
    }

    fn add(&mut self, bundle: &Bundle<'_>) {
        let (row, prefix) = (self.tokens.len(), bundle.prefix);
        if let Some(first) = bundle.sequences.first() {
            self.tokens.extend(&first.tokens[..prefix]);
        }
        let mut branches = Vec::new();
        for sequence in &bundle.sequences {
            let (tokens, completion) = (&sequence.tokens, sequence.completion);
            let own = self.tokens.len();
            self.tokens.extend(&tokens[prefix..]);
            let row_of = |index: usize| if index < prefix { row + index } else { own + index - prefix };
            self.rows.extend((completion..tokens.len()).map(|index| row_of(index - 1) as u32));
            self.targets.extend(&tokens[completion..]);
            self.counts.push(sequence.targets());
            if tokens.len() > prefix {
                branches.push(tokens.len() - prefix);
            }
        }
        self.groups.push(Group { row, prefix, branches });
    }

    /// Tokens that are computed: rows.
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

    /// Positions of the longest sequence.
    pub(crate) fn positions(&self) -> usize {
        let of_group = |group: &Group| group.prefix + group.branches.iter().copied().max().unwrap_or(0);
        self.groups.iter().map(of_group).max().unwrap_or(0)
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

/// Sequences that are computed as one group.
struct Bundle<'a> {
    sequences: Vec<&'a Sequence>,
    /// Tokens that all of them begin with.
    prefix: usize,
}

/// Rows of a pack of these items in which common beginnings stand once.
pub(crate) fn shared_size<'a>(items: impl IntoIterator<Item = &'a [Sequence]>) -> usize {
    let rows = |bundle: Bundle<'_>| {
        let own = bundle.sequences.iter().map(|sequence| sequence.tokens.len() - bundle.prefix);
        bundle.prefix + own.sum::<usize>()
    };
    bundles(items).into_iter().map(rows).sum()
}

/// Tokens that two texts begin with in common.
pub(crate) fn common_beginning(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Cuts the items' sequences, in their order, into those that are computed as one group, so that as few rows as possible are
/// left. As it is the least, no items have more rows together than in parts.
fn bundles<'a>(items: impl IntoIterator<Item = &'a [Sequence]>) -> Vec<Bundle<'a>> {
    let mut sequences: Vec<&'a Sequence> = Vec::new();
    // Tokens that a sequence may share with the one before it. What several in a row share is the least of these.
    let mut links: Vec<usize> = Vec::new();
    for item in items {
        for (place, sequence) in item.iter().enumerate() {
            let least = if place == 0 { LEAST_SHARED } else { 1 };
            let common = sequences.last().map_or(0, |before| common_beginning(&before.tokens, &sequence.tokens));
            links.push(if common < least { 0 } else { common });
            sequences.push(sequence);
        }
    }
    let mut bundles = Vec::new();
    let firsts = firsts_of_last(&links);
    let mut end = sequences.len();
    while end > 0 {
        let first = firsts[end];
        let shared = links[first + 1..end].iter().copied().min();
        let prefix = shared.unwrap_or_else(|| sequences[first].tokens.len());
        bundles.push(Bundle { sequences: sequences[first..end].to_vec(), prefix });
        end = first;
    }
    bundles.reverse();
    bundles
}

/// Of the first so many sequences, cut to save the most rows: where the last part begins. `n` sequences with a common
/// beginning save `n - 1` times its tokens.
fn firsts_of_last(links: &[usize]) -> Vec<usize> {
    let mut best = vec![(0, 0)];
    for end in 1..=links.len() {
        let mut found: (usize, usize) = (best[end - 1].0, end - 1);
        let mut prefix = usize::MAX;
        for first in (0..end - 1).rev() {
            prefix = prefix.min(links[first + 1]);
            if prefix == 0 {
                break;
            }
            let saved = best[first].0 + (end - 1 - first) * prefix;
            if saved > found.0 {
                found = (saved, first);
            }
        }
        best.push(found);
    }
    best.into_iter().map(|(_, first)| first).collect()
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

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn sequence(tokens: &[u32], completion: usize) -> Sequence {
        Sequence { tokens: tokens.to_vec(), completion }
    }

    fn sharing(items: &[Vec<Sequence>]) -> Pack {
        Pack::sharing(items.iter().map(Vec::as_slice))
    }

    /// The tokens of each sequence of a pack, put together again from its rows.
    fn texts(pack: &Pack) -> Vec<Vec<u32>> {
        let of_group = |group: &Group| {
            let rows = |first: usize, count: usize| pack.tokens[first..first + count].to_vec();
            let beginning = rows(group.row, group.prefix);
            let branches: Vec<Vec<u32>> =
                group.branches().map(|(first, count)| [beginning.clone(), rows(first, count)].concat()).collect();
            if branches.is_empty() { vec![beginning] } else { branches }
        };
        pack.groups.iter().flat_map(of_group).collect()
    }

    #[test]
    fn the_last_row_of_a_prompt_predicts_the_first_token_of_each_answer() {
        let pack = sharing(&[vec![sequence(&[1, 2, 3, 4, 5], 3), sequence(&[1, 2, 3, 6], 3)]]);
        assert_eq!(pack.tokens, [1, 2, 3, 4, 5, 6]);
        assert_eq!(pack.groups, [Group { row: 0, prefix: 3, branches: vec![2, 1] }]);
        assert_eq!((pack.rows.as_slice(), pack.targets.as_slice()), (&[2, 3, 2][..], &[4, 5, 6][..]));
        assert_eq!((pack.counts.as_slice(), pack.positions()), (&[2, 1][..], 5));
    }

    #[test]
    fn a_sequence_that_is_the_beginning_of_another_has_no_rows_of_its_own() {
        let pack = sharing(&[vec![sequence(&[1, 2, 3], 1), sequence(&[1, 2, 3, 4], 1)]]);
        assert_eq!(pack.groups, [Group { row: 0, prefix: 3, branches: vec![1] }]);
        assert_eq!((pack.rows.as_slice(), pack.targets.as_slice()), (&[0, 1, 0, 1, 2][..], &[2, 3, 2, 3, 4][..]));
        assert_eq!(pack.counts, [2, 3]);
    }

    #[test]
    fn a_beginning_of_two_items_is_shared_where_it_is_long_and_saves_rows() {
        let instructions: Vec<u32> = (0..LEAST_SHARED as u32).collect();
        let passages: Vec<u32> = (1_000..1_500).collect();
        let item = |parts: &[&[u32]]| vec![sequence(&parts.concat(), 1)];
        let short = [item(&[&instructions[1..], &[1]]), item(&[&instructions[1..], &[2]])];
        assert_eq!(sharing(&short).len(), 2 * LEAST_SHARED);
        let long = [item(&[&instructions, &[1]]), item(&[&instructions, &[2]])];
        assert_eq!(sharing(&long).len(), LEAST_SHARED + 2);
        // Whoever shares the instructions alone does not cut short what the others share.
        let asked = |question| item(&[&instructions, &passages, &[question]]);
        let mixed = [long[0].clone(), asked(3), asked(4), long[1].clone()];
        let pack = sharing(&mixed);
        assert_eq!(pack.groups.iter().map(|group| group.prefix).collect::<Vec<_>>(), [65, 564, 65]);
        assert_eq!(pack.len(), 65 + 566 + 65);
    }

    #[test]
    fn what_is_shared_is_read_back_and_is_never_more_than_its_parts() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..300 {
            let beginnings: Vec<Vec<u32>> = (0..3).map(|kind| vec![kind; rng.random_range(1..150)]).collect();
            let mut one = || {
                let beginning = beginnings[rng.random_range(0..3_usize)].clone();
                let own: Vec<u32> = (0..rng.random_range(1..6)).map(|_| rng.random_range(10..12)).collect();
                let tokens = [beginning, own].concat();
                let completion = rng.random_range(1..tokens.len());
                sequence(&tokens, completion)
            };
            let items: Vec<Vec<Sequence>> = (0..8).map(|place| (0..1 + place % 2).map(|_| one()).collect()).collect();
            let pack = sharing(&items);
            let apart = Pack::new(items.iter().flatten());
            assert_eq!((&pack.targets, &pack.counts), (&apart.targets, &apart.counts));
            let predicting = |pack: &Pack| pack.rows.iter().map(|row| pack.tokens[*row as usize]).collect::<Vec<_>>();
            assert_eq!(predicting(&pack), predicting(&apart));
            let found = texts(&pack);
            assert!(
                items.iter().flatten().all(|sequence| { found.iter().any(|text| text.starts_with(&sequence.tokens)) })
            );
            let size = |items: &[Vec<Sequence>]| shared_size(items.iter().map(Vec::as_slice));
            assert_eq!(size(&items), pack.len());
            for cut in 0..items.len() {
                assert!(pack.len() <= size(&items[..cut]) + size(&items[cut..]));
            }
        }
    }
}
