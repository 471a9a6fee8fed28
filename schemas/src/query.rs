//! A live query and the parts of its answer.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding::{EmbedQuery, Embedded};
use crate::envelope::Payload;
use crate::ids::{AuthorId, Category, DocumentId, GatewayId, RequestId, Revision, SourceKind};
use crate::response_format::ResponseFormat;
use crate::topics::Topic;
use crate::writing::{Writing, WrittenText};

/// What a gateway asks of the inference consumers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum QueryEvent {
    /// Answer this.
    Ask(Box<Query>),
    /// The client has gone: stop working on it.
    Cancel {
        /// The query to stop.
        request_id: RequestId,
    },
    /// Embed this.
    Embed(Box<EmbedQuery>),
}

impl Payload for QueryEvent {
    const TYPE: &'static str = "twin.query.v1";
    const TOPIC: Topic = Topic::Queries;
}

/// One query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Query {
    /// Its id, also the key of the event.
    pub request_id: RequestId,
    /// The gateway that waits for the answer.
    pub reply_to: GatewayId,
    /// Whose twin is asked. Set by the server side of the request, never by text in it.
    pub author: AuthorId,
    /// Retrieve only, answer, or write.
    pub kind: QueryKind,
    /// The conversation, oldest first; the last is the question, or what to write.
    pub messages: Vec<ChatMessage>,
    /// Passages wanted, at most.
    pub k: u32,
    /// Narrows what is searched.
    #[serde(default)]
    pub filter: QueryFilter,
    /// How to generate.
    #[serde(default)]
    pub sampling: Sampling,
    /// The form of the answer's text.
    #[serde(default, skip_serializing_if = "ResponseFormat::is_text")]
    pub format: ResponseFormat,
    /// What is to be written, where a text is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<Writing>,
    /// After this moment nobody waits for the answer.
    pub deadline: DateTime<Utc>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryKind {
    /// The best passages.
    Retrieve,
    /// An answer from them.
    Answer,
    /// A text in the author's voice.
    Write,
}

/// Narrows a search. Empty: everything of the author.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueryFilter {
    /// Only this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Only this kind of source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_kind: Option<SourceKind>,
    /// Published at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_after: Option<DateTime<Utc>>,
    /// Published before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_before: Option<DateTime<Utc>>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the deployment.
    System,
    /// The person who asks.
    User,
    /// The twin.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatMessage {
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Generation settings; what is absent is the model's or the deployment's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampling {
    /// Tokens to generate, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 is greedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Makes sampling repeatable: the same request with the same seed is answered the same way, as far as the model
    /// computes the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// How much a token is held back for each time that it was written already, -2 to 2; 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// How much a token is held back that was written already, however often, -2 to 2; 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
}

/// One part of the answer to one query. Parts of a request come in the order of `sequence`, from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerEvent {
    /// The query answered.
    pub request_id: RequestId,
    /// The gateway it is for, also the key of the event.
    pub reply_to: GatewayId,
    /// The execution of the query that this part belongs to: a query that is delivered again after a crash is
    /// worked on again, and a reader takes the parts of one attempt only.
    pub attempt: RequestId,
    /// Position in the answer.
    pub sequence: u32,
    /// The part.
    pub part: AnswerPart,
}

impl Payload for AnswerEvent {
    const TYPE: &'static str = "twin.answer.v1";
    const TOPIC: Topic = Topic::Answers;
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum AnswerPart {
    /// What was found; first, and for a retrieval also last.
    Retrieved {
        /// Best first.
        passages: Vec<Passage>,
        /// Time spent, so far.
        timings: StageTimings,
    },
    /// More text.
    Delta {
        /// The text to append.
        text: String,
    },
    /// The end of an answer.
    Finished(Box<Answered>),
    /// The query could not be answered.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// For the person who asked.
        message: String,
    },
    /// Vectors of an embedding, in the order of its texts. A large one has several of these parts.
    Vectors {
        /// Which text the first of them is of, from 0.
        first: u32,
        /// The vectors, `[texts][dimension]`, each of length 1.
        vectors: Vec<Vec<f32>>,
    },
    /// The end of an embedding.
    Embedded(Embedded),
    /// The end of a text that was to be written.
    Written(Box<WrittenText>),
    /// What the check has found of a sentence while the model writes on, behind the text of that sentence. The end has all
    /// sentences of the text that counts.
    Support(Box<SentenceSupport>),
}

