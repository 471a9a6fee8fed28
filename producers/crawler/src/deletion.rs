//! Which documents a sync deletes, and when it asks first. Pure decisions, so that they can be read and tested.

use std::collections::HashSet;

use twin_schemas::DocumentId;
use twin_warehouse::Known;

use crate::sources::Evidence;

/// What a sync was told of the documents that are there.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// Identities of those that could be read.
    pub identities: HashSet<String>,
    /// Natural keys of those that could not: they are there, and what is known of them stays.
    pub unreadable: HashSet<String>,
}

impl Listed {
    fn has(&self, known: &Known) -> bool {
        self.identities.contains(&known.identity) || self.unreadable.contains(&known.natural_key)
    }
}

/// The known documents that the evidence proves to be gone.
pub(crate) fn gone(known: &[Known], listed: &Listed, evidence: &Evidence) -> Vec<DocumentId> {
    let proven: Option<HashSet<&str>> = match evidence {
        Evidence::Complete => None,
        Evidence::Window { gone } => Some(gone.iter().map(String::as_str).collect()),
    };
    let is_proven = |known: &&Known| proven.as_ref().is_none_or(|gone| gone.contains(known.identity.as_str()));
    known.iter().filter(|known| !listed.has(known)).filter(is_proven).map(|known| known.document_id).collect()
}

/// How many documents a sync may delete without asking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Brake {
    /// This many, whatever their share.
    pub min: u64,
    /// This share of the author's documents.
    pub share: f64,
}

impl Brake {
    /// Whether this many deletions, of so many documents that the author has, must be confirmed first.
    pub fn holds(self, deletions: u64, live: u64) -> bool {
        let share = (live as f64 * self.share).floor() as u64;
        deletions > self.min.max(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twin_schemas::ContentHash;
    use uuid::Uuid;

    fn known(number: u128, identity: &str, natural_key: &str) -> Known {
        Known {
            document_id: DocumentId(Uuid::from_u128(number)),
            natural_key: natural_key.into(),
            identity: identity.into(),
            content_hash: ContentHash::stored("sha256:00"),
        }
    }

    fn three() -> Vec<Known> {
        vec![known(1, "a.md", "a.md"), known(2, "id:b", "b.md"), known(3, "c.md", "c.md")]
    }

    fn ids(numbers: &[u128]) -> Vec<DocumentId> {
        numbers.iter().map(|number| DocumentId(Uuid::from_u128(*number))).collect()
    }

    #[test]
    fn after_a_complete_listing_what_was_not_listed_is_gone() {
        let listed = Listed { identities: ["a.md".to_owned()].into(), ..Listed::default() };
        assert_eq!(gone(&three(), &listed, &Evidence::Complete), ids(&[2, 3]));
    }

    #[test]
    fn a_document_that_could_not_be_read_is_there() {
        let listed = Listed {
            identities: ["a.md".to_owned()].into(),
            unreadable: ["b.md".to_owned(), "c.md".to_owned()].into(),
        };
        assert_eq!(gone(&three(), &listed, &Evidence::Complete), []);
    }

    #[test]
    fn from_a_window_only_what_is_proven_is_gone() {
        let window = |gone: &[&str]| Evidence::Window { gone: gone.iter().map(|text| (*text).to_owned()).collect() };
        assert_eq!(gone(&three(), &Listed::default(), &window(&[])), []);
        assert_eq!(gone(&three(), &Listed::default(), &window(&["c.md", "unknown"])), ids(&[3]));
        let listed = Listed { identities: ["c.md".to_owned()].into(), ..Listed::default() };
        assert_eq!(gone(&three(), &listed, &window(&["c.md"])), [], "listed is there, whatever else was said");
    }

    #[test]
    fn the_brake_holds_above_the_larger_of_a_number_and_a_share() {
        let brake = Brake { min: 5, share: 0.2 };
        assert!(!brake.holds(5, 5), "five may always go");
        assert!(brake.holds(6, 6));
        assert!(brake.holds(6, 29));
        assert!(!brake.holds(6, 30));
        assert!(!brake.holds(20, 100));
        assert!(brake.holds(21, 100));
        assert!(!brake.holds(0, 0));
    }
}
