//! Whether a candidate may follow the model in production, by a [`Policy`].
//!
//! Each check has one of three outcomes, and says in words why. Noise neither promotes nor condemns: what an interval does
//! not show is inconclusive.
//! - A metric on too few samples or documents says nothing: inconclusive.
//! - The primary metric passes if the interval of its improvement lies above zero, and fails if nothing of it does. In
//!   between, where the interval touches zero, it may be better: inconclusive. So is no difference at all in any document: an
//!   interval of no width is no certainty.
//! - A guard passes if even the worse end of its interval is within the margin (non-inferiority), and fails if even the
//!   better end is not. In between there are too few samples to tell: inconclusive. ([`GuardRule::Mean`] decides by the mean.)
//! - The judge is a check only if the policy names a win rate: it passes if the interval's lower end reaches it, and fails if
//!   the upper end does not.
//!
//! Where there is too little text for the primary metric, the policy's fallback takes its place, and the check says so.
//!
//! One failed check fails the candidate; otherwise one inconclusive check leaves it open, for a person to decide.
//!
//! A verdict compares, and a guard lets a candidate pass that cites as badly as the model before it. Whether a candidate's
//! answers may stand where the author's own words would be quoted is told by values and not by differences
//! ([`is_grounded`]): a quotation is always cited rightly.

use twin_schemas::Verdict;

use crate::bootstrap::Interval;
use crate::judge::Judgement;
use crate::report::{Check, CheckKind, Comparison, Outcome};
use crate::{Counts, Direction, Guard, GuardRule, Metric, Policy};

/// Sums of floating point numbers are equal within this.
const ROUNDING: f64 = 1e-9;

/// By what [`is_grounded`] judges: metrics with the least value of those of which more is better, and the highest of the others.
/// Who quotes cites rightly always, so that little is forgiven there; who refuses nothing answers what no passage says, and is
/// as little to be trusted as who refuses everything.
const GROUNDED: [(Metric, f64); 5] = [
    (Metric::RightPassage, 0.9),
    (Metric::CitationsValid, 0.9),
    (Metric::InventedQuotes, 0.1),
    (Metric::RefusalsRight, 0.8),
    (Metric::FalseRefusals, 0.1),
];

/// The verdict and the checks that it follows from.
pub fn decide(comparisons: &[Comparison], judgement: Option<&Judgement>, policy: &Policy) -> (Verdict, Vec<Check>) {
    let find = |metric: Metric| comparisons.iter().find(|comparison| comparison.metric == metric);
    let chosen = primary_of(policy, |metric| find(metric).map(|comparison| comparison.counts));
    let mut checks = vec![primary(chosen, find(chosen), find(policy.primary), policy)];
    // A fallback that has become the primary metric is asked for more than as a guard.
    let guards = policy.guards.iter().filter(|one| one.metric != chosen);
    checks.extend(guards.map(|one| guard(*one, find(one.metric), policy)));
    checks.extend(policy.judge_win_rate.map(|rate| judge(rate, judgement, policy)));
    let has = |outcome: Outcome| checks.iter().any(|check| check.outcome == outcome);
    let verdict = if has(Outcome::Failed) {
        Verdict::Failed
    } else if has(Outcome::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Passed
    };
    (verdict, checks)
}

/// The same where the version in production could not be loaded, and the candidate was compared with the base model in its
/// stead: that may show that it is worse, and never that it may follow. A person decides.
pub fn without_production(verdict: Verdict, mut checks: Vec<Check>, why: &str) -> (Verdict, Vec<Check>) {
    let reason = format!("In production: {why}. Everything here is compared with the base model alone.");
    checks.push(Check { kind: CheckKind::Production, metric: None, outcome: Outcome::Inconclusive, reason });
    (if verdict == Verdict::Passed { Verdict::Inconclusive } else { verdict }, checks)
}

