//! What the gateway counts.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};
use twin_telemetry::{MetricError, MetricsRegistry, latency_buckets};

/// The metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    queries: IntCounterVec,
    queries_in_flight: IntGauge,
    answers_dropped: IntCounterVec,
    pushed: IntCounterVec,
}

impl Metrics {
    pub fn register(registry: &MetricsRegistry) -> Result<Self, MetricError> {
        let requests = Opts::new("twin_gateway_requests_total", "HTTP requests, by route, method and status.");
        let seconds = HistogramOpts::new(
            "twin_gateway_request_seconds",
            "From a request to the head of its response, by route; of a streamed answer, to its first part.",
        );
        let queries = Opts::new("twin_gateway_queries_total", "Queries asked of the twin, by kind and outcome.");
        let dropped = Opts::new("twin_gateway_answers_dropped_total", "Parts of answers not handed on, by reason.");
        let pushed = Opts::new("twin_gateway_documents_total", "Documents pushed, by outcome.");
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["route", "method", "status"])?,
            request_seconds: HistogramVec::new(seconds.buckets(latency_buckets()), &["route"])?,
            queries: IntCounterVec::new(queries, &["kind", "outcome"])?,
            queries_in_flight: IntGauge::new("twin_gateway_queries_in_flight", "Queries waited for now.")?,
            answers_dropped: IntCounterVec::new(dropped, &["reason"])?,
            pushed: IntCounterVec::new(pushed, &["outcome"])?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.request_seconds.clone()))?;
        registry.register(Box::new(metrics.queries.clone()))?;
        registry.register(Box::new(metrics.queries_in_flight.clone()))?;
        for reason in ["decode", "nobody_waits", "slow_client"] {
            // Shown as 0 from the start.
            metrics.answers_dropped.with_label_values(&[reason]).reset();
        }
        registry.register(Box::new(metrics.answers_dropped.clone()))?;
        registry.register(Box::new(metrics.pushed.clone()))?;
        Ok(metrics)
    }

    pub fn query_began(&self) {
        self.queries_in_flight.inc();
    }

    pub fn query_ended(&self, kind: &'static str, outcome: &'static str) {
        self.queries_in_flight.dec();
        self.queries.with_label_values(&[kind, outcome]).inc();
    }

    pub fn query_refused(&self, kind: &'static str, outcome: &'static str) {
        self.queries.with_label_values(&[kind, outcome]).inc();
    }

    pub fn answer_dropped(&self, reason: &'static str) {
        self.answers_dropped.with_label_values(&[reason]).inc();
    }

    pub fn document_pushed(&self, outcome: &'static str) {
        self.pushed.with_label_values(&[outcome]).inc();
    }
}

/// Counts and times every request.
pub async fn measure(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // The template, not the path: a closed set.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = method_label(request.method());
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    metrics.requests.with_label_values(&[route, method, response.status().as_str()]).inc();
    metrics.request_seconds.with_label_values(&[route]).observe(started.elapsed().as_secs_f64());
    response
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
