//! The embedder on the real model.

mod common;

use std::time::Duration;

use common::{cached, options};
use twin_embedding::{Embedder, Purpose, Texts};
use twin_onnx::{EmbedderOptions, Error, OnnxEmbedder};
use twin_telemetry::{MetricsRegistry, gather_text};

fn embedder() -> OnnxEmbedder {
    OnnxEmbedder::load(options(), &MetricsRegistry::new()).unwrap()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Texts of very different lengths.
fn mixed_texts() -> Vec<String> {
    let sentence = "Streams of events are ordered within a partition, and offsets move only forward. ";
    (0..24).map(|index| format!("{index}: {}", sentence.repeat(1 + (index * 7) % 17))).collect()
}

/// More than a thread embeds in a moment: 192 texts.
fn many_texts() -> Vec<String> {
    std::iter::repeat_with(mixed_texts).take(8).flatten().collect()
}

#[tokio::test]
async fn the_vector_of_a_text_does_not_depend_on_its_batch() {
    let embedder = embedder();
    let texts = mixed_texts();
    let together = embedder.embed_passages(texts.clone()).await.unwrap();
    for (text, in_batch) in texts.into_iter().zip(&together) {
        let alone = embedder.embed_passages(vec![text]).await.unwrap().remove(0);
        assert!(cosine(&alone, in_batch) > 0.99999);
        let difference = alone.iter().zip(in_batch).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-4, "{difference}");
    }
}

#[tokio::test]
async fn vectors_have_length_one_and_the_model_s_dimension() {
    let embedder = embedder();
    assert_eq!(embedder.model().dimension, 384);
    let mut texts = mixed_texts();
    texts.push(String::new());
    for vector in embedder.embed_passages(texts).await.unwrap() {
        assert_eq!(vector.len(), 384);
        assert!((cosine(&vector, &vector).sqrt() - 1.0).abs() < 1e-5);
    }
}

#[tokio::test]
async fn tokens_are_counted_as_the_model_reads_them_also_beyond_its_window() {
    let options = EmbedderOptions { query_prefix: "query: ".to_owned(), ..options() };
    let embedder = OnnxEmbedder::load(options, &MetricsRegistry::new()).unwrap();
    let count = async |purpose, text: &str| {
        let texts = vec![text.to_owned()];
        embedder.count_tokens(Texts { purpose, texts }).await.unwrap()[0]
    };
    assert_eq!(count(Purpose::Passage, "").await, 2, "the tokens at both ends");
    assert_eq!(count(Purpose::Passage, "cats and dogs").await, 5);
    assert_eq!(count(Purpose::Query, "cats and dogs").await, 7, "with `query` and its colon");
    assert_eq!(count(Purpose::Passage, &"cats ".repeat(5_000)).await, 5_002);
}

#[tokio::test]
async fn related_words_are_closer_than_unrelated_ones() {
    let embedder = embedder();
    let words = ["cat", "kitten", "carburettor"].map(str::to_owned).to_vec();
    let vectors = embedder.embed_passages(words).await.unwrap();
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(near > far + 0.2, "{near} {far}");
}

#[tokio::test]
async fn vectors_are_those_of_the_reference_implementation() {
    // Python: onnxruntime 1.32.0 and tokenizers 0.23.3 on the same file, mean pooling, length 1; first five numbers.
    let vector = embedder().embed_query("Events are appended to a log.".to_owned()).await.unwrap();
    let expected = [-0.012093_f32, -0.018644, 0.022406, 0.037938, 0.082268];
    for (found, expected) in vector.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{:?}", &vector[..5]);
    }
}

#[tokio::test]
async fn everything_in_the_window_counts_and_nothing_after_it() {
    let embedder = embedder();
    let words: Vec<String> =
        (0..600).map(|index| ["river", "stone", "cloud", "lamp"][index * index % 7 % 4].to_owned()).collect();
    let first = |count: usize, tail: &str| format!("{} {tail}", words[..count].join(" "));
    let texts = vec![first(120, ""), first(120, &"carburettor ".repeat(80)), first(400, ""), first(400, "carburettor")];
    let vectors = embedder.embed_passages(texts).await.unwrap();
    // The published tokenizer file cuts at 128 tokens: a 200-token text must differ from its first 120.
    assert!(cosine(&vectors[0], &vectors[1]) < 0.98);
    assert!(cosine(&vectors[2], &vectors[3]) > 0.99999);
}

