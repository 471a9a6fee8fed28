//! The command line over a running twin.

use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_stack::TwinProcess;
use twin_tests::{Folder, Shared, TOPICS, author, note, start};

fn twin() -> Result<Arc<TwinProcess>> {
    static TWIN: Shared<TwinProcess> = Shared::new();
    TWIN.get(|| start(&[]))
}

fn run(arguments: &[&str]) -> Result<Output> {
    Ok(twin()?.command(arguments).output()?)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The output of a command that succeeds.
fn succeed(arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    ensure!(output.status.success(), "twin {arguments:?} ended with {}: {}", output.status, stderr(&output));
    Ok(String::from_utf8(output.stdout)?)
}

/// The output of a command that succeeds with `--json`: exactly one JSON document.
fn json_of(arguments: &[&str]) -> Result<Value> {
    let text = succeed(&[arguments, &["--json"]].concat())?;
    serde_json::from_str(&text).with_context(|| format!("twin {arguments:?} --json wrote {text:?}"))
}

/// A registered folder.
struct Source {
    author: String,
    folder: Folder,
    id: String,
}

/// Registers a folder of so many notes and waits until they are searchable.
fn synced_folder(notes: usize) -> Result<Source> {
    let (author, folder) = (author(), Folder::new()?);
    folder.write(TOPICS[0].file, TOPICS[0].text)?;
    for number in 1..notes {
        folder.write(&format!("note-{number}.md"), &note(&format!("voyage {number}")))?;
    }
    let added = json_of(&["sources", "add", "--author", &author, folder.location()])?;
    let id = added["id"].as_str().context("a source has an id")?.to_owned();
    succeed(&["sync", "--author", &author, "--wait"])?;
    Ok(Source { author, folder, id })
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn a_source_is_added_listed_shown_synced_and_removed() -> Result<()> {
    let Source { author, folder, id } = synced_folder(3)?;
    let short = &id[..13];
    assert_has(
        &succeed(&["sources", "list", "--author", &author])?,
        &[&author, "folder", folder.location(), "completed"],
    );
    assert_has(&succeed(&["sources", "show", short])?, &[&id, &author, folder.location(), "completed"]);
    assert_eq!(json_of(&["sources", "show", folder.location()])?["id"], json!(id));
    let list = json_of(&["sources", "list", "--author", &author])?;
    assert_eq!(list["sources"][0]["last_sync"]["seen"], 3, "{list}");

    folder.write("new.md", &note("a fourth thing"))?;
    let summary = json_of(&["sync", &id, "--wait"])?;
    assert!(summary.is_object(), "{summary}");
    assert_eq!(json_of(&["status", "--author", &author])?["totals"]["searchable"], 4);

    assert_has(&succeed(&["sources", "remove", short])?, &["removed", "4 documents"]);
    assert_eq!(json_of(&["sources", "list", "--author", &author])?["sources"], json!([]));
    succeed(&["sync", "--author", &author, "--wait"])?;
    assert_eq!(json_of(&["status", "--author", &author])?["totals"]["documents"], 0);
    Ok(())
}

#[test]
fn what_was_synced_is_found_and_asked_about() -> Result<()> {
    let Source { author, .. } = synced_folder(3)?;
    let topic = TOPICS[0];
    assert_has(&succeed(&["search", "--author", &author, "-k", "2", topic.question])?, &[topic.file]);
    let found = json_of(&["search", "--author", &author, "-k", "2", topic.question])?;
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(found["hits"][0]["natural_key"], topic.file);

    let streamed = succeed(&["ask", "--author", &author, "-k", "2", topic.question])?;
    assert_has(&streamed, &["[1]", "Sourdough", topic.file]);
    let whole = succeed(&["ask", "--author", &author, "-k", "2", "--no-stream", topic.question])?;
    assert_has(&whole, &["[1]", "Sourdough"]);
    let answer = json_of(&["ask", "--author", &author, "-k", "2", topic.question])?;
    // Of the two that were found, the one that the model was given.
    assert_eq!((&answer["abstained"], answer["citations"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    let unknown = "Which tax form does a shipping company file?";
    assert_has(&succeed(&["ask", "--author", &author, "-k", "2", unknown])?, &["does not know"]);
    Ok(())
}

#[test]
fn documents_are_pushed_listed_shown_and_removed() -> Result<()> {
    let (author, folder) = (author(), TempDir::new()?);
    let file = folder.path().join("tides.md");
    std::fs::write(&file, TOPICS[2].text)?;
    let file = file.to_str().context("the path is UTF-8")?;
    let pushed = json_of(&["documents", "push", "--author", &author, "--category", "article", "--key", "tides", file])?;
    let id = pushed["document_id"].as_str().context("a document has an id")?;
    succeed(&["sync", "--author", &author, "--wait"])?;
    assert_has(&succeed(&["documents", "list", "--author", &author])?, &[id, "tides", "article"]);
    assert_has(&succeed(&["documents", "show", id])?, &[id, &author, "markdown", "indexed", "done"]);
    assert_eq!(json_of(&["documents", "show", id])?["searchable"], true);
    json_of(&["documents", "push", "--author", &author, "--category", "article", "--key", "again", file])?;
    let list = ["documents", "list", "--author", author.as_str()];
    let listed = |limit: &[&str]| json_of(&[list.as_slice(), limit].concat());
    let all = listed(&[])?;
    assert_eq!((all["documents"].as_array().map(Vec::len), &all["next"]), (Some(2), &Value::Null), "{all}");
    let first = listed(&["--limit", "1"])?;
    assert_eq!((first["documents"].as_array().map(Vec::len), first["next"].is_string()), (Some(1), true), "{first}");
    succeed(&["documents", "remove", id])?;
    assert_has(&succeed(&["documents", "show", id])?, &["deleted"]);
    Ok(())
}

#[test]
fn the_status_is_told_to_people_and_to_programs() -> Result<()> {
    let twin = twin()?;
    assert_has(&succeed(&["status"])?, &[twin.base_url(), "ready", "cleaner", "embedder"]);
    let status = json_of(&["status"])?;
    assert_eq!(status["ready"], true, "{status}");
    assert!(status["stages"].as_array().is_some_and(|stages| stages.len() == 7), "{status}");
    assert_eq!(json_of(&["dlq", "list"])?["dead_letters"], json!([]));
    Ok(())
}

#[test]
fn more_deletions_than_the_brake_lets_through_wait_for_a_confirmation() -> Result<()> {
    let Source { author, folder, id } = synced_folder(10)?;
    for number in 1..=5 {
        folder.remove(&format!("note-{number}.md"))?;
    }
    // Five may always go.
    succeed(&["sync", "--author", &author, "--wait"])?;
    assert_eq!(json_of(&["status", "--author", &author])?["totals"]["documents"], 5);

    for number in 11..=16 {
        folder.write(&format!("note-{number}.md"), &note(&format!("voyage {number}")))?;
    }
    succeed(&["sync", "--author", &author, "--wait"])?;
    for number in 11..=16 {
        folder.remove(&format!("note-{number}.md"))?;
    }
    let held = run(&["sync", "--author", &author, "--wait"])?;
    assert_eq!(held.status.code(), Some(1), "six of eleven: {}", stderr(&held));
    assert_has(&stderr(&held), &["6 documents", "twin sources confirm"]);
    let totals = || -> Result<Value> { Ok(json_of(&["status", "--author", &author])?["totals"].clone()) };
    assert_eq!(totals()?["searchable"], 11, "nothing was deleted unasked");

    assert_has(&succeed(&["sources", "confirm", &id])?, &["6 documents"]);
    succeed(&["sync", "--author", &author, "--wait"])?;
    assert_eq!((&totals()?["documents"], &totals()?["searchable"]), (&json!(5), &json!(5)));
    Ok(())
}

#[test]
fn a_source_that_can_not_be_read_fails_the_sync_and_says_why() -> Result<()> {
    let Source { author, folder, .. } = synced_folder(2)?;
    let location = folder.location().to_owned();
    drop(folder);
    let output = run(&["sync", "--author", &author, "--wait"])?;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_has(&stderr(&output), &[&location, "nothing was deleted"]);
    assert_eq!(json_of(&["status", "--author", &author])?["totals"]["searchable"], 2);
    Ok(())
}

#[test]
fn without_a_server_a_command_ends_with_69_and_says_where_it_looked() -> Result<()> {
    let nowhere = "http://127.0.0.1:9";
    for arguments in [&["status"][..], &["search", "--author", "ada", "x"], &["sync", "--wait"], &["dlq", "list"]] {
        let output = run(&[arguments, &["--url", nowhere]].concat())?;
        assert_eq!(output.status.code(), Some(69), "{arguments:?}: {}", stderr(&output));
        assert_has(&stderr(&output), &[nowhere, "twin run"]);
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_field_that_the_twin_refuses_ends_with_64_and_is_named() -> Result<()> {
    let Source { author, .. } = synced_folder(1)?;
    let cases: [(&[&str], &str); 4] = [
        (&["search", "--author", &author, "-k", "5000", "x"], "k"),
        (&["ask", "--author", &author, " "], "question"),
        (&["sources", "add", "--author", &author, "/nowhere/at/all"], "location"),
        (&["sources", "add", "--author", &author, "--kind", "pigeon", "/"], "kind"),
    ];
    for (arguments, field) in cases {
        let output = run(arguments)?;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert_has(&stderr(&output), &[field]);
    }
    let output = run(&["sources", "show", "nothing-like-it"])?;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    Ok(())
}

#[test]
fn arguments_that_can_not_be_read_end_with_2() -> Result<()> {
    let cases = [
        &["serch"][..],
        &["search", "--author", "ada", "-k", "many", "x"],
        &["search", "--author", "Not A Handle", "x"],
    ];
    for arguments in cases {
        let output = run(arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(!output.stderr.is_empty());
    }
    Ok(())
}

#[test]
fn the_effective_configuration_says_where_each_value_comes_from_and_shows_no_secret() -> Result<()> {
    let twin = twin()?;
    let command = |arguments: &[&str]| -> Result<String> {
        let output = twin.command(arguments).env("TWIN_LLM_API_KEY", "very-secret").output()?;
        ensure!(output.status.success(), "{}", stderr(&output));
        Ok(String::from_utf8(output.stdout)?)
    };
    let text = command(&["config"])?;
    assert_has(&text, &["llm.max_tokens = 24", "TWIN_LLM_MAX_TOKENS"]);
    let json: Value = serde_json::from_str(&command(&["config", "--json"])?)?;
    assert_eq!(json["llm.max_tokens"]["value"], 24, "{json}");
    for told in [text, json.to_string()] {
        assert!(!told.contains("very-secret"), "the key is shown: {told}");
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let Source { author, .. } = synced_folder(1)?;
    let command = twin()?.command(&["search", "--author", &author, "bread"]);
    // The shell's `pipefail` gives the code of the command before the pipe.
    let program = command.get_program().to_str().context("the path of the binary is UTF-8")?;
    let mut piped = Command::new("bash");
    piped.args(["-c", "set -o pipefail; \"$0\" search --author \"$1\" bread | head -c 1", program, &author]);
    piped.env("TWIN_URL", twin()?.base_url());
    let output = piped.output()?;
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    assert_eq!(output.stdout.len(), 1);
    Ok(())
}
