//! Versions of many authors' models where memory is for few.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::ada;
use common::models::{Word, deployed_to};
use twin_inference::{Base, LoadError, Loader, Models, SwitchMetrics, Switcher, Workers};
use twin_llm::ChatModel;
use twin_registry::Registry;
use twin_schemas::{AuthorId, ModelId};
use twin_sqlite::{Database, SqliteLog};

/// Every version loads. Loads are counted, and what is in memory.
#[derive(Clone, Default)]
struct Library {
    loads: Arc<AtomicUsize>,
    in_memory: Arc<AtomicUsize>,
    /// Those that do not load a second time.
    lost: Arc<Mutex<HashSet<String>>>,
}

#[async_trait]
impl Loader for Library {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        if self.lost.lock().unwrap().contains(&model.0) {
            return Err(LoadError::Unfit("its files are lost".to_owned()));
        }
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Word::new(&model.0, "hello", &self.in_memory)))
    }
}

struct Fixture {
    registry: Registry,
    library: Library,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        Self { registry: twin_sqlite::registry(database).await.unwrap(), library: Library::default(), folder }
    }

    /// A worker that has memory for so many versions.
    async fn worker(&self, most: usize) -> (Switcher, Arc<Models>) {
        let base = Base::Default(Arc::new(Word::new("base", "hm", &Arc::default())));
        let models = Arc::new(Models::new(base, most));
        let database = Database::open(&self.folder.path().join("log.db")).unwrap();
        let log = Arc::new(SqliteLog::open(database, 1 << 20).await.unwrap());
        let metrics = SwitchMetrics::new(&twin_telemetry::MetricsRegistry::new()).unwrap();
        let registry = self.registry.clone();
        let switcher = Switcher::new(registry, log, self.library.clone(), models.clone(), Workers::alone(), metrics);
        (switcher, models)
    }

    fn in_memory(&self) -> usize {
        self.library.in_memory.load(Ordering::SeqCst)
    }

    fn loads(&self) -> usize {
        self.library.loads.load(Ordering::SeqCst)
    }
}

fn bob() -> AuthorId {
    "bob".parse().unwrap()
}

fn eve() -> AuthorId {
    "eve".parse().unwrap()
}

/// The name of the model that answers for the author.
async fn answering(models: &Arc<Models>, author: &AuthorId) -> String {
    models.of(author).await.unwrap().unwrap().name().to_owned()
}

#[tokio::test]
async fn the_version_that_was_asked_least_recently_makes_room_and_is_loaded_again_when_it_is_asked() {
    let f = Fixture::new().await;
    let (switcher, models) = f.worker(2).await;
    for author in [ada(), bob()] {
        deployed_to(&f.registry, &author, true).await;
    }
    switcher.catch_up().await;
    assert_eq!(answering(&models, &bob()).await, "bob-v1");
    assert_eq!(answering(&models, &ada()).await, "ada-v1");
    deployed_to(&f.registry, &eve(), true).await;
    switcher.catch_up().await;
    assert_eq!((f.in_memory(), f.loads()), (2, 3));
    assert_eq!(answering(&models, &ada()).await, "ada-v1");
    assert_eq!(f.loads(), 3, "it stayed, for it was asked later than the one that has gone");
    assert_eq!(models.version_of(&bob()), Some(ModelId("bob-v1".into())), "it answers for its author all the same");
    assert_eq!(answering(&models, &bob()).await, "bob-v1");
    assert_eq!((f.in_memory(), f.loads()), (2, 4));
}

#[tokio::test]
async fn a_worker_that_is_started_anew_loads_what_there_is_room_for_and_the_rest_when_it_is_asked() {
    let f = Fixture::new().await;
    let (switcher, _models) = f.worker(9).await;
    for author in [ada(), bob(), eve()] {
        deployed_to(&f.registry, &author, true).await;
    }
    switcher.catch_up().await;
    assert_eq!((f.in_memory(), f.loads()), (3, 3));
    let (switcher, models) = f.worker(1).await;
    for _ in 0..3 {
        switcher.catch_up().await;
    }
    assert_eq!(f.loads(), 3 + 1);
    for author in [ada(), bob(), eve()] {
        assert_eq!(answering(&models, &author).await, format!("{author}-v1"));
    }
}

#[tokio::test]
async fn many_that_ask_at_once_for_a_version_that_is_not_in_memory_load_it_once() {
    let f = Fixture::new().await;
    let (switcher, models) = f.worker(1).await;
    for author in [ada(), bob()] {
        deployed_to(&f.registry, &author, true).await;
        switcher.catch_up().await;
    }
    assert_eq!(f.loads(), 2);
    let (one, two, three) = (ada(), ada(), ada());
    let (one, two, three) = tokio::join!(models.of(&one), models.of(&two), models.of(&three));
    let [one, two, three] = [one, two, three].map(|model| model.unwrap().unwrap());
    assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&two, &three));
    assert_eq!((f.loads(), f.in_memory()), (3, 1));
}

#[tokio::test]
async fn a_version_that_can_not_be_loaded_again_is_told_and_nobody_else_answers_in_its_place() {
    let f = Fixture::new().await;
    let (switcher, models) = f.worker(1).await;
    for author in [ada(), bob()] {
        deployed_to(&f.registry, &author, true).await;
        switcher.catch_up().await;
    }
    f.library.lost.lock().unwrap().insert("ada-v1".into());
    for _ in 0..2 {
        let Err(lost) = models.of(&ada()).await else { panic!("it is lost") };
        assert_eq!(lost.to_string(), "its files are lost");
        // Found again, it is not read at once: a try reads all of its files.
        f.library.lost.lock().unwrap().clear();
    }
    assert_eq!(f.loads(), 2);
    assert_eq!(answering(&models, &bob()).await, "bob-v1");
}

#[tokio::test]
async fn what_is_loaded_for_one_who_goes_away_is_there_for_the_next() {
    let f = Fixture::new().await;
    let (switcher, models) = f.worker(1).await;
    for author in [ada(), bob()] {
        deployed_to(&f.registry, &author, true).await;
        switcher.catch_up().await;
    }
    // Asked, and gone before it is loaded.
    let author = ada();
    {
        let asked = models.of(&author);
        tokio::pin!(asked);
        assert!(futures::poll!(&mut asked).is_pending());
    }
    assert_eq!(answering(&models, &author).await, "ada-v1");
    assert_eq!(f.loads(), 3, "it was loaded once");
}
