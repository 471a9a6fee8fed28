//! Points: written, searched, deleted.

use chrono::DateTime;
use twin_schemas::{Category, ContentHash, Revision, SourceKind};

use super::Place;
use super::fixtures::{ada, at, author, document, first_index, found, model, point, request};
use crate::{Error, FREQUENT, Filter, Frequencies, Point};

/// A hit may come from either search, and none is of another author.
pub async fn meaning_and_words_both_find_and_only_the_authors_own(place: &dyn Place) {
    let index = first_index(place).await;
    let points = vec![
        point("ada", 1, 1, 0, "rivers carve valleys", at(0.0)),
        point("ada", 2, 1, 0, "the zymurgy of beer", at(80.0)),
        point("ada", 3, 1, 0, "mountains rise", at(10.0)),
        point("grace", 4, 1, 0, "rivers and zymurgy", at(0.0)),
    ];
    index.upsert(points).await.unwrap();
    let hits = index.search(request(ada(), at(0.0), "What is zymurgy?")).await.unwrap();
    let order: Vec<u128> = hits.iter().map(|hit| hit.document_id.0.as_u128()).collect();
    assert_eq!(order.len(), 3, "every one of ada's and none of grace's");
    assert_eq!(order[0], 2, "third by meaning and first by words beats first by meaning alone");
    assert!((hits[0].similarity - 80_f32.to_radians().cos()).abs() < 1e-3);
    assert_eq!((hits[0].natural_key.as_str(), hits[0].heading_path.as_slice()), ("notes/2.md", &["Part".into()][..]));
    assert_eq!(found(&*index, request(Filter::author(author("grace")), at(90.0), "")).await, [(4, 1, 0)]);
    assert_eq!(index.info().await.unwrap().points, 4);
}

/// What is rare for an author may be frequent for all.
pub async fn an_authors_few_chunks_are_found_by_words_that_are_frequent_among_others(place: &dyn Place) {
    let index = first_index(place).await;
    let of_others = (0..4_100).map(|number| {
        let text = if number % 50 == 0 { "river delta" } else { "river" };
        point("grace", number, 1, 0, text, at(0.0))
    });
    index.upsert(of_others.collect()).await.unwrap();
    let mut of_ada: Vec<Point> =
        (0..12_u8).map(|number| point("ada", 5_000 + u128::from(number), 1, 0, "hills", at(number.into()))).collect();
    of_ada.push(point("ada", 5_100, 1, 0, "the river", at(90.0)));
    index.upsert(of_ada).await.unwrap();
    let found = found(&*index, request(ada(), at(0.0), "river delta")).await;
    assert!(found.contains(&(5_100, 1, 0)), "{found:?}");
}

/// Category, kind of source and time apply to meaning and words.
pub async fn filters_narrow_both_searches(place: &dyn Place) {
    let index = first_index(place).await;
    let mut code = point("ada", 1, 1, 0, "fn river()", at(0.0));
    code.meta.category = Category::Code;
    code.meta.source_kind = SourceKind::new("git");
    let mut old = point("ada", 2, 1, 0, "river old", at(1.0));
    old.meta.published_at = DateTime::from_timestamp(1_000, 0);
    let mut new = point("ada", 3, 1, 0, "river new", at(2.0));
    new.meta.published_at = DateTime::from_timestamp(2_000, 0);
    index.upsert(vec![code, old, new]).await.unwrap();
    let with = |change: fn(&mut Filter)| {
        let mut filter = ada();
        change(&mut filter);
        request(filter, at(0.0), "river")
    };
    assert_eq!(found(&*index, with(|f| f.category = Some(Category::Code))).await, [(1, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.source_kind = Some(SourceKind::new("git")))).await, [(1, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.published_after = DateTime::from_timestamp(2_000, 0))).await, [(3, 1, 0)]);
    assert_eq!(found(&*index, with(|f| f.published_before = DateTime::from_timestamp(2_000, 0))).await, [(2, 1, 0)]);
    assert_eq!(found(&*index, with(|_| {})).await.len(), 3);
}

/// Points of a lower revision go, and writing twice is as writing once.
pub async fn a_newer_revision_replaces_what_is_below_it_and_a_repetition_changes_nothing(place: &dyn Place) {
    let index = first_index(place).await;
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
    let left = found(&*index, request(ada(), at(0.0), "old new")).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|(_, revision, _)| *revision == 2));
    index.delete_below(&[(document(1), Revision(3)), (document(9), Revision(1))]).await.unwrap();
    assert_eq!(index.info().await.unwrap().points, 0);
    assert_eq!(found(&*index, request(ada(), at(0.0), "new")).await, []);
}

/// Whoever looks for what was left of outdated revisions finds each document once, part by part.
pub async fn documents_are_listed_with_the_lowest_revision_of_their_points(place: &dyn Place) {
    let index = first_index(place).await;
    assert_eq!(index.lowest_revisions(None, 9).await.unwrap(), []);
    for (number, revision) in [(2, 5), (1, 7), (3, 1), (1, 4), (1, 9)] {
        let points = (0..2).map(|ordinal| point("ada", number, revision, ordinal, "text", at(1.0)));
        index.upsert(points.collect()).await.unwrap();
    }
    let all = [(document(1), Revision(4)), (document(2), Revision(5)), (document(3), Revision(1))];
    assert_eq!(index.lowest_revisions(None, 9).await.unwrap(), all);
    assert_eq!(index.lowest_revisions(None, 2).await.unwrap(), all[..2]);
    assert_eq!(index.lowest_revisions(Some(document(2)), 2).await.unwrap(), all[2..]);
    index.delete_below(&[(document(1), Revision(9)), (document(3), Revision(2))]).await.unwrap();
    let left = [(document(1), Revision(9)), (document(2), Revision(5))];
    assert_eq!(index.lowest_revisions(None, 9).await.unwrap(), left);
}

