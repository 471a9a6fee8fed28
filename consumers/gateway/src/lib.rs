//! The gateway: a REST interface to the twin.
//!
//! In: HTTP requests. Questions go out as events on the queries topic and their answers come in on the answers topic,
//! keyed by this gateway's id; sources and documents are read from and written to the warehouse. Of the learning loop,
//! rows are read from and written to the registry, and the files that they name are read from the artifact store.
//!
//! Promises:
//!
//! - A question is answered, refused (503 with `Retry-After`) or given up (504) within `request_timeout_ms`; one whose
//!   client goes away is cancelled, whether its answer was streamed or not.
//! - No more than `max_in_flight` questions wait at a time, and no request holds more than its bounded share of memory:
//!   an upload of any length is read line by line.
//! - Every error is a problem (RFC 9457) that names each wrong field; on the routes of OpenAI's API it has that API's
//!   `error` member as well.
//! - What moves the learning loop (a deployment, a rollback, a job) is one step of the registry: it is done as a whole and
//!   with its event, or refused (409) with the reason.
//! - The author of a question comes from a field of the request, never from text in it.
//! - On shutdown no new connection is taken; requests in flight have `drain_s` to end, then their questions are
//!   cancelled.
//!
//! Deliberately not here: search, prompts and models (`consumers/inference`, reached through the log alone); reading
//! sources (`producers/crawler`); how datasets are made and models trained and evaluated
//! (the stages of the learning loop, which work on the registry's rows); authentication and TLS, which belong to the proxy in front.

#![allow(unused_qualifications, reason = "`utoipa::path` expands to one for each query extractor")]

mod answers;
mod ask;
mod attempts;
mod authors;
mod error;
mod extract;
mod learning;
mod list;
mod metrics;
mod openapi;
mod options;
mod port_error;
mod problem;
mod problem_responses;
mod routes;
mod state;
mod steps;
mod text_or_list;
mod views;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use twin_telemetry::{Health, MetricsRegistry, Readiness, ShutdownSignal, admin_router};

pub use error::Error;
pub use learning::{JobPlanner, Learning, NextVersions, PlannedRun};
pub use openapi::openapi;
pub use options::Options;
pub use port_error::PortError;
pub use state::{DeadLetterAccess, Dependencies, Registration, SourceResolver, StageGroup, Uploads};

use answers::PendingAnswers;
use ask::Asker;
use authors::KnownAuthors;
use metrics::Metrics;
use state::App;

/// How long a response may take to reach its client once its question was cut, and a cancellation to reach the log.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The gateway.
pub struct Gateway {
    app: Arc<App>,
    pending: Arc<PendingAnswers>,
    readiness: Readiness,
    health: Health,
    registry: MetricsRegistry,
}

impl Gateway {
    /// A gateway that does not run yet. Errors: an option is out of its range, a metric's name is taken.
    pub fn new(options: Options, dependencies: Dependencies) -> Result<Self, Error> {
        options.validate()?;
        let default_author = options
            .default_author
            .as_deref()
            .map(|author| author.parse().map_err(|error| Error::option("default_author", format!("{error}"))))
            .transpose()?;
        let Dependencies {
            log,
            warehouse,
            sources,
            dead_letters,
            health,
            registry,
            stages,
            default_interval_s,
            min_score,
            uploads,
            learning,
        } = dependencies;
        let metrics = Metrics::register(&registry)?;
        let pending = Arc::new(PendingAnswers::new(metrics.clone()));
        let asker = Asker::new(&options, Arc::clone(&log), Arc::clone(&pending), metrics.clone());
        let readiness = health.part(twin_schemas::Service::Gateway.name());
        let app = Arc::new(App {
            options,
            default_author,
            log,
            authors: KnownAuthors::new(Arc::clone(&warehouse)),
            warehouse,
            sources,
            dead_letters,
            health: health.clone(),
            stages,
            default_interval_s,
            min_score,
            uploads,
            learning,
            asker,
            metrics,
        });
        Ok(Self { app, pending, readiness, health, registry })
    }

    /// The routes. Questions are answered while [`Gateway::run`] runs.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.app), admin_router(self.health.clone(), self.registry.clone()))
    }

    /// Serves until the shutdown begins, then drains.
    pub async fn run(self, listener: TcpListener, shutdown: ShutdownSignal) -> Result<(), Error> {
        let router = self.router();
        let Self { app, pending, readiness, .. } = self;
        let reader = answers::follow(pending, Arc::clone(&app.log), readiness);
        // It reads on while requests drain, and ends with this call.
        let _reader = AbortOnDropHandle::new(tokio::spawn(reader));
        let begun = shutdown.clone();
        let server = axum::serve(listener, router).with_graceful_shutdown(async move { begun.begun().await });
        let mut server = std::pin::pin!(server.into_future());
        tokio::select! {
            result = &mut server => result?,
            () = drain_over(&shutdown, app.options.drain_s) => {
                tracing::warn!("cutting requests that did not end in gateway.drain_s");
                app.asker.cut();
                if let Ok(result) = tokio::time::timeout(LAST_WORDS, &mut server).await {
                    result?;
                }
            }
        }
        if tokio::time::timeout(LAST_WORDS, app.asker.cancellations_sent()).await.is_err() {
            tracing::warn!("some cancellations did not reach the log; the queries' deadlines will do");
        }
        Ok(())
    }
}

async fn drain_over(shutdown: &ShutdownSignal, drain_s: u64) {
    shutdown.begun().await;
    tokio::time::sleep(Duration::from_secs(drain_s)).await;
}
