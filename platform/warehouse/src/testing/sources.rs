//! Sources: when they are due, who may write for them, and how they go.

use chrono::{DateTime, Duration, Utc};
use twin_schemas::{DocumentId, SourceId};

use super::{Store, ada, observation, source};
use crate::{Claim, Error, LastSync, NewSource, Observation, Recorded, SourceRow, SyncOutcome, Warehouse};

fn sync() -> LastSync {
    LastSync {
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: SyncOutcome::Completed,
        seen: 1,
        new: 1,
        changed: 0,
        deleted: 0,
        failed: Vec::new(),
        failed_total: 0,
        waited_ms: 0,
    }
}

fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + Duration::hours(1)
}

async fn claim(warehouse: &dyn Warehouse, id: SourceId, epoch: u64) -> (Claim, SourceRow) {
    warehouse.claim_source(id, epoch, Utc::now()).await.unwrap().expect("the source can be claimed")
}

async fn finish(warehouse: &dyn Warehouse, claim: &Claim) -> bool {
    warehouse.finish_sync(claim, sync(), serde_json::json!({"etag": "x"}), in_an_hour()).await.unwrap()
}

async fn record(warehouse: &dyn Warehouse, claim: Claim, name: &str) -> Result<DocumentId, Error> {
    let observation = Observation { claim: Some(claim), ..observation(name, name) };
    let id = observation.key.id();
    warehouse.record(observation).await.map(|_| id)
}

async fn row(warehouse: &dyn Warehouse, id: SourceId) -> SourceRow {
    warehouse.source(id).await.unwrap().unwrap()
}

#[doc(hidden)]
pub async fn a_new_source_is_due_at_once_and_then_as_planned(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    assert_eq!(warehouse.put_source(source()).await.unwrap().id, id);
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), [id]);
    let (claim, _) = claim(warehouse, id, 1).await;
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), [id], "until its sync has ended");
    let planned = in_an_hour();
    assert!(warehouse.finish_sync(&claim, sync(), serde_json::json!({"etag": "x"}), planned).await.unwrap());
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), []);
    assert_eq!(warehouse.claim_source(id, 2, Utc::now()).await.unwrap(), None);
    assert_eq!(warehouse.due_sources(planned + Duration::seconds(1), 10).await.unwrap(), [id]);
    let row = row(warehouse, id).await;
    assert_eq!((row.cursor["etag"].as_str(), row.last_sync.unwrap().seen), (Some("x"), 1));
    assert!((row.next_run_at - planned).num_milliseconds().abs() < 2);
}

#[doc(hidden)]
pub async fn the_source_that_is_due_longest_comes_first(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let mut ids = Vec::new();
    for location in ["/a", "/b", "/c"] {
        ids.push(warehouse.put_source(NewSource { location: location.into(), ..source() }).await.unwrap().id);
    }
    let (claim, _) = claim(warehouse, ids[0], 1).await;
    assert!(finish(warehouse, &claim).await);
    assert!(warehouse.request_sync(ids[0], false).await.unwrap());
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), [ids[1], ids[2], ids[0]]);
    assert_eq!(warehouse.due_sources(Utc::now(), 2).await.unwrap(), [ids[1], ids[2]]);
}

#[doc(hidden)]
pub async fn a_clock_that_is_put_back_by_a_day_does_not_stop_the_syncs_for_that_day(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (claim, _) = claim(warehouse, id, 1).await;
    assert!(finish(warehouse, &claim).await);
    let (little, day) = (Utc::now() - Duration::minutes(1), Utc::now() - Duration::days(1));
    assert_eq!(warehouse.due_sources(little, 10).await.unwrap(), [], "set by a little");
    assert_eq!(warehouse.due_sources(day, 10).await.unwrap(), [id]);
    assert!(warehouse.claim_source(id, 2, little).await.unwrap().is_none());
    assert!(warehouse.claim_source(id, 2, day).await.unwrap().is_some());
}

#[doc(hidden)]
pub async fn a_sync_that_was_taken_over_writes_nothing_any_more(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (first, _) = claim(warehouse, id, 1).await;
    let document = record(warehouse, first, "a").await.unwrap();
    let (second, _) = claim(warehouse, id, 2).await;
    assert!(matches!(record(warehouse, first, "b").await, Err(Error::ClaimLost)));
    assert!(matches!(warehouse.retract_claimed(&first, document, Utc::now()).await, Err(Error::ClaimLost)));
    assert!(!finish(warehouse, &first).await && !warehouse.is_claimed(&first).await.unwrap());
    assert!(row(warehouse, id).await.last_sync.is_none());
    assert_eq!(warehouse.claim_source(id, 1, Utc::now()).await.unwrap(), None, "who comes late does not take it back");
    assert_eq!(warehouse.live_count(&ada()).await.unwrap(), 1);

    assert!(warehouse.is_claimed(&second).await.unwrap());
    record(warehouse, second, "b").await.unwrap();
    assert!(warehouse.retract_claimed(&second, document, Utc::now()).await.unwrap().is_some());
    assert!(finish(warehouse, &second).await);
}

