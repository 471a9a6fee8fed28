//! The commands that speak to a running twin over its REST API.
//!
//! In: parsed arguments and the twin's URL. Out: the result on standard output, as text for people or, with `--json`,
//! the API's own document; progress and hints on standard error. Each command is a module with its arguments and a
//! `run`; [`run`] is the one way in. Nothing here reads the configuration or the data folder: what these commands can
//! do, every other client of the API can.

pub mod ask;
pub mod dlq;
pub mod documents;
pub mod learning;
pub mod lists;
pub mod locate;
pub mod out;
pub mod push;
pub mod search;
pub mod source_files;
pub mod sources;
pub mod sse;
pub mod status;
pub mod streamed;
pub mod sync;
pub mod text;
pub mod views;
pub mod wait;
pub mod write;

use clap::{Args, Subcommand};
use twin_schemas::AuthorId;

use crate::client::Client;
use crate::error::CommandError;
pub use out::Out;

/// A command to a running twin.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register, list and remove what is collected.
    #[command(subcommand)]
    Sources(sources::Sources),
    /// Collect what is new at the sources, now.
    Sync(sync::Sync),
    /// Ask a twin.
    Ask(ask::Ask),
    /// Have a twin write a text in its author's voice.
    Write(write::Write),
    /// Find passages, without an answer.
    Search(search::Search),
    /// Show how far everything is.
    Status(status::Status),
    /// Push, list, show and remove single documents.
    #[command(subcommand)]
    Documents(documents::Documents),
    /// Look at events that a stage gave up on, and replay them.
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// Freeze, compare and export what models are trained on.
    #[command(subcommand)]
    Datasets(learning::datasets::Datasets),
    /// Train a model of an author on a dataset version.
    Train(learning::train::Train),
    /// List, follow, stop and retry training jobs.
    #[command(subcommand)]
    Jobs(learning::jobs::Jobs),
    /// Show and compare what training jobs measured.
    #[command(subcommand)]
    Runs(learning::runs::Runs),
    /// Show what is trained, waits or is held back, and why.
    #[command(subcommand)]
    Learning(learning::status::Learning),
    /// Its arguments are read beside those of `twin models convert`, which speaks to no twin.
    #[command(skip)]
    Models(learning::models::Models),
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Output {
    /// Write the API's own JSON document instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Whose.
#[derive(Debug, Clone, Default, Args)]
pub struct AuthorOption {
    /// The author: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.
    #[arg(long, short, env = "TWIN_AUTHOR")]
    pub author: Option<AuthorId>,
}

impl AuthorOption {
    /// The author's name.
    pub fn name(&self) -> Option<&str> {
        self.author.as_ref().map(AuthorId::as_str)
    }
}

/// What each command works with.
pub struct Context {
    /// The twin.
    pub client: Client,
    /// Where to write.
    pub out: Out,
    /// Write JSON.
    pub json: bool,
}

/// Runs a command against the twin at `url`.
pub async fn run(command: Command, url: &str, output: Output) -> Result<(), CommandError> {
    let mut context = Context { client: Client::new(url)?, out: Out::standard(), json: output.json };
    dispatch(command, &mut context).await
}

async fn dispatch(command: Command, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Sources(command) => sources::run(command, context).await,
        Command::Sync(args) => sync::run(args, context).await,
        Command::Ask(args) => ask::run(args, context).await,
        Command::Write(args) => write::run(args, context).await,
        Command::Search(args) => search::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Documents(command) => documents::run(command, context).await,
        Command::Dlq(command) => dlq::run(command, context).await,
        Command::Datasets(command) => learning::datasets::run(command, context).await,
        Command::Train(args) => learning::train::run(args, context).await,
        Command::Jobs(command) => learning::jobs::run(command, context).await,
        Command::Runs(command) => learning::runs::run(command, context).await,
        Command::Learning(command) => learning::status::run(command, context).await,
        Command::Models(command) => learning::models::run(command, context).await,
    }
}
