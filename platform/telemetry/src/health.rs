use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Whether each part of this process can do its job now.
#[derive(Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, Result<(), String>>>>,
}

/// The readiness of one part; it starts as not ready.
pub struct Readiness {
    health: Health,
    part: String,
}

impl Health {
    /// Registers a part that is not ready yet.
    pub fn part(&self, name: impl Into<String>) -> Readiness {
        let readiness = Readiness { health: self.clone(), part: name.into() };
        readiness.not_ready("starting");
        readiness
    }

    /// Every part, and why it is not ready if it is not.
    pub fn report(&self) -> BTreeMap<String, Result<(), String>> {
        self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Whether every part is ready.
    pub fn is_ready(&self) -> bool {
        self.report().values().all(Result::is_ok)
    }

    fn set(&self, part: &str, state: Result<(), String>) {
        self.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(part.to_owned(), state);
    }
}

impl Readiness {
    /// The part can do its job.
    pub fn ready(&self) {
        self.health.set(&self.part, Ok(()));
    }

    /// It can not, for this reason.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.health.set(&self.part, Err(reason.into()));
    }
}
