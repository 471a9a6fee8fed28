//! Answers from end to end: what serving finds, and what models make of it.

mod scripted;

use scripted::*;
use twin_evaluator::end_to_end::{EndToEnd, Fact, Question, Questions, Rehearsed, ServingMeasure, ServingSettings};
use twin_evaluator::{Error, Guard, Metric, Outcome, Report, SampleKind, TestSample, html};
use twin_schemas::{Category, Passage, Revision};

/// A passage of the document of that number.
fn passage(number: usize, text: &str) -> Passage {
    Passage {
        document_id: document(number),
        revision: Revision(1),
        ordinal: 0,
        natural_key: format!("{number}.md"),
        title: None,
        url: None,
        category: Category::Article,
        heading_path: Vec::new(),
        text: text.to_owned(),
        score: 0.7,
    }
}

/// What a grounded sample is answered with, without quotation marks and marker.
fn sentence(sample: &TestSample) -> String {
    sample.reference.trim_start_matches('"').trim_end_matches("\" [2]").to_owned()
}

/// A sample's question, for which serving finds the passages that the sample has.
fn question(sample: &TestSample) -> Question {
    let number = sample.document_id.0.as_u128() as usize;
    let is_answered = sample.kind == SampleKind::Grounded;
    let numbers = [(number + 1) % 12, number];
    let passages: Vec<Passage> =
        sample.passages.iter().zip(numbers).map(|(text, number)| passage(number, text)).collect();
    Question {
        kind: sample.kind,
        document_id: sample.document_id,
        asked: "What of it?".to_owned(),
        answers: if is_answered { vec![sentence(sample)] } else { Vec::new() },
        rehearsed: Rehearsed {
            given: passages.len(),
            passages,
            prompt: sample.prompt.clone(),
            asks: true,
            quoted: is_answered.then(|| format!("{} [2]", sentence(sample))),
        },
    }
}

/// Twelve questions with an answer, and twelve without.
fn questions() -> Questions {
    let samples = samples();
    let asked = samples.iter().filter(|sample| sample.kind != SampleKind::Voice);
    Questions {
        absent: None,
        settings: ServingSettings { k: 5, min_grounded: 0.5 },
        questions: asked.map(question).collect(),
    }
}

fn stage(questions: Questions) -> Stage {
    Stage { questions: Some(questions), ..Stage::new(TUNED, None, &samples()) }
}

fn served(report: &Report) -> &EndToEnd {
    report.end_to_end.as_ref().unwrap()
}

fn fact(report: &Report, measure: ServingMeasure) -> Option<&Fact> {
    served(report).facts.iter().find(|fact| fact.measure == measure)
}

fn share(report: &Report, measure: ServingMeasure) -> Option<f64> {
    fact(report, measure).map(|fact| fact.share)
}

#[tokio::test]
async fn a_model_that_keeps_to_what_is_found_is_told_from_one_that_does_not() {
    let report = run(&stage(questions()), &options()).await.unwrap();
    for (metric, candidate, base) in [
        (Metric::ServedRightPassage, 1.0, 0.0),
        (Metric::ServedCitationsValid, 1.0, 0.0),
        (Metric::ServedInventedQuotes, 0.0, 1.0),
        (Metric::ServedGrounded, 1.0, 0.0),
        (Metric::ServedReplaced, 0.0, 1.0),
        (Metric::ServedRefusalsRight, 1.0, 0.0),
        (Metric::ServedFalseRefusals, 0.0, 0.0),
    ] {
        let comparison = of(&report, metric);
        assert_eq!((comparison.candidate, comparison.base), (candidate, base), "{metric:?}");
        assert_eq!((comparison.counts.samples, comparison.counts.documents), (12, 12), "{metric:?}");
        assert!(comparison.difference.is_some() && comparison.level == Some(0.95), "{comparison:?}");
    }
    let without = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    assert_eq!((&without.checks, without.verdict), (&report.checks, report.verdict), "nothing of it decides by itself");
    assert_eq!(without.comparisons[..], report.comparisons[..without.comparisons.len()]);
    assert!(without.end_to_end.is_none());
}

