//! What `Warehouse` promises, over every implementation.

mod common;

use chrono::Utc;
use common::{ada, observation, source, sqlite};
use twin_schemas::{AuthorId, DocumentId, Revision};
use twin_warehouse::{
    DocumentFilter, LedgerEntry, Observation, Progress, ProgressState, Recorded, StageName, Warehouse,
};

fn entry(id: DocumentId, revision: u64) -> LedgerEntry {
    LedgerEntry { document_id: id, revision: Revision(revision), chunks: 2, model: "m".into(), indexed_at: Utc::now() }
}

async fn live(warehouse: &dyn Warehouse, id: DocumentId) -> Option<u64> {
    warehouse.live_revisions(&[id]).await.unwrap().get(&id).map(|revision| revision.0)
}

#[tokio::test]
async fn a_revision_is_made_by_a_change_and_by_nothing_else() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let first = observation("a.md", "one");
    let id = first.key.id();
    assert_eq!(warehouse.record(first.clone()).await.unwrap(), Recorded::Created(Revision(1)));
    assert_eq!(warehouse.record(first.clone()).await.unwrap(), Recorded::Unchanged(Revision(1)));
    assert_eq!(warehouse.record(observation("a.md", "two")).await.unwrap(), Recorded::Revised(Revision(2)));
    let row = warehouse.document(id).await.unwrap().unwrap();
    assert_eq!((row.meta.revision, row.content.as_str(), row.published), (Revision(2), "two", false));
    assert_eq!(row.meta.published_at, first.published_at);
    assert_eq!(warehouse.retract(id, Utc::now()).await.unwrap(), Some(Revision(3)));
    assert_eq!(warehouse.retract(id, Utc::now()).await.unwrap(), None);
    let row = warehouse.document(id).await.unwrap().unwrap();
    assert!(row.deleted && row.content.is_empty() && row.payload().is_none());
    assert_eq!(warehouse.record(observation("a.md", "two")).await.unwrap(), Recorded::Created(Revision(4)));
}

#[tokio::test]
async fn racing_writers_make_one_revision_each_and_none_is_lost() {
    let fixture = sqlite().await;
    let writers = (0..20).map(|number| {
        let warehouse = fixture.warehouse.clone();
        tokio::spawn(async move { warehouse.record(observation("a.md", &format!("v{number}"))).await.unwrap() })
    });
    let recorded = futures::future::join_all(writers).await;
    let mut revisions: Vec<u64> = recorded.into_iter().map(|recorded| recorded.unwrap().revision().0).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_live_until_its_re_creation_is_indexed() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
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

#[tokio::test]
async fn a_document_is_pending_until_it_is_indexed_rejected_or_dead_lettered() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
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

#[tokio::test]
async fn documents_are_found_by_author_url_and_source() {
    let fixture = sqlite().await;
    let warehouse = &*fixture.warehouse;
    let row = warehouse.put_source(source()).await.unwrap();
    let (claim, _) = warehouse.claim_source(row.id, 1, Utc::now()).await.unwrap().unwrap();
    let mine = Observation { claim: Some(claim), ..observation("a", "a") };
    warehouse.record(mine.clone()).await.unwrap();
    warehouse.record(observation("b", "b")).await.unwrap();
    let list = |filter| async move { warehouse.documents(&filter).await.unwrap() };
    assert_eq!(list(DocumentFilter { author: Some(ada()), ..Default::default() }).await.len(), 2);
    assert_eq!(list(DocumentFilter { limit: 1, ..Default::default() }).await[0].meta.natural_key, "b");
    let by_url = DocumentFilter { url: Some("https://example.org/a".into()), ..Default::default() };
    assert_eq!(list(by_url).await[0].meta.document_id, mine.key.id());
    assert_eq!(list(DocumentFilter { source_id: Some(row.id), ..Default::default() }).await.len(), 1);
    let known = warehouse.known(row.id).await.unwrap();
    assert_eq!((known.len(), known[0].identity.as_str(), &known[0].content_hash), (1, "a", &mine.content_hash));
    warehouse.retract(mine.key.id(), Utc::now()).await.unwrap();
    assert!(warehouse.known(row.id).await.unwrap().is_empty());
    assert_eq!(warehouse.live_count(&ada()).await.unwrap(), 1);
    assert_eq!(warehouse.authors().await.unwrap().into_keys().collect::<Vec<_>>(), [ada()]);
    assert_eq!(list(DocumentFilter::default()).await.len(), 1);
    assert_eq!(list(DocumentFilter { with_deleted: true, ..Default::default() }).await.len(), 2);
}
