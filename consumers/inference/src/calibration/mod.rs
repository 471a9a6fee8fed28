//! Measures, for each author, from which score on questions are answered.
//!
//! In: the author's own texts in the index, of which questions are made, and general questions. Out: a
//! [`Calibration`] in the warehouse, which every worker reads.
//!
//! What is there to be measured is looked for every [`LOOK`], and not any more when nothing has changed for a while: a
//! twin that rests reads one row. It is measured anew when the author's part of the index has grown or shrunk by a fifth
//! and come to rest, and when another generation of vectors is searched. One of all workers does it, under a lease, one
//! question after the other with a pause thrice as long after each, so that questions of people hardly wait for it. What
//! several measure at once is the same, and the last one stays.

mod choice;
mod measure;
mod questions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use twin_coordination::Member;
use twin_schemas::{AuthorId, DocumentId, Revision};
use twin_telemetry::{MetricError, MetricsRegistry, ShutdownSignal};
use twin_vectors::Generation;
use twin_warehouse::{Calibration, DocumentFilter, ThresholdBasis, Warehouse};

use crate::metrics::CalibrationMetrics;
use crate::retrieve::{Error as RetrievalError, Retriever};
use crate::thresholds::is_of;

/// Between two looks at what there is to be measured.
const LOOK: Duration = Duration::from_secs(30);

/// Looks after the last change of a document or of the index in which another one comes into it, or none does.
const LOOKS_AFTER_A_CHANGE: u32 = 20;

/// By this share an author's part of the index has changed when it is measured anew.
const CHANGE: f64 = 0.2;

/// Authors that are read at once.
const AUTHORS: usize = 100;