#[tokio::test]
async fn what_serving_does_is_measured_whatever_model_writes() {
    let report = run(&stage(questions()), &options()).await.unwrap();
    for (measure, expected) in [
        (ServingMeasure::DocumentFound, 1.0),
        (ServingMeasure::PassageFound, 1.0),
        (ServingMeasure::PassageGiven, 1.0),
        (ServingMeasure::AnswerQuoted, 1.0),
        (ServingMeasure::QuotesVerbatim, 1.0),
        (ServingMeasure::RefusedFalsely, 0.0),
        (ServingMeasure::RefusedRightly, 1.0),
    ] {
        assert_eq!(share(&report, measure), Some(expected), "{measure:?}");
    }
    assert_eq!((served(&report).k, served(&report).answerable.samples, served(&report).left_out.samples), (5, 12, 12));
}

#[tokio::test]
async fn a_passage_that_is_not_found_and_one_that_is_not_given_are_told_apart() {
    let mut questions = questions();
    for (number, question) in questions.questions.iter_mut().filter(|one| one.kind == SampleKind::Grounded).enumerate()
    {
        match number {
            // It is among those found, and beyond those that a model is given.
            0..6 => question.rehearsed.given = 1,
            // Another one is in its place.
            6..9 => drop(question.rehearsed.passages.pop()),
            _ => {}
        }
    }
    let report = run(&stage(questions), &options()).await.unwrap();
    let found = [ServingMeasure::DocumentFound, ServingMeasure::PassageFound, ServingMeasure::PassageGiven];
    assert_eq!(found.map(|measure| share(&report, measure)), [Some(0.75), Some(0.75), Some(0.25)]);
    let quoted = fact(&report, ServingMeasure::AnswerQuoted).unwrap();
    assert_eq!((quoted.counts.samples, quoted.share), (9, 1.0), "only of questions whose passage was found");
    let interval = fact(&report, ServingMeasure::PassageGiven).unwrap().interval.unwrap();
    assert!(interval.low < 0.25 && interval.high > 0.25 && interval.low >= 0.0, "{interval:?}");
    // Its marker is none of those given any more.
    assert_eq!(of(&report, Metric::ServedRightPassage).candidate, 0.25);
}

#[tokio::test]
async fn no_model_is_asked_what_serving_refuses() {
    let mut questions = questions();
    for question in &mut questions.questions {
        // A scripted model that is asked so fails.
        question.rehearsed.prompt = user("Who asks this?".to_owned());
        (question.rehearsed.asks, question.rehearsed.quoted) = (false, None);
    }
    let report = run(&stage(questions), &options()).await.unwrap();
    for (metric, value) in [
        (Metric::ServedRightPassage, 0.0),
        (Metric::ServedFalseRefusals, 1.0),
        (Metric::ServedRefusalsRight, 1.0),
        (Metric::ServedReplaced, 0.0),
    ] {
        assert_eq!((of(&report, metric).candidate, of(&report, metric).base), (value, value), "{metric:?}");
    }
    assert_eq!(share(&report, ServingMeasure::RefusedFalsely), Some(1.0));
    assert_eq!(share(&report, ServingMeasure::QuotesVerbatim), None, "nothing is quoted");
}

