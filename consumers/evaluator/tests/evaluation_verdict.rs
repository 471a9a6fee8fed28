//! The policy's truth table.

use proptest::prelude::*;
use twin_evaluator::bootstrap::Interval;
use twin_evaluator::judge::Judgement;
use twin_evaluator::verdict::{decide, is_grounded};
use twin_evaluator::{CheckKind, Comparison, Counts, Guard, GuardRule, Metric, Outcome, Policy};
use twin_schemas::Verdict;

/// The loss has to fall, and the default guards must not.
fn policy() -> Policy {
    Policy { primary: Metric::LossPerToken, ..Policy::default() }
}

fn interval(mean: f64, low: f64, high: f64) -> Interval {
    Interval { mean, low, high }
}

/// A metric on 40 samples of 20 documents; `difference` is candidate less production.
fn comparison(metric: Metric, difference: Interval) -> Comparison {
    Comparison {
        metric,
        counts: Counts { samples: 40, documents: 20 },
        candidate: 1.0 + difference.mean,
        production: 1.0,
        base: 1.0,
        author: None,
        difference: Some(difference),
        level: None,
        incomparable: None,
    }
}

/// Loss surely better; guards unchanged.
fn good() -> Vec<Comparison> {
    let unchanged = |guard: &Guard| comparison(guard.metric, interval(0.0, 0.0, 0.0));
    let mut comparisons = vec![comparison(Metric::LossPerToken, interval(-0.3, -0.4, -0.2))];
    comparisons.extend(policy().guards.iter().map(unchanged));
    comparisons
}

fn with(metric: Metric, difference: Interval) -> Vec<Comparison> {
    let mut comparisons = good();
    for one in comparisons.iter_mut().filter(|one| one.metric == metric) {
        *one = comparison(metric, difference);
    }
    comparisons
}

fn verdict(comparisons: &[Comparison]) -> Verdict {
    decide(comparisons, None, &policy()).0
}

/// The outcome of the check on a metric.
fn outcome(comparisons: &[Comparison], metric: Metric, policy: &Policy) -> (Outcome, String) {
    let (_, checks) = decide(comparisons, None, policy);
    let check = checks.into_iter().find(|check| check.metric == Some(metric)).unwrap();
    (check.outcome, check.reason)
}

#[test]
fn a_sure_improvement_with_nothing_worse_passes() {
    let (verdict, checks) = decide(&good(), None, &policy());
    assert_eq!(verdict, Verdict::Passed);
    assert_eq!(checks.len(), 1 + policy().guards.len());
    assert!(checks.iter().all(|check| check.outcome == Outcome::Passed));
    assert_eq!(checks[0].reason, "Loss per token: 0.300 better (95 % interval 0.200 to 0.400), beyond chance.");
}

#[test]
fn an_improvement_whose_interval_touches_zero_is_inconclusive_and_fails_nobody() {
    let mut comparisons = with(Metric::LossPerToken, interval(-0.1, -0.25, 0.05));
    comparisons[0].level = Some(0.99167);
    let (outcome, reason) = outcome(&comparisons, Metric::LossPerToken, &policy());
    assert_eq!((verdict(&comparisons), outcome), (Verdict::Inconclusive, Outcome::Inconclusive));
    assert!(reason.contains("(99.17 % interval \u{2212}0.050 to 0.250), which may be chance"), "{reason}");
    for touching in [interval(-0.1, -0.2, 0.0), interval(0.1, -0.05, 0.25)] {
        assert_eq!(verdict(&with(Metric::LossPerToken, touching)), Verdict::Inconclusive, "{touching:?}");
    }
}

#[test]
fn no_difference_at_all_is_no_improvement_and_no_certainty_either() {
    let nothing = with(Metric::LossPerToken, interval(0.0, 0.0, 0.0));
    let (outcome, reason) = outcome(&nothing, Metric::LossPerToken, &policy());
    assert_eq!((verdict(&nothing), outcome), (Verdict::Inconclusive, Outcome::Inconclusive));
    assert!(reason.contains("no change") && reason.contains("no certainty"), "{reason}");
    // What is worse for certain by however little is no better.
    assert_eq!(verdict(&with(Metric::LossPerToken, interval(0.01, 0.01, 0.01))), Verdict::Failed);
}

