//! What [`Store`] promises, for every implementation: [`store_contract`](crate::store_contract) makes the tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use twin_schemas::{AuthorId, DatasetId, DocumentId, DocumentKey, JobId, Revision, SourceKind, Split};

use crate::rules::{Event, Step};
use crate::{
    JobProgress, Kind, Member, Metric, MetricPosition, NewStep, NotedProgress, Placement, Row, RowPosition, RowQuery,
    SortOrder, SplitRule, Store,
};

/// The tests of a backend. `$open` is an async function that makes an empty store; what it returns lives as long as the
/// store and has it as `store()`.
#[macro_export]
macro_rules! store_contract {
    ($open:path) => {
        $crate::store_contract!(@ $open:
            an_authors_steps_come_in_their_order_from_any_of_them_on,
            a_number_that_is_taken_is_refused_and_nothing_is_written,
            of_many_that_append_one_number_at_once_one_does,
            a_row_is_never_replaced_by_one_of_a_lower_step,
            rows_are_found_by_kind_author_and_state_in_either_order_and_in_parts,
            at_most_two_rows_whose_ids_begin_so_are_found,
            what_is_unsettled_is_told_in_order_until_it_is_settled,
            members_are_noted_once_and_a_deletion_marks_every_version,
            members_come_by_id_in_parts,
            a_member_says_where_it_is_or_is_completed_later,
            progress_is_replaced_and_values_are_by_name_and_step,
            progress_of_a_lower_attempt_or_step_replaces_none
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = $open().await;
                $crate::testing::$name(place.store()).await;
            }
        )+
    };
}

fn author(name: &str) -> AuthorId {
    name.parse().expect("a name")
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + second)
}

fn document(name: &str) -> DocumentId {
    let (source_kind, scope, identity) = (SourceKind::push(), String::new(), name.to_owned());
    DocumentKey { source_kind, author: author("ada"), scope, identity }.id()
}

fn step(by: &str) -> Step {
    Step::FreezeRequested { by: by.to_owned(), retrain: false, at: at(0) }
}

fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        stage: "datasets".to_owned(),
        topic: "twin.datasets.v1".to_owned(),
        subject: "subject".to_owned(),
        payload: serde_json::json!({ "id": id }),
    }
}

fn new(of: &str, number: u64, by: &str, told: Option<&str>) -> NewStep {
    NewStep { author: author(of), number, step: step(by), event: told.map(event) }
}

fn row(id: &str, of: &str, state: &str, second: i64, step: u64) -> Row {
    let body = serde_json::json!({ "id": id, "step": step });
    Row { kind: Kind::Job, id: id.to_owned(), author: author(of), state: state.to_owned(), at: at(second), step, body }
}

fn jobs(limit: usize) -> RowQuery {
    RowQuery { kind: Kind::Job, author: None, states: Vec::new(), order: SortOrder::OldestFirst, after: None, limit }
}

async fn ids(store: &dyn Store, query: RowQuery) -> Vec<String> {
    store.rows(query).await.unwrap().into_iter().map(|row| row.id).collect()
}

#[doc(hidden)]
pub async fn an_authors_steps_come_in_their_order_from_any_of_them_on(store: Arc<dyn Store>) {
    for number in 1..=12 {
        assert!(store.append(new("ada", number, &number.to_string(), None), Vec::new()).await.unwrap());
        assert!(store.append(new("grace", number, "hers", None), Vec::new()).await.unwrap());
    }
    for after in [0, 1, 9, 11, 12, 99] {
        let wanted: Vec<Step> = (after + 1..=12).map(|number| step(&number.to_string())).collect();
        for limit in [1, 5, 99] {
            let some = &wanted[..wanted.len().min(limit)];
            assert_eq!(store.steps(&author("ada"), after, limit).await.unwrap(), some, "{limit} after {after}");
        }
    }
    assert_eq!(store.steps(&author("nobody"), 0, 99).await.unwrap(), []);
}

#[doc(hidden)]
pub async fn a_number_that_is_taken_is_refused_and_nothing_is_written(store: Arc<dyn Store>) {
    let first = vec![row("a", "ada", "queued", 0, 1)];
    assert!(store.append(new("ada", 1, "first", Some("one")), first.clone()).await.unwrap());
    let other = vec![row("a", "ada", "running", 0, 1), row("b", "ada", "queued", 0, 1)];
    assert!(!store.append(new("ada", 1, "second", Some("two")), other).await.unwrap());
    assert_eq!(store.steps(&author("ada"), 0, 99).await.unwrap(), [step("first")]);
    assert_eq!(store.rows(jobs(9)).await.unwrap(), first);
    let unsettled = store.unsettled(9).await.unwrap();
    assert_eq!(unsettled.into_iter().map(|left| left.event).collect::<Vec<_>>(), [Some(event("one"))]);
}

