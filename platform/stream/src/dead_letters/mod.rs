//! Dead letters: events that a stage refused, kept with the reason, to be looked at and replayed.
//!
//! A dead-letter topic has one partition, so that an offset names a letter. That a letter was replayed is a note further on
//! in the same topic, since a log changes no record. Notes are looked for once: what was read of a topic stays known, and a
//! look-up reads only what has come since, or what stands before it.

mod backwards;
mod cursor;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use futures::TryStreamExt;
use tokio::sync::Mutex;
use twin_schemas::{Topic, dead_letter_topic};

pub use cursor::{DeadLetterCursor, NoCursor};
pub use record::DeadLetter;
pub(crate) use record::dead_letter_record;

use crate::Error;
use crate::log::{EventLog, NewRecord, Position, TopicPartition, Watermarks};
use backwards::Backwards;
use record::{Entry, entry, replay_note};

/// The dead letters of a log; clones share what they know of it.
#[derive(Clone)]
pub struct DeadLetters {
    log: Arc<dyn EventLog>,
    notes: Arc<Mutex<HashMap<&'static str, Notes>>>,
}

/// A part of the list, newest first.
#[derive(Debug)]
pub struct DeadLetterPage {
    /// The letters, without their values.
    pub letters: Vec<DeadLetter>,
    /// Where the next part begins; none after the oldest letter.
    pub next: Option<DeadLetterCursor>,
}

/// The letters of a topic that were replayed, as far as notes at these offsets say.
struct Notes {
    read: Range<u64>,
    replayed: BTreeSet<u64>,
}

