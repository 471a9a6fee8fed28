//! The parent's side.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{info, warn};

use super::clock::{Moment, wall};
use super::files::{self, ATTEMPT, FENCE, LOCK, LOG, ORDER, OUTCOME, PROGRESS};
use super::memory::resident;
use super::{Error, Outcome, Submission, is_passing};
use crate::runner::Resources;

/// How much of a dead child's log is told, bytes.
const LOG_TAIL: usize = 600;
/// Between looks at a child that is about to be gone.
const STEP: Duration = Duration::from_millis(10);
/// Such looks until it counts as one that does not go.
const STEPS: usize = 1_000;
/// How long the lock of the folders is waited for: what is done under it waits for [`STEPS`] at most.
const FENCED: Duration = Duration::from_secs(12);

/// The child processes of one kind of work.
pub(super) struct Children {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    /// Jobs whose child this process has started and not seen end: a child takes a moment until it holds its lock.
    started: Arc<Mutex<HashSet<String>>>,
}

/// What a job's folder shows.
#[derive(Debug)]
pub(super) enum Look {
    /// Nobody has begun it, or its child is gone without an outcome; with the end of its log.
    Gone(String),
    /// A child was started and does not hold the lock yet.
    Starting,
    /// A child works on it; how far it said it is.
    Working(Option<Value>),
    /// It has ended; how it said so.
    Ended(Value),
}

/// What of a submission says when a child is past its bounds. An older version wrote none.
#[derive(Deserialize)]
struct Bounds {
    #[serde(default)]
    resources: Option<Resources>,
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
pub(super) fn identity(pid: u32) -> Vec<u8> {
    serde_json::to_vec(&Identity::of(pid)).unwrap_or_default()
}

impl Children {
    pub(super) fn new(program: PathBuf, arguments: Vec<String>, folder: PathBuf) -> Self {
        Self { program, arguments, folder, started: Arc::default() }
    }

    fn folder_of(&self, job: &str) -> PathBuf {
        self.folder.join(job)
    }

