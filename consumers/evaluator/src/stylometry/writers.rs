//! Writers in the public domain, for an author to be held against (`writers/README.md` says where the texts are from).

use super::Language;

const ENGLISH: [&str; 6] = [
    include_str!("writers/austen.txt"),
    include_str!("writers/bierce.txt"),
    include_str!("writers/carroll.txt"),
    include_str!("writers/newton.txt"),
    include_str!("writers/twain.txt"),
    include_str!("writers/workshop.txt"),
];

/// Paragraphs of each writer in that language. Of languages other than English there are none.
pub fn writers(language: Language) -> Vec<Vec<&'static str>> {
    match language {
        Language::English => ENGLISH.iter().map(|text| text.split("\n\n").collect()).collect(),
        Language::German | Language::French | Language::Spanish | Language::Code => Vec::new(),
    }
}