#[test]
fn a_higher_loss_fails_however_sure_it_is() {
    assert_eq!(verdict(&with(Metric::LossPerToken, interval(0.3, 0.2, 0.4))), Verdict::Failed);
}

#[test]
fn a_primary_metric_of_which_more_is_better_is_read_the_other_way() {
    let policy = Policy { primary: Metric::RougeL, guards: vec![], ..policy() };
    let decide =
        |mean: f64| decide(&[comparison(Metric::RougeL, interval(mean, mean - 0.1, mean + 0.1))], None, &policy).0;
    assert_eq!(decide(0.2), Verdict::Passed);
    assert_eq!(decide(-0.2), Verdict::Failed);
}

#[test]
fn a_guard_that_falls_by_more_than_its_margin_fails() {
    // More degenerate answers, fewer valid citations: worse in either direction.
    assert_eq!(verdict(&with(Metric::Degenerate, interval(0.09, 0.06, 0.12))), Verdict::Failed);
    assert_eq!(verdict(&with(Metric::CitationsValid, interval(-0.2, -0.3, -0.11))), Verdict::Failed);
    assert_eq!(verdict(&with(Metric::Likeness, interval(-0.03, -0.04, -0.021))), Verdict::Failed);
}

#[test]
fn a_guard_that_improves_by_much_passes() {
    assert_eq!(verdict(&with(Metric::Degenerate, interval(-0.5, -0.6, -0.4))), Verdict::Passed);
    assert_eq!(verdict(&with(Metric::CitationsValid, interval(0.5, 0.4, 0.6))), Verdict::Passed);
}

#[test]
fn a_guard_that_falls_within_its_margin_passes() {
    assert_eq!(verdict(&with(Metric::CitationsValid, interval(-0.05, -0.09, 0.0))), Verdict::Passed);
    // Exactly the margin, as floating point has it.
    assert_eq!(verdict(&with(Metric::CitationsValid, interval(0.7 - 0.8, 0.7 - 0.8, 0.0))), Verdict::Passed);
}

#[test]
fn a_guard_that_has_fallen_by_chance_condemns_nobody_unless_the_policy_reads_means() {
    let beyond = with(Metric::RefusalsRight, interval(-0.15, -0.35, 0.05));
    assert_eq!(verdict(&beyond), Verdict::Inconclusive);
    let by_the_mean = Policy { guard_rule: GuardRule::Mean, ..policy() };
    assert_eq!(decide(&beyond, None, &by_the_mean).0, Verdict::Failed);
}

#[test]
fn a_guard_that_may_have_fallen_is_inconclusive_unless_the_policy_reads_means() {
    let comparisons = with(Metric::RefusalsRight, interval(-0.05, -0.2, 0.1));
    assert_eq!(verdict(&comparisons), Verdict::Inconclusive);
    let lenient = Policy { guard_rule: GuardRule::Mean, ..policy() };
    assert_eq!(decide(&comparisons, None, &lenient).0, Verdict::Passed);
    let (outcome, reason) = outcome(&comparisons, Metric::RefusalsRight, &policy());
    assert_eq!(outcome, Outcome::Inconclusive);
    assert!(reason.contains("5.0 points worse (95 % interval \u{2212}20.0 to 10.0)"), "{reason}");
}

#[test]
fn too_few_samples_or_documents_are_inconclusive_whatever_they_show() {
    for counts in [Counts { samples: 9, documents: 9 }, Counts { samples: 40, documents: 4 }] {
        for difference in [interval(-0.3, -0.4, -0.2), interval(0.3, 0.2, 0.4)] {
            let mut comparisons = with(Metric::LossPerToken, difference);
            comparisons[0].counts = counts;
            // No other metric takes its place.
            let alone = Policy { fallback: Metric::LossPerToken, ..policy() };
            assert_eq!(decide(&comparisons, None, &alone).0, Verdict::Inconclusive);
        }
    }
}

