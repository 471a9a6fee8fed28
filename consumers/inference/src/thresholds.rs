//! From which score on whose questions are answered, as this process knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twin_embedding::EmbeddingModelId;
use twin_schemas::AuthorId;
use twin_warehouse::{Calibration, Error, ThresholdBasis, Warehouse};

/// The threshold of an author for whom none was measured: of somebody who has published little, or a moment ago. Of this
/// repository's documents it refuses 98 % of the general questions of `calibration/general.txt` and none of the 124 questions of
/// people of `tests/quotes/questions.rs` (`tests/calibration.rs`).
pub(crate) const SHIPPED: f32 = 0.45;

/// How long what was read of an author is good. Another process may measure anew meanwhile, and that can wait so long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The same where the shipped threshold holds, which another process may be about to replace.
const REMEMBERED_SHIPPED: Duration = Duration::from_secs(3);

/// The thresholds of all authors; clones share what they know.
#[derive(Clone)]
pub(crate) struct Thresholds {
    warehouse: Arc<dyn Warehouse>,
    known: Arc<Mutex<HashMap<AuthorId, Known>>>,
}

#[derive(Clone)]
struct Known {
    calibration: Option<Calibration>,
    read_at: Instant,
}

impl Thresholds {
    /// As the warehouse has them.
    pub(crate) fn new(warehouse: Arc<dyn Warehouse>) -> Self {
        Self { warehouse, known: Arc::default() }
    }

    /// The least score with which an author's questions are answered, from what was found in this generation of the index.
    pub(crate) async fn of(&self, author: &AuthorId, generation: u64, model: &EmbeddingModelId) -> Result<f32, Error> {
        let is_of_this_index = |known: &Calibration| is_of(known, generation, model);
        let is_good = |known: &&Known| {
            let is_measured = known.calibration.as_ref().is_some_and(is_of_this_index);
            known.read_at.elapsed() < if is_measured { REMEMBERED } else { REMEMBERED_SHIPPED }
        };
        let known = self.known().get(author).filter(is_good).cloned();
        let calibration = match known {
            Some(known) => known.calibration,
            None => {
                let calibration = self.warehouse.calibration(author).await?;
                self.remember(author.clone(), calibration.clone());
                calibration
            }
        };
        let measured = calibration.filter(is_of_this_index).filter(|known| known.basis == ThresholdBasis::Measured);
        // What was shipped when it was found that there are too few texts may have been another one.
        Ok(measured.map_or(SHIPPED, |calibration| calibration.threshold))
    }

    /// From here on this one is known.
    pub(crate) fn note(&self, calibration: Calibration) {
        self.remember(calibration.author.clone(), Some(calibration));
    }

    fn remember(&self, author: AuthorId, calibration: Option<Calibration>) {
        self.known().insert(author, Known { calibration, read_at: Instant::now() });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AuthorId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it was measured of this generation. A model is its content: its name may have changed.
pub(crate) fn is_of(calibration: &Calibration, generation: u64, model: &EmbeddingModelId) -> bool {
    calibration.generation == generation && calibration.model.parse().is_ok_and(|id: EmbeddingModelId| id == *model)
}
