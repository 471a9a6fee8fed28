//! Documents, and the real tokenizer.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::OnceLock;

use twin_chunker::{Options, chunk};
use twin_embedding::Tokenizer;
use twin_onnx::HuggingFaceTokenizer;
use twin_schemas::{Category, Chunk, CleanedDocument, ContentHash, DocumentKey, DocumentMeta, Revision, SourceKind};

/// The tokenizer of `make models`. A missing one fails the test: it is never skipped.
pub fn tokenizer() -> &'static HuggingFaceTokenizer {
    static TOKENIZER: OnceLock<HuggingFaceTokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let cache = std::env::var_os("TWIN_CACHE")
            .map(PathBuf::from)
            .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/llm-twin"));
        let file = cache.join("models/minilm/tokenizer.json");
        assert!(file.exists(), "{} is missing: run `make models`", file.display());
        HuggingFaceTokenizer::from_file(&file).unwrap()
    })
}

/// A small window, so that samples stay readable.
pub fn small(max_tokens: usize) -> Options {
    Options { max_tokens, min_share: 0.5, merge_below_tokens: max_tokens / 4, ..Options::default() }
}

pub fn document(category: Category, text: &str) -> CleanedDocument {
    let key = DocumentKey {
        source_kind: SourceKind::new("folder"),
        author: "ada".parse().unwrap(),
        scope: "/notes".to_owned(),
        identity: "sample".to_owned(),
    };
    CleanedDocument {
        meta: DocumentMeta {
            document_id: key.id(),
            revision: Revision::FIRST,
            author: key.author.clone(),
            category,
            source_kind: key.source_kind.clone(),
            natural_key: "sample".to_owned(),
            title: Some("The title".to_owned()),
            url: None,
            published_at: None,
            observed_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            content_hash: ContentHash::sha256([text.as_bytes()]),
        },
        text: text.to_owned(),
        language: Some("eng".to_owned()),
        code_language: None,
    }
}

/// Chunks a text and checks everything that holds for any text.
pub fn chunked(document: &CleanedDocument, options: &Options) -> Vec<Chunk> {
    let chunks = chunk(document, tokenizer(), options).unwrap();
    let text = &document.text;
    let mut position = 0;
    for (ordinal, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, ordinal);
        assert_eq!(chunk.span.start, position, "a gap before chunk {ordinal}");
        assert!(chunk.span.end > chunk.span.start, "chunk {ordinal} is empty");
        position = chunk.span.end;
        assert_eq!(chunk.text, text[chunk.span.start as usize..chunk.span.end as usize]);
        assert_eq!(chunk.content_hash, ContentHash::sha256([chunk.text.as_bytes()]));
        let tokens = tokenizer().count(&chunk.text).unwrap();
        assert_eq!(chunk.token_count as usize, tokens, "the count of {:?}", chunk.text);
        assert!(tokens <= options.max_tokens, "{tokens} tokens in chunk {ordinal}: {:?}", chunk.text);
    }
    if tokenizer().count(text).unwrap() == 0 {
        assert!(chunks.is_empty(), "a text without a token has no chunks");
    } else {
        assert_eq!(position as usize, text.len(), "the end is missing");
    }
    assert_eq!(chunk(document, tokenizer(), options).unwrap(), chunks, "the same text gives the same chunks");
    chunks
}

pub fn article(text: &str, options: &Options) -> Vec<Chunk> {
    chunked(&document(Category::Article, text), options)
}

pub fn code(language: &str, text: &str, options: &Options) -> Vec<Chunk> {
    let document = CleanedDocument { code_language: Some(language.to_owned()), ..document(Category::Code, text) };
    chunked(&document, options)
}

/// Each chunk's first line and path.
pub fn heads(chunks: &[Chunk]) -> Vec<(String, String)> {
    let head = |chunk: &Chunk| chunk.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").to_owned();
    chunks.iter().map(|chunk| (head(chunk), chunk.heading_path.join(" > "))).collect()
}

/// For comparing with [`heads`].
pub fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(head, path)| ((*head).to_owned(), (*path).to_owned())).collect()
}
