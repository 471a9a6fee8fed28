//! Why a command failed, as a person reads it, and the process's exit code (the numbers of BSD's `sysexits.h`).

use std::fmt::Write;

use serde::Deserialize;
use twin_api::FieldError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing answers at the address, or the connection was cut.
    #[error(
        "can not reach the twin at {url}: {problem}\nis `twin run` running? another address is set with --url or TWIN_URL"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What the network said.
        problem: String,
    },
    /// The twin refused the request or could not serve it (RFC 9457).
    #[error("{}", problem_text(.status, .title, .detail, .errors))]
    Problem {
        /// The HTTP status.
        status: u16,
        /// The phrase of the status.
        title: String,
        /// What happened.
        detail: String,
        /// The fields that are wrong.
        errors: Vec<FieldError>,
    },
    /// There is no such source, document, author or dead letter.
    #[error("{0}")]
    NotFound(String),
    /// It did not happen in the time given; it may still.
    #[error("{0}")]
    TimedOut(String),
    /// The command line asks for something that can not be.
    #[error("{0}")]
    Usage(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// The body of a problem; lenient, since a proxy on the way may have written it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    status: Option<u16>,
    title: String,
    detail: String,
    code: String,
    errors: Vec<FieldError>,
}

const EXIT_FAILURE: u8 = 1;
const EXIT_USAGE: u8 = 64;
const EXIT_UNAVAILABLE: u8 = 69;
const EXIT_TEMPORARY: u8 = 75;

const NOT_FOUND: u16 = 404;
/// Statuses of what may succeed later: too many requests, unavailable, no answer in time.
const TEMPORARY: [u16; 3] = [429, 503, 504];

impl CommandError {
    /// The error that a problem's JSON stands for. `status` is that of the response, for a body that says none.
    pub fn of_problem(status: u16, body: &[u8], retry_after: Option<&str>) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let status = body.status.unwrap_or(status);
        if status == NOT_FOUND && body.code == "not_found" {
            return Self::NotFound(body.detail);
        }
        let detail = match retry_after {
            Some(seconds) => format!("{}; try again in {seconds} s", body.detail),
            None => body.detail,
        };
        Self::Problem { status, title: body.title, detail, errors: body.errors }
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Problem { status, .. } => TEMPORARY.contains(status),
            Self::TimedOut(_) => true,
            Self::Unreachable { .. } | Self::NotFound(_) | Self::Usage(_) | Self::Failed(_) => false,
        }
    }

    /// The exit code: 64 wrong usage, 69 nothing answers, 75 worth trying again, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => EXIT_UNAVAILABLE,
            Self::Usage(_) => EXIT_USAGE,
            Self::Problem { .. } | Self::TimedOut(_) if self.is_temporary() => EXIT_TEMPORARY,
            Self::Problem { status: 400..=499, errors, .. } if !errors.is_empty() => EXIT_USAGE,
            Self::Problem { .. } | Self::NotFound(_) | Self::TimedOut(_) | Self::Failed(_) => EXIT_FAILURE,
        }
    }
}

/// One line, and one more for each wrong field.
fn problem_text(status: &u16, title: &str, detail: &str, errors: &[FieldError]) -> String {
    let title = if title.is_empty() { "no explanation" } else { title };
    let mut text = format!("the twin answered {status} {title}");
    // The detail of a problem with fields says the first of them again.
    if errors.is_empty() && !detail.is_empty() {
        let _ = write!(text, ": {detail}");
    }
    for FieldError { field, detail } in errors {
        let _ = write!(text, "\n  {field}: {detail}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> CommandError {
        CommandError::of_problem(500, json.as_bytes(), None)
    }

    #[test]
    fn a_problem_with_fields_is_a_line_for_each_and_a_usage_error() {
        let error = problem(
            r#"{"status": 422, "title": "Unprocessable Entity", "code": "invalid_field", "detail": "2 fields are wrong",
                "errors": [{"field": "k", "detail": "must be 1 to 50"}, {"field": "author", "detail": "is missing"}]}"#,
        );
        assert_eq!(
            error.to_string(),
            "the twin answered 422 Unprocessable Entity\n  k: must be 1 to 50\n  author: is missing"
        );
        assert_eq!(error.exit_code(), 64);
    }

    #[test]
    fn an_overloaded_twin_is_worth_another_try_and_says_when() {
        let body =
            br#"{"status": 503, "title": "Service Unavailable", "code": "overloaded", "detail": "too many queries"}"#;
        let error = CommandError::of_problem(503, body, Some("2"));
        assert_eq!(error.to_string(), "the twin answered 503 Service Unavailable: too many queries; try again in 2 s");
        assert_eq!((error.exit_code(), error.is_temporary()), (75, true));
    }

    #[test]
    fn a_missing_thing_is_told_apart_from_a_missing_route() {
        let error = problem(r#"{"status": 404, "code": "not_found", "detail": "there is no source 5"}"#);
        assert!(matches!(&error, CommandError::NotFound(detail) if detail == "there is no source 5"));
        assert_eq!(error.exit_code(), 1);
        let foreign = CommandError::of_problem(404, b"<html>nginx</html>", None);
        assert_eq!(foreign.to_string(), "the twin answered 404 no explanation");
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        let unreachable = CommandError::Unreachable { url: "http://127.0.0.1:1".into(), problem: "refused".into() };
        assert!(unreachable.to_string().contains("http://127.0.0.1:1") && unreachable.to_string().contains("TWIN_URL"));
        assert_eq!(unreachable.exit_code(), 69);
        assert_eq!(CommandError::Usage(String::new()).exit_code(), 64);
        assert_eq!(CommandError::TimedOut(String::new()).exit_code(), 75);
        assert_eq!(CommandError::Failed(String::new()).exit_code(), 1);
        assert_eq!(problem(r#"{"status": 413, "title": "Payload Too Large"}"#).exit_code(), 1);
        assert_eq!(problem(r#"{"status": 504, "title": "Gateway Timeout"}"#).exit_code(), 75);
    }
}
