//! The warehouse in the embedded database.

mod authors;
mod calibrations;
mod documents;
mod ledger;
mod rows;
mod schedule;
mod source_parts;
mod sources;
mod tables;

use std::collections::HashMap;

use crate::Database;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tokio::sync::watch;
use twin_schemas::{AuthorId, DocumentId, Revision, SourceId};

use twin_warehouse::{
    AuthorRow, Authors, Calibration, Calibrations, Claim, DocumentFilter, DocumentPosition, DocumentRow, Documents,
    Error, FileStored, Known, LastSync, Ledger, LedgerEntry, NewSource, Observation, Page, Progress, ProgressNotes,
    Recorded, Secrets, SourcePosition, SourceRow, Sources, Totals, Unpublished, UploadedFile,
};

/// What a statement of the warehouse can end with.
type Failure = crate::Failure<Error>;

/// The warehouse in an SQLite file.
#[derive(Clone)]
pub struct SqliteWarehouse {
    database: Database,
    changes: watch::Sender<()>,
    source_changes: watch::Sender<()>,
}

impl SqliteWarehouse {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        let migrate = |tx: &Connection| Ok(crate::migrate(tx, "warehouse", tables::MIGRATIONS)?);
        database.write::<_, Failure, _>(migrate).await?;
        Ok(Self { database, changes: watch::channel(()).0, source_changes: watch::channel(()).0 })
    }

    fn announce_change(&self) {
        self.changes.send_replace(());
    }
}

#[async_trait]
impl Sources for SqliteWarehouse {
    async fn put_source(&self, source: NewSource) -> Result<SourceRow, Error> {
        let put = move |tx: &Connection| -> Result<SourceRow, Failure> {
            authors::note(tx, &source.author, Utc::now())?;
            sources::put(tx, &source)
        };
        let row = self.database.write(put).await?;
        self.source_changes.send_replace(());
        Ok(row)
    }

    async fn sources(
        &self,
        author: Option<&AuthorId>,
        after: Option<&SourcePosition>,
        limit: usize,
    ) -> Result<Page<SourceRow, SourcePosition>, Error> {
        let (author, after) = (author.cloned(), after.cloned());
        Ok(self.database.read(move |c| sources::list(c, author.as_ref(), after.as_ref(), limit)).await?)
    }

    async fn source(&self, id: SourceId) -> Result<Option<SourceRow>, Error> {
        Ok(self.database.read(move |c| sources::get(c, id)).await?)
    }

    async fn due_sources(&self, now: DateTime<Utc>, limit: usize) -> Result<Vec<SourceId>, Error> {
        Ok(self.database.read(move |c| schedule::due(c, now, limit)).await?)
    }

    fn source_changes(&self) -> watch::Receiver<()> {
        self.source_changes.subscribe()
    }

    async fn claim_source(
        &self,
        id: SourceId,
        epoch: u64,
        now: DateTime<Utc>,
    ) -> Result<Option<(Claim, SourceRow)>, Error> {
        Ok(self.database.write(move |tx| schedule::claim(tx, id, epoch, now)).await?)
    }

    async fn is_claimed(&self, claim: &Claim) -> Result<bool, Error> {
        let claim = *claim;
        Ok(self.database.read(move |c| schedule::is_claimed(c, &claim)).await?)
    }

    async fn finish_sync(
        &self,
        claim: &Claim,
        sync: LastSync,
        cursor: serde_json::Value,
        next_run_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let claim = *claim;
        Ok(self.database.write(move |tx| schedule::finish(tx, &claim, &sync, &cursor, next_run_at)).await?)
    }

    async fn begin_removal(&self, id: SourceId) -> Result<Option<Claim>, Error> {
        Ok(self.database.write(move |tx| sources::begin_removal(tx, id)).await?)
    }

    async fn remove_source(&self, removal: &Claim) -> Result<bool, Error> {
        let removal = *removal;
        Ok(self.database.write(move |tx| sources::remove(tx, &removal)).await?)
    }

    async fn request_sync(&self, id: SourceId, confirm_deletions: bool) -> Result<bool, Error> {
        let is_there = self.database.write(move |tx| schedule::request(tx, id, confirm_deletions)).await?;
        self.source_changes.send_replace(());
        Ok(is_there)
    }

    async fn save_cursor(&self, claim: &Claim, cursor: serde_json::Value) -> Result<bool, Error> {
        let claim = *claim;
        Ok(self.database.write(move |tx| schedule::save_cursor(tx, &claim, &cursor)).await?)
    }

    async fn put_secrets(&self, source: SourceId, secrets: &Secrets) -> Result<(), Error> {
        let secrets = secrets.clone();
        Ok(self.database.write(move |tx| source_parts::put_secrets(tx, source, &secrets)).await?)
    }

    async fn secrets(&self, source: SourceId) -> Result<Secrets, Error> {
        Ok(self.database.read(move |c| source_parts::secrets(c, source)).await?)
    }

    async fn forget_secrets(&self, source: SourceId) -> Result<(), Error> {
        Ok(self.database.write(move |tx| source_parts::forget_secrets(tx, source)).await?)
    }

    async fn forget_secrets_claimed(&self, removal: &Claim) -> Result<(), Error> {
        let removal = *removal;
        Ok(self.database.write(move |tx| source_parts::forget_secrets_claimed(tx, &removal)).await?)
    }

