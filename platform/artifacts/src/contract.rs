//! What every store of artifacts must do, for the tests of a backend to call.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;

use crate::{Artifacts, Error, Stored};

/// How long a store may take until it shows a later time: some count seconds only.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks an empty store that nobody else uses; `scratch` is an empty folder of this machine.
///
/// # Panics
///
/// Where the store does not do what it must.
pub async fn check(artifacts: &Artifacts, scratch: &Path) {
    contents_come_back(artifacts).await;
    folders_come_back(artifacts, scratch).await;
    everything_is_listed(artifacts).await;
    what_is_stored_again_is_new(artifacts, scratch).await;
    what_is_deleted_is_gone(artifacts).await;
}

async fn contents_come_back(artifacts: &Artifacts) {
    let large: Vec<u8> = (0..3 << 20).map(|at| (at % 251) as u8).collect();
    for content in [Vec::new(), b"content".to_vec(), large] {
        let name = artifacts.put(content.clone()).await.expect("it is stored");
        assert_eq!(artifacts.put(content.clone()).await.expect("it is stored again"), name, "one content, one name");
        assert_eq!(artifacts.get(&name).await.expect("it is read"), content);
        let read = artifacts.read(&name).await.expect("it is opened");
        assert_eq!(read.bytes(), content.len() as u64);
        let blocks: Vec<Vec<u8>> = read.blocks().try_collect().await.expect("its blocks are read");
        assert_eq!(blocks.concat(), content, "block by block");
    }
    let absent = format!("sha256:{}", "0".repeat(64));
    for error in [artifacts.get(&absent).await.err(), artifacts.read(&absent).await.err()] {
        let error = error.expect("nothing is there");
        assert!(matches!(error, Error::Missing(_)) && !error.is_transient(), "{error}");
    }
    for wrong in ["", "sha256:", "sha256:../../etc/passwd", "content"] {
        assert!(matches!(artifacts.get(wrong).await, Err(Error::Name(_))), "{wrong:?} is no name");
    }
}

async fn folders_come_back(artifacts: &Artifacts, scratch: &Path) {
    let made = scratch.join("made");
    let contents = [("weights.safetensors", vec![7; 5 << 20]), ("inner/config.json", b"{}".to_vec())];
    for (path, content) in &contents {
        write(&made.join(path), content).await;
    }
    let files = artifacts.put_folder(&made).await.expect("the folder is stored");
    assert_eq!(artifacts.put_folder(&made).await.expect("the folder is stored again"), files);
    let back = scratch.join("back");
    // Several at once: whoever returns finds all of it.
    let fetched = (0..4).map(|_| artifacts.fetch_folder(&files, &back));
    futures::future::try_join_all(fetched).await.expect("the folder is made");
    for (path, content) in &contents {
        assert_eq!(&tokio::fs::read(back.join(path)).await.expect("the file is there"), content, "{path}");
    }
}

async fn everything_is_listed(artifacts: &Artifacts) {
    let content = b"to be listed".to_vec();
    let name = artifacts.put(content.clone()).await.expect("it is stored");
    let listed = listed(artifacts).await;
    let found = listed.get(&name).expect("it is listed");
    assert_eq!(found.bytes, content.len() as u64);
    let age = Utc::now() - found.modified;
    assert!(age < TimeDelta::minutes(5) && age > TimeDelta::minutes(-5), "the store's clock is off by {age}");
    for name in listed.keys() {
        artifacts.get(name).await.expect("what is listed is there");
    }
}

/// Whoever stores what is there already must be able to rely on it as on something new.
async fn what_is_stored_again_is_new(artifacts: &Artifacts, scratch: &Path) {
    let content = b"stored again".to_vec();
    let path = scratch.join("again");
    write(&path, &content).await;
    let name = artifacts.put(content.clone()).await.expect("it is stored");
    let first = modified(artifacts, &name).await;
    let deadline = Instant::now() + PATIENCE;
    while modified(artifacts, &name).await <= first {
        assert!(Instant::now() < deadline, "`put_file` does not make what is there new");
        artifacts.put_file(&path).await.expect("the file is stored");
    }
    let second = modified(artifacts, &name).await;
    while modified(artifacts, &name).await <= second {
        assert!(Instant::now() < deadline, "`put` does not make what is there new");
        artifacts.put(content.clone()).await.expect("it is stored");
    }
}

async fn what_is_deleted_is_gone(artifacts: &Artifacts) {
    let name = artifacts.put(b"to be deleted".to_vec()).await.expect("it is stored");
    let (past, future) = (Utc::now() - TimeDelta::hours(1), Utc::now() + TimeDelta::hours(1));
    let delete = async |since| artifacts.delete_unless_written_since(&name, since).await.expect("the store answers");
    assert!(!delete(past).await, "it is younger than that");
    assert!(artifacts.get(&name).await.is_ok());
    assert!(delete(future).await, "it is older than that");
    assert!(!delete(future).await, "it is gone");
    assert!(matches!(artifacts.get(&name).await, Err(Error::Missing(_))));

    let name = artifacts.put(b"to be deleted".to_vec()).await.expect("it is stored anew");
    artifacts.delete(&name).await.expect("it is deleted");
    artifacts.delete(&name).await.expect("it is deleted already");
    assert!(!listed(artifacts).await.contains_key(&name), "it is not listed any more");
    artifacts.delete_leftovers(past).await.expect("nothing was left");
}

async fn listed(artifacts: &Artifacts) -> BTreeMap<String, Stored> {
    let all: Vec<Stored> = artifacts.list().try_collect().await.expect("the store is listed");
    all.into_iter().map(|stored| (stored.name.clone(), stored)).collect()
}

async fn modified(artifacts: &Artifacts, name: &str) -> DateTime<Utc> {
    listed(artifacts).await.get(name).expect("it is listed").modified
}

async fn write(path: &Path, content: &[u8]) {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.expect("a folder can be made");
    }
    tokio::fs::write(path, content).await.expect("a file can be written");
}
