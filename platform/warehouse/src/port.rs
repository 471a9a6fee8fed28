use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use twin_backend::Page;
use twin_schemas::{AuthorId, DocumentId, Revision, SourceId};

use crate::Error;
use crate::calibration::Calibration;
use crate::model::{
    AuthorRow, Claim, DocumentFilter, DocumentPosition, DocumentRow, FileStored, Known, LastSync, LedgerEntry,
    NewSource, Observation, Progress, Recorded, SourcePosition, SourceRow, Totals, UploadedFile,
};
use crate::secrets::Secrets;

/// Documents that are looked up at once, at most.
pub const LOOK_UP_MAX: usize = 50;

/// The warehouse port: all that it keeps. All writes are durable when their future ends. Lists are read in parts of at
/// most `limit` items, at least 1, each from the position where the part before it ended: no read is of a whole table.
pub trait Warehouse: Sources + Authors + Documents + Unpublished + Ledger + ProgressNotes + Calibrations {}

impl<T: Sources + Authors + Documents + Unpublished + Ledger + ProgressNotes + Calibrations> Warehouse for T {}

/// Registered sources: when each is synced, and who may write for it.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Registers a source. One that is there already (same author, kind and location) gets the new settings.
    async fn put_source(&self, source: NewSource) -> Result<SourceRow, Error>;

    /// The registered sources, of one author or of all, by author and location.
    async fn sources(
        &self,
        author: Option<&AuthorId>,
        after: Option<&SourcePosition>,
        limit: usize,
    ) -> Result<Page<SourceRow, SourcePosition>, Error>;

    /// One registered source.
    async fn source(&self, id: SourceId) -> Result<Option<SourceRow>, Error>;

    /// The sources that are due, longest due first.
    async fn due_sources(&self, now: DateTime<Utc>, limit: usize) -> Result<Vec<SourceId>, Error>;

    /// Wakes whoever waits on it when this process has registered a source or asked for a sync. It says nothing of other
    /// processes, and nothing of time: who waits looks from time to time all the same.
    fn source_changes(&self) -> watch::Receiver<()>;

    /// Claims a source that is due for a sync, with the epoch of the lease on it: from here on nothing of an earlier
    /// claim is written. None if it is not due, not there, being removed, or claimed with a higher epoch.
    async fn claim_source(
        &self,
        id: SourceId,
        epoch: u64,
        now: DateTime<Utc>,
    ) -> Result<Option<(Claim, SourceRow)>, Error>;

    /// Whether what the claim entitles to would be written now.
    async fn is_claimed(&self, claim: &Claim) -> Result<bool, Error>;

    /// Stores how a sync went, what the source wants to remember, and when the next is due, unless one was asked for
    /// meanwhile. A confirmation of deletions that the sync saw is used up. False if the claim was lost: nothing changes.
    async fn finish_sync(
        &self,
        claim: &Claim,
        sync: LastSync,
        cursor: serde_json::Value,
        next_run_at: DateTime<Utc>,
    ) -> Result<bool, Error>;

    /// Begins to remove a source: no sync of it writes anything from here on, or begins. None if there is none. Begun
    /// twice it is the same removal.
    async fn begin_removal(&self, id: SourceId) -> Result<Option<Claim>, Error>;

    /// Forgets the source whose removal was begun. Its documents stay (retract them first if they should go). False if it
    /// was done already, or the source was registered anew meanwhile.
    async fn remove_source(&self, removal: &Claim) -> Result<bool, Error>;

    /// Makes the source due now, though it is being synced; with `confirm_deletions`, lets that sync delete what it finds gone. False if there
    /// is no such source.
    async fn request_sync(&self, id: SourceId, confirm_deletions: bool) -> Result<bool, Error>;

    /// Stores what the source wants to remember in the midst of a sync, so that the next goes on from there if this one is
    /// cut off. What the cursor says was recorded must be. False if the claim was lost: nothing changes.
    async fn save_cursor(&self, claim: &Claim, cursor: serde_json::Value) -> Result<bool, Error>;

    /// Stores the secrets of a source, in the place of those that it had. It need not be registered yet.
    async fn put_secrets(&self, source: SourceId, secrets: &Secrets) -> Result<(), Error>;

    /// The secrets of a source; none if nothing is stored.
    async fn secrets(&self, source: SourceId) -> Result<Secrets, Error>;

    /// Forgets the secrets of a source.
    async fn forget_secrets(&self, source: SourceId) -> Result<(), Error>;

    /// As [`Self::forget_secrets`], in a removal of the source. [`Error::ClaimLost`] if that lost its claim.
    async fn forget_secrets_claimed(&self, removal: &Claim) -> Result<(), Error>;

    /// Stores which artifact was uploaded to a source under a name, in the place of the one before. Nothing is stored for a
    /// source that is not registered, or is being removed, and no file of a new name for one that has `most` files.
    async fn put_file(&self, file: UploadedFile, most: usize) -> Result<FileStored, Error>;

    /// Forgets an uploaded file. False if there is none of that name.
    async fn remove_file(&self, source: SourceId, name: &str) -> Result<bool, Error>;

    /// As [`Self::remove_file`], in a removal of the source. [`Error::ClaimLost`] if that lost its claim.
    async fn remove_file_claimed(&self, removal: &Claim, name: &str) -> Result<bool, Error>;

    /// The files that were uploaded to a source, by name, those after a name.
    async fn files(
        &self,
        source: SourceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<UploadedFile, String>, Error>;

    /// The uploaded files of all sources, those after a source and a name, in the order of these.
    async fn files_after(&self, after: Option<&(SourceId, String)>, limit: usize) -> Result<Vec<UploadedFile>, Error>;
}

