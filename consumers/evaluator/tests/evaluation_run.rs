//! Whole evaluations over scripted models.

mod scripted;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use scripted::*;
use twin_evaluator::stylometry::NgramProfile;
use twin_evaluator::{
    Assignment, CheckKind, Error, Metric, Options, Outcome, Progress, Report, SampleKind, SubjectError, SubjectRole,
    TestSample, Unloadable, evaluate, html, read_samples, select,
};
use twin_schemas::Verdict;

#[tokio::test]
async fn a_better_candidate_passes_against_the_base_model() {
    let stage = Stage::new(TUNED, None, &samples());
    let report = run(&stage, &options()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Passed, "{:#?}", report.checks);
    assert_eq!((report.models.production.as_deref(), report.models.base.as_str()), (None, "small-base"));
    let loss = of(&report, Metric::LossPerToken);
    assert!((loss.difference.unwrap().mean + 1.0).abs() < 1e-9, "{loss:?}");
    assert_eq!(loss.production, loss.base);
    for (metric, candidate, production) in [
        (Metric::CitationsValid, 1.0, 0.0),
        (Metric::RightPassage, 1.0, 0.0),
        (Metric::InventedQuotes, 0.0, 1.0),
        (Metric::RougeL, 1.0, of(&report, Metric::RougeL).production),
        (Metric::RefusalsRight, 1.0, 0.0),
        (Metric::FalseRefusals, 0.0, 0.0),
        (Metric::Degenerate, 0.0, 0.0),
    ] {
        let comparison = of(&report, metric);
        assert_eq!((comparison.candidate, comparison.production), (candidate, production), "{metric:?}");
    }
    // It writes like the author, on other topics; the base model does not.
    let (likeness, delta) = (of(&report, Metric::Likeness), of(&report, Metric::Delta));
    assert!(likeness.difference.unwrap().low > 0.0, "{likeness:?}");
    assert!(delta.candidate < 1.0 && delta.base > 1.0 && delta.author.unwrap() < 1.0, "{delta:?}");
    assert!(likeness.author.is_some() && of(&report, Metric::RougeL).author.is_none());
}

#[tokio::test]
async fn repeating_the_authors_own_text_reads_like_the_author_and_no_more_than_that() {
    let stage = Stage::new(Script { voice: "", ..TUNED }, None, &samples());
    let report = run(&stage, &options()).await.unwrap();
    for metric in [Metric::Likeness, Metric::Delta] {
        let comparison = of(&report, metric);
        assert!((comparison.candidate - comparison.author.unwrap()).abs() < 1e-12, "{comparison:?}");
    }
    // The document itself is not what it is compared with: that would make it look much more alike.
    let references: Vec<String> =
        samples().into_iter().filter(|one| one.kind == SampleKind::Voice).map(|one| one.reference).collect();
    let everything = NgramProfile::of(&references.join(" "));
    let alike: f64 = references.iter().map(|text| NgramProfile::of(text).cosine(&everything)).sum();
    let counted = of(&report, Metric::Likeness).candidate;
    assert!(counted + 0.05 < alike / references.len() as f64, "{counted}");
}

