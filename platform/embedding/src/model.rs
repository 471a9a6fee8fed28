use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Which embedding model: `<name>@<hash of its content>`. The name is for people. Two ids are equal if their hashes are,
/// so that a folder may be renamed and moved.
#[derive(Debug, Clone)]
pub struct EmbeddingModelId {
    name: String,
    hash: String,
}

/// A text that is no model's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no model's id: `<name>@<hash>` is expected")]
pub struct InvalidModelId(String);

impl EmbeddingModelId {
    /// The id of a model that people call so and whose content has this hash. A hash has no `@` in it.
    pub fn new(name: impl Into<String>, hash: impl Into<String>) -> Self {
        let id = Self { name: name.into(), hash: hash.into() };
        debug_assert!(!id.hash.is_empty() && !id.hash.contains('@'), "{id}");
        id
    }
}

impl fmt::Display for EmbeddingModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.hash)
    }
}

impl FromStr for EmbeddingModelId {
    type Err = InvalidModelId;

    fn from_str(text: &str) -> Result<Self, InvalidModelId> {
        match text.rsplit_once('@') {
            Some((name, hash)) if !hash.is_empty() => Ok(Self::new(name, hash)),
            _ => Err(InvalidModelId(text.to_owned())),
        }
    }
}

impl PartialEq for EmbeddingModelId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for EmbeddingModelId {}

impl Hash for EmbeddingModelId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// What is known of an embedding model without loading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Which model; vectors of two models are never compared.
    pub id: EmbeddingModelId,
    /// Numbers in a vector.
    pub dimension: usize,
    /// How its engine loads it, in the engine's own words; nobody else reads them. A path in it is a hint: the model that
    /// is found there is checked against the id.
    pub settings: String,
}

impl EmbeddingModel {
    /// Whether vectors of the two can be compared.
    pub fn is_comparable_to(&self, other: &Self) -> bool {
        self.id == other.id && self.dimension == other.dimension
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_the_same_under_another_name_and_another_one_under_the_same() {
        let id = |text: &str| text.parse::<EmbeddingModelId>().unwrap();
        assert_eq!(id("minilm@759c3cd2b7fe"), id("copy@2@759c3cd2b7fe"));
        assert_ne!(id("minilm@759c3cd2b7fe"), id("minilm@000000000000"));
        assert_eq!(id("copy@2@759c3cd2b7fe").to_string(), "copy@2@759c3cd2b7fe");
        assert_eq!("minilm".parse::<EmbeddingModelId>(), Err(InvalidModelId("minilm".to_owned())));
        assert!("minilm@".parse::<EmbeddingModelId>().is_err());
    }
}
