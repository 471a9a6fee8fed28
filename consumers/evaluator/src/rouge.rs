//! ROUGE-L: how much of a reference an answer has in the same order (Lin 2004, "ROUGE: A Package for Automatic
//! Evaluation of Summaries", section 3.1).
//!
//! With `L` the length of the longest common subsequence of words, recall `R = L / |reference|` and precision
//! `P = L / |answer|`; the value is their harmonic mean `2PR / (P + R)`.

use twin_text::words::words;

/// ROUGE-L F1, 0 to 1, over the first `max_words` words of both. Zero if one has no words.
pub fn rouge_l(answer: &str, reference: &str, max_words: usize) -> f64 {
    let bounded = |text: &str| {
        let mut words = words(text);
        words.truncate(max_words);
        words
    };
    let (answer, reference) = (bounded(answer), bounded(reference));
    let common = longest_common_subsequence(&answer, &reference) as f64;
    if common == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (common / answer.len() as f64, common / reference.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// Its length. Time is the product of the lengths, memory the length of `b`.
fn longest_common_subsequence<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut lengths = vec![0; b.len() + 1];
    for item in a {
        let mut diagonal = 0;
        for (index, other) in b.iter().enumerate() {
            let above = lengths[index + 1];
            lengths[index + 1] = if item == other { diagonal + 1 } else { above.max(lengths[index]) };
            diagonal = above;
        }
    }
    lengths[b.len()]
}
