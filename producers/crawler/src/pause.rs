//! How long a source is left alone.

use chrono::TimeDelta;

/// The first pause after a failure is no longer than this, seconds.
const FIRST_PAUSE_S: u64 = 60;
/// Pauses after failures grow up to this, or to the source's interval where that is longer, seconds.
const LONGEST_PAUSE_S: u64 = 3600;
/// Share of the interval by which it is lengthened or shortened, so that sources do not come due together.
const JITTER: f64 = 0.1;
/// Beyond this, a server's wish to be left alone is not followed to the letter, seconds.
const LONGEST_RETRY_AFTER_S: u64 = 7 * 24 * 3600;

/// The time until the next sync, with jitter.
pub(crate) fn pause_after(interval_s: u64, failures: u32, retry_after_s: Option<u64>) -> TimeDelta {
    let pause = pause_s(interval_s, failures, retry_after_s);
    jittered(pause, retry_after_s, rand::random_range(-JITTER..=JITTER))
}

/// Seconds to the next sync: the interval; after failures a pause that doubles with each; in any case as long as the
/// server asked.
fn pause_s(interval_s: u64, failures: u32, retry_after_s: Option<u64>) -> u64 {
    let pause = match failures.checked_sub(1) {
        None => interval_s,
        Some(doublings) => {
            let first = interval_s.clamp(1, FIRST_PAUSE_S);
            first.saturating_mul(1 << doublings.min(30)).min(interval_s.max(LONGEST_PAUSE_S))
        }
    };
    pause.max(retry_after_s.unwrap_or(0).min(LONGEST_RETRY_AFTER_S))
}

/// The pause with jitter, never shorter than the server asked.
fn jittered(pause_s: u64, retry_after_s: Option<u64>, jitter: f64) -> TimeDelta {
    let least = retry_after_s.unwrap_or(0).min(LONGEST_RETRY_AFTER_S) as f64;
    let seconds = (pause_s as f64 * (1.0 + jitter)).max(least);
    // A year at most, so that the sum with a date can not overflow.
    TimeDelta::milliseconds((seconds.min(366.0 * 86_400.0) * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    #[test]
    fn pauses_after_failures_double_up_to_an_hour_or_the_interval() {
        assert_eq!(pause_s(300, 0, None), 300);
        let pauses: Vec<u64> = (1..=8).map(|failures| pause_s(300, failures, None)).collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(pause_s(86_400, 40, None), 86_400);
        assert_eq!(pause_s(5, 1, None), 5, "a source that is looked at often is tried again soon");
    }

    #[test]
    fn a_server_that_asks_to_wait_is_waited_for() {
        assert_eq!(pause_s(60, 1, Some(7200)), 7200);
        assert_eq!(pause_s(60, 1, Some(1)), 60);
        assert_eq!(jittered(7200, Some(7200), -0.1), TimeDelta::seconds(7200));
        assert_eq!(jittered(100, None, -0.1), TimeDelta::seconds(90));
        assert_eq!(jittered(100, None, 0.1), TimeDelta::seconds(110));
    }

    #[test]
    fn the_longest_possible_wait_is_still_a_date() {
        let far = Utc::now() + jittered(u64::MAX, Some(u64::MAX), 0.1);
        assert!(far > Utc::now());
    }
}
