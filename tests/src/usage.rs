//! What a process takes of the machine, as the kernel tells it (`man proc`).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use twin_stack::TwinProcess;

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory of its own, megabytes. Pages of mapped files are not in it: there are as many as the files are long, and
    /// the kernel takes them back when it needs them.
    pub memory_mb: u64,
    /// Open file descriptors.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// What a twin takes now.
    ///
    /// # Errors
    /// It does not run.
    pub fn of(twin: &TwinProcess) -> Result<Self> {
        let process = Path::new("/proc").join(twin.id().context("twin does not run")?.to_string());
        let status = fs::read_to_string(process.join("status")).context("twin does not run")?;
        let field = |name: &str| -> Result<u64> {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).context("a line is missing")?;
            Ok(value.split_whitespace().next().context("a line is empty")?.parse()?)
        };
        let files = fs::read_dir(process.join("fd"))?.count() as u64;
        Ok(Self { memory_mb: field("RssAnon:")? >> 10, files, threads: field("Threads:")? })
    }

    /// What some take together.
    ///
    /// # Errors
    /// One does not run.
    pub fn of_all(twins: &[TwinProcess]) -> Result<Self> {
        twins.iter().map(Self::of).try_fold(Self::default(), |sum, one| {
            let Self { memory_mb, files, threads } = one?;
            let (files, threads) = (sum.files + files, sum.threads + threads);
            Ok(Self { memory_mb: sum.memory_mb + memory_mb, files, threads })
        })
    }
}

/// Megabytes of all files in a folder and below it.
///
/// # Errors
/// It can not be read.
pub fn disk_mb(folder: &Path) -> Result<u64> {
    Ok(bytes(folder)? >> 20)
}

fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may go between the listing and the look at it.
        let Ok(metadata) = entry.metadata() else { continue };
        sum += if metadata.is_dir() { bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}
