//! Request extractors that name the field that is wrong.
//!
//! 400: the request can not be read (no JSON). 422: it can, and a field is missing, unknown or of a wrong type.

use std::error::Error as _;
use std::fmt::Display;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use twin_api::{Code, FieldError};

use crate::problem::Problem;

/// A JSON body longer than this is parsed on a thread of its own, bytes: parsing it takes more than about half a
/// millisecond.
const PARSE_INLINE_BYTES: usize = 64 << 10;

/// A JSON body.
pub struct Json<T>(pub T);

/// The query string.
pub struct Query<T>(pub T);

/// The one parameter of the path.
pub struct Path<T>(pub T);

/// The two parameters of the path, as they are.
pub struct PathPair(pub String, pub String);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if media_type(request.headers()) != Some(MediaKind::Json) {
            return Err(unsupported("application/json"));
        }
        let body = read_body(request, state).await?;
        on_own_thread_if_long(body.len(), move || parse_json(&body)).await?.map(Self)
    }
}

/// A JSON body that may be left away.
impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let media = media_type(request.headers());
        let body = read_body(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        if media != Some(MediaKind::Json) {
            return Err(unsupported("application/json"));
        }
        on_own_thread_if_long(body.len(), move || parse_json(&body)).await?.map(|value| Some(Self(value)))
    }
}

/// The whole body, within the limit set for the router.
async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(
            "the request body is larger than gateway.max_body_bytes; many documents are sent one a line, as \
             application/x-ndjson, whose body may have any length",
        ),
        _ => Problem::malformed(rejection.body_text()),
    })
}

/// Runs `work` here, or on a blocking thread where `bytes` make it long.
pub async fn on_own_thread_if_long<R: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Problem> {
    if bytes <= PARSE_INLINE_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "reading a request failed");
        Problem::internal("the request could not be read; the gateway's log has more")
    })
}

/// What a body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// `application/json` or `application/*+json`.
    Json,
    /// `application/x-ndjson`, `application/ndjson` or `application/jsonl`.
    Lines,
}

/// What the body says it is; none where it is something else or does not say.
pub fn media_type(headers: &HeaderMap) -> Option<MediaKind> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Some(MediaKind::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(MediaKind::Lines),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(MediaKind::Json),
        _ => None,
    }
}

/// The content type is not what the route reads.
pub fn unsupported(expected: &str) -> Problem {
    let detail = format!("the content type must be {expected}");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, detail)
}

/// Parses a JSON object; an error names the field.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde reads a struct from an array too, by position; the interface does not.
    if body.trim_ascii_start().first() != Some(&b'{') {
        check_syntax(body)?;
        return Err(Problem::field("body", "must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // Serde_json's own category says "syntax" where an enum is given a number, and "data" where a broken body has
        // a wrong field before its break.
        match check_syntax(body) {
            Err(problem) => problem,
            Ok(()) if inner.is_data() => {
                Problem::fields(vec![field_error(&path, &without_position(&inner.to_string()), "body")])
            }
            Ok(()) => Problem::fields(vec![field_error(&path, "is of a wrong type", "body")]),
        }
    })?;
    deserializer.end().map_err(|error| Problem::malformed(format!("the body is not one JSON value: {error}")))?;
    Ok(value)
}

fn check_syntax(body: &[u8]) -> Result<(), Problem> {
    // Serde_json looks at the bytes of a string only where it is to be made a string.
    std::str::from_utf8(body).map_err(|error| Problem::malformed(format!("the body is not UTF-8: {error}")))?;
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    read.map(drop).map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))
}

