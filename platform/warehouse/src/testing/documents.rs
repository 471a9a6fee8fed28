//! Documents: what makes a revision.

use chrono::Utc;
use tokio::task::JoinSet;
use twin_schemas::Revision;

use super::{Store, observation};
use crate::Recorded;

#[doc(hidden)]
pub async fn a_revision_is_made_by_a_change_and_by_nothing_else(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
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

#[doc(hidden)]
pub async fn racing_writers_make_one_revision_each_and_none_is_lost(store: &dyn Store) {
    let processes = [store.process().await, store.process().await];
    let mut writers = JoinSet::new();
    for number in 0..20 {
        let warehouse = processes[number % 2].clone();
        let write = async move { warehouse.record(observation("a.md", &format!("v{number}"))).await.unwrap() };
        writers.spawn(write);
    }
    let mut revisions: Vec<u64> = writers.join_all().await.into_iter().map(|made| made.revision().0).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
}
