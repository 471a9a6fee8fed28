//! Going over to another model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use twin_schemas::Revision;

use super::Place;
use super::fixtures::{ada, at, document, first_index, found, model, point, request};
use crate::{Coverage, Error, Generation, Phase, VectorIndex, VectorStore};

/// The second model's vector of a text: of another length, and elsewhere than the first one's.
fn second_vector(text: &str) -> Vec<f32> {
    if text.contains("zebra") { vec![1.0, 0.0] } else { vec![0.0, 1.0] }
}

async fn prepare(store: &dyn VectorStore, name: &str, dimension: usize) -> Generation {
    store.prepare(&model(name, dimension)).await.unwrap().unwrap()
}

/// Gives every chunk that is pending a vector; gives the texts.
async fn fill_all(store: &dyn VectorStore, building: &Generation, vector: fn(&str) -> Vec<f32>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut behind = None;
    loop {
        // Less than there are: the place behind the last one matters.
        let chunks = store.pending(building, behind, 2).await.unwrap();
        let Some(last) = chunks.last() else { return texts };
        behind = Some(last.key);
        texts.extend(chunks.iter().map(|chunk| chunk.text.clone()));
        let vectors = chunks.into_iter().map(|chunk| (chunk.clone(), vector(&chunk.text)));
        store.fill(building, vectors.collect()).await.unwrap();
    }
}

async fn go_over(store: &dyn VectorStore, name: &str, dimension: usize, vector: fn(&str) -> Vec<f32>) {
    let building = prepare(store, name, dimension).await;
    fill_all(store, &building, vector).await;
    assert!(store.switch(&building).await.unwrap());
    store.drain().await.unwrap();
}

async fn is_refused(index: &dyn VectorIndex) {
    let superseded = |error: Error| assert!(matches!(error, Error::Superseded { .. }), "{error}");
    superseded(index.search(request(ada(), at(0.0), "text")).await.unwrap_err());
    superseded(index.upsert(vec![point("ada", 2, 1, 0, "late", at(0.0))]).await.unwrap_err());
    superseded(index.delete_below(&[(document(1), Revision(9))]).await.unwrap_err());
    superseded(index.vectors_of(&[document(1)]).await.unwrap_err());
    superseded(index.info().await.unwrap_err());
}

/// What is written while the second generation is built is in both; the switch waits for its vectors.
pub async fn the_old_vectors_are_searched_until_every_chunk_has_a_new_one(place: &dyn Place) {
    let old = first_index(place).await;
    let points = (0..5).map(|ordinal| point("ada", 1, 1, ordinal, &format!("text {ordinal}"), at(10.0)));
    old.upsert(points.collect()).await.unwrap();
    let builder = place.process().await;
    let building = prepare(&*builder, "second", 2).await;
    let generations = builder.generations().await.unwrap().unwrap();
    assert_eq!((generations.active.number, generations.building()), (1, Some(&building)));
    assert!(!builder.switch(&building).await.unwrap(), "nothing has a vector yet");
    assert_eq!(fill_all(&*builder, &building, second_vector).await.len(), 5);

    // Written after the builder came by: one more, and one in the place of another.
    old.upsert(vec![point("ada", 2, 1, 0, "zebra", at(10.0))]).await.unwrap();
    old.upsert(vec![point("ada", 1, 1, 4, "text 4 zebra", at(10.0))]).await.unwrap();
    assert!(!builder.switch(&building).await.unwrap(), "two have none");
    assert_eq!(found(&*old, request(ada(), at(10.0), "")).await.len(), 6);
    let mut late = fill_all(&*builder, &building, second_vector).await;
    late.sort_unstable();
    assert_eq!(late, ["text 4 zebra", "zebra"], "the others keep theirs");
    let coverage = builder.coverage(&building).await.unwrap();
    assert_eq!((coverage, coverage.is_complete()), (Coverage { filled: 6, chunks: 6 }, true));
    assert!(builder.switch(&building).await.unwrap());
    assert!(builder.switch(&building).await.unwrap(), "a second time it is done already");

    let new = old.renewed().await.unwrap();
    assert_eq!(new.generation(), &building);
    let hits = new.search(request(ada(), vec![1.0, 0.0], "")).await.unwrap();
    assert_eq!(hits.len(), 6);
    for hit in hits {
        assert_eq!(hit.similarity > 0.99, hit.text.contains("zebra"), "{hit:?}");
    }
}

