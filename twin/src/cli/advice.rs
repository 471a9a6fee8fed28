//! What messages and pages tell people to run is what the command line knows.

use std::path::Path;

use clap::{Command, CommandFactory};
use walkdir::WalkDir;

use super::Cli;

/// Folders and pages that name commands, from the root of the repository.
const PLACES: [&str; 11] = [
    "schemas/src",
    "platform",
    "producers",
    "processors",
    "consumers",
    "twin/src",
    "scripts",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
];

/// What a command is written behind; behind anything else, `twin` is a word of a sentence.
const BEFORE: [&str; 7] = ["`", "\"", ": ", ", ", "; ", "see ", "nice "];

/// Beginnings of sentences that such a mark stands before all the same.
const SENTENCES: [&str; 3] = ["is running", "ended while", "was not"];

/// What a command ends with, at the latest.
const ENDS: [&str; 9] = ["`", "\"", "\\n", "\n", "#", ";", "|", ",", "("];

/// The commands that a text names, without `twin` itself.
fn commands(text: &str) -> Vec<&str> {
    let named = text.match_indices("twin ").filter(|(at, _)| {
        let before = &text[..*at];
        before.is_empty() || before.ends_with('\n') || BEFORE.iter().any(|mark| before.ends_with(mark))
    });
    let rest = named.map(|(at, name)| &text[at + name.len()..]);
    let ended = rest.map(|rest| {
        let end = ENDS.iter().filter_map(|end| rest.find(end)).min();
        rest[..end.unwrap_or(rest.len())].trim()
    });
    let is_sentence = |text: &str| SENTENCES.iter().any(|beginning| text.starts_with(beginning));
    ended.filter(|text| text.starts_with(|c: char| c.is_ascii_lowercase()) && !is_sentence(text)).collect()
}

/// What is wrong with a command.
fn fault(command: &str) -> Option<String> {
    let mut root = Cli::command();
    root.build();
    let mut at: &Command = &root;
    for word in command.split_whitespace() {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap_or_default();
            let known = at.get_arguments().any(|argument| argument.get_long() == Some(flag));
            if !known {
                return Some(format!("{} has no --{flag}", at.get_name()));
            }
        } else if let Some(inner) = at.find_subcommand(word) {
            at = inner;
        } else if at.has_subcommands() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Some(format!("{} has no command {word}", at.get_name()));
        }
    }
    None
}

fn files() -> impl Iterator<Item = walkdir::DirEntry> {
    // Cargo runs tests in their package's folder.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let places = PLACES.map(|place| root.join(place));
    places.into_iter().flat_map(|place| WalkDir::new(place).into_iter().map(Result::unwrap)).filter(|entry| {
        // The examples below are wrong on purpose.
        entry.file_type().is_file() && !entry.path().ends_with("cli/advice.rs")
    })
}

#[test]
fn every_command_that_is_named_anywhere_exists() {
    let mut named = 0;
    for file in files() {
        // Some test files are no text.
        let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
        for command in commands(&text) {
            named += 1;
            let fault = fault(command);
            assert!(fault.is_none(), "{}: `twin {command}`: {}", file.path().display(), fault.unwrap_or_default());
        }
    }
    assert!(named > 100, "only {named} commands were seen");
}

#[test]
fn a_command_or_a_flag_that_does_not_exist_is_seen() {
    let text = "it; `twin push` or `twin documents push --key K`\ntwin sync --later # now\nnext: twin dlq shwo ID, \
                twin jobs list; the twin answers, twin ask \"x\"";
    let seen: Vec<_> = commands(text).into_iter().map(|command| (command, fault(command).is_some())).collect();
    let expected = [
        ("push", true),
        ("documents push --key K", false),
        ("sync --later", true),
        ("dlq shwo ID", true),
        ("jobs list", false),
        ("ask", false),
    ];
    assert_eq!(seen, expected);
}
