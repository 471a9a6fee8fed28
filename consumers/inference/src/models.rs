//! Which model answers for whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::info;
use twin_llm::ChatModel;
use twin_schemas::{AuthorId, ModelId};

use crate::mode::Writer;
use crate::switch::{LoadError, Loader, RETRY};

/// The models in memory: the base model, and a version of their own for some authors. Who answers keeps its model until
/// the answer is written, so a version that is replaced goes when its last answer ends.
///
/// Of the versions so many are in memory at once, beside those that still write an answer; the one that was asked least
/// recently makes room for another, and is loaded again when it is asked.
pub struct Models {
    base: Base,
    most: usize,
    deployed: Mutex<Deployed>,
    /// Held while a version is loaded: two at once would need the memory of both beside those that are there.
    loading: tokio::sync::Mutex<()>,
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

#[derive(Default)]
struct Deployed {
    versions: HashMap<AuthorId, Version>,
    /// Counts the uses of all versions.
    uses: u64,
}

/// A version that is deployed.
pub(crate) struct Version {
    pub(crate) id: ModelId,
    /// It has passed its evaluation for grounded answers.
    pub(crate) grounded: bool,
    /// None: it is not in memory, and loaded when it is asked.
    pub(crate) model: Option<Arc<dyn ChatModel>>,
    pub(crate) loader: Arc<dyn Loader>,
    /// The number of its last use.
    pub(crate) used: u64,
    /// When it did not load any more, and why.
    pub(crate) failed: Option<(Instant, String)>,
}

/// A version that is not in memory, and what loads it.
type Absent = (ModelId, Arc<dyn Loader>);

/// The model that answers for an author.
pub(crate) struct Assigned {
    pub(crate) model: Arc<dyn ChatModel>,
    /// It is a version that was trained on the author.
    pub(crate) is_own: bool,
}

impl Models {
    /// Everybody is answered for by the base model. At most so many versions will be in memory, at least 1.
    pub fn new(base: Base, most: usize) -> Self {
        Self { base, most: most.max(1), deployed: Mutex::default(), loading: tokio::sync::Mutex::default() }
    }

    /// The model that answers for this author now, which is loaded if it is not in memory. None is there where the author
    /// is quoted. Whoever asks may go away: what is loaded for them is there for the next.
    ///
    /// # Errors
    /// The author's version could not be loaded again.
    pub async fn of(self: &Arc<Self>, author: &AuthorId) -> Result<Option<Arc<dyn ChatModel>>, LoadError> {
        Ok(self.assigned_to(author).await?.map(|assigned| assigned.model))
    }

    /// As [`Self::of`], with what is known of it.
    pub(crate) async fn assigned_to(self: &Arc<Self>, author: &AuthorId) -> Result<Option<Assigned>, LoadError> {
        if let Some(assigned) = self.in_memory(author) {
            return Ok(assigned);
        }
        let (models, author) = (self.clone(), author.clone());
        let loading = tokio::spawn(async move { models.load_again(&author).await });
        loading.await.unwrap_or_else(|panic| Err(LoadError::Unfit(format!("loading it panicked: {panic}"))))
    }

    async fn load_again(&self, author: &AuthorId) -> Result<Option<Assigned>, LoadError> {
        let _alone = self.alone().await;
        // Who waited for its turn may find what the one before has loaded.
        if let Some(assigned) = self.in_memory(author) {
            return Ok(assigned);
        }
        let Some((id, loader)) = self.absent(author)? else { return Ok(self.assigned_base()) };
        self.make_room_for(author);
        let loaded = loader.load(&id).await;
        let mut deployed = self.deployed();
        // It may have been replaced meanwhile; who asked before that has the one of that moment.
        if let Some(version) = deployed.versions.get_mut(author).filter(|version| version.id == id) {
            version.model = loaded.as_ref().ok().cloned();
            let lasting = loaded.as_ref().err().filter(|error| !error.is_transient());
            version.failed = lasting.map(|error| (Instant::now(), error.to_string()));
        }
        deployed.use_of(author);
        let model = loaded?;
        info!(%author, version = id.0, "the version was loaded again");
        Ok(Some(Assigned { model, is_own: true }))
    }

