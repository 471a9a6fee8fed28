//! A dead letter as a record: the event as it was, with the reason in further headers.

use chrono::{DateTime, TimeZone, Utc};
use twin_schemas::{attribute, dead_letter_topic};

use crate::handler::Reason;
use crate::log::{Headers, NewRecord, Position, Record, TopicPartition};

/// Headers that are added to a dead letter; the event's own stay as they were.
mod header {
    pub(super) const PREFIX: &str = "twin_dlq_";
    pub(super) const STAGE: &str = "twin_dlq_stage";
    pub(super) const CLASS: &str = "twin_dlq_class";
    pub(super) const MESSAGE: &str = "twin_dlq_message";
    pub(super) const ATTEMPTS: &str = "twin_dlq_attempts";
    pub(super) const FIRST_SEEN: &str = "twin_dlq_first_seen";
    pub(super) const TOPIC: &str = "twin_dlq_topic";
    pub(super) const PARTITION: &str = "twin_dlq_partition";
    pub(super) const OFFSET: &str = "twin_dlq_offset";
    /// On a note that a letter was replayed: the letter's offset in the dead-letter topic.
    pub(super) const REPLAYED: &str = "twin_dlq_replayed";
}

/// Messages are cut to this length, characters.
const MESSAGE_LIMIT: usize = 2_000;

/// An event that a stage refused.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// `<topic>:<offset in the dead-letter topic>`.
    pub id: String,
    /// Where the event stood.
    pub original: Position,
    /// The stage that refused it.
    pub stage: String,
    /// Class of the reason.
    pub class: String,
    /// The reason.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When the stage first saw it.
    pub first_seen: Option<DateTime<Utc>>,
    /// When it was given up.
    pub dead_at: DateTime<Utc>,
    /// The event's key.
    pub key: Vec<u8>,
    /// The event's own headers.
    pub headers: Headers,
    /// The event's value.
    pub value: Option<Vec<u8>>,
    /// It has been replayed since.
    pub replayed: bool,
}

impl DeadLetter {
    /// The letter as a list shows it: with neither its value nor the header that says where that is.
    pub(super) fn without_value(mut self) -> Self {
        self.value = None;
        self.headers.retain(|(name, _)| name != attribute::DATA_REF);
        self
    }
}

/// What a record of a dead-letter topic is.
pub(super) enum Entry {
    Letter(Box<DeadLetter>),
    /// A note that the letter at this offset was replayed.
    Replayed(u64),
}

/// What that record of the dead-letter topic of `topic` is.
pub(super) fn entry(topic: &str, record: Record) -> Entry {
    match number(&record.headers, header::REPLAYED) {
        Some(offset) => Entry::Replayed(offset),
        None => Entry::Letter(Box::new(letter(topic, record))),
    }
}

/// The note that the letter at `offset` of the dead-letter topic of `topic` was replayed.
pub(super) fn replay_note(topic: &str, offset: u64, key: Vec<u8>) -> NewRecord {
    let headers = vec![(header::REPLAYED.to_owned(), offset.to_string().into_bytes())];
    NewRecord { topic: dead_letter_topic(topic), key, value: None, headers }
}

fn text(headers: &Headers, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn number<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    text(headers, name)?.parse().ok()
}

fn letter(topic: &str, record: Record) -> DeadLetter {
    let headers = &record.headers;
    let first_seen = text(headers, header::FIRST_SEEN).and_then(|time| DateTime::parse_from_rfc3339(&time).ok());
    let original_topic = text(headers, header::TOPIC).unwrap_or_else(|| topic.to_owned());
    DeadLetter {
        id: format!("{topic}:{}", record.position.offset),
        original: Position {
            partition: TopicPartition {
                topic: original_topic.as_str().into(),
                partition: number(headers, header::PARTITION).unwrap_or_default(),
            },
            offset: number(headers, header::OFFSET).unwrap_or_default(),
        },
        stage: text(headers, header::STAGE).unwrap_or_default(),
        class: text(headers, header::CLASS).unwrap_or_default(),
        message: text(headers, header::MESSAGE).unwrap_or_default(),
        attempts: number(headers, header::ATTEMPTS).unwrap_or_default(),
        first_seen: first_seen.map(|time| time.with_timezone(&Utc)),
        dead_at: Utc.timestamp_millis_opt(record.timestamp_ms).single().unwrap_or_default(),
        headers: record.headers.iter().filter(|(name, _)| !name.starts_with(header::PREFIX)).cloned().collect(),
        key: record.key,
        value: record.value,
        replayed: false,
    }
}

/// The record that keeps a refused event: key, value and headers as they were, and the reason in further headers.
pub(crate) fn dead_letter_record(
    stage: &str,
    record: &Record,
    reason: &Reason,
    attempts: u32,
    first_seen: DateTime<Utc>,
) -> NewRecord {
    let position = &record.position;
    let message: String = reason.message.chars().take(MESSAGE_LIMIT).collect();
    let mut headers: Headers =
        record.headers.iter().filter(|(name, _)| !name.starts_with(header::PREFIX)).cloned().collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    add(header::STAGE, stage.to_owned());
    add(header::CLASS, reason.class.to_owned());
    add(header::MESSAGE, message);
    add(header::ATTEMPTS, attempts.to_string());
    add(header::FIRST_SEEN, first_seen.to_rfc3339());
    add(header::TOPIC, position.partition.topic.to_string());
    add(header::PARTITION, position.partition.partition.to_string());
    add(header::OFFSET, position.offset.to_string());
    // A topic of dead letters takes no record without a key; an event without one has broken that rule already.
    let key = if record.key.is_empty() { position.to_string().into_bytes() } else { record.key.clone() };
    NewRecord { topic: dead_letter_topic(&position.partition.topic), key, value: record.value.clone(), headers }
}
