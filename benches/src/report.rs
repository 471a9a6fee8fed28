//! The tables.

use std::fmt::Write;

use crate::bench::Results;
use crate::comparison::{Comparison, Spread};
use crate::figure::Figure;
use crate::target::Target;

/// What is wanted and whether it is reached, what has another side, and what stands for itself.
pub fn tables(results: &Results) -> String {
    let mut text = String::new();
    let goals = goals(results);
    if !goals.is_empty() {
        text.push_str(&target_table(&goals));
    }
    if !results.comparisons.is_empty() {
        text.push_str(&comparison_table(&results.comparisons));
    }
    if !results.figures.is_empty() {
        text.push_str(&figure_table(&results.figures));
    }
    text
}

/// A target, and what was reached.
struct Goal {
    name: String,
    unit: &'static str,
    target: Target,
    reached: f64,
}

fn goals(results: &Results) -> Vec<Goal> {
    let of_comparison = |comparison: &Comparison| {
        let reached = Spread::of(&comparison.times_as_fast())?.median;
        let name = format!("{}, against {}", comparison.name, comparison.other_name);
        Some(Goal { name, unit: "x", target: comparison.target?, reached })
    };
    let of_figure = |figure: &Figure| {
        let reached = Spread::of(&figure.numbers)?.median;
        Some(Goal { name: figure.name.clone(), unit: figure.unit, target: figure.target?, reached })
    };
    let comparisons = results.comparisons.iter().filter_map(of_comparison);
    comparisons.chain(results.figures.iter().filter_map(of_figure)).collect()
}

fn target_table(goals: &[Goal]) -> String {
    let mut text = String::from("## Targets\n\n| measured | wanted | reached | |\n|---|---|---:|---|\n");
    let mut missed = String::new();
    for Goal { name, unit, target, reached } in goals {
        let is_met = target.is_met_by(*reached);
        let verdict = if is_met { "met" } else { "**not met**" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {} {unit} | {} {unit} | {verdict} |", target.wanted(), number(*reached));
        if !is_met {
            let reason = if target.if_missed.is_empty() { "Not looked into yet." } else { target.if_missed };
            let _ = writeln!(missed, "- **{name}**: {reason}");
        }
    }
    if !missed.is_empty() {
        let _ = write!(text, "\nWhy a target is not met, and what would close the gap:\n\n{missed}");
    }
    text
}

/// One row for each comparison.
fn comparison_table(comparisons: &[Comparison]) -> String {
    let mut text = String::from(
        "\n## Side by side\n\n| measured | unit | LLM Twin | held against | that | times as fast |\n\
         |---|---|---:|---|---:|---:|\n",
    );
    for comparison in comparisons {
        let Comparison { name, unit, other_name, .. } = comparison;
        let ours = cell(&comparison.ours, "");
        let other = cell(&comparison.other, "");
        let ratio = cell(&comparison.times_as_fast(), " x");
        let _ = writeln!(text, "| {name} | {unit} | {ours} | {other_name} | {other} | {ratio} |");
    }
    text
}

/// One row for each figure.
fn figure_table(figures: &[Figure]) -> String {
    let mut text = String::from("\n## By itself\n\n| measured | unit | LLM Twin |\n|---|---|---:|\n");
    for Figure { name, unit, numbers, .. } in figures {
        let _ = writeln!(text, "| {name} | {unit} | {} |", cell(numbers, ""));
    }
    text
}

/// The median, then the lowest and the highest round where there are several.
fn cell(numbers: &[f64], suffix: &str) -> String {
    let Some(Spread { lowest, median, highest }) = Spread::of(numbers) else { return "no round".to_owned() };
    if numbers.len() == 1 {
        return format!("{}{suffix}", number(median));
    }
    format!("{}{suffix} ({} to {})", number(median), number(lowest), number(highest))
}

/// Three significant digits, or all digits of a whole number that has more.
fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        magnitude if magnitude >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Better;

    fn comparison() -> Comparison {
        let mut comparison = Comparison::new("reading", "MB/s", Better::Higher, "a plain loop");
        comparison.round(30.0, 10.0);
        comparison.round(20.0, 10.0);
        comparison.round(400.0, 100.0);
        comparison
    }

    #[test]
    fn a_row_has_both_sides_and_the_ratio_with_their_ranges() {
        let expected = "| reading | MB/s | 30.0 (20.0 to 400) | a plain loop | 10.0 (10.0 to 100) | \
                        3.00 x (2.00 to 4.00) |\n";
        let results = Results { comparisons: vec![comparison()], figures: Vec::new() };
        let tables = tables(&results);
        assert!(tables.ends_with(expected) && !tables.contains("Targets"), "{tables}");
    }

    #[test]
    fn a_missed_target_is_named_with_its_reason_and_a_met_one_is_not() {
        let target = Target::at_least(3.5).if_missed("The loop is too plain.");
        let memory = Figure::once("memory", "MB", 590.0).wanting(Target::at_most(600.0));
        let results = Results { comparisons: vec![comparison().wanting(target)], figures: vec![memory] };
        let tables = tables(&results);
        for expected in [
            "| reading, against a plain loop | at least 3.5 x | 3.00 x | **not met** |",
            "| memory | at most 600 MB | 590 MB | met |",
            "- **reading, against a plain loop**: The loop is too plain.",
        ] {
            assert!(tables.lines().any(|line| line == expected), "{expected} is not in\n{tables}");
        }
        assert_eq!(tables.matches("- **").count(), 1, "{tables}");
    }
}
