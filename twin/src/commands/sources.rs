//! `twin sources`: what is collected.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::Value;
use twin_api::{NewSourceRequest, Removed, SecretText, SourceList, SourceView, SyncStatus};
use twin_schemas::{AuthorId, Category};

use super::lists::Limit;
use super::locate::{One, absolute, find_one, short_id};
use super::source_files::{self, RemoveFile, Upload};
use super::text::{Align, Table, count, duration, fields, moment, relative};
use super::views::{SOURCES, author_query, sync_status};
use super::{AuthorOption, Context};
use crate::client::parse;
use crate::error::CommandError;

/// How many documents that could not be read are shown.
const FAILURES_SHOWN: usize = 10;

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub enum Sources {
    /// Register a source: a folder, a feed (or the page that names it), a git repository, uploads. It is synced at once and
    /// then at its interval.
    Add(Add),
    /// List sources, and how their last syncs went.
    List(List),
    /// Show a source.
    Show(One),
    /// Let the next sync of a source delete as many documents as it finds gone.
    Confirm(One),
    /// Upload a file to a source of kind `files`: Markdown, HTML or text, or a zip archive of such files.
    Upload(Upload),
    /// List the files that were uploaded to a source.
    Files(One),
    /// Remove an uploaded file, and delete its documents.
    RemoveFile(RemoveFile),
    /// Forget a source, and delete its documents.
    Remove(Remove),
}

/// A source to register.
#[derive(Debug, Args)]
pub struct Add {
    /// Whose documents they are: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.
    #[arg(long, short, env = "TWIN_AUTHOR")]
    author: AuthorId,
    /// `feed`, `git`, `folder`, `files`; told from the location if absent.
    #[arg(long)]
    kind: Option<String>,
    /// A URL, or a path on the machine of the twin, or a name for uploads: `files:notes`.
    location: String,
    /// What its documents are, where the kind leaves it open: article, post or code. The prose of a git repository is
    /// code unless this says otherwise.
    #[arg(long, short)]
    category: Option<Category>,
    /// Time between syncs: 30s, 15min, 1h, 1day. The twin's own setting if absent.
    #[arg(long, value_parser = whole_seconds)]
    interval: Option<u64>,
    /// A setting of its kind: `user=ada`. Of a feed `user` or `header`, of a git repository `user`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// A secret, from an environment variable: `token=FEED_TOKEN`. Of a feed `token`, `password` or `header`, of a git
    /// repository `token`.
    #[arg(long, value_name = "NAME=VARIABLE", value_parser = pair)]
    secret_env: Vec<(String, String)>,
    /// A secret, from a file: `token=/run/secrets/feed`. A line end at its end is no part of it.
    #[arg(long, value_name = "NAME=FILE", value_parser = pair)]
    secret_file: Vec<(String, String)>,
    /// Take the secrets away that it has.
    #[arg(long, conflicts_with_all = ["secret_env", "secret_file"])]
    forget_secrets: bool,
    /// Register it without a look at whether it can be reached and read.
    #[arg(long)]
    force: bool,
}

/// Which sources.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    author: AuthorOption,
    #[command(flatten)]
    limit: Limit,
}

/// A source to remove.
#[derive(Debug, Args)]
pub struct Remove {
    /// Its id, the beginning of its id, or its location.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Leave its documents: they stay, and are searched.
    #[arg(long)]
    keep_documents: bool,
}

/// Runs the command.
pub async fn run(command: Sources, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Sources::Add(args) => add(args, context).await,
        Sources::List(args) => list(args, context).await,
        Sources::Show(args) => show(args, context).await,
        Sources::Confirm(args) => confirm(args, context).await,
        Sources::Upload(args) => source_files::upload(args, context).await,
        Sources::Files(args) => source_files::list(args, context).await,
        Sources::RemoveFile(args) => source_files::remove(args, context).await,
        Sources::Remove(args) => remove(args, context).await,
    }
}

