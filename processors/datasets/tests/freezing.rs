//! Versions that are made by themselves, over the registry.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use support::{Place, article, at, author, generated, id, paragraph};
use twin_coordination::{Member, Options as LeaseOptions, Owner};
use twin_datasets::{Answers, Builder, FreezePolicy, Freezer, Metrics, Options, PortError};
use twin_registry::{
    DatasetRow, Member as VersionMember, NewDataset, Placement, RETRAINING, Registry, read_dataset_manifest,
};
use twin_schemas::{ChatMessage, CleanedDocument, DatasetId, DatasetManifest, DocumentId, Revision, SampleKind, Split};
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
    freezer_of(place, policy, database, place.builder()).await
}

async fn freezer_of(place: &Place, policy: FreezePolicy, database: Database, builder: Builder) -> (Freezer, Registry) {
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let leases = Arc::new(SqliteLeases::open(database).await.unwrap());
    let member = Member::new(leases, Owner::new("here"), &LeaseOptions { lease_ms: 500 });
    let metrics = Metrics::new(&MetricsRegistry::new()).unwrap();
    let policy = FreezePolicy { quiet_s: 0, ..policy };
    let (corpus, artifacts) = (place.corpus.clone(), place.artifacts.clone());
    (Freezer::new(policy, builder, corpus, registry.clone(), artifacts, member, metrics), registry)
}

/// Deletes some of the documents, as the collector does.
async fn delete(place: &Place, registry: &Registry, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let document = id(&format!("notes/{number}.md"));
        assert!(place.delete(document, 2).await);
        registry.mark_deleted(document, at()).await.unwrap();
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
    delete(&place, &registry, 0..3).await;
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 1, "3 of 60 are less than a tenth");
    delete(&place, &registry, 3..9).await;
    freezer.look().await.unwrap();
    let second = versions(&registry).await.remove(0);
    assert_eq!((second.number, second.reason.as_str(), second.deleted_documents), (2, "deletions", 0));
    assert_eq!(second.documents, DOCUMENTS as u64 - 9);
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 2, "it is made once");
}

/// A document of many passages among those of [`generated`].
fn book() -> CleanedDocument {
    let section = |number: usize| format!("## Chapter {number}\n\n{}", paragraph(DOCUMENTS + 7, number));
    let text = (0..60).map(section).collect::<Vec<_>>().join("\n\n");
    article("book.md", "A book", &format!("# A book\n\n{text}"))
}

#[tokio::test]
async fn a_book_among_short_texts_weighs_as_much_as_its_passages() {
    let documents = (0..DOCUMENTS).map(generated).chain([book()]);
    let place = Place::with(Options::default(), documents).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy { deleted_share: 0.1, ..FreezePolicy::default() }).await;
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.len(), 1);
    let book = id("book.md");
    assert!(place.delete(book, 2).await);
    registry.mark_deleted(book, at()).await.unwrap();
    let version = registry.newest_dataset(&author()).await.unwrap().unwrap();
    assert_eq!((version.deleted_documents, version.documents), (1, DOCUMENTS as u64 + 1));
    freezer.look().await.unwrap();
    assert_eq!(versions(&registry).await.remove(0).reason, "deletions", "1 of 61 documents, and more of the passages");
}

#[tokio::test]
async fn a_version_that_falls_due_and_can_not_be_made_says_why_once() {
    let options = Options { min_samples: 1_000_000, ..Options::default() };
    let place = Place::with(options, (0..DOCUMENTS).map(generated)).await;
    let database = database(&place);
    let (mut freezer, registry) = freezer_over(&place, FreezePolicy::default(), database.clone()).await;
    freezer.look().await.unwrap();
    let request = registry.freeze_request(&author()).await.unwrap().unwrap();
    assert!(request.refused && request.outcome.as_ref().unwrap().contains("datasets.build.min_samples"), "{request:?}");
    let steps = registry.state(&author()).await.unwrap().number;
    freezer.look().await.unwrap();
    // Nor does a process that has just begun note it again.
    let (mut another, _) = freezer_over(&place, FreezePolicy::default(), database).await;
    drop(freezer);
    another.look().await.unwrap();
    assert_eq!(registry.state(&author()).await.unwrap().number, steps);
    assert!(registry.open_freeze_requests().await.unwrap().is_empty());
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
    registry.request_retraining(&author(), "grace", at()).await.unwrap();
    freezer.look().await.unwrap();
    let second = versions(&registry).await.remove(0);
    assert_eq!((second.number, second.reason.as_str()), (2, RETRAINING));
    assert_eq!(second.prompts, Some(place.options.prompt.form()));
    assert!(registry.open_freeze_requests().await.unwrap().is_empty());
}

