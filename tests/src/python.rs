//! Python programs that test what a twin gives.

use std::path::PathBuf;

use anyhow::{Result, bail};
use twin_stack::cache_folder;

/// The interpreter of the virtual environment that `scripts/python` makes; its programs are beside it.
///
/// # Errors
/// It is not there: the message says what to run.
pub fn python() -> Result<PathBuf> {
    let folder = cache_folder()?.join("python");
    // The script leaves a marker named after the versions when all is there.
    let is_marker = |name: &str| {
        name.starts_with(".ok-") && ["openai==", "schemathesis==", "datasets=="].iter().all(|part| name.contains(part))
    };
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    if !entries.into_iter().any(|entry| entry.file_name().to_str().is_some_and(is_marker)) {
        bail!("the Python programs for tests are not installed in {}: run scripts/python", folder.display());
    }
    Ok(folder.join("bin/python"))
}
