//! Numbers that a test measured, for those who want to see them.

use std::fs;

use anyhow::Result;
use twin_stack::cache_folder;

/// Writes a file into `reports` in the cache folder. No test hangs on what is in it.
///
/// # Errors
/// It can not be written.
pub fn report(name: &str, text: &str) -> Result<()> {
    let folder = cache_folder()?.join("reports");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), text)?)
}
