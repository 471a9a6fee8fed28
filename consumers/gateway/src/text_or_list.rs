//! Fields that are a text or a list.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer};

/// Reads a text (`Ok`) or a list (`Err`). Derived untagged enums lose the path of a wrong element and say no more than
/// "did not match any variant".
pub fn text_or_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Result<String, Vec<T>>, D::Error> {
    deserializer.deserialize_any(TextOr(PhantomData))
}

struct TextOr<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOr<T> {
    type Value = Result<String, Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Ok(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Ok(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Err)
    }
}