/// From the switch on, before and after the old vectors are deleted.
pub async fn after_the_switch_a_handle_on_the_old_generation_does_nothing(place: &dyn Place) {
    let old = first_index(place).await;
    old.upsert(vec![point("ada", 1, 1, 0, "text", at(0.0))]).await.unwrap();
    let builder = place.process().await;
    let building = prepare(&*builder, "second", 2).await;
    fill_all(&*builder, &building, second_vector).await;
    assert!(builder.switch(&building).await.unwrap());
    is_refused(&*old).await;
    builder.drain().await.unwrap();
    is_refused(&*old).await;

    let new = old.renewed().await.unwrap();
    assert_eq!(found(&*new, request(ada(), vec![0.0, 1.0], "text")).await, [(1, 1, 0)]);
    assert_eq!(new.vectors_of(&[document(1)]).await.unwrap()[0].vector, [0.0, 1.0]);
    new.upsert(vec![point("ada", 2, 1, 0, "zebra", vec![1.0, 0.0])]).await.unwrap();
    assert_eq!(found(&*new, request(ada(), vec![1.0, 0.0], "")).await[0], (2, 1, 0));
    let error = builder.open(&model("first", 3)).await.err().unwrap();
    assert!(matches!(error, Error::OtherModel { .. }), "{error}");
}

/// A generation is not its model: the index may have gone there and back.
pub async fn a_handle_on_an_old_generation_of_the_same_model_is_refused_too(place: &dyn Place) {
    let first = first_index(place).await;
    first.upsert(vec![point("ada", 1, 1, 0, "text", at(0.0))]).await.unwrap();
    let builder = place.process().await;
    go_over(&*builder, "second", 2, second_vector).await;
    go_over(&*builder, "first", 3, |_| at(5.0)).await;
    is_refused(&*first).await;
    let renewed = first.renewed().await.unwrap();
    assert_eq!((renewed.generation().number, &renewed.generation().model), (3, &model("first", 3)));
    assert_eq!(found(&*renewed, request(ada(), at(5.0), "")).await, [(1, 1, 0)]);
}

/// The next builder of the same model goes on; one of another model begins anew.
pub async fn what_a_killed_builder_has_done_is_kept_for_its_model_alone(place: &dyn Place) {
    let old = first_index(place).await;
    let points = (0..3).map(|ordinal| point("ada", 1, 1, ordinal, &format!("text {ordinal}"), at(10.0)));
    old.upsert(points.collect()).await.unwrap();
    let killed = place.process().await;
    let begun = prepare(&*killed, "second", 2).await;
    let chunk = killed.pending(&begun, None, 1).await.unwrap().remove(0);
    killed.fill(&begun, vec![(chunk, vec![0.0, 1.0])]).await.unwrap();
    drop(killed);

    let store = place.process().await;
    let going_on = prepare(&*store, "second", 2).await;
    assert_eq!(going_on, begun);
    assert_eq!(store.coverage(&going_on).await.unwrap(), Coverage { filled: 1, chunks: 3 });
    let third = prepare(&*store, "third", 4).await;
    assert_eq!(store.coverage(&third).await.unwrap(), Coverage { filled: 0, chunks: 3 });
    assert!(store.prepare(&model("first", 3)).await.unwrap().is_none(), "the index is of this one: nothing to do");
    let anew = prepare(&*store, "second", 2).await;
    assert_eq!(store.coverage(&anew).await.unwrap(), Coverage { filled: 0, chunks: 3 }, "it was given up above");
    assert!(anew.number > third.number && third.number > begun.number, "a number is given once");
}

