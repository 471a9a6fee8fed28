use std::path::PathBuf;
use std::sync::Mutex;

use rusqlite::Connection;

use crate::{Error, connect};

/// Idle connections kept for the next reader.
const KEPT: usize = 8;

/// Connections for readers; one is opened when none is idle.
pub(crate) struct ReadPool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl ReadPool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnOnce(&Connection) -> Result<T, E>,
    {
        let mut connection = self.take()?;
        let result = {
            let snapshot = connection.transaction().map_err(Error::from)?;
            work(&snapshot)
        };
        self.give_back(connection);
        result
    }

    fn take(&self) -> Result<Connection, Error> {
        let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                let connection = connect(&self.path)?;
                connection.pragma_update(None, "query_only", true)?;
                Ok(connection)
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}
