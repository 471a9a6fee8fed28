//! The process ends between two writes of its database, at each such point in turn: before and after every step of
//! recording, outbox, stages, upsert, ledger, deletion and acknowledgement. Whatever the point, the end is that of a run
//! in which nothing happened.
//!
//! Every step's effect is a transaction in the SQLite file (over Kafka also an append between two of them), and a
//! transaction is some writes to its write-ahead log. strace ends the process before the n-th of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use twin_stack::{Kafka, KafkaOptions, TwinOptions, TwinProcess, default_binary};
use twin_tests::{Api, Author, Change, Folder, Stored};

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
}

impl Fused {
    fn start(log: Option<&Kafka>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let wrapper = folder.path().join("twin");
        fs::write(&wrapper, WRAPPER)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        let data = folder.path().join("data");
        let path = |path: PathBuf| path.display().to_string();
        let mut environment = vec![
            ("TWIN_LLM_ENDPOINT".to_owned(), "http://127.0.0.1:9/v1".to_owned()),
            ("TEST_BINARY".to_owned(), path(default_binary()?)),
            ("TEST_FUSE".to_owned(), path(folder.path().join("fuse"))),
            ("TEST_TRACE".to_owned(), path(folder.path().join("trace"))),
            ("TEST_WAL".to_owned(), path(data.join("twin.db-wal"))),
        ];
        if let Some(kafka) = log {
            environment.push(("TWIN_LOG_URL".to_owned(), format!("kafka://{}", kafka.bootstrap())));
            environment.push(("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS".to_owned(), "1000".to_owned()));
        }
        let options = TwinOptions { binary: Some(wrapper), data: Some(data), environment, ..TwinOptions::default() };
        Ok(Self { twin: TwinProcess::start(options)?, folder })
    }

    /// Starts the process so that it ends before this write; 0: it does not end, and its writes are counted.
    fn restart_with_fuse(&mut self, at: usize) -> Result<()> {
        fs::write(self.folder.path().join("fuse"), at.to_string())?;
        self.twin.restart_unattended()
    }

    /// Stops the process; whether its fuse ended it first, in its last writes.
    fn stop(&mut self, has_fuse: bool) -> Result<bool> {
        match self.twin.terminate() {
            Ok(0) => Ok(false),
            Err(_) if has_fuse => Ok(true),
            ended => bail!("it does not end in good order: {ended:?}\n{}", self.twin.log()),
        }
    }

    /// Waits until the process has ended, and starts it again without a fuse.
    async fn come_back(&mut self) -> Result<()> {
        let id = self.twin.id().context("it was started")?;
        while is_alive(id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.twin.kill9()?;
        self.twin.restart_unattended()
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

fn broker() -> Result<Kafka> {
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "500".to_owned())];
    Kafka::start(KafkaOptions { properties, ..KafkaOptions::default() })
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
    /// Rounds in which the process was ended.
    ended: usize,
    /// Writes of the last round.
    writes: usize,
}

/// Applies the changes once for each fuse.
async fn run(log: Option<&Kafka>, folder: &Folder, fuses: &[usize]) -> Result<Run> {
    let mut fused = Fused::start(log)?;
    let api = Api::new(fused.twin.base_url())?;
    let author = Author::new(&api, "ada", folder).await?;
    fused.stop(false)?;
    let mut rounds_ended = 0;
    for (round, &fuse) in fuses.iter().enumerate() {
        fused.restart_with_fuse(fuse)?;
        let mut ended = false;
        let mut all_done = Box::pin(apply(&author, round));
        tokio::select! {
            done = &mut all_done => done?,
            back = fused.come_back() => { back?; ended = true; }
        }
        if ended {
            all_done.await.with_context(|| format!("the end was before write {fuse}"))?;
        }
        ended |= fused.stop(fuse > 0 && !ended)?;
        rounds_ended += usize::from(ended);
    }
    // What the last one left undone is done now.
    fused.twin.restart()?;
    api.idle().await?;
    fused.stop(false)?;
    Ok(Run { stored: Stored::read(fused.twin.data())?, ended: rounds_ended, writes: fused.writes()? })
}

/// How many points are tried. `make test-long` tries every single one.
fn points(default: usize) -> Result<usize> {
    match std::env::var("TEST_CRASH_POINTS") {
        Ok(number) => number.parse().context("TEST_CRASH_POINTS is a number"),
        Err(_) => Ok(default),
    }
}

async fn ends_well_at_every_point(logs: [Option<&Kafka>; 3], points: usize) -> Result<()> {
    let folder = Folder::new()?;
    // The third round: the first has tables to fill, which are there later.
    let writes = run(logs[0], &folder, &[0; 3]).await?.writes;
    ensure!(writes > 50, "only {writes} writes were seen");
    let points = points.min(writes);
    let fuses: Vec<usize> = (0..points).map(|point| 1 + point * writes / points).collect();
    let disturbed = run(logs[1], &folder, &fuses).await?;
    // Rounds differ: one may put more into a transaction than another, and so end before the write of its fuse.
    ensure!(disturbed.ended > points / 2, "of {points} rounds with up to {writes} writes {} ended", disturbed.ended);
    let undisturbed = run(logs[2], &folder, &vec![0; fuses.len()]).await?;
    assert_eq!(undisturbed.ended, 0);
    disturbed.stored.ensure_same(&undisturbed.stored)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_embedded_log() -> Result<()> {
    ends_well_at_every_point([None; 3], points(12)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka() -> Result<()> {
    let brokers = [broker()?, broker()?, broker()?];
    ends_well_at_every_point([Some(&brokers[0]), Some(&brokers[1]), Some(&brokers[2])], points(4)?).await
}
