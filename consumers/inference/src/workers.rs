//! The workers that take up deployments.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use twin_backend::Error;
use twin_coordination::{Held, Member};

/// Between looks at the registry when no event comes: what was deployed while the log could not be read is taken up too.
pub(crate) const POLL: Duration = Duration::from_secs(2);
/// How long a worker that can not take up a deployment waits for the others to be seen: each looks for deployments within
/// [`POLL`].
const NOTICE: Duration = POLL.saturating_mul(3);

/// What the leases of workers are called: `inference/<node>`.
const PREFIX: &str = "inference/";

/// This worker, and whether there are others.
#[derive(Clone)]
pub struct Workers {
    /// None: no other process can be there.
    shared: Option<Shared>,
}

#[derive(Clone)]
struct Shared {
    member: Member,
    /// Held while a deployment is open: so the others know that this worker is alive.
    lease: Arc<Mutex<Option<Held>>>,
}

impl Workers {
    /// The only worker there is.
    pub fn alone() -> Self {
        Self { shared: None }
    }

    /// One of several.
    pub fn among(member: Member) -> Self {
        Self { shared: Some(Shared { member, lease: Arc::default() }) }
    }

    /// This worker's name.
    pub(crate) fn name(&self) -> String {
        self.shared.as_ref().map_or_else(|| "worker".to_owned(), |shared| shared.member.owner().node().to_owned())
    }

    /// Shows that this worker is alive while a deployment is open.
    pub(crate) async fn be_seen(&self, is_open: bool) -> Result<(), Error> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let mut lease = shared.lease.lock().await;
        if is_open && !lease.as_ref().is_some_and(Held::is_held) {
            *lease = shared.member.hold(&format!("{PREFIX}{}", self.name())).await?;
        }
        if !is_open && let Some(lease) = lease.take() {
            lease.release().await?;
        }
        Ok(())
    }

    /// The workers that are alive. None if that can not be told yet: it first failed here at `failed_at`, and others may
    /// not have noticed the deployment.
    pub(crate) async fn alive(&self, failed_at: Option<Instant>) -> Result<Option<BTreeSet<String>>, Error> {
        let Some(shared) = &self.shared else { return Ok(Some([self.name()].into())) };
        let holders = shared.member.holders(PREFIX).await?;
        if failed_at.is_some_and(|at| at.elapsed() < NOTICE) {
            return Ok(None);
        }
        Ok(Some(holders.into_iter().map(|lease| lease.owner.node().to_owned()).collect()))
    }
}
