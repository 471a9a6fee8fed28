//! The warehouse: registered sources, documents with their revisions, the ledger of what is indexed, and how far
//! each revision has come.
//!
//! Promises: one writer per revision (a conditional write, whoever races); a revision, once recorded, is published
//! to the log even if the process dies right after ([`Outbox`]); a deletion is a revision too and its row stays. What a
//! sync writes is fenced by its [`Claim`]: nothing of a sync that another has taken over, or whose source was removed, is
//! written any more.
//!
//! The port is several roles ([`Sources`], [`Authors`], [`Documents`], [`Unpublished`], [`Ledger`], [`ProgressNotes`],
//! [`Calibrations`]); a [`Warehouse`] has all of them. What a backend has to keep of it is in [`testing`].
//!
//! Deliberately not here: vectors (`platform/vectors`) and files (`platform/artifacts`).

mod calibration;
mod content_hash;
mod error;
mod model;
mod outbox;
mod port;
mod secrets;
pub mod testing;

pub use calibration::{Calibration, Refusals, ThresholdBasis};
pub use content_hash::{DocumentContent, hash_of_blob};
pub use error::Error;
pub use model::{
    AuthorRow, Claim, DocumentFilter, DocumentPosition, DocumentRow, FileStored, Known, LastSync, LedgerEntry,
    NewSource, Observation, Progress, ProgressState, Recorded, SourcePosition, SourceRow, StageName, SyncFailure,
    SyncOutcome, Totals, UploadedFile,
};
pub use outbox::{Outbox, OutboxOptions};
pub use port::{Authors, Calibrations, Documents, LOOK_UP_MAX, Ledger, ProgressNotes, Sources, Unpublished, Warehouse};
pub use secrets::{Secret, Secrets};
pub use twin_backend::Page;
