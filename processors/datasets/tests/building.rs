//! Versions: what is in them, and what never is.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Place, article, at, author, generated, id, real_documents};
use twin_datasets::{DatasetReader, Error, Options, Parent, content_id, holds, samples_of};
use twin_llm::{ABSTENTION, abstention, cited_markers, is_abstention};
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

/// What a grounded answer says of each passage, with its marker: without quotation marks.
fn said(answer: &str) -> Vec<(&str, usize)> {
    let markers = regex::Regex::new(r" \[(\d+)\]").unwrap();
    let (mut said, mut start) = (Vec::new(), 0);
    for found in markers.captures_iter(answer) {
        let (whole, marker) = (found.get(0).unwrap(), found.get(1).unwrap());
        let piece = answer[start..whole.start()].trim();
        let piece = piece.strip_prefix('"').map_or(piece, |quote| quote.strip_suffix('"').unwrap());
        said.push((piece, marker.as_str().parse().unwrap()));
        start = whole.end();
    }
    assert!(start == answer.len() && !said.is_empty(), "{answer}");
    said
}

/// What the last message before the answer asks.
fn asked(sample: &ChatSample) -> &str {
    let prompt = &sample.messages[sample.messages.len() - 2].content;
    prompt.rsplit("Question: ").next().unwrap()
}

/// The voice samples that are passages, not titles.
fn is_passage(sample: &ChatSample) -> bool {
    sample.kind == Some(SampleKind::Voice) && answer(sample).chars().count() > 60
}

