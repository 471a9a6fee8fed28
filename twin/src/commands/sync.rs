//! `twin sync`: collect what is new at the sources, now; with `--wait`, until all of it can be found.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;
use tokio::time::Instant;
use twin_api::{SourceView, StatusView, SyncView, TotalsView};

use super::locate::find;
use super::text::{Align, Table, count, duration};
use super::views::{author_query, list_sources, sum, sync_status};
use super::wait::{End, Snapshot, Wait, requested_at};
use super::{AuthorOption, Context};
use crate::client::Client;
use crate::error::CommandError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many documents that could not be read are shown of each source.
const FAILURES_SHOWN: usize = 5;

/// Which sources to sync.
#[derive(Debug, Args)]
pub struct Sync {
    #[command(flatten)]
    author: AuthorOption,
    /// Ids, beginnings of ids, or locations; all sources (of the author) if absent.
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Wait until every source is synced, and all that was found or pushed is searchable.
    #[arg(long)]
    wait: bool,
    /// How long to wait: 90s, 10min, 1h.
    #[arg(long, default_value = "10min", value_parser = humantime::parse_duration, requires = "wait")]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: Sync, context: &mut Context) -> Result<(), CommandError> {
    let targets = targets(&args, &context.client).await?;
    if !args.wait {
        return request_all(&targets, context).await;
    }
    let started = Instant::now();
    let deadline = started + args.timeout;
    let scopes = scopes(&args, &targets);
    let mut wait = Wait::new(request_noting_times(targets, context).await?);
    let end = follow(&mut wait, &scopes, started, deadline, context).await?;
    report(&wait, &end, started.elapsed(), context)
}

async fn targets(args: &Sync, client: &Client) -> Result<Vec<SourceView>, CommandError> {
    let mut sources = list_sources(client, args.author.name()).await?;
    if !args.sources.is_empty() {
        let mut named = Vec::new();
        for text in &args.sources {
            let source = find(&sources, text)?;
            if !named.contains(source) {
                named.push(source.clone());
            }
        }
        sources = named;
    }
    if sources.is_empty() && !args.wait {
        let whose = args.author.name().map(|author| format!(" for {author}")).unwrap_or_default();
        let next = "next: twin sources add --author AUTHOR FOLDER-OR-URL";
        return Err(CommandError::Failed(format!("no source is registered{whose}; {next}")));
    }
    Ok(sources)
}

async fn request_all(targets: &[SourceView], context: &mut Context) -> Result<(), CommandError> {
    let mut requested = Vec::new();
    for source in targets {
        let reply = context.client.trigger(&["sources", &source.id.to_string(), "sync"]).await?;
        requested.push(reply.json().clone());
    }
    if context.json {
        return context.out.json(&json!({ "requested": requested }));
    }
    context.out.line(&format!("{} due now", count(targets.len() as u64, "source")))?;
    context.out.note("`twin status` shows how far they are; `twin sync --wait` waits for the end");
    Ok(())
}

/// Requests the syncs, and notes when by the twin's clock.
async fn request_noting_times(
    targets: Vec<SourceView>,
    context: &Context,
) -> Result<Vec<(SourceView, DateTime<Utc>)>, CommandError> {
    let mut requested = Vec::with_capacity(targets.len());
    for source in targets {
        let id = source.id.to_string();
        // A sync that ends between the two looks hides the time of the request, which is then made again.
        let at = loop {
            let before: SourceView = context.client.get(&["sources", &id], &[]).await?.parse()?;
            context.client.trigger(&["sources", &id, "sync"]).await?;
            let after: SourceView = context.client.get(&["sources", &id], &[]).await?.parse()?;
            if let Some(at) = requested_at(&before, &after) {
                break at;
            }
        };
        requested.push((source, at));
    }
    Ok(requested)
}

/// Whose documents are waited for: those of the author named, else of the authors of the sources named, else all.
fn scopes(args: &Sync, targets: &[SourceView]) -> Vec<Option<String>> {
    if let Some(author) = args.author.name() {
        return vec![Some(author.to_owned())];
    }
    if args.sources.is_empty() {
        return vec![None];
    }
    let mut authors: Vec<_> = targets.iter().map(|source| Some(source.author.clone())).collect();
    authors.sort();
    authors.dedup();
    authors
}