#[doc(hidden)]
pub async fn a_sync_asked_for_while_one_runs_still_comes_with_its_confirmation(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (first, _) = claim(warehouse, id, 1).await;
    assert!(warehouse.request_sync(id, true).await.unwrap());
    assert!(finish(warehouse, &first).await);
    let after = row(warehouse, id).await;
    assert!(after.next_run_at <= Utc::now() && after.deletions_confirmed, "the request is not swallowed");

    let (second, seen) = claim(warehouse, id, 2).await;
    assert!(seen.deletions_confirmed);
    assert!(warehouse.request_sync(id, false).await.unwrap());
    assert!(finish(warehouse, &second).await);
    let after = row(warehouse, id).await;
    assert!(after.next_run_at <= Utc::now() && !after.deletions_confirmed, "a confirmation is good for one sync");

    let (third, _) = claim(warehouse, id, 3).await;
    assert!(finish(warehouse, &third).await);
    assert!(row(warehouse, id).await.next_run_at > Utc::now());
}

#[doc(hidden)]
pub async fn a_confirmation_is_not_used_up_by_a_sync_that_was_taken_over(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    assert!(warehouse.request_sync(id, true).await.unwrap());
    let (first, _) = claim(warehouse, id, 1).await;
    let (second, seen) = claim(warehouse, id, 2).await;
    assert!(seen.deletions_confirmed && !finish(warehouse, &first).await);
    assert!(row(warehouse, id).await.deletions_confirmed);
    assert!(finish(warehouse, &second).await);
    assert!(!row(warehouse, id).await.deletions_confirmed);
}

#[doc(hidden)]
pub async fn nothing_of_a_source_is_recorded_from_the_beginning_of_its_removal_on(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (before, _) = claim(warehouse, id, 1).await;
    let document = record(warehouse, before, "a").await.unwrap();

    let removal = warehouse.begin_removal(id).await.unwrap().unwrap();
    assert!(matches!(record(warehouse, before, "b").await, Err(Error::ClaimLost)));
    assert!(!finish(warehouse, &before).await);
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), []);
    assert_eq!(warehouse.claim_source(id, 2, Utc::now()).await.unwrap(), None);
    assert!(!warehouse.request_sync(id, false).await.unwrap());
    assert!(warehouse.source(id).await.unwrap().is_some(), "it can be removed again if this is cut off");
    assert_eq!(warehouse.begin_removal(id).await.unwrap(), Some(removal));

    assert!(warehouse.retract_claimed(&removal, document, Utc::now()).await.unwrap().is_some());
    assert!(warehouse.remove_source(&removal).await.unwrap());
    assert!(!warehouse.remove_source(&removal).await.unwrap());
    assert_eq!(warehouse.begin_removal(id).await.unwrap(), None);
    assert!(warehouse.source(id).await.unwrap().is_none());
    assert!(warehouse.sources(None, None, 9).await.unwrap().items.is_empty());
    assert!(warehouse.authors(None, 9).await.unwrap().items.is_empty());

    // Registered anew it has the same id, and nothing else of before.
    let anew = warehouse.put_source(source()).await.unwrap();
    assert_eq!((anew.id, anew.cursor, anew.last_sync), (id, serde_json::Value::Null, None));
    let (after, _) = claim(warehouse, id, 1).await;
    assert!(matches!(record(warehouse, before, "b").await, Err(Error::ClaimLost)), "of an earlier registration");
    record(warehouse, after, "b").await.unwrap();
}

#[doc(hidden)]
pub async fn a_source_that_is_registered_anew_in_the_midst_of_its_removal_stays(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (before, _) = claim(warehouse, id, 1).await;
    let document = record(warehouse, before, "a").await.unwrap();
    assert!(finish(warehouse, &before).await);
    let removal = warehouse.begin_removal(id).await.unwrap().unwrap();
    let anew = warehouse.put_source(source()).await.unwrap();
    assert_eq!((anew.cursor, anew.last_sync), (serde_json::Value::Null, None), "all of it is listed once more");
    assert!(matches!(warehouse.retract_claimed(&removal, document, Utc::now()).await, Err(Error::ClaimLost)));
    assert!(!warehouse.remove_source(&removal).await.unwrap());
    assert_eq!(warehouse.due_sources(Utc::now(), 10).await.unwrap(), [id]);
}

#[doc(hidden)]
pub async fn a_document_that_another_source_gives_by_now_does_not_go_with_the_first(store: &dyn Store) {
    let warehouse = store.process().await;
    let warehouse = &*warehouse;
    let first = warehouse.put_source(source()).await.unwrap().id;
    let other = warehouse.put_source(NewSource { location: "/other".into(), ..source() }).await.unwrap().id;
    let (of_first, _) = claim(warehouse, first, 1).await;
    let document = record(warehouse, of_first, "a").await.unwrap();
    let (of_other, _) = claim(warehouse, other, 1).await;
    let edited = Observation { claim: Some(of_other), ..observation("a", "edited") };
    assert!(matches!(warehouse.record(edited).await.unwrap(), Recorded::Revised(_)));
    assert_eq!(warehouse.retract_claimed(&of_first, document, Utc::now()).await.unwrap(), None);
    assert_eq!(warehouse.live_count(&ada()).await.unwrap(), 1);
}
