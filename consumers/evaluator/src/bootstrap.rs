//! Paired intervals by the cluster bootstrap-t.
//!
//! A metric is a ratio of two sums over samples: errors over answers, nats over tokens. Candidate and production are
//! measured on the same samples, and the difference `d` of their ratios is what is asked for. Samples of one document
//! resemble each other, so that drawing samples would make the interval too narrow: whole documents are drawn, with
//! replacement and as many as there are, for both models the same ones (Efron and Tibshirani 1993, "An Introduction to
//! the Bootstrap", sections 8 and 13; Koehn 2004 for the paired use on text; Field and Welsh 2007 for clusters).
//!
//! What is drawn is not `d` but `t* = (d* - d) / s*`, with `s` the standard error of a difference of ratios (linearised,
//! Cochran 1977, "Sampling Techniques", section 6.4), and the interval is `d - t*(1 - a) s` to `d - t*(a) s` (Efron and
//! Tibshirani 1993, section 12.5). The quantiles of `d*` itself are too narrow: of 5 documents a level of 95 % covers 84 %.
//! Each end is at least as far from `d` as Student's, of `k - 1` degrees of freedom for `k` documents: of values that are
//! nearly normal Student's is exact, of skewed ones the bootstrap sees the longer side. It is at most twice as far: with a
//! handful of documents some draws are of nearly one document alone, and their `s*` says nothing. The coverage by
//! simulation is in `tests/evaluation_intervals.rs`.
//!
//! A metric that differs by the same in every document has an interval of no width. That is no certainty: what has not
//! happened in `k` documents may happen in up to about `3 / k` of all (the rule of three, Hanley and Lippman-Hand 1983), which
//! is why a policy asks for a least number of them.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::DocumentId;

/// Sums of floating point numbers are equal within this share of them.
const ROUNDING: f64 = 1e-9;

/// An end of an interval is at most so many times as far away as Student's.
const FARTHEST: f64 = 2.0;

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

impl Interval {
    /// Each end so many times as far from the mean.
    pub fn widened(self, factor: f64) -> Self {
        let Self { mean, low, high } = self;
        Self { mean, low: mean + factor * (low - mean), high: mean + factor * (high - mean) }
    }

    /// That of a share, which is never below nothing or above all.
    pub fn as_share(self) -> Self {
        Self { low: self.low.max(0.0), high: self.high.min(1.0), ..self }
    }
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
    /// The interval of `candidate - production`. Intervals with different `stream`s draw independently. None with fewer
    /// than two documents: one says nothing of how others differ.
    pub fn difference(&self, pairs: &[Pair], stream: u64) -> Option<Interval> {
        let clusters = clusters(pairs);
        let count = u32::try_from(clusters.len()).ok().filter(|count| *count > 1)?;
        let Estimate { difference: mean, error } = Estimate::of(&clusters);
        if error <= ROUNDING * (1.0 + mean.abs()) {
            return Some(Interval { mean, low: mean, high: mean });
        }
        let student = student(self.confidence, count - 1);
        let farthest = FARTHEST * student;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        let mut drawn = Vec::with_capacity(clusters.len());
        let mut deviations: Vec<f64> = (0..self.resamples)
            .map(|_| {
                drawn.clear();
                drawn.extend((0..count).map(|_| clusters[random.random_range(0..count) as usize]));
                Estimate::of(&drawn).deviation_from(mean, error).clamp(-farthest, farthest)
            })
            .collect();
        deviations.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        let above = quantile(&deviations, 1.0 - tail).max(student);
        let below = quantile(&deviations, tail).min(-student);
        Some(Interval { mean, low: mean - above * error, high: mean - below * error })
    }

    /// The interval of the ratio itself, by the same draws.
    pub fn ratio(&self, parts: &[(DocumentId, Part)], stream: u64) -> Option<Interval> {
        let zero = Part { numerator: 0.0, denominator: 1.0 };
        let pair =
            |(document, part): &(DocumentId, Part)| Pair { document: *document, candidate: *part, production: zero };
        self.difference(&parts.iter().map(pair).collect::<Vec<_>>(), stream)
    }
}

/// A difference of ratios and its standard error.
struct Estimate {
    difference: f64,
    error: f64,
}

impl Estimate {
    /// Of documents' sums. With `r` a model's ratio and `D` the mean of its denominators, a document moves the ratio by
    /// `(numerator - r denominator) / D`; the error is that of the mean of these moves, candidate less production.
    fn of(clusters: &[(Part, Part)]) -> Self {
        let count = clusters.len() as f64;
        let (mut candidate, mut production) = (Part::default(), Part::default());
        for cluster in clusters {
            candidate.add(cluster.0);
            production.add(cluster.1);
        }
        let (ours, theirs) = (candidate.value(), production.value());
        let moves = |part: Part, ratio: f64, sum: Part| (part.numerator - ratio * part.denominator) / sum.denominator;
        let squares: f64 =
            clusters.iter().map(|(a, b)| (moves(*a, ours, candidate) - moves(*b, theirs, production)).powi(2)).sum();
        Self { difference: ours - theirs, error: (squares * count / (count - 1.0)).sqrt() }
    }

    /// How many of its own errors it is away from `mean`, whose error is `error`. Draws of one document alone have none, and
    /// are as far away as can be.
    fn deviation_from(&self, mean: f64, error: f64) -> f64 {
        let moved = self.difference - mean;
        match () {
            () if moved.abs() <= ROUNDING * error => 0.0,
            () if self.error <= ROUNDING * error => f64::INFINITY.copysign(moved),
            () => moved / self.error,
        }
    }
}

/// The `t` that a variable of Student's distribution stays below in absolute value with the probability `level`.
pub fn student(level: f64, degrees: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, degrees) < level {
        (low, high) = (high, 2.0 * high);
    }
    // Halving ends where floating point does: between neighbours there is nothing.
    while low < high && low + (high - low) / 2.0 != low && low + (high - low) / 2.0 != high {
        let middle = low + (high - low) / 2.0;
        if within(middle, degrees) < level { low = middle } else { high = middle }
    }
    high
}

/// The probability that a variable of Student's distribution lies within `-t` and `t` (Abramowitz and Stegun 1964,
/// "Handbook of Mathematical Functions", 26.7.3 and 26.7.4).
fn within(t: f64, degrees: u32) -> f64 {
    let angle = (t / f64::from(degrees).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    // Odd: cos + 2/3 cos^3 + 2/3 4/5 cos^5 + ...; even: 1 + 1/2 cos^2 + 1/2 3/4 cos^4 + ...; up to the power degrees - 2.
    let (mut term, mut power) = if degrees % 2 == 1 { (cosine, 1) } else { (1.0, 0) };
    let mut sum = 0.0;
    while power + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * f64::from(power + 1) / f64::from(power + 2);
        power += 2;
    }
    if degrees % 2 == 1 { 2.0 / std::f64::consts::PI * (angle + sine * sum) } else { sine * sum }
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

/// The quantile of sorted values, between neighbours linearly (Hyndman and Fan 1996, type 7).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}
