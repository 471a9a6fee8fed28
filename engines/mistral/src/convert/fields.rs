//! The key-value part of a GGUF file.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use super::ConvertError;

/// Typed access to the key-value part of a GGUF file.
pub(super) struct Fields<'a>(pub(super) &'a HashMap<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn value(&self, key: &str) -> Result<&'a Value, ConvertError> {
        self.0.get(key).ok_or_else(|| ConvertError::FieldMissing { key: key.to_owned() })
    }

    pub(super) fn size(&self, key: &str) -> Result<usize, ConvertError> {
        let number = self.value(key)?.to_u64().map_err(|_| invalid(key, "not an unsigned integer"))?;
        usize::try_from(number).map_err(|_| invalid(key, "too large"))
    }

    /// A size by which others are divided or multiplied: zero would be a damaged file.
    pub(super) fn positive(&self, key: &str) -> Result<usize, ConvertError> {
        match self.size(key)? {
            0 => Err(invalid(key, "zero")),
            size => Ok(size),
        }
    }

    pub(super) fn float(&self, key: &str) -> Result<f32, ConvertError> {
        self.value(key)?.to_f32().map_err(|_| invalid(key, "not a 32-bit float"))
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, ConvertError> {
        Ok(self.value(key)?.to_string().map_err(|_| invalid(key, "not a string"))?.as_str())
    }

    pub(super) fn list<T>(
        &self,
        key: &str,
        item: impl Fn(&'a Value) -> candle_core::Result<T>,
    ) -> Result<Vec<T>, ConvertError> {
        let values = self.value(key)?.to_vec().map_err(|_| invalid(key, "not an array"))?;
        values.iter().map(item).collect::<Result<_, _>>().map_err(|_| invalid(key, "an array of another type"))
    }
}

pub(super) fn invalid(key: &str, problem: impl Into<String>) -> ConvertError {
    ConvertError::FieldInvalid { key: key.to_owned(), problem: problem.into() }
}
