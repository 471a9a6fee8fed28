//! `twin search`: passages, without an answer.

use clap::Args;
use twin_api::{PassageView, RetrieveAnswer, RetrieveRequest};
use twin_schemas::Category;

use super::text::{count, duration};
use super::views::{beginning, heading};
use super::{AuthorOption, Context};
use crate::error::CommandError;

/// Lines of a passage that are shown.
const LINES_SHOWN: usize = 2;
/// Their width, columns.
const LINE_WIDTH: usize = 100;

/// What to find.
#[derive(Debug, Args)]
pub struct Search {
    #[command(flatten)]
    author: AuthorOption,
    /// What is looked for.
    #[arg(required = true)]
    query: Vec<String>,
    /// Passages wanted, at most.
    #[arg(short)]
    k: Option<u32>,
    /// Only documents of this category: article, post or code.
    #[arg(long, short)]
    category: Option<Category>,
}

/// Runs the command.
pub async fn run(args: Search, context: &mut Context) -> Result<(), CommandError> {
    let body = RetrieveRequest {
        query: args.query.join(" "),
        author: args.author.author,
        k: args.k,
        category: args.category,
        source_kind: None,
        published_after: None,
        published_before: None,
    };
    let reply = context.client.post(&["retrieve"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let found: RetrieveAnswer = reply.parse()?;
    for hit in &found.hits {
        context.out.line(&hit_text(hit))?;
    }
    let hits = count(found.hits.len() as u64, "hit");
    context.out.note(&format!("{hits} in {}", duration(found.timings_ms.total / 1000.0)));
    Ok(())
}

fn hit_text(hit: &PassageView) -> String {
    let mut text = format!("{:.2}  {}", hit.score, hit.natural_key);
    let heading = heading(hit);
    let title = hit.title.as_deref().filter(|title| *title != hit.natural_key).unwrap_or_default();
    for part in [title, heading.as_str()].into_iter().filter(|part| !part.is_empty()) {
        text += &format!("  {part}");
    }
    for line in beginning(hit, LINES_SHOWN, LINE_WIDTH) {
        text += &format!("\n      {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::views::testing::passage;
    use super::*;

    #[test]
    fn a_hit_shows_where_it_is_and_how_it_begins() {
        let hit = passage("One\n\nTwo\nThree", "Parsers", &["Errors"]);
        assert_eq!(hit_text(&hit), "0.83  posts/a.md  Parsers  Errors\n      One\n      Two");
    }
}
