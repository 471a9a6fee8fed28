//! What a small version keeps, so that its documents can be held out in turn.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Place, generated, meta, paragraph, subject};
use twin_datasets::{DatasetReader, Options};
use twin_schemas::{
    Category, ChatMessage, ChatSample, CleanedDocument, DatasetManifest, DocumentId, EvaluationSample, FoldSample,
    Role, SampleKind, Split,
};

#[tokio::test]
async fn a_version_whose_test_split_says_enough_keeps_no_samples_for_folds() {
    let options = Options { train_share: 0.2, validation_share: 0.1, min_samples: 1, ..Options::default() };
    let place = Place::with(options, (0..100).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let tested = manifest.documents.iter().filter(|document| document.split == Some(Split::Test)).count();
    assert!((45..100).contains(&tested), "{tested}");
    assert!(manifest.file("folds.jsonl").is_none() && manifest.file("eval/test.jsonl").is_some());
}

async fn folds(place: &Place, manifest: &DatasetManifest) -> Vec<FoldSample> {
    DatasetReader::new(manifest, &place.artifacts).all("folds.jsonl").await.unwrap()
}

/// What is learned from a sample.
fn conversation(sample: &EvaluationSample) -> ChatSample {
    let answer = ChatMessage { role: Role::Assistant, content: sample.reference.clone() };
    let messages = sample.prompt.iter().cloned().chain([answer]).collect();
    ChatSample { messages, kind: Some(sample.kind), ends: sample.ends }
}

#[tokio::test]
async fn a_small_version_has_its_training_samples_as_test_samples_too_in_the_same_order() {
    let place = Place::with(Options::default(), (0..40).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let folds = folds(&place, &manifest).await;
    let reader = DatasetReader::new(&manifest, &place.artifacts);
    let of = |split: Split| -> Vec<&FoldSample> { folds.iter().filter(|line| line.split == split).collect() };
    let learned: Vec<ChatSample> = of(Split::Train).into_iter().map(|line| conversation(&line.sample)).collect();
    assert_eq!(learned, reader.all::<ChatSample>("sft/train.jsonl").await.unwrap());
    let tested: Vec<EvaluationSample> = of(Split::Test).into_iter().map(|line| line.sample.clone()).collect();
    assert_eq!(tested, reader.all::<EvaluationSample>("eval/test.jsonl").await.unwrap());
    assert!(of(Split::Validation).is_empty() && !learned.is_empty() && !tested.is_empty());

    let splits: BTreeMap<DocumentId, Option<Split>> =
        manifest.documents.iter().map(|document| (document.document_id, document.split)).collect();
    let mut families: BTreeMap<DocumentId, DocumentId> = BTreeMap::new();
    for line in &folds {
        let document = line.sample.document_id;
        assert_eq!(splits[&document], Some(line.split));
        assert_eq!(*families.entry(document).or_insert(line.family), line.family, "a document is of one family");
        // A title alone is learned and not measured.
        assert!(line.measured || line.sample.kind == SampleKind::Voice && line.sample.reference.chars().count() <= 120);
    }
    for (document, family) in &families {
        assert!(family <= document && families[family] == *family, "the least of its ids names a family");
    }
}

/// Samples and documents that the default policy of evaluations asks of each metric
/// (`evaluator.measure.policy.min_samples` and `min_documents`).
const ASKED_FOR: (usize, usize) = (10, 5);

/// A post of one passage.
fn post(number: usize) -> CleanedDocument {
    let (name, title) = (format!("posts/{number}"), format!("Notes on {}, {number}", subject(number)[0]));
    let text = paragraph(number, 0);
    let meta = meta(&name, Some(&title), Category::Post, &text);
    CleanedDocument { meta, text, language: Some("eng".to_owned()), code_language: None }
}

#[tokio::test]
async fn of_thirty_posts_there_is_enough_of_each_kind_to_tell_by() {
    for seed in 0..5 {
        let place = Place::with(Options { seed, ..Options::default() }, (0..30).map(post)).await;
        let manifest = place.build().await.unwrap().manifest;
        if manifest.documents.iter().all(|document| document.split != Some(Split::Test)) {
            continue;
        }
        let folds = folds(&place, &manifest).await;
        for kind in [SampleKind::Voice, SampleKind::Grounded, SampleKind::Refusal] {
            let of_kind = || folds.iter().filter(|line| line.measured && line.sample.kind == kind);
            let documents: BTreeSet<DocumentId> = of_kind().map(|line| line.sample.document_id).collect();
            assert!(
                of_kind().count() >= ASKED_FOR.0 && documents.len() >= ASKED_FOR.1,
                "seed {seed}: {} {kind:?} samples of {} documents",
                of_kind().count(),
                documents.len()
            );
        }
    }
}

#[tokio::test]
async fn who_wants_no_refusals_has_none_however_few_documents_there_are() {
    let options = Options { refusal_share: 0.0, grounded_share: 0.0, ..Options::default() };
    let place = Place::with(options, (0..30).map(post)).await;
    let manifest = place.build().await.unwrap().manifest;
    let folds = folds(&place, &manifest).await;
    assert!(folds.iter().all(|line| line.sample.kind == SampleKind::Voice) && !folds.is_empty());
}
