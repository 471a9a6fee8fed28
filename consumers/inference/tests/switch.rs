//! Deployments as a worker takes them up.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use common::ada;
use common::models::{Word, deployed, now};
use twin_inference::{Base, LoadError, Loader, Models, SwitchMetrics, Switcher, Workers};
use twin_llm::ChatModel;
use twin_registry::{By, DeploymentState, Registry};
use twin_schemas::ModelId;
use twin_sqlite::{Database, SqliteLog};
use twin_stream::{EventLog, TopicSpec};

/// The first version loads, the second is broken, the third says nothing.
struct Shelf(Arc<AtomicUsize>);

#[async_trait]
impl Loader for Shelf {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        match model.0.as_str() {
            "ada-v1" => Ok(Arc::new(Word::new("ada-v1", "hello", &self.0))),
            "ada-v2" => Err(LoadError::Unfit("a tensor is missing".to_owned())),
            _ => Ok(Arc::new(Word::new(&model.0, " ", &self.0))),
        }
    }
}

/// Nothing loads any more; tries are counted.
struct Damaged(Arc<AtomicUsize>);

#[async_trait]
impl Loader for Damaged {
    async fn load(&self, _: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(LoadError::Unfit("a file is damaged".to_owned()))
    }
}

/// The artifact store is away at the first try, and back at the second.
struct Returning(Shelf, AtomicUsize);

#[async_trait]
impl Loader for Returning {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        if self.1.fetch_add(1, Ordering::SeqCst) > 0 {
            return self.0.load(model).await;
        }
        let away = twin_artifacts::Artifacts::existing(std::path::Path::new("/no/such/folder")).unwrap_err();
        Err(away.into())
    }
}

struct Fixture {
    registry: Registry,
    models: Arc<Models>,
    switcher: Switcher,
    alive: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    let log = SqliteLog::open(database.clone(), 1 << 20).await.unwrap();
    log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
    let registry = twin_sqlite::registry(database).await.unwrap();
    let alive = Arc::new(AtomicUsize::new(0));
    let models = Arc::new(Models::new(Base::Default(Arc::new(Word::new("base", "hm", &alive))), 4));
    let metrics = SwitchMetrics::new(&twin_telemetry::MetricsRegistry::new()).unwrap();
    let switcher =
        Switcher::new(registry.clone(), Arc::new(log), Shelf(alive.clone()), models.clone(), Workers::alone(), metrics);
    Fixture { registry, models, switcher, alive, _folder: folder }
}

#[tokio::test]
async fn a_deployed_version_answers_for_its_author_and_for_nobody_else() {
    let f = fixture().await;
    let model = deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    assert_eq!(
        (f.models.of(&ada()).await.unwrap().unwrap().name(), f.models.version_of(&ada())),
        ("ada-v1", Some(model))
    );
    assert_eq!(f.models.of(&"eve".parse().unwrap()).await.unwrap().unwrap().name(), "base");
    assert_eq!(f.registry.production(&ada()).await.unwrap().unwrap().state, DeploymentState::Serving);
}

#[tokio::test]
async fn an_answer_that_has_begun_keeps_its_model_and_the_model_goes_with_the_last_one() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    let answering = f.models.of(&ada()).await.unwrap().unwrap();
    f.registry.roll_back(&ada(), By::new("grace", "", now())).await.unwrap();
    f.switcher.catch_up().await;
    assert_eq!(f.models.of(&ada()).await.unwrap().unwrap().name(), "base");
    assert_eq!((answering.name(), f.alive.load(Ordering::SeqCst)), ("ada-v1", 2));
    drop(answering);
    assert_eq!(f.alive.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_version_that_does_not_load_or_says_nothing_leaves_the_one_before_and_is_not_tried_again() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    for (number, problem) in [(2, "a tensor is missing"), (3, "says nothing")] {
        deployed(&f.registry, true).await;
        f.switcher.catch_up().await;
        assert_eq!(f.models.of(&ada()).await.unwrap().unwrap().name(), "ada-v1");
        let newest = f.registry.deployments(&ada()).await.unwrap().remove(0);
        assert_eq!((newest.number, newest.state), (number, DeploymentState::Failed));
        assert!(newest.detail.as_deref().is_some_and(|detail| detail.contains(problem)), "{newest:?}");
    }
    f.switcher.catch_up().await;
    assert_eq!(f.registry.production(&ada()).await.unwrap().unwrap().number, 1);
    assert_eq!(f.alive.load(Ordering::SeqCst), 2, "the base model and the first version");
}