/// Authors: noted with the first source or document of each, and kept.
#[async_trait]
pub trait Authors: Send + Sync {
    /// An author of whom there is, or was, a source or a document.
    async fn author(&self, author: &AuthorId) -> Result<Option<AuthorRow>, Error>;

    /// The authors with a registered source or a document that is not deleted, by name.
    async fn authors(&self, after: Option<&AuthorId>, limit: usize) -> Result<Page<AuthorRow, AuthorId>, Error>;
}

/// Documents at their newest revision. They are written by the crawler and the push endpoint, through `record`, `retract`
/// and `retract_claimed` alone.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Records what a source or a push says of a document: nothing if unchanged, else one new revision, to be
    /// published by the outbox. Safe against any number of concurrent callers. [`Error::ClaimLost`] if its claim is.
    async fn record(&self, observation: Observation) -> Result<Recorded, Error>;

    /// Records that a document is gone: a new revision without content. From here on no passage of it is served.
    /// None if there is no such document or it is deleted already.
    async fn retract(&self, document: DocumentId, observed_at: DateTime<Utc>) -> Result<Option<Revision>, Error>;

    /// As [`Self::retract`], of a document that this source gave. None if another source has given it since.
    /// [`Error::ClaimLost`] if the claim is.
    async fn retract_claimed(
        &self,
        claim: &Claim,
        document: DocumentId,
        observed_at: DateTime<Utc>,
    ) -> Result<Option<Revision>, Error>;

    /// The documents, not deleted, that a source has given, by id.
    async fn known(
        &self,
        source: SourceId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Page<Known, DocumentId>, Error>;

    /// How many documents, not deleted, an author has.
    async fn live_count(&self, author: &AuthorId) -> Result<u64, Error>;

    /// One document at its newest revision, deleted or not.
    async fn document(&self, id: DocumentId) -> Result<Option<DocumentRow>, Error>;

    /// These documents, at most [`LOOK_UP_MAX`], deleted or not, without content and in no particular order. Absent: there
    /// is none of that id.
    async fn summaries(&self, documents: &[DocumentId]) -> Result<Vec<DocumentRow>, Error>;

    /// Documents that are not deleted, without content, newest change first. One that changes while the list is read moves
    /// to its beginning, and is not among the later parts.
    async fn documents(
        &self,
        filter: &DocumentFilter,
        before: Option<&DocumentPosition>,
        limit: usize,
    ) -> Result<Page<DocumentRow, DocumentPosition>, Error>;
}

/// What the outbox publishes.
#[async_trait]
pub trait Unpublished: Send + Sync {
    /// At most so many documents whose newest revision is not in the log yet, oldest change first.
    async fn unpublished(&self, limit: usize) -> Result<Vec<DocumentRow>, Error>;

    /// These revisions were just appended to the log. Where another is the newest by now, that one counts as not
    /// published: what was appended late may stand after it.
    async fn mark_published(&self, revisions: &[(DocumentId, Revision)]) -> Result<(), Error>;

    /// Wakes whoever waits on it when this process has recorded or retracted something. It says nothing else, and nothing
    /// of other processes: who waits looks from time to time all the same.
    fn changes(&self) -> watch::Receiver<()>;
}

/// The ledger of indexed revisions: written by the embedder, read by retrieval.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The index now holds these revisions. An entry with a higher revision stays as it is.
    async fn mark_indexed(&self, entries: Vec<LedgerEntry>) -> Result<(), Error>;

    /// What the ledger says of these documents.
    async fn ledger(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, LedgerEntry>, Error>;

    /// The live revision of each of these documents, at most [`LOOK_UP_MAX`]: the one indexed, unless the document was
    /// deleted at that revision or later. Absent: nothing of it may be served.
    async fn live_revisions(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, Revision>, Error>;

    /// As [`Self::live_revisions`], of any number of documents, in as many look-ups as that takes.
    async fn live_revisions_of_all(&self, documents: &[DocumentId]) -> Result<HashMap<DocumentId, Revision>, Error> {
        let mut live = HashMap::with_capacity(documents.len());
        for part in documents.chunks(LOOK_UP_MAX) {
            live.extend(self.live_revisions(part).await?);
        }
        Ok(live)
    }
}

/// How far each revision has come, as the stages note it.
#[async_trait]
pub trait ProgressNotes: Send + Sync {
    /// Notes what stages did. A repeated note replaces the earlier one.
    async fn note_progress(&self, progress: Vec<Progress>) -> Result<(), Error>;

    /// What is known of a document's newest revisions, by revision and stage.
    async fn progress(&self, document: DocumentId) -> Result<Vec<Progress>, Error>;

    /// Totals, of one author or of all.
    async fn totals(&self, author: Option<&AuthorId>) -> Result<Totals, Error>;
}

/// From which score on each author's questions are answered: written by inference, where it was measured, and read by all
/// who answer. The newest of each author is kept.
#[async_trait]
pub trait Calibrations: Send + Sync {
    /// Stores a calibration in the place of the author's one before.
    async fn put_calibration(&self, calibration: Calibration) -> Result<(), Error>;

    /// An author's.
    async fn calibration(&self, author: &AuthorId) -> Result<Option<Calibration>, Error>;

    /// Those of all authors, by name: at most `limit` behind `after`.
    async fn calibrations(&self, after: Option<&AuthorId>, limit: usize) -> Result<Vec<Calibration>, Error>;
}
