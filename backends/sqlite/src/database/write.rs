use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::Error;

/// Writes put into one transaction, at most: bounds how long the first of them waits.
const GROUP: usize = 256;

/// A write that waits. It is run again when the transaction that it was a part of could not be kept.
trait Job: Send {
    /// Does the work in a savepoint. An error is that the transaction is lost: what earlier jobs did in it, too.
    fn run(&mut self, transaction: &Connection) -> Result<(), Error>;

    /// Tells the caller, now that the fate of the transaction is known.
    fn tell(self: Box<Self>, fate: Result<(), Error>);
}

struct Write<T, E, F> {
    work: F,
    /// Of the last run.
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Write<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnMut(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, transaction: &Connection) -> Result<(), Error> {
        self.result = None;
        transaction.execute_batch("SAVEPOINT job")?;
        let work = catch_unwind(AssertUnwindSafe(|| (self.work)(transaction)));
        let result = self.result.insert(work.unwrap_or_else(|_| Err(Error::Panicked.into())));
        // Of a full disk, for one, SQLite makes an end of the whole transaction by itself.
        if transaction.is_autocommit() {
            return Err(Error::Undone);
        }
        let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        Ok(transaction.execute_batch(end)?)
    }

    fn tell(self: Box<Self>, fate: Result<(), Error>) {
        // An error of the work itself is the cause of what became of the transaction, and says more.
        let result = match (self.result, fate) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(Error::Closed.into()),
        };
        // The caller may have stopped waiting.
        let _ = self.caller.send(result);
    }
}

/// The thread that owns the writing connection.
pub(super) struct Writer {
    /// None once it is to end.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    /// Waits until what was sent is written and the connection is closed: of the last connection that is what brings the
    /// write-ahead log into the file, and a process may end right after this.
    fn drop(&mut self) {
        self.jobs = None;
        // A job that holds the last handle to its database drops it on this very thread.
        let thread = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that writes to the database panicked");
        }
    }
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(connection, &queue))
            .map_err(|_| Error::Closed)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (caller, receiver) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(Box::new(Write { work, result: None, caller })).map_err(|_| Error::Closed)?;
        receiver.await.map_err(|_| E::from(Error::Closed))?
    }
}

fn serve(mut connection: Connection, queue: &mpsc::Receiver<Box<dyn Job>>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match queue.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        commit(&mut connection, group);
    }
}

/// Runs the jobs in one transaction. If it can not be kept, each is run again in one of its own: what fits is written,
/// and only those fail that can not be.
fn commit(connection: &mut Connection, mut group: Vec<Box<dyn Job>>) {
    let fate = match in_transaction(connection, &mut group) {
        Err(Stopped::Lost(error)) if group.len() > 1 => {
            warn!(%error, writes = group.len(), "a transaction was undone as a whole: each of its writes is repeated alone");
            return commit_apart(connection, group);
        }
        Err(Stopped::NotBegun(error) | Stopped::Lost(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    for job in group {
        job.tell(fate.as_ref().copied().map_err(copy));
    }
}

fn commit_apart(connection: &mut Connection, group: Vec<Box<dyn Job>>) {
    let mut jobs = group.into_iter();
    while let Some(mut job) = jobs.next() {
        match in_transaction(connection, std::slice::from_mut(&mut job)) {
            Ok(()) => job.tell(Ok(())),
            Err(Stopped::Lost(error)) => job.tell(Err(error)),
            // Somebody else holds the lock: the others would wait as long, one after the other.
            Err(Stopped::NotBegun(error)) => {
                for job in std::iter::once(job).chain(jobs.by_ref()) {
                    job.tell(Err(copy(&error)));
                }
            }
        }
    }
}

/// Why the jobs of a transaction have had no effect.
enum Stopped {
    /// It was not begun.
    NotBegun(Error),
    /// It was begun, and is undone.
    Lost(Error),
}

fn in_transaction(connection: &mut Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), Stopped> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| Stopped::NotBegun(error.into()))?;
    for job in jobs {
        // Dropping the transaction undoes what is left of it.
        job.run(&transaction).map_err(Stopped::Lost)?;
    }
    transaction.commit().map_err(|error| Stopped::Lost(error.into()))
}

/// `rusqlite::Error` is not `Clone`; what matters of it here is the code and the text.
fn copy(error: &Error) -> Error {
    match error {
        Error::Statement(error) => {
            let code = error
                .sqlite_error()
                .copied()
                .unwrap_or(rusqlite::ffi::Error { code: rusqlite::ErrorCode::Unknown, extended_code: 0 });
            Error::Statement(rusqlite::Error::SqliteFailure(code, Some(error.to_string())))
        }
        Error::Damaged(problem) => Error::Damaged(problem.clone()),
        Error::Undone => Error::Undone,
        _ => Error::Closed,
    }
}
