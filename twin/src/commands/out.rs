//! Where commands write: results to standard output, progress and hints to standard error.
//!
//! All text goes through here, so that no control character of a document or an answer reaches the terminal as it is,
//! and a reader that has seen enough (`twin search … | head`) is no failure.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::text::{escape, escape_json};
use crate::error::CommandError;

/// How often progress is told where standard error is a file.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// The two outputs of a command.
pub struct Out {
    results: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
    /// Notes go to a terminal: progress is one line that changes.
    terminal: bool,
    /// Nobody reads the results any more.
    closed: bool,
    progress: Progress,
}

/// What was told of progress.
enum Progress {
    None,
    /// The terminal's last line is one of progress.
    Line,
    /// A line was written to a file.
    At(Instant),
}

impl Out {
    /// The process's own outputs.
    pub fn standard() -> Self {
        let terminal = io::stderr().is_terminal();
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), terminal)
    }

    /// Any outputs. `terminal`: the notes go to one.
    pub fn new(results: Box<dyn Write + Send>, notes: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { results, notes, terminal, closed: false, progress: Progress::None }
    }

    /// Nobody reads the results any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Notes go to a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a part of a result, at once.
    pub fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.clear_progress();
        self.write(&escape(text))
    }

    /// Writes a line, or lines, of a result.
    pub fn line(&mut self, text: &str) -> Result<(), CommandError> {
        self.clear_progress();
        self.write(&format!("{}\n", escape(text)))
    }

    /// Writes a JSON document on one line.
    pub fn json(&mut self, document: &Value) -> Result<(), CommandError> {
        self.clear_progress();
        self.write(&format!("{}\n", escape_json(&document.to_string())))
    }

    /// Writes a line for the person who waits. One that can not be written is of no concern to the command.
    pub fn note(&mut self, text: &str) {
        self.clear_progress();
        let _ = writeln!(self.notes, "{}", escape(text));
    }

    /// Tells how far the command is: on a terminal in one line that changes, else in a line every ten seconds.
    pub fn progress(&mut self, text: &str) {
        let text = escape(text);
        if self.terminal {
            // Carriage return and ECMA-48 "erase in line" from the cursor on.
            let _ = write!(self.notes, "\r\x1b[K{text}");
            self.progress = Progress::Line;
        } else {
            match self.progress {
                Progress::At(last) if last.elapsed() < PROGRESS_INTERVAL => return,
                // The first line would say nothing yet.
                Progress::None | Progress::Line => {}
                Progress::At(_) => {
                    let _ = writeln!(self.notes, "{text}");
                }
            }
            self.progress = Progress::At(Instant::now());
        }
        let _ = self.notes.flush();
    }

    fn clear_progress(&mut self) {
        if matches!(self.progress, Progress::Line) {
            let _ = write!(self.notes, "\r\x1b[K");
            let _ = self.notes.flush();
            self.progress = Progress::None;
        }
    }

    fn write(&mut self, text: &str) -> Result<(), CommandError> {
        if self.closed {
            return Ok(());
        }
        match self.results.write_all(text.as_bytes()).and_then(|()| self.results.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(CommandError::Failed(format!("writing the result: {error}"))),
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.clear_progress();
    }
}

#[cfg(test)]
pub mod testing {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Something written, readable while it is written.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        /// All of it.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output, its results and its notes.
    pub fn captured(terminal: bool) -> (Out, Written, Written) {
        let (results, notes) = (Written::default(), Written::default());
        let out = Out::new(Box::new(results.clone()), Box::new(notes.clone()), terminal);
        (out, results, notes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::testing::captured;
    use super::*;

    struct Full(io::ErrorKind);

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure_and_a_full_disk_is() {
        let mut out = Out::new(Box::new(Full(io::ErrorKind::BrokenPipe)), Box::new(io::sink()), false);
        out.line("a").unwrap();
        assert!(out.is_closed());
        let mut out = Out::new(Box::new(Full(io::ErrorKind::StorageFull)), Box::new(io::sink()), false);
        assert!(matches!(out.line("a"), Err(CommandError::Failed(_))));
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let (mut out, results, notes) = captured(false);
        out.line("a\x1b[2Jb").unwrap();
        out.text("c\u{9b}d").unwrap();
        out.note("e\x07f");
        out.json(&json!({"g": "h\x1b\u{9b}\x7f"})).unwrap();
        let written = results.text() + &notes.text();
        assert!(written.chars().all(|c| c == '\n' || !c.is_control()), "{written:?}");
        let json: Value =
            serde_json::from_str(results.text().lines().last().unwrap().trim_start_matches("c\\u{9b}d")).unwrap();
        assert_eq!(json["g"], "h\x1b\u{9b}\x7f", "the document is the same");
    }

    #[test]
    fn progress_on_a_terminal_is_wiped_before_anything_else_is_written() {
        let (mut out, results, notes) = captured(true);
        out.progress("1 of 2");
        out.progress("2 of 2");
        out.line("done").unwrap();
        assert_eq!(notes.text(), "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[K");
        assert_eq!(results.text(), "done\n");
    }

    #[test]
    fn progress_in_a_file_is_not_a_line_for_each_look() {
        let (mut out, _, notes) = captured(false);
        for _ in 0..100 {
            out.progress("waiting");
        }
        assert_eq!(notes.text(), "");
    }
}
