//! The page that a person reads before approving a model: one file, no scripts, nothing fetched from elsewhere.
//!
//! Everything that a model or an author wrote goes through the template's escaping; the template marks nothing as safe.

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use twin_schemas::Verdict;

use crate::bootstrap::Interval;
use crate::end_to_end::{EndToEnd, Fact};
use crate::folds::ReportedFolds;
use crate::report::difference::{Run, runs};
use crate::report::{CheckKind, Comparison, Outcome, Report, ReportedAnswer, ReportedSample};
use crate::{Direction, Error, Metric, SampleKind, SubjectRole};

/// Width of an interval's drawing, in its own units. Zero is in the middle.
const WIDTH: f64 = 200.0;

/// Of an interval's drawing, the part on either side that stays free.
const EDGE: f64 = 8.0;

/// The report as one HTML page.
///
/// # Errors
/// If the template fails, which a test of this crate would have shown.
pub fn html(report: &Report) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    // The name's ending is what turns escaping on.
    environment.add_template("report.html", include_str!("page.html"))?;
    Ok(environment.get_template("report.html")?.render(Page::of(report))?)
}

#[derive(Serialize)]
struct Page<'a> {
    tone: &'static str,
    headline: String,
    explanation: String,
    facts: Vec<(&'static str, String)>,
    checks: Vec<CheckRow<'a>>,
    has_production: bool,
    rows: Vec<Row>,
    end_to_end: Option<Serving>,
    judgement: Option<Vec<(&'static str, String)>>,
    judge: &'a str,
    samples: Vec<Sample<'a>>,
    settings: String,
}

#[derive(Serialize)]
struct CheckRow<'a> {
    tone: &'static str,
    mark: &'static str,
    outcome: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Row {
    title: &'static str,
    meaning: &'static str,
    better: &'static str,
    role: &'static str,
    counts: String,
    base: String,
    production: String,
    candidate: String,
    author: String,
    change: String,
    note: String,
    bar: Option<Bar>,
}

/// What is of no model.
#[derive(Serialize)]
struct Serving {
    said: String,
    rows: Vec<FactRow>,
}

#[derive(Serialize)]
struct FactRow {
    title: &'static str,
    meaning: &'static str,
    counts: String,
    share: String,
    interval: String,
}

/// An interval as it is drawn, so that to the right is better whichever way the metric goes.
#[derive(Serialize)]
struct Bar {
    tone: &'static str,
    label: String,
    low: f64,
    width: f64,
    mean: f64,
    margin: Option<f64>,
}

#[derive(Serialize)]
struct Sample<'a> {
    kind: &'static str,
    document: String,
    summary: String,
    asked: &'a str,
    reference: &'a str,
    reference_title: &'static str,
    answers: Vec<AnswerView<'a>>,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    role: &'static str,
    name: &'a str,
    runs: Vec<Run>,
    notes: &'a [String],
    figures: String,
}

impl<'a> Page<'a> {
    fn of(report: &'a Report) -> Self {
        let (tone, headline, explanation) = verdict_in_words(report);
        let has_production = report.models.production.is_some();
        Self {
            tone,
            headline,
            explanation,
            facts: facts(report),
            checks: report.checks.iter().map(check).collect(),
            has_production,
            rows: report.comparisons.iter().map(|comparison| row(comparison, report)).collect(),
            end_to_end: report.end_to_end.as_ref().map(serving),
            judgement: judgement(report),
            judge: report.judgement.as_ref().map_or("", |judgement| judgement.judge.as_str()),
            samples: report.samples.iter().map(|one| sample(one, report)).collect(),
            // Options are numbers, names and texts: they always have a JSON form.
            settings: serde_json::to_string_pretty(&report.options).unwrap_or_default(),
        }
    }
}

fn verdict_in_words(report: &Report) -> (&'static str, String, String) {
    let (candidate, rival) = (&report.models.candidate, rival(report));
    match report.verdict {
        Verdict::Passed => (
            "good",
            format!("{candidate} may follow {rival}"),
            "It is better beyond chance where it has to be, and worse in nothing that is guarded.".to_owned(),
        ),
        Verdict::Failed => (
            "bad",
            format!("{candidate} should not follow {rival}"),
            "It is surely not better, or surely worse in something that is guarded. The failed checks say which."
                .to_owned(),
        ),
        Verdict::Inconclusive if report.checks.iter().any(|check| check.kind == CheckKind::Production) => (
            "open",
            format!("{candidate} could not be compared with what it would follow"),
            "The version in production can not be loaded any more. The checks are about the base model. You decide."
                .to_owned(),
        ),
        Verdict::Inconclusive => (
            "open",
            format!("Too few samples to tell whether {candidate} may follow {rival}"),
            "Nothing speaks against it for certain, and not everything that is asked for is shown. You decide."
                .to_owned(),
        ),
    }
}

