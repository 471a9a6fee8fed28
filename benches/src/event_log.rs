//! The embedded event log, against a plain SQLite table that is as durable.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tempfile::TempDir;
use twin_schemas::Cleanup;
use twin_sqlite::rusqlite::{Connection, params};
use twin_sqlite::{Database, SqliteLog};
use twin_stream::{Consumer, Delivery, EventLog, NewRecord, Record, TopicSpec};

use crate::comparison::{Better, Comparison, ours_first};

const VALUE_BYTES: usize = 1024;
const TOPIC: &str = "bench.records";
const UNIT: &str = "records/s";

/// Records of a round in batches of one: each waits for the disk.
const SINGLE_RECORDS: usize = 400;

/// Records of a round in batches of a hundred.
const BATCHED_RECORDS: usize = 20_000;

/// Callers that append at once, to see what group commit gives.
const CALLERS: usize = 32;

/// A log and a plain table, each in a file of its own.
struct Sides {
    log: SqliteLog,
    plain: Connection,
    _folder: TempDir,
}

/// Records a second, appended and consumed.
pub async fn compare(work: &Path, rounds: usize) -> Result<Vec<Comparison>> {
    let against = |name: &str, other_name| Comparison::new(name, UNIT, Better::Higher, other_name);
    let mut hundreds = against("event log: append in batches of 100", "plain SQLite inserts, 100 a transaction");
    let mut singles = against("event log: append one by one", "plain SQLite inserts, one a transaction");
    let mut at_once = against("event log: 32 callers append one by one", "one caller appends one by one");
    let mut consume_hundreds = against("event log: consume, commit every 100", "plain SQLite scan (a floor)");
    let mut consume_singles = against("event log: consume, commit every record", "commit every 100");
    for round in 0..rounds {
        let mut sides = Sides::open(work).await?;
        let (log, plain) = sides.append(BATCHED_RECORDS, 100, ours_first(round)).await?;
        hundreds.round(log, plain);
        let committed_by_hundreds = consume(&sides.log, "hundreds", 100, BATCHED_RECORDS).await?;
        consume_hundreds.round(committed_by_hundreds, sides.scan_plain(BATCHED_RECORDS)?);
        let committed_one_by_one = consume(&sides.log, "singles", 1, SINGLE_RECORDS).await?;
        consume_singles.round(committed_one_by_one, committed_by_hundreds);
        let (log, plain) = sides.append(SINGLE_RECORDS, 1, ours_first(round)).await?;
        singles.round(log, plain);
        at_once.round(sides.append_from_callers().await?, log);
    }
    Ok(vec![hundreds, singles, at_once, consume_hundreds, consume_singles])
}

impl Sides {
    async fn open(work: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(work)?;
        let log = SqliteLog::open(Database::open(&folder.path().join("log.db"))?, 1 << 20).await?;
        let cleanup = Cleanup::Delete(Duration::from_secs(3600));
        log.ensure_topics(&[TopicSpec { name: TOPIC.to_owned(), partitions: 1, cleanup }]).await?;
        let plain = Connection::open(folder.path().join("plain.db"))?;
        plain.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE records (record_id INTEGER PRIMARY KEY, record_key BLOB NOT NULL, value BLOB);",
        )?;
        Ok(Self { log, plain, _folder: folder })
    }

    /// Appends to both: records a second of the log and of the plain table.
    async fn append(&mut self, records: usize, batch: usize, log_first: bool) -> Result<(f64, f64)> {
        if log_first {
            let log = self.append_to_log(records, batch).await?;
            return Ok((log, self.append_to_plain(records, batch)?));
        }
        let plain = self.append_to_plain(records, batch)?;
        Ok((self.append_to_log(records, batch).await?, plain))
    }

    async fn append_to_log(&self, records: usize, batch: usize) -> Result<f64> {
        let start = Instant::now();
        for first in (0..records).step_by(batch) {
            self.log.append((first..first + batch).map(record).collect()).await?;
        }
        Ok(per_second(records, start))
    }

    /// On this thread, which nothing else of the runtime needs.
    fn append_to_plain(&mut self, records: usize, batch: usize) -> Result<f64> {
        let start = Instant::now();
        for first in (0..records).step_by(batch) {
            let transaction = self.plain.transaction()?;
            for number in first..first + batch {
                let NewRecord { key, value, .. } = record(number);
                transaction
                    .prepare_cached("INSERT INTO records (record_key, value) VALUES (?1, ?2)")?
                    .execute(params![key, value])?;
            }
            transaction.commit()?;
        }
        Ok(per_second(records, start))
    }

    async fn append_from_callers(&self) -> Result<f64> {
        let log: Arc<SqliteLog> = Arc::new(self.log.clone());
        let start = Instant::now();
        let callers = (0..CALLERS).map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                for number in 0..SINGLE_RECORDS {
                    log.append(vec![record(number)]).await?;
                }
                Ok::<_, twin_stream::Error>(())
            })
        });
        for appended in try_join_all(callers).await? {
            appended?;
        }
        Ok(per_second(CALLERS * SINGLE_RECORDS, start))
    }

    fn scan_plain(&self, records: usize) -> Result<f64> {
        let start = Instant::now();
        let mut statement =
            self.plain.prepare("SELECT record_id, record_key, value FROM records ORDER BY record_id LIMIT ?1")?;
        let mut rows = statement.query([i64::try_from(records)?])?;
        let mut found: Vec<(i64, Vec<u8>, Vec<u8>)> = Vec::with_capacity(records);
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
        ensure!(found.len() == records, "the plain table has {} records in place of {records}", found.len());
        Ok(per_second(records, start))
    }
}

fn record(number: usize) -> NewRecord {
    let value = Some(vec![b'x'; VALUE_BYTES]);
    NewRecord { topic: TOPIC.to_owned(), key: number.to_string().into_bytes(), value, headers: Vec::new() }
}

/// Reads so many records in a new group and commits after each batch. Joining the group is not counted.
async fn consume(log: &SqliteLog, group: &str, batch: usize, records: usize) -> Result<f64> {
    let mut consumer = log.subscribe(group, &[TOPIC]).await?;
    ensure!(matches!(consumer.next().await?, Delivery::Assigned(_)), "the first delivery is an assignment");
    let start = Instant::now();
    let mut consumed = 0;
    while consumed < records {
        let delivered = next_records(&mut *consumer).await?;
        let wanted = delivered.len().min(records - consumed);
        for batch in delivered[..wanted].chunks(batch) {
            let last = &batch.last().context("chunks are not empty")?.position;
            consumer.commit(&[(last.partition.clone(), last.offset + 1)]).await?;
        }
        consumed += wanted;
    }
    let rate = per_second(consumed, start);
    consumer.close().await;
    Ok(rate)
}

async fn next_records(consumer: &mut dyn Consumer) -> Result<Vec<Record>> {
    loop {
        if let Delivery::Records(records) = consumer.next().await? {
            return Ok(records);
        }
    }
}

fn per_second(records: usize, start: Instant) -> f64 {
    records as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_consumer_reads_what_was_appended_and_commits_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut sides = Sides::open(folder.path()).await.unwrap();
        sides.append(300, 100, true).await.unwrap();
        consume(&sides.log, "group", 100, 250).await.unwrap();
        assert_eq!(sides.log.committed("group", TOPIC).await.unwrap().get(&0), Some(&250));
        sides.scan_plain(300).unwrap();
        assert!(sides.scan_plain(301).is_err());
    }
}