#[tokio::test]
async fn every_answer_is_verbatim_in_its_source_over_real_and_generated_documents() {
    let real = real_documents();
    assert!(real.len() >= 300, "{} real documents", real.len());
    let documents: Vec<CleanedDocument> = real.into_iter().chain((0..300).map(generated)).collect();
    let texts: Vec<String> = documents.iter().map(|document| document.text.clone()).collect();
    let titles: BTreeSet<String> = documents.iter().filter_map(|document| document.meta.title.clone()).collect();
    let place = Place::with(Options::default(), documents).await;
    let built = place.build().await.unwrap();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for split in Split::ALL {
        for sample in samples(&place, &built.manifest, split).await {
            let (answer, kind) = (answer(&sample), sample.kind.unwrap());
            let pieces = match kind {
                SampleKind::Refusal => {
                    assert!(is_abstention(answer), "{answer}");
                    Vec::new()
                }
                SampleKind::Grounded => said(answer).into_iter().map(|(piece, _)| piece).collect(),
                _ => vec![answer],
            };
            for piece in pieces {
                let is_title = || titles.contains(piece) && kind == SampleKind::Voice;
                assert!(texts.iter().any(|text| text.contains(piece)) || is_title(), "{piece}");
            }
            *seen.entry(kind.as_str()).or_insert(0) += 1;
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
            let pieces = match sample.kind.unwrap() {
                SampleKind::Refusal => continue,
                SampleKind::Grounded => said(answer).into_iter().map(|(piece, _)| piece).collect(),
                _ => vec![answer],
            };
            for piece in pieces {
                assert!(own.iter().any(|text| text.contains(piece)), "{split:?}: {piece}");
            }
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
    let parent = Parent::from(&again.manifest);
    let later = place.builder().build(&author(), Some(&parent), 9, later).await.unwrap().manifest;
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

const PINNED: &str = "e149f606ae51acf65ea386e9ab42841cfd46797d3dc50e9e46dfe66a5a89b4b3";

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
    // None is taken whole, as which it has no passage in common with one that is cut.
    let options = Options { long_share: 0.0, ..Options::default() };
    let place = Place::with(options, documents.into_iter().chain([cross_posted, edited])).await;
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
        samples.iter().filter(|sample| is_passage(sample)).map(|sample| eight_grams(answer(sample))).collect()
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
        let right = sample.right.unwrap() as usize;
        let prompt = &sample.prompt.last().unwrap().content;
        let said = said(&sample.reference);
        assert_eq!(said[0].1, right + 1, "the right one is cited first: {}", sample.reference);
        for (piece, marker) in said {
            for (index, passage) in sample.passages.iter().enumerate() {
                assert_eq!(passage.contains(piece), index + 1 == marker, "{piece}");
            }
            let shown = prompt.split(&format!("<passage id=\"[{marker}]\"")).nth(1).unwrap().split("</passage>").next();
            assert!(shown.unwrap().contains(piece));
        }
        assert!(!cited_markers(&sample.reference, sample.passages.len()).is_empty());
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
    let is_heading = |asked: &&&str| asked.starts_with("Why does the ") && asked.ends_with(" matter?");
    assert!(asked.iter().filter(is_heading).count() >= 3, "{asked:?}");
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
        if is_passage(&sample) {
            let (post, asked) = (answer(&sample), &sample.messages[1].content);
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
    let options = Options { max_passages_per_document: 2, long_share: 0.0, ..Options::default() };
    let place = Place::with(options, (0..20).map(generated).chain([long])).await;
    let manifest = place.build().await.unwrap().manifest;
    assert!(manifest.documents.iter().all(|document| document.passages <= 2));
    assert!(manifest.refusals.count(Refusal::TooMany) >= 28);
}

#[tokio::test]
async fn a_prompt_stands_in_one_split_only() {
    // A book: chapters of the same names in each of its volumes, and the same first sections in each chapter.
    let chapters = (0..76).map(|number| {
        let mut chapter = generated(number);
        chapter.meta.title = Some(format!("Chapter {}", number % 6));
        chapter.text = chapter.text.replace("Why does the", "What is the use of the");
        chapter
    });
    let options = Options { grounded_share: 1.0, refusal_share: 1.0, ..Options::default() };
    let place = Place::with(options, chapters).await;
    let manifest = place.build().await.unwrap().manifest;
    let mut stands: BTreeMap<String, Split> = BTreeMap::new();
    let mut asked_for = 0;
    for split in Split::ALL {
        for sample in samples(&place, &manifest, split).await {
            let prompt = words(asked(&sample)).join(" ");
            assert_eq!(*stands.entry(prompt.clone()).or_insert(split), split, "{prompt}");
            asked_for += 1;
        }
    }
    assert!(asked_for > 300, "{asked_for}");
    assert!(manifest.count(Split::Test, SampleKind::Voice) > 5);
}

#[tokio::test]
async fn styled_letters_count_as_the_letters_they_show() {
    let bold = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                'a'..='z' => char::from_u32(0x1d5ee + c as u32 - 'a' as u32).unwrap(),
                'A'..='Z' => char::from_u32(0x1d5d4 + c as u32 - 'A' as u32).unwrap(),
                other => other,
            })
            .collect()
    };
    let mut styled = generated(3);
    styled.meta.document_id = id("styled");
    // Headings keep their letters, so that it is read as the same sections.
    styled.text = styled
        .text
        .split('\n')
        .map(|line| if line.starts_with('#') { line.into() } else { bold(line) })
        .collect::<Vec<_>>()
        .join("\n");
    // None is taken whole, as which it has no passage in common with one that is cut.
    let options = Options { long_share: 0.0, ..Options::default() };
    let place = Place::with(options, (0..20).map(generated).chain([styled])).await;
    let refusals = place.build().await.unwrap().manifest.refusals;
    assert!(refusals.count(Refusal::ExactDuplicate) >= 3, "{refusals:?}");
}

