//! Work that keeps a processor busy runs on threads of its own.

use crate::Error;

/// Runs `work` where it may take its time.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Panicked)?
}
