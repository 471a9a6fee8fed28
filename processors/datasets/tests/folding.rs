//! What a small version keeps, so that its documents can be held out in turn.

mod support;

use std::collections::BTreeMap;

use support::{Place, generated};
use twin_datasets::{DatasetReader, Options};
use twin_schemas::{
    ChatMessage, ChatSample, DatasetManifest, DocumentId, EvaluationSample, FoldSample, Role, SampleKind, Split,
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
