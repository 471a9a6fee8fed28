//! Versions: what is in them, and what never is.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Place, article, at, author, generated, id, real_documents};
use twin_datasets::{DatasetReader, Error, Options, content_id, holds};
use twin_llm::{ABSTENTION, cited_markers};
use twin_registry::{diff, read_dataset_manifest};
use twin_schemas::{
    Category, ChatSample, CleanedDocument, DatasetManifest, EvaluationSample, Refusal, Revision, Role, SampleKind,
    Split,
};

/// The words of a text, written otherwise than in the crate: an oracle of its own.
fn words(text: &str) -> Vec<String> {
    let text = text.replace(['\'', '’'], "").to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn eight_grams(text: &str) -> BTreeSet<Vec<String>> {
    words(text).windows(8).map(<[String]>::to_vec).collect()
}

async fn samples(place: &Place, manifest: &DatasetManifest, split: Split) -> Vec<ChatSample> {
    let reader = DatasetReader::new(manifest, &place.artifacts);
    reader.all(&format!("sft/{}.jsonl", split.as_str())).await.unwrap()
}

async fn evaluation(place: &Place, manifest: &DatasetManifest) -> Vec<EvaluationSample> {
    DatasetReader::new(manifest, &place.artifacts).all("eval/test.jsonl").await.unwrap()
}

fn answer(sample: &ChatSample) -> &str {
    let last = sample.messages.last().unwrap();
    assert_eq!(last.role, Role::Assistant);
    &last.content
}

/// The quotation and the marker of a grounded answer.
fn quotation(answer: &str) -> Option<(&str, usize)> {
    let (quote, marker) = answer.strip_prefix('"')?.rsplit_once("\" [")?;
    Some((quote, marker.strip_suffix(']')?.parse().ok()?))
}

#[tokio::test]
async fn every_answer_is_verbatim_in_its_source_over_real_and_generated_documents() {
    let real = real_documents();
    assert!(real.len() >= 300, "{} real documents", real.len());
    let documents: Vec<CleanedDocument> = real.into_iter().chain((0..300).map(generated)).collect();
    let texts: Vec<String> = documents.iter().map(|document| document.text.clone()).collect();
    let place = Place::with(Options::default(), documents).await;
    let built = place.build().await.unwrap();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for split in Split::ALL {
        for sample in samples(&place, &built.manifest, split).await {
            let answer = answer(&sample);
            let kind = match quotation(answer) {
                _ if answer == ABSTENTION => "refusal",
                Some((quote, _)) => {
                    assert!(texts.iter().any(|text| text.contains(quote)), "{quote}");
                    "grounded"
                }
                None => {
                    assert!(texts.iter().any(|text| text.contains(answer)), "{answer}");
                    "voice"
                }
            };
            *seen.entry(kind).or_insert(0) += 1;
        }
    }
    let total: u64 = built.manifest.counts.values().flat_map(BTreeMap::values).sum();
    assert_eq!(seen.values().sum::<usize>() as u64, total);
    assert!(seen["voice"] > 1_000 && seen["grounded"] > 200 && seen["refusal"] > 50, "{seen:?}");
}

#[tokio::test]
async fn no_document_is_in_two_splits_and_the_evaluation_names_test_documents_alone() {
    let place = Place::with(Options::default(), (0..60).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let by_id: BTreeMap<_, _> = manifest.documents.iter().map(|document| (document.document_id, document)).collect();
    assert_eq!(by_id.len(), 60);
    let tests = evaluation(&place, &manifest).await;
    assert!(!tests.is_empty());
    for sample in &tests {
        assert_eq!(by_id[&sample.document_id].split, Some(Split::Test));
    }
    // Answers of one split do not stand in documents of another.
    let texts = |split: Split| -> Vec<String> {
        (0..60)
            .map(generated)
            .filter(|document| by_id[&document.meta.document_id].split == Some(split))
            .map(|document| document.text)
            .collect()
    };
    for split in Split::ALL {
        let own = texts(split);
        for sample in samples(&place, &manifest, split).await {
            let answer = answer(&sample);
            let said = quotation(answer).map_or(answer, |(quote, _)| quote);
            assert!(said == ABSTENTION || own.iter().any(|text| text.contains(said)), "{split:?}: {said}");
        }
    }
}

#[tokio::test]
async fn the_same_documents_give_the_same_id_whatever_the_order_they_came_in() {
    let first = Place::with(Options::default(), (0..40).map(generated)).await.build().await.unwrap();
    let place = Place::with(Options::default(), (0..40).rev().map(generated)).await;
    let again = place.build().await.unwrap();
    assert_eq!(first.manifest.dataset, again.manifest.dataset);
    assert_eq!(first.manifest.files, again.manifest.files);
    // Neither the time nor the number nor the parent is in the id; a changed document is.
    let later = at() + chrono::TimeDelta::days(9);
    let later = place.builder().build(&author(), Some(&again.manifest), 9, later).await.unwrap().manifest;
    assert_eq!(later.dataset, first.manifest.dataset);
    assert_eq!(later.parent, Some(again.manifest.dataset.clone()));
    let mut changed = generated(7);
    changed.meta.revision = Revision(2);
    changed.text.push_str("\n\nOne more sentence that was not there before, long enough to be seen by a reader.");
    assert!(place.put(changed).await);
    assert_ne!(place.build().await.unwrap().manifest.dataset, first.manifest.dataset);
}

#[tokio::test]
async fn the_id_is_the_one_that_any_machine_computes() {
    let place = Place::with(Options::default(), (0..12).map(generated)).await;
    let built = place.build().await.unwrap();
    assert_eq!(content_id(&built.manifest).unwrap(), built.manifest.dataset);
    // Changes with the output alone: raise BUILD_VERSION when it does.
    assert_eq!(built.manifest.dataset.0, PINNED);
}

const PINNED: &str = "ff558d3a7d9ce1cb3ff3e8da3d5d92238b7cc4e941b99721c2c44b950dc4c753";

#[tokio::test]
async fn a_stored_manifest_is_read_back_as_it_was() {
    let place = Place::with(Options::default(), (0..12).map(generated)).await;
    let built = place.build().await.unwrap();
    assert_eq!(read_dataset_manifest(&place.artifacts, &built.manifest_artifact).await.unwrap(), built.manifest);
}

#[tokio::test]
async fn a_deleted_document_is_gone_from_the_next_version_and_found_in_the_one_before() {
    let place = Place::with(Options::default(), (0..40).map(generated)).await;
    let first = place.build().await.unwrap();
    let gone = first.manifest.members().next().unwrap();
    assert!(place.delete(gone, 2).await);
    let second = place.build_after(&first.manifest).await.unwrap().manifest;
    assert!(holds(&first.manifest, gone) && !holds(&second, gone));
    assert!(holds(&first.manifest, gone));
    let changes = diff(&first.manifest, &second);
    assert_eq!((changes.removed, changes.added, changes.changed), (vec![gone], vec![], vec![]));
    assert!(changes.moved.is_empty() && !changes.counts.is_empty());
    let text = (0..40).map(generated).find(|document| document.meta.document_id == gone).unwrap().text;
    for split in Split::ALL {
        for sample in samples(&place, &second, split).await {
            assert!(answer(&sample) == ABSTENTION || !text.contains(answer(&sample)));
        }
    }
}

#[tokio::test]
async fn a_document_keeps_its_split_when_others_come() {
    let options = Options { min_samples: 1, ..Options::default() };
    let place = Place::with(options, (0..5).map(generated)).await;
    let mut before = place.build().await.unwrap().manifest;
    for more in [(5..6), (6..20), (20..60)] {
        for document in more.map(generated) {
            assert!(place.put(document).await);
        }
        let after = place.build_after(&before).await.unwrap().manifest;
        assert!(diff(&before, &after).moved.is_empty());
        before = after;
    }
}

#[tokio::test]
async fn exact_and_near_duplicates_are_left_out_and_counted() {
    let documents: Vec<CleanedDocument> = (0..20).map(generated).collect();
    let mut cross_posted = documents[3].clone();
    cross_posted.meta.document_id = id("elsewhere");
    let mut edited = documents[4].clone();
    edited.meta.document_id = id("edited");
    edited.text = edited.text.replace("On page 1", "On leaf 1");
    let place = Place::with(Options::default(), documents.into_iter().chain([cross_posted, edited])).await;
    let refusals = place.build().await.unwrap().manifest.refusals;
    assert!(refusals.count(Refusal::ExactDuplicate) >= 3, "{refusals:?}");
    assert!(refusals.count(Refusal::NearDuplicate) >= 1, "{refusals:?}");
}

#[tokio::test]
async fn no_training_sample_comes_near_a_test_sample() {
    // Half of each later document is copied from one before it, so that many pairs cross the splits.
    let documents = (0..80).map(|number| {
        let mut document = generated(number);
        let copied = generated(number / 2).text;
        document.text.push_str(&format!("\n\n## Again\n\n{}", copied.rsplit("\n\n").next().unwrap()));
        document
    });
    let place = Place::with(Options::default(), documents).await;
    let manifest = place.build().await.unwrap().manifest;
    let voice = |samples: Vec<ChatSample>| -> Vec<BTreeSet<Vec<String>>> {
        let answers = samples.iter().map(answer).filter(|text| *text != ABSTENTION && quotation(text).is_none());
        answers.map(eight_grams).collect()
    };
    let tests = voice(samples(&place, &manifest, Split::Test).await);
    let trained = voice(samples(&place, &manifest, Split::Train).await);
    assert!(!tests.is_empty() && trained.len() > 100);
    for test in &tests {
        for train in &trained {
            let shared = test.intersection(train).count() as f64;
            let shorter = test.len().min(train.len()) as f64;
            assert!(shared <= place.options.max_overlap * shorter, "{shared} of {shorter}");
        }
    }
    let dropped = manifest.refusals.count(Refusal::ExactDuplicate) + manifest.refusals.count(Refusal::HeldOut);
    assert!(dropped > 0);
}

#[tokio::test]
async fn grounded_answers_cite_the_right_passage_and_refusals_hold_nothing_of_the_answer() {
    let options = Options { grounded_share: 1.0, refusal_share: 1.0, ..Options::default() };
    let place = Place::with(options, (0..120).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let texts: BTreeMap<_, _> = (0..120).map(generated).map(|document| (document.meta.document_id, document)).collect();
    let tests = evaluation(&place, &manifest).await;
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    let mut places = BTreeSet::new();
    for sample in tests.iter().filter(|sample| sample.kind == SampleKind::Grounded) {
        let (quote, marker) = quotation(&sample.reference).unwrap();
        let right = sample.right.unwrap() as usize;
        assert_eq!(marker, right + 1);
        assert_eq!(cited_markers(&sample.reference, sample.passages.len()), [right as u32 + 1]);
        for (index, passage) in sample.passages.iter().enumerate() {
            assert_eq!(passage.contains(quote), index == right, "{quote}");
        }
        let prompt = &sample.prompt.last().unwrap().content;
        let shown = prompt.split(&format!("<passage id=\"[{marker}]\"")).nth(1).unwrap().split("</passage>").next();
        assert!(shown.unwrap().contains(quote));
        places.insert(right);
        asked.insert(prompt.rsplit("Question: ").next().unwrap().to_owned(), sample.passages[right].clone());
    }
    assert!(places.len() >= 2, "the right passage is always at {places:?}");
    let mut refusals = 0;
    for sample in tests.iter().filter(|sample| sample.kind == SampleKind::Refusal) {
        assert_eq!((sample.reference.as_str(), sample.right), (ABSTENTION, None));
        assert!(!sample.passages.is_empty());
        let question = sample.prompt.last().unwrap().content.rsplit("Question: ").next().unwrap();
        let Some(right) = asked.get(question) else { continue };
        for passage in &sample.passages {
            assert!(eight_grams(passage).is_disjoint(&eight_grams(right)));
            assert!(!texts[&sample.document_id].text.contains(passage.as_str()));
        }
        refusals += 1;
    }
    assert!(refusals > 5, "{refusals} refusals");
}

#[tokio::test]
async fn distractors_come_from_the_same_split() {
    let options = Options { grounded_share: 1.0, refusal_share: 1.0, ..Options::default() };
    let place = Place::with(options, (0..120).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let tests: BTreeSet<_> =
        manifest.documents.iter().filter(|d| d.split == Some(Split::Test)).map(|d| d.document_id).collect();
    let texts: Vec<String> = (0..120)
        .map(generated)
        .filter(|document| tests.contains(&document.meta.document_id))
        .map(|document| document.text)
        .collect();
    for sample in evaluation(&place, &manifest).await {
        for passage in sample.passages {
            assert!(texts.iter().any(|text| text.contains(&passage)), "{passage}");
        }
    }
}

#[tokio::test]
async fn secrets_and_personal_data_are_in_no_file() {
    let key = format!("AKIA{}", "IOSFODNN7EXAMPLE");
    let mut documents: Vec<CleanedDocument> = (0..20).map(generated).collect();
    for (number, secret) in [(20, key.as_str()), (21, "ada.lovelace@analytical.co.uk"), (22, "+49 30 901820 12")] {
        let mut document = generated(number);
        document.text.push_str(&format!("\n\n## More\n\n{} {secret}.", support::paragraph(number, 9)));
        documents.push(document);
    }
    let place = Place::with(Options::default(), documents).await;
    let manifest = place.build().await.unwrap().manifest;
    assert_eq!(manifest.refusals.count(Refusal::Secret), 1);
    assert_eq!(manifest.refusals.count(Refusal::PersonalData), 2);
    for part in manifest.files.iter().flat_map(|file| &file.parts) {
        let content = String::from_utf8(place.artifacts.get(part).await.unwrap()).unwrap();
        for secret in [key.as_str(), "analytical.co.uk", "901820"] {
            assert!(!content.contains(secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_heading_that_asks_is_the_instruction_as_it_is() {
    let place = Place::with(Options::default(), (0..30).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let samples = samples(&place, &manifest, Split::Train).await;
    let asked: Vec<&str> = samples.iter().map(|sample| sample.messages[1].content.as_str()).collect();
    assert!(asked.iter().filter(|asked| **asked == "Why does the meander matter?").count() >= 1, "{asked:?}");
}

#[tokio::test]
async fn an_author_of_three_documents_has_a_test_document_and_a_training_document() {
    for seed in 0..5 {
        let options = Options { seed, min_samples: 1, ..Options::default() };
        let place = Place::with(options, (0..3).map(generated)).await;
        let manifest = place.build().await.unwrap().manifest;
        assert!(manifest.count(Split::Test, SampleKind::Voice) > 0, "seed {seed}");
        assert!(manifest.training_samples() > 0, "seed {seed}");
    }
}

#[tokio::test]
async fn too_little_to_learn_from_is_an_error_that_says_so() {
    let place = Place::new(Options::default()).await;
    assert!(matches!(place.build().await, Err(Error::NoDocuments(_))));
    place.put(article("short", "Short", "Too short to learn from.")).await;
    let error = place.build().await.unwrap_err();
    assert!(matches!(error, Error::TooFewSamples { found: 0, needed: 10, documents: 1, .. }), "{error}");
    assert!(error.to_string().contains("datasets.build.min_samples"), "{error}");
    let deleted = Place::with(Options::default(), (0..3).map(generated)).await;
    for number in 0..3 {
        deleted.delete(generated(number).meta.document_id, 2).await;
    }
    assert!(matches!(deleted.build().await, Err(Error::NoDocuments(_))));
}

#[tokio::test]
async fn languages_that_were_not_asked_for_are_left_out() {
    let german = "Der Fluss ist nicht derselbe, und auch wir sind nicht mehr dieselben, wenn wir am Abend noch einmal an \
        sein Ufer gehen und in das Wasser sehen, das inzwischen ein anderes geworden ist. So habe ich es immer gehalten, \
        und so werde ich es auch weiter halten, solange mich meine Füße an das Wasser tragen.";
    let mut document = article("fluss", "Der Fluss", german);
    document.language = Some("deu".to_owned());
    let options = Options { languages: vec!["eng".to_owned()], ..Options::default() };
    let place = Place::with(options, (0..20).map(generated).chain([document.clone()])).await;
    let manifest = place.build().await.unwrap().manifest;
    assert_eq!(manifest.refusals.count(Refusal::Language), 1);
    assert!(!holds(&manifest, document.meta.document_id));
}

#[tokio::test]
async fn an_author_of_code_alone_has_samples_that_ask_for_items() {
    let documents = real_documents().into_iter().filter(|document| document.meta.category == Category::Code).take(60);
    let place = Place::with(Options::default(), documents).await;
    let manifest = place.build().await.unwrap().manifest;
    let samples = samples(&place, &manifest, Split::Train).await;
    assert!(samples.len() > 100);
    for sample in &samples {
        let asked = &sample.messages[1].content;
        assert!(asked.contains('`') || asked.contains("\n\n"), "{asked}");
    }
}

#[tokio::test]
async fn a_build_can_be_moved_to_another_task() {
    let place = Place::with(Options::default(), (0..12).map(generated)).await;
    let builder = place.builder();
    let built = tokio::spawn(async move { builder.build(&author(), None, 1, at()).await }).await.unwrap().unwrap();
    assert_eq!(built.manifest.number, 1);
}

#[tokio::test]
async fn posts_without_title_are_asked_for_by_their_words() {
    let posts = (0..60).map(|number| {
        let mut post = article(&format!("post {number}"), "", &support::paragraph(number, 0));
        post.meta.category = Category::Post;
        post.meta.title = None;
        post
    });
    let place = Place::with(Options::default(), posts).await;
    let manifest = place.build().await.unwrap().manifest;
    for sample in samples(&place, &manifest, Split::Train).await {
        if let Some(post) = Some(answer(&sample)).filter(|text| *text != ABSTENTION && quotation(text).is_none()) {
            let asked = &sample.messages[1].content;
            assert!(words(asked).iter().any(|word| word.len() > 3 && words(post).contains(word)), "{asked}: {post}");
            assert!(eight_grams(asked).is_disjoint(&eight_grams(post)));
        }
    }
}

#[tokio::test]
async fn a_long_document_does_not_outweigh_the_others() {
    let mut long = generated(3);
    long.meta.document_id = id("long");
    long.text = (10..40).map(|number| format!("## Part {number}\n\n{}\n\n", support::paragraph(3, number))).collect();
    let options = Options { max_passages_per_document: 2, ..Options::default() };
    let place = Place::with(options, (0..20).map(generated).chain([long])).await;
    let manifest = place.build().await.unwrap().manifest;
    assert!(manifest.documents.iter().all(|document| document.passages <= 2));
    assert!(manifest.refusals.count(Refusal::TooMany) >= 28);
}
