//! `twin documents`: single documents, pushed by hand or looked at on their way.

use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use twin_schemas::{AuthorId, Category, DocumentId};

use super::text::{Align, Table, cut, fields, moment};
use super::{AuthorOption, CommandError, Context};

/// Width of a title in a table, columns.
const TITLE_WIDTH: usize = 60;

/// What to do with documents.
#[derive(Debug, Subcommand)]
pub enum Documents {
    /// List documents, newest change first.
    List(List),
    /// Show a document: how far it has come, and why it is not searchable if it is not.
    Show(Show),
    /// Push a document; under the same key again, its new text.
    Push(Push),
    /// Delete a document. One of a source comes back if the source changes it.
    Remove(Remove),
}

/// Which documents.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    author: AuthorOption,
    /// Only the document with this URL.
    #[arg(long)]
    document_url: Option<String>,
    /// At most so many, 1 to 1000.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// Which document.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id.
    id: DocumentId,
    /// Write its content instead, as its source gave it.
    #[arg(long)]
    content: bool,
}

/// A document to push.
#[derive(Debug, Args)]
pub struct Push {
    /// Whose it is: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.
    #[arg(long, short, env = "TWIN_AUTHOR")]
    author: AuthorId,
    /// article, post or code.
    #[arg(long, short)]
    category: Category,
    /// Your own name for it, unique for the author.
    #[arg(long)]
    key: String,
    /// Its title.
    #[arg(long)]
    title: Option<String>,
    /// Where a person can read it: an http or https URL.
    #[arg(long)]
    document_url: Option<String>,
    /// When it was published: 2026-01-31T12:00:00Z.
    #[arg(long)]
    published_at: Option<DateTime<Utc>>,
    /// How it is written; told from the file's name if absent, plain text where that says nothing.
    #[arg(long)]
    format: Option<Format>,
    /// The file; `-` is standard input.
    file: PathBuf,
}

/// How a document is written. The names are the fields of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Markdown,
    Text,
}

/// A document to delete.
#[derive(Debug, Args)]
pub struct Remove {
    /// Its id.
    id: DocumentId,
}

#[derive(Deserialize)]
struct Summary {
    document_id: String,
    revision: u64,
    live_revision: Option<u64>,
    author: String,
    category: String,
    source_kind: String,
    source_id: Option<String>,
    natural_key: String,
    title: Option<String>,
    url: Option<String>,
    published_at: Option<DateTime<Utc>>,
    observed_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    summary: Summary,
    media_type: String,
    content: String,
    searchable: bool,
    reason: Option<String>,
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    stage: String,
    state: String,
    at: Option<DateTime<Utc>>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Pushed {
    document_id: String,
    revision: u64,
    change: String,
}

/// Runs the command.
pub async fn run(command: Documents, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Documents::List(args) => list(args, context).await,
        Documents::Show(args) => show(args, context).await,
        Documents::Push(args) => push(args, context).await,
        Documents::Remove(args) => remove(args, context).await,
    }
}

async fn list(args: List, context: &mut Context) -> Result<(), CommandError> {
    #[derive(Deserialize)]
    struct Listed {
        documents: Vec<Summary>,
    }
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.author.name().map(|author| ("author", author)));
    query.extend(args.document_url.as_deref().map(|url| ("url", url)));
    let reply = context.client.get(&["documents"], &query).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let documents = reply.parse::<Listed>()?.documents;
    if documents.is_empty() {
        context.out.note("no document");
        return Ok(());
    }
    context.out.line(&table(&documents).render())?;
    if documents.len() == args.limit as usize {
        context.out.note("there may be more; see --limit");
    }
    Ok(())
}

fn table(documents: &[Summary]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("ID", Left),
        ("AUTHOR", Left),
        ("CATEGORY", Left),
        ("SOURCE", Left),
        ("REVISION", Right),
        ("SEARCHED", Right),
        ("KEY", Left),
        ("TITLE", Left),
    ]);
    for document in documents {
        table.row(vec![
            document.document_id.clone(),
            document.author.clone(),
            document.category.clone(),
            document.source_kind.clone(),
            document.revision.to_string(),
            searched(document.live_revision),
            document.natural_key.clone(),
            cut(document.title.as_deref().unwrap_or_default(), TITLE_WIDTH),
        ]);
    }
    table
}

fn searched(live_revision: Option<u64>) -> String {
    live_revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string())
}

async fn show(args: Show, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["documents", &args.id.to_string()], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let document: Document = reply.parse()?;
    if args.content {
        return context.out.line(document.content.trim_end());
    }
    context.out.line(&description(&document))
}

