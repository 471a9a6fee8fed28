//! The command line.

#[cfg(test)]
mod advice;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use twin_telemetry::LogOptions;

use crate::commands::{self, Output};
use crate::config::{self, Flags, Loaded};
use crate::learning;
use crate::run::{self, Wanted};

/// A configuration that can not be used (`EX_USAGE`).
const EXIT_CONFIG: u8 = 64;

/// Answers in an author's voice, from what the author has published.
#[derive(Parser)]
#[command(name = "twin", version, about, propagate_version = true)]
struct Cli {
    /// Configuration file [default: twin.toml in the working folder, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The running twin that commands speak to.
    #[arg(long, global = true, env = "TWIN_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service, or some of its parts.
    Run(RunArgs),
    /// Go over to the configured embedding model, while the twin runs.
    ///
    /// Embeds every chunk again with the model that `embedder` in the configuration names, beside the vectors that are
    /// searched, and then switches at once. A twin that runs on the data folder goes on answering and indexing; it loads
    /// the new model when the switch comes.
    Reindex {
        /// Data folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Look after the files of the artifact store.
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
    /// Print the effective configuration and where each value came from.
    Config(ConfigArgs),
    /// Judge, deploy and roll back model versions; prepare model files.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The work of a child process of a running twin.
    #[command(hide = true)]
    Job {
        /// Data folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        #[command(subcommand)]
        job: learning::Job,
    },
    #[command(flatten)]
    Client(commands::Command),
}

#[derive(Args)]
struct RunArgs {
    /// Parts to run [default: all of them].
    #[arg(value_enum)]
    services: Vec<Wanted>,
    #[command(flatten)]
    flags: FlagArgs,
}

#[derive(Args, Default)]
struct FlagArgs {
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Event log: `sqlite:` or `kafka://host:port`.
    #[arg(long, value_name = "URL")]
    log: Option<String>,
}

#[derive(Args)]
struct ConfigArgs {
    /// Print the reference of all keys instead (docs/configuration.md).
    #[arg(long)]
    reference: bool,
    #[command(flatten)]
    flags: FlagArgs,
}

#[derive(Subcommand)]
enum ArtifactsCommand {
    /// Remove what nothing names any more and what is older than a week, while the twin runs.
    ///
    /// Kept is what a dataset version, a model, an evaluation, a job under way or an event that the log still has refers to.
    Gc {
        /// Remove nothing: list what would go.
        #[arg(long)]
        dry_run: bool,
        /// Data folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Event log of the twin: `sqlite:` or `kafka://host:port`.
        #[arg(long, value_name = "URL")]
        log: Option<String>,
    },
}

#[derive(Subcommand)]
enum ModelsCommand {
    /// Convert a GGUF file of a Llama model to a Hugging Face directory in single precision.
    Convert {
        /// The GGUF file.
        source: PathBuf,
        /// The directory to make.
        target: PathBuf,
    },
    #[command(flatten)]
    Versions(commands::learning::models::Models),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Run(args) => {
            let file = cli.config.clone();
            with_config(cli.config, args.flags, |loaded| run_services(loaded, file, &args.services))
        }
        Command::Reindex { data } => with_config(cli.config, FlagArgs { data, listen: None, log: None }, reindex),
        Command::Artifacts(ArtifactsCommand::Gc { dry_run, data, log }) => {
            let flags = FlagArgs { data, listen: None, log };
            with_config(cli.config, flags, |loaded| collect_garbage(loaded, dry_run, cli.output.json))
        }
        Command::Config(args) if args.reference => finish(print(&config::reference())),
        Command::Config(args) => with_config(cli.config, args.flags, |loaded| print_config(&loaded, cli.output.json)),
        Command::Models(ModelsCommand::Convert { source, target }) => finish(convert(&source, &target)),
        Command::Job { data, job } => {
            with_config(cli.config, FlagArgs { data, listen: None, log: None }, |loaded| run_job(loaded, job))
        }
        Command::Models(ModelsCommand::Versions(command)) => {
            speak(commands::Command::Models(command), &cli.url, cli.output)
        }
        Command::Client(command) => speak(command, &cli.url, cli.output),
    }
}