/// An article of that many sections in German.
fn german(number: usize, sections: usize) -> CleanedDocument {
    const THEMES: [&str; 9] =
        ["Schnittstelle", "Brücke", "Werkstatt", "Bibliothek", "Laterne", "Kanal", "Teleskop", "Mühle", "Uhrwerk"];
    const THINGS: [&str; 9] =
        ["Geduld", "Ordnung", "Vertrauen", "Abstand", "Klarheit", "Sorgfalt", "Gewicht", "Reibung", "Stille"];
    let theme = THEMES[number % 9];
    // No eight words in a row are in two of them.
    let paragraph = |section: usize| {
        let thing = |at: usize| THINGS[(number * 5 + section * 3 + at * 7) % 9];
        let count = |at: usize| number * 40 + section * 10 + at;
        format!(
            "Im Jahr {} war {theme} eine Frage der {}. Nach {} Tagen sah ich die {}, und nach {} Wochen die {}. Nicht jede \
             {theme} braucht {} Stunden, aber {} Versuche braucht sie doch. Nach {} Jahren bleibt {} und ein Rest von {} \
             Prozent, den ich nach {} Proben nicht mehr suche.",
            count(0),
            thing(0),
            count(1),
            thing(1),
            count(2),
            thing(2),
            count(3),
            count(4),
            count(7),
            thing(3),
            count(5),
            count(6)
        )
    };
    let text = (0..sections)
        .map(|section| format!("## {} {section}\n\n{}", THINGS[(section + number) % 9], paragraph(section)));
    let mut article =
        article(&format!("de/{number}"), &format!("Über {theme} {number}"), &text.collect::<Vec<_>>().join("\n\n"));
    article.language = Some("deu".to_owned());
    article
}

#[tokio::test]
async fn a_german_author_is_asked_in_german_and_does_not_know_in_german() {
    let options = Options { grounded_share: 1.0, refusal_share: 1.0, ..Options::default() };
    let place = Place::with(options, (0..45).map(|number| german(number, 4))).await;
    let manifest = place.build().await.unwrap().manifest;
    let (mut refusals, mut questions) = (0, 0);
    let english = ["write", "what", "tell", "explain", "about", "continue", "turn", "reply", "give", "and"];
    for sample in samples(&place, &manifest, Split::Train).await {
        let asked = words(asked(&sample));
        assert!(!asked.iter().any(|word| english.contains(&word.as_str())), "{asked:?}");
        if sample.kind == Some(SampleKind::Refusal) {
            assert_eq!(answer(&sample), abstention(Some("deu")));
            refusals += 1;
        }
        questions += 1;
    }
    assert!(refusals > 10 && questions > 100, "{refusals} refusals of {questions}");
}

#[tokio::test]
async fn code_is_a_fifth_of_an_authors_passages_where_there_is_prose() {
    let code = real_documents().into_iter().filter(|document| document.meta.category == Category::Code).take(150);
    let articles: Vec<CleanedDocument> = (0..100).map(generated).collect();
    let place = Place::with(Options::default(), code.chain(articles)).await;
    let manifest = place.build().await.unwrap().manifest;
    let prose: BTreeSet<_> = (0..100).map(|number| generated(number).meta.document_id).collect();
    let passages = |is_prose: bool| -> u64 {
        let of = manifest.documents.iter().filter(|document| prose.contains(&document.document_id) == is_prose);
        of.map(|document| document.passages).sum()
    };
    let (of_prose, of_code) = (passages(true), passages(false));
    assert!(of_prose > 200 && of_code > 40, "{of_prose} of prose, {of_code} of code");
    assert!(of_code * 4 <= of_prose + 8, "{of_prose} of prose, {of_code} of code");
    assert!(manifest.refusals.count(Refusal::TooMuchCode) > 100);
}

