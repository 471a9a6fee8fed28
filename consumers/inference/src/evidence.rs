//! How much speaks for it that what was found answers a question: one number, below which it is refused.
//!
//! The similarity of the best passage alone does not tell questions that an author answers from those on the same field
//! that he does not: a model finds both near to his texts. Whether the words of the question, weighed by how rare they are
//! in all that the author wrote, are in what was found tells more. With 577 notes of an author, whose titles are questions
//! that they answer, and the titles of another author's 469 notes on the same field as questions that they do not, the area
//! under the ROC curve is .962 for the similarity and .969 for the sum here.

use std::collections::HashSet;

use twin_text::natural::Language;
use twin_text::words::words;
use twin_vectors::{Frequencies, Hit};

use crate::quotes::terms::{inverse_document_frequency, stem, stems};
use crate::telling::is_telling;

/// The best passages, in which the words of a question are looked for: as many as an answer is quoted from by default.
const PASSAGES: usize = 5;

/// What the share of the words counts beside the similarity.
const WORDS_WEIGHT: f32 = 0.3;

/// Words of a question that are looked for, at most.
const MAX_WORDS: usize = 32;

/// What speaks for it that a question is answered by what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Cosine similarity of the question and the best of the passages, 0 to 1.
    pub similarity: f32,
    /// How much of what the words of the question tell is in the best five passages, 0 to 1.
    pub share: f32,
}

impl Evidence {
    /// Both as one number, 0 to 1.3.
    pub fn score(self) -> f32 {
        self.similarity + WORDS_WEIGHT * self.share
    }
}

/// The words of a question that tell what it is about, each once.
#[derive(Debug, Clone)]
pub(crate) struct TellingWords {
    words: Vec<String>,
    /// The same, as they are compared.
    stems: Vec<String>,
}

impl TellingWords {
    pub(crate) fn of(question: &str) -> Self {
        let mut telling = Self { words: Vec::new(), stems: Vec::new() };
        let language = Language::told(question);
        for word in words(question).into_iter().filter(|word| is_telling(word, language)) {
            let stem = stem(&word);
            if telling.words.len() < MAX_WORDS && !telling.stems.contains(&stem) {
                telling.words.push(word);
                telling.stems.push(stem);
            }
        }
        telling
    }

    /// As the index counts them.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// What speaks for these hits, the best of them first.
    pub(crate) fn evidence<'a>(&self, frequencies: &Frequencies, hits: impl IntoIterator<Item = &'a Hit>) -> Evidence {
        let (mut similarity, mut found) = (0.0_f32, HashSet::new());
        for hit in hits.into_iter().take(PASSAGES) {
            similarity = similarity.max(hit.similarity.clamp(0.0, 1.0));
            let title = hit.title.iter().chain(&hit.heading_path);
            found.extend(title.chain([&hit.text]).flat_map(|text| stems(text)));
        }
        Evidence { similarity, share: self.share(frequencies, &found) }
    }

    /// A word that the author never wrote tells most, and is not found. A question without telling words has no share.
    fn share(&self, frequencies: &Frequencies, found: &HashSet<String>) -> f32 {
        let (mut all, mut of_found) = (0.0, 0.0);
        for (stem, having) in self.stems.iter().zip(&frequencies.having) {
            let weight = inverse_document_frequency(*having as f32, frequencies.chunks.max(*having) as f32);
            all += weight;
            if found.contains(stem) {
                of_found += weight;
            }
        }
        if all > 0.0 { of_found / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use twin_schemas::{Category, DocumentId, Revision};

    use super::*;

    fn hit(text: &str, similarity: f32) -> Hit {
        Hit {
            document_id: DocumentId("00000000-0000-0000-0000-000000000001".parse().unwrap()),
            revision: Revision(1),
            ordinal: 0,
            natural_key: "a.md".into(),
            title: Some("On leases".into()),
            url: None,
            category: Category::Article,
            heading_path: vec!["Holders".into()],
            text: text.into(),
            similarity,
            fused: 0.0,
        }
    }

    fn frequencies(having: &[u64]) -> Frequencies {
        Frequencies { chunks: 1_000, having: having.to_vec() }
    }

    #[test]
    fn rare_words_that_are_not_found_tell_more_than_frequent_ones_that_are() {
        let words = TellingWords::of("Why do leases of a Zookeeper expire, and which lease?");
        assert_eq!(words.words(), ["leases", "zookeeper", "expire"], "each once, and none that tells nothing");
        let found = hit("A lease expires.", 0.5);
        let evidence = words.evidence(&frequencies(&[400, 0, 300]), [&found]);
        assert!(evidence.similarity == 0.5 && evidence.share < 0.25, "{evidence:?}");
        let evidence = words.evidence(&frequencies(&[4, 400, 3]), [&found]);
        assert!(evidence.share > 0.9 && evidence.score() > 0.77, "{evidence:?}");
    }

    #[test]
    fn what_asks_tells_nothing_in_other_languages_than_english_either() {
        for (question, text) in [
            ("Was hast du über den Bienenstock geschrieben?", "Der Bienenstock im Winter."),
            ("Qu'as-tu écrit sur les abeilles ?", "Les abeilles en hiver."),
        ] {
            let words = TellingWords::of(question);
            assert_eq!(words.words().len(), 1, "{:?}", words.words());
            assert_eq!(words.evidence(&frequencies(&[4]), [&hit(text, 0.5)]).share, 1.0, "{question}");
        }
    }

    #[test]
    fn words_are_looked_for_in_titles_and_headings_and_in_the_best_five_passages_alone() {
        let words = TellingWords::of("holders leases zebra");
        let far: Vec<Hit> = (0..5).map(|_| hit("nothing", 0.1)).chain([hit("zebra", 0.9)]).collect();
        let evidence = words.evidence(&frequencies(&[5, 5, 5]), &far);
        assert!((evidence.share - 2.0 / 3.0).abs() < 1e-6, "{evidence:?}");
        assert_eq!(evidence.similarity, 0.1);
    }

    #[test]
    fn a_question_without_words_or_hits_has_no_share() {
        let nothing = TellingWords::of("what is it?").evidence(&frequencies(&[]), [&hit("it is", 0.4)]);
        assert_eq!(nothing, Evidence { similarity: 0.4, share: 0.0 });
        let none: [&Hit; 0] = [];
        assert_eq!(TellingWords::of("zebra").evidence(&frequencies(&[0]), none), Evidence::default());
    }
}
