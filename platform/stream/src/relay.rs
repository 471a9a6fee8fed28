//! The relay of a transactional outbox (<https://microservices.io/patterns/data/transactional-outbox.html>): what a store
//! has written and the log does not hold yet is appended, and marked once the log has acknowledged it.
//!
//! Promises: each event is appended at least once, as the same event. A process that dies between the append and the mark
//! leaves an event that is appended again.
//!
//! Of several relays the one that holds the lease works. That saves work and is not what keeps the order: a relay may stand
//! still before its append for so long that another takes over. What a mark then does about that is the store's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;
use tracing::{debug, warn};
use twin_coordination::{Held, Member};
use twin_telemetry::ShutdownSignal;

use crate::{EventLog, NewRecord};

/// The pause after a failure, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Between looks where no other process can have written anything.
const ALONE: Duration = Duration::from_secs(5);
/// So long the lease is kept when there is nothing to publish: a lease for each event would be two writes for each.
const LINGER: Duration = Duration::from_secs(3);

/// What a store has yet to publish.
#[async_trait]
pub trait Outgoing: Send + Sync {
    /// Names what was appended, for [`Self::mark`].
    type Mark: Send + Sync;
    /// What can go wrong.
    type Error: std::fmt::Display + From<crate::Error> + From<twin_backend::Error> + Send;

    /// The lease of its relay, and what it is called in logs.
    fn name(&self) -> &'static str;

    /// Changes whenever this process may have written something to publish.
    fn changes(&self) -> watch::Receiver<()>;

    /// Whether there is anything to publish.
    async fn is_empty(&self) -> Result<bool, Self::Error>;

    /// The oldest of it, at most `limit`, each with the record that it becomes; none where there is only a mark to set.
    async fn oldest(&self, limit: usize) -> Result<Vec<(Self::Mark, Option<NewRecord>)>, Self::Error>;

    /// These were just appended.
    async fn mark(&self, appended: Vec<Self::Mark>) -> Result<(), Self::Error>;
}

/// Publishes what is outgoing.
pub struct Relay<O> {
    outgoing: O,
    log: Arc<dyn EventLog>,
    member: Member,
    /// Between looks for what another process has written. What this process writes is published at once.
    poll: Duration,
    /// Events published together, at most.
    batch: usize,
    held: Option<Held>,
    worked_at: Instant,
}

impl<O: Outgoing> Relay<O> {
    /// A relay to `log`, not running yet.
    pub fn new(outgoing: O, log: Arc<dyn EventLog>, member: Member, poll: Duration, batch: usize) -> Self {
        let poll = if member.is_alone() { poll.max(ALONE) } else { poll };
        Self { outgoing, log, member, poll, batch, held: None, worked_at: Instant::now() }
    }

    /// Publishes until the shutdown begins.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.outgoing.changes();
        let mut pause = self.poll;
        while !shutdown.has_begun() {
            match self.publish_some().await {
                Ok(0) => {
                    pause = self.poll;
                    if self.worked_at.elapsed() > LINGER {
                        self.release().await;
                    }
                    tokio::select! {
                        () = shutdown.begun() => {}
                        // The sender lives as long as the store that this holds.
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(self.poll) => {}
                    }
                }
                Ok(_) => pause = self.poll,
                Err(error) => {
                    warn!(relay = self.outgoing.name(), %error, ?pause, "publishing failed, trying again");
                    tokio::select! {
                        () = shutdown.begun() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.release().await;
    }

    /// Publishes one batch and returns how much it held: nothing, too, if another relay is at work.
    pub async fn publish_some(&mut self) -> Result<usize, O::Error> {
        if !self.held.as_ref().is_some_and(Held::is_held) {
            if self.outgoing.is_empty().await? {
                return Ok(0);
            }
            self.held = self.member.hold(self.outgoing.name()).await?;
        }
        let Some(held) = &self.held else { return Ok(0) };
        let oldest = self.outgoing.oldest(self.batch).await?;
        // Looked at last, so that of what another has published meanwhile little is appended again.
        if oldest.is_empty() || !held.is_held() {
            return Ok(0);
        }
        let (marks, records): (Vec<O::Mark>, Vec<Option<NewRecord>>) = oldest.into_iter().unzip();
        self.log.append(records.into_iter().flatten().collect()).await?;
        let published = marks.len();
        self.outgoing.mark(marks).await?;
        self.worked_at = Instant::now();
        debug!(relay = self.outgoing.name(), published, "published");
        Ok(published)
    }

    async fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        if let Err(error) = held.release().await {
            let relay = self.outgoing.name();
            warn!(relay, %error, "the lease of the relay could not be given up; it passes on by itself");
        }
    }
}
