//! `twin datasets freeze`: a version of what the author's documents are now.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;
use twin_api::{FreezeView, NewFreeze};

use super::super::text::duration;
use super::super::{AuthorOption, Context};
use super::LOOK;
use crate::error::CommandError;

/// How long a version is waited for by whoever does not say.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// A version to freeze.
#[derive(Debug, Args)]
pub struct Freeze {
    #[command(flatten)]
    author: AuthorOption,
    /// Who asks.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
    /// Wait for what comes of it.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, default_value = "10min", value_parser = humantime::parse_duration, requires = "wait")]
    timeout: Duration,
}

/// Runs the command.
pub async fn run(args: Freeze, context: &mut Context) -> Result<(), CommandError> {
    let body = NewFreeze { author: args.author.author, by: args.by.filter(|by| !by.is_empty()) };
    let reply = context.client.post(&["datasets"], &body).await?;
    let request: FreezeView = reply.parse()?;
    if args.wait {
        let (seen, document) = answered(&request.author, args.timeout, context).await?;
        if context.json {
            context.out.json(&document)?;
        }
        return match (seen, context.json) {
            (Err(refused), _) => Err(CommandError::Failed(refused)),
            (Ok(_), true) => Ok(()),
            (Ok(outcome), false) => context.out.line(&outcome),
        };
    }
    if context.json {
        return context.out.json(reply.json());
    }
    context.out.line(&format!("a dataset version of {} is asked for by {}", request.author, request.requested_by))?;
    context.out.note(&format!("next: twin datasets list --author {}", request.author));
    Ok(())
}

/// Waits for what comes of the open request for an author's version: which version there is, or why none could be made; with
/// the API's own document.
pub async fn answered(
    author: &str,
    timeout: Duration,
    context: &mut Context,
) -> Result<(Result<String, String>, Value), CommandError> {
    let started = Instant::now();
    loop {
        match context.client.get(&["datasets", "requests", author], &[]).await {
            Ok(reply) => {
                let seen: FreezeView = reply.parse()?;
                if let Some(outcome) = seen.outcome {
                    let outcome = if seen.refused { Err(outcome) } else { Ok(outcome) };
                    return Ok((outcome, reply.json().clone()));
                }
            }
            // A store that is busy now is asked again.
            Err(error) if error.is_temporary() => {}
            Err(error) => return Err(error),
        }
        let elapsed = started.elapsed();
        if elapsed >= timeout {
            let after = duration(elapsed.as_secs_f64());
            return Err(CommandError::TimedOut(format!("nobody has frozen a dataset of {author} after {after}")));
        }
        context.out.progress(&format!("freezing a dataset of {author} ({})", duration(elapsed.as_secs_f64())));
        tokio::time::sleep(LOOK).await;
    }
}
