//! One SQLite file.
//!
//! Promises: all writes of a process go through one thread, which puts those that wait together into one
//! transaction (group commit) with a savepoint each, so that one failing write undoes itself alone; if SQLite undoes the
//! whole transaction (the disk is full), each is repeated in one of its own. A write is
//! durable (WAL, `synchronous=FULL`) when its future ends. When the last handle of the last process is dropped, the file alone
//! holds everything: no write-ahead log is left beside it. Reads run on a pool of connections, on blocking
//! threads, and see a consistent snapshot.
//!
//! Deliberately not here: any table. Each user of the file brings its own schema and migrations.

mod error;
mod read;
mod schema;
pub mod testing;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use error::Error;
pub use schema::{Migration, migrate};

use read::ReadPool;
use write::Writer;

/// A handle to the file; clones share it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    // Closed first, so that the writer's connection is the last one.
    readers: ReadPool,
    writer: Writer,
}

impl Database {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        register_extensions();
        let connection = connect(path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Error::NoWal { path: path.to_owned(), mode });
        }
        let writer = Writer::start(connection)?;
        let shared = Shared { path: path.to_owned(), writer, readers: ReadPool::new(path.to_owned()) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Reads the whole file and finds pages that are damaged. It does not find a changed byte in a text.
    pub async fn check(&self) -> Result<(), Error> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA quick_check(3)")?;
            let problems: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            if problems == ["ok"] { Ok(()) } else { Err(Error::Damaged(problems.join("; "))) }
        })
        .await
    }

    /// Runs `work` in a transaction on the writer's thread. An error undoes what `work` did. It may be run again, when
    /// the transaction that it shared with others was undone.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&rusqlite::Connection) -> Result<T, E> + Send + 'static,
    {
        self.shared.writer.run(work).await
    }

    /// Runs `work` in a read transaction on a blocking thread. A bounded number runs at a time, the others wait.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&rusqlite::Connection) -> Result<T, E> + Send + 'static,
    {
        let database = self.clone();
        let place = self.shared.readers.place().await;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work and not by who waits for it: that one may go before the work ends.
            let _place = place;
            database.read_blocking(work)
        });
        task.await.map_err(|_| E::from(Error::Panicked))?
    }

    /// As [`Self::read`], on the calling thread.
    pub fn read_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnOnce(&rusqlite::Connection) -> Result<T, E>,
    {
        self.shared.readers.run(work)
    }
}

fn connect(path: &Path) -> Result<rusqlite::Connection, Error> {
    let connection =
        rusqlite::Connection::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    // Another process may hold the write lock for as long as one group commit takes.
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Makes `vec0` tables known to every connection opened from here on.
#[allow(unsafe_code)]
fn register_extensions() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        type EntryPoint = unsafe extern "C" fn(
            *mut rusqlite::ffi::sqlite3,
            *mut *mut std::os::raw::c_char,
            *const rusqlite::ffi::sqlite3_api_routines,
        ) -> std::os::raw::c_int;
        // SAFETY: `sqlite3_vec_init` is an SQLite extension entry point, so it has this signature (the binding
        // declares it without arguments); registering one before any connection is open is what the call is for.
        unsafe {
            let entry: EntryPoint = std::mem::transmute(sqlite_vec::sqlite3_vec_init as *const ());
            rusqlite::ffi::sqlite3_auto_extension(Some(entry));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn open(folder: &tempfile::TempDir) -> Database {
        Database::open(&folder.path().join("twin.db")).unwrap()
    }

    #[tokio::test]
    async fn a_failing_write_undoes_itself_and_not_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        database.write::<_, Error, _>(|tx| Ok(tx.execute_batch("CREATE TABLE t (x INTEGER UNIQUE)")?)).await.unwrap();
        let write = |x: i64| {
            database.write::<_, Error, _>(move |tx| {
                tx.execute("INSERT INTO t VALUES (?1)", [x * 100])?;
                tx.execute("INSERT INTO t VALUES (?1)", [x])?;
                Ok(())
            })
        };
        // All at once, so that they share a transaction.
        let results = tokio::join!(write(1), write(2), write(2), write(3));
        assert!(results.0.is_ok() && results.1.is_ok() && results.2.is_err() && results.3.is_ok());
        let rows = database.read(count).await.unwrap();
        assert_eq!(rows, 6);
    }

    fn count(connection: &rusqlite::Connection) -> Result<i64, Error> {
        Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn the_file_alone_holds_everything_once_the_last_handle_is_dropped() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let database = open(&folder);
            database.write::<_, Error, _>(|tx| Ok(tx.execute_batch("CREATE TABLE t (x)")?)).await.unwrap();
            assert_eq!(database.read(count).await.unwrap(), 0);
            drop(database);
            let files: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
            assert_eq!(files, ["twin.db"]);
        }
    }

    #[tokio::test]
    async fn a_write_may_hold_the_last_handle() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let held = database.clone();
        let write = database.write::<_, Error, _>(move |_| Ok(held.path().to_owned()));
        drop(tokio::time::timeout(Duration::ZERO, write).await);
        drop(database);
    }

    #[tokio::test]
    async fn a_panicking_write_is_an_error_and_the_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let panicked = database.write::<(), Error, _>(|_| panic!("no")).await;
        assert!(matches!(panicked, Err(Error::Panicked)));
        database.write::<_, Error, _>(|tx| Ok(tx.execute_batch("CREATE TABLE t (x)")?)).await.unwrap();
        assert_eq!(database.read(count).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_flood_of_reads_is_served_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let reads = (0..200).map(|number| {
            let (database, running, most) = (database.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                let work = move |connection: &rusqlite::Connection| -> Result<i64, Error> {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    let read = connection.query_row("SELECT ?1", [number], |row| row.get(0));
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(read?)
                };
                assert_eq!(database.read(work).await.unwrap(), number);
            })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap();
        }
        assert!((1..=read::AT_ONCE).contains(&most.load(Ordering::SeqCst)), "{most:?} at a time");
    }

    #[tokio::test]
    async fn vectors_and_full_text_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder);
        let work = |tx: &rusqlite::Connection| -> Result<(), Error> {
            tx.execute_batch(
                "CREATE VIRTUAL TABLE v USING vec0(embedding float[3] distance_metric=cosine);
                 CREATE VIRTUAL TABLE f USING fts5(body);",
            )?;
            Ok(())
        };
        database.write(work).await.unwrap();
    }
}
