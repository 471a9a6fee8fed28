//! Dead letters are read in parts, from the newest to the oldest.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use twin_artifacts::Artifacts;
use twin_schemas::{CleanedDocument, Revision, attribute};
use twin_stream::testing::{Watch, Watched};
use twin_stream::{ClaimCheck, DeadLetters, EventLog, NewEvent, Outcome, TopicSpec};

use crate::support::{Log, Recorder, cleaned, document, eventually, raw, raw_of, run_stage, stage_named};

const RAW: &str = "twin.documents.raw.v1";

over_both_logs!(a_list_over_all_topics_goes_on_where_it_ended, a_list_fetches_no_values_and_needs_no_artifact_store,);

/// Counts the records that are read without a group.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    /// How many since this was asked last.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Watch for Count {
    fn read(&self, records: usize) {
        self.0.fetch_add(records, Ordering::SeqCst);
    }
}

/// Refuses so many raw documents.
async fn refuse(log: &Log, count: u128) {
    let recorder = Recorder::answering(|_| Outcome::dead("test", "refused"));
    log.append((0..count).map(|n| raw(document(n), 1).into_record()).collect()).await.unwrap();
    let stage = run_stage(log.shared(), &recorder, |_| {}).await;
    eventually("all are refused", || recorder.finished() == count as usize).await;
    stage.stop().await;
}

/// Every id, newest first, read in parts of `limit`, and the ids of those that were replayed.
async fn all(letters: &DeadLetters, topic: Option<&str>, limit: usize) -> (Vec<String>, Vec<String>) {
    let (mut ids, mut replayed, mut before) = (Vec::new(), Vec::new(), None);
    loop {
        let page = letters.list(topic, before.as_ref(), limit).await.unwrap();
        assert!(page.letters.len() == limit || page.next.is_none());
        for letter in page.letters {
            assert_eq!(letter.value, None);
            if letter.replayed {
                replayed.push(letter.id.clone());
            }
            ids.push(letter.id);
        }
        match page.next {
            Some(next) => before = Some(next.to_string().parse().unwrap()),
            None => return (ids, replayed),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_thousand_letters_only_what_is_asked_for_is_read() {
    let log = Log::sqlite().await;
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    refuse(&log, 2_000).await;
    let read = Arc::new(Count::default());
    let letters = DeadLetters::new(Arc::new(Watched::new(log.shared(), read.clone())));
    let (newest, oldest) = (format!("{RAW}:1999"), format!("{RAW}:0"));

    assert_eq!(letters.list(Some(RAW), None, 50).await.unwrap().letters[0].id, newest);
    assert!(read.take() <= 200);
    assert!(letters.get(&newest).await.unwrap().unwrap().value.is_some());
    assert_eq!(read.take(), 1, "its notes are known");

    // The oldest was replayed: the note of it stands at the other end.
    letters.replay(&oldest).await.unwrap().unwrap();
    read.take();
    assert!(letters.get(&oldest).await.unwrap().unwrap().replayed);
    assert_eq!(read.take(), 2, "the letter, and the note");
    let anew = DeadLetters::new(log.shared());
    assert!(anew.get(&oldest).await.unwrap().unwrap().replayed);
    assert_eq!(anew.get(&format!("{RAW}:2000")).await.unwrap(), None, "a note is no letter");
    assert_eq!(anew.get(&format!("{RAW}:5000")).await.unwrap(), None);

    let expected: Vec<String> = (0..2_000).rev().map(|offset| format!("{RAW}:{offset}")).collect();
    assert_eq!(all(&letters, Some(RAW), 300).await, (expected, vec![oldest]));
}

async fn a_list_over_all_topics_goes_on_where_it_ended(log: Log) {
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    refuse(&log, 5).await;
    let of_cleaned = Recorder::<CleanedDocument>::reading(|_| Outcome::dead("test", "refused"));
    let text = |n| NewEvent::document("test", document(n), Revision(1), &cleaned(document(n), Revision(1)));
    log.append((0..4).map(|n| text(n).into_record()).collect()).await.unwrap();
    let stage = stage_named("other", log.shared(), &of_cleaned, |_| {}).await;
    eventually("all are refused", || of_cleaned.finished() == 4).await;
    stage.stop().await;

    let letters = DeadLetters::new(log.shared());
    let first = letters.list(None, None, 3).await.unwrap();
    assert!(first.letters.iter().all(|letter| letter.stage == "other"), "the newest come first");
    letters.replay(&first.letters[0].id).await.unwrap().unwrap();
    // A letter that comes meanwhile is in no later part.
    refuse(&log, 1).await;
    let mut ids: Vec<String> = first.letters.iter().map(|letter| letter.id.clone()).collect();
    let rest = letters.list(None, first.next.as_ref(), 100).await.unwrap();
    assert!(rest.next.is_none());
    ids.extend(rest.letters.into_iter().map(|letter| letter.id));
    assert_eq!((ids.len(), ids.iter().collect::<HashSet<_>>().len()), (9, 9));
    let (_, replayed) = all(&letters, None, 4).await;
    assert_eq!(replayed, [first.letters[0].id.clone()]);
}

async fn a_list_fetches_no_values_and_needs_no_artifact_store(log: Log) {
    let home = tempfile::tempdir().unwrap();
    let (folder, away) = (home.path().join("artifacts"), home.path().join("away"));
    let artifacts = Artifacts::in_folder(&folder).unwrap();
    let checked: Arc<dyn EventLog> = Arc::new(ClaimCheck::new(log.shared(), artifacts));
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let large = "long ".repeat(log.max_value_bytes() / 2);
    checked.append(vec![raw_of(document(0), 1, large.clone()).into_record()]).await.unwrap();
    let recorder = Recorder::answering(|_| Outcome::dead("test", "refused"));
    let stage = run_stage(checked.clone(), &recorder, |_| {}).await;
    eventually("it is refused", || recorder.finished() == 1).await;
    stage.stop().await;

    let letters = DeadLetters::new(checked);
    std::fs::rename(&folder, &away).unwrap();
    let listed = letters.list(Some(RAW), None, 10).await.unwrap().letters;
    assert_eq!((listed.len(), listed[0].message.as_str(), &listed[0].value), (1, "refused", &None));
    assert!(listed[0].headers.iter().all(|(name, _)| name != attribute::DATA_REF));
    let error = letters.get(&listed[0].id).await.unwrap_err();
    assert!(error.is_transient(), "the value is where the store is: {error}");
    std::fs::rename(&away, &folder).unwrap();
    let value = letters.get(&listed[0].id).await.unwrap().unwrap().value.unwrap();
    assert!(value.len() > large.len());
}
