use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the cleaner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Largest content of a document, bytes. A larger one is rejected.
    pub max_bytes: usize,
    /// Deepest nesting of HTML elements. A deeper page is rejected: parsing takes time quadratic in the depth.
    pub max_depth: usize,
    /// Most tags of an HTML document. A page with more is rejected.
    pub max_tags: usize,
    /// Most processor time spent on one document, milliseconds. One that takes more is rejected; one that only waits for
    /// a processor is tried again.
    pub deadline_ms: u64,
    /// Documents cleaned at the same time, one thread each; 0: one per core.
    pub threads: usize,
    /// Threads, past their deadline, that may go on in the background while others take their place. When so many are
    /// stuck, further ones keep their places.
    pub max_abandoned_threads: usize,
    /// Fewest words of an article that came as HTML: with fewer, nothing but a frame was fetched.
    pub min_words_html: usize,
    /// Fewest words of every other prose document.
    pub min_words_text: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 20,
            max_depth: 512,
            max_tags: 200_000,
            deadline_ms: 5000,
            threads: 0,
            max_abandoned_threads: 4,
            min_words_html: 5,
            min_words_text: 1,
        }
    }
}

impl Options {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}
