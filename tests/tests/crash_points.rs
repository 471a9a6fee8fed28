//! The process ends between two writes of its database, at each such point in turn: before and after every step of
//! recording, outbox, stages, upsert, ledger, deletion and acknowledgement. Whatever the point, the end is that of a run
//! in which nothing happened. Over Kafka every service runs twice, and each of the two processes ends at that write of its
//! own.
//!
//! Every step's effect is a transaction in the SQLite file (over Kafka also an append between two of them), and a
//! transaction is some writes to its write-ahead log. strace ends the process before the n-th of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use tempfile::TempDir;
use twin_stack::{Kafka, TwinOptions, TwinProcess, default_binary};
use twin_tests::{Api, Author, Change, Folder, Stored, quick, quick_broker, times};

/// Runs the binary under strace if there is a fuse: a file with the number of the write at which it ends (0: never).
const WRAPPER: &str = r#"#!/bin/sh
[ -f "$TEST_FUSE" ] || exec "$TEST_BINARY" "$@"
at=$(cat "$TEST_FUSE")
rm "$TEST_FUSE"
end=
[ "$at" = 0 ] || end="-e inject=pwrite64:signal=KILL:when=$at"
# -D: the binary keeps the process id that the test knows.
exec strace -D -f -qq -o "$TEST_TRACE" -P "$TEST_WAL" -e trace=pwrite64 $end "$TEST_BINARY" "$@"
"#;

/// What is done between two ends: a document that shrinks, one that goes, and one that goes and comes back.
fn changes(round: usize) -> Vec<Change> {
    let text = |paragraphs: usize, what: &str| {
        let words = "stone timber copper glass mortar slate ".repeat(20);
        let paragraph = |number: usize| format!("## {what} {number} of round {round}\n\n{words}\n\n");
        (0..paragraphs).map(paragraph).collect::<String>()
    };
    vec![
        Change::Push("harbour", text(6, "old")),
        Change::Push("bakery", text(1, "passing")),
        Change::Push("harbour", text(2, "new")),
        Change::Delete("bakery"),
        Change::Push("ferry", text(1, "first")),
        Change::Delete("ferry"),
        Change::Push("ferry", text(1, "again")),
    ]
}

/// A twin whose process can be made to end at a write.
struct Fused {
    twin: TwinProcess,
    folder: TempDir,
    /// At which write it ends; 0: it does not.
    fuse: usize,
    /// It has ended at its fuse.
    has_ended: bool,
}

impl Fused {
    fn start(log: Option<&Kafka>, data: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let wrapper = folder.path().join("twin");
        fs::write(&wrapper, WRAPPER)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        let path = |path: PathBuf| path.display().to_string();
        let mut options = quick(log.map(Kafka::bootstrap));
        options.environment.extend([
            ("TEST_BINARY".to_owned(), path(default_binary()?)),
            ("TEST_FUSE".to_owned(), path(folder.path().join("fuse"))),
            ("TEST_TRACE".to_owned(), path(folder.path().join("trace"))),
            ("TEST_WAL".to_owned(), path(data.join("twin.db-wal"))),
        ]);
        let twin = TwinProcess::start(TwinOptions { binary: Some(wrapper), data: Some(data.to_owned()), ..options })?;
        Ok(Self { twin, folder, fuse: 0, has_ended: false })
    }

    /// Starts the process so that it ends before this write; 0: it does not end, and its writes are counted.
    fn restart_with_fuse(&mut self, at: usize) -> Result<()> {
        fs::write(self.folder.path().join("fuse"), at.to_string())?;
        (self.fuse, self.has_ended) = (at, false);
        self.twin.restart_unattended()
    }

    /// Stops the process, once it is up. Its fuse may end it first, in its last writes.
    async fn stop(&mut self) -> Result<()> {
        let api = Api::new(self.twin.base_url())?;
        tokio::select! {
            up = api.up() => up?,
            ended = self.ended() => ended?,
        }
        match self.twin.terminate() {
            Ok(0) => {}
            Err(_) if self.fuse > 0 => self.has_ended = true,
            ended => bail!("it does not end in good order: {ended:?}\n{}", self.twin.log()),
        }
        Ok(())
    }

