//! One sync of one source: what it lists is recorded, what it proves gone is deleted, within the brake.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;
use tracing::{info, warn};
use twin_schemas::{DocumentId, DocumentKey, SourceId};
use twin_warehouse::{
    Claim, Known, LastSync, Observation, Recorded, SourceRow, SyncFailure, SyncOutcome, UploadedFile, Warehouse,
};

use crate::deletion::{Brake, Listed, gone};
use crate::hosts::Waits;
use crate::sources::{Collect, Evidence, Listing, Sink, SourceDocument, Sources};
use crate::{Error, Options};

/// Failures that are kept with their reasons.
const FAILURES_KEPT: usize = 100;
/// Known documents of one read.
const KNOWN_AT_ONCE: usize = 1_000;
/// Uploads of one read.
const FILES_AT_ONCE: usize = 1_000;

/// Syncs sources.
#[derive(Clone)]
pub struct Syncer {
    sources: Sources,
    warehouse: Arc<dyn Warehouse>,
    brake: Brake,
    records_in_flight: usize,
}

/// A finished sync, to be stored with the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// How it went.
    pub sync: LastSync,
    /// What the source wants to remember.
    pub cursor: serde_json::Value,
    /// Seconds that the server asked to wait, where it did.
    pub retry_after_s: Option<u64>,
}

impl Syncer {
    /// Syncs these sources into this warehouse.
    pub fn new(options: &Options, sources: Sources, warehouse: Arc<dyn Warehouse>) -> Self {
        let brake = Brake { min: options.brake_min, share: options.brake_share };
        Self { sources, warehouse, brake, records_in_flight: options.records_in_flight.max(1) }
    }

    /// Syncs a source that was claimed. A source that fails, or panics, is a failed sync: nothing is deleted, and its
    /// cursor is the one that it saved last. None if the claim was lost meanwhile: what was recorded until then is all that was.
    /// The future may be dropped at any await point; what was recorded until then stays recorded.
    pub async fn sync(&self, source: &SourceRow, claim: &Claim) -> Option<Synced> {
        let started_at = Utc::now();
        let mut counts = Counts::default();
        let work = AssertUnwindSafe(self.run(source, claim, &mut counts)).catch_unwind();
        let result = work.await.unwrap_or_else(|payload| Err(Error::panicked(&*payload)));
        let (outcome, cursor, retry_after_s) = match result {
            Ok((outcome, cursor)) => (outcome, cursor, None),
            Err(Error::Warehouse(twin_warehouse::Error::ClaimLost)) => return None,
            Err(error) => {
                let reason = error.to_string();
                warn!(source_id = %source.id, kind = %source.source.kind, reason, "sync failed");
                let cursor = counts.saved_cursor.take().unwrap_or_else(|| source.cursor.clone());
                (SyncOutcome::Failed { reason }, cursor, error.retry_after_s())
            }
        };
        let sync = LastSync {
            started_at,
            finished_at: Utc::now(),
            outcome,
            seen: counts.seen,
            new: counts.new,
            changed: counts.changed,
            deleted: counts.deleted,
            failed: counts.failed,
            failed_total: counts.failed_total,
            waited_ms: counts.waits.total_ms(),
        };
        Some(Synced { sync, cursor, retry_after_s })
    }

    async fn run(
        &self,
        source: &SourceRow,
        claim: &Claim,
        counts: &mut Counts,
    ) -> Result<(SyncOutcome, serde_json::Value), Error> {
        let platform = self.sources.get(&source.source.kind)?;
        let known = self.known(source.id).await?;
        let by_identity =
            known.iter().map(|known| (known.identity.clone(), (known.content_hash.clone(), known.document_id)));
        let secrets = self.warehouse.secrets(source.id).await?;
        let request = Collect {
            source,
            known: Arc::new(by_identity.collect()),
            secrets: Arc::new(secrets),
            files: self.files(source.id).await?,
            waits: counts.waits.clone(),
        };
        let mut recorder = Recorder::new(self, source, claim, counts);
        let Listing { cursor, evidence } = platform.collect(request, &mut recorder).await?;
        let listed = recorder.finish().await?;
        let gone = gone(&known, &listed, &evidence);
        let outcome = self.delete(source, claim, gone, &evidence, counts).await?;
        Ok((outcome, cursor))
    }

