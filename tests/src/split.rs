//! Two processes over one Kafka cluster and one data folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use tempfile::TempDir;
use twin_stack::{Kafka, TwinOptions, TwinProcess};

use crate::fast_answers;

/// The gateway and inference in one process, all that collects and indexes in another.
#[derive(Debug)]
pub struct Split {
    /// The process with the gateway.
    pub front: TwinProcess,
    /// The process that collects and indexes.
    pub back: TwinProcess,
    _launcher: TempDir,
}

impl Split {
    /// Starts both.
    ///
    /// # Errors
    /// As [`TwinProcess::start`].
    pub fn start(kafka: &Kafka) -> Result<Self> {
        let url = format!("kafka://{}", kafka.bootstrap());
        let variables = [("TWIN_LOG_URL", url.as_str())];
        let options = |services: &[&str]| {
            let arguments = services.iter().map(|service| (*service).to_owned()).collect();
            TwinOptions { arguments, ..fast_answers(&variables) }
        };
        let front = TwinProcess::start(options(&["gateway", "inference"]))?;
        let launcher = TempDir::with_prefix("twin-launcher-")?;
        let mut back = options(&["crawler", "cleaner", "chunker", "embedder"]);
        back.binary = Some(on_folder_of(&front, &launcher)?);
        let back = TwinProcess::start(back)?;
        Ok(Self { front, back, _launcher: launcher })
    }
}

/// A program that starts twin with another process's data folder instead of the one that [`TwinProcess`] names.
fn on_folder_of(other: &TwinProcess, place: &TempDir) -> Result<std::path::PathBuf> {
    let command = other.command(&[]);
    let binary = command.get_program().to_str().context("the path of the binary is UTF-8")?;
    let data = other.data().to_str().context("the path of the data folder is UTF-8")?;
    let script = format!("#!/bin/sh\n# run --data FOLDER …\nshift 3\nexec '{binary}' run --data '{data}' \"$@\"\n");
    let path = place.path().join("twin");
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
