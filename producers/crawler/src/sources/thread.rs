//! Walking files and repositories blocks, so it happens on a thread of its own; what it finds comes through a bounded
//! channel, so that a large source does not sit in memory.

use tokio::sync::mpsc;

use super::{Sink, SourceDocument};
use crate::Error;

/// Documents that may wait between the thread and the sink.
const WAITING: usize = 16;

pub(super) enum Found {
    Document(Box<SourceDocument>),
    Unchanged(String),
    Failed { natural_key: String, reason: String },
}

/// The thread's end of the channel.
pub(super) struct FoundSender(mpsc::Sender<Found>);

impl FoundSender {
    /// Hands over what was found; [`Error::Stopped`] once nobody wants it any more.
    pub fn send(&self, found: Found) -> Result<(), Error> {
        self.0.blocking_send(found).map_err(|_| Error::Stopped)
    }
}

/// Runs `work` on a blocking thread and tells the sink what it finds. Dropping the future ends the work when it
/// next tells something.
pub(super) async fn collect_on_thread<T, F>(sink: &mut dyn Sink, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&FoundSender) -> Result<T, Error> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let thread = tokio::task::spawn_blocking(move || work(&FoundSender(sender)));
    while let Some(found) = receiver.recv().await {
        match found {
            Found::Document(document) => sink.document(*document).await?,
            Found::Unchanged(identity) => sink.unchanged(identity).await?,
            Found::Failed { natural_key, reason } => sink.failed(natural_key, reason).await?,
        }
    }
    joined(thread.await)
}

/// The result of a blocking thread, a panic made into an error.
pub(super) fn joined<T>(result: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(Error::panicked(&*payload)),
            Err(_) => Err(Error::Stopped),
        },
    }
}
