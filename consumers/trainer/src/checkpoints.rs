//! Which checkpoints of a job are in the artifact store.
//!
//! A checkpoint is about four times as large as its adapter, and an engine writes one every few steps. On this machine all of
//! them are written; in the store there is the first one of each run, and then one every ten minutes, so that another machine
//! loses ten minutes at most. Two stay there: the newest, which the job's report names, and the one before, which is what the
//! registry names until it has read that report. What is left of them when the job is over goes with `twin artifacts gc`.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tracing::warn;
use twin_artifacts::{Artifacts, FolderFile};
use twin_registry::JobCheckpoint;

/// Between two that are stored of a run.
const BETWEEN: Duration = Duration::from_secs(600);

/// How many stay in the store.
const KEPT: usize = 2;

/// The checkpoints of a job that are in the store, as far as this process knows.
pub(crate) struct StoredCheckpoints {
    /// When the newest of the run under way was stored.
    newest: Option<Instant>,
    /// Oldest first.
    kept: Vec<Stored>,
}

struct Stored {
    files: Vec<FolderFile>,
    /// When it was there.
    at: DateTime<Utc>,
}

impl StoredCheckpoints {
    /// With the one that an attempt before this one has stored.
    pub fn beginning_with(checkpoint: Option<&JobCheckpoint>, at: DateTime<Utc>) -> Self {
        let kept = checkpoint.map(|checkpoint| Stored { files: checkpoint.files.clone(), at });
        Self { newest: None, kept: kept.into_iter().collect() }
    }

    /// A run begins: its first checkpoint is stored, however short it is.
    pub fn begin_run(&mut self) {
        self.newest = None;
    }

    /// Whether it is time to store one.
    pub fn is_due(&self, now: Instant) -> bool {
        self.newest.is_none_or(|newest| now.duration_since(newest) >= BETWEEN)
    }

    /// Notes one that was stored, and deletes what is of none that stays. One that can not be deleted is left to the garbage
    /// collection.
    pub async fn add(&mut self, files: &[FolderFile], now: Instant, at: DateTime<Utc>, artifacts: &Artifacts) {
        self.newest = Some(now);
        self.kept.push(Stored { files: files.to_vec(), at });
        while self.kept.len() > KEPT {
            let oldest = self.kept.remove(0);
            for FolderFile { artifact, .. } in &oldest.files {
                if self.kept.iter().flat_map(|kept| &kept.files).any(|file| file.artifact == *artifact) {
                    continue;
                }
                // The same content may have been stored since by somebody else, who names it.
                if let Err(error) = artifacts.delete_unless_written_since(artifact, oldest.at).await {
                    warn!(%error, artifact, "a checkpoint that is of no use any more could not be deleted");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// A checkpoint of a state of its own, and of a file that all have.
    async fn stored(artifacts: &Artifacts, state: &str) -> Vec<FolderFile> {
        let mut files = Vec::new();
        for (path, content) in [("state", state), ("form", "the same")] {
            let artifact = artifacts.put(content.as_bytes().to_vec()).await.unwrap();
            files.push(FolderFile { path: path.to_owned(), artifact, bytes: content.len() as u64 });
        }
        files
    }

    #[tokio::test]
    async fn two_checkpoints_stay_in_the_store_and_what_others_have_stored_since() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        let (now, later) = (Instant::now(), Utc::now() + TimeDelta::hours(1));
        let before = JobCheckpoint { step: 2, path: "step-2".into(), files: stored(&artifacts, "before").await };
        let mut checkpoints = StoredCheckpoints::beginning_with(Some(&before), later);
        let first = stored(&artifacts, "first").await;
        checkpoints.add(&first, now, later, &artifacts).await;
        artifacts.get(&before.files[0].artifact).await.unwrap();
        let second = stored(&artifacts, "second").await;
        // Somebody stores what this one is made of as well, after it.
        checkpoints.add(&second, now, Utc::now() - TimeDelta::hours(1), &artifacts).await;
        assert!(artifacts.get(&before.files[0].artifact).await.is_err(), "the registry knows of the first one by now");
        checkpoints.add(&stored(&artifacts, "third").await, now, later, &artifacts).await;
        assert!(artifacts.get(&first[0].artifact).await.is_err());
        checkpoints.add(&stored(&artifacts, "fourth").await, now, later, &artifacts).await;
        artifacts.get(&second[0].artifact).await.unwrap();
        artifacts.get(&second[1].artifact).await.unwrap();
    }

    #[test]
    fn the_first_checkpoint_of_a_run_is_stored_and_then_one_every_ten_minutes() {
        let mut checkpoints = StoredCheckpoints::beginning_with(None, Utc::now());
        let now = Instant::now();
        assert!(checkpoints.is_due(now));
        checkpoints.newest = Some(now);
        let due =
            |checkpoints: &StoredCheckpoints| [1, 599, 600].map(|s| checkpoints.is_due(now + Duration::from_secs(s)));
        assert_eq!(due(&checkpoints), [false, false, true]);
        checkpoints.begin_run();
        assert_eq!(due(&checkpoints), [true; 3]);
    }
}