/// A model that can not be reached at its third call.
#[derive(Default)]
struct AwayOnce(AtomicU64);

#[async_trait]
impl Answers for AwayOnce {
    fn name(&self) -> &str {
        "away"
    }

    fn identity(&self) -> String {
        "away".to_owned()
    }

    async fn answer(&self, _: &[ChatMessage]) -> Result<String, PortError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            2 => {
                let (endpoint, problem) = ("http://llm.example/v1".to_owned(), "connection refused".to_owned());
                Err(twin_llm::Error::Endpoint { endpoint, problem }.into())
            }
            call => Ok(format!("I am here, for the {call}. time.")),
        }
    }
}

#[tokio::test]
async fn a_version_waits_for_a_model_that_is_away_and_has_what_it_says_when_it_is_back() {
    let place = Place::with(Options { preferences: 5, ..few() }, (0..DOCUMENTS).map(generated)).await;
    let model = Arc::new(AwayOnce::default());
    let builder = || place.builder().with_answers(model.clone());
    let (mut freezer, registry) = freezer_of(&place, FreezePolicy::default(), database(&place), builder()).await;
    registry.request_freeze(&author(), "grace", at()).await.unwrap();
    for _ in 0..2 {
        freezer.look().await.unwrap();
        assert!(versions(&registry).await.is_empty(), "none without preferences is made");
        assert_eq!(registry.open_freeze_requests().await.unwrap().len(), 1, "nor is the request answered");
        assert_eq!(model.0.load(Ordering::SeqCst), 3, "it is not asked again at once");
    }
    drop(freezer);

    let (mut freezer, registry) = freezer_of(&place, FreezePolicy::default(), database(&place), builder()).await;
    freezer.look().await.unwrap();
    let row = versions(&registry).await.remove(0);
    let manifest = read_dataset_manifest(&place.artifacts, &row.manifest).await.unwrap();
    let preferences: u64 = Split::ALL.iter().map(|split| manifest.count(*split, SampleKind::Preference)).sum();
    assert_eq!((preferences, manifest.answer_failures), (5, 0));
    assert_eq!(model.0.load(Ordering::SeqCst), 6, "what it has said is not asked again");
}

/// Where the documents of the earlier version are: not where their ids would put them.
fn earlier(number: usize) -> Split {
    if number < DOCUMENTS / 2 { Split::Test } else { Split::Train }
}

fn document(number: usize) -> DocumentId {
    id(&format!("notes/{number}.md"))
}

/// Registers a version before, with the split of [`earlier`] in its rows or, as of an earlier version of the program, not.
async fn registered_before(registry: &Registry, manifest: String, in_rows: bool) {
    let rule = Options::default().split_rule();
    let member = |number: usize| {
        let placement = in_rows.then_some(Placement { split: earlier(number), rule });
        VersionMember { document_id: document(number), revision: Revision::FIRST, passages: 1, placement }
    };
    let new = NewDataset {
        prompts: None,
        dataset: DatasetId("0".repeat(64)),
        author: author(),
        manifest,
        training_samples: 20,
        counts: BTreeMap::new(),
        reason: "requested".to_owned(),
        members: (0..DOCUMENTS).map(member).collect(),
    };
    registry.add_dataset(new, at()).await.unwrap();
}

/// The manifest of the version that is made when somebody asks for one.
async fn asked_for(place: &Place, freezer: &mut Freezer, registry: &Registry) -> DatasetManifest {
    registry.request_freeze(&author(), "grace", at()).await.unwrap();
    freezer.look().await.unwrap();
    let newest = versions(registry).await.remove(0);
    let request = registry.freeze_request(&author()).await.unwrap().unwrap();
    assert!(!request.refused, "{:?}", request.outcome);
    read_dataset_manifest(&place.artifacts, &newest.manifest).await.unwrap()
}

