//! How often what passages do not support is told, and how often what they do is not, over the real embedding model and this
//! repository's documents. The rates that `docs/api.md` publishes are those that this prints.

#[path = "support/alterations.rs"]
mod alterations;
mod common;
#[path = "quotes/questions.rs"]
mod questions;

use std::time::{Duration, Instant};

use alterations::{Kind, altered, reworded};
use common::Fixture;
use questions::{DOCS, DOCS_UNSEEN, TOP, TOP_UNSEEN};
use twin_inference::{AnswerOptions, Retrieved, check};
use twin_schemas::{Category, Passage};

/// Passages that a model is given by default.
const GIVEN: usize = 3;

/// Altered sentences of each kind, 300 together.
const ALTERED: [(Kind, usize); 5] =
    [(Kind::Number, 60), (Kind::Name, 60), (Kind::Identifier, 60), (Kind::Negation, 60), (Kind::Foreign, 60)];

/// Numbers and names of a sentence that are altered at most, each in a sentence of its own.
const OF_A_SENTENCE: usize = 3;

/// Sentences that passages support, of each of two kinds: as they stand, and in other words.
const SUPPORTED: usize = 150;

/// Sentences of an answer, where answers are put together of them.
const SENTENCES: usize = 4;

/// The Markdown files of the repository and of its folder `docs`. Cargo runs tests in their package's folder.
fn documents() -> Vec<(String, String)> {
    let folders = ["../..", "../../docs"].map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<_> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    let named = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (named(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// A sentence of a passage, and the passages that were found with that.
struct Sentence<'a> {
    text: String,
    passages: &'a [Passage],
}

/// The sentences of the passages of all questions, each once.
async fn sentences<'a>(found: &'a [Retrieved]) -> Vec<Sentence<'a>> {
    let mut sentences: Vec<Sentence<'a>> = Vec::new();
    for Retrieved { passages, embedder, .. } in found {
        let mut claimed = Vec::new();
        for passage in passages {
            claimed.extend(check(&passage.text, passages, embedder.as_ref()).await.unwrap().support);
        }
        for text in claimed.into_iter().map(|sentence| one_line(&sentence.text)) {
            let is_prose = !text.starts_with(['|', '`', '~', '>']) && (8..45).contains(&text.split(' ').count());
            if is_prose && !sentences.iter().any(|known| known.text == text) {
                sentences.push(Sentence { text, passages });
            }
        }
    }
    sentences
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether each sentence counts as supported, with those that count otherwise than they should.
struct Seen {
    supported: Vec<bool>,
    wrong: Vec<String>,
}

impl Seen {
    fn share(&self, supported: bool) -> f64 {
        let count = self.supported.iter().filter(|one| **one == supported).count();
        count as f64 / self.supported.len() as f64
    }
}

struct Checker<'a> {
    fixture: &'a Fixture,
    time: Duration,
    checks: u32,
}

impl Checker<'_> {
    async fn check(&mut self, answer: &str, passages: &[Passage]) -> twin_schemas::AnswerCheck {
        let began = Instant::now();
        let checked = check(answer, passages, self.fixture.embedder.as_ref()).await.unwrap();
        self.time += began.elapsed();
        self.checks += 1;
        checked
    }

    /// Checks each sentence as an answer of its own: it is supported if all of it is.
    async fn see(&mut self, sentences: &[(String, &[Passage])], should_be: bool) -> Seen {
        let mut seen = Seen { supported: Vec::new(), wrong: Vec::new() };
        for (text, passages) in sentences {
            let checked = self.check(text, passages).await;
            assert!(!checked.support.is_empty(), "nothing is claimed: {text}");
            let supported = checked.support.iter().all(|sentence| sentence.supported);
            seen.supported.push(supported);
            if supported != should_be {
                let why: Vec<_> = checked.support.iter().map(|one| (one.reason, one.score, &one.unknown)).collect();
                seen.wrong.push(format!("{text}\n    {why:?}"));
            }
        }
        seen
    }
}