/// The lease of whoever measures.
const LEASE: &str = "calibration";

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A question could not be searched.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// What is known, or was measured.
    #[error("calibrations can not be read or stored: {0}")]
    Warehouse(#[from] twin_warehouse::Error),
    /// The lease of whoever measures.
    #[error("the lease can not be had: {0}")]
    Lease(#[from] twin_backend::Error),
}

/// Measures in the background.
pub struct Calibrator {
    retriever: Retriever,
    warehouse: Arc<dyn Warehouse>,
    member: Member,
    metrics: CalibrationMetrics,
    /// How many times as long as a question took is paused after it.
    pauses: u32,
    /// What was the newest change, and the generation searched, at the last look.
    seen: Option<Seen>,
    /// Looks since then in which nothing has changed.
    looks: u32,
    /// The chunks of each author at the last look.
    chunks: HashMap<AuthorId, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    newest: Option<(DocumentId, Revision)>,
    generation: u64,
}

impl Calibrator {
    /// One of those who may measure what `retriever` finds.
    pub fn new(
        retriever: Retriever,
        warehouse: Arc<dyn Warehouse>,
        member: Member,
        registry: &MetricsRegistry,
    ) -> Result<Self, MetricError> {
        let metrics = CalibrationMetrics::new(registry)?;
        Ok(Self { retriever, warehouse, member, metrics, pauses: 3, seen: None, looks: 0, chunks: HashMap::new() })
    }

    /// The same one without pauses, for where nobody else asks.
    pub fn without_pauses(self) -> Self {
        Self { pauses: 0, ..self }
    }

    /// Measures what is due until the shutdown begins.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = shutdown.begun() => return,
                looked = self.look() => if let Err(error) = looked {
                    // What stopped it may go on for longer than is looked for.
                    self.seen = None;
                    warn!(%error, "from which score on questions are answered can not be measured now, trying again");
                },
            }
        }
    }

    /// Looks once, and measures what is due: how many authors that was. An author is measured at the second look that finds
    /// as many chunks as the one before. One who can not be measured keeps no other from it: the first error is told at the
    /// end.
    pub async fn look(&mut self) -> Result<usize, Error> {
        let newest = self.warehouse.documents(&DocumentFilter::default(), None, 1).await?.items.pop();
        let newest = newest.map(|row| (row.meta.document_id, row.meta.revision));
        let seen = Seen { newest, generation: self.retriever.generation().number };
        self.looks = if self.seen == Some(seen) { self.looks.saturating_add(1) } else { 0 };
        self.seen = Some(seen);
        if self.looks > LOOKS_AFTER_A_CHANGE {
            return Ok(0);
        }
        let (mut measured, mut after, mut failed) = (0, None, None);
        loop {
            let page = self.warehouse.authors(after.as_ref(), AUTHORS).await?;
            for row in page.items {
                match self.look_at(row.author.clone()).await {
                    Ok(is_measured) => measured += usize::from(is_measured),
                    Err(error) => {
                        warn!(author = %row.author, %error, "an author's threshold is not measured");
                        failed.get_or_insert(error);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return failed.map_or(Ok(measured), Err);
            }
        }
    }

    /// Whether the author was due, and was measured.
    async fn look_at(&mut self, author: AuthorId) -> Result<bool, Error> {
        let chunks = self.retriever.chunks(&author).await?;
        let before = self.chunks.insert(author.clone(), chunks);
        if before != Some(chunks) {
            self.looks = 0;
        }
        let generation = self.retriever.generation();
        let is_due = |calibration: Option<&Calibration>| is_due(calibration, &generation, chunks, before);
        if !is_due(self.warehouse.calibration(&author).await?.as_ref()) {
            return Ok(false);
        }
        let Some(lease) = self.member.hold(LEASE).await? else { return Ok(false) };
        // Whoever had the lease before may just have done it.
        let known = self.warehouse.calibration(&author).await?;
        let measured =
            if is_due(known.as_ref()) { lease.run(self.measure(&author, chunks)).await } else { Ok(Ok(false)) };
        lease.release().await?;
        // Lost: another measures.
        measured.unwrap_or(Ok(false))
    }

    async fn measure(&self, author: &AuthorId, chunks: u64) -> Result<bool, Error> {
        let measured = measure::measure(&self.retriever, author, chunks, self.pauses).await;
        let Some(calibration) = measured.inspect_err(|_| self.metrics.ended("failed"))? else { return Ok(false) };
        self.warehouse.put_calibration(calibration.clone()).await?;
        let Calibration { threshold, basis, answerable, left_out, general, .. } = &calibration;
        info!(%author, threshold, ?basis, ?answerable, ?left_out, ?general, "calibrated");
        self.metrics.ended(match basis {
            ThresholdBasis::Measured => "measured",
            ThresholdBasis::Shipped => "too_few",
        });
        self.retriever.thresholds().note(calibration);
        Ok(true)
    }
}

/// Whether it is to be measured (anew), where the author had `before` chunks at the last look. While documents come in it
/// is put off, unless there are twice as many by now.
fn is_due(calibration: Option<&Calibration>, generation: &Generation, chunks: u64, before: Option<u64>) -> bool {
    let is_at_rest = before == Some(chunks);
    match calibration {
        None => chunks > 0 && is_at_rest,
        Some(calibration) if !is_of(calibration, generation.number, &generation.model.id) => is_at_rest,
        Some(calibration) => {
            let changed = chunks.abs_diff(calibration.chunks) as f64 > CHANGE * calibration.chunks as f64;
            changed && (is_at_rest || chunks >= calibration.chunks.saturating_mul(2))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use twin_embedding::{EmbeddingModel, EmbeddingModelId};
    use twin_warehouse::Refusals;

    use super::*;

    fn generation(number: u64, model: &str) -> Generation {
        let id = EmbeddingModelId::new("a", model);
        Generation { number, model: EmbeddingModel { id, dimension: 3, settings: String::new() } }
    }

    fn calibration(chunks: u64) -> Calibration {
        Calibration {
            author: "ada".parse().unwrap(),
            generation: 2,
            model: "renamed@hash".into(),
            chunks,
            threshold: 0.5,
            basis: ThresholdBasis::Measured,
            answerable: Refusals::default(),
            left_out: Refusals::default(),
            general: Refusals::default(),
            measured_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_has_come_to_rest_is_measured_once_and_again_when_it_has_changed_by_a_fifth() {
        let now = generation(2, "hash");
        let due = |known: Option<u64>, chunks, before| is_due(known.map(calibration).as_ref(), &now, chunks, before);
        assert!(!due(None, 0, Some(0)), "there is nothing to be measured");
        assert!(!due(None, 100, None) && !due(None, 100, Some(90)) && due(None, 100, Some(100)));
        assert!(!due(Some(100), 119, Some(119)) && due(Some(100), 121, Some(121)));
        assert!(!due(Some(100), 81, Some(81)) && due(Some(100), 79, Some(79)), "less is a change too");
        assert!(!due(Some(100), 150, Some(140)) && due(Some(100), 200, Some(140)), "too much is not waited for");
        assert!(!due(Some(0), 0, Some(0)) && due(Some(0), 1, Some(1)));
    }

    #[test]
    fn another_generation_or_model_is_measured_anew_and_a_model_under_another_name_is_not() {
        let due = |now: Generation| is_due(Some(&calibration(100)), &now, 100, Some(100));
        assert!(!due(generation(2, "hash")));
        assert!(due(generation(3, "hash")) && due(generation(2, "other")));
    }
}
