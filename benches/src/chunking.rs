//! The chunker, against text-splitter, and against tokenising alone: no exact chunker is faster than its tokenizer.

use std::hint::black_box;

use anyhow::Result;
use twin_chunker::{Options, chunk};
use twin_embedding::Tokenizer;
use twin_schemas::{Category, CleanedDocument};

use crate::bench::Bench;
use crate::comparison::{Better, Comparison, Side, one_round};
use crate::processor_time;
use crate::rivals::{Rivals, Task};
use crate::target::Target;

const UNIT: &str = "MB a processor second";

/// Megabytes a processor second.
pub fn compare(bench: &Bench) -> Result<Vec<Comparison>> {
    let options = Options::default();
    let rivals = Rivals::start(bench, options.max_tokens, &[])?;
    let structured = &bench.corpus.documents;
    let plain: Vec<CleanedDocument> = structured.iter().map(as_plain_text).collect();
    let megabytes = structured.iter().map(|document| document.text.len()).sum::<usize>() as f64 / 1e6;

    let here = std::process::id();
    let ours = |documents: &[CleanedDocument]| {
        let seconds = processor_time::of_a_pass(here, || {
            for document in documents {
                black_box(chunk(document, &bench.tokenizer, &options)?);
            }
            Ok(())
        })?;
        Ok(megabytes / seconds)
    };
    let tokenising = || -> Result<()> {
        for document in structured {
            black_box(bench.tokenizer.spans(&document.text)?);
        }
        Ok(())
    };
    let mut sides: [Side<'_>; 5] = [
        Box::new(|| ours(structured)),
        Box::new(|| ours(&plain)),
        Box::new(|| Ok(megabytes / processor_time::of_a_pass(here, tokenising)?)),
        Box::new(|| Ok(megabytes / rivals.processor_seconds(Task::SplitPlain)?)),
        Box::new(|| Ok(megabytes / rivals.processor_seconds(Task::SplitStructured)?)),
    ];

    let against = |how, other| Comparison::new(format!("chunking {how}"), UNIT, Better::Higher, other);
    let target = Target::at_least(3.5);
    let mut as_structured = against("along headings and items", "text-splitter, the same").wanting(target);
    let mut as_plain = against("along lines and sentences", "text-splitter, the same").wanting(target);
    let mut crossed = against("along headings and items", "text-splitter along lines and sentences");
    let mut floor = against("along headings and items", "tokenising alone (a floor)");
    for round in 0..bench.rounds {
        let [ours, ours_plain, tokenised, theirs_plain, theirs] = one_round(round, &mut sides)?;
        as_structured.round(ours, theirs);
        as_plain.round(ours_plain, theirs_plain);
        crossed.round(ours, theirs_plain);
        floor.round(ours, tokenised);
    }
    Ok(vec![as_structured, as_plain, crossed, floor])
}

/// The same text, of which nobody knows that it is code.
fn as_plain_text(document: &CleanedDocument) -> CleanedDocument {
    let mut plain = document.clone();
    plain.meta.category = Category::Article;
    plain.code_language = None;
    plain
}