/// Who was measured, and on what.
fn folds_in_words(folds: ReportedFolds) -> String {
    let ReportedFolds { adapters, seen_by_production: seen, widening } = folds;
    match (adapters, seen) {
        (0, seen) => format!(
            "the candidate itself, on the test split alone: the version in production has learned from {seen} other documents"
        ),
        (adapters, 0) => format!("{}; intervals are {widening:.2} times as wide", by_adapters(adapters)),
        (adapters, seen) => format!(
            "{}; intervals are {widening:.2} times as wide; {seen} documents are left out, which the version in production has \
             learned from",
            by_adapters(adapters)
        ),
    }
}

fn by_adapters(adapters: u32) -> String {
    format!(
        "the recipe, by {adapters} adapters, each on documents that it has not seen; the candidate has learned from somewhat \
         more"
    )
}

fn rival(report: &Report) -> &str {
    report.models.production.as_deref().unwrap_or(&report.models.base)
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let total: u64 = report.counts.iter().map(|kind| kind.counts.samples).sum();
    let by_kind = report.counts.iter().map(|kind| format!("{} {}", kind.counts.samples, kind.kind.as_str()));
    let counts = format!("{total}: {}", by_kind.collect::<Vec<_>>().join(", "));
    let production = report.models.production.clone().unwrap_or_else(|| "the base model".to_owned());
    let mut facts = vec![
        ("Candidate", report.models.candidate.clone()),
        ("In production", production),
        ("Base model", report.models.base.clone()),
        ("Dataset", report.dataset.short().to_owned()),
        ("Test samples", counts),
        ("Grounded answers", grounded_in_words(report).to_owned()),
        ("Evaluated", report.at.format("%Y-%m-%d %H:%M UTC").to_string()),
        ("Took", duration(report.seconds.total())),
    ];
    facts.extend(report.notes.iter().map(|note| ("Note", note.clone())));
    facts.extend(report.folds.map(|folds| ("Measured", folds_in_words(folds))));
    if report.genres_apart {
        facts.push(("Authorship", "posts are held against articles too, and articles against posts".to_owned()));
    }
    if report.look > 1 {
        facts.push(("Evaluations against production", format!("{}: each asks for more", report.look)));
    }
    facts
}

fn grounded_in_words(report: &Report) -> &'static str {
    match report.grounded {
        true => "good enough to be given where the twin would quote",
        false => "not shown to be good enough to be given where the twin would quote",
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

fn check(check: &super::Check) -> CheckRow<'_> {
    let (tone, mark, outcome) = match check.outcome {
        Outcome::Passed => ("good", "\u{2713}", "passed"),
        Outcome::Failed => ("bad", "\u{2717}", "failed"),
        Outcome::Inconclusive => ("open", "?", "open"),
    };
    CheckRow { tone, mark, outcome, reason: &check.reason }
}

fn row(comparison: &Comparison, report: &Report) -> Row {
    let metric = comparison.metric;
    let policy = &report.options.policy;
    let is_primary = report.checks.first().and_then(|check| check.metric) == Some(metric);
    let guard = policy.guards.iter().find(|guard| guard.metric == metric && !is_primary);
    let value = |value: f64| figure(metric, value, false);
    let role = match guard {
        _ if is_primary => "primary",
        Some(_) => "guard",
        None => "",
    };
    Row {
        title: metric.title(),
        meaning: metric.meaning(),
        better: match metric.direction() {
            Direction::Higher => "higher is better",
            Direction::Lower => "lower is better",
        },
        role,
        counts: format!("{} samples, {} documents", comparison.counts.samples, comparison.counts.documents),
        base: value(comparison.base),
        production: value(comparison.production),
        candidate: value(comparison.candidate),
        author: comparison.author.map(value).unwrap_or_default(),
        change: comparison.difference.map(|difference| figure(metric, difference.mean, true)).unwrap_or_default(),
        note: comparison.incomparable.clone().unwrap_or_default(),
        bar: comparison.difference.map(|difference| bar(metric, difference, guard.map(|guard| guard.margin))),
    }
}

/// A value as people read it: shares as per cent. A change has a sign.
fn figure(metric: Metric, value: f64, is_change: bool) -> String {
    let (value, digits, unit) = match (metric.is_share(), is_change) {
        (true, true) => (100.0 * value, 1, " pts"),
        (true, false) => (100.0 * value, 0, " %"),
        (false, _) => (value, 3, ""),
    };
    let text = format!("{:.digits$}", value.abs());
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = match value {
        _ if is_zero => "",
        value if value < 0.0 => "\u{2212}",
        _ if is_change => "+",
        _ => "",
    };
    format!("{sign}{text}{unit}")
}