#[tokio::test]
async fn a_query_and_its_candidates_do_not_wait_for_the_passages_before_them() {
    let embedder =
        OnnxEmbedder::load(EmbedderOptions { sessions: 1, queue: 64, ..options() }, &MetricsRegistry::new()).unwrap();
    let passages = {
        let embedder = embedder.clone();
        tokio::spawn(async move { embedder.embed_passages(many_texts()).await })
    };
    // The passages are under way once a batch is done; the query is sent while nearly all of them wait.
    tokio::task::yield_now().await;
    let query = embedder.embed_query("offsets".to_owned()).await.unwrap();
    let candidates = embedder.embed_candidates(vec!["an offset".to_owned(), "a partition".to_owned()]).await.unwrap();
    assert_eq!((query.len(), candidates.len()), (384, 2));
    assert!(!passages.is_finished(), "the query or its candidates waited for 192 passages");
    assert_eq!(passages.await.unwrap().unwrap().len(), 192);
}

#[tokio::test]
async fn callers_beyond_the_queue_wait_and_are_served() {
    let embedder = OnnxEmbedder::load(EmbedderOptions { queue: 2, ..options() }, &MetricsRegistry::new()).unwrap();
    let mut tasks = Vec::new();
    for index in 0..20 {
        let embedder = embedder.clone();
        tasks.push(tokio::spawn(async move { embedder.embed_passages(vec![format!("text {index}"); 3]).await }));
    }
    for task in tasks {
        let vectors = tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap().unwrap();
        assert_eq!(vectors.len(), 3);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_text_behind() {
    let registry = MetricsRegistry::new();
    let embedder = OnnxEmbedder::load(EmbedderOptions { sessions: 1, ..options() }, &registry).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(1), embedder.embed_passages(many_texts()));
    assert!(given_up.await.is_err());
    embedder.embed_passages(vec!["after".to_owned()]).await.unwrap();
    embedder.embed_query("after".to_owned()).await.unwrap();
    let text = gather_text(&registry).unwrap();
    assert!(text.contains("twin_embedder_texts_total{kind=\"query\"} 1"), "{text}");
    assert!(text.contains("twin_embedder_tokens_total"), "{text}");
    assert!(text.contains("twin_embedder_batch_seconds_count"), "{text}");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !gather_text(&registry).unwrap().contains("twin_embedder_queue_texts 0") {
        assert!(std::time::Instant::now() < deadline, "texts are left in the queue");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn prefixes_are_put_before_queries_and_passages_and_candidates_are_embedded_as_passages() {
    let prefixed =
        EmbedderOptions { query_prefix: "query: ".to_owned(), passage_prefix: "passage: ".to_owned(), ..options() };
    let prefixed = OnnxEmbedder::load(prefixed, &MetricsRegistry::new()).unwrap();
    // Two embedders in one process share the runtime.
    let plain = embedder();
    let query = prefixed.embed_query("cat".to_owned()).await.unwrap();
    let passage = prefixed.embed_passages(vec!["cat".to_owned()]).await.unwrap().remove(0);
    assert!(cosine(&query, &plain.embed_query("query: cat".to_owned()).await.unwrap()) > 0.99999);
    assert!(cosine(&passage, &plain.embed_query("passage: cat".to_owned()).await.unwrap()) > 0.99999);
    assert!(cosine(&query, &passage) < 0.999);
    let candidate = prefixed.embed_candidates(vec!["cat".to_owned()]).await.unwrap().remove(0);
    assert_eq!(candidate, passage);
}

#[test]
fn the_model_id_is_the_folder_s_name_and_the_file_s_hash() {
    assert_eq!(embedder().model().id.to_string(), "minilm@759c3cd2b7fe");
}

#[test]
fn a_missing_model_or_library_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing_model = EmbedderOptions { model_dir: folder.path().to_owned(), ..options() };
    std::fs::copy(cached("models/minilm/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let error = OnnxEmbedder::load(missing_model, &MetricsRegistry::new()).err().unwrap().to_string();
    assert!(error.contains("model.onnx") && error.contains("make models"), "{error}");
    let missing_library = EmbedderOptions { runtime_library: "/nowhere/libonnxruntime.so".into(), ..options() };
    let error = OnnxEmbedder::load(missing_library, &MetricsRegistry::new()).err().unwrap().to_string();
    assert!(error.contains("/nowhere/libonnxruntime.so"), "{error}");
}

#[test]
fn a_file_that_is_no_model_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(cached("models/minilm/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("model.onnx"), b"not a model").unwrap();
    let broken = EmbedderOptions { model_dir: folder.path().to_owned(), ..options() };
    let error = OnnxEmbedder::load(broken, &MetricsRegistry::new()).err().unwrap();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    assert!(error.to_string().contains("model.onnx"), "{error}");
}
