//! Which parts of an answer to take when a query was worked on more than once.
//!
//! A query that is delivered again (its worker died, or lost its partition) is answered again, as another attempt. The
//! rule:
//!
//! 1. The attempt of the first part seen is the bound one; its parts are taken in the order of their sequence.
//! 2. Parts of other attempts are kept, not taken.
//! 3. When nothing of the bound attempt has come for [`STALL`], no text has been handed on, and another attempt has
//!    begun, the newest other attempt becomes the bound one and its parts are taken from its beginning.
//! 4. Once text was handed on, the bound attempt is never left: two attempts word an answer differently, and a client
//!    can not take text back. If that attempt is dead, the request's deadline ends it.
//!
//! An attempt that is joined after its beginning is passed over, since its text would have a hole; so is a part that
//! comes twice (an append that was repeated). A hole in the bound attempt is a failure, never a gap in the text.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use twin_schemas::{AnswerEvent, AnswerPart, RequestId};

/// Silence of the bound attempt after which another may take its place.
pub const STALL: Duration = Duration::from_secs(5);

/// The attempts at one query, as far as they have come.
#[derive(Debug, Default)]
pub struct Attempts {
    /// In the order of their first parts.
    seen: Vec<Attempt>,
    /// Index of the bound one.
    bound: usize,
}

#[derive(Debug)]
struct Attempt {
    id: RequestId,
    parts: VecDeque<AnswerPart>,
    next_sequence: u32,
    last_part_at: Instant,
}

/// A part of the bound attempt is missing.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingPart;

impl Attempts {
    /// Keeps a part that has come.
    pub fn offer(&mut self, event: AnswerEvent, now: Instant) -> Result<(), MissingPart> {
        let known = self.seen.iter().position(|attempt| attempt.id == event.attempt);
        let index = match known {
            Some(index) => index,
            None if event.sequence == 0 => {
                let id = event.attempt;
                self.seen.push(Attempt { id, parts: VecDeque::new(), next_sequence: 0, last_part_at: now });
                self.seen.len() - 1
            }
            None => return Ok(()),
        };
        let attempt = &mut self.seen[index];
        if event.sequence < attempt.next_sequence {
            return Ok(());
        }
        if event.sequence > attempt.next_sequence {
            return if index == self.bound { Err(MissingPart) } else { Ok(()) };
        }
        attempt.next_sequence += 1;
        attempt.last_part_at = now;
        attempt.parts.push_back(event.part);
        Ok(())
    }

    /// The next part to hand on, if it is there.
    pub fn take(&mut self, now: Instant, text_sent: bool) -> Option<AnswerPart> {
        if self.rebind_at(text_sent).is_some_and(|at| now >= at) {
            self.bound = self.newest_other()?;
        }
        self.seen.get_mut(self.bound)?.parts.pop_front()
    }

    /// When another attempt takes the bound one's place, if nothing more comes of it.
    pub fn rebind_at(&self, text_sent: bool) -> Option<Instant> {
        let bound = self.seen.get(self.bound)?;
        if text_sent || !bound.parts.is_empty() || self.newest_other().is_none() {
            return None;
        }
        Some(bound.last_part_at + STALL)
    }

    /// The newest attempt, unless it is the bound one. Nothing was taken of it, so it can be told from its beginning;
    /// an attempt that was left never comes back.
    fn newest_other(&self) -> Option<usize> {
        let newest = self.seen.len().checked_sub(1)?;
        (newest > self.bound).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script {
        attempts: Attempts,
        start: Instant,
    }

    fn attempt(number: u128) -> RequestId {
        RequestId(uuid::Uuid::from_u128(number))
    }

    impl Script {
        fn new() -> Self {
            Self { attempts: Attempts::default(), start: Instant::now() }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn part(&mut self, second: u64, attempt_number: u128, sequence: u32) -> Result<(), MissingPart> {
            let now = self.at(second);
            let part = AnswerPart::Delta { text: format!("{attempt_number}.{sequence}") };
            let event = AnswerEvent {
                request_id: attempt(99),
                reply_to: twin_schemas::GatewayId(uuid::Uuid::nil()),
                attempt: attempt(attempt_number),
                sequence,
                part,
            };
            self.attempts.offer(event, now)
        }

        fn take(&mut self, second: u64, text_sent: bool) -> Option<String> {
            let now = self.at(second);
            self.attempts.take(now, text_sent).map(|part| match part {
                AnswerPart::Delta { text } => text,
                other => panic!("{other:?}"),
            })
        }
    }

    #[test]
    fn a_second_attempt_is_passed_over_while_the_first_goes_on() {
        let mut script = Script::new();
        script.part(0, 1, 0).unwrap();
        script.part(1, 2, 0).unwrap();
        script.part(2, 2, 1).unwrap();
        script.part(3, 1, 1).unwrap();
        assert_eq!(script.take(3, false).as_deref(), Some("1.0"));
        assert_eq!(script.take(3, false).as_deref(), Some("1.1"));
        assert_eq!(script.take(4, false), None);
    }

    #[test]
    fn a_second_attempt_takes_over_from_its_beginning_once_the_first_has_stalled() {
        let mut script = Script::new();
        script.part(0, 1, 0).unwrap();
        assert_eq!(script.take(0, false).as_deref(), Some("1.0"));
        script.part(2, 2, 0).unwrap();
        script.part(3, 2, 1).unwrap();
        assert_eq!(script.take(4, false), None);
        assert_eq!(script.attempts.rebind_at(false), Some(script.at(5)));
        assert_eq!(script.take(5, false).as_deref(), Some("2.0"));
        assert_eq!(script.take(5, false).as_deref(), Some("2.1"));
        script.part(6, 1, 1).unwrap();
        assert_eq!(script.take(6, false), None, "the attempt left does not come back");
    }

    #[test]
    fn an_attempt_whose_text_was_handed_on_is_never_left() {
        let mut script = Script::new();
        script.part(0, 1, 0).unwrap();
        assert_eq!(script.take(0, false).as_deref(), Some("1.0"));
        script.part(1, 2, 0).unwrap();
        assert_eq!(script.take(60, true), None);
        assert_eq!(script.attempts.rebind_at(true), None);
    }

    #[test]
    fn a_stalled_attempt_stays_while_there_is_no_other() {
        let mut script = Script::new();
        script.part(0, 1, 0).unwrap();
        assert_eq!(script.take(0, false).as_deref(), Some("1.0"));
        assert_eq!(script.take(100, false), None);
        script.part(100, 1, 1).unwrap();
        assert_eq!(script.take(100, false).as_deref(), Some("1.1"));
    }

    #[test]
    fn a_repeated_part_is_taken_once_and_a_lost_one_is_a_failure() {
        let mut script = Script::new();
        script.part(0, 1, 0).unwrap();
        script.part(0, 1, 0).unwrap();
        assert_eq!(script.take(0, false).as_deref(), Some("1.0"));
        assert_eq!(script.take(0, false), None);
        assert_eq!(script.part(0, 1, 2), Err(MissingPart));
    }

    #[test]
    fn an_attempt_joined_after_its_beginning_is_passed_over() {
        let mut script = Script::new();
        script.part(0, 1, 4).unwrap();
        assert_eq!(script.take(0, false), None);
        script.part(0, 2, 0).unwrap();
        assert_eq!(script.take(0, false).as_deref(), Some("2.0"));
    }
}