async fn add(args: Add, context: &mut Context) -> Result<(), CommandError> {
    let secrets = secrets(&args)?;
    // The name of uploads is no path.
    let is_path = args.kind.as_deref() != Some("files");
    let location = if is_path { absolute(&args.location)? } else { args.location };
    let asked_for = location.clone();
    let body = NewSourceRequest {
        author: args.author,
        kind: args.kind,
        location,
        category: args.category,
        interval_s: args.interval,
        settings: args.settings.into_iter().map(|(name, text)| (name, setting(text))).collect(),
        secrets,
        unchecked: args.force,
    };
    let reply = context.client.post(&["sources"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let source: SourceView = reply.parse()?;
    let done = if reply.is_created() { "registered" } else { "was there, and has the new settings:" };
    let every = duration(source.interval_s as f64);
    context
        .out
        .line(&format!("{done} {} {} for {}, synced every {every}", source.kind, source.location, source.author))?;
    context.out.line(&source.id.to_string())?;
    if source.kind == "feed" && source.location.trim_end_matches('/') != asked_for.trim_end_matches('/') {
        context.out.note(&format!("{} is the feed of {asked_for}", source.location));
    }
    context.out.note(&match source.kind.as_str() {
        "files" => format!("next: twin sources upload {} FILE", source.location),
        _ => format!("next: twin sync --author {} --wait", source.author),
    });
    Ok(())
}

/// The secrets of the command line's variables and files; none if it names none, so that the source keeps its own.
fn secrets(args: &Add) -> Result<Option<BTreeMap<String, SecretText>>, CommandError> {
    let mut secrets = BTreeMap::new();
    for (name, variable) in &args.secret_env {
        let text = std::env::var(variable).map_err(|_| {
            CommandError::Usage(format!("secret {name}: the variable {variable} is not set, or not UTF-8"))
        })?;
        secrets.insert(name.clone(), SecretText::new(text));
    }
    for (name, path) in &args.secret_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| CommandError::Usage(format!("secret {name}: {path}: {error}")))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        secrets.insert(name.clone(), SecretText::new(text));
    }
    Ok((args.forget_secrets || !secrets.is_empty()).then_some(secrets))
}

/// A setting's value: a number, true or false as such, anything else as a text.
fn setting(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text),
    }
}

async fn list(args: List, context: &mut Context) -> Result<(), CommandError> {
    let query = author_query(args.author.name());
    let document = SOURCES.read(&context.client, &query, None, args.limit).await?;
    if context.json {
        return context.out.json(&document);
    }
    let SourceList { sources, next } = parse(&document)?;
    if sources.is_empty() {
        context.out.note("no source is registered; next: twin sources add --author AUTHOR FOLDER-OR-URL");
        return Ok(());
    }
    context.out.line(&table(&sources).render())?;
    if next.is_some() {
        context.out.note("there are more; see --limit");
    }
    Ok(())
}

async fn show(args: One, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    if context.json {
        let reply = context.client.get(&["sources", &source.id.to_string()], &[]).await?;
        return context.out.json(reply.json());
    }
    context.out.line(&description(&source))
}

