//! When a requested sync has come to its end, told from what the API shows of it and from no clock of this machine.
//!
//! A request makes a source due "now", which is then its `next_run_at`. The sync that serves the request begins at or
//! after that time, by the same clock; one that was under way when the request came began before it.

use chrono::{DateTime, Utc};
use twin_api::{SourceView, SyncStatus, SyncView, TotalsView};

use super::text::count;

/// What is waited for.
#[derive(Debug)]
pub struct Wait {
    targets: Vec<Target>,
    pending: u64,
}

/// A source whose sync was requested.
#[derive(Debug)]
pub struct Target {
    /// The source, as it was seen last.
    pub source: SourceView,
    requested_at: DateTime<Utc>,
    /// Its end, once there.
    pub end: Option<End>,
}

/// How the wait for a source ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// A sync that began after the request has ended.
    Synced(SyncView),
    /// The source was removed.
    Removed,
}

/// What the API showed at one time. The sources were read before the number of documents on their way: whatever the
/// syncs that ended have found is counted.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The sources.
    pub sources: Vec<SourceView>,
    /// Documents on their way.
    pub pending: u64,
    /// All documents.
    pub totals: TotalsView,
}

/// When a source's sync was requested, by the twin's clock. `before` and `after` are what the API showed of it around
/// the request. None: a sync ended between them, so that `next_run_at` may not be the time of the request; ask again.
pub fn requested_at(before: &SourceView, after: &SourceView) -> Option<DateTime<Utc>> {
    let started_at = |source: &SourceView| source.last_sync.as_ref().map(|sync| sync.started_at);
    (started_at(before) == started_at(after)).then_some(after.next_run_at)
}

impl Wait {
    /// Waits for the sync of each source, requested at that time, and for every document to be through.
    pub fn new(requested: Vec<(SourceView, DateTime<Utc>)>) -> Self {
        let target = |(source, requested_at)| Target { source, requested_at, end: None };
        // Something is on its way until a snapshot says otherwise.
        Self { targets: requested.into_iter().map(target).collect(), pending: u64::MAX }
    }

    /// Takes a snapshot in. True: every sync has ended and nothing is on its way.
    pub fn observe(&mut self, snapshot: &Snapshot) -> bool {
        for target in self.targets.iter_mut().filter(|target| target.end.is_none()) {
            let Some(source) = snapshot.sources.iter().find(|source| source.id == target.source.id) else {
                target.end = Some(End::Removed);
                continue;
            };
            target.source = source.clone();
            let serving = source.last_sync.as_ref().filter(|sync| sync.started_at >= target.requested_at);
            target.end = serving.map(|sync| End::Synced(sync.clone()));
        }
        self.pending = snapshot.pending;
        self.pending == 0 && self.running().next().is_none()
    }

    /// The sources, each with its end once that is there.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn running(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.end.is_none())
    }

    /// How far it is, for people.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let total = self.targets.len();
        if total > 0 {
            parts.push(format!("{} of {} synced", total - self.running().count(), count(total as u64, "source")));
        }
        if self.pending != u64::MAX {
            parts.push(format!("{} on the way", count(self.pending, "document")));
        }
        parts.join(", ")
    }

    /// The locations of the sources that have not ended.
    pub fn running_locations(&self) -> Vec<&str> {
        self.running().map(|target| target.source.location.as_str()).collect()
    }
}