    async fn put_file(&self, file: UploadedFile, most: usize) -> Result<FileStored, Error> {
        Ok(self.database.write(move |tx| source_parts::put_file(tx, &file, most)).await?)
    }

    async fn remove_file(&self, source: SourceId, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        Ok(self.database.write(move |tx| source_parts::remove_file(tx, source, &name)).await?)
    }

    async fn remove_file_claimed(&self, removal: &Claim, name: &str) -> Result<bool, Error> {
        let (removal, name) = (*removal, name.to_owned());
        Ok(self.database.write(move |tx| source_parts::remove_file_claimed(tx, &removal, &name)).await?)
    }

    async fn files(
        &self,
        source: SourceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<UploadedFile, String>, Error> {
        let after = after.map(str::to_owned);
        Ok(self.database.read(move |c| source_parts::files(c, source, after.as_deref(), limit)).await?)
    }

    async fn files_after(&self, after: Option<&(SourceId, String)>, limit: usize) -> Result<Vec<UploadedFile>, Error> {
        let after = after.cloned();
        Ok(self.database.read(move |c| source_parts::files_after(c, after.as_ref(), limit)).await?)
    }
}

#[async_trait]
impl Authors for SqliteWarehouse {
    async fn author(&self, author: &AuthorId) -> Result<Option<AuthorRow>, Error> {
        let author = author.clone();
        Ok(self.database.read(move |c| authors::get(c, &author)).await?)
    }

    async fn authors(&self, after: Option<&AuthorId>, limit: usize) -> Result<Page<AuthorRow, AuthorId>, Error> {
        let after = after.cloned();
        Ok(self.database.read(move |c| authors::list(c, after.as_ref(), limit)).await?)
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

    async fn known(
        &self,
        source: SourceId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Page<Known, DocumentId>, Error> {
        Ok(self.database.read(move |c| documents::known(c, source, after, limit)).await?)
    }

    async fn live_count(&self, author: &AuthorId) -> Result<u64, Error> {
        let author = author.clone();
        Ok(self.database.read(move |c| documents::live_count(c, &author)).await?)
    }

    async fn document(&self, id: DocumentId) -> Result<Option<DocumentRow>, Error> {
        Ok(self.database.read(move |c| documents::get(c, id)).await?)
    }

    async fn summaries(&self, documents: &[DocumentId]) -> Result<Vec<DocumentRow>, Error> {
        Error::if_too_many(documents)?;
        let documents = documents.to_vec();
        Ok(self.database.read(move |c| documents::summaries(c, &documents)).await?)
    }

    async fn documents(
        &self,
        filter: &DocumentFilter,
        before: Option<&DocumentPosition>,
        limit: usize,
    ) -> Result<Page<DocumentRow, DocumentPosition>, Error> {
        let (filter, before) = (filter.clone(), before.copied());
        Ok(self.database.read(move |c| documents::list(c, &filter, before.as_ref(), limit)).await?)
    }
}

#[async_trait]
impl Unpublished for SqliteWarehouse {
    async fn unpublished(&self, limit: usize) -> Result<Vec<DocumentRow>, Error> {
        Ok(self.database.read(move |c| documents::unpublished(c, limit)).await?)
    }

    async fn mark_published(&self, revisions: &[(DocumentId, Revision)]) -> Result<(), Error> {
        let revisions = revisions.to_vec();
        Ok(self.database.write(move |tx| documents::mark_published(tx, &revisions)).await?)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl Ledger for SqliteWarehouse {
    async fn mark_indexed(&self, entries: Vec<LedgerEntry>) -> Result<(), Error> {
        Ok(self.database.write(move |tx| ledger::mark_indexed(tx, &entries)).await?)
    }

    async fn ledger(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, LedgerEntry>, Error> {
        let documents = documents.to_vec();
        Ok(self.database.read(move |c| ledger::entries(c, &documents)).await?)
    }

    async fn live_revisions(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, Revision>, Error> {
        Error::if_too_many(documents)?;
        let documents = documents.to_vec();
        Ok(self.database.read(move |c| ledger::live_revisions(c, &documents)).await?)
    }
}

#[async_trait]
impl ProgressNotes for SqliteWarehouse {
    async fn note_progress(&self, progress: Vec<Progress>) -> Result<(), Error> {
        Ok(self.database.write(move |tx| ledger::note_progress(tx, &progress)).await?)
    }

    async fn progress(&self, document: DocumentId) -> Result<Vec<Progress>, Error> {
        Ok(self.database.read(move |c| ledger::progress(c, document)).await?)
    }

    async fn totals(&self, author: Option<&AuthorId>) -> Result<Totals, Error> {
        let author = author.cloned();
        Ok(self.database.read(move |c| ledger::totals(c, author.as_ref())).await?)
    }
}

#[async_trait]
impl Calibrations for SqliteWarehouse {
    async fn put_calibration(&self, calibration: Calibration) -> Result<(), Error> {
        Ok(self.database.write(move |tx| calibrations::put(tx, &calibration)).await?)
    }

    async fn calibration(&self, author: &AuthorId) -> Result<Option<Calibration>, Error> {
        let author = author.clone();
        Ok(self.database.read(move |c| calibrations::get(c, &author)).await?)
    }

    async fn calibrations(&self, after: Option<&AuthorId>, limit: usize) -> Result<Vec<Calibration>, Error> {
        let after = after.cloned();
        Ok(self.database.read(move |c| calibrations::list(c, after.as_ref(), limit)).await?)
    }
}
