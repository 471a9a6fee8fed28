//! Whether a candidate may follow the model in production, by a [`Policy`].
//!
//! Each check has one of three outcomes, and says in words why.
//! - A metric on too few samples or documents says nothing: inconclusive.
//! - The primary metric passes if the interval of its improvement lies above zero, and fails otherwise.
//! - A guard fails if its mean has fallen by more than its margin. It passes if even the worse end of its interval is
//!   within the margin (non-inferiority). In between there are too few samples to tell: inconclusive, so that noise
//!   neither promotes nor condemns. ([`GuardRule::Mean`] passes it.)
//! - The judge is a check only if the policy names a win rate: the interval's lower end must reach it.
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
use crate::{Direction, Guard, GuardRule, Metric, Policy};

/// Sums of floating point numbers are equal within this.
const ROUNDING: f64 = 1e-9;

/// Of a candidate's grounded answers, the share that must be as they should be by each of the metrics of [`is_grounded`].
const GROUNDED_SHARE: f64 = 0.9;

/// The verdict and the checks that it follows from.
pub fn decide(comparisons: &[Comparison], judgement: Option<&Judgement>, policy: &Policy) -> (Verdict, Vec<Check>) {
    let find = |metric: Metric| comparisons.iter().find(|comparison| comparison.metric == metric);
    let mut checks = vec![primary(policy.primary, find(policy.primary), policy)];
    checks.extend(policy.guards.iter().map(|one| guard(*one, find(one.metric), policy)));
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

/// Whether a candidate has passed its evaluation for grounded answers: its verdict is [`Verdict::Passed`]; it was measured on
/// as many grounded samples, of as many documents, as the policy asks for; and nine in ten of its answers cite the passage
/// that holds the answer, nine in ten cite passages that were given and no others, and at most one in ten quotes what no
/// passage says.
pub fn is_grounded(verdict: Verdict, comparisons: &[Comparison], policy: &Policy) -> bool {
    let holds = |metric: Metric| {
        let measured = comparisons.iter().find(|comparison| comparison.metric == metric);
        measured.is_some_and(|Comparison { counts, candidate, .. }| {
            let share = match metric.direction() {
                Direction::Higher => *candidate,
                Direction::Lower => 1.0 - candidate,
            };
            counts.samples >= policy.min_samples
                && counts.documents >= policy.min_documents
                && share >= GROUNDED_SHARE - ROUNDING
        })
    };
    verdict == Verdict::Passed
        && [Metric::RightPassage, Metric::CitationsValid, Metric::InventedQuotes].into_iter().all(holds)
}

fn primary(metric: Metric, comparison: Option<&Comparison>, policy: &Policy) -> Check {
    let check = |outcome, reason| Check { kind: CheckKind::Primary, metric: Some(metric), outcome, reason };
    let improvement = match improvement(metric, comparison, policy) {
        Ok(improvement) => improvement,
        Err(reason) => return check(Outcome::Inconclusive, reason),
    };
    let span = in_words(metric, improvement, policy);
    if improvement.low > ROUNDING {
        check(Outcome::Passed, format!("{}: {span}, beyond chance.", metric.title()))
    } else if improvement.mean > ROUNDING {
        check(Outcome::Failed, format!("{}: {span}, which may be chance.", metric.title()))
    } else {
        check(Outcome::Failed, format!("{}: {span}, so it is not better.", metric.title()))
    }
}

fn guard(guard: Guard, comparison: Option<&Comparison>, policy: &Policy) -> Check {
    let Guard { metric, margin } = guard;
    let check = |outcome, reason| Check { kind: CheckKind::Guard, metric: Some(metric), outcome, reason };
    let improvement = match improvement(metric, comparison, policy) {
        Ok(improvement) => improvement,
        Err(reason) => return check(Outcome::Inconclusive, reason),
    };
    let span = in_words(metric, improvement, policy);
    let (title, tolerated) = (metric.title(), amount(metric, margin));
    let is_within = |value: f64| value >= -margin - ROUNDING;
    if !is_within(improvement.mean) {
        check(Outcome::Failed, format!("{title}: worse by more than {tolerated}; {span}."))
    } else if is_within(improvement.low) || policy.guard_rule == GuardRule::Mean {
        check(Outcome::Passed, format!("{title}: not worse by more than {tolerated}; {span}."))
    } else {
        let reason = format!("{title}: too few samples to tell whether it is worse by more than {tolerated}; {span}.");
        check(Outcome::Inconclusive, reason)
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
    let reaches = won.low >= rate - ROUNDING;
    let outcome = if reaches { Outcome::Passed } else { Outcome::Failed };
    let how = if reaches { "surely" } else { "not surely" };
    check(
        outcome,
        format!("The judge prefers the candidate in {span} of pairs: {how} the {} asked for.", percent(rate)),
    )
}

/// The change with its sign turned so that above zero is better; or why there is none to judge.
fn improvement(metric: Metric, comparison: Option<&Comparison>, policy: &Policy) -> Result<Interval, String> {
    let title = metric.title();
    let comparison = comparison.ok_or_else(|| format!("{title}: not measured, there are no samples for it."))?;
    let difference = comparison.difference.ok_or_else(|| {
        let why = comparison.incomparable.as_deref().unwrap_or("the models can not be compared by it");
        format!("{title}: not compared, {why}.")
    })?;
    let counts = comparison.counts;
    if counts.samples < policy.min_samples || counts.documents < policy.min_documents {
        return Err(format!(
            "{title}: measured on {} samples of {} documents; {} of {} are needed to tell.",
            counts.samples, counts.documents, policy.min_samples, policy.min_documents
        ));
    }
    Ok(match metric.direction() {
        Direction::Higher => difference,
        Direction::Lower => Interval { mean: -difference.mean, low: -difference.high, high: -difference.low },
    })
}

/// A change of which above zero is better, as people read it.
fn in_words(metric: Metric, improvement: Interval, policy: &Policy) -> String {
    let Interval { mean, low, high } = improvement;
    let moved = match amount(metric, mean.abs()) {
        _ if mean.abs() <= ROUNDING => "no change".to_owned(),
        amount if mean > 0.0 => format!("{amount} better"),
        amount => format!("{amount} worse"),
    };
    let level = 100.0 * policy.confidence;
    format!("{moved} ({level:.0} % interval {} to {})", number(metric, low), number(metric, high))
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
