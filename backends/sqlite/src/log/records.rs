//! Topics, records and committed offsets: what is in the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::Utc;
use rusqlite::{Connection, OptionalExtension, params};
use twin_schemas::Cleanup;

use super::Failure;
use twin_stream::Error;
use twin_stream::{Headers, NewRecord, Position, Record, TopicPartition, TopicSpec, Watermarks, partition_for};

/// Bits of a record's key: 15 for the topic, 8 for the partition, 40 for the offset.
const OFFSET_BITS: u32 = 40;
const PARTITION_BITS: u32 = 8;
const MAX_PARTITIONS: u32 = 1 << PARTITION_BITS;

/// Records and bytes of one fetch, at most.
const FETCH_RECORDS: usize = 500;
const FETCH_BYTES: usize = 4 << 20;

/// The key of an offset.
pub(super) fn record_id(topic_id: i64, partition: u32, offset: u64) -> i64 {
    (topic_id << (PARTITION_BITS + OFFSET_BITS)) | (i64::from(partition) << OFFSET_BITS) | offset.cast_signed()
}

/// The offset in a key.
pub(super) fn offset_in(record_id: i64) -> u64 {
    (record_id & ((1 << OFFSET_BITS) - 1)).unsigned_abs()
}

/// A topic's row.
struct TopicRow {
    id: i64,
    partitions: u32,
}

fn topic(c: &Connection, name: &str) -> Result<Option<TopicRow>, Failure> {
    let mut statement = c.prepare_cached("SELECT topic_id, partitions FROM log_topics WHERE name = ?1")?;
    let row = statement.query_row([name], |row| Ok(TopicRow { id: row.get(0)?, partitions: row.get(1)? }));
    Ok(row.optional()?)
}

fn existing(c: &Connection, name: &str) -> Result<TopicRow, Failure> {
    topic(c, name)?.ok_or_else(|| Failure::Port(Error::NoTopic(name.to_owned())))
}

pub(super) fn ensure_topics(tx: &Connection, specs: &[TopicSpec]) -> Result<(), Failure> {
    for spec in specs {
        let wanted = spec.partitions.clamp(1, MAX_PARTITIONS);
        if let Some(TopicRow { partitions: found, .. }) = topic(tx, &spec.name)? {
            if found != wanted {
                return Err(Failure::Port(Error::Partitions { topic: spec.name.clone(), found, wanted }));
            }
            continue;
        }
        let retention_ms = match spec.cleanup {
            Cleanup::Compact => None,
            Cleanup::Delete(age) => Some(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        };
        tx.execute(
            "INSERT INTO log_topics (name, partitions, retention_ms) VALUES (?1, ?2, ?3)",
            params![spec.name, wanted, retention_ms],
        )?;
        let id = tx.last_insert_rowid();
        for partition in 0..wanted {
            tx.execute(
                "INSERT INTO log_partitions (topic_id, partition, next_offset) VALUES (?1, ?2, 0)",
                params![id, partition],
            )?;
        }
    }
    Ok(())
}

pub(super) fn append(tx: &Connection, records: &[NewRecord]) -> Result<Vec<Position>, Failure> {
    let mut topics: HashMap<&str, (TopicRow, Arc<str>)> = HashMap::new();
    let mut insert = tx.prepare_cached("INSERT INTO log_records VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut advance = tx.prepare_cached(
        "UPDATE log_partitions SET next_offset = next_offset + 1 WHERE topic_id = ?1 AND partition = ?2
         RETURNING next_offset - 1",
    )?;
    let now = Utc::now().timestamp_millis();
    let mut positions = Vec::with_capacity(records.len());
    for record in records {
        if !topics.contains_key(record.topic.as_str()) {
            topics.insert(&record.topic, (existing(tx, &record.topic)?, record.topic.as_str().into()));
        }
        let (row, name) = &topics[record.topic.as_str()];
        let partition = partition_for(&record.key, row.partitions);
        let offset: i64 = advance.query_row(params![row.id, partition], |row| row.get(0))?;
        let offset = offset.unsigned_abs();
        let id = record_id(row.id, partition, offset);
        insert.execute(params![id, record.key, record.value, encode_headers(&record.headers), now])?;
        positions.push(Position { partition: TopicPartition { topic: name.clone(), partition }, offset });
    }
    Ok(positions)
}

/// Records from each of these positions on and before the offset `end`, partition by partition, up to the bounds of one
/// fetch.
pub(super) fn fetch(c: &Connection, from: &[(TopicPartition, u64)], end: u64) -> Result<Vec<Record>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT record_id, record_key, value, headers, timestamp_ms FROM log_records
         WHERE record_id >= ?1 AND record_id <= ?2 ORDER BY record_id LIMIT ?3",
    )?;
    let mut records = Vec::new();
    let mut bytes = 0;
    let share = FETCH_RECORDS.div_ceil(from.len().max(1));
    for (partition, offset) in from.iter().filter(|(_, offset)| *offset < end) {
        let topic_id = existing(c, &partition.topic)?.id;
        let first = record_id(topic_id, partition.partition, *offset);
        let last = record_id(topic_id, partition.partition, (end - 1).min((1 << OFFSET_BITS) - 1));
        let mut rows = statement.query(params![first, last, i64::try_from(share).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let position = Position { partition: partition.clone(), offset: offset_in(row.get(0)?) };
            let headers: Vec<u8> = row.get(3)?;
            let headers = decode_headers(&headers)
                .ok_or_else(|| Failure::Port(Error::Stored { position: position.clone(), problem: "headers" }))?;
            let record = Record { position, key: row.get(1)?, value: row.get(2)?, headers, timestamp_ms: row.get(4)? };
            bytes += record.size();
            records.push(record);
            if bytes >= FETCH_BYTES {
                return Ok(records);
            }
        }
    }
    Ok(records)
}