#[doc(hidden)]
pub async fn of_many_that_append_one_number_at_once_one_does(store: Arc<dyn Store>) {
    for number in 1..=5 {
        let mut under_way = Vec::new();
        for writer in 0..16 {
            let (store, by) = (store.clone(), format!("writer {writer}"));
            under_way.push(tokio::spawn(async move {
                store.append(new("ada", number, &by, None), Vec::new()).await.unwrap().then_some(by)
            }));
        }
        let mut appended = Vec::new();
        for writer in under_way {
            appended.extend(writer.await.unwrap());
        }
        assert_eq!(appended.len(), 1, "{appended:?}");
        assert_eq!(store.steps(&author("ada"), number - 1, 99).await.unwrap(), [step(&appended[0])]);
    }
}

#[doc(hidden)]
pub async fn a_row_is_never_replaced_by_one_of_a_lower_step(store: Arc<dyn Store>) {
    store.put_rows(vec![row("a", "ada", "running", 0, 7)]).await.unwrap();
    store.put_rows(vec![row("a", "ada", "queued", 0, 3), row("b", "ada", "queued", 1, 3)]).await.unwrap();
    let wanted = [row("a", "ada", "running", 0, 7), row("b", "ada", "queued", 1, 3)];
    assert_eq!(store.rows(jobs(9)).await.unwrap(), wanted);
    let failed = row("a", "ada", "failed", 0, 8);
    store.put_rows(vec![failed.clone()]).await.unwrap();
    store.put_rows(vec![failed.clone()]).await.unwrap();
    assert_eq!(store.rows(jobs(9)).await.unwrap()[0], failed);
}

#[doc(hidden)]
pub async fn rows_are_found_by_kind_author_and_state_in_either_order_and_in_parts(store: Arc<dyn Store>) {
    // Two of one moment: their order is by id.
    let mut rows =
        vec![row("b", "ada", "queued", 1, 1), row("a", "ada", "running", 1, 1), row("c", "ada", "failed", 3, 1)];
    rows.push(row("d", "grace", "queued", 2, 1));
    rows.push(Row { kind: Kind::Model, ..row("m", "ada", "queued", 0, 1) });
    store.put_rows(rows).await.unwrap();
    assert_eq!(ids(&*store, jobs(9)).await, ["a", "b", "d", "c"]);
    let newest = RowQuery { order: SortOrder::NewestFirst, ..jobs(9) };
    assert_eq!(ids(&*store, newest.clone()).await, ["c", "d", "b", "a"]);
    let of_ada = RowQuery { author: Some(author("ada")), ..jobs(9) };
    assert_eq!(ids(&*store, of_ada.clone()).await, ["a", "b", "c"]);
    let states = ["queued", "failed"].map(str::to_owned).to_vec();
    assert_eq!(ids(&*store, RowQuery { states: states.clone(), ..jobs(9) }).await, ["b", "d", "c"]);
    assert_eq!(ids(&*store, RowQuery { states, ..of_ada }).await, ["b", "c"]);
    for order in [SortOrder::OldestFirst, SortOrder::NewestFirst] {
        let (mut found, mut after): (Vec<String>, Option<RowPosition>) = (Vec::new(), None);
        while let Some(row) = store.rows(RowQuery { order, after: after.take(), ..jobs(1) }).await.unwrap().pop() {
            after = Some(row.position());
            found.push(row.id);
        }
        assert_eq!(found, ids(&*store, RowQuery { order, ..jobs(9) }).await, "{order:?}");
    }
}

