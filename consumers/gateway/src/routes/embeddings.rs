//! `POST /v1/embeddings`, as OpenAI clients call it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use twin_schemas::{AuthorId, EmbeddingInput};
use utoipa::ToSchema;

use crate::Options;
use crate::ask::{EmbeddingQuestion, Kind, Part};
use crate::extract::{Checks, Json, on_own_thread_if_long};
use crate::problem::Problem;
use crate::problem_responses::ChatProblems;
use crate::routes::chat::MODEL_PREFIX;
use crate::routes::streamed::REQUEST_ID;
use crate::state::{App, trace_parent};
use crate::text_or_list::text_or_list;

/// Bytes of a number in a vector.
const NUMBER_BYTES: usize = size_of::<f32>();

/// Texts to embed (OpenAI's API). A field that is not here is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRequest {
    /// `twin/<author>`, or the name of the index's embedding model, which all authors share.
    #[schema(example = "twin/ada")]
    model: String,
    /// A text, or up to `gateway.max_embedding_texts` of `gateway.max_embedding_chars` characters in all, none of them empty
    /// or longer than the model's window. Tokens are refused: they are those of another model.
    input: Input,
    /// How vectors are written: `float` (as numbers, if absent) or `base64` (of 32-bit numbers, the lowest byte first).
    encoding_format: Option<EncodingFormat>,
    /// Numbers in a vector: as many as the model makes, or absent.
    dimensions: Option<u32>,
    /// What the texts are: `passage` (texts to be found, if absent), whose vectors are those of the index, or `query`
    /// (questions). Not part of OpenAI's API; many models embed both alike.
    #[schema(value_type = Option<String>, example = "passage")]
    input_type: Option<EmbeddingInput>,
    /// Accepted, and changes nothing.
    #[allow(dead_code, reason = "it changes nothing")]
    user: Option<String>,
}

/// What is to be embedded.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Input {
    /// One text.
    One(String),
    /// Some.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(text_or_list(deserializer)?.map_or_else(Self::Many, Self::One))
    }
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// As numbers.
    #[default]
    Float,
    /// As base64 of 32-bit numbers, the lowest byte first.
    Base64,
}

/// Vectors (OpenAI's API).
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingList {
    /// `list`.
    #[schema(value_type = String)]
    object: &'static str,
    /// One for each text, in order.
    data: Vec<EmbeddingView>,
    /// The id of the embedding model: vectors of another are not to be compared with these.
    model: String,
    /// Tokens used.
    usage: EmbeddingUsage,
}

/// The vector of a text.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingView {
    /// `embedding`.
    #[schema(value_type = String)]
    object: &'static str,
    /// Which text it is of, from 0.
    index: usize,
    /// The vector, of length 1.
    embedding: Vector,
}

/// A vector, as it is written.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Its numbers.
    Float(Vec<f32>),
    /// Its 32-bit numbers, the lowest byte first, in base64.
    Base64(String),
}

/// Tokens used.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all texts, special tokens included.
    prompt_tokens: u64,
    /// The same: nothing is generated.
    total_tokens: u64,
}

