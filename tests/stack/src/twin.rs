//! The real `twin` binary as a process: `twin run` on a data folder and port of its own.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::place::{free_port, temporary_folder};
use crate::process::{Process, read_log};

/// Variables of this prefix are the binary's configuration and are not passed on from the test's environment.
const CONFIGURATION_PREFIX: &str = "TWIN_";
/// The one of them that is passed on: where models and libraries are.
const CACHE: &str = "TWIN_CACHE";

/// How `twin run` is started.
#[derive(Debug, Clone)]
pub struct TwinOptions {
    /// The binary. By default `TWIN_BIN`, or `twin` in the folder that cargo builds into.
    pub binary: Option<PathBuf>,
    /// The data folder. By default a new one; processes over one Kafka cluster can share theirs.
    pub data: Option<PathBuf>,
    /// More arguments of `twin run`, after `--data` and `--listen`.
    pub arguments: Vec<String>,
    /// Environment variables of the process. No other `TWIN_…` variable but
    /// `TWIN_CACHE` reaches the process.
    pub environment: Vec<(String, String)>,
    /// How long it may take until `/readyz` says yes: models are loaded before.
    pub start_timeout: Duration,
    /// How long it may take from SIGTERM to the end.
    pub stop_timeout: Duration,
}

impl Default for TwinOptions {
    fn default() -> Self {
        Self {
            binary: None,
            data: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            start_timeout: Duration::from_secs(120),
            stop_timeout: Duration::from_secs(60),
        }
    }
}

/// A running `twin run`. Dropping it kills it.
#[derive(Debug)]
pub struct TwinProcess {
    options: TwinOptions,
    binary: PathBuf,
    address: String,
    base_url: String,
    // Declared before the folder: the process is gone before its data is removed.
    process: Option<Process>,
    folder: TempDir,
    data: PathBuf,
}

impl TwinProcess {
    /// Starts the binary and waits until it is ready.
    ///
    /// # Errors
    /// The binary does not exist, or it ended or was not ready in time: with the end of its log.
    pub fn start(options: TwinOptions) -> Result<Self> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => default_binary()?,
        };
        if !binary.is_file() {
            bail!("{} does not exist: build it with `cargo build --release --workspace`", binary.display());
        }
        let folder = temporary_folder("twin")?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut twin = Self {
            base_url: format!("http://{address}"),
            data: options.data.clone().unwrap_or_else(|| folder.path().join("data")),
            process: None,
            options,
            binary,
            address,
            folder,
        };
        twin.launch()?;
        Ok(twin)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end. It stays the same over restarts.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The data folder. It stays the same over restarts.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything that the process wrote to its output, over all its starts.
    pub fn log(&self) -> String {
        read_log(&self.log_file())
    }

    /// A `twin` command that talks to this process, for example `twin.command(&["status"])`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.env("TWIN_URL", &self.base_url).args(arguments);
        command
    }

    /// Ends the process as a power loss of it would (SIGKILL).
    ///
    /// # Errors
    /// It does not run.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().context("twin does not run")?.kill()
    }

    /// Lets the process stand still (SIGSTOP), as a machine does that is suspended or out of memory.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process.as_ref().context("twin does not run")?.signal("STOP")
    }

    /// Lets it go on (SIGCONT), after [`TwinProcess::freeze`].
    ///
    /// # Errors
    /// It does not run.
    pub fn thaw(&self) -> Result<()> {
        self.process.as_ref().context("twin does not run")?.signal("CONT")
    }

    /// Asks the process to end (SIGTERM) and gives its exit code.
    ///
    /// # Errors
    /// It does not run, ended by a signal, or did not end in time and was killed.
    pub fn terminate(&mut self) -> Result<i32> {
        self.process.take().context("twin does not run")?.terminate(self.options.stop_timeout)
    }

    /// Starts it again on its data and port, after [`TwinProcess::kill9`] or [`TwinProcess::terminate`].
    ///
    /// # Errors
    /// As [`TwinProcess::start`], or it still runs.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("twin still runs: end it with kill9 or terminate first");
        }
        self.launch()
    }

    /// As [`TwinProcess::restart`], without waiting until it is ready: for what happens while it starts.
    ///
    /// # Errors
    /// It can not be started, or still runs.
    pub fn restart_unattended(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("twin still runs: end it with kill9 or terminate first");
        }
        self.process = Some(self.spawn()?);
        Ok(())
    }

    fn launch(&mut self) -> Result<()> {
        let mut process = self.spawn()?;
        process.wait_until_ready(self.options.start_timeout, || is_ready(&self.address))?;
        self.process = Some(process);
        Ok(())
    }

    fn spawn(&self) -> Result<Process> {
        let mut command = self.bare_command();
        command.arg("run").arg("--data").arg(&self.data).args(["--listen", &self.address]);
        command.args(&self.options.arguments);
        Process::start("twin", &command, &self.log_file())
    }

    fn bare_command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (key, _) in env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with(CONFIGURATION_PREFIX) && name != CACHE {
                command.env_remove(&key);
            }
        }
        // A test that is not about training does not want a job to start beside it.
        command.env("TWIN_TRAINER_AUTOMATIC", "false");
        command.envs(self.options.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("twin.log")
    }
}

/// The binary that is tested: `TWIN_BIN`, or `target/release/twin` as seen from `target/release/deps/<test executable>`.
///
/// # Errors
/// The test executable is not in a folder of cargo's.
pub fn default_binary() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("TWIN_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let executable = env::current_exe().context("cannot find this executable's folder")?;
    let folder = executable.ancestors().nth(2).context("this executable is not in cargo's target folder")?;
    Ok(folder.join("twin"))
}

/// Whether `GET /readyz` is answered with 200. Written by hand, since a client library would need a runtime.
fn is_ready(address: &str) -> bool {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status_line = [0; 12];
        stream.read_exact(&mut status_line)?;
        Ok(String::from_utf8_lossy(&status_line).into_owned())
    };
    answer().is_ok_and(|status_line| status_line.ends_with(" 200"))
}