/// An unchanged chunk keeps its vector.
pub async fn held_vectors_come_back_as_they_were_written(place: &dyn Place) {
    let index = first_index(place).await;
    index.upsert(vec![point("ada", 1, 1, 0, "text", at(33.0))]).await.unwrap();
    let held = index.vectors_of(&[document(1), document(2)]).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0].content_hash, &held[0].vector), (&ContentHash::sha256([&b"text"[..]]), &at(33.0)));
}

/// What is frequent for others tells nothing of an author, and nothing in a word is an operator.
pub async fn words_are_counted_in_the_authors_own_chunks_in_any_of_their_forms(place: &dyn Place) {
    let index = first_index(place).await;
    let many = FREQUENT + 3;
    let of_others = (0..many).map(|number| point("grace", number.into(), 1, 0, "river", at(0.0)));
    index.upsert(of_others.collect()).await.unwrap();
    let mut titled = point("ada", 9_001, 1, 0, "text", at(1.0));
    titled.meta.title = Some("On rivers".into());
    let mut headed = point("ada", 9_002, 1, 0, "text", at(2.0));
    headed.chunk.heading_path = vec!["The River".into()];
    let worded = point("ada", 9_003, 1, 0, "a hill, don't climb", at(3.0));
    index.upsert(vec![titled, headed, worded]).await.unwrap();
    let frequencies = async |name: &str, words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        index.frequencies(&author(name), &words).await.unwrap()
    };
    let words = ["river", "hills", "valley", "don't", "a\" OR \"river"];
    assert_eq!(frequencies("ada", &words).await, Frequencies { chunks: 3, having: vec![2, 1, 0, 1, 0] });
    assert_eq!(frequencies("grace", &["river"]).await, Frequencies { chunks: many, having: vec![FREQUENT] });
    assert_eq!(frequencies("nobody", &["river"]).await, Frequencies { chunks: 0, having: vec![0] });
    assert_eq!(frequencies("ada", &[]).await, Frequencies { chunks: 3, having: Vec::new() });
}

/// Two samples of one index are the same.
pub async fn a_sample_is_spread_over_the_authors_chunks_of_the_wanted_categories(place: &dyn Place) {
    let index = first_index(place).await;
    let mut points: Vec<Point> =
        (0..100).map(|number| point("ada", number, 1, 0, &format!("text {number}"), at(0.0))).collect();
    for code in points.iter_mut().skip(1).step_by(2) {
        code.meta.category = Category::Code;
    }
    points.push(point("grace", 200, 1, 0, "hers", at(0.0)));
    index.upsert(points.clone()).await.unwrap();
    let prose = [Category::Article, Category::Post];
    let sample = index.sample(&author("ada"), &prose, 5).await.unwrap();
    let numbers: Vec<u128> = sample.iter().map(|chunk| chunk.document_id.0.as_u128()).collect();
    assert_eq!(numbers, [0, 20, 40, 60, 80]);
    assert_eq!((sample[1].title.as_deref(), sample[1].text.as_str()), (Some("Note 20"), "text 20"));
    assert_eq!((sample[1].heading_path.as_slice(), sample[1].revision), (&["Part".to_owned()][..], Revision(1)));
    assert_eq!(
        (sample[1].natural_key.as_str(), sample[1].category),
        (points[20].meta.natural_key.as_str(), Category::Article)
    );
    assert_eq!(index.sample(&author("ada"), &prose, 5).await.unwrap(), sample);
    assert_eq!(index.sample(&author("ada"), &prose, 1_000).await.unwrap().len(), 50);
    assert_eq!(index.sample(&author("ada"), &[Category::Post], 5).await.unwrap(), []);
    assert_eq!(index.sample(&author("nobody"), &prose, 5).await.unwrap(), []);
}

/// Vectors of another model or another length do not come in.
pub async fn another_model_or_dimension_is_refused(place: &dyn Place) {
    let index = first_index(place).await;
    let error = index.upsert(vec![point("ada", 1, 1, 0, "x", vec![1.0, 0.0])]).await.unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 2, wanted: 3 }), "{error}");
    let error = index.search(request(ada(), vec![1.0, 0.0], "x")).await.unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 2, wanted: 3 }), "{error}");
    let another = place.process().await;
    let reopened = another.open(&model("first", 3)).await.unwrap();
    assert_eq!(reopened.generation(), index.generation());
    let error = another.open(&model("second", 3)).await.err().unwrap();
    assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("first@first") && told.contains("twin reindex"), "{told}");
    assert!(matches!(another.open(&model("first", 4)).await.err().unwrap(), Error::OtherModel { .. }));
}

/// A model is its content. Its name and its folder are kept as they were last seen.
pub async fn a_model_that_has_moved_is_the_same_model(place: &dyn Place) {
    let index = first_index(place).await;
    index.upsert(vec![point("ada", 1, 1, 0, "text", at(0.0))]).await.unwrap();
    let mut moved = model("first", 3);
    moved.id = "renamed@first".parse().unwrap();
    moved.settings = "another folder".to_owned();
    let reopened = place.process().await.open(&moved).await.unwrap();
    assert_eq!(found(&*reopened, request(ada(), at(0.0), "text")).await, [(1, 1, 0)]);
    assert_eq!(found(&*index, request(ada(), at(0.0), "text")).await, [(1, 1, 0)], "the handle of before goes on");
    let active = place.process().await.generations().await.unwrap().unwrap().active;
    assert_eq!((active.model.id.to_string(), active.model.settings), ("renamed@first".to_owned(), moved.settings));
    assert_eq!(index.renewed().await.unwrap().generation().model.settings, "another folder");
}
