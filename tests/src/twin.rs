//! A started twin.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use twin_stack::{TwinOptions, TwinProcess};
use uuid::Uuid;

/// Settings under which the default model writes answers, each within a second on two cores, and more variables: the tests
/// look at the plumbing, not at the prose, so that no answer is replaced for what it says. What it does not write but quote is
/// tried in `tests/quoted_answers.rs`.
pub fn fast_answers(variables: &[(&str, &str)]) -> TwinOptions {
    let settings = [
        ("TWIN_ANSWERS_MODE", "generate"),
        ("TWIN_ANSWERS_MIN_GROUNDED", "0"),
        ("TWIN_LLM_MAX_TOKENS", "24"),
        ("TWIN_LLM_PROMPT_PASSAGES", "1"),
        // Samples would follow that, and have no passage beside the right one.
        ("TWIN_DATASETS_BUILD_PROMPT_PASSAGES", "3"),
        ("TWIN_CRAWLER_POLL_MS", "50"),
    ];
    let environment = settings.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    TwinOptions { environment: environment.collect(), ..TwinOptions::default() }
}

/// Starts a twin with [`fast_answers`].
///
/// # Errors
/// As [`TwinProcess::start`].
pub fn start(variables: &[(&str, &str)]) -> Result<TwinProcess> {
    TwinProcess::start(fast_answers(variables))
}

/// A name that no other test has.
pub fn author() -> String {
    format!("author-{}", Uuid::new_v4().simple())
}

/// Something that takes seconds to start and that all tests of a file share. It lives until the process ends.
pub struct Shared<T>(OnceLock<Result<Arc<T>, String>>);

impl<T> Shared<T> {
    /// Not started yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The one; the first caller starts it.
    ///
    /// # Errors
    /// It did not start; each caller gets that error.
    pub fn get(&self, start: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let started = self.0.get_or_init(|| start().map(Arc::new).map_err(|error| format!("{error:#}")));
        started.clone().map_err(|message| anyhow!("{message}"))
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}
