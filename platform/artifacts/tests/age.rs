//! How old what is stored counts, in a folder whose clock can be put back.

use std::fs::{File, metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use twin_artifacts::Artifacts;

const CONTENT: &[u8] = b"{}";

struct Store {
    home: tempfile::TempDir,
    artifacts: Artifacts,
}

impl Store {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::in_folder(&home.path().join("artifacts")).unwrap();
        Self { home, artifacts }
    }

    fn path_of(&self, name: &str) -> PathBuf {
        let digest = name.strip_prefix("sha256:").unwrap();
        self.home.path().join("artifacts").join(&digest[..2]).join(digest)
    }

    fn file(&self) -> PathBuf {
        let path = self.home.path().join("file");
        std::fs::write(&path, CONTENT).unwrap();
        path
    }
}

/// Makes a file look as if it had been written a month ago.
fn age(path: &Path) {
    File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(30 * 24 * 60 * 60)).unwrap();
}

fn a_week_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(7)
}

#[tokio::test]
async fn what_is_stored_again_counts_from_then_on() {
    let store = Store::new();
    let name = store.artifacts.put(CONTENT.to_vec()).await.unwrap();
    let path = store.path_of(&name);
    age(&path);
    assert_eq!(store.artifacts.put_file(&store.file()).await.unwrap().artifact, name);
    assert!(!store.artifacts.delete_unless_written_since(&name, a_week_ago()).await.unwrap(), "`put_file` made it new");
    age(&path);
    store.artifacts.put(CONTENT.to_vec()).await.unwrap();
    assert!(!store.artifacts.delete_unless_written_since(&name, a_week_ago()).await.unwrap(), "`put` made it new");
    age(&path);
    assert!(store.artifacts.delete_unless_written_since(&name, a_week_ago()).await.unwrap());
    assert!(store.artifacts.get(&name).await.is_err());
}

/// As many deletions of what looks old as there are writers of the same: whoever was told that it is stored finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_stored_while_it_was_being_deleted_is_there() {
    let store = Store::new();
    let file = store.file();
    let name = store.artifacts.put(CONTENT.to_vec()).await.unwrap();
    for round in 0..300 {
        age(&store.path_of(&name));
        let (delete, put) = (store.artifacts.clone(), store.artifacts.clone());
        let (victim, file) = (name.clone(), file.clone());
        let deleting = tokio::spawn(async move { delete.delete_unless_written_since(&victim, a_week_ago()).await });
        let putting = tokio::spawn(async move { put.put_file(&file).await });
        deleting.await.unwrap().unwrap();
        putting.await.unwrap().unwrap();
        assert_eq!(store.artifacts.get(&name).await.unwrap(), CONTENT, "round {round}");
    }
}

#[tokio::test]
async fn what_dead_writers_have_left_goes_and_what_a_dead_collector_has_left_comes_back() {
    let store = Store::new();
    let name = store.artifacts.put(CONTENT.to_vec()).await.unwrap();
    let path = store.path_of(&name);
    let upload = |number: u8| path.with_file_name(format!("{}#{number}", path.file_name().unwrap().to_string_lossy()));
    for number in [1, 2] {
        std::fs::write(upload(number), "half").unwrap();
    }
    age(&upload(1));
    std::fs::rename(&path, path.with_extension("leaving")).unwrap();
    assert_eq!(store.artifacts.delete_leftovers(a_week_ago()).await.unwrap(), 4);
    assert_eq!([upload(1).exists(), upload(2).exists()], [false, true], "the second may still be written");
    assert_eq!(store.artifacts.get(&name).await.unwrap(), CONTENT);
    assert!(metadata(path.with_extension("leaving")).is_err());
}
