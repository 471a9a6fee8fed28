//! For tests: which statements a database runs, and how SQLite goes about them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ffi};

use super::read::AT_ONCE;
use super::{Database, Error};

/// The statements that a database's connections begin, in order, with their parameters' names in place of values.
#[derive(Clone, Default)]
pub struct Statements {
    begun: Arc<Mutex<Vec<String>>>,
}

impl Statements {
    /// Those of this database from now on, of reads and writes.
    pub async fn of(database: &Database) -> Result<Self, Error> {
        let statements = Self::default();
        let of_writer = statements.clone();
        database.write(move |tx| of_writer.watch(tx)).await?;
        statements.watch_readers(database, AT_ONCE)?;
        Ok(statements)
    }

    /// Those that were begun since this was asked last.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Each level has a connection of its own, so that all of them are met.
    fn watch_readers(&self, database: &Database, levels: usize) -> Result<(), Error> {
        if levels == 0 {
            return Ok(());
        }
        database.read_blocking(|connection| {
            self.watch(connection)?;
            self.watch_readers(database, levels - 1)
        })
    }

    #[allow(unsafe_code)]
    fn watch(&self, connection: &Connection) -> Result<(), Error> {
        // Never freed: the connection may live longer than who watches it.
        let begun = Arc::into_raw(self.begun.clone()).cast_mut().cast::<c_void>();
        // SAFETY: the connection is open, and `begun` is what `note` takes it for as long as the process lives.
        let code = unsafe { ffi::sqlite3_trace_v2(connection.handle(), ffi::SQLITE_TRACE_STMT, Some(note), begun) };
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
    }
}

#[allow(unsafe_code)]
unsafe extern "C" fn note(_event: c_uint, begun: *mut c_void, _statement: *mut c_void, sql: *mut c_void) -> c_int {
    // SAFETY: `Statements::watch` gave this pointer, to something that is never freed; of SQLITE_TRACE_STMT, which it asked
    // for, the last parameter is the statement's text (https://sqlite.org/c3ref/c_trace.html).
    let (begun, sql) = unsafe { (&*begun.cast::<Mutex<Vec<String>>>(), CStr::from_ptr(sql.cast::<c_char>())) };
    begun.lock().unwrap_or_else(PoisonError::into_inner).push(sql.to_string_lossy().into_owned());
    0
}

/// The steps by which SQLite would run a statement: `SEARCH … USING INDEX …`, `SCAN …`.
pub fn plan(connection: &Connection, sql: &str) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(row.get("detail")?);
    }
    Ok(steps)
}