pub(super) fn watermarks(c: &Connection, name: &str) -> Result<BTreeMap<u32, Watermarks>, Failure> {
    let topic = existing(c, name)?;
    let mut statement = c.prepare_cached(
        "SELECT p.partition, p.next_offset, (SELECT min(r.record_id) FROM log_records r
             WHERE r.record_id BETWEEN (?1 << 48) | (p.partition << 40) AND (?1 << 48) | ((p.partition + 1) << 40) - 1)
         FROM log_partitions p WHERE p.topic_id = ?1",
    )?;
    let rows = statement.query_map([topic.id], |row| {
        let end = row.get::<_, i64>(1)?.unsigned_abs();
        let begin = row.get::<_, Option<i64>>(2)?.map_or(end, offset_in);
        Ok((row.get(0)?, Watermarks { begin, end }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn committed(c: &Connection, group: &str, name: &str) -> Result<BTreeMap<u32, u64>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT o.partition, o.next_offset FROM log_offsets o JOIN log_topics t USING (topic_id)
         WHERE o.consumer_group = ?1 AND t.name = ?2",
    )?;
    let rows = statement.query_map([group, name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn commit(tx: &Connection, group: &str, offsets: &[(TopicPartition, u64)]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO log_offsets SELECT ?1, topic_id, ?3, ?4 FROM log_topics WHERE name = ?2
         ON CONFLICT (consumer_group, topic_id, partition) DO UPDATE SET next_offset = excluded.next_offset",
    )?;
    for (partition, offset) in offsets {
        statement.execute(params![group, &*partition.topic, partition.partition, offset.cast_signed()])?;
    }
    Ok(())
}

/// Headers as bytes: for each, name and value, each preceded by its length (u32, little endian).
fn encode_headers(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        for part in [name.as_bytes(), value] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

fn decode_headers(mut bytes: &[u8]) -> Option<Headers> {
    let mut take = || -> Option<Option<Vec<u8>>> {
        if bytes.is_empty() {
            return Some(None);
        }
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some(Some(part.to_vec()))
    };
    let mut headers = Vec::new();
    while let Some(name) = take()? {
        headers.push((String::from_utf8(name).ok()?, take()??));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_whatever_their_bytes() {
        let headers =
            vec![("a".to_owned(), vec![0, 255, 10]), (String::new(), vec![]), ("ce_id".into(), b"x".to_vec())];
        assert_eq!(decode_headers(&encode_headers(&headers)), Some(headers.clone()));
        assert_eq!(decode_headers(&encode_headers(&headers)[..5]), None);
    }

    #[test]
    fn record_keys_sort_by_topic_then_partition_then_offset() {
        let last = record_id(1, 0, (1 << OFFSET_BITS) - 1);
        assert!(last < record_id(1, 1, 0));
        assert!(record_id(1, 255, 7) < record_id(2, 0, 0));
        assert_eq!(offset_in(record_id(3, 200, 12_345)), 12_345);
    }
}
