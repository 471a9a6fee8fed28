//! The parent's side.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::Error;
use crate::clock::{Moment, wall};
use crate::files::{self, LOCK, LOG, ORDER, OUTCOME, PROGRESS};
use crate::limits::{Limits, resident};

/// How much of a dead child's log is told, bytes.
const LOG_TAIL: usize = 600;

/// The child processes of one kind of work.
pub struct Children {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    limits: Limits,
    /// Jobs whose child this process has started and not seen end: a child takes a moment until it holds its lock.
    started: Arc<Mutex<HashSet<String>>>,
}

/// What a job's folder shows.
#[derive(Debug, PartialEq)]
pub enum Look<O, P> {
    /// Nobody has begun it, or its child is gone without an outcome; with the end of its log.
    Idle(String),
    /// A child works on it; how far it said it is.
    Working(Option<P>),
    /// It has ended.
    Ended(Result<O, String>),
}

/// Who holds a job's lock.
#[derive(Serialize, Deserialize)]
struct Identity {
    pid: u32,
    /// Seconds since 1970: what older versions know.
    since: u64,
    /// None from an older version, and where the system does not say.
    #[serde(default)]
    started: Option<Moment>,
}

impl Identity {
    fn of(pid: u32) -> Self {
        Self { pid, since: wall(), started: Moment::now() }
    }

    fn running_for(&self) -> Duration {
        let by_the_wall = || Duration::from_secs(wall().saturating_sub(self.since));
        self.started.as_ref().and_then(Moment::elapsed).unwrap_or_else(by_the_wall)
    }
}

/// What a child writes into its lock.
pub(crate) fn identity(pid: u32) -> Vec<u8> {
    serde_json::to_vec(&Identity::of(pid)).unwrap_or_default()
}

impl Children {
    /// Children that run `program` with `arguments` and the job's folder, their folders below `folder`.
    pub fn new(program: PathBuf, arguments: Vec<String>, folder: PathBuf, limits: Limits) -> Self {
        Self { program, arguments, folder, limits, started: Arc::default() }
    }

    /// The folder of a job, made if it is not there.
    pub fn folder_of(&self, job: &str) -> Result<PathBuf, Error> {
        let folder = self.folder.join(job);
        std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
        Ok(folder)
    }

