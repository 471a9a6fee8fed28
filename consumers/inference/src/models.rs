//! Which model answers for whom.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use twin_llm::ChatModel;
use twin_schemas::{AuthorId, ModelId};

use crate::mode::Writer;

/// The models in memory: the base model, and a version of their own for some authors. Who answers keeps its model until
/// the answer is written, so a version that is replaced goes when its last answer ends.
pub struct Models {
    base: Base,
    deployed: RwLock<HashMap<AuthorId, Version>>,
}

/// The model that answers for authors without a version of their own.
pub enum Base {
    /// None is loaded: they are quoted.
    Absent,
    /// The small one that every installation has.
    Default(Arc<dyn ChatModel>),
    /// A model or an endpoint that somebody has chosen.
    Chosen(Arc<dyn ChatModel>),
}

/// A version in memory.
pub(crate) struct Version {
    pub(crate) id: ModelId,
    pub(crate) model: Arc<dyn ChatModel>,
    /// It has passed its evaluation for grounded answers.
    pub(crate) grounded: bool,
}

impl Models {
    /// Everybody is answered for by the base model.
    pub fn new(base: Base) -> Self {
        Self { base, deployed: RwLock::default() }
    }

    /// The model that answers for this author now. None is loaded where the author is quoted.
    pub fn of(&self, author: &AuthorId) -> Option<Arc<dyn ChatModel>> {
        self.writer_for(author).map(|(model, _)| model)
    }

    /// That model, and whether it is a version that was trained on the author.
    pub(crate) fn writer_for(&self, author: &AuthorId) -> Option<(Arc<dyn ChatModel>, bool)> {
        let deployed = self.deployed.read().unwrap_or_else(PoisonError::into_inner);
        match (deployed.get(author), &self.base) {
            (Some(version), _) => Some((version.model.clone(), true)),
            (None, Base::Default(model) | Base::Chosen(model)) => Some((model.clone(), false)),
            (None, Base::Absent) => None,
        }
    }

    /// What is known of that model.
    pub(crate) fn writer_of(&self, author: &AuthorId) -> Writer {
        let deployed = self.deployed.read().unwrap_or_else(PoisonError::into_inner);
        match (&self.base, deployed.get(author)) {
            (Base::Chosen(_), _) => Writer::Chosen,
            (_, Some(version)) => Writer::Default { grounded: version.grounded },
            (Base::Default(_), None) => Writer::Default { grounded: false },
            (Base::Absent, None) => Writer::Nobody,
        }
    }

    /// The version that answers for this author; none is the base model.
    pub fn version_of(&self, author: &AuthorId) -> Option<ModelId> {
        let deployed = self.deployed.read().unwrap_or_else(PoisonError::into_inner);
        deployed.get(author).map(|version| version.id.clone())
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
