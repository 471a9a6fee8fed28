//! Dead letters: events that a stage refused, kept with the reason, to be looked at and replayed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use twin_schemas::{Topic, dead_letter_topic};

use crate::Error;
use crate::handler::Reason;
use crate::log::{EventLog, Headers, NewRecord, Position, Record, StartAt, TopicPartition};

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

/// A read of a dead-letter topic that gets nothing for this long ends with an error.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

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

/// The dead letters of a log.
#[derive(Clone)]
pub struct DeadLetters {
    log: Arc<dyn EventLog>,
}

impl DeadLetters {
    /// The dead letters of `log`.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    /// The newest letters, of one topic or of all, at most `limit`.
    pub async fn list(&self, topic: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        for known in Topic::ALL.into_iter().filter(|known| known.has_dead_letters()) {
            if topic.is_none_or(|topic| topic == known.name()) {
                letters.extend(self.read(known.name()).await?);
            }
        }
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.dead_at));
        letters.truncate(limit);
        Ok(letters)
    }

    /// One letter; none if there is no such id.
    pub async fn get(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        let Some((topic, _)) = id.rsplit_once(':') else { return Ok(None) };
        if !Topic::ALL.iter().any(|known| known.name() == topic && known.has_dead_letters()) {
            return Ok(None);
        }
        Ok(self.read(topic).await?.into_iter().find(|letter| letter.id == id))
    }

    /// Appends the letter's event to its topic again, as it was, and notes that. Returns where it stands now.
    pub async fn replay(&self, id: &str) -> Result<Option<Position>, Error> {
        let Some(letter) = self.get(id).await? else { return Ok(None) };
        let topic = letter.original.partition.topic.to_string();
        let offset = id.rsplit_once(':').map(|(_, offset)| offset.to_owned()).unwrap_or_default();
        let note = NewRecord {
            topic: dead_letter_topic(&topic),
            key: letter.key.clone(),
            value: None,
            headers: vec![(header::REPLAYED.to_owned(), offset.into_bytes())],
        };
        let event = NewRecord { topic, key: letter.key, value: letter.value, headers: letter.headers };
        let position = self.log.append(vec![event]).await?.pop();
        self.log.append(vec![note]).await?;
        Ok(position)
    }

    async fn read(&self, topic: &str) -> Result<Vec<DeadLetter>, Error> {
        let name = dead_letter_topic(topic);
        let mut letters = Vec::new();
        let mut replayed = BTreeSet::new();
        for (partition, ends) in self.log.watermarks(&name).await? {
            let partition = TopicPartition { topic: name.as_str().into(), partition };
            let mut at = ends.begin;
            let mut tail = self.log.tail(&partition, StartAt::Beginning).await?;
            while at < ends.end {
                let records = tokio::time::timeout(READ_TIMEOUT, tail.next()).await.map_err(|_| Error::Closed)??;
                for record in records {
                    at = record.position.offset + 1;
                    match text(&record.headers, header::REPLAYED) {
                        Some(offset) => drop(replayed.insert(offset)),
                        None => letters.push(letter(topic, record)),
                    }
                }
            }
        }
        for letter in &mut letters {
            letter.replayed = letter.id.rsplit_once(':').is_some_and(|(_, offset)| replayed.contains(offset));
        }
        Ok(letters)
    }
}

fn text(headers: &Headers, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn number<T: std::str::FromStr + Default>(headers: &Headers, name: &str) -> T {
    text(headers, name).and_then(|text| text.parse().ok()).unwrap_or_default()
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
                partition: number(headers, header::PARTITION),
            },
            offset: number(headers, header::OFFSET),
        },
        stage: text(headers, header::STAGE).unwrap_or_default(),
        class: text(headers, header::CLASS).unwrap_or_default(),
        message: text(headers, header::MESSAGE).unwrap_or_default(),
        attempts: number(headers, header::ATTEMPTS),
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
