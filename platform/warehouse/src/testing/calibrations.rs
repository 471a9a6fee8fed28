//! Calibrations.

use chrono::DateTime;
use twin_schemas::AuthorId;

use super::{Store, ada};
use crate::{Calibration, Refusals, ThresholdBasis};

/// What was measured of an author's index of so many chunks.
pub fn calibration(author: &AuthorId, chunks: u64) -> Calibration {
    Calibration {
        author: author.clone(),
        generation: 3,
        model: "minilm@759c3cd2b7fe".into(),
        chunks,
        threshold: 0.61,
        basis: ThresholdBasis::Measured,
        answerable: Refusals { asked: 200, refused: 3 },
        left_out: Refusals { asked: 200, refused: 140 },
        general: Refusals { asked: 300, refused: 299 },
        measured_at: DateTime::UNIX_EPOCH,
    }
}

#[doc(hidden)]
pub async fn the_newest_calibration_of_each_author_is_kept(store: &dyn Store) {
    let warehouse = store.process().await;
    let grace: AuthorId = "grace".parse().unwrap();
    assert_eq!(warehouse.calibration(&ada()).await.unwrap(), None);
    let newest = Calibration { basis: ThresholdBasis::Shipped, ..calibration(&ada(), 120) };
    for measured in [calibration(&grace, 7), calibration(&ada(), 100), newest.clone()] {
        warehouse.put_calibration(measured).await.unwrap();
    }
    // As another process reads it.
    let other = store.process().await;
    assert_eq!(other.calibration(&ada()).await.unwrap(), Some(newest.clone()));
    assert_eq!(other.calibrations(None, 9).await.unwrap(), [newest.clone(), calibration(&grace, 7)]);
    assert_eq!(other.calibrations(None, 1).await.unwrap(), [newest]);
    assert_eq!(other.calibrations(Some(&ada()), 9).await.unwrap(), [calibration(&grace, 7)]);
}
