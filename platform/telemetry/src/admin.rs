use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::health::Health;
use crate::metrics::{MetricsRegistry, gather_text};

/// What `/healthz` answers.
#[derive(Serialize)]
struct Alive {
    alive: bool,
}

/// What `/readyz` answers.
#[derive(Serialize)]
struct Report {
    ready: bool,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    part: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The routes that every process has: `/healthz` (it runs), `/readyz` (it can do its job; 503 with the parts that can
/// not, and why) and `/metrics` (Prometheus' text format).
pub fn admin_router(health: Health, registry: MetricsRegistry) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(Alive { alive: true })))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(health): State<Health>) -> Response {
    let parts: Vec<Part> = health
        .report()
        .into_iter()
        .map(|(part, state)| Part { part, ready: state.is_ok(), reason: state.err() })
        .collect();
    let ready = parts.iter().all(|part| part.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Report { ready, parts })).into_response()
}

async fn metrics(State(registry): State<MetricsRegistry>) -> Response {
    match gather_text(&registry) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be gathered");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn readiness_status(health: &Health) -> StatusCode {
        readyz(State(health.clone())).await.status()
    }

    #[tokio::test]
    async fn a_process_is_ready_only_while_every_part_is() {
        let health = Health::default();
        let log = health.part("log");
        let model = health.part("model");
        log.ready();
        assert_eq!(readiness_status(&health).await, StatusCode::SERVICE_UNAVAILABLE);
        model.ready();
        assert_eq!(readiness_status(&health).await, StatusCode::OK);
        log.not_ready("the disk is full");
        assert_eq!(readiness_status(&health).await, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_part_that_is_not_ready_says_why() {
        let health = Health::default();
        health.part("log").not_ready("the disk is full");
        let body = axum::body::to_bytes(readyz(State(health)).await.into_body(), 4096).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains(r#""reason":"the disk is full""#), "{text}");
    }
}
