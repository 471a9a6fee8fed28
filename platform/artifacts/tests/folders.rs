//! Folders of files, into the store and back, also by several at once.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use twin_artifacts::{Artifacts, Error, FolderFile};

/// Larger than what is read of a file at a time.
const WEIGHTS: usize = (4 << 20) + 9;

struct Made {
    home: TempDir,
    artifacts: Artifacts,
    files: Vec<FolderFile>,
}

/// A folder that was stored.
async fn made() -> Made {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("made");
    std::fs::create_dir_all(folder.join("inner")).unwrap();
    std::fs::write(folder.join("weights"), vec![7; WEIGHTS]).unwrap();
    std::fs::write(folder.join("inner/config.json"), "{}").unwrap();
    let artifacts = Artifacts::in_folder(&home.path().join("artifacts")).unwrap();
    let files = artifacts.put_folder(&folder).await.unwrap();
    Made { home, artifacts, files }
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the file with that path lies in the store.
    fn stored(&self, path: &str) -> PathBuf {
        let file = self.files.iter().find(|file| file.path == path).unwrap();
        let digest = file.artifact.strip_prefix("sha256:").unwrap();
        self.path("artifacts").join(&digest[..2]).join(digest)
    }

    /// What lies beside the folders of this test.
    fn drafts(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(folder) && name != folder).collect()
    }
}

fn assert_whole(folder: &Path) {
    assert!(std::fs::read(folder.join("weights")).unwrap() == vec![7; WEIGHTS], "{}", folder.display());
    assert_eq!(std::fs::read(folder.join("inner/config.json")).unwrap(), b"{}");
}

#[tokio::test]
async fn a_folder_keeps_the_contract_of_artifact_stores() {
    let home = tempfile::tempdir().unwrap();
    let (store, scratch) = (home.path().join("store"), home.path().join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let artifacts = Artifacts::open(&format!("folder:{}", store.display())).unwrap();
    twin_artifacts::contract::check(&artifacts, &scratch).await;
}

#[tokio::test]
async fn a_folder_comes_back_as_it_was_and_is_stored_once() {
    let made = made().await;
    let names: Vec<_> = made.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    assert_eq!(names, [("inner/config.json", 2), ("weights", WEIGHTS as u64)]);
    assert_eq!(made.artifacts.put_folder(&made.path("made")).await.unwrap(), made.files);
    let back = made.path("back");
    made.artifacts.fetch_folder(&made.files, &back).await.unwrap();
    assert_whole(&back);
}

#[tokio::test]
async fn a_folder_that_lacks_a_file_is_made_again_and_a_damaged_artifact_is_refused() {
    let made = made().await;
    let back = made.path("back");
    made.artifacts.fetch_folder(&made.files, &back).await.unwrap();
    std::fs::remove_file(back.join("inner/config.json")).unwrap();
    made.artifacts.fetch_folder(&made.files, &back).await.unwrap();
    assert_whole(&back);

    std::fs::write(made.stored("inner/config.json"), "[]").unwrap();
    let other = made.path("other");
    let refused = made.artifacts.fetch_folder(&made.files, &other).await;
    assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
    assert!(!other.exists() && made.drafts("other").is_empty(), "nothing half-made is there");

    assert_eq!(made.artifacts.put_folder(&made.path("made")).await.unwrap(), made.files, "stored again");
    made.artifacts.fetch_folder(&made.files, &other).await.unwrap();
    assert_whole(&other);
}

#[tokio::test]
async fn a_path_can_not_lead_out_of_the_folder() {
    let mut made = made().await;
    made.files[0].path = "../outside".to_owned();
    let refused = made.artifacts.fetch_folder(&made.files, &made.path("back")).await;
    assert!(matches!(refused, Err(Error::Name(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_fetch_one_folder_at_once_all_find_it_whole() {
    let made = made().await;
    for round in 0..20 {
        let name = format!("model-{round}");
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (artifacts, files, folder) = (made.artifacts.clone(), made.files.clone(), made.path(&name));
                tokio::spawn(async move {
                    artifacts.fetch_folder(&files, &folder).await.map_err(|error| error.to_string())?;
                    assert_whole(&folder);
                    Ok::<_, String>(())
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(()), "round {round}");
        }
        assert!(made.drafts(&format!("{name}.")).is_empty(), "no draft stays: {:?}", made.drafts(&name));
    }
}

/// The test is its own child: each process fetches the folders that it is told.
#[tokio::test]
async fn processes_that_fetch_one_folder_at_once_all_find_it_whole() {
    const HOME: &str = "TWIN_TEST_HOME";
    const FILES: &str = "TWIN_TEST_FILES";
    let folders = (0..20).map(|round| format!("model-{round}"));
    if let (Ok(home), Ok(files)) = (std::env::var(HOME), std::env::var(FILES)) {
        let files: Vec<FolderFile> = serde_json::from_str(&files).unwrap();
        let artifacts = Artifacts::in_folder(&Path::new(&home).join("artifacts")).unwrap();
        for folder in folders {
            let folder = Path::new(&home).join(folder);
            artifacts.fetch_folder(&files, &folder).await.unwrap();
            assert_whole(&folder);
        }
        return;
    }
    let made = made().await;
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes_that_fetch_one_folder_at_once_all_find_it_whole", "--nocapture"]);
        command.env(HOME, made.home.path()).env(FILES, serde_json::to_string(&made.files).unwrap());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| child()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for folder in folders {
        assert!(made.drafts(&format!("{folder}.")).is_empty(), "no draft stays");
    }
}

#[tokio::test]
async fn a_draft_of_the_dead_is_removed_and_one_that_is_worked_on_is_not() {
    let made = made().await;
    let (dead, old, alive, other) = (
        made.path("back.1.partial"),
        made.path("back.partial"),
        made.path("back.2.partial"),
        made.path("next.1.partial"),
    );
    for draft in [&dead, &old, &alive, &other] {
        std::fs::create_dir(draft).unwrap();
        std::fs::write(draft.join("weights"), "half").unwrap();
    }
    let worked_on = std::fs::File::open(&alive).unwrap();
    worked_on.lock().unwrap();
    made.artifacts.fetch_folder(&made.files, &made.path("back")).await.unwrap();
    let there = [&dead, &old, &alive, &other].map(|draft| draft.exists());
    assert_eq!(there, [false, false, true, true], "the lock says who lives, the name whose draft it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_folder_is_replaced_under_its_readers() {
    let made = made().await;
    let back = made.path("back");
    made.artifacts.fetch_folder(&made.files, &back).await.unwrap();
    let mut opened = std::fs::File::open(back.join("weights")).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (weights, is_done) = (back.join("weights"), done.clone());
    let reader = tokio::task::spawn_blocking(move || {
        let mut reads = 0;
        while !is_done.load(Ordering::Relaxed) {
            reads += 1;
            if let Err(error) = std::fs::File::open(&weights) {
                return Err(format!("after {reads} reads: {error}"));
            }
        }
        Ok(reads)
    });
    for _ in 0..20 {
        std::fs::remove_file(back.join("inner/config.json")).unwrap();
        made.artifacts.fetch_folder(&made.files, &back).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let reads = reader.await.unwrap().unwrap();
    assert!(reads > 0, "nobody has read");
    assert_whole(&back);
    let mut content = Vec::new();
    opened.rewind().unwrap();
    opened.read_to_end(&mut content).unwrap();
    assert!(content == vec![7; WEIGHTS], "who has a file open reads on");
}
