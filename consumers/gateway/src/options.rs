//! What can be set, and what is checked before anything starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The REST gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How long a query may take in all, milliseconds. The inference consumers are told, and stop when it has passed.
    pub request_timeout_ms: u64,
    /// How long the log may take to accept a query, milliseconds. Longer than that, it is away: the query is refused
    /// with 503.
    pub publish_timeout_ms: u64,
    /// The largest request body, bytes. Of an NDJSON upload: the most that is held in memory at a time; the upload
    /// itself may be longer.
    pub max_body_bytes: u64,
    /// The longest line of an NDJSON upload, bytes.
    pub max_line_bytes: u64,
    /// The most lines of an NDJSON upload: its response names each document.
    pub max_lines: u64,
    /// The largest file that may be uploaded to a source, bytes.
    pub max_upload_bytes: u64,
    /// The most files that may be uploaded to one source. A zip archive is one.
    pub max_uploads_per_source: u64,
    /// Queries worked on at a time; one more is refused at once with 503.
    pub max_in_flight: u64,
    /// The `Retry-After` of a refused query, seconds.
    pub retry_after_s: u64,
    /// Passages to retrieve where the request does not say.
    pub k: u32,
    /// The most passages that a request may ask for.
    pub max_k: u32,
    /// The longest question, characters.
    pub max_question_chars: u64,
    /// The longest conversation, all messages together, characters.
    pub max_conversation_chars: u64,
    /// The most texts of one embedding.
    pub max_embedding_texts: u64,
    /// The longest embedding, all texts together, characters.
    pub max_embedding_chars: u64,
    /// Whose twin answers where the request names no author. None: the author must be named.
    pub default_author: Option<String>,
    /// How long requests in flight may go on after a shutdown began, seconds.
    pub drain_s: u64,
    /// Silence on the event stream of an answer after which a comment is sent to keep the connection open, seconds.
    pub keep_alive_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout_ms: 120_000,
            publish_timeout_ms: 5_000,
            max_body_bytes: 32 << 20,
            max_line_bytes: 8 << 20,
            max_lines: 100_000,
            max_upload_bytes: 512 << 20,
            max_uploads_per_source: 10_000,
            max_in_flight: 64,
            retry_after_s: 2,
            k: 5,
            max_k: 50,
            max_question_chars: 8_000,
            max_conversation_chars: 64_000,
            max_embedding_texts: 2_048,
            max_embedding_chars: 2_000_000,
            default_author: None,
            drain_s: 20,
            keep_alive_s: 15,
        }
    }
}

impl Options {
    /// Checks each value, and the values against each other.
    pub fn validate(&self) -> Result<(), Error> {
        let at_least_one = [
            ("request_timeout_ms", self.request_timeout_ms),
            ("publish_timeout_ms", self.publish_timeout_ms),
            ("max_body_bytes", self.max_body_bytes),
            ("max_line_bytes", self.max_line_bytes),
            ("max_lines", self.max_lines),
            ("max_upload_bytes", self.max_upload_bytes),
            ("max_uploads_per_source", self.max_uploads_per_source),
            ("max_in_flight", self.max_in_flight),
            ("retry_after_s", self.retry_after_s),
            ("k", u64::from(self.k)),
            ("max_question_chars", self.max_question_chars),
            ("max_conversation_chars", self.max_conversation_chars),
            ("max_embedding_texts", self.max_embedding_texts),
            ("max_embedding_chars", self.max_embedding_chars),
            ("keep_alive_s", self.keep_alive_s),
        ];
        if let Some((field, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::option(field, "must be at least 1"));
        }
        if self.max_k < self.k {
            return Err(Error::option("max_k", format!("is {}, less than k = {}", self.max_k, self.k)));
        }
        if self.max_line_bytes > self.max_body_bytes {
            return Err(Error::option("max_line_bytes", "is more than max_body_bytes"));
        }
        if self.max_in_flight > MAX_IN_FLIGHT {
            return Err(Error::option("max_in_flight", format!("is more than {MAX_IN_FLIGHT}")));
        }
        Ok(())
    }
}

/// Far above what one gateway serves, far below what a semaphore holds.
const MAX_IN_FLIGHT: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Options::default().validate().unwrap();
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name() {
        let zero = Options { k: 0, ..Options::default() };
        assert!(zero.validate().unwrap_err().to_string().contains("gateway.k "));
        let crossed = Options { k: 60, ..Options::default() };
        assert!(crossed.validate().unwrap_err().to_string().contains("gateway.max_k "));
    }
}
