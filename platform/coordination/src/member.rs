use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_backend::Error;

use crate::{Held, Lease, Leases, Owner};

/// Settings of the leases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Milliseconds after which the work of a process that is gone, or stands still, passes to another. A process that is
    /// started again goes on with its own work at once.
    pub lease_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_ms: 15_000 }
    }
}

/// One of those who share work: this process, as its services take leases. Clones are the same one.
#[derive(Clone)]
pub struct Member {
    leases: Arc<dyn Leases>,
    owner: Owner,
    ttl: Duration,
    is_alone: bool,
}

impl Member {
    /// This owner, among those who use these leases.
    pub fn new(leases: Arc<dyn Leases>, owner: Owner, options: &Options) -> Self {
        Self { leases, owner, ttl: Duration::from_millis(options.lease_ms.max(1)), is_alone: false }
    }

    /// The same one where no other process can be: it knows of everything that is written, since it writes it.
    pub fn alone(self) -> Self {
        Self { is_alone: true, ..self }
    }

    /// Whether no other process can be there.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Takes a lease and keeps it. None if another holds it.
    pub async fn hold(&self, name: &str) -> Result<Option<Held>, Error> {
        Held::acquire(self.leases.clone(), name, &self.owner, self.ttl).await
    }

    /// As [`Leases::holders`].
    pub async fn holders(&self, prefix: &str) -> Result<Vec<Lease>, Error> {
        self.leases.holders(prefix).await
    }

    /// The names of the leases, of those that begin with `prefix`, that [`Self::hold`] would not give.
    pub async fn held_by_others(&self, prefix: &str) -> Result<HashSet<String>, Error> {
        let holders = self.holders(prefix).await?.into_iter();
        Ok(holders.filter(|lease| lease.owner.node() != self.owner.node()).map(|lease| lease.name).collect())
    }

    /// Who this is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}
