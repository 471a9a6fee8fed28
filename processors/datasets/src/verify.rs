//! The last look at what was written: each line is parsed again, and its answer looked for in the document's text.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use twin_llm::is_abstention;
use twin_schemas::{ChatSample, Split};

use crate::Error;
use crate::compose::pieces;
use crate::scratch::{Known, Scratch};

/// Checks every line of a split's file against the documents. Returns how many there are.
pub(crate) fn verify(scratch: &Scratch, split: Split, path: &Path) -> Result<u64, Error> {
    let reader = BufReader::new(File::open(path).map_err(Error::file(path))?);
    let mut text = (0, String::new());
    let mut count = 0;
    for (line, number) in reader.lines().zip(1_u64..) {
        let sample: ChatSample = serde_json::from_str(&line.map_err(Error::file(path))?)?;
        let known = source(scratch, split, number)?;
        if text.0 != known.document {
            text = (known.document, scratch.document_text(known.document)?.unwrap_or_default());
        }
        if let Some(problem) = problem(&sample, &known, &text.1) {
            let file = format!("sft/{}.jsonl", split.as_str());
            return Err(Error::NotVerbatim { file, line: number, document: known.passage.document_id, problem });
        }
        count = number;
    }
    Ok(count)
}

fn source(scratch: &Scratch, split: Split, line: u64) -> Result<Known, Error> {
    scratch.by_line(split, line)?.ok_or_else(|| Error::Row(format!("line {line} of {} has no source", split.as_str())))
}

/// What is wrong with an answer: it is a passage, its title, sentences of its document with their markers, or the
/// abstention.
fn problem(sample: &ChatSample, known: &Known, text: &str) -> Option<String> {
    let Some(answer) = sample.messages.last().map(|message| message.content.as_str()) else {
        return Some("it has no messages".to_owned());
    };
    if is_abstention(answer) {
        return None;
    }
    let start = known.start as usize;
    let passage = text.get(start..start + known.passage.text.len()).unwrap_or("");
    let titles = known.passage.heading_path.last().into_iter().chain(&known.passage.title);
    if answer == passage || titles.into_iter().any(|title| title.trim() == answer) {
        return None;
    }
    match pieces(answer) {
        Some(pieces) if pieces.iter().all(|piece| !piece.is_empty() && text.contains(piece)) => None,
        Some(_) => Some("what it says is not in its document".to_owned()),
        None => Some("it is neither a passage nor a title nor sentences with markers nor the abstention".to_owned()),
    }
}