/// The metric that decides: the policy's primary one, or its fallback where the primary one is measured on too little and
/// the fallback is not. `counts` tells what a metric is measured on; none: on nothing.
pub fn primary_of(policy: &Policy, counts: impl Fn(Metric) -> Option<Counts>) -> Metric {
    let is_enough = |metric: Metric| counts(metric).is_some_and(|counts| policy.is_enough(counts));
    if !is_enough(policy.primary) && is_enough(policy.fallback) { policy.fallback } else { policy.primary }
}

/// Whether a candidate has passed its evaluation for grounded answers: its verdict is [`Verdict::Passed`]; it was measured on
/// as many grounded samples and as many refusal samples, of as many documents, as the policy asks for; nine in ten of its answers
/// cite the passage that holds the answer, nine in ten cite passages that were given and no others, and at most one in ten quotes
/// what no passage says; and it refuses eight in ten of the questions that no passage answers, and at most one in ten of the others.
pub fn is_grounded(verdict: Verdict, comparisons: &[Comparison], policy: &Policy) -> bool {
    let holds = |(metric, limit): (Metric, f64)| {
        let measured = comparisons.iter().find(|comparison| comparison.metric == metric);
        measured.is_some_and(|Comparison { counts, candidate, .. }| {
            let is_within = match metric.direction() {
                Direction::Higher => *candidate >= limit - ROUNDING,
                Direction::Lower => *candidate <= limit + ROUNDING,
            };
            policy.is_enough(*counts) && is_within
        })
    };
    verdict == Verdict::Passed && GROUNDED.into_iter().all(holds)
}

/// `intended` is what was measured of the policy's own primary metric, where the fallback takes its place.
fn primary(metric: Metric, comparison: Option<&Comparison>, intended: Option<&Comparison>, policy: &Policy) -> Check {
    let check = |outcome, reason| Check { kind: CheckKind::Primary, metric: Some(metric), outcome, reason };
    let instead = match improvement(policy.primary, intended, policy) {
        Err(why) if metric != policy.primary => format!("{why} In its stead: "),
        _ => String::new(),
    };
    let improvement = match improvement(metric, comparison, policy) {
        Ok(improvement) => improvement,
        Err(reason) => return check(Outcome::Inconclusive, reason),
    };
    let (title, span) = (metric.title(), in_words(metric, improvement, comparison, policy));
    // The same in every document: what has not happened in any of these may happen in others.
    let is_nothing = improvement.low.abs() <= ROUNDING && improvement.high.abs() <= ROUNDING;
    if is_nothing {
        check(
            Outcome::Inconclusive,
            format!("{instead}{title}: {span}, which is no certainty: more samples may show one."),
        )
    } else if improvement.low > ROUNDING {
        check(Outcome::Passed, format!("{instead}{title}: {span}, beyond chance."))
    } else if improvement.high > ROUNDING {
        check(
            Outcome::Inconclusive,
            format!("{instead}{title}: {span}, which may be chance: more samples may show it."),
        )
    } else {
        check(Outcome::Failed, format!("{instead}{title}: {span}, so it is not better."))
    }
}

fn guard(guard: Guard, comparison: Option<&Comparison>, policy: &Policy) -> Check {
    let Guard { metric, margin } = guard;
    let check = |outcome, reason| Check { kind: CheckKind::Guard, metric: Some(metric), outcome, reason };
    let improvement = match improvement(metric, comparison, policy) {
        Ok(improvement) => improvement,
        Err(reason) => return check(Outcome::Inconclusive, reason),
    };
    let span = in_words(metric, improvement, comparison, policy);
    let (title, tolerated) = (metric.title(), amount(metric, margin));
    let (worst, best) = match policy.guard_rule {
        GuardRule::Interval => (improvement.low, improvement.high),
        GuardRule::Mean => (improvement.mean, improvement.mean),
    };
    let is_within = |value: f64| value >= -margin - ROUNDING;
    if is_within(worst) {
        check(Outcome::Passed, format!("{title}: not worse by more than {tolerated}; {span}."))
    } else if is_within(best) {
        let reason = format!("{title}: too few samples to tell whether it is worse by more than {tolerated}; {span}.");
        check(Outcome::Inconclusive, reason)
    } else {
        check(Outcome::Failed, format!("{title}: worse by more than {tolerated}; {span}."))
    }
}

