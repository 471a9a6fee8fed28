//! What [`Warehouse`] promises, for every implementation: [`warehouse_contract`](crate::warehouse_contract) makes the tests.

mod calibrations;
mod documents;
mod ledger;
mod lists;
mod source_parts;
mod sources;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, Category, ContentHash, DocumentId, DocumentKey, MediaType, Revision, SourceKind};

use crate::{LedgerEntry, NewSource, Observation, Warehouse};

pub use calibrations::*;
pub use documents::*;
pub use ledger::*;
pub use lists::*;
pub use source_parts::*;
pub use sources::*;

/// A place where a warehouse is kept, made for one test.
#[async_trait]
pub trait Store: Send + Sync {
    /// The warehouse as one more process has it.
    async fn process(&self) -> Arc<dyn Warehouse>;
}

/// The tests of a backend. `$open` is an async function that makes an empty [`Store`](testing::Store).
#[macro_export]
macro_rules! warehouse_contract {
    ($open:path) => {
        $crate::warehouse_contract!(@ $open:
            a_revision_is_made_by_a_change_and_by_nothing_else,
            racing_writers_make_one_revision_each_and_none_is_lost,
            nothing_of_a_deleted_document_is_live_until_its_re_creation_is_indexed,
            a_document_is_pending_until_it_is_indexed_rejected_or_dead_lettered,
            no_more_documents_are_looked_up_at_once_than_are_allowed,
            documents_are_found_by_author_and_url,
            a_list_of_documents_goes_on_where_it_ended_whatever_changes_meanwhile,
            a_position_is_read_as_it_was_written,
            sources_are_listed_in_parts_by_author_and_location,
            what_a_source_has_given_is_listed_in_parts_without_what_was_deleted,
            an_author_is_known_for_good_and_listed_while_there_is_something,
            the_newest_calibration_of_each_author_is_kept,
            a_new_source_is_due_at_once_and_then_as_planned,
            the_source_that_is_due_longest_comes_first,
            a_clock_that_is_put_back_by_a_day_does_not_stop_the_syncs_for_that_day,
            a_sync_that_was_taken_over_writes_nothing_any_more,
            a_sync_asked_for_while_one_runs_still_comes_with_its_confirmation,
            a_confirmation_is_not_used_up_by_a_sync_that_was_taken_over,
            nothing_of_a_source_is_recorded_from_the_beginning_of_its_removal_on,
            a_source_that_is_registered_anew_in_the_midst_of_its_removal_stays,
            a_document_that_another_source_gives_by_now_does_not_go_with_the_first,
            a_cursor_is_saved_in_the_midst_of_a_sync_by_whoever_has_the_claim,
            settings_are_in_the_row_of_a_source_and_secrets_are_not,
            an_uploaded_file_is_replaced_under_its_name_and_all_are_listed_in_order,
            a_source_has_no_more_uploads_than_it_may_and_those_are_replaced_all_the_same,
            a_source_takes_uploads_from_its_registration_to_the_beginning_of_its_removal,
            a_removal_leaves_the_uploads_and_secrets_of_a_source_that_was_registered_anew
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::testing::$name(&$open().await).await;
            }
        )+
    };
}

/// An author.
pub fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

/// A source of [`ada`].
pub fn source() -> NewSource {
    NewSource {
        author: ada(),
        kind: SourceKind::new("folder"),
        location: "/notes".into(),
        category: None,
        interval_s: 60,
        settings: serde_json::Value::Null,
        secret_names: Vec::new(),
    }
}

/// What is seen of a document of [`ada`], without a claim.
pub fn observation(name: &str, content: &str) -> Observation {
    Observation {
        key: DocumentKey {
            source_kind: SourceKind::new("folder"),
            author: ada(),
            scope: "/notes".into(),
            identity: name.into(),
        },
        claim: None,
        category: Category::Article,
        natural_key: name.into(),
        title: Some(format!("On {name}")),
        url: Some(format!("https://example.org/{name}")),
        published_at: DateTime::from_timestamp(1_700_000_000, 0),
        media_type: MediaType::Markdown,
        content: content.into(),
        content_hash: ContentHash::sha256([content.as_bytes()]),
        observed_at: Utc::now(),
    }
}

/// As [`observation`], of another author.
pub fn of_author(author: &AuthorId, name: &str) -> Observation {
    let seen = observation(name, "text");
    Observation { key: DocumentKey { author: author.clone(), ..seen.key.clone() }, ..seen }
}

/// The index holds two chunks of that revision.
pub fn entry(id: DocumentId, revision: u64) -> LedgerEntry {
    LedgerEntry { document_id: id, revision: Revision(revision), chunks: 2, model: "m".into(), indexed_at: Utc::now() }
}