impl DeadLetters {
    /// The dead letters of `log`.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, notes: Arc::default() }
    }

    /// The newest letters, of one topic or of all, at most `limit`; with a cursor, those that come after the part that
    /// gave it.
    pub async fn list(
        &self,
        topic: Option<&str>,
        before: Option<&DeadLetterCursor>,
        limit: usize,
    ) -> Result<DeadLetterPage, Error> {
        let mut readers = Vec::new();
        for name in names().filter(|name| topic.is_none_or(|topic| topic == *name)) {
            let Some(ends) = self.ends(name).await? else { continue };
            let before = before.and_then(|cursor| cursor.before.get(name)).map_or(ends.end, |at| ends.end.min(*at));
            readers.push(Backwards::new(self, name, ends.begin, before));
        }
        let mut letters = Vec::new();
        let mut oldest = BTreeMap::new();
        while letters.len() < limit {
            let Some(reader) = newest_of(&mut readers).await? else { break };
            if let Some((offset, letter)) = reader.take() {
                oldest.insert(reader.topic(), offset);
                letters.push((reader.topic(), offset, letter));
            }
        }
        let mut replayed = HashMap::new();
        for (topic, offset) in oldest {
            replayed.insert(topic, self.replayed(topic, offset).await?);
        }
        let is_replayed =
            |topic: &str, offset: u64| replayed.get(topic).is_some_and(|of_topic| of_topic.contains(&offset));
        let next = readers.iter().any(|reader| !reader.is_at_its_end()).then(|| DeadLetterCursor {
            before: readers.iter().map(|reader| (reader.topic(), reader.position())).collect(),
        });
        let told = |(topic, offset, letter): (&str, u64, DeadLetter)| DeadLetter {
            replayed: is_replayed(topic, offset),
            ..letter
        };
        Ok(DeadLetterPage { letters: letters.into_iter().map(told).collect(), next })
    }

    /// One letter; none if there is no such id.
    pub async fn get(&self, id: &str) -> Result<Option<DeadLetter>, Error> {
        let Some((topic, offset)) = place(id) else { return Ok(None) };
        let ends = self.ends(topic).await?;
        if !ends.is_some_and(|ends| (ends.begin..ends.end).contains(&offset)) {
            return Ok(None);
        }
        let mut records = self.log.records(&partition_of(topic), offset..offset + 1);
        let Some(record) = records.try_next().await? else { return Ok(None) };
        let Entry::Letter(letter) = entry(topic, self.log.with_value(record).await?) else { return Ok(None) };
        let replayed = self.replayed(topic, offset).await?.contains(&offset);
        Ok(Some(DeadLetter { replayed, ..*letter }))
    }

    /// Appends the letter's event to its topic again, as it was, and notes that. Returns where it stands now.
    pub async fn replay(&self, id: &str) -> Result<Option<Position>, Error> {
        let (Some((name, offset)), Some(letter)) = (place(id), self.get(id).await?) else { return Ok(None) };
        let topic = letter.original.partition.topic.to_string();
        let note = replay_note(name, offset, letter.key.clone());
        let event = NewRecord { topic, key: letter.key, value: letter.value, headers: letter.headers };
        let position = self.log.append(vec![event]).await?.pop();
        self.log.append(vec![note]).await?;
        Ok(position)
    }

    /// The ends of the topic's dead letters; none if it has none.
    async fn ends(&self, topic: &str) -> Result<Option<Watermarks>, Error> {
        Ok(self.log.watermarks(&dead_letter_topic(topic)).await?.get(&0).copied())
    }

    /// Offsets of letters of the topic that were replayed: all from `oldest` on, and perhaps some before.
    async fn replayed(&self, topic: &'static str, oldest: u64) -> Result<BTreeSet<u64>, Error> {
        let mut all = self.notes.lock().await;
        let end = self.ends(topic).await?.map_or(0, |ends| ends.end);
        let notes = all.entry(topic).or_insert_with(|| Notes { read: end..end, replayed: BTreeSet::new() });
        if end < notes.read.end {
            // The topic was made anew.
            *notes = Notes { read: end..end, replayed: BTreeSet::new() };
        }
        let (older, newer) = (oldest.min(notes.read.start)..notes.read.start, notes.read.end..end);
        for part in [older, newer] {
            let replayed = &mut notes.replayed;
            let keep = |_, entry| match entry {
                Entry::Replayed(offset) => drop(replayed.insert(offset)),
                Entry::Letter(_) => {}
            };
            self.read(topic, part.clone(), keep).await?;
            notes.read = notes.read.start.min(part.start)..notes.read.end.max(part.end);
        }
        Ok(notes.replayed.clone())
    }

    /// Reads a part of the topic's dead letters. Values that travel by reference are not fetched.
    async fn read(&self, topic: &str, part: Range<u64>, mut each: impl FnMut(u64, Entry)) -> Result<(), Error> {
        if part.is_empty() {
            return Ok(());
        }
        let mut records = self.log.records(&partition_of(topic), part);
        while let Some(record) = records.try_next().await? {
            each(record.position.offset, entry(topic, record));
        }
        Ok(())
    }
}

/// The topics that have dead letters.
fn names() -> impl Iterator<Item = &'static str> {
    Topic::ALL.into_iter().filter(|topic| topic.has_dead_letters()).map(|topic| topic.name())
}

/// The one partition of the topic's dead letters.
fn partition_of(topic: &str) -> TopicPartition {
    TopicPartition { topic: dead_letter_topic(topic).as_str().into(), partition: 0 }
}

/// The topic and the offset that an id names.
fn place(id: &str) -> Option<(&'static str, u64)> {
    let (topic, offset) = id.rsplit_once(':')?;
    Some((names().find(|name| *name == topic)?, offset.parse().ok()?))
}

/// The reader whose next letter is the newest of all.
async fn newest_of<'a, 'b>(readers: &'a mut [Backwards<'b>]) -> Result<Option<&'a mut Backwards<'b>>, Error> {
    let mut newest = None;
    for (index, reader) in readers.iter_mut().enumerate() {
        if let Some(letter) = reader.newest().await?
            && newest.is_none_or(|(dead_at, _)| letter.dead_at > dead_at)
        {
            newest = Some((letter.dead_at, index));
        }
    }
    Ok(newest.map(|(_, index)| &mut readers[index]))
}