/// Why a query failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Too much to do; try later.
    Overloaded,
    /// The deadline passed.
    Expired,
    /// The model or a store failed.
    Unavailable,
    /// The query can not be served as it is.
    Invalid,
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    /// The whole text.
    pub text: String,
    /// The twin did not know: no passage was near enough, or nothing in them can be quoted.
    pub abstained: bool,
    /// In whose words the text is.
    #[serde(default)]
    pub mode: AnswerMode,
    /// The passages that it was made from, in the order of their markers; none where the twin did not know.
    pub citations: Vec<Citation>,
    /// The model that answered; where the text is quoted, the embedding model that chose what is quoted.
    pub model: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens. Zero where the model was not let come to its end.
    pub usage: Usage,
    /// Time spent.
    pub timings: StageTimings,
    /// What the check of a generated text has found.
    #[serde(flatten)]
    pub check: AnswerCheck,
    /// The question that was searched: the last message, or what was made of the conversation where that depends on it.
    /// None if nothing was searched, as for thanks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_question: Option<String>,
}

/// What the check of a generated text has found. Empty where the text is quoted, which needs none, and where it is JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnswerCheck {
    /// The sentences of what a model wrote that claim something, in order, each with whether a passage says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub support: Vec<SentenceSupport>,
    /// Of these, the share that a passage supports, 0 to 1; absent where nothing is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounded_share: Option<f32>,
    /// What the model gave out as a quotation and no passage has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invented_quotations: Vec<String>,
    /// Why the answer's text is not what the model wrote. `support` and `invented_quotations` are of that all the same. Absent:
    /// it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
}

/// Whether a passage says what a sentence of a generated answer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SentenceSupport {
    /// The sentence, as it stands in the text: a sentence, an item of a list, a row of a table, or a block of code.
    pub text: String,
    /// A passage says so.
    pub supported: bool,
    /// The marker of the passage that says so; of a sentence that none supports, null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<u32>,
    /// How near the nearest part of a passage is in words and meaning, 0 to 1.
    pub score: f32,
    /// Why it counts as supported or not.
    pub reason: SupportReason,
    /// What no passage says, of a number or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Why a sentence counts as supported or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupportReason {
    /// A part of a passage says the same.
    Supported,
    /// No part of a passage is near enough in words and meaning.
    Unlike,
    /// It has a number, a date, a version or a unit that no passage has in that place.
    Number,
    /// It has a name or an identifier that no passage has in that place.
    Name,
    /// It denies what the passage says, or says what the passage denies.
    Negation,
    /// A line of its code is in no passage.
    Code,
}

/// Why an answer is not what the model wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replaced {
    /// Passages support less of it than `answers.min_grounded`, so it is the quotations that answer best.
    Ungrounded,
}

/// In whose words an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerMode {
    /// In the author's own, verbatim.
    Quoted,
    /// In those of a language model.
    #[default]
    Generated,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It is complete, or a stop text came.
    Stop,
    /// The token limit.
    Length,
    /// The model began to repeat itself: the text is what stands before that.
    Repetition,
}

/// A passage found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Passage {
    /// The document.
    pub document_id: DocumentId,
    /// Its live revision.
    pub revision: Revision,
    /// Which chunk of it.
    pub ordinal: u32,
    /// The source's own name for the document.
    pub natural_key: String,
    /// Title of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where a person can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it is.
    pub category: Category,
    /// Headings above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading_path: Vec<String>,
    /// The chunk's text.
    pub text: String,
    /// Relevance, 0 to 1: cosine similarity of question and passage.
    pub score: f32,
}

/// A passage that an answer was made from, and whether it names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Citation {
    /// The number by which the answer cites it, from 1.
    pub marker: u32,
    /// The answer has `[marker]` in it; where it is quoted, behind words of the passage.
    pub cited: bool,
    /// The passage.
    #[serde(flatten)]
    pub passage: Passage,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
}

/// Milliseconds spent in each stage of a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageTimings {
    /// From the gateway's event to its being read.
    pub queue_ms: f64,
    /// Embedding the question.
    pub embed_ms: f64,
    /// Searching, fusing and checking liveness.
    pub search_ms: f64,
    /// From what was found to the first text of the answer.
    #[serde(default)]
    pub first_token_ms: f64,
    /// From what was found to the end of the answer: generating, or choosing what is quoted.
    #[serde(default)]
    pub generate_ms: f64,
}
