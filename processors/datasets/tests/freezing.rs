//! Versions that are made by themselves, over the registry.

mod support;

use std::sync::Arc;

use support::{Place, author, generated, id};
use twin_coordination::{Member, Options as LeaseOptions, Owner};
use twin_datasets::{FreezePolicy, Freezer, Metrics, Options};
use twin_registry::{DatasetRow, RETRAINING, Registry};
use twin_sqlite::{Database, SqliteLeases};
use twin_telemetry::MetricsRegistry;

const DOCUMENTS: usize = 60;

/// A freezer that waits for no quiet, and its registry.
async fn freezer(place: &Place, policy: FreezePolicy) -> (Freezer, Registry) {
    freezer_over(place, policy, database(place)).await
}

fn database(place: &Place) -> Database {
    Database::open(&place.folder.path().join("registry.db")).unwrap()
}

async fn freezer_over(place: &Place, policy: FreezePolicy, database: Database) -> (Freezer, Registry) {
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let leases = Arc::new(SqliteLeases::open(database).await.unwrap());
    let member = Member::new(leases, Owner::new("here"), &LeaseOptions { lease_ms: 500 });
    let metrics = Metrics::new(&MetricsRegistry::new()).unwrap();
    let policy = FreezePolicy { quiet_s: 0, ..policy };
    let (corpus, artifacts) = (place.corpus.clone(), place.artifacts.clone());
    (Freezer::new(policy, place.builder(), corpus, registry.clone(), artifacts, member, metrics), registry)
}

/// Deletes some of the documents, as the collector does.
async fn delete(place: &Place, registry: &Registry, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let document = id(&format!("notes/{number}.md"));
        assert!(place.delete(document, 2).await);
        registry.mark_deleted(document, support::at()).await.unwrap();
    }
}

async fn versions(registry: &Registry) -> Vec<DatasetRow> {
    registry.newest_datasets(Some(&author()), 9).await.unwrap()
}

#[tokio::test]
async fn a_version_of_which_much_was_deleted_is_followed_by_one_without_it_though_nothing_is_new() {
    let place = Place::with(Options::default(), (0..DOCUMENTS).map(generated)).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy { deleted_share: 0.1, ..FreezePolicy::default() }).await;
    freezer.look().await.unwrap();
    let first = versions(&registry).await.remove(0);
    assert_eq!((first.number, first.documents), (1, DOCUMENTS as u64));
    delete(&place, &registry, 0..5).await;
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 1, "5 of 60 are less than a tenth");
    delete(&place, &registry, 5..6).await;
    freezer.look().await.unwrap();
    let second = versions(&registry).await.remove(0);
    assert_eq!((second.number, second.reason.as_str(), second.deleted_documents), (2, "deletions", 0));
    assert_eq!(second.documents, DOCUMENTS as u64 - 6);
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 2, "it is made once");
}

#[tokio::test]
async fn a_version_says_the_form_of_its_prompts_and_that_it_was_asked_for_to_be_trained_on() {
    let mut place = Place::with(Options::default(), (0..DOCUMENTS).map(generated)).await;
    let database = database(&place);
    let (mut freezer, registry) = freezer_over(&place, FreezePolicy::default(), database.clone()).await;
    freezer.look().await.unwrap();
    let first = versions(&registry).await.remove(0);
    assert_eq!((first.reason.as_str(), first.prompts), ("new samples", Some(place.options.prompt.form())));
    drop(freezer);

    place.options.prompt.passages += 1;
    let (mut freezer, registry) = freezer_over(&place, FreezePolicy::default(), database).await;
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 1, "nobody has asked");
    registry.request_retraining(&author(), "grace", support::at()).await.unwrap();
    freezer.look().await.unwrap();
    let second = versions(&registry).await.remove(0);
    assert_eq!((second.number, second.reason.as_str()), (2, RETRAINING));
    assert_eq!(second.prompts, Some(place.options.prompt.form()));
    assert!(registry.open_freeze_requests().await.unwrap().is_empty());
}
