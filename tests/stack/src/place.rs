//! Where things are: the cache folder, temporary folders, free ports.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

const PREFIX: &str = "twin-stack-";

/// The folder that the scripts install into: `TWIN_CACHE`, or `~/.cache/llm-twin`.
///
/// # Errors
/// Neither `TWIN_CACHE` nor `HOME` is set.
pub fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("TWIN_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = env::var_os("HOME").context("neither TWIN_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/llm-twin"))
}

/// A new temporary folder that is removed when the value is dropped.
///
/// Its name carries this process's id, so that a later test run can remove what a killed one, or a server
/// that lives as long as its process, has left.
pub(crate) fn temporary_folder(name: &str) -> Result<TempDir> {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(remove_folders_of_dead_processes);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-{name}-", process::id()))
        .tempdir()
        .context("cannot make a temporary folder")
}

fn remove_folders_of_dead_processes() {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let Some(owner) = rest.split('-').next().and_then(|id| id.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            // Another test run may sweep at the same time: what is gone is gone.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A loopback port that nobody listens on, handed out once by this process.
///
/// It lies below the range from which the kernel takes ports for outgoing connections. Otherwise, while a
/// server is down for a test, a client could be given the port, or even connect to itself.
pub(crate) fn free_port() -> Result<u16> {
    static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    let mut guard = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let handed_out = guard.get_or_insert_default();
    for _ in 0..1000 {
        // A hasher's random keys: the standard library's only source of randomness.
        let random = RandomState::new().build_hasher().finish();
        let port = FIRST + (random % u64::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && handed_out.insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port on loopback between {FIRST} and {}", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_handed_out_twice() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        // A child that another test starts holds our sockets for the moment between its fork and its exec.
        let is_free = |port: &u16| {
            (0..100).any(|_| {
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
                if !bound {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                bound
            })
        };
        assert!(ports.iter().all(is_free));
    }

    #[test]
    fn a_folder_of_a_dead_process_is_swept_and_one_of_a_living_process_is_not() {
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let stale = env::temp_dir().join(format!("{PREFIX}{}-test-stale", ended.id()));
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join("log"), "old").unwrap();
        let living = temporary_folder("test").unwrap();
        remove_folders_of_dead_processes();
        assert!(!stale.exists());
        assert!(living.path().exists());
    }
}