/// Of answers that are made of these sentences, the share that is replaced.
fn replaced(supported: impl IntoIterator<Item = bool>, min_grounded: f32) -> f64 {
    let supported: Vec<bool> = supported.into_iter().collect();
    let answers = supported.chunks_exact(SENTENCES);
    let is_replaced = |answer: &&[bool]| {
        let share = answer.iter().filter(|supported| **supported).count() as f32 / SENTENCES as f32;
        share < min_grounded
    };
    answers.clone().filter(is_replaced).count() as f64 / answers.count() as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passages_do_not_support_is_told_and_what_they_do_is_let_pass() {
    let fixture = Fixture::new(2).await;
    for (name, text) in documents() {
        fixture.publish(&name, Category::Article, &text).await;
    }
    let mut found = Vec::new();
    for (question, _) in [DOCS, DOCS_UNSEEN, TOP, TOP_UNSEEN].into_iter().flatten() {
        found.push(fixture.found(question, GIVEN).await);
    }
    let sentences = sentences(&found).await;
    let mut checker = Checker { fixture: &fixture, time: Duration::ZERO, checks: 0 };

    // What the passages say.
    let spread: Vec<&Sentence<'_>> =
        (0..SUPPORTED).map(|index| &sentences[index * sentences.len() / SUPPORTED]).collect();
    let verbatim: Vec<_> = spread.iter().map(|one| (one.text.clone(), one.passages)).collect();
    let in_other_words: Vec<_> =
        spread.iter().enumerate().map(|(index, one)| (reworded(&one.text, index), one.passages)).collect();
    let verbatim = checker.see(&verbatim, true).await;
    let in_other_words = checker.see(&in_other_words, true).await;
    eprintln!("let pass: {:.1} % as they stand", 100.0 * verbatim.share(true));
    eprintln!("let pass: {:.1} % in other words", 100.0 * in_other_words.share(true));

    // What they do not.
    let mut told = Vec::new();
    let mut all_altered: Vec<bool> = Vec::new();
    for (kind, count) in ALTERED {
        let others: Vec<(&str, &[Passage])> = sentences.iter().map(|one| (one.text.as_str(), one.passages)).collect();
        let mut changed: Vec<(String, &[Passage])> = Vec::new();
        for (index, (text, passages)) in others.iter().enumerate() {
            // Every second one is in other words besides.
            let text = if index % 2 == 0 { (*text).to_owned() } else { reworded(text, index) };
            let of_it = (0..OF_A_SENTENCE).map_while(|nth| altered(kind, &text, (index, nth), passages, &others));
            changed.extend(of_it.map(|text| (text, *passages)));
        }
        assert!(changed.len() >= count, "{kind:?}: {} sentences can be altered", changed.len());
        let changed: Vec<_> = (0..count).map(|index| changed[index * changed.len() / count].clone()).collect();
        let seen = checker.see(&changed, false).await;
        eprintln!("told: {:.1} % of {count}: {kind:?}", 100.0 * seen.share(false));
        all_altered.extend(&seen.supported);
        told.push((kind, seen));
    }
    let caught = all_altered.iter().filter(|supported| !**supported).count();
    eprintln!("told: {caught} of {} altered sentences", all_altered.len());
    eprintln!("a sentence takes {:.1} ms to check", checker.time.as_secs_f64() * 1000.0 / f64::from(checker.checks));

    let min_grounded = AnswerOptions::default().min_grounded;
    for least in [0.25, 0.5, 0.75, 1.0] {
        let faithful = replaced(in_other_words.supported.iter().copied(), least);
        let invented = replaced(all_altered.iter().copied(), least);
        let pairs = in_other_words.supported.iter().zip(&all_altered).flat_map(|(good, bad)| [*good, *bad]);
        let mixed = replaced(pairs, least);
        eprintln!(
            "replaced below {least}: {faithful:.3} of faithful answers, {mixed:.3} half and half, {invented:.3} invented"
        );
    }
    whole_answer(&mut checker, &sentences).await;

    let wrong = |seen: &Seen| seen.wrong.join("\n");
    assert!(verbatim.share(true) >= 0.98, "as they stand:\n{}", wrong(&verbatim));
    assert!(in_other_words.share(true) >= 0.85, "in other words:\n{}", wrong(&in_other_words));
    for (kind, seen) in &told {
        let least = match kind {
            Kind::Number | Kind::Name | Kind::Identifier => 1.0,
            Kind::Negation | Kind::Foreign => 0.9,
        };
        assert!(seen.share(false) >= least, "{kind:?}:\n{}", wrong(seen));
    }
    assert!(replaced(in_other_words.supported.iter().copied(), min_grounded) <= 0.05);
    assert!(replaced(all_altered.iter().copied(), min_grounded) >= 0.95);
}

/// What the check of an answer of a few sentences takes.
async fn whole_answer(checker: &mut Checker<'_>, sentences: &[Sentence<'_>]) {
    let mut longest = Duration::ZERO;
    for of_one in sentences.chunk_by(|one, other| std::ptr::eq(one.passages, other.passages)) {
        let answer: Vec<String> = of_one.iter().enumerate().map(|(index, one)| reworded(&one.text, index)).collect();
        let began = Instant::now();
        checker.check(&answer.join(" "), of_one[0].passages).await;
        longest = longest.max(began.elapsed());
    }
    eprintln!("an answer made of all sentences of a passage takes {longest:?} at most");
}
