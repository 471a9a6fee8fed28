//! Text to tokens, with exact byte positions.

use std::path::Path;

use twin_embedding::TokenSpan;

use crate::Error;

/// Long texts are tokenised in pieces of about this many bytes, cut at white space. A tokenizer takes a hundred times
/// the memory of its text: that of a small piece stays in the processor's cache, which is a tenth faster than 64 KiB.
const SEGMENT_BYTES: usize = 4 << 10;

/// Bytes of text for each token of the window that are looked at when encoding for a model. No more than the
/// window is kept, and a word of over 100 characters is one unknown token, so nothing of a real text is lost.
const BYTES_PER_WINDOW_TOKEN: usize = 256;

/// A Hugging Face `tokenizer.json`, without the truncation and padding that such files carry.
#[derive(Clone)]
pub struct HuggingFaceTokenizer {
    inner: tokenizers::Tokenizer,
}

impl std::fmt::Debug for HuggingFaceTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HuggingFaceTokenizer")
            .field("vocabulary", &self.inner.get_vocab_size(true))
            .finish_non_exhaustive()
    }
}

impl HuggingFaceTokenizer {
    /// Reads a `tokenizer.json`.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
        let refused =
            |problem: tokenizers::Error| Error::TokenizerFile { path: path.to_owned(), problem: problem.to_string() };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(refused)?;
        // The published file of MiniLM cuts every text at 128 tokens and fills every text up to 128.
        inner.with_truncation(None).map_err(refused)?;
        inner.with_padding(None);
        // "[SEP]" in a text is five letters and brackets, never a control token: text is data.
        inner.set_encode_special_tokens(true);
        Ok(Self { inner })
    }

    /// How many special tokens a text is put between.
    pub fn special_tokens(&self) -> Result<usize, Error> {
        let empty = self.inner.encode_fast("", true).map_err(|error| Error::Tokenise(error.to_string()))?;
        Ok(empty.len())
    }

    /// The ids of a text for a model, special tokens included: at most `max_tokens` of them. A longer text loses
    /// its end, never the closing special tokens.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>, Error> {
        let text = text.trim_start();
        let text = &text[..text.floor_char_boundary(max_tokens.saturating_mul(BYTES_PER_WINDOW_TOKEN))];
        let encoding = self.inner.encode_fast(text, true).map_err(|error| Error::Tokenise(error.to_string()))?;
        let ids = encoding.get_ids();
        if ids.len() <= max_tokens {
            return Ok(ids.to_vec());
        }
        let closing = encoding.get_special_tokens_mask().iter().rev().take_while(|&&special| special == 1).count();
        let kept = max_tokens.saturating_sub(closing);
        Ok([&ids[..kept], &ids[ids.len() - closing..]].concat())
    }
}

impl twin_embedding::Tokenizer for HuggingFaceTokenizer {
    fn spans(&self, text: &str) -> Result<Vec<TokenSpan>, twin_embedding::Error> {
        let mut spans = Vec::with_capacity(text.len() / 4);
        for (segment_start, segment) in segments(text) {
            let encoding = self.inner.encode(segment, false).map_err(|error| Error::Tokenise(error.to_string()))?;
            let mut previous_word = None;
            for (&(start, end), &word) in encoding.get_offsets().iter().zip(encoding.get_word_ids()) {
                spans.push(TokenSpan {
                    start: segment_start + start,
                    end: segment_start + end,
                    starts_word: previous_word.is_none() || word != previous_word,
                });
                previous_word = word;
            }
        }
        Ok(spans)
    }

    fn count(&self, text: &str) -> Result<usize, twin_embedding::Error> {
        let mut count = 0;
        for (_, segment) in segments(text) {
            let encoding = self.inner.encode_fast(segment, false);
            count += encoding.map_err(|error| Error::Tokenise(error.to_string()))?.len();
        }
        Ok(count)
    }
}

/// Pieces of at least [`SEGMENT_BYTES`], cut before white space (words are never cut), with their positions.
fn segments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == text.len() {
            return None;
        }
        let earliest = text.ceil_char_boundary((start + SEGMENT_BYTES).min(text.len()));
        let end = text[earliest..].find(char::is_whitespace).map_or(text.len(), |position| earliest + position);
        let segment = (start, &text[start..end]);
        start = end;
        Some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_the_text_and_cut_only_before_white_space() {
        let text = "é word ".repeat(60_000);
        let pieces: Vec<_> = segments(&text).collect();
        assert!(pieces.len() > 5);
        let mut position = 0;
        for (start, piece) in &pieces {
            assert_eq!(*start, position);
            assert!(*start == 0 || piece.starts_with(char::is_whitespace));
            position += piece.len();
        }
        assert_eq!(position, text.len());
        assert_eq!(segments("").count(), 0);
    }
}
