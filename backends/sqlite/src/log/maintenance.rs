//! Retention and compaction.

use std::collections::HashMap;

use crate::Database;
use chrono::Utc;
use rusqlite::{Connection, params};

use super::Failure;
use super::records::{offset_in, record_id};

/// Records deleted in one transaction, so that other writes do not wait long.
const BATCH: usize = 1_000;

/// Tombstones of a compacted topic stay this long, so that a reader that is behind sees them.
const TOMBSTONE_MS: i64 = 24 * 60 * 60 * 1000;

/// Compaction starts when so many records have come since the last, and as many as half of those kept.
const DIRTY_RECORDS: u64 = 1_000;

struct Partition {
    topic_id: i64,
    partition: u32,
    next_offset: u64,
    compacted_to: u64,
    retention_ms: Option<i64>,
    /// The lowest offset that a group has yet to read.
    unread: u64,
}

pub(super) async fn run(database: &Database) -> Result<u64, Failure> {
    let mut deleted = 0;
    for partition in database.read(partitions).await? {
        let compacted = partition.retention_ms.is_none();
        if compacted && !is_dirty(&partition) {
            continue;
        }
        let (topic_id, number, unread) = (partition.topic_id, partition.partition, partition.unread);
        let victims = database.read(move |c| victims(c, &partition)).await?;
        for batch in victims.chunks(BATCH) {
            let batch = batch.to_vec();
            deleted += batch.len() as u64;
            database.write(move |tx| delete(tx, &batch)).await?;
        }
        if compacted {
            database.write(move |tx| mark_compacted(tx, topic_id, number, unread)).await?;
        }
    }
    Ok(deleted)
}

fn is_dirty(partition: &Partition) -> bool {
    let dirty = partition.unread.saturating_sub(partition.compacted_to);
    dirty >= DIRTY_RECORDS && dirty * 2 >= partition.compacted_to
}

fn partitions(c: &Connection) -> Result<Vec<Partition>, Failure> {
    let mut statement = c.prepare(
        "SELECT p.topic_id, p.partition, p.next_offset, p.compacted_to, t.retention_ms,
                (SELECT min(o.next_offset) FROM log_offsets o
                 WHERE o.topic_id = p.topic_id AND o.partition = p.partition)
         FROM log_partitions p JOIN log_topics t USING (topic_id)",
    )?;
    let rows = statement.query_map([], |row| {
        let next_offset = row.get::<_, i64>(2)?.unsigned_abs();
        Ok(Partition {
            topic_id: row.get(0)?,
            partition: row.get(1)?,
            next_offset,
            compacted_to: row.get::<_, i64>(3)?.unsigned_abs(),
            retention_ms: row.get(4)?,
            unread: row.get::<_, Option<i64>>(5)?.map_or(next_offset, i64::unsigned_abs),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The records that may go: read by every group, and too old or superseded.
fn victims(c: &Connection, partition: &Partition) -> Result<Vec<i64>, Failure> {
    let now = Utc::now().timestamp_millis();
    let first = record_id(partition.topic_id, partition.partition, 0);
    let unread = record_id(partition.topic_id, partition.partition, partition.unread);
    if let Some(retention_ms) = partition.retention_ms {
        let mut statement = c.prepare_cached(
            "SELECT record_id FROM log_records WHERE record_id >= ?1 AND record_id < ?2 AND timestamp_ms < ?3",
        )?;
        let rows = statement.query_map(params![first, unread, now - retention_ms], |row| row.get(0))?;
        return Ok(rows.collect::<Result<_, _>>()?);
    }
    let end = record_id(partition.topic_id, partition.partition, partition.next_offset);
    let mut statement = c.prepare_cached(
        "SELECT record_id, record_key, value IS NULL AND timestamp_ms < ?3 FROM log_records
         WHERE record_id >= ?1 AND record_id < ?2 ORDER BY record_id",
    )?;
    let mut newest: HashMap<Vec<u8>, (i64, bool)> = HashMap::new();
    let mut victims = Vec::new();
    let mut rows = statement.query(params![first, end, now - TOMBSTONE_MS])?;
    while let Some(row) = rows.next()? {
        let earlier = newest.insert(row.get(1)?, (row.get(0)?, row.get(2)?));
        victims.extend(earlier.map(|(id, _)| id));
    }
    victims.extend(newest.into_values().filter(|(_, expired)| *expired).map(|(id, _)| id));
    victims.retain(|id| offset_in(*id) < partition.unread);
    Ok(victims)
}

fn delete(tx: &Connection, ids: &[i64]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached("DELETE FROM log_records WHERE record_id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

fn mark_compacted(tx: &Connection, topic_id: i64, partition: u32, to: u64) -> Result<(), Failure> {
    tx.execute(
        "UPDATE log_partitions SET compacted_to = ?3 WHERE topic_id = ?1 AND partition = ?2",
        params![topic_id, partition, to.cast_signed()],
    )?;
    Ok(())
}