#[test]
fn a_metric_without_samples_is_inconclusive_and_says_so() {
    let mut comparisons = good();
    comparisons.retain(|one| one.metric != Metric::RefusalsRight);
    let (outcome, reason) = outcome(&comparisons, Metric::RefusalsRight, &policy());
    assert_eq!((verdict(&comparisons), outcome), (Verdict::Inconclusive, Outcome::Inconclusive));
    assert!(reason.contains("no samples"), "{reason}");
}

#[test]
fn a_metric_that_can_not_be_compared_is_inconclusive_and_says_why() {
    let mut comparisons = good();
    comparisons[0].difference = None;
    comparisons[0].incomparable = Some("the models cut text into different tokens".to_owned());
    let (outcome, reason) = outcome(&comparisons, Metric::LossPerToken, &policy());
    assert_eq!(outcome, Outcome::Inconclusive);
    assert!(reason.contains("different tokens"), "{reason}");
}

#[test]
fn one_failed_check_outweighs_an_inconclusive_one() {
    let mut comparisons = with(Metric::CitationsValid, interval(-0.2, -0.3, -0.11));
    comparisons.retain(|one| one.metric != Metric::RefusalsRight);
    assert_eq!(verdict(&comparisons), Verdict::Failed);
}

#[test]
fn the_fallback_decides_where_the_primary_metric_has_too_few_samples_and_the_reason_is_told() {
    let policy = Policy { primary: Metric::LossPerToken, fallback: Metric::Likeness, ..policy() };
    let mut comparisons = with(Metric::Likeness, interval(0.03, 0.01, 0.05));
    comparisons[0].counts = Counts { samples: 3, documents: 3 };
    let (verdict, checks) = decide(&comparisons, None, &policy);
    assert_eq!((verdict, checks[0].metric), (Verdict::Passed, Some(Metric::Likeness)), "{checks:?}");
    let told =
        "Loss per token: measured on 3 samples of 3 documents; 10 of 5 are needed to tell. In its stead: Likeness";
    assert!(checks[0].reason.starts_with(told), "{}", checks[0].reason);
    assert_eq!(checks.iter().filter(|check| check.metric == Some(Metric::Likeness)).count(), 1, "it is no guard then");
    // Not measured at all is too little as well, and of too little in both the primary one is told.
    comparisons.remove(0);
    assert_eq!(decide(&comparisons, None, &policy).1[0].metric, Some(Metric::Likeness));
    comparisons.retain(|one| one.metric != Metric::Likeness);
    let (verdict, checks) = decide(&comparisons, None, &policy);
    assert_eq!((verdict, checks[0].metric), (Verdict::Inconclusive, Some(Metric::LossPerToken)));
}

fn judgement(win_rate: Interval) -> Judgement {
    Judgement { judge: "judge".into(), wins: 20, ties: 4, losses: 6, win_rate: Some(win_rate), ..Judgement::default() }
}

#[test]
fn a_judge_decides_nothing_unless_the_policy_says_so() {
    let (without, checks) = decide(&good(), Some(&judgement(interval(0.1, 0.0, 0.2))), &policy());
    assert_eq!(without, Verdict::Passed);
    assert!(checks.iter().all(|check| check.kind != CheckKind::Judge));
    let policy = Policy { judge_win_rate: Some(0.5), ..policy() };
    assert_eq!(decide(&good(), Some(&judgement(interval(0.1, 0.0, 0.2))), &policy).0, Verdict::Failed);
    assert_eq!(decide(&good(), Some(&judgement(interval(0.6, 0.4, 0.8))), &policy).0, Verdict::Inconclusive);
    assert_eq!(decide(&good(), Some(&judgement(interval(0.7, 0.55, 0.85))), &policy).0, Verdict::Passed);
    assert_eq!(decide(&good(), None, &policy).0, Verdict::Inconclusive);
    let few = Judgement { wins: 3, ties: 0, losses: 0, ..judgement(interval(1.0, 1.0, 1.0)) };
    assert_eq!(decide(&good(), Some(&few), &policy).0, Verdict::Inconclusive);
}

fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Inconclusive => 1,
        Verdict::Failed => 2,
    }
}

proptest! {
    #[test]
    fn a_worse_candidate_never_gets_a_better_verdict(mean in -0.5f64..0.5, half in 0.0f64..0.3, worse in 0.0f64..0.5, index in 0usize..7) {
        prop_assert_eq!(good().len(), 7, "every guard is among them");
        let metric = good()[index].metric;
        let at = |improvement: f64| {
            // Turned so that above zero is better, whichever way the metric goes.
            let mean = metric.improvement(improvement, 0.0);
            verdict(&with(metric, interval(mean, mean - half, mean + half)))
        };
        prop_assert!(severity(at(mean - worse)) >= severity(at(mean)));
    }
}

/// A candidate's grounded answers by the metrics that they are judged by; it refuses what it should and nothing else.
fn grounded(right: f64, valid: f64, invented: f64, samples: u64) -> Vec<Comparison> {
    let shares = [
        (Metric::RightPassage, right),
        (Metric::CitationsValid, valid),
        (Metric::InventedQuotes, invented),
        (Metric::RefusalsRight, 1.0),
        (Metric::FalseRefusals, 0.0),
    ];
    let measured = shares.map(|(metric, candidate)| Comparison {
        counts: Counts { samples, documents: samples / 2 },
        candidate,
        ..comparison(metric, interval(0.0, 0.0, 0.0))
    });
    measured.to_vec()
}

#[test]
fn grounded_answers_are_judged_by_their_values_and_not_beside_those_of_a_model_that_is_as_bad() {
    let policy = policy();
    let judged = |verdict, comparisons: &[Comparison]| is_grounded(verdict, comparisons, &policy);
    assert!(judged(Verdict::Passed, &grounded(0.9, 1.0, 0.1, 10)));
    for verdict in [Verdict::Inconclusive, Verdict::Failed] {
        assert!(!judged(verdict, &grounded(1.0, 1.0, 0.0, 10)), "{verdict:?}");
    }
    for (right, valid, invented) in [(0.8, 1.0, 0.0), (1.0, 0.8, 0.0), (1.0, 1.0, 0.2), (0.0, 0.0, 0.0)] {
        assert!(!judged(Verdict::Passed, &grounded(right, valid, invented, 10)), "{right} {valid} {invented}");
    }
    assert!(!judged(Verdict::Passed, &grounded(1.0, 1.0, 0.0, 9)), "fewer samples than the policy asks for");
    assert!(!judged(Verdict::Passed, &good()), "grounded answers were not measured");
}

#[test]
fn who_refuses_nothing_or_what_could_be_answered_is_not_grounded() {
    let policy = policy();
    let judged = |right: f64, wrong: f64, asked: u64| {
        let mut comparisons = grounded(1.0, 1.0, 0.0, 10);
        for one in &mut comparisons {
            match one.metric {
                Metric::RefusalsRight => (one.candidate, one.counts.samples) = (right, asked),
                Metric::FalseRefusals => one.candidate = wrong,
                _ => {}
            }
        }
        is_grounded(Verdict::Passed, &comparisons, &policy)
    };
    assert!(judged(0.8, 0.1, 10) && judged(1.0, 0.0, 10));
    for (right, wrong) in [(0.0, 0.0), (0.7, 0.0), (1.0, 0.2), (1.0, 1.0)] {
        assert!(!judged(right, wrong, 10), "{right} {wrong}");
    }
    assert!(!judged(1.0, 0.0, 9), "fewer refusals than the policy asks for");
    let mut without = grounded(1.0, 1.0, 0.0, 10);
    without.retain(|one| one.metric != Metric::RefusalsRight);
    assert!(!is_grounded(Verdict::Passed, &without, &policy), "nothing was asked that is to be refused");
}
