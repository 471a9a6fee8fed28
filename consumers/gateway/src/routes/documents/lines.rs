//! Many documents in one request, one JSON object a line.
//!
//! The body is read as it comes: however long it is, no more than `gateway.max_body_bytes` of it are held, in at most
//! [`AT_A_TIME`] documents. Lines of the same document are recorded one after the other, in their order.

use std::collections::HashSet;

use axum::body::Bytes;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use twin_api::{Change, LineProblem, Pushed, Upload};
use twin_schemas::DocumentId;
use twin_warehouse::Observation;

use super::record::{observation, record_observation};
use crate::extract::{on_own_thread_if_long, parse_json};
use crate::problem::Problem;
use crate::state::App;

/// Documents recorded at a time.
const AT_A_TIME: usize = 64;

/// Reads lines and records them.
pub async fn upload<E: std::fmt::Display>(
    app: &App,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Upload, Problem> {
    let mut body = std::pin::pin!(body);
    // The option's limit is far below a machine's memory.
    let mut lines = Lines::new(app.options.max_line_bytes as usize);
    let mut records = Records::new(app);
    while let Some(data) = body.next().await {
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                // The client has gone or sent less than it announced: it will not read the answer, but what was read
                // so far is recorded.
                tracing::info!(%error, "an upload was cut off");
                lines.cut_off();
                break;
            }
        };
        lines.feed(&data);
        while let Some(line) = lines.next() {
            if line.number > app.options.max_lines {
                let max = app.options.max_lines;
                let detail = format!("only the first {max} lines were read; send the rest in another request");
                records.refuse(line.number, Problem::too_large(detail));
                return Ok(records.finish().await);
            }
            records.take(line).await;
        }
    }
    if let Some(line) = lines.last() {
        records.take(line).await;
    }
    Ok(records.finish().await)
}

/// A line of the body.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    number: u64,
    /// None: it was longer than allowed, or its end did not come.
    text: Result<Vec<u8>, &'static str>,
}

/// Splits a body into lines of bounded length; blank ones are passed over.
struct Lines {
    max_bytes: usize,
    number: u64,
    /// What was fed and not yet given out.
    buffer: Vec<u8>,
    /// How much of the buffer is known to hold no line's end.
    searched: usize,
    /// The line under way is too long: it is skipped to its end.
    skipping: bool,
    cut_off: bool,
}

impl Lines {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, number: 0, buffer: Vec::new(), searched: 0, skipping: false, cut_off: false }
    }

    fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The body ends here, though more was to come.
    fn cut_off(&mut self) {
        self.cut_off = true;
    }

    /// The next line whose end has come.
    fn next(&mut self) -> Option<Line> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(found) = found else {
                self.searched = self.buffer.len();
                if self.buffer.len() > self.max_bytes {
                    self.skipping = true;
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            };
            let end = self.searched + found;
            let text: Vec<u8> = self.buffer.drain(..=end).take(end).collect();
            self.searched = 0;
            if let Some(line) = self.line(text) {
                return Some(line);
            }
        }
    }

    /// The last line, which may have no end.
    fn last(mut self) -> Option<Line> {
        let text = std::mem::take(&mut self.buffer);
        if self.cut_off && !text.is_empty() {
            return Some(Line { number: self.number + 1, text: Err("the upload was cut off in this line") });
        }
        self.line(text)
    }

    fn line(&mut self, text: Vec<u8>) -> Option<Line> {
        self.number += 1;
        let number = self.number;
        if std::mem::take(&mut self.skipping) || text.len() > self.max_bytes {
            return Some(Line { number, text: Err("the line is longer than gateway.max_line_bytes") });
        }
        (!text.trim_ascii().is_empty()).then_some(Line { number, text: Ok(text) })
    }
}

/// A document that is being recorded.
struct Recorded {
    line: u64,
    bytes: usize,
    document: DocumentId,
    result: Result<Pushed, Problem>,
}

/// Records documents, many at a time, one at a time for each document.
struct Records<'a> {
    app: &'a App,
    running: FuturesUnordered<futures::future::BoxFuture<'a, Recorded>>,
    /// Documents that are being recorded.
    documents: HashSet<DocumentId>,
    bytes: usize,
    upload: Upload,
}

