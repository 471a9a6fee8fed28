//! The OpenAPI document of the gateway, made from its routes.

use axum::Json;
use twin_api::Problem;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::routes::learning::{
    datasets, decisions, evaluations, files, freezes, jobs, model_files, model_versions, outlook, recipes,
};
use crate::routes::{chat, dead_letters, documents, embeddings, models, query, source_files, sources, status, write};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "LLM Twin",
        description = "Ask an author's twin, and run what it is made from. All errors are problem details (RFC 9457, \
                       `application/problem+json`): 400 for a request that can not be read, 422 for a field that is \
                       wrong, with its path in `errors`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        query::query, query::retrieve, write::write, chat::completions, embeddings::embeddings, models::list, models::show,
        sources::register, sources::list, sources::show, sources::remove, sources::sync, sources::confirm,
        source_files::upload, source_files::list, source_files::remove,
        documents::push, documents::list, documents::show, documents::remove,
        status::status, dead_letters::list, dead_letters::show, dead_letters::replay,
        datasets::list, datasets::show, datasets::diff, freezes::request, freezes::show, files::read,
        jobs::list, jobs::show, jobs::train, jobs::plan, jobs::sweep, jobs::cancel, jobs::retry, jobs::metrics,
        model_versions::list, model_versions::show, model_versions::lineage, model_files::list,
        model_files::read, model_versions::taught_by, evaluations::evaluate, evaluations::report, evaluations::page,
        decisions::approve, decisions::reject, decisions::deploy, decisions::roll_back, decisions::deployments,
        outlook::show, outlook::retrain, recipes::show, recipes::set,
        document, healthz, readyz, metrics,
    ),
    components(schemas(Problem, chat::ChatChunk)),
    tags(
        (name = "twin", description = "Ask, search and write"),
        (name = "openai", description = "The same for OpenAI clients"),
        (name = "sources", description = "What is collected"),
        (name = "documents", description = "What was collected"),
        (name = "learning", description = "Datasets, training, models and their deployment"),
        (name = "operations", description = "Status, dead letters, probes"),
    )
)]
struct Api;

/// The OpenAPI 3.1 document.
pub fn openapi() -> OpenApi {
    Api::openapi()
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "show_openapi", tag = "operations",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json", body = Object))
)]
pub async fn document() -> Json<OpenApi> {
    Json(openapi())
}

/// Whether the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It runs", content_type = "application/json", body = Object))
)]
#[allow(dead_code, reason = "the route is twin_telemetry's; this describes it")]
fn healthz() {}

/// Whether the process can do its job, and which part can not.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "It can", content_type = "application/json", body = Object),
        (status = 503, description = "It can not", content_type = "application/json", body = Object)
    )
)]
#[allow(dead_code, reason = "the route is twin_telemetry's; this describes it")]
fn readyz() {}

/// Metrics, in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
)]
#[allow(dead_code, reason = "the route is twin_telemetry's; this describes it")]
fn metrics() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_field_is_described() {
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                // One that may be null describes its other alternative.
                let alternatives = property["oneOf"].as_array().into_iter().flatten();
                let described = [property].into_iter().chain(alternatives).any(|p| p["description"].is_string());
                assert!(described, "{name}.{field} has no description");
            }
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for operations in document["paths"].as_object().unwrap().values() {
            for operation in operations.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id.clone()), "two operations are {id}");
            }
        }
    }

    #[test]
    fn what_goes_through_the_log_is_said_to_be_named_in_a_header() {
        let document = serde_json::to_value(openapi()).unwrap();
        for path in ["/v1/query", "/v1/retrieve", "/v1/write", "/v1/chat/completions", "/v1/embeddings"] {
            let headers = &document["paths"][path]["post"]["responses"]["200"]["headers"];
            assert!(headers["x-request-id"]["description"].is_string(), "{path}: {headers}");
        }
    }

    #[test]
    fn every_route_under_v1_describes_its_problems() {
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            if !path.starts_with("/v1/") || path == "/v1/openapi.json" {
                continue;
            }
            for (method, operation) in operations.as_object().unwrap() {
                let problem = &operation["responses"]["503"]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
            }
        }
    }
}
