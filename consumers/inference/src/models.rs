//! Which model answers for whom.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use twin_llm::ChatModel;
use twin_schemas::{AuthorId, ModelId};

/// The models in memory: the base model, and a version of their own for some authors. Who answers keeps its model until
/// the answer is written, so a version that is replaced goes when its last answer ends.
pub struct Models {
    base: Arc<dyn ChatModel>,
    deployed: RwLock<HashMap<AuthorId, Version>>,
}

/// A version in memory.
type Version = (ModelId, Arc<dyn ChatModel>);

impl Models {
    /// Everybody is answered for by the base model.
    pub fn new(base: Arc<dyn ChatModel>) -> Self {
        Self { base, deployed: RwLock::default() }
    }

    /// The model that answers for this author now.
    pub fn of(&self, author: &AuthorId) -> Arc<dyn ChatModel> {
        let deployed = self.deployed.read().unwrap_or_else(PoisonError::into_inner);
        deployed.get(author).map_or_else(|| self.base.clone(), |(_, model)| model.clone())
    }

    /// The version that answers for this author; none is the base model.
    pub fn version_of(&self, author: &AuthorId) -> Option<ModelId> {
        let deployed = self.deployed.read().unwrap_or_else(PoisonError::into_inner);
        deployed.get(author).map(|(id, _)| id.clone())
    }

    /// From now on this version answers for the author; none is the base model.
    pub(crate) fn switch(&self, author: &AuthorId, to: Option<Version>) {
        let mut deployed = self.deployed.write().unwrap_or_else(PoisonError::into_inner);
        match to {
            Some(version) => deployed.insert(author.clone(), version),
            None => deployed.remove(author),
        };
    }
}
