//! The table and the page.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};
use chrono::Utc;

use crate::comparison::{Comparison, Spread};

/// One row for each comparison.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut text = String::from(
        "| measured | unit | LLM Twin | held against | that | times as fast |\n|---|---|---:|---|---:|---:|\n",
    );
    for comparison in comparisons {
        let Comparison { name, unit, other_name, .. } = comparison;
        let ours = cell(&comparison.ours, "");
        let other = cell(&comparison.other, "");
        let ratio = cell(&comparison.times_as_fast(), " x");
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {unit} | {ours} | {other_name} | {other} | {ratio} |");
    }
    text
}

/// The median, then the lowest and the highest round.
fn cell(numbers: &[f64], suffix: &str) -> String {
    let Some(Spread { lowest, median, highest }) = Spread::of(numbers) else { return "no round".to_owned() };
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

/// The page `docs/benchmarks.md`.
pub fn page(table: &str, rounds: usize) -> Result<String> {
    let processor = processor()?;
    let cores = std::thread::available_parallelism()?;
    let day = Utc::now().format("%Y-%m-%d");
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `make bench`, which takes under 5 minutes. This table is from {day}: {processor}, {cores} cores.\n\n\
         Each number is the median of {rounds} rounds, with the lowest and the highest round in brackets. Both sides \
         run in the same process, one after the other in each round. Rates differ from machine to machine; ratios \
         much less so. Above 1 x, ours is the faster one. A floor does less work than ours on purpose: it says how \
         much of the time could be saved at most.\n\n\
         {table}\n\
         - **Chunking** and **embedding** are counted in processor seconds (user and system, all threads) over the \
         Markdown and Rust files of this repository. Tokens are those of the texts, without filling.\n\
         - **Fixed batches of 32 in arrival order** fill each text up to the longest of its batch.\n\
         - **Event log**: records of 1 KiB, wall time. Every append and every commit is durable (`synchronous=FULL`) \
         when it returns, on both sides; so small batches measure the disk.\n\
         - **Vector index**: one hybrid search (vectors and BM25, 50 candidates each, one author) at a time, wall \
         time. Vectors are random, with 384 dimensions; texts and questions are words of this repository.\n"
    ))
}

fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("can not read /proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Ok(model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Better;

    #[test]
    fn a_row_has_both_sides_and_the_ratio_with_their_ranges() {
        let mut comparison = Comparison::new("reading", "MB/s", Better::Higher, "a plain loop");
        comparison.round(30.0, 10.0);
        comparison.round(20.0, 10.0);
        comparison.round(400.0, 100.0);
        let expected = "| reading | MB/s | 30.0 (20.0 to 400) | a plain loop | 10.0 (10.0 to 100) | \
                        3.00 x (2.00 to 4.00) |\n";
        assert!(table(&[comparison]).ends_with(expected));
    }
}
