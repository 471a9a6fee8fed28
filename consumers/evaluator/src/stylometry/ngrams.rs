//! Profiles of character n-grams (Stamatatos 2009, "A Survey of Modern Authorship Attribution Methods", section 2.2).

/// Lengths of n-grams, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=5;

/// Bits of a Unicode scalar value.
const BITS: u32 = 21;

/// How often each n-gram of 3 to 5 characters stands in a text. Case and punctuation are kept, as both are habits; runs
/// of white space are one space.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NgramProfile {
    /// Each n-gram (its characters packed into one number, which is unique) and its count, ascending.
    counts: Vec<(u128, u32)>,
}

impl NgramProfile {
    /// The profile of a text.
    pub fn of(text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let characters: Vec<char> = text.chars().collect();
        let mut grams: Vec<u128> = LENGTHS.flat_map(|length| characters.windows(length).map(packed)).collect();
        grams.sort_unstable();
        let counts = grams.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        Self { counts }
    }

    /// This profile with another's counts added.
    pub fn plus(&self, other: &Self) -> Self {
        self.merged(other, u32::saturating_add)
    }

    /// This profile with another's counts taken away.
    pub fn minus(&self, other: &Self) -> Self {
        self.merged(other, u32::saturating_sub)
    }

    /// The cosine of two profiles, each n-gram weighted by `1 + ln(count)` (sublinear term frequency: the few commonest
    /// n-grams of a language are shared by all its writers, and would drown the rest). 0 if one is empty, 1 if equal.
    pub fn cosine(&self, other: &Self) -> f64 {
        let mut product = 0.0;
        let mut theirs = other.counts.iter().peekable();
        for (gram, count) in &self.counts {
            while theirs.next_if(|(their, _)| their < gram).is_some() {}
            if let Some((_, their_count)) = theirs.next_if(|(their, _)| their == gram) {
                product += weight(*count) * weight(*their_count);
            }
        }
        let norms = self.norm() * other.norm();
        if norms == 0.0 { 0.0 } else { product / norms }
    }

    fn norm(&self) -> f64 {
        self.counts.iter().map(|(_, count)| weight(*count).powi(2)).sum::<f64>().sqrt()
    }

    fn merged(&self, other: &Self, combine: fn(u32, u32) -> u32) -> Self {
        let mut counts = Vec::with_capacity(self.counts.len());
        let (mut ours, mut theirs) = (self.counts.iter().peekable(), other.counts.iter().peekable());
        loop {
            let (gram, our_count, their_count) = match (ours.peek(), theirs.peek()) {
                (Some(&&(our, count)), Some(&&(their, their_count))) if our == their => (our, count, their_count),
                (Some(&&(our, count)), Some(&&(their, _))) if our < their => (our, count, 0),
                (_, Some(&&(their, count))) => (their, 0, count),
                (Some(&&(our, count)), None) => (our, count, 0),
                (None, None) => return Self { counts },
            };
            ours.next_if(|(our, _)| *our == gram);
            theirs.next_if(|(their, _)| *their == gram);
            let combined = combine(our_count, their_count);
            if combined > 0 {
                counts.push((gram, combined));
            }
        }
    }
}

fn weight(count: u32) -> f64 {
    1.0 + f64::from(count).ln()
}

/// Up to five characters as one number: no two n-grams share one, as no character is 0 after adding one.
fn packed(characters: &[char]) -> u128 {
    characters.iter().fold(0, |number, character| (number << BITS) | (u128::from(u32::from(*character)) + 1))
}
