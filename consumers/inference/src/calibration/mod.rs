//! Measures, for each author, from which score on questions are answered.
//!
//! In: the author's own texts in the index, of which questions are made, and general questions. Out: a
//! [`Calibration`] in the warehouse, which every worker reads.
//!
//! What is there to be measured is looked for every [`LOOK`]: a twin that rests reads one row, and after a while of that nothing
//! else. Whose questions are held against the shipped threshold is waited for: the author is looked at each time, and measured
//! as soon as the index has as many chunks as can give enough questions, however many are still to come, or has come to rest.
//! All others are looked at every [`LOOKS_BETWEEN`] looks, and measured anew when their part of the index has grown or shrunk
//! by a fifth and come to rest, when it has doubled, and when another generation of vectors is searched.
//!
//! One of all workers measures, under a lease, one question after the other, so that a question of people waits for one of
//! these at most; where a threshold is known, with a pause thrice as long after each. What several measure at once is the same,
//! and the last one stays.

mod choice;
mod measure;
mod questions;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use twin_coordination::Member;
use twin_schemas::{AuthorId, DocumentId, Revision};
use twin_telemetry::{MetricError, MetricsRegistry, ShutdownSignal};
use twin_vectors::Generation;
use twin_warehouse::{Calibration, DocumentFilter, DocumentRow, ThresholdBasis, Warehouse};

use crate::metrics::CalibrationMetrics;
use crate::retrieve::{Error as RetrievalError, Retriever};
use crate::thresholds::{SHIPPED, is_of};
use choice::LEAST_QUESTIONS;
use measure::Pace;

/// Between two looks at what there is to be measured.
const LOOK: Duration = Duration::from_secs(3);

/// After one that failed.
const LOOK_AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// Looks from one at the authors to the next, where a threshold was measured for all of them.
const LOOKS_BETWEEN: u32 = 10;

/// Looks after the last change of a document or of the index in which another one comes into it, or none does.
const LOOKS_AFTER_A_CHANGE: u32 = 200;