fn splits(manifest: &DatasetManifest) -> BTreeMap<DocumentId, Option<Split>> {
    manifest.documents.iter().map(|document| (document.document_id, document.split)).collect()
}

fn assert_all_stay(manifest: &DatasetManifest) {
    let splits = splits(manifest);
    for number in 0..DOCUMENTS {
        assert_eq!(
            splits[&document(number)],
            Some(earlier(number)),
            "document {number} of version {}",
            manifest.number
        );
    }
}

/// A test split of one half leaves little to train on.
fn few() -> Options {
    Options { min_samples: 1, ..Options::default() }
}

/// A name that nothing is stored under.
fn missing() -> String {
    format!("sha256:{}", "0".repeat(64))
}

/// Writes something else where an artifact lies.
fn damage(place: &Place, artifact: &str) {
    let digest = artifact.strip_prefix("sha256:").unwrap();
    std::fs::write(place.folder.path().join("artifacts").join(&digest[..2]).join(digest), "damaged").unwrap();
}

#[tokio::test]
async fn a_damaged_manifest_of_the_newest_version_takes_no_document_from_its_split() {
    let place = Place::with(few(), (0..DOCUMENTS).map(generated)).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy::default()).await;
    registered_before(&registry, missing(), true).await;
    let second = asked_for(&place, &mut freezer, &registry).await;
    assert_eq!((second.number, second.parent.clone()), (2, Some(DatasetId("0".repeat(64)))));
    assert_all_stay(&second);

    damage(&place, &versions(&registry).await[0].manifest);
    for document in (DOCUMENTS..DOCUMENTS + 10).map(generated) {
        assert!(place.put(document).await);
    }
    let third = asked_for(&place, &mut freezer, &registry).await;
    assert_eq!((third.number, third.parent.clone()), (3, Some(second.dataset)));
    assert_all_stay(&third);
}

#[tokio::test]
async fn the_split_of_a_version_whose_rows_do_not_tell_it_is_read_from_its_manifest() {
    let place = Place::with(few(), (0..DOCUMENTS).map(generated)).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy::default()).await;
    let mut manifest = place.build().await.unwrap().manifest;
    for number in 0..DOCUMENTS {
        let id = document(number);
        let found = manifest.documents.iter_mut().find(|document| document.document_id == id).unwrap();
        found.split = Some(earlier(number));
    }
    let stored = place.artifacts.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap();
    registered_before(&registry, stored, false).await;
    let second = asked_for(&place, &mut freezer, &registry).await;
    assert_all_stay(&second);
    // From here on the rows tell it.
    let kept = registry.placements(&second.dataset).await.unwrap().unwrap();
    assert!((0..DOCUMENTS).all(|number| kept[&document(number)].split == earlier(number)));
}

#[tokio::test]
async fn a_version_is_made_though_neither_rows_nor_manifest_of_the_one_before_tell_its_split() {
    let place = Place::with(few(), (0..DOCUMENTS).map(generated)).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy::default()).await;
    let by_id = splits(&place.build().await.unwrap().manifest);
    registered_before(&registry, missing(), false).await;
    let second = asked_for(&place, &mut freezer, &registry).await;
    assert_eq!((second.number, splits(&second)), (2, by_id));
}

#[tokio::test]
async fn who_asks_for_a_version_that_has_not_changed_gets_its_damaged_manifest_restored() {
    let place = Place::with(few(), (0..DOCUMENTS).map(generated)).await;
    let (mut freezer, registry) = freezer(&place, FreezePolicy::default()).await;
    for number in 1..3 {
        assert!(place.put(generated(DOCUMENTS + number)).await);
        let manifest = asked_for(&place, &mut freezer, &registry).await;
        damage(&place, &versions(&registry).await[0].manifest);
        assert_eq!(asked_for(&place, &mut freezer, &registry).await, manifest);
        assert_eq!(versions(&registry).await.len(), number);
    }
}
