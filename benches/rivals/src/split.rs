//! The crate text-splitter, with the embedding model's own tokenizer as its measure.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Deserialize;
use text_splitter::{ChunkConfig, CodeSplitter, MarkdownSplitter, TextSplitter};
use tokenizers::Tokenizer;

/// A text to split.
#[derive(Debug, Deserialize)]
pub struct Document {
    /// Its text.
    pub text: String,
    /// It is Rust; else it is Markdown.
    pub code: bool,
}

/// One splitter for each kind of text.
pub struct Splitters {
    plain: TextSplitter<Tokenizer>,
    markdown: MarkdownSplitter<Tokenizer>,
    code: CodeSplitter<Tokenizer>,
}

impl Splitters {
    /// Splitters into chunks of so many tokens at most.
    pub fn load(tokenizer: &Path, max_tokens: usize) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(tokenizer).map_err(|error| anyhow!("{error}"))?;
        tokenizer.with_truncation(None).map_err(|error| anyhow!("{error}"))?;
        tokenizer.with_padding(None);
        tokenizer.set_encode_special_tokens(true);
        let config = || ChunkConfig::new(max_tokens).with_sizer(tokenizer.clone());
        Ok(Self {
            plain: TextSplitter::new(config()),
            markdown: MarkdownSplitter::new(config()),
            code: CodeSplitter::new(tree_sitter_rust::LANGUAGE, config())?,
        })
    }

    /// All documents as plain text: how many chunks there are.
    pub fn plain(&self, documents: &[Document]) -> usize {
        documents.iter().map(|document| self.plain.chunks(&document.text).map(black_box).count()).sum()
    }

    /// All documents along their structure.
    pub fn structured(&self, documents: &[Document]) -> usize {
        let chunks = |document: &Document| match document.code {
            true => self.code.chunks(&document.text).map(black_box).count(),
            false => self.markdown.chunks(&document.text).map(black_box).count(),
        };
        documents.iter().map(chunks).sum()
    }
}
