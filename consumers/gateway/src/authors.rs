//! Which authors there are, as every question has to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use twin_schemas::AuthorId;
use twin_warehouse::{Error, Warehouse};

/// So long an author who was found is taken to be there without another look.
const KEPT: Duration = Duration::from_secs(60);
/// Authors remembered, at most.
const MOST: usize = 1_000;

/// The authors that there are, with a memory of those who were asked for lately. Who was not found is not remembered: an
/// author is known from the first source or document on.
pub struct KnownAuthors {
    warehouse: Arc<dyn Warehouse>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    at: HashMap<AuthorId, Instant>,
}

impl KnownAuthors {
    /// The authors of that warehouse.
    pub fn new(warehouse: Arc<dyn Warehouse>) -> Self {
        Self { warehouse, found: Mutex::default() }
    }

    /// Whether the author has, or had, a document or a source: one look-up, or none.
    pub async fn has(&self, author: &AuthorId) -> Result<bool, Error> {
        if self.lock(|found| found.is_fresh(author, Instant::now())) {
            return Ok(true);
        }
        let is_there = self.warehouse.author(author).await?.is_some();
        if is_there {
            self.lock(|found| found.keep(author.clone(), Instant::now()));
        }
        Ok(is_there)
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Found) -> T) -> T {
        // A panic leaves at most an author remembered or forgotten.
        work(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Found {
    fn is_fresh(&self, author: &AuthorId, now: Instant) -> bool {
        self.at.get(author).is_some_and(|at| now.duration_since(*at) < KEPT)
    }

    fn keep(&mut self, author: AuthorId, now: Instant) {
        if self.at.len() >= MOST {
            self.at.retain(|_, at| now.duration_since(*at) < KEPT);
        }
        if self.at.len() >= MOST {
            self.at.clear();
        }
        self.at.insert(author, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(number: usize) -> AuthorId {
        format!("author-{number}").parse().unwrap()
    }

    #[test]
    fn an_author_is_remembered_for_a_while() {
        let (mut found, now) = (Found::default(), Instant::now());
        found.keep(author(1), now);
        assert!(found.is_fresh(&author(1), now + KEPT / 2));
        assert!(!found.is_fresh(&author(1), now + KEPT));
        assert!(!found.is_fresh(&author(2), now));
    }

    #[test]
    fn no_more_authors_are_remembered_than_are_allowed() {
        let (mut found, now) = (Found::default(), Instant::now());
        for number in 0..3 * MOST {
            found.keep(author(number), now);
            assert!(found.at.len() <= MOST && found.is_fresh(&author(number), now));
        }
        // Those whose time is over go first.
        let mut found = Found { at: (0..MOST).map(|number| (author(number), now)).collect() };
        found.at.insert(author(0), now + KEPT);
        found.keep(author(MOST), now + KEPT);
        assert_eq!(found.at.len(), 2);
    }
}