impl<'a> Records<'a> {
    fn new(app: &'a App) -> Self {
        let (running, documents) = (FuturesUnordered::new(), HashSet::new());
        Self { app, running, documents, bytes: 0, upload: Upload::default() }
    }

    /// Records a line; waits until there is room for it.
    async fn take(&mut self, line: Line) {
        let number = line.number;
        let text = match line.text {
            Ok(text) => text,
            Err(problem) => return self.refuse(number, Problem::too_large(problem)),
        };
        let bytes = text.len();
        match on_own_thread_if_long(bytes, move || parsed(&text)).await {
            Ok(Ok(observation)) => self.start(number, bytes, observation).await,
            Ok(Err(problem)) | Err(problem) => self.refuse(number, problem),
        }
    }

    async fn start(&mut self, line: u64, bytes: usize, observation: Observation) {
        let document = observation.key.id();
        let max_bytes = self.app.options.max_body_bytes as usize;
        while self.running.len() >= AT_A_TIME
            || (self.bytes + bytes > max_bytes && !self.running.is_empty())
            || self.documents.contains(&document)
        {
            self.one_done().await;
        }
        self.bytes += bytes;
        self.documents.insert(document);
        let app = self.app;
        let record =
            async move { Recorded { line, bytes, document, result: record_observation(app, observation).await } };
        self.running.push(Box::pin(record));
    }

    async fn one_done(&mut self) {
        let Some(Recorded { line, bytes, document, result }) = self.running.next().await else {
            return;
        };
        self.bytes -= bytes;
        self.documents.remove(&document);
        match result {
            Ok(pushed) => {
                match pushed.change {
                    Change::Unchanged => self.upload.unchanged += 1,
                    _ => self.upload.accepted += 1,
                }
                self.upload.documents.push(pushed);
            }
            Err(problem) => self.refuse(line, problem),
        }
    }

    fn refuse(&mut self, line: u64, problem: Problem) {
        self.app.metrics.document_pushed("refused");
        self.upload.failed.push(LineProblem { line, problem: *problem.body });
    }

    async fn finish(mut self) -> Upload {
        while !self.running.is_empty() {
            self.one_done().await;
        }
        self.upload.failed.sort_by_key(|failed| failed.line);
        self.upload
    }
}

fn parsed(line: &[u8]) -> Result<Observation, Problem> {
    observation(parse_json(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(max_bytes: usize, pieces: &[&str]) -> Vec<(u64, Result<String, &'static str>)> {
        let mut lines = Lines::new(max_bytes);
        let mut found = Vec::new();
        for piece in pieces {
            lines.feed(piece.as_bytes());
            while let Some(line) = lines.next() {
                found.push(line);
            }
        }
        found.extend(lines.last());
        found.into_iter().map(|line| (line.number, line.text.map(|text| String::from_utf8(text).unwrap()))).collect()
    }

    #[test]
    fn lines_are_found_wherever_the_body_is_cut() {
        let expected = vec![(1, Ok("one".to_owned())), (3, Ok("two".to_owned())), (4, Ok("three".to_owned()))];
        assert_eq!(split(10, &["one\n\ntwo\nthree"]), expected);
        assert_eq!(split(10, &["o", "ne\n", "\nt", "wo", "\nthree", ""]), expected);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
        let too_long = Err("the line is longer than gateway.max_line_bytes");
        let expected = vec![(1, too_long), (2, Ok("ok".to_owned()))];
        assert_eq!(split(4, &["much too long\nok\n"]), expected);
        assert_eq!(split(4, &["much ", "too ", "long", "\nok\n"]), expected);
    }

    #[test]
    fn no_more_than_a_line_of_the_body_is_held() {
        let mut lines = Lines::new(100);
        for _ in 0..1_000 {
            lines.feed(&[b'x'; 50]);
            assert!(lines.next().is_none());
            assert!(lines.buffer.len() <= 100);
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_taken_for_whole() {
        let mut lines = Lines::new(100);
        lines.feed(b"{\"a\": 1}");
        assert!(lines.next().is_none());
        lines.cut_off();
        assert!(lines.last().unwrap().text.is_err());
    }
}