#[tokio::test]
async fn whole_sections_are_learned_and_an_end_only_where_a_text_ends() {
    let mut essays: Vec<CleanedDocument> = (0..30).map(generated).collect();
    for (number, essay) in essays.iter_mut().enumerate() {
        let paragraphs = (20..30).map(|paragraph| support::paragraph(number, paragraph)).collect::<Vec<_>>();
        essay.text = format!("# Notes on {number}\n\n{}", paragraphs.join("\n\n"));
    }
    let texts: Vec<String> = essays.iter().map(|essay| essay.text.clone()).collect();
    let place = Place::with(Options { long_share: 0.5, ..Options::default() }, essays).await;
    let manifest = place.build().await.unwrap().manifest;
    let (mut long, mut ending, mut going_on) = (0, 0, 0);
    for sample in samples(&place, &manifest, Split::Train).await.iter().filter(|sample| is_passage(sample)) {
        let is_end = texts.iter().any(|text| text.ends_with(answer(sample)));
        assert_eq!(sample.ends, is_end, "{}", answer(sample));
        long += usize::from(answer(sample).chars().count() > place.options.max_chars);
        *(if is_end { &mut ending } else { &mut going_on }) += 1;
    }
    assert!(long > 5 && ending > 10 && going_on > 5, "{long} long, {ending} end, {going_on} go on");
    // Tested as it is learned.
    for tested in evaluation(&place, &manifest).await.iter().filter(|tested| tested.kind == SampleKind::Voice) {
        assert_eq!(tested.ends, texts.iter().any(|text| text.ends_with(&tested.reference)), "{}", tested.reference);
    }
    let samples = samples(&place, &manifest, Split::Train).await;
    let continued = samples.iter().filter(|sample| is_passage(sample)).filter(|sample| {
        let asked = &sample.messages[1].content;
        texts.iter().any(|text| asked.lines().any(|line| line.len() > 60 && text.contains(line)))
    });
    assert!(continued.count() > 0, "some are asked to go on from what stands before");
}