fn description(document: &Document) -> String {
    let summary = &document.summary;
    let mut pairs = vec![
        ("id", summary.document_id.clone()),
        ("author", summary.author.clone()),
        ("category", summary.category.clone()),
        ("source", summary.source_id.clone().unwrap_or_else(|| summary.source_kind.clone())),
        ("key", summary.natural_key.clone()),
    ];
    let optional = [("title", &summary.title), ("url", &summary.url)];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    pairs.extend(summary.published_at.map(|at| ("published", moment(at))));
    pairs.extend([
        ("observed", moment(summary.observed_at)),
        ("content", format!("{} characters of {}", document.content.chars().count(), document.media_type)),
        ("revision", summary.revision.to_string()),
        ("searched", searched(summary.live_revision)),
    ]);
    if let Some(reason) = &document.reason {
        let name = if document.searchable { "newest" } else { "why not" };
        pairs.push((name, reason.clone()));
    }
    let mut table =
        Table::new(&[("STAGE", Align::Left), ("STATE", Align::Left), ("WHEN", Align::Left), ("WHY", Align::Left)]);
    for stage in &document.stages {
        let state = stage.state.replace('_', " ");
        let why = stage.reason.clone().unwrap_or_default();
        table.row(vec![stage.stage.clone(), state, stage.at.map(moment).unwrap_or_default(), why]);
    }
    format!("{}\n\n{}", fields(&pairs), table.render())
}

async fn push(args: Push, context: &mut Context) -> Result<(), CommandError> {
    let format = args.format.unwrap_or_else(|| format_of(&args.file));
    let content = content(args.file).await?;
    let field = match format {
        Format::Html => "html",
        Format::Markdown => "markdown",
        Format::Text => "text",
    };
    let body = json!({
        "author": args.author,
        "category": args.category,
        "natural_key": args.key,
        "title": args.title,
        "url": args.document_url,
        "published_at": args.published_at,
        (field): content,
    });
    let reply = context.client.post(&["documents"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let pushed: Pushed = reply.parse()?;
    context.out.line(&format!("{} {} (revision {})", pushed.change, pushed.document_id, pushed.revision))?;
    context.out.note(&format!("next: twin sync --author {} --wait", args.author));
    Ok(())
}

/// The text of a file or of standard input.
async fn content(file: PathBuf) -> Result<String, CommandError> {
    let name = file.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        if file == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(file)
        }
    });
    let bytes = reading.await.map_err(|error| CommandError::Failed(format!("{name}: {error}")))?;
    let bytes = bytes.map_err(|error| CommandError::Usage(format!("{name} can not be read: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::Usage(format!("{name} is not UTF-8 text; convert it (iconv -t UTF-8)")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn format_of(file: &Path) -> Format {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" | "xhtml" => Format::Html,
        "md" | "markdown" | "mdx" => Format::Markdown,
        _ => Format::Text,
    }
}

async fn remove(args: Remove, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.delete(&["documents", &args.id.to_string()], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let pushed: Pushed = reply.parse()?;
    let done = if pushed.change == "deleted" { "deleted" } else { "was deleted before:" };
    context.out.line(&format!("{done} {} (revision {})", pushed.document_id, pushed.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_from_the_name() {
        assert_eq!(format_of(Path::new("a/b.HTML")), Format::Html);
        assert_eq!(format_of(Path::new("b.md")), Format::Markdown);
        for other in ["main.rs", "README", "-", ".md"] {
            assert_eq!(format_of(Path::new(other)), Format::Text, "{other}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_without_its_byte_order_mark_and_only_as_utf_8() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        std::fs::write(&file, "\u{feff}héllo").unwrap();
        assert_eq!(content(file.clone()).await.unwrap(), "héllo");
        std::fs::write(&file, b"h\xe9llo").unwrap();
        assert!(matches!(content(file).await, Err(CommandError::Usage(message)) if message.contains("UTF-8")));
        let missing = folder.path().join("none");
        assert!(matches!(content(missing).await, Err(CommandError::Usage(_))));
    }

    #[test]
    fn a_document_that_is_not_searchable_says_why() {
        let document: Document = serde_json::from_value(json!({
            "document_id": "d1", "revision": 2, "live_revision": null, "author": "ada", "category": "post",
            "source_kind": "push", "source_id": null, "natural_key": "k", "title": "T", "url": null,
            "published_at": null, "observed_at": "2026-01-01T00:00:00Z", "content_hash": "sha256:0", "deleted": false,
            "media_type": "text", "content": "héllo", "searchable": false, "reason": "still on its way: to be chunked next",
            "stages": [
                {"stage": "collected", "state": "done", "at": "2026-01-01T00:00:00Z", "reason": null},
                {"stage": "indexed", "state": "not_reached", "at": null, "reason": null},
            ],
        }))
        .unwrap();
        let text = description(&document);
        for part in ["why not   still on its way", "5 characters of text", "indexed    not reached", "searched  none"] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