    /// Starts a child on the job, unless one works on it or it has ended.
    pub fn start(&self, job: &str, order: &impl Serialize) -> Result<(), Error> {
        let folder = self.folder_of(job)?;
        if self.is_starting(job) || holder(&folder)?.is_some() || folder.join(OUTCOME).exists() {
            return Ok(());
        }
        files::write(&folder.join(ORDER), order, true)?;
        let of_log = |source| Error::File { path: folder.join(LOG), source };
        let log = OpenOptions::new().create(true).append(true).open(folder.join(LOG)).map_err(of_log)?;
        let errors = log.try_clone().map_err(of_log)?;
        // Questions go before training.
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).arg(&self.program).args(&self.arguments).arg(&folder);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // The allocator keeps what is freed: buffers of the same sizes are wanted again in the next step, and to give
        // them back in between cost a tenth of the time in training.
        command.env("MIMALLOC_PURGE_DELAY", "-1");
        // In a group of its own: a Ctrl-C is for the parent, which decides what becomes of its children.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|source| Error::Start { program: self.program.clone(), source })?;
        info!(job, pid = child.id(), "child process started");
        self.reap(job, child);
        Ok(())
    }

    /// Takes the child's exit status when it ends, so that no zombie stays.
    fn reap(&self, job: &str, mut child: std::process::Child) {
        let (job, started) = (job.to_owned(), self.started.clone());
        started.lock().unwrap_or_else(PoisonError::into_inner).insert(job.clone());
        std::thread::spawn(move || {
            if let Err(error) = child.wait() {
                warn!(%error, job, "the end of the child process could not be awaited");
            }
            started.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        });
    }

    fn is_starting(&self, job: &str) -> bool {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).contains(job)
    }

    /// What the job's folder shows now. A child over its limits is killed, which is then the outcome.
    pub fn look<O, P>(&self, job: &str) -> Result<Look<O, P>, Error>
    where
        O: DeserializeOwned + Serialize,
        P: DeserializeOwned,
    {
        let folder = self.folder_of(job)?;
        // Asked before the lock is looked at: a child that has ended since has let go of it.
        let starting = self.is_starting(job);
        let Some(identity) = holder(&folder)? else {
            // Read after the lock: a child writes its outcome before it lets go.
            return Ok(match files::read(&folder.join(OUTCOME))? {
                Some(outcome) => Look::Ended(outcome),
                None if starting => Look::Working(None),
                None => Look::Idle(log_tail(&folder)),
            });
        };
        if let Some(problem) = self.excess(&identity) {
            warn!(job, problem, "the child process is killed");
            self.kill_and_wait(&folder, &identity);
            let outcome: Result<O, String> = Err(problem);
            files::write(&folder.join(OUTCOME), &outcome, true)?;
            return Ok(Look::Ended(outcome));
        }
        Ok(Look::Working(files::read(&folder.join(PROGRESS))?))
    }

    fn excess(&self, identity: &Identity) -> Option<String> {
        let memory = resident(identity.pid.cast_signed()).unwrap_or(0);
        if memory > self.limits.memory {
            return Some(format!("it used {} MB of memory, allowed are {} MB", memory >> 20, self.limits.memory >> 20));
        }
        (identity.running_for() > self.limits.time)
            .then(|| format!("it ran longer than the {} s allowed", self.limits.time.as_secs()))
    }

    /// Ends the job's child, if there is one, and returns when it is gone.
    pub fn kill(&self, job: &str) -> Result<(), Error> {
        let folder = self.folder_of(job)?;
        // A child that has not said who it is yet says so in a moment.
        for _ in 0..100 {
            match holder(&folder)? {
                None if !self.is_starting(job) => break,
                Some(identity) if identity.pid != 0 => {
                    self.kill_and_wait(&folder, &identity);
                    break;
                }
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok(())
    }

    fn kill_and_wait(&self, folder: &Path, identity: &Identity) {
        if identity.pid == 0 {
            return;
        }
        // The lock is held, so the process number is that of the child and of nobody else.
        let killed = kill(Pid::from_raw(identity.pid.cast_signed()), Signal::SIGKILL);
        if let Err(error) = killed {
            warn!(%error, pid = identity.pid, "the child process could not be killed");
            return;
        }
        for _ in 0..500 {
            if matches!(holder(folder), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Forgets how the job ended, so that it can be started again; what else lies in its folder (checkpoints) stays.
    pub fn reopen(&self, job: &str) -> Result<(), Error> {
        remove_file(&self.folder_of(job)?.join(OUTCOME))
    }

    /// Removes the job's folder.
    pub fn remove(&self, job: &str) -> Result<(), Error> {
        let folder = self.folder.join(job);
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::File { path: folder, source }),
            _ => Ok(()),
        }
    }
}

/// Who works on a job, if anybody does.
fn holder(folder: &Path) -> Result<Option<Identity>, Error> {
    let path = folder.join(LOCK);
    let of_file = |source| Error::File { path: path.clone(), source };
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(of_file(source)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        // A child that holds the lock and has not said who it is yet is looked at again.
        Err(TryLockError::WouldBlock) => Ok(Some(files::read(&path).ok().flatten().unwrap_or_else(|| Identity::of(0)))),
        Err(TryLockError::Error(source)) => Err(of_file(source)),
    }
}

fn log_tail(folder: &Path) -> String {
    let log = std::fs::read(folder.join(LOG)).unwrap_or_default();
    let tail = &log[log.len().saturating_sub(LOG_TAIL)..];
    String::from_utf8_lossy(tail).trim().to_owned()
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