impl Target {
    /// What kept this source from being synced in full, and what to do; none if nothing did.
    pub fn trouble(&self) -> Option<String> {
        let SourceView { id, location, .. } = &self.source;
        match self.end.as_ref()? {
            End::Removed => Some(format!("{location}: it was removed meanwhile")),
            End::Synced(sync) => match sync.status {
                SyncStatus::Completed => None,
                SyncStatus::Failed => {
                    let reason = sync.reason.as_deref().unwrap_or("for no known reason");
                    Some(format!("{location}: it could not be read: {reason}"))
                }
                SyncStatus::AwaitingConfirmation => {
                    let gone = count(self.source.awaiting_deletions, "document");
                    Some(format!(
                        "{location}: {gone} gone, more than are deleted unasked; if that is right: \
                         `twin sources confirm {id}`, if not, look at the source"
                    ))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::sources::testing::source;
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// A source whose last sync began then, and that is due then.
    fn seen(id: &str, started: Option<i64>, due: i64) -> SourceView {
        let last_sync = started.map(|started| SyncView {
            status: SyncStatus::Completed,
            reason: None,
            started_at: at(started),
            finished_at: at(started + 1),
            seen: 1,
            new: 1,
            changed: 0,
            deleted: 0,
            failed: Vec::new(),
            failed_total: 0,
            waited_ms: 0,
        });
        SourceView { next_run_at: at(due), last_sync, ..source(id, &format!("/{id}")) }
    }

    fn snapshot(sources: &[SourceView], pending: u64) -> Snapshot {
        Snapshot { sources: sources.to_vec(), pending, totals: TotalsView::default() }
    }

    fn waiting(sources: &[SourceView]) -> Wait {
        Wait::new(sources.iter().map(|source| (source.clone(), source.next_run_at)).collect())
    }

    #[test]
    fn the_time_of_the_request_is_known_unless_a_sync_ended_meanwhile() {
        assert_eq!(requested_at(&seen("a", None, 5), &seen("a", None, 50)), Some(at(50)));
        assert_eq!(requested_at(&seen("a", Some(10), 900), &seen("a", Some(10), 50)), Some(at(50)));
        assert_eq!(requested_at(&seen("a", Some(10), 900), &seen("a", Some(40), 50)), None);
        assert_eq!(requested_at(&seen("a", None, 5), &seen("a", Some(40), 940)), None);
    }

    #[test]
    fn a_sync_that_was_under_way_at_the_request_does_not_serve_it() {
        let mut wait = waiting(&[seen("a", None, 50)]);
        assert!(!wait.observe(&snapshot(&[seen("a", None, 50)], 0)), "not synced yet");
        assert!(!wait.observe(&snapshot(&[seen("a", Some(49), 50)], 0)), "it began before the request");
        assert!(wait.observe(&snapshot(&[seen("a", Some(50), 950)], 0)));
    }

    #[test]
    fn documents_on_their_way_are_waited_for_after_the_sync_and_without_one() {
        let mut wait = waiting(&[seen("a", None, 50)]);
        assert!(!wait.observe(&snapshot(&[seen("a", Some(51), 950)], 3)));
        assert_eq!(wait.describe(), "1 of 1 source synced, 3 documents on the way");
        assert!(wait.observe(&snapshot(&[seen("a", Some(51), 950)], 0)));
        let mut nothing = waiting(&[]);
        assert!(!nothing.observe(&snapshot(&[], 1)));
        assert!(nothing.observe(&snapshot(&[], 0)));
    }

    #[test]
    fn every_source_is_waited_for_and_its_first_end_counts() {
        let mut wait = waiting(&[seen("a", None, 50), seen("b", None, 50)]);
        assert!(!wait.observe(&snapshot(&[seen("a", Some(51), 60), seen("b", None, 50)], 0)));
        assert_eq!(wait.running_locations(), ["/b"]);
        assert!(wait.observe(&snapshot(&[seen("a", Some(60), 70), seen("b", Some(55), 60)], 0)));
        let End::Synced(sync) = wait.targets()[0].end.as_ref().unwrap() else { panic!("removed") };
        assert_eq!(sync.started_at, at(51));
    }

    #[test]
    fn a_source_that_is_removed_meanwhile_is_not_waited_for() {
        let mut wait = waiting(&[seen("a", None, 50)]);
        assert!(wait.observe(&snapshot(&[], 0)));
        assert!(wait.targets()[0].trouble().unwrap().contains("removed"));
    }

    #[test]
    fn trouble_says_which_source_and_what_to_do() {
        let ended = |status: SyncStatus| {
            let mut after = seen("a", Some(51), 950);
            after.awaiting_deletions = 12;
            let sync = after.last_sync.as_mut().unwrap();
            sync.status = status;
            sync.reason = (status == SyncStatus::Failed).then(|| "no such folder".to_owned());
            let mut wait = waiting(&[seen("a", None, 50)]);
            assert!(wait.observe(&snapshot(&[after], 0)));
            wait.targets()[0].trouble()
        };
        assert_eq!(ended(SyncStatus::Completed), None);
        assert_eq!(ended(SyncStatus::Failed).unwrap(), "/a: it could not be read: no such folder");
        let awaiting = ended(SyncStatus::AwaitingConfirmation).unwrap();
        assert!(
            awaiting.contains("12 documents") && awaiting.contains("`twin sources confirm a0000000-"),
            "{awaiting}"
        );
    }
}