fn judge(rate: f64, judgement: Option<&Judgement>, policy: &Policy) -> Check {
    let check = |outcome, reason| Check { kind: CheckKind::Judge, metric: None, outcome, reason };
    let Some(judgement) = judgement else {
        return check(Outcome::Inconclusive, "The policy asks for a judge, and there was none.".to_owned());
    };
    let judged = judgement.wins + judgement.ties + judgement.losses;
    let Some(won) = judgement.win_rate.filter(|_| judged >= policy.min_samples) else {
        let reason = format!("The judge compared {judged} pairs; {} are needed.", policy.min_samples);
        return check(Outcome::Inconclusive, reason);
    };
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let span = format!("{} ({} to {})", percent(won.mean), percent(won.low), percent(won.high));
    let (outcome, how) = match () {
        () if won.low >= rate - ROUNDING => (Outcome::Passed, "surely"),
        () if won.high >= rate - ROUNDING => (Outcome::Inconclusive, "perhaps"),
        () => (Outcome::Failed, "surely not"),
    };
    check(
        outcome,
        format!("The judge prefers the candidate in {span} of pairs: {how} the {} asked for.", percent(rate)),
    )
}

/// The change with its sign turned so that above zero is better; or why there is none to judge.
fn improvement(metric: Metric, comparison: Option<&Comparison>, policy: &Policy) -> Result<Interval, String> {
    let title = metric.title();
    let comparison = comparison.ok_or_else(|| format!("{title}: not measured, {}.", metric.absence()))?;
    let counts = comparison.counts;
    if !policy.is_enough(counts) {
        return Err(format!(
            "{title}: measured on {} samples of {} documents; {} of {} are needed to tell.",
            counts.samples, counts.documents, policy.min_samples, policy.min_documents
        ));
    }
    let difference = comparison.difference.ok_or_else(|| {
        let why = comparison.incomparable.as_deref().unwrap_or("the models can not be compared by it");
        format!("{title}: not compared, {why}.")
    })?;
    Ok(match metric.direction() {
        Direction::Higher => difference,
        Direction::Lower => Interval { mean: -difference.mean, low: -difference.high, high: -difference.low },
    })
}

/// A change of which above zero is better, as people read it, with the level of its interval.
fn in_words(metric: Metric, improvement: Interval, comparison: Option<&Comparison>, policy: &Policy) -> String {
    let Interval { mean, low, high } = improvement;
    let moved = match amount(metric, mean.abs()) {
        _ if mean.abs() <= ROUNDING => "no change".to_owned(),
        amount if mean > 0.0 => format!("{amount} better"),
        amount => format!("{amount} worse"),
    };
    let level = 100.0 * comparison.and_then(|comparison| comparison.level).unwrap_or(policy.confidence);
    let level = format!("{level:.2}");
    let level = level.trim_end_matches('0').trim_end_matches('.');
    format!("{moved} ({level} % interval {} to {})", number(metric, low), number(metric, high))
}

/// A difference of a metric with its unit: shares in percentage points.
fn amount(metric: Metric, value: f64) -> String {
    format!("{}{}", number(metric, value), if metric.is_share() { " points" } else { "" })
}

fn number(metric: Metric, value: f64) -> String {
    let (value, digits) = if metric.is_share() { (100.0 * value, 1) } else { (value, 3) };
    let text = format!("{value:.digits$}");
    let is_zero = text.trim_start_matches('-').bytes().all(|byte| matches!(byte, b'0' | b'.'));
    // Negative zero is a number that nobody wants to read, and a hyphen is no minus sign.
    if is_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "\u{2212}") }
}
