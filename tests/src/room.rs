//! How much a process may write: what a full disk is to a program, without filling one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// A program that starts `binary`, in that folder. A write beyond a limit then fails as on a full disk and does not end
/// the process: it inherits that the signal of it is ignored, and so do its children. `room`: no file of it grows
/// beyond so many bytes, from the beginning.
///
/// # Errors
/// It can not be written.
pub fn bounded(folder: &Path, binary: &Path, room: Option<u64>) -> Result<PathBuf> {
    let path = folder.join("twin");
    let limit = room.map(|bytes| format!("prlimit --fsize={bytes}:unlimited ")).unwrap_or_default();
    fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nexec {limit}'{}' \"$@\"\n", binary.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// From now on no file of the process grows beyond so many bytes; none: it has room again.
///
/// # Errors
/// The process is gone.
pub fn bound(process: u32, room: Option<u64>) -> Result<()> {
    let limit = room.map_or("unlimited".to_owned(), |bytes| format!("{bytes}:unlimited"));
    let set = Command::new("prlimit").args(["--pid", &process.to_string(), &format!("--fsize={limit}")]).status()?;
    ensure!(set.success(), "prlimit ended with {set}");
    Ok(())
}