#[doc(hidden)]
pub async fn at_most_two_rows_whose_ids_begin_so_are_found(store: Arc<dyn Store>) {
    let rows = ["ab1", "ab2", "ab3", "b_1", "bx1", "b%1"].map(|id| row(id, "ada", "queued", 0, 1));
    store.put_rows(rows.to_vec()).await.unwrap();
    let found = async |prefix: &str| -> Vec<String> {
        store.rows_like(Kind::Job, prefix).await.unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!(found("ab").await, ["ab1", "ab2"]);
    assert_eq!(found("ab3").await, ["ab3"]);
    assert_eq!(found("b_").await, ["b_1"], "no pattern");
    assert_eq!(found("b%").await, ["b%1"], "no pattern");
    assert_eq!(found("AB").await, [""; 0]);
    assert_eq!(store.rows_like(Kind::Model, "ab").await.unwrap(), []);
}

#[doc(hidden)]
pub async fn what_is_unsettled_is_told_in_order_until_it_is_settled(store: Arc<dyn Store>) {
    for number in 1..=4 {
        let told = (number != 2).then(|| format!("ada {number}"));
        store.append(new("ada", number, "", told.as_deref()), Vec::new()).await.unwrap();
        store.append(new("grace", number, "", Some(&format!("grace {number}"))), Vec::new()).await.unwrap();
    }
    let of = async |name: &str, limit| -> Vec<String> {
        let unsettled = store.unsettled(limit).await.unwrap();
        let own = unsettled.into_iter().filter(|left| left.author == author(name));
        own.filter_map(|left| Some(left.event?.id)).collect()
    };
    assert_eq!(of("ada", 99).await, ["ada 1", "ada 3", "ada 4"]);
    assert_eq!(of("grace", 99).await, ["grace 1", "grace 2", "grace 3", "grace 4"]);
    let oldest = store.unsettled(1).await.unwrap();
    assert_eq!(oldest.len(), 1);
    assert_eq!(oldest[0].number, 1);
    let settled: Vec<(AuthorId, u64)> = [1, 2, 3].map(|number| (author("ada"), number)).to_vec();
    store.settle(&settled).await.unwrap();
    store.settle(&settled).await.unwrap();
    assert_eq!(of("ada", 99).await, ["ada 4"]);
    assert_eq!(of("grace", 99).await.len(), 4);
}

/// A document of a version: with so many passages in it, in that split.
fn member(name: &str, revision: u64, passages: u64, split: Option<Split>) -> Member {
    let rule = SplitRule { seed: 7, train_share: 0.8, validation_share: 0.1 };
    let placement = split.map(|split| Placement { split, rule });
    Member { document_id: document(name), revision: Revision(revision), passages, placement }
}

#[doc(hidden)]
pub async fn members_are_noted_once_and_a_deletion_marks_every_version(store: Arc<dyn Store>) {
    let (first, second) = (DatasetId("first".to_owned()), DatasetId("second".to_owned()));
    let (rivers, lakes) = (member("rivers", 1, 3, Some(Split::Test)), member("lakes", 4, 1, Some(Split::Train)));
    // In the split, and no word of it in the version.
    let seas = member("seas", 2, 0, Some(Split::Train));
    for _ in 0..2 {
        store.put_members(&first, &[rivers.clone(), lakes.clone(), seas.clone()]).await.unwrap();
        store.put_members(&second, std::slice::from_ref(&rivers)).await.unwrap();
    }
    assert_eq!(store.members(&first, None, 9).await.unwrap().len(), 3);
    store.mark_deleted(rivers.document_id, at(5)).await.unwrap();
    store.mark_deleted(rivers.document_id, at(9)).await.unwrap();
    store.mark_deleted(seas.document_id, at(9)).await.unwrap();
    store.put_members(&first, &[rivers.clone(), lakes.clone(), seas.clone()]).await.unwrap();
    let counted = store.deleted_members(&[first.clone(), second.clone()]).await.unwrap();
    assert_eq!(counted, BTreeMap::from([(first.clone(), 1), (second.clone(), 1)]));
    let members = store.members(&first, None, 9).await.unwrap();
    let of = |wanted: &Member| members.iter().find(|kept| kept.member == *wanted).unwrap().deleted_at;
    assert_eq!((of(&rivers), of(&lakes), of(&seas)), (Some(at(5)), None, Some(at(9))));
    let mut holding = store.datasets_with(rivers.document_id).await.unwrap();
    holding.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(holding, [(first.clone(), Some(Split::Test)), (second, Some(Split::Test))]);
    assert_eq!(store.datasets_with(lakes.document_id).await.unwrap(), [(first, Some(Split::Train))]);
    assert_eq!(store.datasets_with(seas.document_id).await.unwrap(), []);
    assert_eq!(store.datasets_with(document("ponds")).await.unwrap(), []);
}

#[doc(hidden)]
pub async fn a_member_says_where_it_is_or_is_completed_later(store: Arc<dyn Store>) {
    let dataset = DatasetId("first".to_owned());
    let unplaced = member("rivers", 1, 1, None);
    store.put_members(&dataset, std::slice::from_ref(&unplaced)).await.unwrap();
    store.mark_deleted(unplaced.document_id, at(5)).await.unwrap();
    assert_eq!(store.datasets_with(unplaced.document_id).await.unwrap(), [(dataset.clone(), None)]);
    let placed = member("rivers", 1, 3, Some(Split::Validation));
    for later in [&placed, &unplaced, &member("rivers", 1, 2, Some(Split::Train))] {
        store.put_members(&dataset, std::slice::from_ref(later)).await.unwrap();
        let kept = store.members(&dataset, None, 9).await.unwrap().remove(0);
        assert_eq!((&kept.member, kept.deleted_at), (&placed, Some(at(5))), "after {later:?}");
    }
}

#[doc(hidden)]
pub async fn members_come_by_id_in_parts(store: Arc<dyn Store>) {
    let (dataset, other) = (DatasetId("first".to_owned()), DatasetId("second".to_owned()));
    let names = ["rivers", "lakes", "seas", "ponds", "wells"];
    store.put_members(&dataset, &names.map(|name| member(name, 1, 1, Some(Split::Train)))).await.unwrap();
    store.put_members(&other, &[member("moors", 1, 1, Some(Split::Train))]).await.unwrap();
    let mut wanted = names.map(document);
    wanted.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = store.members(&dataset, after, 2).await.unwrap();
        let Some(last) = part.last() else { break };
        after = Some(last.member.document_id);
        assert!(part.len() <= 2, "{part:?}");
        found.extend(part.into_iter().map(|kept| kept.member.document_id));
    }
    assert_eq!(found, wanted);
}

