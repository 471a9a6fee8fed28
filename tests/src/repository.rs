//! A git repository, made with the git binary.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A repository with one commit at a time on its branch.
#[derive(Debug)]
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// A repository with these files committed.
    ///
    /// # Errors
    /// git is not there, or failed.
    pub fn new(files: &[(&str, &str)]) -> Result<Self> {
        let repository = Self { folder: TempDir::with_prefix("twin-repository-")? };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.commit(files)?;
        Ok(repository)
    }

    /// Writes these files and commits them.
    ///
    /// # Errors
    /// git failed.
    pub fn commit(&self, files: &[(&str, &str)]) -> Result<()> {
        for (path, text) in files {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, text)?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "A commit"])
    }

    /// Where it is.
    pub fn location(&self) -> &str {
        self.folder.path().to_str().unwrap_or_default()
    }

    /// The settings of the machine's user play no part.
    fn git(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .output()
            .context("cannot run git")?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