/// Two builders are told apart by their generations, whatever was to keep the second one from beginning.
pub async fn a_builder_whose_place_was_taken_changes_nothing(place: &dyn Place) {
    let old = first_index(place).await;
    old.upsert(vec![point("ada", 1, 1, 0, "text", at(10.0))]).await.unwrap();
    let (late, other) = (place.process().await, place.process().await);
    let given_up = prepare(&*late, "second", 2).await;
    let chunk = late.pending(&given_up, None, 1).await.unwrap().remove(0);
    let building = prepare(&*other, "third", 2).await;

    let refused = |error: Error| assert!(matches!(error, Error::NotBuilding { .. }), "{error}");
    refused(late.fill(&given_up, vec![(chunk, vec![1.0, 0.0])]).await.unwrap_err());
    refused(late.pending(&given_up, None, 1).await.unwrap_err());
    refused(late.coverage(&given_up).await.unwrap_err());
    refused(late.switch(&given_up).await.unwrap_err());
    assert_eq!(other.coverage(&building).await.unwrap(), Coverage { filled: 0, chunks: 1 });
    assert_eq!(found(&*old, request(ada(), at(10.0), "")).await, [(1, 1, 0)]);
}

/// A builder embeds what it has read some time ago.
pub async fn a_vector_comes_too_late_for_a_chunk_that_is_gone_or_another_by_now(place: &dyn Place) {
    let old = first_index(place).await;
    old.upsert(vec![point("ada", 1, 1, 0, "gone", at(10.0)), point("ada", 2, 1, 0, "before", at(10.0))]).await.unwrap();
    let builder = place.process().await;
    let building = prepare(&*builder, "second", 2).await;
    let read = builder.pending(&building, None, 9).await.unwrap();
    old.delete_below(&[(document(1), Revision(2))]).await.unwrap();
    old.upsert(vec![point("ada", 2, 1, 0, "after", at(10.0)), point("ada", 3, 1, 0, "more", at(10.0))]).await.unwrap();
    builder.fill(&building, read.into_iter().map(|chunk| (chunk, vec![1.0, 0.0])).collect()).await.unwrap();
    assert_eq!(builder.coverage(&building).await.unwrap(), Coverage { filled: 0, chunks: 2 });
    let pending = builder.pending(&building, None, 9).await.unwrap();
    assert_eq!(pending.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["after", "more"]);
    let wrong = (pending[0].clone(), vec![1.0, 0.0, 0.0]);
    let error = builder.fill(&building, vec![wrong]).await.unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 3, wanted: 2 }), "{error}");
}

/// Neither a vector that was there nor one that comes late brings a deleted chunk back.
pub async fn a_deletion_during_the_build_stays_deleted(place: &dyn Place) {
    let old = first_index(place).await;
    for number in 1..=3 {
        old.upsert(vec![point("ada", number, 1, 0, &format!("river {number}"), at(10.0))]).await.unwrap();
    }
    let builder = place.process().await;
    let building = prepare(&*builder, "second", 2).await;
    let mut read = builder.pending(&building, None, 9).await.unwrap();
    let late = read.split_off(1);
    let filled = read.into_iter().map(|chunk| (chunk, vec![0.0, 1.0])).collect();
    builder.fill(&building, filled).await.unwrap();
    // One that has its new vector, and one whose new vector is on its way.
    old.delete_below(&[(document(1), Revision(2)), (document(2), Revision(2))]).await.unwrap();
    builder.fill(&building, late.into_iter().map(|chunk| (chunk, vec![0.0, 1.0])).collect()).await.unwrap();
    assert_eq!(builder.coverage(&building).await.unwrap(), Coverage { filled: 1, chunks: 1 });
    assert!(builder.switch(&building).await.unwrap());
    builder.drain().await.unwrap();
    let new = old.renewed().await.unwrap();
    assert_eq!(found(&*new, request(ada(), vec![0.0, 1.0], "river")).await, [(3, 1, 0)]);
    assert_eq!(new.vectors_of(&[document(1), document(2)]).await.unwrap(), []);
    assert_eq!(new.info().await.unwrap().points, 1);
}

/// A builder may be killed between the switch and the end of the deletion.
pub async fn what_a_killed_drain_has_left_is_deleted_by_the_next(place: &dyn Place) {
    let old = first_index(place).await;
    old.upsert(vec![point("ada", 1, 1, 0, "text", at(10.0))]).await.unwrap();
    let killed = place.process().await;
    let building = prepare(&*killed, "second", 2).await;
    fill_all(&*killed, &building, second_vector).await;
    assert!(killed.switch(&building).await.unwrap());
    drop(killed);

    let store = place.process().await;
    let new = store.open(&model("second", 2)).await.unwrap();
    assert_eq!(found(&*new, request(ada(), vec![0.0, 1.0], "")).await, [(1, 1, 0)]);
    let error = store.prepare(&model("third", 4)).await.unwrap_err();
    assert!(matches!(error, Error::Draining) && error.is_transient(), "{error}");
    store.drain().await.unwrap();
    store.drain().await.unwrap();
    assert_eq!(store.generations().await.unwrap().unwrap().phase, Phase::Serving);
    go_over(&*store, "third", 3, |_| at(20.0)).await;
}

