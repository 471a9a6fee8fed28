//! `twin dlq`: events that a stage gave up on.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use twin_api::{DeadLetterList, DeadLetterView, Replayed};

use super::Context;
use super::lists::{self, Limit};
use super::text::{Align, Table, count, cut, fields, moment, relative};
use crate::client::parse;
use crate::error::CommandError;

/// The letters, newest first.
const LIST: lists::List<'static> = lists::List { path: &["dlq"], rows: "dead_letters", cursor: "before", page: 1_000 };
/// Width of a message in a table, columns.
const MESSAGE_WIDTH: usize = 80;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// List dead letters, newest first.
    List(List),
    /// Show a dead letter, with its payload.
    Show(Show),
    /// Append dead letters to their topics again, for the stages that gave up.
    Replay(Replay),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct List {
    /// Only those read from this topic.
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    limit: Limit,
    /// Those that come after an earlier list: what it named as `--before`.
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

/// Which dead letter.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, from `twin dlq list`.
    id: String,
}

/// Which dead letters to replay.
#[derive(Debug, Args)]
pub struct Replay {
    /// Their ids, from `twin dlq list`.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All that were not replayed yet, oldest first.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub async fn run(command: Dlq, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Dlq::List(args) => list(args, context).await,
        Dlq::Show(args) => show(args, context).await,
        Dlq::Replay(args) => replay(args, context).await,
    }
}

async fn list(args: List, context: &mut Context) -> Result<(), CommandError> {
    let query: Vec<_> = args.topic.as_deref().map(|topic| ("topic", topic)).into_iter().collect();
    let document = LIST.read(&context.client, &query, args.before.as_deref(), args.limit).await?;
    if context.json {
        return context.out.json(&document);
    }
    let DeadLetterList { dead_letters, next } = parse(&document)?;
    if dead_letters.is_empty() {
        context.out.note("no dead letter");
        return Ok(());
    }
    context.out.line(&table(&dead_letters, Utc::now()).render())?;
    if let Some(next) = next {
        context.out.note(&format!("older ones: --before {next}"));
    }
    context.out.note("next: twin dlq show ID, twin dlq replay ID");
    Ok(())
}

fn table(letters: &[DeadLetterView], now: DateTime<Utc>) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("STAGE", Left),
        ("DEAD", Left),
        ("TRIED", Right),
        ("REPLAYED", Left),
        ("SUBJECT", Left),
        ("WHY", Left),
    ]);
    for letter in letters {
        table.row(vec![
            letter.id.clone(),
            letter.stage.clone(),
            relative(letter.dead_at, now),
            letter.attempts.to_string(),
            if letter.replayed { "yes" } else { "no" }.to_owned(),
            letter.subject.clone().unwrap_or_else(|| letter.key.clone()),
            cut(&format!("{}: {}", letter.class, letter.message), MESSAGE_WIDTH),
        ]);
    }
    table
}

async fn show(args: Show, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["dlq", &args.id], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let letter: DeadLetterView = reply.parse()?;
    context.out.line(&description(&letter))?;
    if !letter.replayed {
        context.out.note(&format!("next: twin dlq replay {}", letter.id));
    }
    Ok(())
}

fn description(letter: &DeadLetterView) -> String {
    let mut pairs = vec![
        ("id", letter.id.clone()),
        ("topic", letter.topic.clone()),
        ("position", letter.original_position.clone()),
        ("stage", letter.stage.clone()),
        ("why", format!("{}: {}", letter.class, letter.message)),
        ("tried", count(u64::from(letter.attempts), "time")),
        ("key", letter.key.clone()),
    ];
    pairs.extend(letter.first_seen.map(|at| ("first seen", moment(at))));
    pairs.push(("given up", moment(letter.dead_at)));
    pairs.extend(letter.event_type.clone().map(|name| ("event", name)));
    pairs.extend(letter.subject.clone().map(|subject| ("subject", subject)));
    pairs.extend(letter.revision.map(|revision| ("revision", revision.to_string())));
    pairs.push(("replayed", if letter.replayed { "yes" } else { "no" }.to_owned()));
    let value = match &letter.value {
        None => "(no payload: a deletion)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => format!("{value:#}"),
    };
    format!("{}\n\n{value}", fields(&pairs))
}

async fn replay(args: Replay, context: &mut Context) -> Result<(), CommandError> {
    let ids = if args.all { not_replayed(context).await? } else { args.ids };
    let mut replayed = Vec::new();
    let mut failed = Vec::new();
    for id in &ids {
        match context.client.trigger(&["dlq", id, "replay"]).await {
            Ok(reply) => {
                let Replayed { position } = reply.parse()?;
                if !context.json {
                    context.out.line(&format!("{id} -> {position}"))?;
                }
                replayed.push(json!({ "id": id, "position": position }));
            }
            Err(error @ (CommandError::NotFound(_) | CommandError::Problem { .. })) => {
                failed.push(format!("{id}: {error}"))
            }
            Err(error) => return Err(error),
        }
    }
    if context.json {
        context.out.json(&json!({ "replayed": replayed, "failed": failed }))?;
    } else if ids.is_empty() {
        context.out.note("no dead letter is left to replay");
    }
    if failed.is_empty() {
        return Ok(());
    }
    let total = count(ids.len() as u64, "dead letter");
    Err(CommandError::Failed(format!("{} of {total} not replayed:\n  {}", failed.len(), failed.join("\n  "))))
}

/// The ids of the letters that were not replayed, oldest first: events of one document keep their order.
async fn not_replayed(context: &mut Context) -> Result<Vec<String>, CommandError> {
    let list: DeadLetterList = parse(&LIST.read_all(&context.client, &[]).await?)?;
    let open = list.dead_letters.into_iter().rev().filter(|letter| !letter.replayed);
    Ok(open.map(|letter| letter.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(value: Value) -> DeadLetterView {
        serde_json::from_value(json!({
            "id": "twin.documents.raw.v1:7", "topic": "twin.documents.raw.v1", "stage": "cleaner", "class": "decode",
            "message": "no JSON", "attempts": 1, "first_seen": null, "dead_at": "2026-01-01T00:00:00Z",
            "original_position": "twin.documents.raw.v1[0]@5", "key": "k", "headers": {}, "value": value,
            "replayed": false,
        }))
        .unwrap()
    }

    #[test]
    fn a_dead_letter_shows_why_and_its_payload() {
        let text = description(&letter(json!({"a": 1})));
        assert!(text.contains("why       decode: no JSON") && text.ends_with("{\n  \"a\": 1\n}"), "{text}");
        assert!(description(&letter(Value::Null)).ends_with("a deletion)"));
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let row = table(&[letter(Value::Null)], now).render();
        assert!(row.contains("5 min ago") && row.contains("decode: no JSON"), "{row}");
    }
}
