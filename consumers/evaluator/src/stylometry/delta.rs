//! Burrows's Delta in its cosine form.
//!
//! Burrows 2002 ("'Delta': a Measure of Stylistic Difference and a Guide to Likely Authorship") describes a text by the
//! relative frequencies `f_i` of the commonest words, each standardised over a reference corpus, `z_i = (f_i - mean_i) /
//! deviation_i`, and takes the mean of `|z_i(a) - z_i(b)|` as the distance. In a short text nearly every `z_i` is noise,
//! and the mean of absolute values grows with it. The angle between the vectors does not: Smith and Aldridge 2011
//! ("Improving Authorship Attribution: Optimizing Burrows' Delta Method") and Evert et al. 2017 ("Understanding and
//! Explaining Delta Measures for Authorship Attribution") find `1 - cos(z(a), z(b))` the better and steadier measure.
//! That is the one used.
//!
//! The reference corpus is the author's unseen passages together with the base model's answers to the same prompts, as
//! many of the one as of the other. Its mean lies halfway between, so the author's vector points in the direction in
//! which the author differs from a model that never saw the author, and an answer's distance says how far it has gone
//! that way: below 1 towards the author, above 1 towards the base model. (With candidate and production in the corpus
//! too, a good candidate would pull the mean towards the author and leave a direction that is noise.) Distances over the
//! same test samples and base model can be compared.
//!
//! A corpus that holds the text to be measured would pull its mean towards it, and away from it the others', which in a
//! small corpus turns the author's own text away from the author: [`Delta::fit`] is to be given other texts.

use std::collections::HashMap;

/// Texts of fewer words have no direction: the distance is 1.
const SHORTEST: usize = 10;

/// A word whose frequency varies by less tells nothing; what is left of it is rounding.
const LEAST_DEVIATION: f64 = 1e-9;

/// The reference corpus: which words are looked at, and what is usual for each.
#[derive(Debug, Clone)]
pub struct Delta {
    index: HashMap<String, usize>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Delta {
    /// Learns from the words of the author's texts and of those to be compared with them. The `count` commonest words
    /// are taken of the author's texts, so that a model's favourite words do not displace the author's; a word that
    /// only one of them has is that text's topic, and is left out.
    pub fn fit(author: &[&[String]], compared: &[&[String]], count: usize) -> Self {
        let index = commonest(author, count);
        let texts = author.iter().chain(compared).filter(|text| text.len() >= SHORTEST);
        let vectors: Vec<Vec<f64>> = texts.map(|text| frequencies(text, &index)).collect();
        let number = vectors.len().max(1) as f64;
        let mean: Vec<f64> = (0..index.len()).map(|i| vectors.iter().map(|v| v[i]).sum::<f64>() / number).collect();
        let variance = |i: usize| vectors.iter().map(|v| (v[i] - mean[i]).powi(2)).sum::<f64>() / number;
        let deviation = (0..index.len()).map(|i| variance(i).sqrt()).collect();
        Self { index, mean, deviation }
    }

    /// The vector of z-scores of a text's words; none if the text is too short to have one.
    pub fn vector(&self, words: &[String]) -> Option<Vec<f64>> {
        if words.len() < SHORTEST {
            return None;
        }
        let frequencies = frequencies(words, &self.index);
        let usual = self.mean.iter().zip(&self.deviation);
        let score = |(frequency, (mean, deviation)): (&f64, (&f64, &f64))| {
            if *deviation > LEAST_DEVIATION { (frequency - mean) / deviation } else { 0.0 }
        };
        Some(frequencies.iter().zip(usual).map(score).collect())
    }

    /// What the vectors of several texts have in common: their mean. None if no text has one.
    pub fn centroid(&self, texts: &[&[String]]) -> Option<Vec<f64>> {
        let vectors: Vec<Vec<f64>> = texts.iter().filter_map(|text| self.vector(text)).collect();
        let count = vectors.len() as f64;
        let mean = |i: usize| vectors.iter().map(|v| v[i]).sum::<f64>() / count;
        if vectors.is_empty() { None } else { Some((0..self.index.len()).map(mean).collect()) }
    }

    /// Cosine Delta of two vectors: 0 the same direction, 1 unrelated, 2 opposite. A text without one is unrelated.
    pub fn distance(a: Option<&[f64]>, b: Option<&[f64]>) -> f64 {
        let (Some(a), Some(b)) = (a, b) else { return 1.0 };
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        if norms == 0.0 { 1.0 } else { 1.0 - dot(a, b) / norms }
    }
}

/// The commonest words and the place of each; equally common ones in alphabetical order.
fn commonest<'a>(texts: &[&'a [String]], count: usize) -> HashMap<String, usize> {
    // Of each word: how often it stands in all texts, in how many it stands, and in which it was seen last.
    let mut seen: HashMap<&'a str, (usize, usize, usize)> = HashMap::new();
    for (number, text) in texts.iter().enumerate() {
        for word in *text {
            let (times, spread, last) = seen.entry(word).or_insert((0, 0, usize::MAX));
            *times += 1;
            *spread += usize::from(*last != number);
            *last = number;
        }
    }
    let least_spread = texts.len().min(2);
    let is_shared = |(_, (_, spread, _)): &(&str, (usize, usize, usize))| *spread >= least_spread;
    let mut ranked: Vec<(&str, (usize, usize, usize))> = seen.into_iter().filter(is_shared).collect();
    ranked.sort_by(|(word, (n, ..)), (other, (m, ..))| m.cmp(n).then(word.cmp(other)));
    ranked.into_iter().take(count).enumerate().map(|(place, (word, _))| (word.to_owned(), place)).collect()
}

fn frequencies(words: &[String], index: &HashMap<String, usize>) -> Vec<f64> {
    let mut frequencies = vec![0.0; index.len()];
    for place in words.iter().filter_map(|word| index.get(word)) {
        frequencies[*place] += 1.0 / words.len() as f64;
    }
    frequencies
}
