//! Documents on their way into the corpus, and out of what is new.

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
async fn usable_samples_are_counted_once_whatever_comes_late() {
    let place = Place::new(Options::default()).await;
    assert!(place.put(revision(2)).await);
    let before = place.corpus.author_state(&author()).await.unwrap();
    assert!(before.samples > 0);
    assert!(!place.put(revision(1)).await && !place.put(revision(2)).await);
    assert_eq!(place.corpus.author_state(&author()).await.unwrap(), before);
}

#[tokio::test]
async fn what_is_new_since_a_version_is_counted() {
    // None is taken whole: each has at least three passages.
    let place = Place::with(Options { long_share: 0.0, ..Options::default() }, (0..20).map(generated)).await;
    let built = place.build().await.unwrap();
    let read: Vec<_> = built.manifest.documents.iter().map(|read| (read.document_id, read.revision)).collect();
    assert_eq!(read.len(), 20);
    place.corpus.mark_frozen(&read).await.unwrap();
    let state = place.corpus.author_state(&author()).await.unwrap();
    assert_eq!((state.documents, state.new_samples), (20, 0));
    assert!(state.samples >= 60);
    place.put(generated(99)).await;
    place.delete(generated(3).meta.document_id, 2).await;
    let state = place.corpus.author_state(&author()).await.unwrap();
    assert!((1..10).contains(&state.new_samples), "{state:?}");
    assert_eq!(state.documents, 20);
}