/// Looks until everything has come to its end.
async fn follow(
    wait: &mut Wait,
    scopes: &[Option<String>],
    started: Instant,
    deadline: Instant,
    context: &mut Context,
) -> Result<Snapshot, CommandError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout_at(deadline, look(&context.client, scopes)).await {
            Ok(Ok(snapshot)) => {
                if wait.observe(&snapshot) {
                    return Ok(snapshot);
                }
            }
            // A store that is busy now is asked again.
            Ok(Err(error)) if error.is_temporary() => {}
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => {}
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(timed_out(wait, now - started));
        }
        let elapsed = duration((now - started).as_secs_f64());
        context.out.progress(&format!("{} ({elapsed})", wait.describe()));
        tokio::time::sleep_until(deadline.min(now + pause)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

async fn look(client: &Client, scopes: &[Option<String>]) -> Result<Snapshot, CommandError> {
    let mut all = Snapshot::default();
    for author in scopes {
        let query = author_query(author.as_deref());
        let mut report: StatusView = client.get(&["status"], &query).await?.parse()?;
        if report.sources_next.is_some() {
            // All of them, and again before the number of documents on their way.
            let sources = list_sources(client, author.as_deref()).await?;
            report = client.get(&["status"], &query).await?.parse()?;
            report.sources = sources;
        }
        all.sources.extend(report.sources);
        all.pending += report.pending;
        all.totals = sum(all.totals, report.totals);
    }
    Ok(all)
}

fn timed_out(wait: &Wait, elapsed: Duration) -> CommandError {
    let mut message = format!("not done after {}: {}", duration(elapsed.as_secs_f64()), wait.describe());
    for location in wait.running_locations() {
        message += &format!("\n  still to be synced: {location}");
    }
    message += "\nit goes on without this command; `twin status` shows how far it is";
    CommandError::TimedOut(message)
}

/// Tells how it ended. An error: a source was not synced in full.
fn report(wait: &Wait, end: &Snapshot, elapsed: Duration, context: &mut Context) -> Result<(), CommandError> {
    let seconds = elapsed.as_secs_f64();
    if context.json {
        let sources: Vec<&SourceView> = wait.targets().iter().map(|target| &target.source).collect();
        let document = json!({
            "sources": sources, "pending": end.pending, "totals": end.totals, "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        context.out.json(&document)?;
    } else {
        tell(wait, &end.totals, seconds, context)?;
    }
    let troubles: Vec<String> = wait.targets().iter().filter_map(|target| target.trouble()).collect();
    if troubles.is_empty() {
        return Ok(());
    }
    let total = count(wait.targets().len() as u64, "source");
    Err(CommandError::Failed(format!("{} of {total} not synced in full:\n  {}", troubles.len(), troubles.join("\n  "))))
}

fn tell(wait: &Wait, totals: &TotalsView, seconds: f64, context: &mut Context) -> Result<(), CommandError> {
    let synced: Vec<(&SourceView, &SyncView)> = wait
        .targets()
        .iter()
        .filter_map(|target| match &target.end {
            Some(End::Synced(sync)) => Some((&target.source, sync)),
            Some(End::Removed) | None => None,
        })
        .collect();
    if synced.len() > 1 {
        context.out.line(&table(&synced).render())?;
    }
    context.out.line(&summary(synced.iter().map(|(_, sync)| *sync), totals, seconds))?;
    for (source, sync) in &synced {
        for failure in sync.failed.iter().take(FAILURES_SHOWN) {
            context.out.note(&format!("not read: {}: {}", failure.natural_key, failure.reason));
        }
        let shown = sync.failed.len().min(FAILURES_SHOWN) as u64;
        if sync.failed_total > shown {
            let more = sync.failed_total - shown;
            context.out.note(&format!("and {more} more; `twin sources show {}`", source.id));
        }
    }
    if totals.rejected > 0 {
        context
            .out
            .note(&format!("{} rejected; `twin documents show ID` says why", count(totals.rejected, "document")));
    }
    if totals.dead > 0 {
        context.out.note(&format!("{} dead-lettered; next: twin dlq list", count(totals.dead, "document")));
    }
    Ok(())
}

fn table(synced: &[(&SourceView, &SyncView)]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("SOURCE", Left),
        ("STATUS", Left),
        ("NEW", Right),
        ("CHANGED", Right),
        ("DELETED", Right),
        ("FAILED", Right),
    ]);
    for (source, sync) in synced {
        let numbers = [sync.new, sync.changed, sync.deleted, sync.failed_total].map(|number| number.to_string());
        let mut row = vec![source.location.clone(), sync_status(sync.status)];
        row.extend(numbers);
        table.row(row);
    }
    table
}

/// `3 new, 1 changed, 0 deleted, 0 failed; 120 documents searchable (2.3 s)`.
fn summary<'a>(syncs: impl Iterator<Item = &'a SyncView>, totals: &TotalsView, seconds: f64) -> String {
    let [mut new, mut changed, mut deleted, mut failed] = [0; 4];
    for sync in syncs {
        new += sync.new;
        changed += sync.changed;
        deleted += sync.deleted;
        failed += sync.failed_total;
    }
    let searchable = count(totals.searchable, "document");
    let took = duration(seconds);
    format!("{new} new, {changed} changed, {deleted} deleted, {failed} failed; {searchable} searchable ({took})")
}

#[cfg(test)]
mod tests {
    use twin_api::SyncStatus;

    use super::super::sources::testing::source;
    use super::*;

    fn sync(new: u64, failed_total: u64) -> SyncView {
        let time = DateTime::UNIX_EPOCH;
        SyncView {
            status: SyncStatus::Completed,
            reason: None,
            started_at: time,
            finished_at: time,
            seen: 9,
            new,
            changed: 1,
            deleted: 0,
            failed: Vec::new(),
            failed_total,
            waited_ms: 0,
        }
    }

    #[test]
    fn the_summary_adds_the_sources_up() {
        let totals = TotalsView { searchable: 120, ..TotalsView::default() };
        assert_eq!(
            summary([sync(3, 0), sync(4, 2)].iter(), &totals, 2.34),
            "7 new, 2 changed, 0 deleted, 2 failed; 120 documents searchable (2.3 s)"
        );
    }

    #[test]
    fn the_documents_of_each_author_of_a_named_source_are_waited_for() {
        let args = |author: Option<&str>, sources: &[&str]| Sync {
            author: AuthorOption { author: author.map(|author| author.parse().unwrap()) },
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            wait: true,
            timeout: Duration::ZERO,
        };
        let mut targets = vec![source("a", "/a"), source("b", "/b"), source("c", "/c")];
        targets[1].author = "bob".to_owned();
        let scope = |author: &str| Some(author.to_owned());
        assert_eq!(scopes(&args(None, &["a", "b", "c"]), &targets), [scope("ada"), scope("bob")]);
        assert_eq!(scopes(&args(Some("ada"), &[]), &targets), [scope("ada")]);
        assert_eq!(scopes(&args(None, &[]), &targets), [None]);
    }
}
