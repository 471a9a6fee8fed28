//! Where source code is cut.

mod common;

use common::{code, expected, heads, small};
use twin_chunker::Options;

#[test]
fn a_file_that_fits_is_one_chunk() {
    let chunks = code("rust", "fn a() {}\n\nfn b() {}\n", &Options::default());
    assert_eq!(heads(&chunks), expected(&[("fn a() {}", "")]));
}

#[test]
fn rust_is_cut_at_items_and_long_impls_at_methods() {
    let text = r#"//! A log.

use std::fs::File;
use std::io;

/// A log of events.
/// It is kept in order.
#[derive(Debug, Clone)]
pub struct Log {
    path: String,
    file: Option<String>,
    events: Vec<u64>,
}

impl Log {
    /// Opens the log.
    pub fn open(path: &str) -> Self {
        let path = path.to_owned();
        let events = Vec::with_capacity(1024);
        Self { path, file: None, events }
    }

    /// Appends an event and says where.
    #[must_use]
    pub fn append(&mut self, event: u64) -> usize {
        self.events.push(event);
        let position = self.events.len() - 1;
        position
    }
}

/// How long it is.
fn length(log: &Log) -> usize {
    log.events.len()
}
"#;
    assert_eq!(
        heads(&code("rust", text, &small(80))),
        expected(&[
            ("//! A log.", ""),
            ("impl Log {", "impl Log"),
            ("    /// Appends an event and says where.", "impl Log > fn append"),
            ("/// How long it is.", "fn length"),
        ])
    );
}

#[test]
fn python_is_cut_at_definitions_and_long_classes_at_methods() {
    let text = r#"import os
import sys


@dataclass
class Log:
    """A log of events, kept in order."""

    # Opens the log, however large.
    def open(self, path):
        self.path = os.path.abspath(path)
        self.events = []
        return self

    @property
    def length(self):
        count = len(self.events)
        print("length of the log", self.path, count)
        return count


async def main(arguments):
    log = Log().open(arguments[1])
    print(log.length, file=sys.stderr)
"#;
    assert_eq!(
        heads(&code("python", text, &small(56))),
        expected(&[
            ("import os", ""),
            ("@dataclass", "class Log"),
            ("    # Opens the log, however large.", "class Log > def open"),
            ("    @property", "class Log > def length"),
            ("async def main(arguments):", "def main"),
        ])
    );
}

#[test]
fn typescript_is_cut_at_exports_and_class_members() {
    let text = r#"import { open } from "node:fs";

/** How a log is kept. */
export interface Options {
  path: string;
  limit?: number;
}

// The log itself, with its events.
export abstract class Log<T> {
  private events: T[] = [];

  constructor(private options: Options) {
    this.events = new Array<T>(options.limit ?? 1024);
  }

  append(event: T): number {
    this.events.push(event);
    return this.events.length - 1;
  }
}

export const length = (log: Log<string>): number => {
  const position = log.append("the last event");
  return position + 1;
};
"#;
    for language in ["typescript", "tsx"] {
        assert_eq!(
            heads(&code(language, text, &small(64))),
            expected(&[
                (r#"import { open } from "node:fs";"#, ""),
                ("// The log itself, with its events.", "class Log"),
                ("  append(event: T): number {", "class Log > append()"),
                ("export const length = (log: Log<string>): number => {", "const length"),
            ])
        );
    }
}

#[test]
fn javascript_is_cut_at_functions_and_class_members() {
    let text = r#"class Log {
  constructor(path) {
    this.path = path;
    this.events = [];
  }

  append(event) {
    this.events.push(event);
    return this.events.length - 1;
  }
}

function lengthOfLog(log) {
  const position = log.append("the last event");
  return position + 1;
}
"#;
    assert_eq!(
        heads(&code("javascript", text, &small(36))),
        expected(&[
            ("class Log {", "class Log"),
            ("  append(event) {", "class Log > append()"),
            ("function lengthOfLog(log) {", "function lengthOfLog"),
        ])
    );
}

#[test]
fn go_is_cut_at_declarations() {
    let text = r#"package log

import "fmt"

// Log keeps events.
type Log struct {
	path   string
	events []uint64
}

// Append says where the event is.
func (l *Log) Append(event uint64) int {
	l.events = append(l.events, event)
	return len(l.events) - 1
}

func Print(l *Log) {
	fmt.Println("the path of the log is", l.path)
	fmt.Println("and its length is", len(l.events))
}
"#;
    assert_eq!(
        heads(&code("go", text, &small(60))),
        expected(&[
            ("package log", ""),
            ("// Append says where the event is.", "func (l *Log) Append"),
            ("func Print(l *Log) {", "func Print"),
        ])
    );
}

#[test]
fn java_is_cut_at_the_members_of_its_class() {
    let text = r#"package org.example.log;

import java.util.List;

/** A log. */
public final class Log {
    private final List<Long> events;

    public Log(List<Long> events) {
        this.events = List.copyOf(events);
        System.out.println("a log of " + events.size());
    }

    /** Where the event is. */
    @Deprecated
    public int append(long event) {
        events.add(event);
        return events.size() - 1;
    }
}
"#;
    let chunks = code("java", text, &small(60));
    assert_eq!(
        heads(&chunks),
        expected(&[
            ("package org.example.log;", ""),
            ("/** A log. */", "class Log"),
            ("    public Log(List<Long> events) {", "class Log > Log()"),
            ("    /** Where the event is. */", "class Log > append()"),
        ])
    );
}

#[test]
fn a_long_function_is_cut_at_its_blank_lines_under_its_name() {
    let steps: Vec<String> =
        (0..9).map(|n| format!("    let first_{n} = {n};\n    let second_{n} = first_{n} + 1;\n")).collect();
    let text = format!("fn long() {{\n{}}}\n", steps.join("\n"));
    let chunks = code("rust", &text, &small(64));
    assert!(chunks.len() > 2);
    assert!(chunks.iter().all(|chunk| chunk.heading_path == ["fn long"]), "{chunks:#?}");
    assert!(chunks[1..].iter().all(|chunk| chunk.text.starts_with("    let first_")), "{chunks:#?}");
}

#[test]
fn without_blank_lines_whole_statements_stay_together() {
    let statements: Vec<String> =
        (0..9).map(|n| format!("    call_{n}(\n        first_{n},\n        second_{n},\n    );\n")).collect();
    let chunks = code("rust", &format!("fn long() {{\n{}}}\n", statements.concat()), &small(64));
    assert!(chunks.len() > 2);
    assert!(chunks[1..].iter().all(|chunk| chunk.text.starts_with("    call_")), "{chunks:#?}");
}

#[test]
fn other_languages_are_cut_at_blank_lines() {
    let blocks: Vec<String> = (0..12).map(|n| format!("set first_{n} {n}\nset second_{n} {n}\n")).collect();
    let chunks = code("tcl", &blocks.join("\n"), &small(48));
    assert!(chunks.len() > 2);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("set first_") && chunk.heading_path.is_empty()));
}

#[test]
fn a_markdown_file_among_code_is_cut_at_its_headings() {
    let text =
        "# Engines\n\nThey are made of brass and of many wheels.\n\n## Fuel\n\nCoal, and lots of it, every day.\n";
    let chunks = code("markdown", text, &small(16));
    let sections = [("# Engines", "Engines"), ("## Fuel", "Engines > Fuel")];
    assert_eq!(heads(&chunks), expected(&sections));
}

#[test]
fn code_that_does_not_parse_is_still_cut() {
    let text = "fn a( {\n  }} impl ((( struct\n\n".repeat(40);
    assert!(code("rust", &text, &small(40)).len() > 5);
}
