//! The author's style as the test samples show it, and what answers are held against.

use std::collections::BTreeMap;

use twin_schemas::{Category, DocumentId};
use twin_text::words::words;

use crate::bootstrap::Part;
use crate::measure::{Measured, Observation};
use crate::stylometry::{
    Delta, Genre, Impostors, Language, NgramProfile, Pool, Register, are_apart, as_long_as, writers,
};
use crate::{Metric, Options, SampleKind, TestSample};

/// A passage of fewer characters of its register shows no hand.
const LEAST_PASSAGE: usize = 150;

/// A voice sample's texts.
struct VoiceTexts {
    document: DocumentId,
    /// What the author's passage is.
    register: Register,
    /// What its document is, where it is prose and that is known.
    genre: Option<Genre>,
    /// The author's passage, that part of it.
    author_text: String,
    /// The base model's answer, the same part, as long as the author's.
    base_text: String,
    /// The words of the author's passage.
    author: Vec<String>,
    /// The words of the base model's answer.
    base: Vec<String>,
}

/// The author's unseen text, as far as the voice samples show it, and what others wrote.
pub(crate) struct AuthorStyle<'a> {
    profile: NgramProfile,
    by_document: BTreeMap<DocumentId, NgramProfile>,
    texts: Vec<VoiceTexts>,
    /// Other writers of prose in the author's language; none: its function words are not known.
    prose: Option<Pool<'a>>,
    /// Other writers of code.
    code: Pool<'a>,
    frequent_words: usize,
    /// The author's posts are held against the author's articles, and the other way round.
    genres_are_apart: bool,
}

/// All documents but one.
pub(crate) struct OtherDocuments {
    profile: NgramProfile,
    delta: Delta,
    centroid: Option<Vec<f64>>,
    prose: Option<Impostors>,
    code: Option<Impostors>,
}

impl<'a> AuthorStyle<'a> {
    /// `genres_are_apart` is what [`genres_are_apart`] says of all samples, of which these may be a part.
    pub(crate) fn new(
        samples: &[TestSample],
        models: &[&[Observation]],
        others: &'a [Vec<String>],
        categories: &BTreeMap<DocumentId, Category>,
        genres_are_apart: bool,
        options: &Options,
    ) -> Self {
        let mut by_document: BTreeMap<DocumentId, NgramProfile> = BTreeMap::new();
        let mut texts = Vec::new();
        for (index, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.kind == SampleKind::Voice) {
            let document = by_document.entry(sample.document_id).or_default();
            *document = document.plus(&NgramProfile::of(&sample.reference));
            let base = models.last().map_or("", |base| as_long_as(&base[index].answer.text, &sample.reference));
            let register = Register::of(&sample.reference);
            let category = categories.get(&sample.document_id).copied();
            texts.push(VoiceTexts {
                document: sample.document_id,
                register,
                genre: category.filter(|_| register == Register::Prose).and_then(Genre::of),
                author_text: register.part(&sample.reference),
                base_text: register.part(base),
                author: words(&sample.reference),
                base: words(base),
            });
        }
        let profile = by_document.values().fold(NgramProfile::default(), |sum, document| sum.plus(document));
        let prose = texts.iter().filter(|texts| texts.register == Register::Prose);
        let language = Language::of_prose(prose.map(|texts| texts.author_text.as_str()));
        let prose = language.map(|language| pool(others, Register::Prose, language));
        let code = pool(others, Register::Code, Language::Code);
        let frequent_words = options.frequent_words;
        Self { profile, by_document, texts, prose, code, frequent_words, genres_are_apart }
    }

    /// What a document is, if that matters.
    fn genre_of(&self, document: DocumentId) -> Option<Genre> {
        let is_known = |texts: &&VoiceTexts| texts.document == document && texts.genre.is_some();
        let known = self.texts.iter().find(is_known).and_then(|texts| texts.genre);
        known.filter(|_| self.genres_are_apart)
    }