/// `twin reindex` makes no index.
pub async fn there_is_nothing_to_build_where_there_is_no_index(place: &dyn Place) {
    let store = place.process().await;
    assert_eq!(store.generations().await.unwrap(), None);
    let error = store.prepare(&model("second", 2)).await.unwrap_err();
    assert!(matches!(error, Error::NoIndex), "{error}");
    store.drain().await.unwrap();
}

/// The vectors of both models have one length here, so that nothing but the generation keeps them apart.
fn of(model_name: &str) -> Vec<f32> {
    at(if model_name == "first" { 0.0 } else { 90.0 })
}

/// Asks until it is told that the index is of the second model, and a little longer. Every hit is as near as a vector of
/// the model that was asked with can be.
async fn ask(mut index: Arc<dyn VectorIndex>) -> (usize, usize) {
    let (mut before, mut after) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while after < 20 {
        assert!(Instant::now() < deadline, "the index does not go over");
        let name = index.generation().model.id.to_string();
        let is_first = name.starts_with("first");
        let vector = of(if is_first { "first" } else { "second" });
        match index.search(request(ada(), vector, "")).await {
            Ok(hits) => {
                assert_eq!(hits.len(), 10);
                assert!(hits.iter().all(|hit| hit.similarity > 0.99), "{name}: {hits:?}");
                *(if is_first { &mut before } else { &mut after }) += 1;
            }
            Err(Error::Superseded { .. }) => index = index.renewed().await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    (before, after)
}

/// Writes a document after the other, with vectors of the model that the index is of, until it has written some of the
/// second. What is refused is written again.
async fn write(mut index: Arc<dyn VectorIndex>) -> u128 {
    let mut number = 100;
    let mut of_the_second = 0;
    while of_the_second < 5 {
        let is_first = index.generation().model == model("first", 3);
        let vector = of(if is_first { "first" } else { "second" });
        match index.upsert(vec![point("ada", number, 1, 0, &format!("late {number}"), vector)]).await {
            Ok(()) => {
                number += 1;
                of_the_second += u32::from(!is_first);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(Error::Superseded { .. }) => index = index.renewed().await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    number - 100
}

async fn build(store: Arc<dyn VectorStore>) {
    let building = prepare(&*store, "second", 3).await;
    for round in 0.. {
        assert!(round < 1_000, "the builder does not come after the writer");
        fill_all(&*store, &building, |_| of("second")).await;
        if store.switch(&building).await.unwrap() {
            break;
        }
    }
    store.drain().await.unwrap();
}

/// Three processes: one that searches, one that writes, one that builds.
pub async fn searches_and_writes_go_on_while_the_index_goes_over_and_nothing_is_mixed_or_lost(place: &dyn Place) {
    let index = first_index(place).await;
    let points = (0..50).map(|ordinal| point("ada", 1, 1, ordinal, &format!("text {ordinal}"), of("first")));
    index.upsert(points.collect()).await.unwrap();
    let writing = place.process().await.open(&model("first", 3)).await.unwrap();
    let builder = place.process().await;
    let searches = tokio::spawn(ask(index.clone()));
    let writes = tokio::spawn(write(writing));
    let built = tokio::spawn(build(builder));
    let (searches, writes, built) = tokio::join!(searches, writes, built);
    built.unwrap();
    let ((before, after), written) = (searches.unwrap(), writes.unwrap());
    assert!(after >= 20 && written >= 5, "{before} searches before and {after} after, {written} writes");
    let renewed = index.renewed().await.unwrap();
    assert_eq!(u128::from(renewed.info().await.unwrap().points), 50 + written);
    let all = crate::SearchRequest { limit: 500, candidates: 500, ..request(ada(), of("second"), "") };
    let hits = renewed.search(all).await.unwrap();
    assert_eq!(hits.len() as u128, 50 + written, "one that was acknowledged is not found by its new vector");
    assert!(hits.iter().all(|hit| hit.similarity > 0.99));
}