/// The path of the wrong field. Serde reports a missing or unknown field at the object that lacks or has it, with the
/// name in the message (`serde::de::Error::missing_field`, `unknown_field`).
fn field_error(path: &str, detail: &str, whole: &str) -> FieldError {
    let named = ["missing field `", "unknown field `"]
        .into_iter()
        .find_map(|start| detail.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    let field = match (path, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => whole.to_owned(),
        (path, Some(name)) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    };
    FieldError::new(field, detail)
}

/// The message without serde_json's ` at line 1 column 5`: the field's path says it better.
fn without_position(message: &str) -> String {
    message.rfind(" at line ").map_or(message, |at| &message[..at]).to_owned()
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                type PathError = serde_path_to_error::Error<serde::de::value::Error>;
                let cause = rejection.source().and_then(std::error::Error::source);
                Err(match cause.and_then(|cause| cause.downcast_ref::<PathError>()) {
                    Some(error) => {
                        let detail = error.inner().to_string();
                        Problem::fields(vec![field_error(&error.path().to_string(), &detail, "query")])
                    }
                    None => Problem::malformed(rejection.body_text()),
                })
            }
        }
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: FromStr + Send,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = path_parameters(parts, state).await?;
        let Some((name, text)) = parameters.iter().next() else { return Err(wrong_route(parts)) };
        text.parse().map(Self).map_err(|error: T::Err| Problem::field(name, error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathPair {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = path_parameters(parts, state).await?;
        let mut texts = parameters.iter().map(|(_, text)| text.to_owned());
        let (Some(first), Some(second)) = (texts.next(), texts.next()) else { return Err(wrong_route(parts)) };
        Ok(Self(first, second))
    }
}

async fn path_parameters<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    let read = RawPathParams::from_request_parts(parts, state).await;
    read.map_err(|rejection| Problem::malformed(rejection.body_text()))
}

/// The handler reads a parameter that its route does not have.
fn wrong_route(parts: &Parts) -> Problem {
    tracing::error!(path = parts.uri.path(), "the route lacks a parameter");
    Problem::internal("a fault of the gateway; its log has more")
}

/// Collects what is wrong with the fields of a request, so that the client is told of all at once.
#[derive(Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes the field unless the condition holds.
    pub fn require(&mut self, holds: bool, field: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.0.push(FieldError::new(field, detail));
        }
    }

    /// A problem if anything was noted.
    pub fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::fields(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        count: u32,
    }

    fn wrong_field(body: &str) -> String {
        let problem = parse_json::<Outer>(body.as_bytes()).unwrap_err();
        let json = serde_json::to_value(problem).unwrap();
        assert_eq!(json["status"], 422, "{json}");
        json["errors"][0]["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        assert_eq!(wrong_field(r#"{"name": 5, "items": []}"#), "name");
        assert_eq!(wrong_field(r#"{"name": "a", "items": [{"count": 1}, {"count": "x"}]}"#), "items[1].count");
        assert_eq!(wrong_field(r#"["a", []]"#), "body", "an object is not read from an array");
        assert_eq!(wrong_field("5"), "body");
    }

    #[test]
    fn a_missing_and_an_unknown_field_are_named_by_their_path() {
        assert_eq!(wrong_field(r#"{"items": []}"#), "name");
        assert_eq!(wrong_field(r#"{"name": "a", "items": [{}]}"#), "items[0].count");
        assert_eq!(wrong_field(r#"{"name": "a", "items": [], "nmae": "b"}"#), "nmae");
        assert_eq!(wrong_field(r#"{"name": "a", "items": [{"count": 1, "cuont": 2}]}"#), "items[0].cuont");
    }

    #[test]
    fn a_body_that_is_no_json_is_malformed() {
        for body in [b"".as_slice(), b"{", b"{} {}", b"name", b"{\"name\": \"caf\xe9\"}"] {
            let json = serde_json::to_value(parse_json::<serde_json::Value>(body).unwrap_err()).unwrap();
            assert_eq!((json["status"].as_u64(), json["code"].as_str()), (Some(400), Some("malformed")), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_query_parameter_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Params {
            #[allow(dead_code)]
            limit: Option<u32>,
        }
        for (uri, field) in [("/x?limit=many", "limit"), ("/x?limti=5", "limti")] {
            let request = axum::http::Request::builder().uri(uri).body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            let problem = Query::<Params>::from_request_parts(&mut parts, &()).await.err().unwrap();
            assert_eq!(serde_json::to_value(problem).unwrap()["errors"][0]["field"], field);
        }
    }

    #[test]
    fn media_types_are_told_apart_whatever_their_parameters() {
        let kind = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            media_type(&headers)
        };
        assert_eq!(kind("application/json; charset=utf-8"), Some(MediaKind::Json));
        assert_eq!(kind("Application/X-NDJSON"), Some(MediaKind::Lines));
        assert_eq!(kind("text/plain"), None);
        assert_eq!(media_type(&HeaderMap::new()), None);
    }
}