    /// Leave to load a version, given back when it is dropped.
    pub(crate) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.loading.lock().await
    }

    /// What answers for the author if that is in memory; none if it has to be loaded.
    fn in_memory(&self, author: &AuthorId) -> Option<Option<Assigned>> {
        let mut deployed = self.deployed();
        deployed.use_of(author);
        match deployed.versions.get(author) {
            Some(version) => version.model.clone().map(|model| Some(Assigned { model, is_own: true })),
            None => Some(self.assigned_base()),
        }
    }

    fn assigned_base(&self) -> Option<Assigned> {
        self.base().map(|model| Assigned { model, is_own: false })
    }

    /// The author's version that is not in memory, and what loads it. One that failed lately is not tried again yet: a try
    /// reads all of its files.
    fn absent(&self, author: &AuthorId) -> Result<Option<Absent>, LoadError> {
        let deployed = self.deployed();
        let Some(version) = deployed.versions.get(author) else { return Ok(None) };
        match &version.failed {
            Some((at, problem)) if at.elapsed() < RETRY => Err(LoadError::Unfit(problem.clone())),
            _ => Ok(Some((version.id.clone(), version.loader.clone()))),
        }
    }

    fn base(&self) -> Option<Arc<dyn ChatModel>> {
        match &self.base {
            Base::Default(model) | Base::Chosen(model) => Some(model.clone()),
            Base::Absent => None,
        }
    }

    /// The name of the model that answers for this author, in memory or not; empty where none does.
    pub(crate) fn name_of(&self, author: &AuthorId) -> String {
        let version = self.version_of(author).map(|version| version.0);
        version.or_else(|| self.base().map(|model| model.name().to_owned())).unwrap_or_default()
    }

    /// What is known of that model.
    pub(crate) fn writer_of(&self, author: &AuthorId) -> Writer {
        let deployed = self.deployed();
        match (&self.base, deployed.versions.get(author)) {
            (Base::Chosen(_), _) => Writer::Chosen,
            (_, Some(version)) => Writer::Default { grounded: version.grounded },
            (Base::Default(_), None) => Writer::Default { grounded: false },
            (Base::Absent, None) => Writer::Nobody,
        }
    }

    /// The version that answers for this author, in memory or not; none is the base model.
    pub fn version_of(&self, author: &AuthorId) -> Option<ModelId> {
        self.deployed().versions.get(author).map(|version| version.id.clone())
    }

    /// Whether one more version can be in memory without another's making room.
    pub(crate) fn has_room(&self) -> bool {
        self.deployed().resident() < self.most
    }

    /// Makes room for a version that is about to be loaded for the author. A version of theirs stays until the new one has
    /// taken over.
    pub(crate) fn make_room_for(&self, author: &AuthorId) {
        let mut deployed = self.deployed();
        let takes_over = deployed.versions.get(author).is_some_and(|version| version.model.is_some());
        while !takes_over && deployed.resident() >= self.most {
            deployed.drop_least_recent();
        }
    }

    /// From now on this version answers for the author; none is the base model.
    pub(crate) fn switch(&self, author: &AuthorId, to: Option<Version>) {
        let mut deployed = self.deployed();
        match to {
            Some(version) => {
                deployed.versions.insert(author.clone(), version);
                deployed.use_of(author);
            }
            None => {
                deployed.versions.remove(author);
            }
        }
    }

    fn deployed(&self) -> MutexGuard<'_, Deployed> {
        self.deployed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deployed {
    fn use_of(&mut self, author: &AuthorId) {
        self.uses += 1;
        if let Some(version) = self.versions.get_mut(author) {
            version.used = self.uses;
        }
    }

    /// Versions in memory.
    fn resident(&self) -> usize {
        self.versions.values().filter(|version| version.model.is_some()).count()
    }

    fn drop_least_recent(&mut self) {
        let resident = self.versions.values_mut().filter(|version| version.model.is_some());
        if let Some(version) = resident.min_by_key(|version| version.used) {
            info!(version = version.id.0, "the version makes room in memory for another");
            version.model = None;
        }
    }
}
