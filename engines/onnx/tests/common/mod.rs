//! Where the real model is.

use std::path::PathBuf;

use twin_onnx::EmbedderOptions;

/// A file under `TWIN_CACHE` (default `~/.cache/llm-twin`). A missing one fails the test: it is never skipped.
pub fn cached(path: &str) -> PathBuf {
    let cache = std::env::var_os("TWIN_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/llm-twin"));
    let file = cache.join(path);
    assert!(file.exists(), "{} is missing: run `make models`", file.display());
    file
}

/// The real model with two sessions.
#[allow(dead_code)]
pub fn options() -> EmbedderOptions {
    EmbedderOptions {
        model_dir: cached("models/minilm/model.onnx").parent().expect("a folder").to_owned(),
        runtime_library: cached("onnxruntime/libonnxruntime.so"),
        sessions: 2,
        ..EmbedderOptions::default()
    }
}
