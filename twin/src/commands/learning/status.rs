//! `twin learning status`: what is trained, waits, is offered or is held back, and why.

use clap::{Args, Subcommand};
use twin_api::LearningView;

use super::super::text::{Align, Table};
use super::super::{AuthorOption, Context};
use crate::error::CommandError;

/// What to do with an author's learning.
#[derive(Debug, Subcommand)]
pub enum Learning {
    /// Show what of an author's learning is done, under way, waits, is offered or is held back, and why.
    Status(Whose),
}

/// Whose learning.
#[derive(Debug, Args)]
pub struct Whose {
    #[command(flatten)]
    author: AuthorOption,
}

/// Runs the command.
pub async fn run(Learning::Status(Whose { author }): Learning, context: &mut Context) -> Result<(), CommandError> {
    let Some(author) = author.name() else {
        return Err(CommandError::Usage("whose? name the author with --author, or set TWIN_AUTHOR".to_owned()));
    };
    let reply = context.client.get(&["authors", author, "learning"], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let learning: LearningView = reply.parse()?;
    context.out.line(&table(&learning).render())
}

fn table(learning: &LearningView) -> Table {
    let mut table = Table::new(&[("PART", Align::Left), ("STANDING", Align::Left), ("WHY", Align::Left)]);
    for status in &learning.parts {
        table.row(vec![status.part.as_str().to_owned(), status.standing.as_str().to_owned(), status.detail.clone()]);
    }
    table
}
