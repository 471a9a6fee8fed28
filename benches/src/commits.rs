//! Transactions that a process has written to an SQLite file, counted from outside.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The version of the index's format (<https://sqlite.org/walformat.html>, section 2.1).
const VERSION: u32 = 3_007_000;

/// Transactions that have changed the database since its log was begun: `iChange` of the index of the write-ahead log,
/// which counts each commit. With `synchronous=FULL` each of them was flushed to disk. It goes round after 2^32.
pub fn so_far(database: &Path) -> Result<u32> {
    let index = database
        .with_file_name(format!("{}-shm", database.file_name().context("a database has a name")?.to_string_lossy()));
    let mut header = [0; 12];
    let mut file = File::open(&index).with_context(|| format!("can not open {}", index.display()))?;
    file.read_exact(&mut header).with_context(|| format!("can not read {}", index.display()))?;
    let number = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    ensure!(number(0) == VERSION, "the index of the write-ahead log has version {}", number(0));
    Ok(number(8))
}

#[cfg(test)]
mod tests {
    use twin_sqlite::{Database, Error};

    use super::*;

    #[tokio::test]
    async fn each_transaction_that_writes_counts_and_a_look_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twin.db");
        let database = Database::open(&path).unwrap();
        let write = async |sql: &'static str| {
            database.write::<_, Error, _>(move |tx| Ok(tx.execute_batch(sql)?)).await.unwrap();
        };
        write("CREATE TABLE t (x)").await;
        let begun = so_far(&path).unwrap();
        for _ in 0..3 {
            write("INSERT INTO t VALUES (1)").await;
        }
        write("DELETE FROM t WHERE x = 2").await;
        let count = |c: &twin_sqlite::rusqlite::Connection| -> Result<i64, Error> {
            Ok(c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
        };
        assert_eq!(database.read(count).await.unwrap(), 3);
        assert_eq!(so_far(&path).unwrap() - begun, 3);
    }
}
