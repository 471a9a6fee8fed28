//! The crawler: keeps the warehouse in step with an author's sources.
//!
//! In: registered sources (a folder, a git repository, a feed, uploaded files) with an interval. Out: one new revision in the warehouse
//! for each document that is new, changed or gone; the warehouse's outbox makes events of them. Nothing is written for
//! a document that is as it was.
//!
//! Promised:
//! - A document keeps its id whatever its title, address or place becomes, as far as its platform gives it an id.
//! - A deletion is made only on evidence: missing from a complete listing, or a page that answered 404 or 410 twice, a
//!   day apart. A failed, refused or partial sync deletes nothing. More deletions than the brake lets through wait for
//!   a person's word.
//! - Whitespace of code is kept byte for byte.
//! - No request leaves for an address that is not public, unless the operator listed its host ([`network`]); bodies,
//!   times and redirects are bounded.
//! - A host is asked by all sources of a process together at a bounded rate, and not at all while it asks to be left alone.
//! - What a source shows its server (a token, a password) is sent to that server alone, and is in no error, log line, event
//!   or row that is shown.
//! - A sync that is cut off goes on where its cursor was saved: what was recorded is not fetched again.
//! - A source is synced by one crawler at a time, however many there are. A sync whose source is removed, or that another
//!   crawler has taken over, ends, and writes nothing from then on.
//! - A source that fails or panics is a failed sync of that source; the others go on.
//!
//! A new platform is one file in `src/sources/` that implements [`sources::Source`], and one line in
//! [`sources::Sources::new`].
//!
//! Deliberately not here: what a text is worth and how it is cleaned (`processors/cleaner`), publishing to the log (the
//! warehouse's outbox), logging in anywhere, and running scripts of pages.

mod charset;
mod claimed;
mod credential;
mod deletion;
mod error;
mod hosts;
mod http;
mod metrics;
pub mod network;
mod options;
mod pause;
mod schedule;
mod settings;
pub mod sources;
mod sync;

pub use error::Error;
pub use hosts::Waits;
pub use options::{FeedOptions, FilesOptions, FolderOptions, GitOptions, HttpOptions, Options, PerHostOptions};
pub use schedule::Crawler;
pub use settings::{Invalid, Registration, SecretName};
pub use sources::Sources;
pub use sync::{Synced, Syncer};
