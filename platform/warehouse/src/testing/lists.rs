//! Lists, read in parts.

use std::collections::BTreeSet;

use chrono::Utc;
use twin_schemas::{AuthorId, DocumentId};

use super::{Store, ada, observation, of_author, source};
use crate::{DocumentFilter, DocumentPosition, DocumentRow, NewSource, Observation, Warehouse};

fn grace() -> AuthorId {
    "grace".parse().unwrap()
}

fn of_ada() -> DocumentFilter {
    DocumentFilter { author: Some(ada()), ..Default::default() }
}

fn keys(rows: &[DocumentRow]) -> Vec<&str> {
    rows.iter().map(|row| row.meta.natural_key.as_str()).collect()
}

/// The whole list, read in parts of `limit`.
async fn all(warehouse: &dyn Warehouse, filter: &DocumentFilter, limit: usize) -> Vec<DocumentRow> {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let page = warehouse.documents(filter, before.as_ref(), limit).await.unwrap();
        assert!(page.items.len() == limit || page.next.is_none(), "only the last part is shorter");
        rows.extend(page.items);
        before = page.next;
        if before.is_none() {
            return rows;
        }
    }
}

#[doc(hidden)]
pub async fn documents_are_found_by_author_and_url(store: &dyn Store) {
    let warehouse = store.process().await;
    warehouse.record(observation("a", "a")).await.unwrap();
    warehouse.record(observation("b", "b")).await.unwrap();
    warehouse.record(of_author(&grace(), "c")).await.unwrap();
    let rows = all(&*warehouse, &of_ada(), 9).await;
    assert_eq!(keys(&rows), ["b", "a"], "newest change first");
    assert!(rows.iter().all(|row| row.content.is_empty()), "without content");
    let by_url = DocumentFilter { url: Some("https://example.org/a".into()), ..Default::default() };
    assert_eq!(keys(&all(&*warehouse, &by_url, 9).await), ["a"]);
    let of_other = DocumentFilter { author: Some(grace()), ..by_url };
    assert_eq!(all(&*warehouse, &of_other, 9).await, []);
    assert_eq!(keys(&all(&*warehouse, &DocumentFilter::default(), 9).await), ["c", "b", "a"]);

    let deleted = observation("a", "a").key.id();
    warehouse.retract(deleted, Utc::now()).await.unwrap();
    assert_eq!(keys(&all(&*warehouse, &of_ada(), 9).await), ["b"]);
    assert_eq!(warehouse.live_count(&ada()).await.unwrap(), 1);
    let unknown = observation("unknown", "").key.id();
    let summaries = warehouse.summaries(&[deleted, unknown]).await.unwrap();
    assert!(summaries.len() == 1 && summaries[0].deleted && summaries[0].meta.document_id == deleted);
}