#[tokio::test]
async fn a_version_whose_files_are_away_for_a_while_is_tried_again_and_not_failed() {
    let f = fixture().await;
    let model = deployed(&f.registry, true).await;
    let (switcher, models) = anew(&f, Returning(Shelf(f.alive.clone()), AtomicUsize::new(0))).await;
    switcher.catch_up().await;
    assert_eq!(f.registry.deployments(&ada()).await.unwrap()[0].state, DeploymentState::Requested);
    assert_eq!(models.of(&ada()).await.unwrap().unwrap().name(), "base");
    switcher.catch_up().await;
    assert_eq!(f.registry.deployments(&ada()).await.unwrap()[0].state, DeploymentState::Serving);
    assert_eq!(models.version_of(&ada()), Some(model));
}

#[tokio::test]
async fn a_worker_that_is_started_anew_takes_up_what_is_in_force() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    let (switcher, models) = anew(&f, Shelf(f.alive.clone())).await;
    switcher.catch_up().await;
    assert_eq!(models.of(&ada()).await.unwrap().unwrap().name(), "ada-v1");
}

#[tokio::test]
async fn a_version_that_served_and_does_not_load_any_more_is_not_read_over_and_over() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let (switcher, models) = anew(&f, Damaged(tries.clone())).await;
    for _ in 0..3 {
        switcher.catch_up().await;
    }
    assert_eq!((models.of(&ada()).await.unwrap().unwrap().name(), tries.load(Ordering::SeqCst)), ("base", 1));
    // What is deployed from here on is tried at once.
    deployed(&f.registry, true).await;
    switcher.catch_up().await;
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

/// The switcher of a process that starts later, and its models.
async fn anew(f: &Fixture, loader: impl Loader + 'static) -> (Switcher, Arc<Models>) {
    let models = Arc::new(Models::new(Base::Default(Arc::new(Word::new("base", "hm", &f.alive))), 4));
    let metrics = SwitchMetrics::new(&twin_telemetry::MetricsRegistry::new()).unwrap();
    let database = Database::open(&f._folder.path().join("other.db")).unwrap();
    let log = Arc::new(SqliteLog::open(database, 1 << 20).await.unwrap());
    (Switcher::new(f.registry.clone(), log, loader, models.clone(), Workers::alone(), metrics), models)
}

#[tokio::test]
async fn an_event_that_comes_again_loads_nothing_again() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.switcher.catch_up().await;
    let (model, before) = (f.models.of(&ada()).await.unwrap().unwrap(), f.registry.deployments(&ada()).await.unwrap());
    for _ in 0..3 {
        f.switcher.catch_up().await;
    }
    assert!(Arc::ptr_eq(&f.models.of(&ada()).await.unwrap().unwrap(), &model));
    assert_eq!(f.registry.deployments(&ada()).await.unwrap(), before);
}

#[tokio::test]
async fn of_two_deployments_in_a_row_the_later_is_taken_up_and_the_earlier_is_told_so() {
    let f = fixture().await;
    deployed(&f.registry, true).await;
    f.registry.roll_back(&ada(), By::new("grace", "", now())).await.unwrap();
    f.switcher.catch_up().await;
    assert_eq!((f.models.of(&ada()).await.unwrap().unwrap().name(), f.alive.load(Ordering::SeqCst)), ("base", 1));
    let deployments = f.registry.deployments(&ada()).await.unwrap();
    let states: Vec<_> = deployments.iter().map(|deployment| (deployment.number, deployment.state)).collect();
    assert_eq!(states, [(2, DeploymentState::Serving), (1, DeploymentState::Failed)]);
    assert!(deployments[1].detail.as_deref().is_some_and(|detail| detail.contains("a later deployment")));
}
