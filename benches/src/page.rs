//! The page `docs/benchmarks.md`.

use std::fs;

use anyhow::{Context, Result};
use chrono::Utc;

/// The page with these tables.
pub fn text(tables: &str, rounds: usize) -> Result<String> {
    let processor = processor()?;
    let cores = std::thread::available_parallelism()?;
    let day = Utc::now().format("%Y-%m-%d");
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `make bench`, which takes under 20 minutes once everything is built. These numbers are from {day}: \
         {processor}, {cores} cores.\n\n\
         A number with a range is the median of {rounds} rounds (of the language model: of 5 questions), with the \
         lowest and the highest one in brackets. Both sides do their work in the same run, one after the other in \
         each round, and which goes first alternates. Rates differ from machine to machine; ratios much less so. Above 1 x, ours is \
         the faster one. A floor does less work than ours on purpose: it says how much of the time could be saved at \
         most.\n\n\
         {tables}\n\
         ## What was done\n\n{}",
        include_str!("page.md")
    ))
}

fn processor() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("can not read /proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Ok(model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned()))
}
