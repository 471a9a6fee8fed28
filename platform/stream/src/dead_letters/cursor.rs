//! A place in the list of all dead letters.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use twin_schemas::Topic;

/// Where a list goes on: for each topic, the offset in its dead-letter topic before which letters were not listed yet.
/// Letters that come meanwhile do not move it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCursor {
    pub(super) before: BTreeMap<&'static str, u64>,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not what a list of dead letters gave as `next`")]
pub struct NoCursor;

impl fmt::Display for DeadLetterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.before.iter().map(|(topic, offset)| format!("{topic}:{offset}")).collect();
        f.write_str(&places.join(","))
    }
}

impl FromStr for DeadLetterCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let place = |place: &str| {
            let (topic, offset) = place.split_once(':')?;
            let topic = Topic::ALL.iter().find(|known| known.name() == topic)?;
            Some((topic.name(), offset.parse().ok()?))
        };
        let before = text.split(',').map(place).collect::<Option<_>>().ok_or(NoCursor)?;
        Ok(Self { before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_is_written_and_nothing_else_does() {
        let cursor =
            DeadLetterCursor { before: BTreeMap::from([("twin.documents.raw.v1", 12), ("twin.queries.v1", 0)]) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "12", "twin.documents.raw.v1", "twin.documents.raw.v1:x", "other:1", "twin.queries.v1:1,"] {
            assert_eq!(text.parse::<DeadLetterCursor>(), Err(NoCursor), "{text}");
        }
    }
}
