//! A child process with a log file that can not outlive the test process.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How much of a log an error shows.
const TAIL_LINES: usize = 30;
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, whose output is appended to `log`.
    pub(crate) fn start(name: &'static str, command: &Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log).context("cannot open the log file")?;
        let mut bound = bound_to_this_process(command);
        bound.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(bound).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says true.
    ///
    /// # Errors
    /// The process ended, or the time is over: both with the end of its log.
    pub(crate) fn wait_until_ready(&mut self, timeout: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended while it started: {status}\n{}", self.name, self.log_tail());
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{} was not ready after {} s\n{}", self.name, timeout.as_secs(), self.log_tail());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Ends the process as a power loss would: SIGKILL, nothing is flushed.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// It ended by a signal, or had to be killed because the time was over.
    pub(crate) fn terminate(&mut self, timeout: Duration) -> Result<i32> {
        let name = self.name;
        if self.child.try_wait()?.is_none() {
            self.signal("TERM")?;
        }
        let Some(status) = self.wait(timeout)? else {
            self.kill()?;
            bail!("{name} did not end within {} s of SIGTERM\n{}", timeout.as_secs(), self.log_tail());
        };
        status.code().ok_or_else(|| anyhow!("{name} was ended by signal {:?}\n{}", status.signal(), self.log_tail()))
    }

    /// Sends the process a signal, named without `SIG`.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status()?;
        if !sent.success() {
            bail!("cannot send SIG{signal} to {}: kill ended with {sent}", self.name);
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn log_tail(&self) -> String {
        let text = read_log(&self.log);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("the end of its log {}:\n{}", self.log.display(), shown.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only if the process is gone, which is what is wanted.
        let _ = self.kill();
    }
}

/// The text of a log so far, which may hold half a character at its end.
pub(crate) fn read_log(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The same command, killed by the kernel when its parent thread ends (`PR_SET_PDEATHSIG`).
fn bound_to_this_process(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(key, value),
            None => bound.env_remove::<&OsStr>(key),
        };
    }
    bound
}

type Request = (Command, Sender<io::Result<Child>>);

/// Spawns on a thread that lives as long as this process.
///
/// The kernel's "parent" is a thread. A test's own thread ends with the test, and a server that several
/// tests share would be killed with the first of them.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests): (_, Receiver<Request>) = channel();
        thread::spawn(move || {
            for (mut command, reply) in requests {
                // A requester that is gone drops the child's handle, and the kernel still ends the child.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, result) = channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    Ok(result.recv().context("the spawning thread is gone")??)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn shell(script: &str, folder: &TempDir) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("the script", &command, &folder.path().join("log")).unwrap()
    }

    #[test]
    fn a_process_that_ends_early_is_an_error_with_its_last_words() {
        let folder = TempDir::new().unwrap();
        let mut process = shell("echo no disk >&2; exit 3", &folder);
        let error = process.wait_until_ready(Duration::from_secs(20), || false).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no disk"), "{error}");
    }

    #[test]
    fn a_process_that_never_gets_ready_is_an_error_after_the_deadline() {
        let folder = TempDir::new().unwrap();
        let mut process = shell("exec sleep 60", &folder);
        let error = process.wait_until_ready(Duration::from_millis(100), || false).unwrap_err().to_string();
        assert!(error.contains("was not ready after"), "{error}");
    }

    #[test]
    fn termination_gives_the_exit_code_of_the_process() {
        let folder = TempDir::new().unwrap();
        let mut process = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done", &folder);
        let log = folder.path().join("log");
        process.wait_until_ready(Duration::from_secs(20), || read_log(&log).contains("up")).unwrap();
        assert_eq!(process.terminate(Duration::from_secs(20)).unwrap(), 7);
    }

    #[test]
    fn a_process_that_ignores_sigterm_is_killed_and_reported() {
        let folder = TempDir::new().unwrap();
        let mut process = shell("trap '' TERM; echo up; while :; do sleep 0.05; done", &folder);
        let log = folder.path().join("log");
        process.wait_until_ready(Duration::from_secs(20), || read_log(&log).contains("up")).unwrap();
        let error = process.terminate(Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("did not end"), "{error}");
        assert!(process.child.try_wait().unwrap().is_some());
    }

    #[test]
    fn a_process_survives_the_thread_that_started_it() {
        let folder = TempDir::new().unwrap();
        let mut process = thread::scope(|scope| scope.spawn(|| shell("exec sleep 60", &folder)).join().unwrap());
        // A kernel that took the wrong parent would have signalled at the end of that thread.
        assert_eq!(process.wait(Duration::from_millis(300)).unwrap(), None);
    }
}
