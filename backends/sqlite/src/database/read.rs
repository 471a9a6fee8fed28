use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Error, connect};

/// Reads at a time, and connections kept for them. Each has a cache and three files of its own, so that without a bound
/// a flood of reads would take a machine's memory and files. More than this would only share the same processors.
pub(super) const AT_ONCE: usize = 8;

/// Connections for readers; one is opened when none is idle.
pub(super) struct ReadPool {
    path: PathBuf,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl ReadPool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, places: Arc::new(Semaphore::new(AT_ONCE)), idle: Mutex::new(Vec::new()) }
    }

    /// Waits until there are fewer than [`AT_ONCE`] reads that have a place.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // None only if it were closed, which it never is.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    pub(super) fn run<T, E, F>(&self, work: F) -> Result<T, E>
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
        if idle.len() < AT_ONCE {
            idle.push(connection);
        }
    }
}
