//! What is live, and how far each revision is.

use chrono::Utc;
use twin_schemas::{AuthorId, DocumentId, Revision};

use super::{Store, ada, entry, observation};
use crate::{Error, LOOK_UP_MAX, Progress, ProgressState, StageName, Warehouse};

async fn live(warehouse: &dyn Warehouse, id: DocumentId) -> Option<u64> {
    warehouse.live_revisions(&[id]).await.unwrap().get(&id).map(|revision| revision.0)
}

#[doc(hidden)]
pub async fn nothing_of_a_deleted_document_is_live_until_its_re_creation_is_indexed(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = observation("a.md", "one").key.id();
    warehouse.record(observation("a.md", "one")).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 1)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(1));

    // An edit: the old revision is served until the new one is indexed.
    warehouse.record(observation("a.md", "two")).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(1));
    warehouse.mark_indexed(vec![entry(id, 2)]).await.unwrap();
    // A late, older mark changes nothing.
    warehouse.mark_indexed(vec![entry(id, 1)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(2));

    warehouse.retract(id, Utc::now()).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    // Created again before the deletion has reached the index: what is indexed is of before.
    warehouse.record(observation("a.md", "three")).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 3)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, None);
    warehouse.mark_indexed(vec![entry(id, 4)]).await.unwrap();
    assert_eq!(live(warehouse, id).await, Some(4));
}

#[doc(hidden)]
pub async fn a_document_is_pending_until_it_is_indexed_rejected_or_dead_lettered(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        warehouse.record(observation(name, name)).await.unwrap();
        ids.push(observation(name, name).key.id());
    }
    let pending = || async { warehouse.totals(Some(&ada())).await.unwrap().pending };
    assert_eq!(pending().await, 3);
    let note = |id, stage, state| Progress { document_id: id, revision: Revision(1), stage, state, at: Utc::now() };
    warehouse
        .note_progress(vec![
            note(ids[0], StageName::Cleaned, ProgressState::Done),
            note(ids[1], StageName::Cleaned, ProgressState::Rejected { reason: "login".into() }),
            note(ids[2], StageName::Chunked, ProgressState::Dead { reason: "panic".into() }),
        ])
        .await
        .unwrap();
    assert_eq!(pending().await, 1);
    warehouse.mark_indexed(vec![entry(ids[0], 1)]).await.unwrap();
    assert_eq!(pending().await, 0);
    let totals = warehouse.totals(None).await.unwrap();
    assert_eq!((totals.documents, totals.searchable, totals.rejected, totals.dead), (3, 1, 1, 1));
    assert_eq!(totals.chunks, 2);
    // Replayed and indexed after all: no longer dead.
    warehouse.mark_indexed(vec![entry(ids[2], 1)]).await.unwrap();
    assert_eq!(warehouse.totals(None).await.unwrap().dead, 0);
    assert_eq!(warehouse.progress(ids[1]).await.unwrap().len(), 1);
    let other: AuthorId = "grace".parse().unwrap();
    assert_eq!(warehouse.totals(Some(&other)).await.unwrap().documents, 0);
}

#[doc(hidden)]
pub async fn no_more_documents_are_looked_up_at_once_than_are_allowed(store: &dyn Store) {
    let warehouse = store.process().await;
    let mut ids = Vec::new();
    for number in 0..=LOOK_UP_MAX {
        let seen = observation(&number.to_string(), "text");
        ids.push(seen.key.id());
        warehouse.record(seen).await.unwrap();
    }
    warehouse.mark_indexed(ids.iter().map(|id| entry(*id, 1)).collect()).await.unwrap();
    let allowed = &ids[..LOOK_UP_MAX];
    assert_eq!(warehouse.live_revisions(allowed).await.unwrap().len(), LOOK_UP_MAX);
    assert_eq!(warehouse.summaries(allowed).await.unwrap().len(), LOOK_UP_MAX);
    let asked = ids.len();
    assert!(matches!(warehouse.live_revisions(&ids).await, Err(Error::TooMany { asked: found }) if found == asked));
    assert!(matches!(warehouse.summaries(&ids).await, Err(Error::TooMany { asked: found }) if found == asked));
    // In several look-ups all of them are found.
    let live = warehouse.live_revisions_of_all(&ids).await.unwrap();
    assert!(live.len() == asked && live.values().all(|revision| *revision == Revision(1)));
}
