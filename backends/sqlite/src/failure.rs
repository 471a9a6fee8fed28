//! Between SQLite's errors and those of the ports.

use crate::Error;

/// Why a port's method failed: SQLite, or something that the port itself names.
#[derive(Debug)]
pub(crate) enum Failure<P> {
    /// A statement, the file.
    Sqlite(Error),
    /// An error of the port `P`.
    Port(P),
}

impl<P> From<Error> for Failure<P> {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl<P> From<rusqlite::Error> for Failure<P> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

impl From<Failure<Self>> for twin_stream::Error {
    fn from(failure: Failure<Self>) -> Self {
        match failure {
            Failure::Sqlite(error) => Self::Backend(error.into()),
            Failure::Port(error) => error,
        }
    }
}

impl From<Failure<Self>> for twin_warehouse::Error {
    fn from(failure: Failure<Self>) -> Self {
        match failure {
            Failure::Sqlite(error) => Self::Store(error.into()),
            Failure::Port(error) => error,
        }
    }
}

impl From<Failure<Self>> for twin_vectors::Error {
    fn from(failure: Failure<Self>) -> Self {
        match failure {
            Failure::Sqlite(error) => Self::Store(error.into()),
            Failure::Port(error) => error,
        }
    }
}

impl From<Failure<Self>> for twin_backend::Error {
    fn from(failure: Failure<Self>) -> Self {
        match failure {
            Failure::Sqlite(error) => error.into(),
            Failure::Port(error) => error,
        }
    }
}
