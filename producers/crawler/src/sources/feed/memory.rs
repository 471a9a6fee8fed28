//! What a feed's cursor holds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::http::Validators;

/// The cursor of a feed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// Where the feed has moved for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Url>,
    /// Of the last answer that was read without a failed item.
    pub validators: Validators,
    /// By identity: the items of the feed's window, and those known that have left it.
    pub items: BTreeMap<String, Item>,
    /// What was read of a feed whose reading was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
}

/// A reading of a feed that is under way, or was cut off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Partial {
    /// The hash of the feed as it was: of another, other pages may have changed.
    pub feed: String,
    /// The identities of the items whose pages were read, and recorded.
    pub read: BTreeSet<String>,
}

/// What is remembered of an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Of its page, where the text is taken from there.
    #[serde(skip_serializing_if = "Validators::is_empty")]
    pub validators: Validators,
    /// In the feed, when it was last read.
    pub listed: bool,
    /// When its page was last asked whether it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<DateTime<Utc>>,
    /// Since when its page answers 404 or 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<DateTime<Utc>>,
    /// It answered so again, long enough after.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// What an item's page answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// It is there.
    Present,
    /// 404 or 410.
    Missing,
    /// A refusal, a failure of the server or of the network: no evidence of anything.
    Unclear,
}

impl Memory {
    /// What a cursor holds; a new one if there is none. An error says why it can not be read.
    pub fn read(cursor: &serde_json::Value) -> Result<Self, serde_json::Error> {
        if cursor.is_null() || cursor.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Self::default());
        }
        Self::deserialize(cursor)
    }

    /// The cursor.
    pub fn write(&self) -> serde_json::Value {
        // String keys, and no `Serialize` implementation that can fail.
        serde_json::to_value(self).expect("a feed's memory serialises to JSON")
    }

    /// Items that have left the feed and whose page should be asked now, the one asked longest ago first.
    pub fn due_probes(&self, now: DateTime<Utc>, gone_after: Duration, limit: usize) -> Vec<(String, Url)> {
        let mut due: Vec<_> = self
            .items
            .iter()
            .filter(|(_, item)| !item.listed && item.probed_at.is_none_or(|at| now - at >= gone_after))
            .filter_map(|(identity, item)| Some((item.probed_at, identity.clone(), item.url.clone()?)))
            .collect();
        due.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        due.into_iter().take(limit).map(|(_, identity, url)| (identity, url)).collect()
    }

    /// Begins to read the feed with this hash, or goes on where reading it was cut off.
    pub fn begin(&mut self, feed: String) {
        if self.partial.as_ref().is_none_or(|partial| partial.feed != feed) {
            self.partial = Some(Partial { feed, read: BTreeSet::new() });
        }
        // They are those of a whole reading: with them, what is left would not be read.
        self.validators = Validators::default();
        self.items.values_mut().for_each(|item| item.listed = false);
    }

    /// The page of an item was read.
    pub fn page_was_read(&mut self, identity: &str, validators: Validators) {
        if let Some(item) = self.items.get_mut(identity) {
            item.validators = validators;
        }
        if let Some(partial) = &mut self.partial {
            partial.read.insert(identity.to_owned());
        }
    }

    /// Whether the page of an item was read before this reading of the feed was cut off.
    pub fn has_read(&self, identity: &str) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.read.contains(identity))
    }

    /// The identities that are proven gone.
    pub fn gone(&self) -> Vec<String> {
        self.items.iter().filter(|(_, item)| item.gone).map(|(identity, _)| identity.clone()).collect()
    }
}

impl Item {
    /// Takes in what the page answered.
    pub fn probed(&mut self, probe: Probe, now: DateTime<Utc>, gone_after: Duration) {
        self.probed_at = Some(now);
        match probe {
            Probe::Unclear => {}
            Probe::Present => {
                self.missing_since = None;
                self.gone = false;
            }
            Probe::Missing => match self.missing_since {
                None => self.missing_since = Some(now),
                Some(since) => self.gone |= now - since >= gone_after,
            },
        }
    }

    /// It is in the feed: whatever its page answered before no longer counts.
    pub fn seen_in_feed(&mut self, url: Option<Url>) {
        self.url = url;
        self.listed = true;
        self.probed_at = None;
        self.missing_since = None;
        self.gone = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::days(1);

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::hours(hour)
    }

    fn departed(probed_at: Option<DateTime<Utc>>) -> Item {
        Item { url: Some("https://ada.example/a".parse().unwrap()), probed_at, ..Item::default() }
    }

    #[test]
    fn an_item_is_gone_after_two_missing_answers_a_day_apart() {
        let mut item = departed(None);
        item.probed(Probe::Missing, hour(0), DAY);
        assert!(!item.gone);
        item.probed(Probe::Missing, hour(23), DAY);
        assert!(!item.gone, "23 hours are not a day");
        item.probed(Probe::Missing, hour(24), DAY);
        assert!(item.gone);
    }

    #[test]
    fn a_refusal_or_a_failing_server_is_no_evidence() {
        let mut item = departed(None);
        for at in 0..10 {
            item.probed(Probe::Unclear, hour(at * 24), DAY);
        }
        assert!(!item.gone && item.missing_since.is_none());
    }

    #[test]
    fn a_page_that_is_back_starts_the_count_anew() {
        let mut item = departed(None);
        item.probed(Probe::Missing, hour(0), DAY);
        item.probed(Probe::Present, hour(24), DAY);
        item.probed(Probe::Missing, hour(48), DAY);
        assert!(!item.gone);
        item.probed(Probe::Missing, hour(72), DAY);
        item.seen_in_feed(None);
        assert!(!item.gone);
    }

    #[test]
    fn pages_are_asked_longest_ago_first_and_not_too_often() {
        let mut memory = Memory::default();
        memory.items.insert("never".into(), departed(None));
        memory.items.insert("long ago".into(), departed(Some(hour(0))));
        memory.items.insert("lately".into(), departed(Some(hour(40))));
        memory.items.insert("listed".into(), Item { listed: true, ..departed(None) });
        let due = memory.due_probes(hour(48), DAY, 5);
        assert_eq!(due.iter().map(|(identity, _)| identity.as_str()).collect::<Vec<_>>(), ["never", "long ago"]);
        assert_eq!(memory.due_probes(hour(48), DAY, 1).len(), 1);
    }

    #[test]
    fn a_reading_goes_on_where_it_was_cut_off_unless_the_feed_is_another_by_now() {
        let mut memory = Memory::default();
        memory.begin("one".into());
        memory.page_was_read("a", Validators::default());
        let mut memory = Memory::read(&memory.write()).unwrap();
        memory.begin("one".into());
        assert!(memory.has_read("a") && !memory.has_read("b"));
        memory.begin("two".into());
        assert!(!memory.has_read("a"));
    }

    #[test]
    fn a_cursor_survives_being_stored() {
        let mut memory = Memory::default();
        memory.validators.etag = Some("W/\"1\"".into());
        memory.items.insert("a".into(), departed(Some(hour(1))));
        assert_eq!(Memory::read(&memory.write()).unwrap(), memory);
        assert_eq!(Memory::read(&serde_json::Value::Null).unwrap(), Memory::default());
    }
}