async fn confirm(args: One, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    let reply = context.client.trigger(&["sources", &source.id.to_string(), "confirm"]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let gone = match source.awaiting_deletions {
        0 => "what it finds gone".to_owned(),
        gone => format!("the {} found gone", count(gone, "document")),
    };
    context.out.line(&format!("confirmed: the next sync of {} deletes {gone}", source.location))?;
    context.out.note(&format!("next: twin sync {} --wait", source.id));
    Ok(())
}

async fn remove(args: Remove, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    let documents = if args.keep_documents { "keep" } else { "delete" };
    let reply = context.client.delete(&["sources", &source.id.to_string()], &[("documents", documents)]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let removed: Removed = reply.parse()?;
    let documents = if args.keep_documents {
        "its documents stay".to_owned()
    } else {
        format!("{} deleted", count(removed.documents_deleted, "document"))
    };
    context.out.line(&format!("removed {} {}; {documents}", source.kind, source.location))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    if name.is_empty() || value.is_empty() {
        return Err("neither side of '=' may be empty".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    let interval: Duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match interval.as_secs() {
        0 => Err("it must be at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}

/// The sources, one a line.
pub fn table(sources: &[SourceView]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("AUTHOR", Left),
        ("KIND", Left),
        ("LOCATION", Left),
        ("LAST SYNC", Left),
        ("SEEN", Right),
        ("NEW", Right),
        ("CHANGED", Right),
        ("DELETED", Right),
        ("FAILED", Right),
        ("NEXT", Left),
    ]);
    let now = Utc::now();
    for source in sources {
        let mut row =
            vec![short_id(source, sources), source.author.clone(), source.kind.clone(), source.location.clone()];
        match &source.last_sync {
            Some(sync) => {
                row.push(format!("{}, {}", sync_status(sync.status), relative(sync.finished_at, now)));
                let numbers = [sync.seen, sync.new, sync.changed, sync.deleted, sync.failed_total];
                row.extend(numbers.map(|number| number.to_string()));
            }
            None => {
                row.push("not yet".to_owned());
                row.extend(std::iter::repeat_n("-".to_owned(), 5));
            }
        }
        row.push(if source.next_run_at <= now { "due".to_owned() } else { relative(source.next_run_at, now) });
        table.row(row);
    }
    table
}

fn description(source: &SourceView) -> String {
    let mut pairs = vec![
        ("id", source.id.to_string()),
        ("author", source.author.clone()),
        ("kind", source.kind.clone()),
        ("location", source.location.clone()),
        ("category", source.category.map_or("as the kind says", Category::as_str).to_owned()),
        ("interval", duration(source.interval_s as f64)),
        ("registered", moment(source.created_at)),
        ("next sync", moment(source.next_run_at)),
    ];
    if !source.settings.is_empty() {
        pairs.push(("settings", Value::Object(source.settings.clone()).to_string()));
    }
    if !source.secrets.is_empty() {
        pairs.push(("secrets", source.secrets.join(", ")));
    }
    let Some(sync) = &source.last_sync else {
        pairs.push(("last sync", "not yet".to_owned()));
        return fields(&pairs);
    };
    let took = (sync.finished_at - sync.started_at).as_seconds_f64();
    pairs.extend([
        ("last sync", format!("{}, in {}", sync_status(sync.status), duration(took))),
        ("started", moment(sync.started_at)),
        ("seen", sync.seen.to_string()),
        ("new", sync.new.to_string()),
        ("changed", sync.changed.to_string()),
        ("deleted", sync.deleted.to_string()),
        ("failed", sync.failed_total.to_string()),
    ]);
    if sync.waited_ms >= 1000 {
        let waited = duration(sync.waited_ms as f64 / 1000.0);
        pairs.push(("waited", format!("{waited} for its turns at servers, and because they asked for that")));
    }
    if let Some(reason) = &sync.reason {
        pairs.push(("reason", reason.clone()));
    }
    if sync.status == SyncStatus::AwaitingConfirmation && source.awaiting_deletions > 0 {
        let gone = count(source.awaiting_deletions, "document");
        pairs.push(("gone", format!("{gone}; `twin sources confirm {}` lets them be deleted", source.id)));
    }
    let mut text = fields(&pairs);
    for failure in sync.failed.iter().take(FAILURES_SHOWN) {
        text += &format!("\n  {}: {}", failure.natural_key, failure.reason);
    }
    let shown = sync.failed.len().min(FAILURES_SHOWN) as u64;
    if sync.failed_total > shown {
        text += &format!("\n  and {} more", sync.failed_total - shown);
    }
    text
}

#[cfg(test)]
pub mod testing {
    use serde_json::Map;

    use super::*;

    /// A source that was not synced yet, whose id begins with these hexadecimal digits.
    pub fn source(id: &str, location: &str) -> SourceView {
        SourceView {
            id: format!("{id:0<32}").parse().unwrap(),
            author: "ada".to_owned(),
            kind: "folder".to_owned(),
            location: location.to_owned(),
            category: None,
            interval_s: 900,
            created_at: chrono::DateTime::UNIX_EPOCH,
            next_run_at: chrono::DateTime::UNIX_EPOCH,
            deletions_confirmed: false,
            awaiting_deletions: 0,
            last_sync: None,
            settings: Map::new(),
            secrets: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_as_people_write_it() {
        assert_eq!(whole_seconds("1h"), Ok(3600));
        assert_eq!(whole_seconds("15min"), Ok(900));
        assert!(whole_seconds("10ms").is_err());
        assert!(whole_seconds("soon").is_err());
    }

    #[test]
    fn settings_and_secrets_come_in_pairs_and_a_setting_is_a_number_a_flag_or_a_text() {
        assert_eq!(pair("user=ada=b"), Ok(("user".to_owned(), "ada=b".to_owned())));
        assert!(pair("user").is_err() && pair("=x").is_err() && pair("token=").is_err());
        assert_eq!(setting("3".to_owned()), Value::from(3));
        assert_eq!(setting("true".to_owned()), Value::from(true));
        assert_eq!(setting("\"ada\"".to_owned()), Value::from("\"ada\""));
    }
}
