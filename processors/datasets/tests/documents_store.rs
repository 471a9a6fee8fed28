//! The store: whatever the order of events, it holds the newest revision of each document.

mod support;

use support::{Place, author, generated};
use twin_datasets::Options;
use twin_schemas::{CleanedDocument, Revision};

fn revision(number: u64) -> CleanedDocument {
    let mut document = generated(1);
    document.meta.revision = Revision(number);
    document.text.push_str(&format!("\n\nRevision {number}."));
    document
}

#[tokio::test]
async fn an_older_revision_after_a_newer_changes_nothing() {
    let place = Place::new(Options::default()).await;
    assert!(place.documents.put(revision(2)).await.unwrap());
    let before = place.documents.author_state(author(), 0).await.unwrap();
    assert!(!place.documents.put(revision(1)).await.unwrap());
    assert!(!place.documents.put(revision(2)).await.unwrap());
    assert!(!place.documents.delete(generated(1).meta.document_id, Revision(2)).await.unwrap());
    assert_eq!(place.documents.author_state(author(), 0).await.unwrap(), before);
    assert_eq!(place.documents.revision(generated(1).meta.document_id).await.unwrap(), Some(Revision(2)));
}

#[tokio::test]
async fn a_late_older_revision_does_not_bring_a_deleted_document_back() {
    let place = Place::new(Options::default()).await;
    let document = generated(1).meta.document_id;
    // The deletion comes first: the document was never seen.
    assert!(place.documents.delete(document, Revision(3)).await.unwrap());
    assert!(!place.documents.put(revision(2)).await.unwrap());
    assert_eq!(place.documents.author_state(author(), 0).await.unwrap().documents, 0);
    assert!(place.documents.put(revision(4)).await.unwrap());
    assert_eq!(place.documents.author_state(author(), 0).await.unwrap().documents, 1);
}

#[tokio::test]
async fn every_order_of_the_same_events_ends_in_the_same_state() {
    let orders = [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 1, 4, 2], [4, 1, 2, 3]];
    let mut ends = Vec::new();
    for order in orders {
        let place = Place::new(Options::default()).await;
        for event in order {
            match event {
                3 => drop(place.documents.delete(generated(1).meta.document_id, Revision(3)).await.unwrap()),
                number => drop(place.documents.put(revision(number)).await.unwrap()),
            }
        }
        let state = place.documents.author_state(author(), 0).await.unwrap();
        ends.push((
            state.documents,
            state.samples,
            place.documents.revision(generated(1).meta.document_id).await.unwrap(),
        ));
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].2, Some(Revision(4)));
}

#[tokio::test]
async fn what_is_new_since_a_version_is_counted() {
    let place = Place::with(Options::default(), (0..20).map(generated)).await;
    let built = place.build().await.unwrap();
    place.documents.frozen(&built).await.unwrap();
    place.documents.frozen(&built).await.unwrap();
    let last = place.documents.last_frozen(author()).await.unwrap().unwrap();
    assert_eq!((&last.dataset, last.number, last.frozen_at), (&built.manifest.dataset, 1, support::at()));
    let state = place.documents.author_state(author(), last.changed).await.unwrap();
    assert_eq!((state.documents, state.new_samples, state.deletions), (20, 0, 0));
    assert!(state.samples >= 60);
    place.documents.put(generated(99)).await.unwrap();
    place.documents.delete(generated(3).meta.document_id, Revision(2)).await.unwrap();
    let state = place.documents.author_state(author(), last.changed).await.unwrap();
    assert!((1..10).contains(&state.new_samples), "{state:?}");
    assert_eq!((state.documents, state.deletions), (20, 1));
    assert_eq!(place.documents.authors().await.unwrap(), [author()]);
}
