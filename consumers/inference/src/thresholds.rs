//! From which score on whose questions are answered, as this process knows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twin_embedding::EmbeddingModelId;
use twin_schemas::AuthorId;
use twin_warehouse::{Calibration, Error, Warehouse};

/// The threshold of an author for whom none was measured: of somebody who has published little, or a moment ago. It is
/// chosen, not measured, and rather low: to refuse what few texts answer is worse than to quote what only comes near.
pub(crate) const SHIPPED: f32 = 0.35;

/// How long what was read of an author is good. Another process may measure anew meanwhile, and that can wait so long.
const REMEMBERED: Duration = Duration::from_secs(60);

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
        let known = self.known().get(author).filter(|known| known.read_at.elapsed() < REMEMBERED).cloned();
        let calibration = match known {
            Some(known) => known.calibration,
            None => {
                let calibration = self.warehouse.calibration(author).await?;
                self.remember(author.clone(), calibration.clone());
                calibration
            }
        };
        let of_this_index = calibration.filter(|calibration| is_of(calibration, generation, model));
        Ok(of_this_index.map_or(SHIPPED, |calibration| calibration.threshold))
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
