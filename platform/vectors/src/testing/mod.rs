//! What [`VectorStore`](crate::VectorStore) and [`VectorIndex`](crate::VectorIndex) promise, for every implementation:
//! [`vector_contract`](crate::vector_contract) makes the tests.

pub mod fixtures;
mod generations;
mod points;

use std::sync::Arc;

use async_trait::async_trait;

pub use generations::*;
pub use points::*;

use crate::VectorStore;

/// A place where an index is kept, made for one test.
#[async_trait]
pub trait Place: Send + Sync {
    /// The index as one more process has it.
    async fn process(&self) -> Arc<dyn VectorStore>;
}

/// The tests of a backend. `$open` is an async function that makes an empty [`Place`](testing::Place).
#[macro_export]
macro_rules! vector_contract {
    ($open:path) => {
        $crate::vector_contract!(@ $open:
            meaning_and_words_both_find_and_only_the_authors_own,
            an_authors_few_chunks_are_found_by_words_that_are_frequent_among_others,
            filters_narrow_both_searches,
            a_newer_revision_replaces_what_is_below_it_and_a_repetition_changes_nothing,
            documents_are_listed_with_the_lowest_revision_of_their_points,
            held_vectors_come_back_as_they_were_written,
            words_are_counted_in_the_authors_own_chunks_in_any_of_their_forms,
            a_sample_is_spread_over_the_authors_chunks_of_the_wanted_categories,
            another_model_or_dimension_is_refused,
            a_model_that_has_moved_is_the_same_model,
            the_old_vectors_are_searched_until_every_chunk_has_a_new_one,
            after_the_switch_a_handle_on_the_old_generation_does_nothing,
            a_handle_on_an_old_generation_of_the_same_model_is_refused_too,
            what_a_killed_builder_has_done_is_kept_for_its_model_alone,
            a_builder_whose_place_was_taken_changes_nothing,
            a_vector_comes_too_late_for_a_chunk_that_is_gone_or_another_by_now,
            a_deletion_during_the_build_stays_deleted,
            what_a_killed_drain_has_left_is_deleted_by_the_next,
            there_is_nothing_to_build_where_there_is_no_index,
            searches_and_writes_go_on_while_the_index_goes_over_and_nothing_is_mixed_or_lost
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::testing::$name(&$open().await).await;
            }
        )+
    };
}
