//! Bodies of `POST /v1/chat/completions` and `POST /v1/query`, through the gateway's own router: whatever is sent, the
//! answer is a problem of the client's, since there is no author to be asked.
#![no_main]

use std::sync::LazyLock;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use twin_api::DeadLetterView;
use twin_gateway::{DeadLetterAccess, Dependencies, Gateway, Options, PortError, SourceResolver};
use twin_schemas::SourceKind;
use twin_sqlite::{Database, SqliteLog, SqliteWarehouse};
use twin_stream::DeadLetterCursor;
use twin_telemetry::{Health, MetricsRegistry};

struct Nothing;

impl SourceResolver for Nothing {
    fn resolve(&self, _kind: Option<&str>, _location: &str) -> Result<(SourceKind, String), PortError> {
        Err(PortError::Invalid("there are no sources here".to_owned()))
    }

    fn kinds(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

#[async_trait]
impl DeadLetterAccess for Nothing {
    async fn list(
        &self,
        _topic: Option<&str>,
        _before: Option<&DeadLetterCursor>,
        _limit: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError> {
        Ok((Vec::new(), None))
    }

    async fn show(&self, _id: &str) -> Result<Option<DeadLetterView>, PortError> {
        Ok(None)
    }

    async fn replay(&self, _id: &str) -> Result<Option<String>, PortError> {
        Ok(None)
    }
}

struct Served {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let folder = TempDir::new().expect("a folder");
    let router = runtime.block_on(async {
        let database = Database::open(&folder.path().join("twin.db")).expect("a database");
        let log = SqliteLog::open(database.clone(), 64 << 20).await.expect("a log");
        let warehouse = SqliteWarehouse::open(database).await.expect("a warehouse");
        let dependencies = Dependencies {
            log: Arc::new(log),
            warehouse: Arc::new(warehouse),
            sources: Arc::new(Nothing),
            dead_letters: Arc::new(Nothing),
            health: Health::default(),
            registry: MetricsRegistry::new(),
            stages: Vec::new(),
            default_interval_s: 900,
            min_score: None,
            uploads: None,
            learning: None,
        };
        Gateway::new(Options::default(), dependencies).expect("the options are good").router()
    });
    Served { runtime, router, _folder: folder }
});

fuzz_target!(|input: (bool, &[u8])| {
    let (chat, body) = input;
    let path = if chat { "/v1/chat/completions" } else { "/v1/query" };
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_vec()));
    let request = request.expect("a request");
    let response = SERVED.runtime.block_on(SERVED.router.clone().oneshot(request)).expect("an answer");
    assert!(response.status().is_client_error(), "{}", response.status());
});