#[tokio::test]
async fn a_quotation_that_stands_in_no_passage_is_not_verbatim_and_one_of_something_else_no_answer() {
    let mut questions = questions();
    let quoted = |question: &mut Question, text: String| question.rehearsed.quoted = Some(text);
    let [first, second, third] = questions.questions.get_disjoint_mut([0, 2, 4]).unwrap();
    assert!([&*first, &*second, &*third].iter().all(|question| question.kind == SampleKind::Grounded));
    quoted(first, "Nobody has written this here. [1]".to_owned());
    let others = first.rehearsed.passages[0].text.clone();
    quoted(second, format!("- {}\n\n```text\nno such code\n```\n\n[1]", second.answers[0]));
    // Code and several lines, all of which are there.
    let whole = third.rehearsed.passages[0].text.clone();
    quoted(third, format!("```\n{whole}\n```\n\n[1]"));
    assert_ne!(others, whole);
    let report = run(&stage(questions), &options()).await.unwrap();
    let rounded = |measure| (share(&report, measure).unwrap() * 12.0).round();
    assert_eq!(rounded(ServingMeasure::QuotesVerbatim), 10.0);
    assert_eq!(rounded(ServingMeasure::AnswerQuoted), 10.0);
}

#[tokio::test]
async fn without_an_index_the_report_says_so_and_the_evaluation_goes_on() {
    let stage = stage(Questions::absent("the author's texts can not be searched: the index is away"));
    let report = run(&stage, &options()).await.unwrap();
    let plain = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    assert_eq!((&report.checks, report.comparisons.len()), (&plain.checks, plain.comparisons.len()));
    assert!(served(&report).facts.is_empty());
    let page = html(&report).unwrap();
    assert!(
        page.contains("Nothing was measured from end to end: the author&#x27;s texts can not be searched"),
        "{page}"
    );
    assert!(!html(&plain).unwrap().contains("end to end, whatever"));
    let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(read.end_to_end, report.end_to_end);
}

#[tokio::test]
async fn answers_that_can_not_be_checked_have_no_grounded_share_and_the_report_says_why() {
    let stage = Stage { checks: false, ..stage(questions()) };
    let report = run(&stage, &options()).await.unwrap();
    let measured: Vec<Metric> = report.comparisons.iter().map(|comparison| comparison.metric).collect();
    assert!(measured.contains(&Metric::ServedCitationsValid), "{measured:?}");
    assert!(!measured.contains(&Metric::ServedGrounded) && !measured.contains(&Metric::ServedReplaced), "{measured:?}");
    assert!(served(&report).unchecked.as_ref().is_some_and(|why| why.contains("embedding model")));
}

#[tokio::test]
async fn the_page_shows_what_was_measured_from_end_to_end() {
    let page = html(&run(&stage(questions()), &options()).await.unwrap()).unwrap();
    for measure in ServingMeasure::ALL {
        assert!(page.contains(measure.title()) && page.contains(measure.meaning()), "{measure:?}");
    }
    for metric in Metric::SERVED {
        assert!(page.contains(metric.title()), "{metric:?}");
    }
}

#[tokio::test]
async fn a_metric_from_end_to_end_can_guard_and_can_not_decide() {
    let mut guarded = options();
    guarded.policy.guards.push(Guard { metric: Metric::ServedRightPassage, margin: 0.1 });
    let check = |report: &Report| {
        let found = report.checks.iter().find(|check| check.metric == Some(Metric::ServedRightPassage)).cloned();
        found.map(|check| (check.outcome, check.reason)).unwrap()
    };
    assert_eq!(check(&run(&stage(questions()), &guarded).await.unwrap()).0, Outcome::Passed);
    let turned = Stage { candidate: Script { name: "ada-v3", ..BASE }, production: Some(TUNED), ..stage(questions()) };
    assert_eq!(check(&run(&turned, &guarded).await.unwrap()).0, Outcome::Failed);
    let (outcome, reason) = check(&run(&stage(Questions::absent("away")), &guarded).await.unwrap());
    assert_eq!(outcome, Outcome::Inconclusive);
    assert!(reason.contains("no question was put from end to end"), "{reason}");

    let mut decides = options();
    decides.policy.primary = Metric::ServedRightPassage;
    let error = run(&stage(questions()), &decides).await.unwrap_err();
    assert!(matches!(&error, Error::Options { option, .. } if option == "policy.primary"), "{error}");
}
