//! `twin documents`: single documents, pushed by hand or looked at on their way.

use clap::{Args, Subcommand};
use twin_api::{Change, DocumentList, DocumentSummary, DocumentView, Pushed};
use twin_schemas::DocumentId;

use super::lists::{self, Limit};
use super::push::{self, Push};
use super::text::{Align, Table, cut, fields, moment};
use super::views::author_query;
use super::{AuthorOption, Context};
use crate::client::parse;
use crate::error::CommandError;

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
    #[command(flatten)]
    limit: Limit,
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

/// A document to delete.
#[derive(Debug, Args)]
pub struct Remove {
    /// Its id.
    id: DocumentId,
}

/// Runs the command.
pub async fn run(command: Documents, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Documents::List(args) => list(args, context).await,
        Documents::Show(args) => show(args, context).await,
        Documents::Push(args) => push::run(args, context).await,
        Documents::Remove(args) => remove(args, context).await,
    }
}

async fn list(args: List, context: &mut Context) -> Result<(), CommandError> {
    let mut query = author_query(args.author.name());
    query.extend(args.document_url.as_deref().map(|url| ("url", url)));
    let list = lists::List::newest_first(&["documents"], "documents");
    let document = list.read(&context.client, &query, None, args.limit).await?;
    if context.json {
        return context.out.json(&document);
    }
    let DocumentList { documents, next } = parse(&document)?;
    if documents.is_empty() {
        context.out.note("no document");
        return Ok(());
    }
    context.out.line(&table(&documents).render())?;
    if next.is_some() {
        context.out.note("there are more; see --limit");
    }
    Ok(())
}

fn table(documents: &[DocumentSummary]) -> Table {
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
            document.document_id.to_string(),
            document.author.clone(),
            document.category.as_str().to_owned(),
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
    let document: DocumentView = reply.parse()?;
    if args.content {
        return context.out.line(document.content.trim_end());
    }
    context.out.line(&description(&document))
}

fn description(document: &DocumentView) -> String {
    let summary = &document.summary;
    let mut pairs = vec![
        ("id", summary.document_id.to_string()),
        ("author", summary.author.clone()),
        ("category", summary.category.as_str().to_owned()),
        ("source", summary.source_id.map_or_else(|| summary.source_kind.clone(), |id| id.to_string())),
        ("key", summary.natural_key.clone()),
    ];
    let optional = [("title", &summary.title), ("url", &summary.url)];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    pairs.extend(summary.published_at.map(|at| ("published", moment(at))));
    pairs.extend([
        ("observed", moment(summary.observed_at)),
        ("content", format!("{} characters of {}", document.content.chars().count(), document.media_type.as_str())),
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
        let state = stage.state.as_str().replace('_', " ");
        let why = stage.reason.clone().unwrap_or_default();
        table.row(vec![stage.stage.clone(), state, stage.at.map(moment).unwrap_or_default(), why]);
    }
    format!("{}\n\n{}", fields(&pairs), table.render())
}

async fn remove(args: Remove, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.delete(&["documents", &args.id.to_string()], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let pushed: Pushed = reply.parse()?;
    let done = if pushed.change == Change::Deleted { "deleted" } else { "was deleted before:" };
    context.out.line(&format!("{done} {} (revision {})", pushed.document_id, pushed.revision))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_that_is_not_searchable_says_why() {
        let document: DocumentView = serde_json::from_value(json!({
            "document_id": uuid::Uuid::nil(), "revision": 2, "live_revision": null, "author": "ada", "category": "post",
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
