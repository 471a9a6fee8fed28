use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::Error;

/// Writes put into one transaction, at most: bounds how long the first of them waits.
const GROUP: usize = 256;

/// A write that waits. Called with a connection it does its work and returns what to call once the transaction's
/// fate is known.
type Job = Box<dyn FnOnce(Result<&Connection, Error>) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The thread that owns the writing connection.
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(connection, &queue))
            .map_err(|_| Error::Closed)?;
        Ok(Self { jobs })
    }

    pub(crate) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                Ok(connection) => in_savepoint(connection, work),
                Err(error) => Err(error.into()),
            };
            Box::new(move |committed| {
                // The caller may have stopped waiting.
                let _ = sender.send(committed.map_err(E::from).and(result));
            })
        });
        self.jobs.send(job).map_err(|_| Error::Closed)?;
        receiver.await.map_err(|_| E::from(Error::Closed))?
    }
}

fn serve(mut connection: Connection, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match queue.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        commit_together(&mut connection, group);
    }
}

/// Runs the jobs in one transaction. If it can not be committed, every caller learns of it.
fn commit_together(connection: &mut Connection, group: Vec<Job>) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return refuse(group, &error),
    };
    let replies: Vec<Reply> = group.into_iter().map(|job| job(Ok(&transaction))).collect();
    let committed = transaction.commit();
    for reply in replies {
        reply(committed.as_ref().copied().map_err(copy));
    }
}

fn refuse(group: Vec<Job>, error: &rusqlite::Error) {
    for job in group {
        job(Err(copy(error)))(Ok(()));
    }
}

/// `rusqlite::Error` is not `Clone`; what matters of it here is the code and the text.
fn copy(error: &rusqlite::Error) -> Error {
    let code = error
        .sqlite_error()
        .copied()
        .unwrap_or(rusqlite::ffi::Error { code: rusqlite::ErrorCode::Unknown, extended_code: 0 });
    rusqlite::Error::SqliteFailure(code, Some(error.to_string())).into()
}

fn in_savepoint<T, E, F>(connection: &Connection, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: FnOnce(&Connection) -> Result<T, E>,
{
    connection.execute_batch("SAVEPOINT job").map_err(Error::from)?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|_| Err(Error::Panicked.into()));
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    connection.execute_batch(end).map_err(Error::from)?;
    result
}
