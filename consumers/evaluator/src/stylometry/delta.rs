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
//! The reference corpus is the author's unseen passages together with the models' answers to the same prompts. Its mean
//! lies between the author and the models, so the author's vector points in the direction in which the author differs
//! from them, and an answer's distance says how far it has gone that way: below 1 towards the author, above 1 away. The
//! distances of one report can be compared with each other, those of two reports can not.

use std::collections::HashMap;

use crate::words::words;

/// Texts of fewer words have no direction: the distance is 1.
const SHORTEST: usize = 10;

/// The reference corpus: which words are looked at, and what is usual for each.
#[derive(Debug, Clone)]
pub struct Delta {
    index: HashMap<String, usize>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Delta {
    /// Learns from the author's texts and those to be compared with them. The `count` commonest words are taken of the
    /// author's texts, so that a model's favourite words do not displace the author's.
    pub fn fit(author: &[&str], compared: &[&str], count: usize) -> Self {
        let author_words: Vec<Vec<String>> = author.iter().map(|text| words(text)).collect();
        let compared_words: Vec<Vec<String>> = compared.iter().map(|text| words(text)).collect();
        let index = commonest(&author_words, count);
        let long_enough = |text: &&Vec<String>| text.len() >= SHORTEST;
        let vectors: Vec<Vec<f64>> = author_words
            .iter()
            .chain(&compared_words)
            .filter(long_enough)
            .map(|text| frequencies(text, &index))
            .collect();
        let texts = vectors.len().max(1) as f64;
        let mean: Vec<f64> = (0..index.len()).map(|i| vectors.iter().map(|v| v[i]).sum::<f64>() / texts).collect();
        let variance = |i: usize| vectors.iter().map(|v| (v[i] - mean[i]).powi(2)).sum::<f64>() / texts;
        let deviation = (0..index.len()).map(|i| variance(i).sqrt()).collect();
        Self { index, mean, deviation }
    }

    /// The text's vector of z-scores; none if the text is too short to have one.
    pub fn vector(&self, text: &str) -> Option<Vec<f64>> {
        let words = words(text);
        if words.len() < SHORTEST {
            return None;
        }
        let frequencies = frequencies(&words, &self.index);
        let usual = self.mean.iter().zip(&self.deviation);
        // A word that all texts use equally often tells nothing.
        let score = |(f, (mean, deviation)): (&f64, (&f64, &f64))| if *deviation > 0.0 { (f - mean) / deviation } else { 0.0 };
        Some(frequencies.iter().zip(usual).map(score).collect())
    }

    /// Cosine Delta of two vectors: 0 the same direction, 1 unrelated, 2 opposite. A text without one is unrelated.
    pub fn distance(a: Option<&[f64]>, b: Option<&[f64]>) -> f64 {
        let (Some(a), Some(b)) = (a, b) else { return 1.0 };
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        if norms == 0.0 { 1.0 } else { 1.0 - dot(a, b) / norms }
    }

    /// The mean of vectors: what is common to the texts. None if there are none.
    pub fn centroid(vectors: &[&[f64]]) -> Option<Vec<f64>> {
        let first = vectors.first()?;
        let count = vectors.len() as f64;
        Some((0..first.len()).map(|i| vectors.iter().map(|v| v[i]).sum::<f64>() / count).collect())
    }
}

/// The commonest words and the place of each; equally common ones in alphabetical order.
fn commonest(texts: &[Vec<String>], count: usize) -> HashMap<String, usize> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in texts.iter().flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_by(|(word, n), (other, m)| m.cmp(n).then(word.cmp(other)));
    ranked.into_iter().take(count).enumerate().map(|(place, (word, _))| (word.to_owned(), place)).collect()
}

fn frequencies(words: &[String], index: &HashMap<String, usize>) -> Vec<f64> {
    let mut frequencies = vec![0.0; index.len()];
    for place in words.iter().filter_map(|word| index.get(word)) {
        frequencies[*place] += 1.0 / words.len() as f64;
    }
    frequencies
}