fn bar(metric: Metric, difference: Interval, margin: Option<f64>) -> Bar {
    let better = |value: f64| metric.improvement(value, 0.0);
    let (a, b) = (better(difference.low), better(difference.high));
    let (low, high) = (a.min(b), a.max(b));
    let widest = [low.abs(), high.abs(), 1.25 * margin.unwrap_or(0.0)].into_iter().fold(f64::MIN_POSITIVE, f64::max);
    let place = |value: f64| {
        let place = WIDTH / 2.0 + value / widest * (WIDTH / 2.0 - EDGE);
        (place * 10.0).round() / 10.0
    };
    let tone = match () {
        () if low > 0.0 => "good",
        () if high < 0.0 => "bad",
        () => "open",
    };
    let figures = [difference.low, difference.high].map(|value| figure(metric, value, true));
    Bar {
        tone,
        label: format!("{} to {}", figures[0], figures[1]),
        low: place(low),
        width: (place(high) - place(low)).max(2.0),
        mean: place(better(difference.mean)),
        margin: margin.map(|margin| place(-margin)),
    }
}

fn serving(found: &EndToEnd) -> Serving {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let asked = format!(
        "{} questions that a text of the author answers, and {} of which that text was left out, were put as a client puts \
         them; {} passages are found for each.",
        found.answerable.samples, found.left_out.samples, found.k
    );
    let unchecked = found.unchecked.as_ref();
    let unchecked = unchecked.map(|why| format!(" The answers were not held against their passages: {why}."));
    let said = match &found.absent {
        Some(why) => format!("Nothing was measured from end to end: {why}."),
        None => asked + &unchecked.unwrap_or_default(),
    };
    let row = |fact: &Fact| FactRow {
        title: fact.measure.title(),
        meaning: fact.measure.meaning(),
        counts: format!("{} questions, {} documents", fact.counts.samples, fact.counts.documents),
        share: percent(fact.share),
        interval: fact
            .interval
            .map_or_else(String::new, |Interval { low, high, .. }| format!("{} to {}", percent(low), percent(high))),
    };
    Serving { said, rows: found.facts.iter().map(row).collect() }
}

fn judgement(report: &Report) -> Option<Vec<(&'static str, String)>> {
    let judgement = report.judgement.as_ref()?;
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let rate = match judgement.win_rate {
        Some(won) => format!("{} ({} to {})", percent(won.mean), percent(won.low), percent(won.high)),
        None => "no pair could be judged".to_owned(),
    };
    Some(vec![
        ("Candidate preferred", rate),
        ("Won", judgement.wins.to_string()),
        ("Tied", format!("{} (of these {} turned with the order)", judgement.ties, judgement.contradictory)),
        ("Lost", judgement.losses.to_string()),
        ("Left out", format!("{} malformed replies, {} without one", judgement.malformed, judgement.unanswered)),
    ])
}

fn sample<'a>(sample: &'a ReportedSample, report: &'a Report) -> Sample<'a> {
    let candidate = answer_of(sample, SubjectRole::Candidate);
    let production = answer_of(sample, SubjectRole::Production).or_else(|| answer_of(sample, SubjectRole::Base));
    let view = |answer: &'a ReportedAnswer| {
        let other = if answer.role == SubjectRole::Candidate { production } else { candidate };
        // The base model is compared with nothing when another one is in production.
        let is_compared = production.is_some_and(|production| answer.role == production.role);
        let is_candidate = answer.role == SubjectRole::Candidate;
        let other = other.filter(|_| is_compared || is_candidate).map_or(answer.text.as_str(), |other| &other.text);
        answer_view(answer, runs(&answer.text, other), report)
    };
    let last_line = sample.question.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (kind, reference_title) = match sample.kind {
        SampleKind::Voice => ("voice", "What the author wrote"),
        SampleKind::Grounded => ("grounded", "The answer looked for"),
        SampleKind::Refusal => ("refusal", "The answer looked for"),
    };
    Sample {
        kind,
        document: sample.document_id.to_string(),
        summary: last_line.trim().trim_start_matches("Question: ").chars().take(200).collect(),
        asked: &sample.question,
        reference: &sample.reference,
        reference_title,
        answers: sample.answers.iter().map(view).collect(),
    }
}

fn answer_of(sample: &ReportedSample, role: SubjectRole) -> Option<&ReportedAnswer> {
    sample.answers.iter().find(|answer| answer.role == role)
}

fn answer_view<'a>(answer: &'a ReportedAnswer, runs: Vec<Run>, report: &'a Report) -> AnswerView<'a> {
    let models = &report.models;
    let (role, name) = match answer.role {
        SubjectRole::Candidate => ("Candidate", models.candidate.as_str()),
        SubjectRole::Production => ("In production", rival(report)),
        SubjectRole::Base if models.production.is_none() => ("In production (base model)", models.base.as_str()),
        SubjectRole::Base => ("Base model", models.base.as_str()),
    };
    let loss = answer.loss_per_token.map(|loss| format!("loss {loss:.3}"));
    let likeness = answer.likeness.map(|likeness| format!("likeness {likeness:.3}"));
    let authorship = answer.authorship.map(|authorship| format!("authorship {authorship:.2}"));
    let figures: Vec<String> = loss.into_iter().chain(authorship).chain(likeness).collect();
    AnswerView { role, name, runs, notes: &answer.notes, figures: figures.join(" \u{b7} ") }
}