/// Chunks from which on a first threshold is measured while others still come: not of each one a question can be made.
const ENOUGH: u64 = LEAST_QUESTIONS as u64 * 3 / 2;

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
    /// How many times as long as a question took is paused after it, where a threshold is known.
    pauses: u32,
    /// What was the newest change, and the generation searched, at the last look.
    seen: Option<Seen>,
    /// Looks since then in which nothing has changed.
    looks: u32,
    /// Looks since the last one at the authors.
    passed_over: u32,
    /// At that one there was an author whose threshold is not measured.
    is_awaited: bool,
    /// Who had a threshold then, that is measured of what is searched.
    known: HashSet<AuthorId>,
    /// Whose was measured here while their part of the index still grew.
    hasty: HashSet<AuthorId>,
    /// The chunks of each author then.
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
        Ok(Self {
            retriever,
            warehouse,
            member,
            metrics,
            pauses: 3,
            seen: None,
            looks: 0,
            passed_over: 0,
            is_awaited: true,
            known: HashSet::new(),
            hasty: HashSet::new(),
            chunks: HashMap::new(),
        })
    }

    /// The same one without pauses, for where nobody else asks.
    pub fn without_pauses(self) -> Self {
        Self { pauses: 0, ..self }
    }

    /// Measures what is due until the shutdown begins.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = shutdown.begun() => return,
                looked = self.look() => {
                    pause = LOOK;
                    if let Err(error) = looked {
                        // What stopped it may go on for longer than is looked for.
                        self.seen = None;
                        pause = LOOK_AFTER_A_FAILURE;
                        warn!(%error, "from which score on questions are answered can not be measured now, trying again");
                    }
                }
            }
        }
    }

    /// Looks once, and measures what is due: how many authors that was. Each author is at rest at the second look that finds
    /// as many chunks as the one before. One who can not be measured keeps no other from it: the first error is told at the
    /// end.
    pub async fn look(&mut self) -> Result<usize, Error> {
        let newest = self.warehouse.documents(&DocumentFilter::default(), None, 1).await?.items.pop();
        let of_the_newest = |row: &DocumentRow| (row.meta.document_id, row.meta.revision);
        let generation = self.retriever.generation().number;
        let seen = Seen { newest: newest.as_ref().map(of_the_newest), generation };
        if self.seen == Some(seen) {
            self.looks = self.looks.saturating_add(1);
        } else {
            self.looks = 0;
            let is_another = self.seen.is_none_or(|before| before.generation != generation);
            let is_new = newest.is_some_and(|row| !self.known.contains(&row.meta.author));
            self.is_awaited |= is_another || is_new;
        }
        self.seen = Some(seen);
        if self.looks > LOOKS_AFTER_A_CHANGE {
            return Ok(0);
        }
        self.passed_over += 1;
        if !self.is_awaited && self.passed_over < LOOKS_BETWEEN {
            return Ok(0);
        }
        self.look_at_all().await
    }

    async fn look_at_all(&mut self) -> Result<usize, Error> {
        (self.passed_over, self.is_awaited) = (0, false);
        self.known.clear();
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
        let state = State { chunks, before, is_hasty: self.hasty.contains(&author) };
        let known = self.warehouse.calibration(&author).await?;
        let is_known = known.as_ref().is_some_and(|known| is_of(known, generation.number, &generation.model.id));
        if is_known {
            self.known.insert(author.clone());
        }
        self.is_awaited |= !is_known || state.is_hasty;
        if !is_due(known.as_ref(), &generation, state) {
            return Ok(false);
        }
        let Some(lease) = self.member.hold(LEASE).await? else { return Ok(false) };
        // Whoever had the lease before may just have done it.
        let known = self.warehouse.calibration(&author).await?;
        let pace = match (is_known, state.is_at_rest()) {
            (true, _) => Pace::again(self.pauses),
            (false, true) => Pace::first(),
            (false, false) => Pace::hasty(),
        };
        let is_still_due = is_due(known.as_ref(), &generation, state);
        let measured = if is_still_due { lease.run(self.measure(&author, chunks, pace)).await } else { Ok(Ok(false)) };
        lease.release().await?;
        // Lost: another measures.
        let is_measured = measured.unwrap_or(Ok(false))?;
        if is_measured && pace == Pace::hasty() {
            self.is_awaited = true;
            self.hasty.insert(author);
        } else if is_measured {
            self.hasty.remove(&author);
        }
        Ok(is_measured)
    }

    async fn measure(&self, author: &AuthorId, chunks: u64, pace: Pace) -> Result<bool, Error> {
        let measured = measure::measure(&self.retriever, author, chunks, pace).await;
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

/// An author's part of the index.
#[derive(Debug, Clone, Copy)]
struct State {
    chunks: u64,
    /// At the last look; None: there was none.
    before: Option<u64>,
    /// The threshold was measured while it still grew.
    is_hasty: bool,
}

impl State {
    fn is_at_rest(self) -> bool {
        self.before == Some(self.chunks)
    }
}

/// Whether it is to be measured (anew). While documents come in it is put off, unless no threshold is known and there are
/// enough, or there are twice as many by now.
fn is_due(calibration: Option<&Calibration>, generation: &Generation, state: State) -> bool {
    let State { chunks, is_hasty, .. } = state;
    let Some(calibration) = calibration else {
        return chunks > 0 && state.is_at_rest() || chunks >= ENOUGH;
    };
    if !is_of(calibration, generation.number, &generation.model.id) {
        return state.is_at_rest() || chunks >= ENOUGH;
    }
    // An earlier version of the program may have shipped another one.
    let is_outdated = calibration.basis == ThresholdBasis::Shipped && calibration.threshold != SHIPPED;
    let has_changed = chunks.abs_diff(calibration.chunks) as f64 > CHANGE * calibration.chunks as f64;
    let has_doubled = has_changed && chunks >= calibration.chunks.saturating_mul(2);
    has_doubled || state.is_at_rest() && (has_changed || is_hasty || is_outdated)
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
        let state = |chunks, before| State { chunks, before, is_hasty: false };
        let due =
            |known: Option<u64>, chunks, before| is_due(known.map(calibration).as_ref(), &now, state(chunks, before));
        assert!(!due(None, 0, Some(0)), "there is nothing to be measured");
        assert!(!due(None, 60, None) && !due(None, 60, Some(50)) && due(None, 60, Some(60)));
        assert!(due(None, 100, None) && due(None, 100, Some(10)), "what is enough is not waited for");
        assert!(!due(Some(100), 119, Some(119)) && due(Some(100), 121, Some(121)));
        assert!(!due(Some(100), 81, Some(81)) && due(Some(100), 79, Some(79)), "less is a change too");
        assert!(!due(Some(100), 150, Some(140)) && due(Some(100), 200, Some(140)), "too much is not waited for");
        assert!(!due(Some(0), 0, Some(0)) && due(Some(0), 1, Some(1)));
    }

    #[test]
    fn another_generation_or_model_is_measured_anew_and_a_model_under_another_name_is_not() {
        let state = State { chunks: 100, before: Some(100), is_hasty: false };
        let due = |now: Generation| is_due(Some(&calibration(100)), &now, state);
        assert!(!due(generation(2, "hash")));
        assert!(due(generation(3, "hash")) && due(generation(2, "other")));
    }

    #[test]
    fn what_was_measured_in_haste_or_by_another_shipped_threshold_is_measured_again_at_rest() {
        let now = generation(2, "hash");
        let due = |known: &Calibration, before, is_hasty| {
            is_due(Some(known), &now, State { chunks: 100, before: Some(before), is_hasty })
        };
        assert!(due(&calibration(100), 100, true) && !due(&calibration(100), 90, true));
        let shipped = |threshold| Calibration { threshold, basis: ThresholdBasis::Shipped, ..calibration(100) };
        assert!(!due(&shipped(SHIPPED), 100, false) && due(&shipped(SHIPPED - 0.1), 100, false));
    }
}
