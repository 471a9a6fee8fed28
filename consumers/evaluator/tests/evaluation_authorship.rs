//! The impostors' method says of whom a text is, about as often as docs/learning.md says.

mod scripted;

use scripted::*;
use twin_evaluator::stylometry::{Impostors, Language, writers};
use twin_evaluator::{Metric, Outcome, SampleKind, TestSample};
use twin_schemas::Verdict;

const PLAIN: &str = include_str!("data/plain.txt");
const ORNATE: &str = include_str!("data/ornate.txt");

/// Of the writers in the tree, those by whom nothing was chosen: neither features nor weights were tried on them.
const UNTUNED: [usize; 4] = [2, 3, 4, 5];

/// A text is the author's if the score is at least this.
const YES: f64 = 0.5;

/// Shares of right answers, in per cent: of texts of the author by whose other half they are judged, and of texts of another
/// one who is not among the impostors. `size` paragraphs are one text.
fn rates(size: usize) -> (f64, f64) {
    let all = writers(Language::English);
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for author in UNTUNED {
        let (known, rest) = all[author].split_at(all[author].len() / 2);
        for other in UNTUNED {
            let others = (0..all.len()).filter(|writer| ![author, other].contains(writer));
            let others: Vec<Vec<&str>> = others.map(|writer| all[writer].clone()).collect();
            let impostors = Impostors::new(known, &others, Language::English).unwrap();
            let texts = if other == author { rest } else { &all[other][..] };
            let yes = texts.chunks(size).map(|text| impostors.score(&text.join("\n\n")) >= YES);
            if other == author { same.extend(yes) } else { different.extend(yes.map(|yes| !yes)) }
        }
    }
    let share = |right: Vec<bool>| 100.0 * right.iter().filter(|is| **is).count() as f64 / right.len() as f64;
    (share(same), share(different))
}

/// The figures in docs/learning.md.
#[test]
fn two_halves_of_one_author_are_one_and_two_authors_are_two() {
    for (paragraphs, least_same, least_different) in [(1, 70.0, 90.0), (6, 100.0, 93.0), (12, 100.0, 95.0)] {
        let (same, different) = rates(paragraphs);
        let figures =
            format!("{paragraphs} paragraphs: {same} % of the author's found, {different} % of others' told apart");
        assert!(same >= least_same && different >= least_different, "{figures}");
    }
}

#[test]
fn one_author_who_writes_of_what_another_wrote_of_is_told_by_the_hand_and_not_by_the_topic() {
    let (plain, ornate): (Vec<&str>, Vec<&str>) = (PLAIN.split("\n\n").collect(), ORNATE.split("\n\n").collect());
    let mut others = writers(Language::English);
    others.push(ornate.clone());
    for topic in 0..plain.len() {
        let known: Vec<&str> =
            plain.iter().enumerate().filter(|(index, _)| *index != topic).map(|(_, text)| *text).collect();
        let impostors = Impostors::new(&known, &others, Language::English).unwrap();
        assert!(impostors.score(plain[topic]) > 0.5, "{topic}");
        assert!(impostors.score(ornate[topic]) < 0.1, "the same topic by the other hand: {topic}");
    }
}

#[test]
fn of_too_little_text_and_without_impostors_nothing_is_said() {
    let all = writers(Language::English);
    assert!(Impostors::new(&all[0][..1], &all[1..], Language::English).is_none());
    assert!(Impostors::new(&all[0], &[], Language::English).is_none());
    assert!(Impostors::new(&all[0], &[vec!["a few words"]], Language::English).is_none());
    let impostors = Impostors::new(&all[0], &all[1..], Language::English).unwrap();
    for nobodys in ["", "...", "  \n"] {
        assert_eq!(impostors.score(nobodys), 0.0, "{nobodys:?}");
    }
}

#[tokio::test]
async fn the_model_that_writes_like_the_author_has_the_higher_authorship_and_passes_by_it() {
    let stage = Stage::new(TUNED, None, &samples());
    let report = run(&stage, &options()).await.unwrap();
    let authorship = of(&report, Metric::Authorship);
    assert_eq!((authorship.counts.samples, authorship.counts.documents), (12, 12));
    assert!(authorship.candidate > 0.5 && authorship.base < 0.1 && authorship.author.unwrap() > 0.5, "{authorship:?}");
    assert_eq!((report.checks[0].metric, report.checks[0].outcome), (Some(Metric::Authorship), Outcome::Passed));
    assert_eq!(report.verdict, Verdict::Passed, "{:#?}", report.checks);
}

#[tokio::test]
async fn with_too_little_text_of_the_author_likeness_decides_and_the_report_says_why() {
    let short = samples().into_iter().map(|sample| match sample.kind {
        SampleKind::Voice => TestSample { reference: sample.reference.chars().take(100).collect(), ..sample },
        _ => sample,
    });
    let report = run(&Stage::new(TUNED, None, &short.collect::<Vec<_>>()), &options()).await.unwrap();
    assert!(report.comparisons.iter().all(|one| one.metric != Metric::Authorship));
    assert_eq!(report.checks[0].metric, Some(Metric::Likeness));
    let reason = &report.checks[0].reason;
    assert!(reason.starts_with("Authorship: not measured, there is too little text"), "{reason}");
    assert!(reason.contains("In its stead: Likeness"), "{reason}");
}

/// Code by the author: twelve functions.
fn code(number: usize) -> String {
    let name = ["total", "count", "largest", "smallest", "first_of", "last_of"][number % 6];
    format!(
        "pub fn {name}_{number}(items: &[Item]) -> u64 {{\n    let mut found = 0;\n    for item in items {{\n        found = \
         found.max(item.price);\n    }}\n    found\n}}\n\nimpl Basket{number} {{\n    fn is_empty(&self) -> bool {{\n        \
         self.items.is_empty()\n    }}\n}}"
    )
}

#[tokio::test]
async fn code_and_prose_are_measured_apart() {
    let of_code = (0..12).map(|number| TestSample {
        prompt: user(format!("Write code {number}.")),
        reference: code(number),
        document_id: document(number + 20),
        ..samples()[0].clone()
    });
    let mixed: Vec<TestSample> = samples().into_iter().chain(of_code).collect();
    let repeating = Script { voice: "", ..TUNED };
    let report = run(&Stage::new(repeating, None, &mixed), &options()).await.unwrap();
    for metric in [Metric::Authorship, Metric::CodeAuthorship] {
        let measured = of(&report, metric);
        assert_eq!(measured.counts.samples, 12, "{metric:?}");
        assert!(measured.candidate > 0.5 && measured.base < 0.2, "{measured:?}");
        assert_eq!(Some(measured.candidate), measured.author, "it repeats the author");
    }
}
