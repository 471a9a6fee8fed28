//! Chunks of any text in any language: they cover the text without a gap, and fit.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use twin_chunker::{Options, chunk};
use twin_onnx::HuggingFaceTokenizer;
use twin_schemas::{Category, CleanedDocument};

#[path = "../src/document.rs"]
mod document;

const LANGUAGES: [&str; 7] = ["rust", "python", "javascript", "typescript", "tsx", "go", "java"];

static TOKENIZER: LazyLock<HuggingFaceTokenizer> = LazyLock::new(|| {
    let cache = std::env::var_os("TWIN_CACHE").map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/llm-twin"));
    HuggingFaceTokenizer::from_file(&cache.join("models/minilm/tokenizer.json")).expect("`make models` was run")
});

fuzz_target!(|input: (u8, &str)| {
    let (kind, text) = input;
    let language = LANGUAGES.get(usize::from(kind) / Category::ALL.len()).map(|name| (*name).to_owned());
    let category = Category::ALL[usize::from(kind) % Category::ALL.len()];
    let meta = document::meta(category);
    let document = CleanedDocument { meta, text: text.to_owned(), language: None, code_language: language };
    let options = Options { max_tokens: 32, ..Options::default() };
    let chunks = chunk(&document, &*TOKENIZER, &options).expect("any text can be cut");
    let mut end = 0;
    for chunk in &chunks {
        assert_eq!(chunk.span.start, end);
        assert!(chunk.token_count <= 32, "{chunk:?}");
        end = chunk.span.end;
    }
    assert!(chunks.is_empty() || end as usize == text.len());
});