    /// All that earlier syncs of the source gave.
    async fn known(&self, source: SourceId) -> Result<Vec<Known>, Error> {
        let (mut known, mut after) = (Vec::new(), None);
        loop {
            let page = self.warehouse.known(source, after, KNOWN_AT_ONCE).await?;
            known.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// All that was uploaded to the source.
    async fn files(&self, source: SourceId) -> Result<Vec<UploadedFile>, Error> {
        let (mut files, mut after) = (Vec::new(), None);
        loop {
            let page = self.warehouse.files(source, after.as_deref(), FILES_AT_ONCE).await?;
            files.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(files);
            }
        }
    }

    async fn delete(
        &self,
        source: &SourceRow,
        claim: &Claim,
        gone: Vec<DocumentId>,
        evidence: &Evidence,
        counts: &mut Counts,
    ) -> Result<SyncOutcome, Error> {
        if gone.is_empty() {
            return Ok(SyncOutcome::Completed);
        }
        let deletions = gone.len() as u64;
        let live = self.warehouse.live_count(&source.source.author).await?;
        if !source.deletions_confirmed && self.brake.holds(deletions, live) {
            warn!(source_id = %source.id, deletions, live, "deletions wait for confirmation");
            return Ok(SyncOutcome::AwaitingConfirmation { deletions });
        }
        let observed_at = Utc::now();
        let retractions = stream::iter(gone).map(|document| {
            let warehouse = self.warehouse.clone();
            async move { warehouse.retract_claimed(claim, document, observed_at).await }
        });
        let retracted = retractions.buffer_unordered(self.records_in_flight);
        counts.deleted =
            retracted.try_fold(0, async |count, revision| Ok(count + u64::from(revision.is_some()))).await?;
        info!(source_id = %source.id, deleted = counts.deleted, complete = *evidence == Evidence::Complete, "deleted");
        Ok(SyncOutcome::Completed)
    }
}

#[derive(Debug, Default)]
struct Counts {
    seen: u64,
    new: u64,
    changed: u64,
    deleted: u64,
    failed: Vec<SyncFailure>,
    failed_total: u64,
    waits: Waits,
    /// The cursor that was saved last.
    saved_cursor: Option<serde_json::Value>,
}

/// Writes what a source tells into the warehouse, several documents at a time, so that they share a commit.
struct Recorder<'a> {
    warehouse: Arc<dyn Warehouse>,
    source: &'a SourceRow,
    claim: Claim,
    observed_at: DateTime<Utc>,
    in_flight: JoinSet<Result<Recorded, twin_warehouse::Error>>,
    limit: usize,
    listed: Listed,
    counts: &'a mut Counts,
}

impl<'a> Recorder<'a> {
    fn new(syncer: &Syncer, source: &'a SourceRow, claim: &Claim, counts: &'a mut Counts) -> Self {
        Self {
            warehouse: syncer.warehouse.clone(),
            source,
            claim: *claim,
            observed_at: Utc::now(),
            in_flight: JoinSet::new(),
            limit: syncer.records_in_flight,
            listed: Listed::default(),
            counts,
        }
    }

    fn observation(&self, document: SourceDocument) -> Observation {
        Observation {
            key: DocumentKey {
                source_kind: self.source.source.kind.clone(),
                author: self.source.source.author.clone(),
                scope: document.scope,
                identity: document.identity,
            },
            claim: Some(self.claim),
            category: document.category,
            natural_key: document.natural_key,
            title: document.title,
            url: document.url,
            published_at: document.published_at,
            media_type: document.media_type,
            content: document.content,
            content_hash: document.content_hash,
            observed_at: self.observed_at,
        }
    }

    /// Waits until fewer than `limit` records are under way.
    async fn wait_below(&mut self, limit: usize) -> Result<(), Error> {
        while self.in_flight.len() >= limit.max(1) {
            let Some(joined) = self.in_flight.join_next().await else {
                break;
            };
            let recorded = joined.map_err(|error| match error.try_into_panic() {
                Ok(payload) => Error::panicked(&*payload),
                Err(_) => Error::Stopped,
            })?;
            match recorded? {
                Recorded::Created(_) => self.counts.new += 1,
                Recorded::Revised(_) => self.counts.changed += 1,
                Recorded::Unchanged(_) => {}
            }
        }
        Ok(())
    }

    /// Waits for all records and returns what was listed.
    async fn finish(mut self) -> Result<Listed, Error> {
        self.wait_below(1).await?;
        Ok(self.listed)
    }
}

#[async_trait]
impl Sink for Recorder<'_> {
    async fn document(&mut self, document: SourceDocument) -> Result<(), Error> {
        self.wait_below(self.limit).await?;
        self.counts.seen += 1;
        self.listed.identities.insert(document.identity.clone());
        let observation = self.observation(document);
        let warehouse = self.warehouse.clone();
        self.in_flight.spawn(async move { warehouse.record(observation).await });
        Ok(())
    }

    async fn unchanged(&mut self, identity: String) -> Result<(), Error> {
        self.counts.seen += 1;
        self.listed.identities.insert(identity);
        Ok(())
    }

    async fn failed(&mut self, natural_key: String, reason: String) -> Result<(), Error> {
        self.counts.failed_total += 1;
        if self.counts.failed.len() < FAILURES_KEPT {
            self.counts.failed.push(SyncFailure { natural_key: natural_key.clone(), reason });
        }
        self.listed.unreadable.insert(natural_key);
        Ok(())
    }

    async fn save(&mut self, cursor: serde_json::Value) -> Result<(), Error> {
        self.wait_below(1).await?;
        if !self.warehouse.save_cursor(&self.claim, cursor.clone()).await? {
            return Err(twin_warehouse::Error::ClaimLost.into());
        }
        self.counts.saved_cursor = Some(cursor);
        Ok(())
    }
}
