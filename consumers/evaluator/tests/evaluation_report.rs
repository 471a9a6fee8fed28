//! The report: its JSON and its page.

mod scripted;

use scripted::*;
use twin_evaluator::{Comparison, Report, SubjectRole, html};
use twin_schemas::Verdict;

#[tokio::test]
async fn a_report_survives_its_json() {
    let report = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    // Numbers are read to within their last digit; everything else is the same.
    let close = |a: &Comparison, b: &Comparison| (a.candidate - b.candidate).abs() < 1e-12;
    assert!(read.comparisons.iter().zip(&report.comparisons).all(|(a, b)| a.metric == b.metric && close(a, b)));
    let texts = |report: &Report| report.samples.iter().map(|one| one.reference.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&read), texts(&report));
    let facts =
        |report: Report| (report.verdict, report.checks, report.models, report.counts, report.options, report.at);
    assert_eq!(facts(read), facts(report));
}

#[tokio::test]
async fn a_report_of_an_earlier_version_is_read() {
    let report = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    let mut json = serde_json::to_value(&report).unwrap();
    json.as_object_mut().unwrap().remove("look");
    json["options"]["policy"].as_object_mut().unwrap().remove("fallback");
    for comparison in json["comparisons"].as_array_mut().unwrap() {
        comparison.as_object_mut().unwrap().remove("level");
    }
    for answer in
        json["samples"].as_array_mut().unwrap().iter_mut().flat_map(|one| one["answers"].as_array_mut().unwrap())
    {
        answer.as_object_mut().unwrap().remove("authorship");
    }
    let read: Report = serde_json::from_value(json).unwrap();
    html(&read).unwrap();
    assert_eq!((read.look, read.comparisons[0].level, read.checks), (1, None, report.checks));
}

#[tokio::test]
async fn hostile_answers_are_shown_as_text() {
    let mut hostile = samples();
    let script = "</div><script>alert(1)</script><img src=x onerror='alert(2)'>\"{{ 7 * 7 }}";
    for sample in &mut hostile {
        sample.reference = format!("{script} {}", sample.reference);
        sample.prompt = user(format!("{} {script}", sample.prompt[0].content));
    }
    let name = Script { name: "<b>ada</b>", ..TUNED };
    let report = run(&Stage::new(name, None, &hostile), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for forbidden in ["<script", "<img", "<b>ada", "http://", "https://"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("{{ 7 * 7 }}"));
}

#[tokio::test]
async fn the_page_says_the_verdict_the_metrics_and_the_answers() {
    let report = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(page.contains("<h1>ada-v2 may follow small-base</h1>"));
    for comparison in &report.comparisons {
        assert!(page.contains(comparison.metric.title()), "{:?}", comparison.metric);
    }
    assert_eq!(page.matches("<svg").count(), report.comparisons.len());
    assert_eq!(page.matches("<article").count(), 12);
    assert!(page.contains("answers what the passages do not say"));
}

#[tokio::test]
async fn the_page_shows_the_model_in_production_apart_from_the_base_model() {
    let report = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(page.contains("<th scope=\"col\">Production</th>") && page.contains("In production <span>"));
    let report = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    let page = html(&report).unwrap();
    assert!(!page.contains("<th scope=\"col\">Production</th>") && page.contains("In production (base model) <span>"));
}

#[tokio::test]
async fn the_page_says_each_verdict_in_words() {
    let mut report = run(&Stage::new(TUNED, None, &samples()), &options()).await.unwrap();
    for (verdict, words) in [
        (Verdict::Passed, "ada-v2 may follow small-base"),
        (Verdict::Failed, "ada-v2 should not follow small-base"),
        (Verdict::Inconclusive, "Too few samples to tell whether ada-v2 may follow small-base"),
    ] {
        report.verdict = verdict;
        assert!(html(&report).unwrap().contains(&format!("<h1>{words}</h1>")), "{words}");
    }
}

/// The page with these two answers to the first sample.
async fn page_with(candidate: &str, production: &str) -> String {
    let mut report = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    report.samples.truncate(1);
    for answer in &mut report.samples[0].answers {
        match answer.role {
            SubjectRole::Candidate => answer.text = candidate.to_owned(),
            SubjectRole::Production => answer.text = production.to_owned(),
            SubjectRole::Base => {}
        }
    }
    html(&report).unwrap()
}

#[tokio::test]
async fn words_that_only_one_of_two_answers_has_are_marked() {
    let page = page_with("The river  rises early in spring.", "The river rises late in spring, I think.").await;
    assert!(page.contains(">The river  rises <mark>early</mark> in <mark>spring.</mark></div>"));
    assert!(page.contains(">The river rises <mark>late</mark> in <mark>spring, I think.</mark></div>"));
}

#[tokio::test]
async fn answers_that_have_nothing_in_common_are_not_marked() {
    let page = page_with("one two three", "four five six").await;
    assert!(page.contains(">one two three</div>") && !page.contains("<mark>"));
    assert!(!page_with("", "four").await.contains("<mark>"));
}