    /// Locks the folders, until it is dropped, against others that compare attempts. Busy: another has it for longer than what is
    /// done under it takes, as one that stands still. It is not waited for: other work, and the end of this process, do not.
    fn fence(&self) -> Result<File, Error> {
        let path = self.folder.join(FENCE);
        let of_file = |source| Error::File { path: path.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(of_file)?;
        let fence = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(of_file)?;
        let began = std::time::Instant::now();
        loop {
            match fence.try_lock() {
                Ok(()) => return Ok(fence),
                Err(TryLockError::Error(source)) => return Err(of_file(source)),
                Err(TryLockError::WouldBlock) if began.elapsed() > FENCED => return Err(Error::Busy(path)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(STEP),
            }
        }
    }

    /// Starts a child on the job, unless one works on it, it has ended, or it has come to a higher attempt.
    pub(super) fn start(&self, job: &str, attempt: u32, submission: &Submission<Value>) -> Result<(), Error> {
        let _fence = self.fence()?;
        let folder = self.folder_of(job);
        let highest = highest_attempt(&folder)?;
        if attempt < highest {
            return Ok(());
        }
        let is_worked_on = self.is_starting(job) || holder(&folder)?.is_some();
        if attempt > highest {
            if !is_worked_on {
                remove_file(&folder.join(OUTCOME))?;
            }
            keep_attempt(&folder, attempt)?;
        }
        if is_worked_on {
            return Ok(());
        }
        match files::read::<Value>(&folder.join(OUTCOME))? {
            Some(outcome) if is_passing(&outcome) => remove_file(&folder.join(OUTCOME))?,
            Some(_) => return Ok(()),
            None => {}
        }
        files::write(&folder.join(ORDER), submission, true)?;
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

    /// What the job's folder shows now. A child past its bounds is killed, which is then the outcome.
    pub(super) fn look(&self, job: &str) -> Result<Look, Error> {
        let folder = self.folder_of(job);
        // Asked before the lock is looked at: a child that has ended since has let go of it.
        let starting = self.is_starting(job);
        let Some(identity) = holder(&folder)? else {
            // Read after the lock: a child writes its outcome before it lets go.
            return Ok(match files::read(&folder.join(OUTCOME))? {
                // It may be submitted again: not before its process is gone.
                Some(outcome) if starting && is_passing(&outcome) => Look::Starting,
                Some(outcome) => Look::Ended(outcome),
                None if starting => Look::Starting,
                None => Look::Gone(log_tail(&folder)),
            });
        };
        let bounds: Option<Bounds> = files::read(&folder.join(ORDER))?;
        let resources = bounds.and_then(|bounds| bounds.resources);
        if let Some(problem) = resources.and_then(|resources| excess(&identity, &resources)) {
            warn!(job, problem, "the child process is killed");
            kill_and_wait(&folder, &identity)?;
            let path = folder.join(OUTCOME);
            let outcome = serde_json::to_value(Outcome::<()>::Failed(problem));
            let outcome = outcome.map_err(|source| Error::Json { path: path.clone(), source })?;
            files::write(&path, &outcome, true)?;
            return Ok(Look::Ended(outcome));
        }
        Ok(Look::Working(files::read(&folder.join(PROGRESS))?))
    }

    /// Ends the job's child, if there is one, and returns when it is gone. Busy: it is still there.
    pub(super) fn kill(&self, job: &str, attempt: u32) -> Result<(), Error> {
        let _fence = self.fence()?;
        let folder = self.folder_of(job);
        if attempt < highest_attempt(&folder)? {
            return Ok(());
        }
        for _ in 0..STEPS {
            match holder(&folder)? {
                None if !self.is_starting(job) => return Ok(()),
                Some(identity) if identity.pid != 0 => kill_and_wait(&folder, &identity)?,
                // A child that has not said who it is yet says so in a moment; one that has let go of its lock is gone
                // in a moment, and counts as one that is starting until then.
                _ => std::thread::sleep(STEP),
            }
        }
        Err(Error::Busy(folder))
    }

    /// Forgets how a lower attempt ended, so that this one can be started; what else lies in the job's folder
    /// (checkpoints) stays. Busy: the child that has ended is still there.
    pub(super) fn reopen(&self, job: &str, attempt: u32) -> Result<(), Error> {
        let _fence = self.fence()?;
        let folder = self.folder_of(job);
        if attempt <= highest_attempt(&folder)? {
            return Ok(());
        }
        if holder(&folder)?.is_none() && folder.join(OUTCOME).exists() {
            self.wait_until_reaped(job)?;
        }
        remove_file(&folder.join(OUTCOME))?;
        keep_attempt(&folder, attempt)
    }

    /// A child that has let go of its lock is gone in a moment. Until then the job counts as one that is starting.
    fn wait_until_reaped(&self, job: &str) -> Result<(), Error> {
        for _ in 0..100 {
            if !self.is_starting(job) {
                return Ok(());
            }
            std::thread::sleep(STEP);
        }
        Err(Error::Busy(self.folder_of(job)))
    }

    /// Removes the job's folder.
    pub(super) fn remove(&self, job: &str, attempt: u32) -> Result<(), Error> {
        let _fence = self.fence()?;
        let folder = self.folder_of(job);
        if attempt < highest_attempt(&folder)? {
            return Ok(());
        }
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::File { path: folder, source }),
            _ => Ok(()),
        }
    }
}

/// The highest attempt that the job has come to; 0 is none, or one of an older version.
fn highest_attempt(folder: &Path) -> Result<u32, Error> {
    Ok(files::read(&folder.join(ATTEMPT))?.unwrap_or(0))
}

fn keep_attempt(folder: &Path, attempt: u32) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    files::write(&folder.join(ATTEMPT), &attempt, true)
}

/// Kills a child and returns when it has let go of its lock. Busy: it has not.
fn kill_and_wait(folder: &Path, identity: &Identity) -> Result<(), Error> {
    let busy = || Error::Busy(folder.to_owned());
    if identity.pid == 0 {
        return Err(busy());
    }
    // The lock is held, so the process number is that of the child and of nobody else.
    if let Err(error) = kill(Pid::from_raw(identity.pid.cast_signed()), Signal::SIGKILL) {
        // It may have ended since the lock was looked at.
        if holder(folder)?.is_none() {
            return Ok(());
        }
        warn!(%error, pid = identity.pid, "the child process could not be killed");
        return Err(busy());
    }
    for _ in 0..STEPS {
        if holder(folder)?.is_none() {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    Err(busy())
}

/// How the child is past its bounds, if it is.
fn excess(identity: &Identity, resources: &Resources) -> Option<String> {
    let memory = resident(identity.pid.cast_signed()).unwrap_or(0);
    if memory > resources.memory_bytes {
        let (used, allowed) = (memory >> 20, resources.memory_bytes >> 20);
        return Some(format!("it used {used} MB of memory, allowed are {allowed} MB"));
    }
    (identity.running_for() > Duration::from_secs(resources.seconds))
        .then(|| format!("it ran longer than the {} s allowed", resources.seconds))
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
