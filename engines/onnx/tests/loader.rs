//! The model of an index is found by its content.

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;

use common::{cached, options};
use twin_embedding::{Embedder, EmbedderLoader, EmbeddingModel, EmbeddingModelId};
use twin_onnx::{EmbedderOptions, OnnxLoader};
use twin_telemetry::MetricsRegistry;

/// A folder with the real model.
fn model_in(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for file in ["model.onnx", "tokenizer.json"] {
        symlink(cached(&format!("models/minilm/{file}")), folder.join(file)).unwrap();
    }
}

fn loader(model_dir: &Path) -> OnnxLoader {
    let options = EmbedderOptions { model_dir: model_dir.to_owned(), sessions: 1, ..options() };
    OnnxLoader::new(options, &MetricsRegistry::new()).unwrap()
}

/// What an index keeps of the model in a folder.
fn kept(folder: &Path) -> EmbeddingModel {
    loader(folder).load_configured().unwrap().model().clone()
}

#[tokio::test]
async fn a_model_whose_folder_was_moved_is_found_beside_the_configured_one() {
    let home = tempfile::tempdir().unwrap();
    let (before, after) = (home.path().join("elsewhere/first"), home.path().join("models/renamed"));
    model_in(&before);
    let model = kept(&before);
    std::fs::create_dir_all(after.parent().unwrap()).unwrap();
    std::fs::rename(&before, &after).unwrap();
    // The configuration names a model that is not there: all that counts here is the folder that it is in.
    let loaded = loader(&home.path().join("models/configured")).load(&model).await.unwrap();
    assert_eq!(
        (loaded.model().id.clone(), loaded.model().id.to_string()),
        (model.id, "renamed@759c3cd2b7fe".to_owned())
    );
    let there = serde_json::to_string(&after).unwrap();
    assert!(loaded.model().settings.contains(&there), "{}", loaded.model().settings);
    assert_eq!(loaded.embed_query("cat".to_owned()).await.unwrap().len(), model.dimension);
}

#[tokio::test]
async fn a_neighbour_with_the_same_model_and_another_tokenizer_is_not_taken() {
    let home = tempfile::tempdir().unwrap();
    let (first, models) = (home.path().join("elsewhere/first"), home.path().join("models"));
    model_in(&first);
    let model = kept(&first);
    // By name it comes before the right one.
    let other = models.join("a-neighbour");
    model_in(&other);
    let tokenizer = other.join("tokenizer.json");
    let text = std::fs::read_to_string(&tokenizer).unwrap();
    std::fs::remove_file(&tokenizer).unwrap();
    std::fs::write(&tokenizer, format!("{text}\n")).unwrap();
    std::fs::remove_dir_all(&first).unwrap();
    let loader = loader(&models.join("configured"));
    let error = loader.load(&model).await.err().unwrap();
    assert!(error.to_string().contains("is in none of"), "{error}");

    model_in(&models.join("the-same"));
    let loaded = loader.load(&model).await.unwrap();
    assert_eq!(loaded.model().id.to_string(), "the-same@759c3cd2b7fe");

    // An index of an earlier version does not know its tokenizer, and its model's id is what it was.
    let mut settings: serde_json::Value = serde_json::from_str(&model.settings).unwrap();
    assert!(settings.as_object_mut().unwrap().remove("tokenizer").is_some());
    let loaded = loader.load(&EmbeddingModel { settings: settings.to_string(), ..model }).await.unwrap();
    assert_eq!(loaded.model().id.to_string(), "a-neighbour@759c3cd2b7fe");
}

#[tokio::test]
async fn the_prefixes_and_the_window_are_those_of_the_vectors_and_not_the_configured_ones() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    model_in(&folder);
    let options = EmbedderOptions {
        model_dir: folder.clone(),
        sessions: 1,
        max_tokens: 128,
        passage_prefix: "passage: ".to_owned(),
        ..options()
    };
    let prefixed = OnnxLoader::new(options, &MetricsRegistry::new()).unwrap().load_configured().unwrap();
    let plain = kept(&folder);
    assert_ne!(prefixed.model().id, plain.id);
    let loaded = loader(&folder).load(prefixed.model()).await.unwrap();
    assert_eq!((loaded.model(), loaded.max_tokens()), (prefixed.model(), 128));
}

#[tokio::test]
async fn another_model_in_the_same_place_is_not_taken_for_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models/first");
    model_in(&folder);
    let model = EmbeddingModel { id: EmbeddingModelId::new("first", "000000000000"), ..kept(&folder) };
    let error = loader(&folder).load(&model).await.err().unwrap();
    let told = error.to_string();
    assert!(told.contains("first@000000000000") && told.contains(&folder.display().to_string()), "{told}");
    assert!(!error.is_transient());
}