    /// What there is beside one document; everything if there is no other.
    pub(crate) fn without(&self, document: DocumentId) -> OtherDocuments {
        let is_only = self.by_document.len() == 1;
        let own = self.by_document.get(&document).filter(|_| !is_only);
        let profile = own.map_or_else(|| self.profile.clone(), |own| self.profile.minus(own));
        let others: Vec<&VoiceTexts> =
            self.texts.iter().filter(|texts| is_only || texts.document != document).collect();
        let author: Vec<&[String]> = others.iter().map(|texts| texts.author.as_slice()).collect();
        let base: Vec<&[String]> = others.iter().map(|texts| texts.base.as_slice()).collect();
        let delta = Delta::fit(&author, &base, self.frequent_words);
        let centroid = delta.centroid(&author);
        let genre = self.genre_of(document);
        let prose = self.prose.as_ref().and_then(|pool| impostors(pool, &others, Register::Prose, genre));
        let code = impostors(&self.code, &others, Register::Code, None);
        OtherDocuments { profile, delta, centroid, prose, code }
    }
}

/// Other writers of the twin, and those in the tree.
fn pool<'a>(others: &'a [Vec<String>], register: Register, language: Language) -> Pool<'a> {
    let mut found: Vec<Vec<&'a str>> = Vec::new();
    for writer in others {
        found.push(writer.iter().map(String::as_str).filter(|text| Register::of(text) == register).collect());
    }
    found.retain(|texts| is_in(texts, language));
    found.extend(writers(language));
    Pool::new(found, language)
}

/// Whether texts are in a language. Writers of another one would be no impostors: anybody is told from them.
fn is_in(texts: &[&str], language: Language) -> bool {
    language == Language::Code || Language::of_prose(texts.iter().copied()) == Some(language)
}

/// The author by those texts, against the base model's answers to the same prompts and a pool; of a genre, by what is of it, and
/// against what the author wrote of the other.
fn impostors(pool: &Pool<'_>, texts: &[&VoiceTexts], register: Register, genre: Option<Genre>) -> Option<Impostors> {
    let is_own = |texts: &&&VoiceTexts| texts.register == register && (genre.is_none() || texts.genre == genre);
    let own = || texts.iter().filter(is_own);
    let author: Vec<&str> = own().map(|texts| texts.author_text.as_str()).collect();
    let mut others = vec![own().map(|texts| texts.base_text.as_str()).collect::<Vec<&str>>()];
    others.retain(|texts| is_in(texts, pool.language()));
    if let Some(genre) = genre {
        let foreign = texts.iter().filter(|texts| texts.genre == Some(genre.other()));
        others.push(foreign.map(|texts| texts.author_text.as_str()).collect());
    }
    pool.against(&author, &others)
}

/// Whether the author's posts and articles, as far as voice samples show them, are told apart, and there is enough of both.
pub(crate) fn genres_are_apart(samples: &[TestSample], categories: &BTreeMap<DocumentId, Category>) -> bool {
    let is_prose =
        |sample: &&TestSample| sample.kind == SampleKind::Voice && Register::of(&sample.reference) == Register::Prose;
    let prose = samples.iter().filter(is_prose);
    let texts: Vec<(DocumentId, String)> =
        prose.map(|sample| (sample.document_id, Register::Prose.part(&sample.reference))).collect();
    let Some(language) = Language::of_prose(texts.iter().map(|(_, text)| text.as_str())) else { return false };
    let genre_of = |document: &DocumentId| categories.get(document).copied().and_then(Genre::of);
    let of = |genre: Genre| -> Vec<String> {
        let mut by_document: BTreeMap<DocumentId, String> = BTreeMap::new();
        for (document, text) in texts.iter().filter(|(document, _)| genre_of(document) == Some(genre)) {
            let of_document = by_document.entry(*document).or_default();
            of_document.push_str(text);
            of_document.push('\n');
        }
        by_document.into_values().collect()
    };
    are_apart(&of(Genre::Article), &of(Genre::Post), language)
}

impl OtherDocuments {
    /// Measures a text that was written in place of `reference`.
    pub(crate) fn measure(&self, text: &str, reference: &str, measured: &mut Measured) {
        let vector = self.delta.vector(&words(text));
        let distance = Delta::distance(vector.as_deref(), self.centroid.as_deref());
        measured.put(Metric::Likeness, Part::one(NgramProfile::of(text).cosine(&self.profile)));
        measured.put(Metric::Delta, Part::one(distance));
        let register = Register::of(reference);
        let (metric, impostors) = match register {
            Register::Prose => (Metric::Authorship, &self.prose),
            Register::Code => (Metric::CodeAuthorship, &self.code),
        };
        let shows_a_hand = register.part(reference).chars().count() >= LEAST_PASSAGE;
        if let Some(impostors) = impostors.as_ref().filter(|_| shows_a_hand) {
            measured.put(metric, Part::one(impostors.score(&register.part(text))));
        }
    }
}