#[tokio::test]
async fn the_base_model_does_not_pass_against_a_tuned_one() {
    let stage = Stage::new(Script { name: "ada-v3", ..BASE }, Some(TUNED), &samples());
    let report = run(&stage, &options()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(report.models.production.as_deref(), Some("ada-v2"));
    let failed = report.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    let failed: Vec<Metric> = failed.filter_map(|check| check.metric).collect();
    assert!(
        failed.contains(&Metric::Authorship)
            && failed.contains(&Metric::BitsPerByte)
            && failed.contains(&Metric::RefusalsRight),
        "{failed:?}"
    );
}

#[tokio::test]
async fn models_are_opened_one_at_a_time_the_candidate_first() {
    let stage = Stage::new(TUNED, Some(BASE), &samples());
    run(&stage, &options()).await.unwrap();
    assert_eq!(*stage.opened.lock().unwrap(), SubjectRole::ALL);
    assert_eq!(stage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_second_evaluation_finds_the_same() {
    let stage = Stage::new(TUNED, Some(BASE), &samples());
    let (first, mut second) = (run(&stage, &options()).await.unwrap(), run(&stage, &options()).await.unwrap());
    second.at = first.at;
    second.seconds = first.seconds;
    assert_eq!(serde_json::to_string(&first).unwrap(), serde_json::to_string(&second).unwrap());
}

#[tokio::test]
async fn the_order_of_samples_in_the_file_does_not_matter() {
    let mut shuffled = samples();
    shuffled.rotate_left(7);
    let first = run(&Stage::new(TUNED, Some(BASE), &samples()), &options()).await.unwrap();
    let second = run(&Stage::new(TUNED, Some(BASE), &shuffled), &options()).await.unwrap();
    assert_eq!(first.comparisons.len(), Metric::ALL.len() - 1, "all but the authorship of code");
    for (one, other) in first.comparisons.iter().zip(&second.comparisons) {
        assert_eq!(one, other);
    }
}

#[tokio::test]
async fn a_model_that_fails_midway_ends_the_evaluation_and_is_named_with_the_sample() {
    let broken = Script { name: "ada-v3", fails_at: Some(5), ..TUNED };
    let error = run(&Stage::new(TUNED, Some(broken), &samples()), &options()).await.unwrap_err();
    let expected = format!("the production ada-v3 failed on sample 6 (voice, document {}): out of memory", document(5));
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_loss_that_is_no_number_is_an_error_and_no_metric() {
    let broken = Script { loss: f64::NAN, ..TUNED };
    let error = run(&Stage::new(broken, None, &samples()), &options()).await.unwrap_err();
    assert!(matches!(error, Error::Loss { role: SubjectRole::Candidate, .. }), "{error}");
}

#[tokio::test]
async fn no_model_is_charged_for_an_end_in_the_middle_of_a_text() {
    let mut samples = samples();
    for part in samples.iter_mut().filter(|sample| sample.kind == SampleKind::Voice).step_by(2) {
        part.ends = false;
    }
    // The scripted models refuse to score an end where none is, and to leave one out.
    run(&Stage::new(TUNED, None, &samples), &options()).await.unwrap();
}

#[tokio::test]
async fn models_with_different_tokens_are_compared_by_bytes_alone() {
    let other = Script { tokens_per_word: 2, loss: 1.0, ..TUNED };
    let report = run(&Stage::new(other, None, &samples()), &options()).await.unwrap();
    assert!(of(&report, Metric::LossPerToken).difference.is_none());
    assert!(of(&report, Metric::BitsPerByte).difference.is_some());
    assert_eq!(report.verdict, Verdict::Passed, "the guard is in bits per byte: {:#?}", report.checks);
    let mut options = options();
    options.policy.primary = Metric::LossPerToken;
    let report = run(&Stage::new(other, None, &samples()), &options).await.unwrap();
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

#[tokio::test]
async fn a_version_in_production_that_can_not_be_loaded_any_more_is_told_and_nothing_passes_for_better_than_it() {
    let gone: fn() -> SubjectError =
        || Unloadable { version: "ada-v1".into(), cause: "there is no artifact sha256:d".into() }.into();
    let of_the_base = Script { remark: "ada-v2 was trained on another base model than small-base.", ..BASE };
    let stage = Stage { closed: Some(gone), base: of_the_base, ..Stage::new(TUNED, Some(BASE), &samples()) };
    let report = run(&stage, &options()).await.unwrap();
    assert_eq!(
        (report.verdict, report.grounded, report.models.production.as_deref()),
        (Verdict::Inconclusive, false, None)
    );
    let told = report.checks.iter().find(|check| check.kind == CheckKind::Production).unwrap();
    assert_eq!(told.outcome, Outcome::Inconclusive);
    assert!(told.reason.contains("ada-v1 can not be loaded any more: there is no artifact sha256:d"), "{told:?}");
    let others = report.checks.iter().filter(|check| check.kind != CheckKind::Production);
    assert!(others.into_iter().all(|check| check.outcome == Outcome::Passed), "it passes against the base model");
    assert_eq!(report.notes, [of_the_base.remark]);
    let page = html(&report).unwrap();
    assert!(
        page.contains("ada-v2 could not be compared with what it would follow") && page.contains(of_the_base.remark)
    );
    assert!(page.contains("ada-v1 can not be loaded any more"));

    let worse = Stage { closed: Some(gone), ..Stage::new(Script { name: "ada-v3", ..BASE }, Some(BASE), &samples()) };
    let worse = Stage { base: TUNED, ..worse };
    assert_eq!(run(&worse, &options()).await.unwrap().verdict, Verdict::Failed, "worse than the base model is worse");
}

#[tokio::test]
async fn a_version_in_production_that_is_away_for_a_while_ends_the_attempt() {
    let away: fn() -> SubjectError =
        || twin_artifacts::Artifacts::existing(Path::new("/no/such/folder")).unwrap_err().into();
    let stage = Stage { closed: Some(away), ..Stage::new(TUNED, Some(BASE), &samples()) };
    let error = run(&stage, &options()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_later_look_asks_for_more_of_the_primary_metric_and_says_so() {
    let stage = Stage::new(TUNED, Some(BASE), &samples());
    let go_on = |_| ControlFlow::Continue(());
    let id = dataset();
    let assignment = Assignment { look: 3, ..stage.assignment(&id) };
    let later = evaluate(assignment, &stage, None, &options(), &go_on).await.unwrap();
    let first = run(&stage, &options()).await.unwrap();
    assert_eq!((first.look, later.look), (1, 3));
    let width = |report: &Report, metric| of(report, metric).difference.map(|found| found.high - found.low).unwrap();
    assert!(width(&later, Metric::Authorship) > width(&first, Metric::Authorship));
    assert_eq!(width(&later, Metric::Likeness), width(&first, Metric::Likeness), "a guard is asked for the same");
    assert!((of(&later, Metric::Authorship).level.unwrap() - (1.0 - 0.1 / 12.0)).abs() < 1e-12);
    assert!(later.checks[0].reason.contains("(99.17 % interval"), "{}", later.checks[0].reason);
}

#[tokio::test]
async fn progress_is_told_and_can_stop_the_evaluation() {
    let stage = Stage::new(TUNED, None, &samples());
    let seen = Mutex::new(BTreeMap::<Option<SubjectRole>, usize>::new());
    let count = |progress: Progress| {
        *seen.lock().unwrap().entry(progress.role).or_default() += 1;
        assert!(progress.done < progress.total);
        ControlFlow::Continue(())
    };
    evaluate(stage.assignment(&dataset()), &stage, None, &options(), &count).await.unwrap();
    // An answer to each sample, and a loss on each of the voice samples.
    let expected = [(Some(SubjectRole::Candidate), 36 + 12), (Some(SubjectRole::Base), 36 + 12)];
    assert_eq!(*seen.lock().unwrap(), BTreeMap::from(expected));
    let stop = |progress: Progress| if progress.done == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = evaluate(stage.assignment(&dataset()), &stage, None, &options(), &stop).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled));
    assert_eq!(stage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_samples_there_is_nothing_to_evaluate() {
    let error = run(&Stage::new(TUNED, None, &[]), &options()).await.unwrap_err();
    assert!(matches!(error, Error::NoSamples));
}

#[tokio::test]
async fn options_that_contradict_themselves_are_named() {
    let mut options = options();
    options.policy.guards[0].margin = -0.1;
    let error = run(&Stage::new(TUNED, None, &samples()), &options).await.unwrap_err();
    assert_eq!(error.to_string(), "evaluation option policy.guards.bits_per_byte: its margin must be zero or more");
}

#[test]
fn samples_are_read_line_by_line_and_a_bad_one_is_named() {
    let good = serde_json::to_string(&samples()[0]).unwrap();
    let more = good.replacen('{', "{\"added_later\": 1, ", 1);
    assert_eq!(read_samples(format!("{good}\n\n{more}\n").as_bytes()).unwrap(), [&samples()[0]; 2].map(Clone::clone));
    // Of a version that did not say so, a text ends where its reference does.
    let mut earlier = serde_json::to_value(TestSample { ends: false, ..samples()[0].clone() }).unwrap();
    assert!(!read_samples(earlier.to_string().as_bytes()).unwrap()[0].ends);
    earlier.as_object_mut().unwrap().remove("ends");
    assert!(read_samples(earlier.to_string().as_bytes()).unwrap()[0].ends);
    let error = read_samples(format!("{good}\nnonsense\n").as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("line 2 of the test samples can not be used"), "{error}");
    let mut ungrounded = samples().into_iter().find(|sample| sample.kind == SampleKind::Grounded).unwrap();
    ungrounded.right = Some(2);
    let error = read_samples(serde_json::to_string(&ungrounded).unwrap().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`right` names none of its passages"), "{error}");
}

#[test]
fn samples_are_taken_from_as_many_documents_as_possible() {
    let mut many = Vec::new();
    for number in [3, 1, 2] {
        many.extend((0..5).map(|copy| TestSample {
            document_id: document(number),
            prompt: user(format!("{number}.{copy}")),
            ..samples()[0].clone()
        }));
    }
    let options = Options { max_voice: 5, ..Options::default() };
    let selected: Vec<String> = select(&many, &options).iter().map(|one| one.prompt[0].content.clone()).collect();
    assert_eq!(selected, ["1.0", "2.0", "3.0", "1.1", "2.1"]);
}

#[test]
fn options_are_read_with_defaults_and_refuse_what_they_do_not_know() {
    let options: Options = serde_json::from_str(r#"{"max_voice": 5, "policy": {"primary": "rouge_l"}}"#).unwrap();
    assert_eq!((options.max_voice, options.max_grounded, options.policy.primary), (5, 40, Metric::RougeL));
    assert!(serde_json::from_str::<Options>(r#"{"max_voices": 5}"#).is_err());
    let guard = r#"{"policy": {"guards": [{"metric": "likeness", "margin": 0.1}]}}"#;
    let options: Options = serde_json::from_str(guard).unwrap();
    assert_eq!((options.policy.guards.len(), options.policy.guards[0].margin), (1, 0.1));
    options.validate().unwrap();
    Options::default().validate().unwrap();
}
