//! A process that stands still.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use twin_sqlite::rusqlite::Connection;
use twin_stack::TwinProcess;

/// Stops a process (SIGSTOP) at a moment when it does not hold a lock of files that all share: of the database, which is
/// SQLite's affair, and of the folders of jobs. While it does, nobody else can write there.
///
/// # Errors
/// The process is gone, or its database can not be opened.
pub async fn freeze(process: &TwinProcess) -> Result<()> {
    loop {
        process.freeze()?;
        if tokio::task::block_in_place(|| {
            Ok::<_, anyhow::Error>(is_writable(process.data())? && is_fenced_by_nobody(process.data())?)
        })? {
            return Ok(());
        }
        process.thaw()?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

fn is_writable(data: &Path) -> Result<bool> {
    let connection = Connection::open(data.join("twin.db"))?;
    connection.busy_timeout(Duration::from_secs(1))?;
    Ok(connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok())
}

/// Whether nobody compares attempts of jobs.
fn is_fenced_by_nobody(data: &Path) -> Result<bool> {
    for kind in ["train", "evaluate"] {
        match File::open(data.join("jobs").join(kind).join(".fence")) {
            Ok(fence) => match fence.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
