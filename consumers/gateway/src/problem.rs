//! Errors as the client sees them: RFC 9457 problem details.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use twin_api::{Code, FieldError, OpenAiError};

use crate::ask::Failure;
use crate::port_error::PortError;

/// What went wrong, and when to come back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Problem {
    pub body: Box<twin_api::Problem>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        let body = twin_api::Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            error: None,
        };
        Self { body: Box::new(body), retry_after_s: None }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
    }

    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.detail),
            many => format!("{} fields are wrong, first {}", many.len(), many.first().map_or("", |e| &e.field)),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidField, detail);
        problem.body.errors = errors;
        problem
    }

    pub(crate) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, detail)])
    }

    /// What is invalid is that field.
    pub(crate) fn of_field(field: &str, error: PortError) -> Self {
        match error {
            PortError::Invalid(detail) => Self::field(field, detail),
            error => error.into(),
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, detail)
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Code::Refused, detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, detail);
        Self { retry_after_s: Some(5), ..problem }
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail)
    }

    /// The same problem as OpenAI's API would tell it: every invalid request is a 400, and `error` is there.
    pub(crate) fn for_openai(mut self) -> Self {
        let body = &mut self.body;
        if body.status == StatusCode::UNPROCESSABLE_ENTITY.as_u16() {
            body.status = StatusCode::BAD_REQUEST.as_u16();
            body.title = "Bad Request".to_owned();
        }
        body.error = Some(Box::new(OpenAiError {
            message: body.detail.clone(),
            kind: if body.status < 500 { "invalid_request_error" } else { "server_error" }.to_owned(),
            code: body.code,
            param: body.errors.first().map(|error| error.field.clone()),
        }));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self.body)).into_response();
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the layer that adds `error` on the routes of OpenAI's API.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded { message, retry_after_s } => Self {
                retry_after_s: Some(retry_after_s),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded, message)
            },
            Failure::Expired(message) => Self::new(StatusCode::GATEWAY_TIMEOUT, Code::Expired, message),
            Failure::Unavailable(message) => Self::unavailable(message),
            Failure::Invalid(message) => Self::new(StatusCode::BAD_REQUEST, Code::InvalidQuery, message),
            Failure::TooLarge(message) => Self::too_large(message),
        }
    }
}

impl From<twin_warehouse::Error> for Problem {
    fn from(error: twin_warehouse::Error) -> Self {
        let transient = error.is_transient();
        tracing::error!(%error, transient, "warehouse request failed");
        store_problem("warehouse", transient, error.is_of_the_disk())
    }
}

impl From<twin_stream::Error> for Problem {
    fn from(error: twin_stream::Error) -> Self {
        PortError::from(error).into()
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Invalid(what) => Self::field("body", what),
            PortError::Missing(what) => Self::not_found(what),
            PortError::Refused(why) => Self::refused(why),
            PortError::Away { why, retry_after_s } => {
                let problem = Self::unavailable(why);
                Self { retry_after_s: retry_after_s.or(problem.retry_after_s), ..problem }
            }
            PortError::Backend { store, cause } => {
                let transient = cause.is_transient();
                tracing::error!(error = %cause, transient, store, "a request to a store failed");
                store_problem(store, transient, cause.is_of_the_disk())
            }
        }
    }
}

impl From<twin_registry::Error> for Problem {
    fn from(error: twin_registry::Error) -> Self {
        PortError::from(error).into()
    }
}

impl From<twin_artifacts::Error> for Problem {
    fn from(error: twin_artifacts::Error) -> Self {
        PortError::from(error).into()
    }
}

fn store_problem(store: &str, transient: bool, of_the_disk: bool) -> Problem {
    match (transient, of_the_disk) {
        (true, true) => Problem::unavailable(format!(
            "the {store}'s disk is full or failing; nothing was recorded, try again when there is room"
        )),
        (true, false) => Problem::unavailable(format!("the {store} is busy or away; try again later")),
        (false, _) => Problem::internal(format!("the {store} failed; the gateway's log has more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_follows_rfc_9457_and_names_the_field() {
        let response = Problem::field("k", "must be 1 to 50").into_response();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let json = serde_json::to_value(Problem::field("k", "must be 1 to 50")).unwrap();
        assert_eq!(json["type"], "about:blank");
        assert_eq!(json["status"], 422);
        assert_eq!(json["code"], "invalid_field");
        assert_eq!(json["errors"][0]["field"], "k");
        assert!(json.get("error").is_none());
    }

    #[test]
    fn an_openai_client_finds_its_error_member_and_a_400() {
        let json = serde_json::to_value(Problem::field("n", "must be 1").for_openai()).unwrap();
        assert_eq!(json["status"], 400);
        assert_eq!(json["error"]["type"], "invalid_request_error");
        assert_eq!(json["error"]["param"], "n");
        assert_eq!(json["error"]["message"], "n: must be 1");
        let json = serde_json::to_value(Problem::unavailable("down").for_openai()).unwrap();
        assert_eq!(json["error"]["type"], "server_error");
        assert!(json["error"]["param"].is_null());
    }

    #[test]
    fn each_failure_of_a_query_has_its_status() {
        let status = |failure: Failure| Problem::from(failure).into_response().status().as_u16();
        assert_eq!(status(Failure::Expired("late".into())), 504);
        assert_eq!(status(Failure::Unavailable("down".into())), 503);
        assert_eq!(status(Failure::Invalid("no".into())), 400);
        assert_eq!(status(Failure::TooLarge("big".into())), 413);
        let overloaded = Failure::Overloaded { message: "busy".into(), retry_after_s: 7 };
        let response = Problem::from(overloaded).into_response();
        assert_eq!(response.status().as_u16(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }
}