#[doc(hidden)]
pub async fn progress_is_replaced_and_values_are_by_name_and_step(store: Arc<dyn Store>) {
    let (job, other) = (JobId("a".to_owned()), JobId("b".to_owned()));
    for step in [3, 7] {
        let progress = JobProgress { step, steps: 9, ..JobProgress::default() };
        assert!(store.put_progress(&job, 1, &progress).await.unwrap());
    }
    let progress = store.progress(&[job.clone(), other.clone()]).await.unwrap();
    assert_eq!(progress.into_iter().map(|(job, now)| (job, now.progress.step)).collect::<Vec<_>>(), [(job.clone(), 7)]);

    let metric = |name: &str, step, value| Metric { name: name.to_owned(), step, value };
    let values =
        [metric("loss", 2, 2.0), metric("loss", 10, 1.0), metric("evaluation_loss", 2, 3.0), metric("loss", 1, 9.0)];
    store.put_metrics(&job, &values).await.unwrap();
    store.put_metrics(&job, &[metric("loss", 1, 4.0)]).await.unwrap();
    store.put_metrics(&other, &[metric("loss", 1, 7.0)]).await.unwrap();
    let wanted =
        [metric("evaluation_loss", 2, 3.0), metric("loss", 1, 4.0), metric("loss", 2, 2.0), metric("loss", 10, 1.0)];
    assert_eq!(store.metrics(&job, None, 99).await.unwrap(), wanted);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = store.metrics(&job, after.as_ref(), 3).await.unwrap();
        let Some(last) = part.last() else { break };
        after = Some(MetricPosition { name: last.name.clone(), step: last.step });
        found.extend(part);
    }
    assert_eq!(found, wanted);
}

#[doc(hidden)]
pub async fn progress_of_a_lower_attempt_or_step_replaces_none(store: Arc<dyn Store>) {
    let (job, other) = (JobId("a".to_owned()), JobId("b".to_owned()));
    let at = |step, loss| JobProgress { step, steps: 9, loss: Some(loss), ..JobProgress::default() };
    let noted = [
        (1, at(5, 1.0), true),
        (1, at(4, 2.0), false),
        (1, at(5, 3.0), true),
        (2, at(3, 4.0), true),
        (1, at(9, 5.0), false),
        (2, at(2, 6.0), false),
        (10, at(0, 7.0), true),
        (9, at(9, 8.0), false),
    ];
    let mut kept = None;
    for (attempt, progress, is_newer) in noted {
        assert_eq!(store.put_progress(&job, attempt, &progress).await.unwrap(), is_newer, "{attempt}: {progress:?}");
        kept = if is_newer { Some(NotedProgress { attempt, progress }) } else { kept };
        assert_eq!(store.progress(std::slice::from_ref(&job)).await.unwrap().get(&job), kept.as_ref());
    }
    assert!(store.put_progress(&other, 1, &at(0, 1.0)).await.unwrap(), "each job has its own");
}
