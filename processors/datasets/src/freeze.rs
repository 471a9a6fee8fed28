//! When it is time for a new version.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When versions are frozen by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FreezePolicy {
    /// Usable passages from which on an author's first version is made.
    pub first_samples: u64,
    /// New usable passages from which on the next version is made.
    pub new_samples: u64,
    /// Hours after which the next version is made if there is at least one new passage. 0: never by age.
    pub max_age_hours: u32,
    /// Share of the last version's passages, 0 to 1, whose documents were deleted since, from which on a version without
    /// them is made. 0: never for deletions alone.
    pub deleted_share: f64,
    /// Seconds without a change after which a version is made by itself: one that is made while documents still come in
    /// is out of date at once.
    pub quiet_s: u64,
}

impl FreezeReason {
    /// The name used in the registry and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Retraining => twin_registry::RETRAINING,
            Self::NewSamples => "new samples",
            Self::Age => "age",
            Self::Deletions => "deletions",
        }
    }
}

impl Default for FreezePolicy {
    fn default() -> Self {
        Self { first_samples: 50, new_samples: 200, max_age_hours: 7 * 24, deleted_share: 0.05, quiet_s: 60 }
    }
}

/// What the decision depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct FreezeState {
    /// Usable passages that the last version did not have.
    pub new_samples: u64,
    /// When the last version was made; none if there is none.
    pub last: Option<DateTime<Utc>>,
    /// Share of its passages whose documents were deleted since, 0 to 1.
    pub deleted_share: f64,
    /// The time.
    pub now: DateTime<Utc>,
    /// A person asked for a version.
    pub requested: bool,
}

/// Why a version is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreezeReason {
    /// A person asked for it.
    Requested,
    /// It was asked for to be trained on: what serves was trained on other prompts.
    Retraining,
    /// Enough is new.
    NewSamples,
    /// Something is new, and the last version is old.
    Age,
    /// Much of the last version was deleted since.
    Deletions,
}

/// Whether it is time for a new version, and why. Whether there is enough to train on at all is the build's decision
/// ([`crate::Error::TooFewSamples`]): it alone knows how many samples are left after duplicates.
pub fn due(policy: &FreezePolicy, state: &FreezeState) -> Option<FreezeReason> {
    if state.requested {
        return Some(FreezeReason::Requested);
    }
    let needed = if state.last.is_some() { policy.new_samples } else { policy.first_samples };
    if state.new_samples >= needed.max(1) {
        return Some(FreezeReason::NewSamples);
    }
    if policy.deleted_share > 0.0 && state.deleted_share >= policy.deleted_share {
        return Some(FreezeReason::Deletions);
    }
    let max_age = TimeDelta::hours(i64::from(policy.max_age_hours));
    let is_old = state.last.is_some_and(|last| state.now - last >= max_age);
    (policy.max_age_hours > 0 && is_old && state.new_samples > 0).then_some(FreezeReason::Age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(new_samples: u64, hours: Option<i64>) -> FreezeState {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let last = hours.map(|hours| now - TimeDelta::hours(hours));
        FreezeState { new_samples, last, deleted_share: 0.0, now, requested: false }
    }

    #[test]
    fn a_version_is_due_by_new_samples_by_age_or_by_hand_and_never_for_nothing() {
        let policy = FreezePolicy::default();
        for (new, hours, expected) in [
            (49, None, None),
            (50, None, Some(FreezeReason::NewSamples)),
            (199, Some(1), None),
            (200, Some(1), Some(FreezeReason::NewSamples)),
            (1, Some(168), Some(FreezeReason::Age)),
            (1, Some(167), None),
            (0, Some(9_999), None),
        ] {
            assert_eq!(due(&policy, &state(new, hours)), expected, "{new} new after {hours:?} hours");
        }
        let asked = FreezeState { requested: true, ..state(0, Some(1)) };
        assert_eq!(due(&policy, &asked), Some(FreezeReason::Requested));
        let by_count = FreezePolicy { max_age_hours: 0, ..policy };
        assert_eq!(due(&by_count, &state(1, Some(9_999))), None);
    }

    #[test]
    fn a_version_is_due_when_much_of_the_last_one_was_deleted_though_nothing_is_new() {
        let policy = FreezePolicy { deleted_share: 0.1, ..FreezePolicy::default() };
        let without = |deleted_share| FreezeState { deleted_share, ..state(0, Some(1)) };
        for (share, expected) in
            [(0.0, None), (0.09, None), (0.1, Some(FreezeReason::Deletions)), (1.0, Some(FreezeReason::Deletions))]
        {
            assert_eq!(due(&policy, &without(share)), expected, "{share}");
        }
        assert_eq!(due(&FreezePolicy { deleted_share: 0.0, ..policy }, &without(1.0)), None);
    }
}
