//! Paired intervals by the cluster bootstrap.
//!
//! A metric is a ratio of two sums over samples: errors over answers, nats over tokens. Candidate and production are
//! measured on the same samples, and the difference of their ratios is what is asked for. Samples of one document
//! resemble each other, so that drawing samples would make the interval too narrow: whole documents are drawn, with
//! replacement and as many as there are, for both models the same ones (Efron and Tibshirani 1993, "An Introduction to
//! the Bootstrap", sections 8 and 13; Koehn 2004 for the paired use on text; Field and Welsh 2007 for clusters).
//!
//! The interval is that of percentiles. BCa corrects for skew, and is unstable with the few and often equal values that
//! shares on a small test split have; a difference of paired means is nearly symmetric. With `k` documents, percentiles
//! are too narrow by about `sqrt((k - 1) / k)` and then some, which is why a policy asks for a least number of them.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::DocumentId;

/// One sample's part in a ratio of sums.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    /// Added above the line.
    pub numerator: f64,
    /// Added below the line; above zero.
    pub denominator: f64,
}

impl Part {
    /// A value that counts once, as of a mean.
    pub fn one(value: f64) -> Self {
        Self { numerator: value, denominator: 1.0 }
    }

    /// A share's part: 1 or 0.
    pub fn flag(holds: bool) -> Self {
        Self::one(f64::from(u8::from(holds)))
    }

    /// The ratio of sums.
    pub fn ratio(parts: impl IntoIterator<Item = Self>) -> f64 {
        let mut sum = Self::default();
        parts.into_iter().for_each(|part| sum.add(part));
        sum.value()
    }

    fn add(&mut self, other: Self) {
        self.numerator += other.numerator;
        self.denominator += other.denominator;
    }

    fn value(self) -> f64 {
        self.numerator / self.denominator
    }
}

/// One sample measured on both models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The document that the sample was made of.
    pub document: DocumentId,
    /// The first model's part.
    pub candidate: Part,
    /// The other's.
    pub production: Part,
}

/// A difference and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The difference as measured.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Resamples.
    pub resamples: u32,
    /// Level, two-sided.
    pub confidence: f64,
    /// Seed of the generator (ChaCha8: the same draws on any machine).
    pub seed: u64,
}

impl Bootstrap {
    /// The interval of `candidate - production`. Intervals with different `stream`s draw independently. None without
    /// pairs.
    pub fn difference(&self, pairs: &[Pair], stream: u64) -> Option<Interval> {
        let clusters = clusters(pairs);
        let count = u32::try_from(clusters.len()).ok().filter(|count| *count > 0)?;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        let mut differences: Vec<f64> = (0..self.resamples)
            .map(|_| difference((0..count).map(|_| &clusters[random.random_range(0..count) as usize])))
            .collect();
        differences.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            mean: difference(&clusters),
            low: quantile(&differences, tail),
            high: quantile(&differences, 1.0 - tail),
        })
    }

    /// The interval of the ratio itself, by the same draws.
    pub fn ratio(&self, parts: &[(DocumentId, Part)], stream: u64) -> Option<Interval> {
        let zero = Part { numerator: 0.0, denominator: 1.0 };
        let pair =
            |(document, part): &(DocumentId, Part)| Pair { document: *document, candidate: *part, production: zero };
        self.difference(&parts.iter().map(pair).collect::<Vec<_>>(), stream)
    }
}

/// The sums of each document, in the order of the documents' ids.
fn clusters(pairs: &[Pair]) -> Vec<(Part, Part)> {
    let mut clusters: BTreeMap<DocumentId, (Part, Part)> = BTreeMap::new();
    for pair in pairs {
        let (candidate, production) = clusters.entry(pair.document).or_default();
        candidate.add(pair.candidate);
        production.add(pair.production);
    }
    clusters.into_values().collect()
}

fn difference<'a>(clusters: impl IntoIterator<Item = &'a (Part, Part)>) -> f64 {
    let (mut candidate, mut production) = (Part::default(), Part::default());
    for cluster in clusters {
        candidate.add(cluster.0);
        production.add(cluster.1);
    }
    candidate.value() - production.value()
}

/// The quantile of sorted values, between neighbours linearly (Hyndman and Fan 1996, type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}
