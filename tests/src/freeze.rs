//! A process that stands still.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use twin_sqlite::rusqlite::Connection;
use twin_stack::TwinProcess;

/// Stops a process (SIGSTOP) at a moment when it does not hold the lock of the file that all share. (While it does, nobody
/// can write anything: that is SQLite's affair.)
///
/// # Errors
/// The process is gone, or its database can not be opened.
pub async fn freeze(process: &TwinProcess) -> Result<()> {
    loop {
        process.freeze()?;
        if tokio::task::block_in_place(|| is_writable(process.data()))? {
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
