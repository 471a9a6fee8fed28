//! The warehouse in the embedded database.

mod documents;
mod ledger;
mod rows;
mod schedule;
mod sources;
mod tables;

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use twin_schemas::{AuthorId, DocumentId, Revision, SourceId};
use twin_sqlite::Database;
use twin_sqlite::rusqlite::Connection;

use crate::model::{
    Claim, DocumentFilter, DocumentRow, Known, LastSync, LedgerEntry, NewSource, Observation, Progress, Recorded,
    SourceRow, Totals,
};
use crate::{Documents, Error, Ledger, ProgressNotes, Sources, Unpublished};

/// The warehouse in an SQLite file.
#[derive(Clone)]
pub struct SqliteWarehouse {
    database: Database,
    changes: watch::Sender<u64>,
}

impl SqliteWarehouse {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        let migrate = |tx: &Connection| Ok(twin_sqlite::migrate(tx, "warehouse", tables::MIGRATIONS)?);
        database.write::<_, Error, _>(migrate).await?;
        Ok(Self { database, changes: watch::channel(0).0 })
    }

    fn announce_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Sources for SqliteWarehouse {
    async fn put_source(&self, source: NewSource) -> Result<SourceRow, Error> {
        self.database.write(move |tx| sources::put(tx, &source)).await
    }

    async fn sources(&self, author: Option<&AuthorId>) -> Result<Vec<SourceRow>, Error> {
        let author = author.cloned();
        self.database.read(move |c| sources::list(c, author.as_ref())).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<SourceRow>, Error> {
        self.database.read(move |c| sources::get(c, id)).await
    }

    async fn due_sources(&self, now: DateTime<Utc>, limit: usize) -> Result<Vec<SourceId>, Error> {
        self.database.read(move |c| schedule::due(c, now, limit)).await
    }

    async fn claim_source(
        &self,
        id: SourceId,
        epoch: u64,
        now: DateTime<Utc>,
    ) -> Result<Option<(Claim, SourceRow)>, Error> {
        self.database.write(move |tx| schedule::claim(tx, id, epoch, now)).await
    }

    async fn is_claimed(&self, claim: &Claim) -> Result<bool, Error> {
        let claim = *claim;
        self.database.read(move |c| schedule::is_claimed(c, &claim)).await
    }

    async fn finish_sync(
        &self,
        claim: &Claim,
        sync: LastSync,
        cursor: serde_json::Value,
        next_run_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let claim = *claim;
        self.database.write(move |tx| schedule::finish(tx, &claim, &sync, &cursor, next_run_at)).await
    }

    async fn begin_removal(&self, id: SourceId) -> Result<Option<Claim>, Error> {
        self.database.write(move |tx| sources::begin_removal(tx, id)).await
    }

    async fn remove_source(&self, removal: &Claim) -> Result<bool, Error> {
        let removal = *removal;
        self.database.write(move |tx| sources::remove(tx, &removal)).await
    }

    async fn request_sync(&self, id: SourceId, confirm_deletions: bool) -> Result<bool, Error> {
        self.database.write(move |tx| schedule::request(tx, id, confirm_deletions)).await
    }
}

#[async_trait]
impl Documents for SqliteWarehouse {
    async fn record(&self, observation: Observation) -> Result<Recorded, Error> {
        let recorded = self.database.write(move |tx| documents::record(tx, &observation)).await?;
        if !matches!(recorded, Recorded::Unchanged(_)) {
            self.announce_change();
        }
        Ok(recorded)
    }

    async fn retract(&self, document: DocumentId, observed_at: DateTime<Utc>) -> Result<Option<Revision>, Error> {
        let revision = self.database.write(move |tx| documents::retract(tx, document, observed_at)).await?;
        if revision.is_some() {
            self.announce_change();
        }
        Ok(revision)
    }

    async fn retract_claimed(
        &self,
        claim: &Claim,
        document: DocumentId,
        observed_at: DateTime<Utc>,
    ) -> Result<Option<Revision>, Error> {
        let claim = *claim;
        let retract = move |tx: &Connection| documents::retract_claimed(tx, &claim, document, observed_at);
        let revision = self.database.write(retract).await?;
        if revision.is_some() {
            self.announce_change();
        }
        Ok(revision)
    }

    async fn known(&self, source: SourceId) -> Result<Vec<Known>, Error> {
        self.database.read(move |c| documents::known(c, source)).await
    }

    async fn authors(&self) -> Result<BTreeMap<AuthorId, DateTime<Utc>>, Error> {
        self.database.read(documents::authors).await
    }

    async fn live_count(&self, author: &AuthorId) -> Result<u64, Error> {
        let author = author.clone();
        self.database.read(move |c| documents::live_count(c, &author)).await
    }

    async fn document(&self, id: DocumentId) -> Result<Option<DocumentRow>, Error> {
        self.database.read(move |c| documents::get(c, id)).await
    }

    async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentRow>, Error> {
        let filter = filter.clone();
        self.database.read(move |c| documents::list(c, &filter)).await
    }
}

#[async_trait]
impl Unpublished for SqliteWarehouse {
    async fn unpublished(&self, limit: usize) -> Result<Vec<DocumentRow>, Error> {
        self.database.read(move |c| documents::unpublished(c, limit)).await
    }

    async fn mark_published(&self, revisions: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let revisions = revisions.to_vec();
        self.database.write(move |tx| documents::mark_published(tx, &revisions)).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl Ledger for SqliteWarehouse {
    async fn mark_indexed(&self, entries: Vec<LedgerEntry>) -> Result<(), Error> {
        self.database.write(move |tx| ledger::mark_indexed(tx, &entries)).await
    }

    async fn ledger(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, LedgerEntry>, Error> {
        let documents = documents.to_vec();
        self.database.read(move |c| ledger::entries(c, &documents)).await
    }

    async fn live_revisions(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, Revision>, Error> {
        let documents = documents.to_vec();
        self.database.read(move |c| ledger::live_revisions(c, &documents)).await
    }
}

#[async_trait]
impl ProgressNotes for SqliteWarehouse {
    async fn note_progress(&self, progress: Vec<Progress>) -> Result<(), Error> {
        self.database.write(move |tx| ledger::note_progress(tx, &progress)).await
    }

    async fn progress(&self, document: DocumentId) -> Result<Vec<Progress>, Error> {
        self.database.read(move |c| ledger::progress(c, document)).await
    }

    async fn totals(&self, author: Option<&AuthorId>) -> Result<Totals, Error> {
        let author = author.cloned();
        self.database.read(move |c| ledger::totals(c, author.as_ref())).await
    }
}
