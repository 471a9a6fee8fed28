//! What `VectorIndex` promises, over every implementation.

use chrono::DateTime;
use twin_schemas::{Category, ContentHash, Revision, SourceKind};
use twin_sqlite::{Database, SqliteVectors};
use twin_vectors::{Error, Filter, Point};

use crate::support::{at, author, document, found, model, point, request, sqlite};

#[tokio::test]
async fn meaning_and_words_both_find_and_only_the_authors_own() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    let points = vec![
        point("ada", 1, 1, 0, "rivers carve valleys", at(0.0)),
        point("ada", 2, 1, 0, "the zymurgy of beer", at(80.0)),
        point("ada", 3, 1, 0, "mountains rise", at(10.0)),
        point("grace", 4, 1, 0, "rivers and zymurgy", at(0.0)),
    ];
    index.upsert(points).await.unwrap();
    let hits = index.search(request(Filter::author(author("ada")), at(0.0), "What is zymurgy?")).await.unwrap();
    let order: Vec<u128> = hits.iter().map(|hit| hit.document_id.0.as_u128()).collect();
    assert_eq!(order.len(), 3, "every one of ada's and none of grace's");
    assert_eq!(order[0], 2, "third by meaning and first by words beats first by meaning alone");
    assert!((hits[0].similarity - 80_f32.to_radians().cos()).abs() < 1e-3);
    assert_eq!((hits[0].natural_key.as_str(), hits[0].heading_path.as_slice()), ("notes/2.md", &["Part".into()][..]));
    assert_eq!(found(&*index, request(Filter::author(author("grace")), at(90.0), "")).await, [(4, 1, 0)]);
    assert_eq!(index.info().await.unwrap().points, 4);
}

#[tokio::test]
async fn an_authors_few_chunks_are_found_by_words_that_are_frequent_among_others() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    let of_others = (0..4_100).map(|number| {
        let text = if number % 50 == 0 { "river delta" } else { "river" };
        point("grace", number, 1, 0, text, at(0.0))
    });
    index.upsert(of_others.collect()).await.unwrap();
    let mut of_ada: Vec<Point> =
        (0..12_u8).map(|number| point("ada", 5_000 + u128::from(number), 1, 0, "hills", at(number.into()))).collect();
    of_ada.push(point("ada", 5_100, 1, 0, "the river", at(90.0)));
    index.upsert(of_ada).await.unwrap();
    let found = found(&*index, request(Filter::author(author("ada")), at(0.0), "river delta")).await;
    assert!(found.contains(&(5_100, 1, 0)), "{found:?}");
}

#[tokio::test]
async fn filters_narrow_both_searches() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    let mut code = point("ada", 1, 1, 0, "fn river()", at(0.0));
    code.meta.category = Category::Code;
    code.meta.source_kind = SourceKind::new("git");
    let mut old = point("ada", 2, 1, 0, "river old", at(1.0));
    old.meta.published_at = DateTime::from_timestamp(1_000, 0);
    let mut new = point("ada", 3, 1, 0, "river new", at(2.0));
    new.meta.published_at = DateTime::from_timestamp(2_000, 0);
    index.upsert(vec![code, old, new]).await.unwrap();
    let with = |change: fn(&mut Filter)| {
        let mut filter = Filter::author(author("ada"));
        change(&mut filter);
        request(filter, at(0.0), "river")
    };
    assert_eq!(found(&*index, with(|f| f.category = Some(Category::Code))).await, [(1, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.source_kind = Some(SourceKind::new("git")))).await, [(1, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.published_after = DateTime::from_timestamp(2_000, 0))).await, [(3, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.published_before = DateTime::from_timestamp(2_000, 0))).await, [(2, 1, 0)]);
    assert_eq!(found(&*index, with(|_| {})).await.len(), 3);
}

#[tokio::test]
async fn a_newer_revision_replaces_what_is_below_it_and_a_repetition_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    let old: Vec<Point> =
        (0..10).map(|ordinal| point("ada", 1, 1, ordinal, &format!("old {ordinal}"), at(1.0))).collect();
    index.upsert(old.clone()).await.unwrap();
    index.upsert(old).await.unwrap();
    assert_eq!(index.info().await.unwrap().points, 10);
    let new: Vec<Point> =
        (0..3).map(|ordinal| point("ada", 1, 2, ordinal, &format!("new {ordinal}"), at(2.0))).collect();
    index.upsert(new).await.unwrap();
    assert_eq!(index.info().await.unwrap().points, 13);
    index.delete_below(&[(document(1), Revision(2))]).await.unwrap();
    let left = found(&*index, request(Filter::author(author("ada")), at(0.0), "old new")).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|(_, revision, _)| *revision == 2));
    index.delete_below(&[(document(1), Revision(3)), (document(9), Revision(1))]).await.unwrap();
    assert_eq!(index.info().await.unwrap().points, 0);
    assert_eq!(found(&*index, request(Filter::author(author("ada")), at(0.0), "new")).await, []);
}

#[tokio::test]
async fn held_vectors_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    index.upsert(vec![point("ada", 1, 1, 0, "text", at(33.0))]).await.unwrap();
    let held = index.vectors_of(&[document(1), document(2)]).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0].content_hash, &held[0].vector), (&ContentHash::sha256([&b"text"[..]]), &at(33.0)));
}

#[tokio::test]
async fn another_model_or_dimension_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = sqlite(&folder).await;
    let error = index.upsert(vec![point("ada", 1, 1, 0, "x", vec![1.0, 0.0])]).await.unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 2, wanted: 3 }), "{error}");
    drop(index);
    let open = |id: &'static str, dimension| {
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        async move { SqliteVectors::open(database, model(id, dimension)).await }
    };
    open("model@1", 3).await.unwrap();
    let error = open("model@2", 3).await.err().unwrap();
    assert!(error.to_string().contains("model@1") && error.to_string().contains("twin reindex"), "{error}");
    assert!(open("model@1", 4).await.is_err());
}