    /// Waits until the process has ended, and starts it again without a fuse.
    async fn come_back(&mut self) -> Result<()> {
        self.ended().await?;
        (self.fuse, self.has_ended) = (0, true);
        self.twin.kill9()?;
        self.twin.restart_unattended()
    }

    async fn ended(&self) -> Result<()> {
        let id = self.twin.id().context("it was started")?;
        while is_alive(id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn writes(&self) -> Result<usize> {
        let trace = fs::read_to_string(self.folder.path().join("trace"))?;
        Ok(trace.lines().filter(|line| line.contains("pwrite64(")).count())
    }
}

/// One that has ended and that nobody has asked about yet is a zombie.
fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z'))
}

async fn apply(author: &Author<'_>, round: usize) -> Result<()> {
    for change in changes(round) {
        author.apply(&change).await?;
    }
    author.settled().await
}

/// How a run went.
struct Run {
    /// What is stored in the end.
    stored: Stored,
    /// Rounds in which a process was ended.
    ended: usize,
    /// Writes of the last round, by the process that made the most.
    writes: usize,
}

/// A log, and so many processes that share it.
type Setting<'a> = (Option<&'a Kafka>, usize);

/// Applies the changes once for each fuse.
async fn run((log, count): Setting<'_>, folder: &Folder, fuses: &[usize]) -> Result<Run> {
    let data = tempfile::tempdir()?;
    let mut twins = (0..count).map(|_| Fused::start(log, data.path())).collect::<Result<Vec<_>>>()?;
    let api = Api::in_turn(twins.iter().map(|fused| fused.twin.base_url()))?;
    let author = Author::new(&api, "ada", folder).await?;
    stop(&mut twins).await?;
    let mut rounds_ended = 0;
    for (round, &fuse) in fuses.iter().enumerate() {
        twins.iter_mut().try_for_each(|fused| fused.restart_with_fuse(fuse))?;
        let work = async {
            // Whoever is late has no share of it.
            api.up().await?;
            apply(&author, round).await
        };
        let coming_back = async {
            try_join_all(twins.iter_mut().map(Fused::come_back)).await?;
            std::future::pending().await
        };
        tokio::select! {
            done = work => done.with_context(|| format!("ended before write {fuse}"))?,
            failed = coming_back => return failed,
        }
        stop(&mut twins).await?;
        rounds_ended += usize::from(twins.iter().any(|fused| fused.has_ended));
    }
    // What the last one left undone is done now.
    for fused in &mut twins {
        fused.fuse = 0;
        fused.twin.restart()?;
    }
    api.idle().await?;
    stop(&mut twins).await?;
    let writes = twins.iter().map(Fused::writes).collect::<Result<Vec<_>>>()?.into_iter().max();
    Ok(Run { stored: Stored::read(data.path())?, ended: rounds_ended, writes: writes.unwrap_or_default() })
}

async fn stop(twins: &mut [Fused]) -> Result<()> {
    for fused in twins {
        fused.stop().await?;
    }
    Ok(())
}

async fn ends_well_at_every_point(settings: [Setting<'_>; 2], points: usize) -> Result<()> {
    let folder = Folder::new()?;
    // The third round: the first has tables to fill, which are there later.
    let writes = run(settings[0], &folder, &[0; 3]).await?.writes;
    ensure!(writes > 50, "only {writes} writes were seen");
    let points = points.min(writes);
    let fuses: Vec<usize> = (0..points).map(|point| 1 + point * writes / points).collect();
    let disturbed = run(settings[1], &folder, &fuses).await?;
    // Rounds differ: one may put more into a transaction than another, and so end before the write of its fuse.
    ensure!(disturbed.ended > points / 2, "of {points} rounds with up to {writes} writes {} ended", disturbed.ended);
    let undisturbed = run((None, 1), &folder, &vec![0; fuses.len()]).await?;
    assert_eq!(undisturbed.ended, 0);
    disturbed.stored.ensure_same(&undisturbed.stored)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    ends_well_at_every_point([(None, 1); 2], times("TEST_CRASH_POINTS", 12)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka_with_every_service_twice() -> Result<()> {
    let brokers = [Kafka::start(quick_broker())?, Kafka::start(quick_broker())?];
    let twice = brokers.each_ref().map(|kafka| (Some(kafka), 2));
    ends_well_at_every_point(twice, times("TEST_CRASH_POINTS", 4)?).await
}