/// Runs a command against a running twin.
fn speak(command: commands::Command, url: &str, output: Output) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime") {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error)),
    };
    match runtime.block_on(commands::run(command, url, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twin: {error}");
            error.exit_code().into()
        }
    }
}

fn with_config(file: Option<PathBuf>, flags: FlagArgs, command: impl FnOnce(Loaded) -> Result<()>) -> ExitCode {
    let flags = Flags { file, data: flags.data, listen: flags.listen, log: flags.log };
    // A variable that is not Unicode can not be one of ours.
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let home = environment.iter().find(|(name, _)| name == "HOME").map(|(_, home)| PathBuf::from(home));
    match config::load(&flags, &environment, home.as_deref()) {
        Ok(loaded) => finish(command(loaded)),
        Err(error) => {
            eprintln!("twin: {error}");
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_services(loaded: Loaded, file: Option<PathBuf>, services: &[Wanted]) -> Result<()> {
    twin_telemetry::init_logs(&loaded.config.telemetry).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let result = runtime.block_on(run::run(loaded.config, file, services));
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

fn run_job(loaded: Loaded, job: learning::Job) -> Result<()> {
    twin_telemetry::init_logs(&loaded.config.telemetry).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(learning::run(job, loaded.config))
}

fn reindex(loaded: Loaded) -> Result<()> {
    run_beside_a_twin(loaded, crate::reindex::run)
}

fn collect_garbage(loaded: Loaded, dry_run: bool, json: bool) -> Result<()> {
    run_beside_a_twin(loaded, |config| crate::gc::run(config, dry_run, json))
}

/// Runs a command that works on the data folder itself.
fn run_beside_a_twin<F: Future<Output = Result<()>>>(
    loaded: Loaded,
    command: impl FnOnce(config::Config) -> F,
) -> Result<()> {
    // What it has to say to the person who called it, it says itself.
    let logs = LogOptions { filter: "warn".to_owned(), ..loaded.config.telemetry.clone() };
    twin_telemetry::init_logs(&logs).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(command(loaded.config))
}

/// What is printed instead of a secret.
const MASKED: &str = "(set)";

fn print_config(loaded: &Loaded, json: bool) -> Result<()> {
    let mask = |key: &str, value: &toml::Value| {
        let secret = key.ends_with("api_key")
            || key.ends_with("kafka.properties") && value.as_table().is_some_and(|t| !t.is_empty());
        if secret { toml::Value::String(MASKED.to_owned()) } else { value.clone() }
    };
    if json {
        let values = loaded.values.iter().map(|(key, value, origin)| {
            (key.clone(), serde_json::json!({ "value": mask(key, value), "origin": origin.to_string() }))
        });
        let object: serde_json::Map<_, _> = values.collect();
        return print(&format!("{:#}\n", serde_json::Value::Object(object)));
    }
    let lines: Vec<(String, String)> = loaded
        .values
        .iter()
        .map(|(key, value, origin)| (format!("{key} = {}", mask(key, value)), origin.to_string()))
        .collect();
    let width = lines.iter().map(|(line, _)| line.len()).filter(|width| *width <= 60).max().unwrap_or_default();
    let text: String = lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}\n")).collect();
    print(&text)
}

/// Writes to standard output; a reader that has gone (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

fn convert(source: &Path, target: &Path) -> Result<()> {
    let mut last = 0;
    let converted = twin_mistral::convert::convert_gguf(source, target, &mut |done, total| {
        let percent = done * 100 / total.max(1);
        if percent >= last + 10 {
            last = percent;
            eprintln!("  {percent} %");
        }
    })?;
    eprintln!("{}: {} parameters", target.display(), converted.parameters);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_two_arguments_are_in_each_others_way() {
        Cli::command().debug_assert();
    }

    #[test]
    fn model_files_are_converted_and_model_versions_judged_under_one_name() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(matches!(
            read("twin models convert a.gguf folder"),
            Ok(Command::Models(ModelsCommand::Convert { .. }))
        ));
        assert!(matches!(
            read("twin models approve ada-v1 --by Grace"),
            Ok(Command::Models(ModelsCommand::Versions(_)))
        ));
        assert!(read("twin models").is_err());
    }
}