#[doc(hidden)]
pub async fn a_list_of_documents_goes_on_where_it_ended_whatever_changes_meanwhile(store: &dyn Store) {
    let warehouse = store.process().await;
    for number in 0..10 {
        warehouse.record(observation(&number.to_string(), "text")).await.unwrap();
    }
    assert_eq!(keys(&all(&*warehouse, &of_ada(), 3).await), ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
    let first = warehouse.documents(&of_ada(), None, 4).await.unwrap();
    assert_eq!(keys(&first.items), ["9", "8", "7", "6"]);
    // A new one, a change of one that was read, and a deletion of one to come.
    warehouse.record(observation("10", "text")).await.unwrap();
    warehouse.record(observation("8", "edited")).await.unwrap();
    warehouse.retract(observation("4", "").key.id(), Utc::now()).await.unwrap();
    let rest = warehouse.documents(&of_ada(), first.next.as_ref(), 100).await.unwrap();
    assert_eq!((keys(&rest.items), rest.next), (vec!["5", "3", "2", "1", "0"], None));
    assert_eq!(keys(&all(&*warehouse, &of_ada(), 2).await)[..2], ["8", "10"]);
}

#[doc(hidden)]
pub async fn a_position_is_read_as_it_was_written(store: &dyn Store) {
    let warehouse = store.process().await;
    for name in ["a", "b"] {
        warehouse.record(observation(name, "text")).await.unwrap();
    }
    let next = warehouse.documents(&of_ada(), None, 1).await.unwrap().next.unwrap();
    let text = serde_json::to_string(&next).unwrap();
    let read: DocumentPosition = serde_json::from_str(&text).unwrap();
    assert_eq!(read, next);
    assert_eq!(keys(&warehouse.documents(&of_ada(), Some(&read), 9).await.unwrap().items), ["a"]);
}

#[doc(hidden)]
pub async fn sources_are_listed_in_parts_by_author_and_location(store: &dyn Store) {
    let warehouse = store.process().await;
    for (author, location) in [("grace", "/b"), ("ada", "/c"), ("ada", "/a"), ("grace", "/a"), ("ada", "/b")] {
        let author = author.parse().unwrap();
        warehouse.put_source(NewSource { author, location: location.into(), ..source() }).await.unwrap();
    }
    let whole = warehouse.sources(None, None, 9).await.unwrap();
    let expected = [("ada", "/a"), ("ada", "/b"), ("ada", "/c"), ("grace", "/a"), ("grace", "/b")];
    let places = |row: &crate::SourceRow| (row.source.author.to_string(), row.source.location.clone());
    let listed: Vec<_> = whole.items.iter().map(places).collect();
    assert_eq!(listed, expected.map(|(author, location)| (author.to_owned(), location.to_owned())));
    assert_eq!(whole.next, None);
    let (mut parts, mut after) = (Vec::new(), None);
    loop {
        let page = warehouse.sources(None, after.as_ref(), 2).await.unwrap();
        parts.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(parts, whole.items);
    let of_ada = warehouse.sources(Some(&ada()), Some(&parts[0].position()), 1).await.unwrap();
    assert_eq!((of_ada.items.as_slice(), of_ada.next), (&parts[1..2], Some(parts[1].position())));
    assert_eq!(warehouse.sources(Some(&ada()), Some(&parts[2].position()), 1).await.unwrap().items, []);
}

#[doc(hidden)]
pub async fn what_a_source_has_given_is_listed_in_parts_without_what_was_deleted(store: &dyn Store) {
    let warehouse = store.process().await;
    let id = warehouse.put_source(source()).await.unwrap().id;
    let (claim, _) = warehouse.claim_source(id, 1, Utc::now()).await.unwrap().unwrap();
    let mut given = BTreeSet::new();
    for number in 0..7 {
        let seen = Observation { claim: Some(claim), ..observation(&number.to_string(), "text") };
        given.insert(seen.key.id());
        warehouse.record(seen).await.unwrap();
    }
    // Of no source.
    warehouse.record(observation("pushed", "text")).await.unwrap();
    let gone: DocumentId = *given.iter().nth(3).unwrap();
    warehouse.retract(gone, Utc::now()).await.unwrap();
    given.remove(&gone);
    let (mut known, mut after) = (Vec::new(), None);
    loop {
        let page = warehouse.known(id, after, 2).await.unwrap();
        known.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(known.iter().map(|known| known.document_id).collect::<Vec<_>>(), given.into_iter().collect::<Vec<_>>());
    let content_hash = observation("", "text").content_hash;
    assert!(known.iter().all(|known| known.natural_key == known.identity && known.content_hash == content_hash));
}

#[doc(hidden)]
pub async fn an_author_is_known_for_good_and_listed_while_there_is_something(store: &dyn Store) {
    let warehouse = store.process().await;
    let names = async |after: Option<&AuthorId>, limit| {
        let page = warehouse.authors(after, limit).await.unwrap();
        (page.items.into_iter().map(|row| row.author.to_string()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(warehouse.author(&ada()).await.unwrap(), None);
    let first = of_author(&ada(), "a");
    warehouse.record(first.clone()).await.unwrap();
    let row = warehouse.author(&ada()).await.unwrap().unwrap();
    assert!((row.first_seen_at - first.observed_at).num_milliseconds().abs() < 2);
    warehouse.put_source(NewSource { author: grace(), ..source() }).await.unwrap();
    warehouse.record(of_author(&"bob".parse().unwrap(), "b")).await.unwrap();
    assert_eq!(names(None, 9).await, (vec!["ada".to_owned(), "bob".to_owned(), "grace".to_owned()], None));
    assert_eq!(names(None, 1).await, (vec!["ada".to_owned()], Some(ada())));
    assert_eq!(names(Some(&ada()), 1).await.0, ["bob"]);

    warehouse.retract(first.key.id(), Utc::now()).await.unwrap();
    assert_eq!(names(None, 2).await.0, ["bob", "grace"]);
    assert_eq!(warehouse.author(&ada()).await.unwrap(), Some(row), "what was asked of ada before is still about ada");
}
