//! The problems that each kind of route can answer with, as the OpenAPI document lists them.

use std::collections::BTreeMap;

use twin_api::Problem;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, schema::Schema};
use utoipa::{IntoResponses, ToSchema};

type Responses = BTreeMap<String, RefOr<Response>>;

const INVALID: &[(u16, &str)] = &[
    (400, "The request can not be read"),
    (422, "A field is missing, unknown, of a wrong type or out of its range: see `errors`"),
];
const BODY: &[(u16, &str)] = &[(413, "The body is too large"), (415, "The content type is not one that is read")];
const NOT_FOUND: &[(u16, &str)] = &[(404, "There is no such thing; `detail` says which")];
const REFUSED: &[(u16, &str)] = &[(409, "The present state does not allow it; `detail` says why and what to do")];
const STORES: &[(u16, &str)] =
    &[(500, "A fault of the gateway; its log has more"), (503, "A store is not available; see `Retry-After`")];
const ASKING: &[(u16, &str)] = &[
    (500, "A fault of the gateway; its log has more"),
    (503, "Too much to do, or the model or a store is not available; see `Retry-After`"),
    (504, "The twin did not answer in time"),
];
const OPENAI_INVALID: &[(u16, &str)] = &[(400, "The request can not be read, or a field is wrong: see `errors`")];

fn problems(lists: &[&[(u16, &str)]]) -> Responses {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(RefOr::<Schema>::Ref(schema))).build();
    let response = |description: &str| {
        ResponseBuilder::new().description(description).content("application/problem+json", content.clone()).build()
    };
    let all = lists.iter().flat_map(|list| list.iter());
    all.map(|(status, description)| (status.to_string(), RefOr::T(response(description)))).collect()
}

/// Problems of requests without a body.
pub struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        problems(&[INVALID, NOT_FOUND, STORES])
    }
}

/// Problems of requests with a body.
pub struct BodyProblems;

impl IntoResponses for BodyProblems {
    fn responses() -> Responses {
        problems(&[INVALID, BODY, STORES])
    }
}

/// Problems of requests that move the learning loop.
pub struct StepProblems;

impl IntoResponses for StepProblems {
    fn responses() -> Responses {
        problems(&[INVALID, BODY, NOT_FOUND, REFUSED, STORES])
    }
}

/// Problems of questions.
pub struct QueryProblems;

impl IntoResponses for QueryProblems {
    fn responses() -> Responses {
        problems(&[INVALID, BODY, NOT_FOUND, ASKING])
    }
}

/// Problems of questions in OpenAI's API.
pub struct ChatProblems;

impl IntoResponses for ChatProblems {
    fn responses() -> Responses {
        problems(&[OPENAI_INVALID, BODY, NOT_FOUND, ASKING])
    }
}