impl Vector {
    fn new(numbers: Vec<f32>, format: EncodingFormat) -> Self {
        match format {
            EncodingFormat::Float => Self::Float(numbers),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                Self::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

/// A request that was found good.
#[derive(Debug)]
struct Embedding {
    author: Option<AuthorId>,
    model: Option<String>,
    texts: Vec<String>,
    input: EmbeddingInput,
    dimensions: Option<u32>,
    format: EncodingFormat,
}

impl EmbeddingRequest {
    fn check(self, options: &Options) -> Result<Embedding, Problem> {
        let mut checks = Checks::default();
        let named = self.model.strip_prefix(MODEL_PREFIX).map(|author| author.parse::<AuthorId>().ok());
        let is_model = !self.model.is_empty() && named != Some(None);
        let must = format!("must be {MODEL_PREFIX}<author> (see GET /v1/models), or the name of the embedding model");
        checks.require(is_model, "model", must);
        checks.require(self.dimensions != Some(0), "dimensions", "must be at least 1");
        let (texts, is_list) = match self.input {
            Input::One(text) => (vec![text], false),
            Input::Many(texts) => (texts, true),
        };
        let (max_texts, max_chars) = (options.max_embedding_texts, options.max_embedding_chars);
        checks.require(!texts.is_empty(), "input", "must not be empty");
        let has_too_many = texts.len() as u64 > max_texts;
        checks.require(
            !has_too_many,
            "input",
            format!("has more than {max_texts} texts: send them in several requests"),
        );
        let chars: u64 = texts.iter().map(|text| text.chars().count() as u64).sum();
        let too_long = format!("has more than {max_chars} characters in all: send it in several requests");
        checks.require(chars <= max_chars, "input", too_long);
        for (index, _) in texts.iter().enumerate().filter(|(_, text)| text.trim().is_empty()) {
            let field = if is_list { format!("input[{index}]") } else { "input".to_owned() };
            checks.require(false, field, "must not be empty");
        }
        checks.finish()?;
        let author = named.flatten();
        Ok(Embedding {
            model: author.is_none().then_some(self.model),
            author,
            texts,
            input: self.input_type.unwrap_or_default(),
            dimensions: self.dimensions,
            format: self.encoding_format.unwrap_or_default(),
        })
    }
}

/// Create embeddings (OpenAI's API).
///
/// With the model that the index is made with, so that the vectors can be compared with those of passages. A text that the
/// model's window has no room for is refused.
#[utoipa::path(
    post, path = "/v1/embeddings", operation_id = "create_embeddings", tag = "openai", request_body = EmbeddingRequest,
    responses(
        (
            status = 200, description = "The vectors", body = EmbeddingList,
            headers(("x-request-id" = String, description = "Names the question in the log"))
        ),
        ChatProblems
    )
)]
pub async fn embeddings(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(request): Json<EmbeddingRequest>,
) -> Result<Response, Problem> {
    let Embedding { author, model, texts, input, dimensions, format } = request.check(&app.options)?;
    let permit = app.asker.admit(Kind::Embed)?;
    if author.is_some() {
        app.author(author).await?;
    }
    let (wanted, trace_parent) = (texts.len(), trace_parent(&headers));
    let question = EmbeddingQuestion { permit, texts, input, model, dimensions, trace_parent };
    let mut answering = app.asker.embed(question).await?;
    let request_id = answering.request_id().to_string();
    let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(wanted);
    let embedded = loop {
        match answering.next().await? {
            Part::Vectors(first, more) => {
                // Where it was worked on twice, the second attempt begins anew.
                vectors.truncate(first as usize);
                vectors.extend(more);
            }
            Part::Embedded(embedded) => break embedded,
            Part::Retrieved(..) | Part::Delta(_) | Part::Support(_) | Part::Finished(_) => {}
        }
    };
    let is_whole = vectors.len() == wanted;
    answering.complete(if is_whole { "embedded" } else { "unavailable" });
    if !is_whole {
        tracing::error!(request_id, wanted, came = vectors.len(), "an embedding has not a vector for each text");
        return Err(Problem::internal("the embedding has not a vector for each text"));
    }
    let numbers: usize = vectors.iter().map(Vec::len).sum();
    let list = move || {
        let view =
            |(index, numbers)| EmbeddingView { object: "embedding", index, embedding: Vector::new(numbers, format) };
        let data = vectors.into_iter().enumerate().map(view).collect();
        let usage = EmbeddingUsage { prompt_tokens: embedded.tokens, total_tokens: embedded.tokens };
        axum::Json(EmbeddingList { object: "list", data, model: embedded.model, usage }).into_response()
    };
    let list = on_own_thread_if_long(numbers * NUMBER_BYTES, list).await?;
    Ok(([(REQUEST_ID, request_id)], list).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::extract::parse_json;

    fn check(body: Value) -> Result<Embedding, Problem> {
        let options = Options { max_embedding_texts: 3, max_embedding_chars: 20, ..Options::default() };
        parse_json::<EmbeddingRequest>(body.to_string().as_bytes())?.check(&options)
    }

    fn with(changes: Value) -> Value {
        let mut body = json!({"model": "twin/ada", "input": "hi"});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn what_clients_send_is_read() {
        let asked = check(with(json!({"encoding_format": "base64", "user": "u", "dimensions": 384}))).unwrap();
        assert_eq!((asked.author.unwrap().as_str(), asked.model), ("ada", None));
        assert_eq!((asked.texts, asked.format), (vec!["hi".to_owned()], EncodingFormat::Base64));
        assert_eq!((asked.dimensions, asked.input), (Some(384), EmbeddingInput::Passage));
        let asked = check(with(json!({"model": "minilm", "input": ["a", "b"], "input_type": "query"}))).unwrap();
        assert_eq!((asked.author, asked.model.as_deref()), (None, Some("minilm")));
        assert_eq!((asked.texts.len(), asked.input, asked.format), (2, EmbeddingInput::Query, EncodingFormat::Float));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (changes, field) in [
            (json!({"model": ""}), "model"),
            (json!({"model": "twin/Ada Lovelace"}), "model"),
            (json!({"input": ""}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": ["a", " "]}), "input[1]"),
            (json!({"input": ["a", "b", "c", "d"]}), "input"),
            (json!({"input": ["x".repeat(15), "x".repeat(6)]}), "input"),
            (json!({"input": [1, 2, 3]}), "input[0]"),
            (json!({"input": [[1, 2, 3]]}), "input[0]"),
            (json!({"input": 5}), "input"),
            (json!({"dimensions": 0}), "dimensions"),
            (json!({"encoding_format": "hex"}), "encoding_format"),
            (json!({"input_type": "song"}), "input_type"),
            (json!({"truncate": true}), "truncate"),
        ] {
            let problem = serde_json::to_value(check(with(changes.clone())).unwrap_err()).unwrap();
            assert_eq!(problem["errors"][0]["field"], field, "{changes}");
        }
    }

    #[test]
    fn a_vector_is_written_as_numbers_or_as_their_bytes() {
        assert_eq!(Vector::new(vec![1.0, -0.5], EncodingFormat::Float), Vector::Float(vec![1.0, -0.5]));
        let bytes = Vector::new(vec![1.0, -0.5], EncodingFormat::Base64);
        assert_eq!(bytes, Vector::Base64("AACAPwAAAL8=".to_owned()));
    }
}
