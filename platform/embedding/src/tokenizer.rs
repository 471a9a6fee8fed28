use crate::Error;

/// One token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSpan {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Whether a word begins here. A text cut here has the same tokens in its two parts as it had whole.
    pub starts_word: bool,
}

/// Text to tokens, with exact byte positions. Special tokens, which a model puts around a text, are not counted.
pub trait Tokenizer: Send + Sync {
    /// The tokens of a text, in order. Bytes between two tokens belong to none.
    fn spans(&self, text: &str) -> Result<Vec<TokenSpan>, Error>;

    /// How many tokens a text has.
    fn count(&self, text: &str) -> Result<usize, Error>;
}
