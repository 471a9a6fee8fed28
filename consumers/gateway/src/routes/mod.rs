//! The routes, and what all of them have in common.

pub mod chat;
pub mod dead_letters;
pub mod documents;
pub mod embeddings;
pub mod learning;
pub mod models;
pub mod query;
pub mod source_files;
pub mod sources;
pub mod status;
mod streamed;
pub mod write;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use twin_api::Code;

use crate::metrics::measure;
use crate::openapi;
use crate::problem::Problem;
use crate::state::App;

/// All routes, with `admin`'s beside them.
pub fn router(app: Arc<App>, admin: Router) -> Router {
    let max_body_bytes = usize::try_from(app.options.max_body_bytes).unwrap_or(usize::MAX);
    let metrics = app.metrics.clone();
    Router::new()
        .route("/v1/query", post(query::query))
        .route("/v1/retrieve", post(query::retrieve))
        .route("/v1/write", post(write::write))
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/embeddings", post(embeddings::embeddings))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*model}", get(models::show))
        .route("/v1/sources", get(sources::list).post(sources::register))
        .route("/v1/sources/{id}", get(sources::show).delete(sources::remove))
        .route("/v1/sources/{id}/sync", post(sources::sync))
        .route("/v1/sources/{id}/confirm", post(sources::confirm))
        .route("/v1/sources/{id}/files", get(source_files::list).post(source_files::upload))
        .route("/v1/sources/{id}/files/{name}", delete(source_files::remove))
        .route("/v1/documents", get(documents::list).post(documents::push))
        .route("/v1/documents/{id}", get(documents::show).delete(documents::remove))
        .route("/v1/status", get(status::status))
        .route("/v1/dlq", get(dead_letters::list))
        .route("/v1/dlq/{id}", get(dead_letters::show))
        .route("/v1/dlq/{id}/replay", post(dead_letters::replay))
        .route("/v1/openapi.json", get(openapi::document))
        .merge(learning_routes())
        .with_state(app)
        .merge(admin)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(openai_errors))
        .layer(from_fn_with_state(metrics, measure))
}

fn learning_routes() -> Router<Arc<App>> {
    use learning::{
        datasets, decisions, evaluations, files, freezes, jobs, model_files, model_versions, outlook, recipes,
    };
    Router::new()
        .route("/v1/datasets", get(datasets::list).post(freezes::request))
        .route("/v1/datasets/requests/{author}", get(freezes::show))
        .route("/v1/datasets/{id}", get(datasets::show))
        .route("/v1/datasets/{id}/diff/{other}", get(datasets::diff))
        .route("/v1/datasets/{id}/files/{*path}", get(files::read))
        .route("/v1/jobs", get(jobs::list).post(jobs::train))
        .route("/v1/jobs/plan", post(jobs::plan))
        .route("/v1/jobs/{id}", get(jobs::show))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{id}/retry", post(jobs::retry))
        .route("/v1/jobs/{id}/metrics", get(jobs::metrics))
        .route("/v1/sweeps", post(jobs::sweep))
        .route("/v1/model-versions", get(model_versions::list))
        .route("/v1/model-versions/{id}", get(model_versions::show))
        .route("/v1/model-versions/{id}/lineage", get(model_versions::lineage))
        .route("/v1/model-versions/{id}/files", get(model_files::list))
        .route("/v1/model-versions/{id}/files/{*path}", get(model_files::read))
        .route("/v1/model-versions/{id}/evaluate", post(evaluations::evaluate))
        .route("/v1/model-versions/{id}/report", get(evaluations::report))
        .route("/v1/model-versions/{id}/report.html", get(evaluations::page))
        .route("/v1/model-versions/{id}/approve", post(decisions::approve))
        .route("/v1/model-versions/{id}/reject", post(decisions::reject))
        .route("/v1/model-versions/{id}/deploy", post(decisions::deploy))
        .route("/v1/documents/{id}/models", get(model_versions::taught_by))
        .route("/v1/authors/{author}/rollback", post(decisions::roll_back))
        .route("/v1/authors/{author}/deployments", get(decisions::deployments))
        .route("/v1/authors/{author}/learning", get(outlook::show))
        .route("/v1/authors/{author}/retrain", post(outlook::retrain))
        .route("/v1/authors/{author}/recipe", get(recipes::show).put(recipes::set))
}

async fn no_route(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no route {}; see GET /v1/openapi.json", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not know {method}; see GET /v1/openapi.json", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, detail)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request panicked");
    Problem::internal("a fault of the gateway; its log has more").into_response()
}

/// Gives problems on the routes of OpenAI's API the shape that its clients read too.
async fn openai_errors(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let openai = path.starts_with("/v1/chat/")
        || matches!(path, "/v1/embeddings" | "/v1/models")
        || path.starts_with("/v1/models/");
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if openai => problem.for_openai().into_response(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem() {
        let response = panicked(Box::new("boom"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("boom"), "what panicked is for the log");
    }
}
