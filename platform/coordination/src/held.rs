//! Work under a lease.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;
use twin_backend::Error;

use crate::{Epoch, Lease, Leases, Owner};

/// The lease was lost, so the work under it was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease was lost")]
pub struct Lost;

/// A lease that is kept: renewed at a third of its time to live until it is released, dropped or lost.
///
/// It counts as lost when another took it, or when it could not be renewed for its time to live: no waiter has it before
/// that. Dropped without a release it stands still, and passes on after its time to live.
pub struct Held {
    leases: Arc<dyn Leases>,
    lease: Lease,
    state: Arc<State>,
    renewals: tokio::task::JoinHandle<()>,
}

struct State {
    ttl: Duration,
    /// When the last renewal that succeeded was begun. Whoever waits has seen it later, so waits longer.
    renewed_at: Mutex<Instant>,
    lost: watch::Sender<bool>,
}

impl State {
    fn runs_out_at(&self) -> Instant {
        *self.renewed_at.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) + self.ttl
    }

    fn renewed(&self, at: Instant) {
        *self.renewed_at.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = at;
    }
}

impl Held {
    /// Takes the lease and keeps it. None if another holds it.
    pub async fn acquire(
        leases: Arc<dyn Leases>,
        name: &str,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<Option<Self>, Error> {
        let begun = Instant::now();
        let Some(lease) = leases.acquire(name, owner, ttl).await? else { return Ok(None) };
        let state = Arc::new(State { ttl, renewed_at: Mutex::new(begun), lost: watch::channel(false).0 });
        let renewals = tokio::spawn(renew(leases.clone(), lease.clone(), state.clone()));
        Ok(Some(Self { leases, lease, state, renewals }))
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Its epoch, for the fences.
    pub fn epoch(&self) -> Epoch {
        self.lease.epoch
    }

    /// Whether nobody else can have it yet, as far as this process knows. True may be wrong a moment later.
    pub fn is_held(&self) -> bool {
        !*self.state.lost.borrow() && Instant::now() < self.state.runs_out_at()
    }

    /// Ends when the lease is lost.
    pub async fn lost(&self) {
        let mut lost = self.state.lost.subscribe();
        // The sender lives as long as this does.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Does work while the lease is held. The work is dropped, at its next await, when it is lost.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Lost> {
        tokio::select! {
            biased;
            () = self.lost() => Err(Lost),
            done = work => Ok(done),
        }
    }

    /// Gives the lease up, so that the next need not wait for it.
    pub async fn release(self) -> Result<(), Error> {
        self.renewals.abort();
        self.leases.release(&self.lease).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

/// Renews until the lease is lost.
async fn renew(leases: Arc<dyn Leases>, lease: Lease, state: Arc<State>) {
    let mut pause = state.ttl / 3;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        // Tried once more though its time is over, as after standing still: it may be that nobody took it.
        let give_up_at = state.runs_out_at().max(begun + state.ttl / 3);
        match tokio::time::timeout_at(give_up_at, leases.renew(&lease, state.ttl)).await {
            Ok(Ok(true)) => {
                state.renewed(begun);
                pause = state.ttl / 3;
            }
            Ok(Ok(false)) => break warn!(lease = lease.name, epoch = lease.epoch, "another took the lease"),
            Ok(Err(error)) if Instant::now() < state.runs_out_at() => {
                warn!(lease = lease.name, %error, "the lease was not renewed, trying again");
                pause = state.ttl / 10;
            }
            Ok(Err(_)) | Err(_) => break warn!(lease = lease.name, "the lease was not renewed in time"),
        }
    }
    state.lost.send_replace(true);
}