#[tokio::test]
async fn some_texts_of_several_sections_are_learned_whole_with_their_headings() {
    let place = Place::with(Options::default(), (0..120).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let texts: BTreeSet<String> = (0..120).map(|number| generated(number).text).collect();
    let (mut whole, mut passages) = (0, 0);
    for split in Split::ALL {
        for sample in samples(&place, &manifest, split).await.iter().filter(|sample| is_passage(sample)) {
            passages += 1;
            if texts.contains(answer(sample)) {
                assert!(sample.ends && answer(sample).contains("\n\n## "), "{}", answer(sample));
                whole += 1;
            }
        }
    }
    assert!((12..=50).contains(&whole), "{whole} of 120 texts, in {passages} passages");
    let none = Place::with(Options { long_share: 0.0, ..Options::default() }, (0..40).map(generated)).await;
    let manifest = none.build().await.unwrap().manifest;
    let cut = samples(&none, &manifest, Split::Train).await;
    assert!(cut.iter().all(|sample| !texts.contains(answer(sample))));
}

/// A note of a repository, as its crawler and its cleaner give it.
fn of_a_repository(number: usize) -> CleanedDocument {
    let mut note = generated(number);
    note.meta.category = Category::Code;
    note.meta.title = None;
    note.language = None;
    note.code_language = Some("markdown".to_owned());
    note
}

#[tokio::test]
async fn the_notes_of_a_repository_teach_as_the_prose_that_they_are() {
    let programs = real_documents().into_iter().filter(|document| document.meta.category == Category::Code).take(150);
    let notes: Vec<CleanedDocument> = (0..60).map(of_a_repository).collect();
    let texts: Vec<String> = notes.iter().map(|note| note.text.clone()).collect();
    let options = Options { grounded_share: 1.0, refusal_share: 0.5, ..Options::default() };
    let place = Place::with(options, notes.into_iter().chain(programs)).await;
    let manifest = place.build().await.unwrap().manifest;
    for kind in [SampleKind::Voice, SampleKind::Grounded, SampleKind::Refusal] {
        assert!(manifest.count(Split::Train, kind) > 20, "{kind:?}: {:?}", manifest.counts);
    }
    let mut prose = 0;
    for sample in samples(&place, &manifest, Split::Train).await.iter().filter(|sample| is_passage(sample)) {
        if texts.iter().any(|text| text.contains(answer(sample))) {
            assert!(!asked(sample).contains("markdown"), "{}", asked(sample));
            prose += 1;
        }
    }
    assert!(prose > 60, "{prose} passages of prose");
    // Its programs are code, of which there is no more than beside other prose.
    assert!(manifest.refusals.count(Refusal::TooMuchCode) > 50, "{:?}", manifest.refusals);
}

#[test]
fn each_question_has_the_sentence_that_answers_it() {
    let of_heading = "Nobody had told me that meanders move downstream over the years, and so I measured them myself.";
    let of_words = "Compilers forgive nothing, and compilers teach; parsers forgive less, and parsers teach compilers.";
    let options = Options { min_chars: 60, ..Options::default() };
    let (mut of_others, mut by_words_first) = (0, 0);
    for number in 0..40 {
        let text = format!("## Meanders\n\n{of_heading}\n\n{of_words}");
        let document = article(&format!("rivers/{number}"), "Rivers", &text);
        let mut samples = samples_of(&document.into(), &options);
        assert_eq!(samples.len(), 1, "{samples:?}");
        let grounding = samples.remove(0).grounding.unwrap();
        by_words_first += usize::from(!grounding.question.contains("Meanders"));
        of_others += usize::from(grounding.other.is_some());
        let mut asked = Some(&grounding);
        while let Some(one) = asked {
            let wanted = if one.question.contains("compilers") { of_words } else { of_heading };
            assert!(one.question.contains(&one.subject), "{one:?}");
            assert_eq!(one.quote, wanted, "{one:?}");
            asked = one.other.as_deref();
        }
    }
    assert!(of_others == 40 && by_words_first > 3, "{of_others} {by_words_first}");
}

#[tokio::test]
async fn from_two_hundred_passages_on_ten_refusals_are_tested_and_they_are_near_misses() {
    let place = Place::with(Options::default(), (0..100).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    assert!(manifest.documents.iter().map(|document| document.passages).sum::<u64>() >= 200);
    assert!(manifest.count(Split::Test, SampleKind::Refusal) >= 10, "{:?}", manifest.counts);
    // Of few passages there are as many as their share.
    let few = Place::with(Options::default(), (0..30).map(generated)).await.build().await.unwrap().manifest;
    assert!(few.count(Split::Test, SampleKind::Refusal) < 10);
    // Passages of the same theme stand beside the question, where chance would give one in twelve.
    let theme = |text: &str| {
        (0..12).max_by_key(|theme| {
            let subject = support::subject(*theme);
            words(text).iter().filter(|word| subject.contains(&word.as_str())).count()
        })
    };
    let (mut near, mut given) = (0, 0);
    for sample in samples(&place, &manifest, Split::Train).await {
        if sample.kind == Some(SampleKind::Grounded) {
            let prompt = &sample.messages[1].content;
            let own = theme(said(answer(&sample))[0].0);
            let shown = prompt.split("<passage id=").skip(1).map(|passage| passage.split("</passage>").next().unwrap());
            let themes: Vec<_> = shown.map(theme).collect();
            near += themes.iter().filter(|theme| **theme == own).count() - 1;
            given += themes.len() - 1;
        }
    }
    assert!(given > 50 && near * 3 > given, "{near} of {given} are near");
}

#[tokio::test]
async fn answers_stand_in_the_authors_prose_or_alone_and_some_have_two_sources() {
    let options = Options { grounded_share: 1.0, max_chars: 420, long_share: 0.0, ..Options::default() };
    let place = Place::with(options, (0..120).map(generated)).await;
    let manifest = place.build().await.unwrap().manifest;
    let (mut alone, mut prose, mut both, mut two) = (0, 0, 0, 0);
    for sample in samples(&place, &manifest, Split::Train).await {
        if sample.kind != Some(SampleKind::Grounded) {
            continue;
        }
        let answer = answer(&sample);
        let markers: BTreeSet<usize> = said(answer).into_iter().map(|(_, marker)| marker).collect();
        match (answer.starts_with('"'), answer.contains('"'), markers.len()) {
            (_, _, 2) => two += 1,
            (true, _, _) => alone += 1,
            (false, true, _) => both += 1,
            (false, false, _) => prose += 1,
        }
    }
    assert!(
        alone > 20 && prose > 10 && both > 5 && two > 10,
        "{alone} alone, {prose} prose, {both} both, {two} of two"
    );
}
