//! Lists in parts: how much of a list is asked for, and where it goes on.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::extract::Checks;
use crate::problem::Problem;

/// A list of the API.
pub struct List {
    /// Its name. A cursor holds it, so that one of another list is refused.
    pub name: &'static str,
    /// The parameter that takes a cursor: `before` where the newest come first, else `after`.
    pub cursor: &'static str,
    /// How many rows an answer holds at most, where the request does not say.
    pub default: u32,
    /// How many it may ask for.
    pub max: u32,
}

/// What of a list is asked for.
pub struct Part<C> {
    /// At most so many rows, at least 1.
    pub limit: usize,
    /// What comes after this position; none: the beginning of the list.
    pub from: Option<C>,
}

impl List {
    /// What a request asks for. A problem names the parameter that is wrong.
    pub fn part<C: DeserializeOwned>(&self, limit: Option<u32>, cursor: Option<&str>) -> Result<Part<C>, Problem> {
        let limit = limit.unwrap_or(self.default);
        let from = cursor.map(|text| self.position(text));
        let mut checks = Checks::default();
        checks.require((1..=self.max).contains(&limit), "limit", format!("must be 1 to {}", self.max));
        checks.require(!matches!(from, Some(None)), self.cursor, "is not what this list gave as `next`");
        checks.finish()?;
        Ok(Part { limit: limit as usize, from: from.flatten() })
    }

    /// The cursor of the next part of the list. To clients it is opaque, and safe in an address: the list's name and the
    /// position as JSON, in hexadecimal digits.
    pub fn next<C: Serialize>(&self, position: Option<C>) -> Option<String> {
        // Positions are structs of texts, numbers and times: they have no failing `Serialize` implementation.
        let json = serde_json::to_vec(&(self.name, position?)).expect("a position serialises to JSON");
        let mut digits = String::with_capacity(2 * json.len());
        for byte in json {
            // Writing to a string never fails.
            let _ = write!(digits, "{byte:02x}");
        }
        Some(digits)
    }

    fn position<C: DeserializeOwned>(&self, cursor: &str) -> Option<C> {
        let (name, position): (String, C) = serde_json::from_slice(&bytes(cursor)?).ok()?;
        (name == self.name).then_some(position)
    }
}

/// The bytes that hexadecimal digits say.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use twin_warehouse::{DocumentPosition, SourcePosition};
    use uuid::Uuid;

    use super::*;

    const SOURCES: List = List { name: "sources", cursor: "after", default: 10, max: 20 };
    const OTHERS: List = List { name: "others", ..SOURCES };

    fn position() -> SourcePosition {
        let source_id = twin_schemas::SourceId(Uuid::from_u128(7));
        SourcePosition { author: "ada".parse().unwrap(), location: "/notes & \"ü\" /".into(), source_id }
    }

    fn wrong(part: Result<Part<SourcePosition>, Problem>) -> String {
        let problem = serde_json::to_value(part.err().unwrap()).unwrap();
        assert_eq!(problem["status"], 422);
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_is_safe_in_an_address() {
        let text = SOURCES.next(Some(position())).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        let part: Part<SourcePosition> = SOURCES.part(None, Some(&text)).unwrap();
        assert_eq!((part.limit, part.from), (10, Some(position())));
        assert_eq!(SOURCES.next(None::<SourcePosition>), None);
        assert!(SOURCES.part::<SourcePosition>(Some(20), None).unwrap().from.is_none());
    }

    #[test]
    fn what_is_no_cursor_of_the_list_is_named() {
        let text = SOURCES.next(Some(position())).unwrap();
        let of_other_list = OTHERS.next(Some(position())).unwrap();
        let document_id = twin_schemas::DocumentId(Uuid::from_u128(7));
        let of_other_type =
            SOURCES.next(Some(DocumentPosition { changed_at: chrono::Utc::now(), document_id })).unwrap();
        let cut = &text[..text.len() - 2];
        for cursor in ["", "yesterday", "é", "7", cut, of_other_list.as_str(), of_other_type.as_str()] {
            assert_eq!(wrong(SOURCES.part(None, Some(cursor))), "after", "{cursor:?}");
        }
        for limit in [0, 21] {
            assert_eq!(wrong(SOURCES.part(Some(limit), None)), "limit");
        }
    }
}
