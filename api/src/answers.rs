//! Questions, searches, and what they are answered with.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{AnswerMode, AuthorId, Category, FinishReason, Replaced, SourceKind, SupportReason};
use utoipa::ToSchema;
use uuid::Uuid;

/// A question for a twin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// What is asked; up to `gateway.max_question_chars` characters.
    #[schema(example = "What did you learn from rewriting the parser?")]
    pub question: String,
    /// Whose twin; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// Passages to find, at most; 1 to `gateway.max_k`, `gateway.k` if absent. Answers are quoted from all of them; a model
    /// is given the best, at most `llm.prompt.passages`.
    pub k: Option<u32>,
    /// Answer only from documents of this category: `article`, `post` or `code`.
    #[schema(value_type = Option<String>, example = "article")]
    pub category: Option<Category>,
    /// What was said before, oldest first; with the question up to `gateway.max_conversation_chars` characters. A question
    /// that depends on it ("And in Rust?") is understood by it.
    #[serde(default)]
    pub history: Vec<Turn>,
    /// Answer as server-sent events: `retrieved` (`{"passages": […]}`), `delta` (`{"text": "…"}`, as often as text
    /// comes), `support` (one of the answer's `support`, for each sentence that was checked while the model wrote on) and `done`
    /// (the whole answer), or `error` (a problem). `retrieved` may come twice before the first
    /// `delta`, where the query was worked on twice: the later one counts. The text of `done` is the one that counts: it is another
    /// than that of the deltas where `replaced` is not null, and shorter where `finish_reason` is `repetition`.
    #[serde(default)]
    pub stream: bool,
}

/// Something that was said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who said it: `user` or `assistant`.
    pub role: Speaker,
    /// What was said.
    #[schema(example = "How do leases work?")]
    pub content: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Whoever asks.
    User,
    /// The twin.
    Assistant,
}

/// The twin's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryAnswer {
    /// The text, with markers like `[1]` where it rests on a passage.
    pub answer: String,
    /// The twin does not know: nothing that its author published is near enough to the question.
    pub abstained: bool,
    /// `quoted`: the text is the author's own, each part of it verbatim in the passage whose marker ends it. `generated`: a
    /// language model wrote it.
    #[schema(value_type = String, example = "quoted")]
    pub mode: AnswerMode,
    /// The passages that the answer was made from, by marker; none where the twin does not know.
    pub citations: Vec<CitationView>,
    /// How many these are. Less than `k` where fewer were found, or where a model was given the best of them
    /// (`llm.prompt.passages`).
    #[serde(default)]
    pub given: usize,
    /// The question that was searched: the one that was asked, or what was made of it and the `history` where it depends on
    /// that. Null where nothing was searched: thanks and greetings are answered with courtesy alone.
    #[schema(example = "How do leases work? And in Rust?")]
    pub searched_question: Option<String>,
    /// The model that answered; where the text is quoted, the embedding model that chose what is quoted.
    pub model: String,
    /// `stop`: the text is complete; `length`: the token limit cut it; `repetition`: the model began to repeat itself, and the text
    /// is what stands before that.
    #[schema(value_type = String)]
    pub finish_reason: FinishReason,
    /// Tokens used.
    pub usage: UsageView,
    /// Where the time went.
    pub timings_ms: TimingsView,
    /// What the check of a generated text has found.
    #[serde(flatten)]
    pub check: AnswerCheckView,
}

/// What the check of a generated text has found. A quoted answer needs none, and JSON is not checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AnswerCheckView {
    /// The sentences that a model wrote and that claim something, in order, each with whether a passage says so. Greetings,
    /// questions, headings and the like are not among them.
    pub support: Vec<SentenceSupportView>,
    /// Of these, the share that a passage supports, 0 to 1; null where nothing is claimed.
    pub grounded_share: Option<f32>,
    /// What the model gave out as a quotation, of four words or more, and no passage has.
    pub invented_quotations: Vec<String>,
    /// `ungrounded`: passages support less than `answers.min_grounded` of what the model wrote, so the answer is quoted in its
    /// place; `support`, `grounded_share` and `invented_quotations` are of what it wrote. Null: nothing was replaced.
    #[schema(value_type = Option<String>, example = "ungrounded")]
    pub replaced: Option<Replaced>,
}

/// Whether a passage says what a sentence says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SentenceSupportView {
    /// The sentence as it was written: a sentence, an item of a list, a row of a table, or a block of code.
    pub text: String,
    /// A passage says so.
    pub supported: bool,
    /// The marker of the passage that says so, whichever the sentence cites; null where none does.
    pub marker: Option<u32>,
    /// How near the nearest part of a passage is in words and meaning, 0 to 1.
    pub score: f32,
    /// `supported`; `unlike`: no part of a passage is near enough; `number`, `name`: it has a number, date, version or unit, or a
    /// name or identifier, that no passage has in that place; `negation`: it denies what the passage says, or the other way
    /// round; `code`: a line of its code is in no passage.
    #[schema(value_type = String, example = "number")]
    pub reason: SupportReason,
    /// What no passage says, of `number` and `name`.
    pub unknown: Option<String>,
}

/// What to find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrieveRequest {
    /// What is looked for; up to `gateway.max_question_chars` characters.
    #[schema(example = "error handling in parsers")]
    pub query: String,
    /// Whose documents; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// Passages wanted, at most; 1 to `gateway.max_k`, `gateway.k` if absent.
    pub k: Option<u32>,
    /// Only this category: `article`, `post` or `code`.
    #[schema(value_type = Option<String>, example = "article")]
    pub category: Option<Category>,
    /// Only this kind of source: `feed`, `git`, `folder`, `push`, ….
    #[schema(value_type = Option<String>, example = "feed")]
    pub source_kind: Option<SourceKind>,
    /// Published at or after.
    pub published_after: Option<DateTime<Utc>>,
    /// Published before; later than `published_after`.
    pub published_before: Option<DateTime<Utc>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RetrieveAnswer {
    /// Best first.
    pub hits: Vec<PassageView>,
    /// Where the time went.
    pub timings_ms: TimingsView,
}

/// A passage of one of the author's documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassageView {
    /// The document.
    pub document_id: Uuid,
    /// The source's own name for the document: a relative path, a feed item's guid, the key given when pushed.
    pub natural_key: String,
    /// The document's live revision.
    pub revision: u64,
    /// Which chunk of it, from 0.
    pub ordinal: u32,
    /// The chunk's text.
    pub text: String,
    /// Title of the document.
    pub title: Option<String>,
    /// Where a person can read it.
    pub url: Option<String>,
    /// `article`, `post` or `code`.
    #[schema(value_type = String, example = "article")]
    pub category: Category,
    /// Relevance, 0 to 1: cosine similarity of question and passage.
    pub score: f32,
    /// The headings above it, outermost first; for code, the enclosing items.
    pub heading_path: Vec<String>,
}

/// A passage that an answer was made from, and whether it names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CitationView {
    /// The number by which the answer cites it, from 1.
    pub marker: u32,
    /// The answer has `[marker]` in it; where it is quoted, behind words of the passage.
    pub cited: bool,
    /// The passage.
    #[serde(flatten)]
    pub passage: PassageView,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageView {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
}

/// Where the time went, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimingsView {
    /// From the request to the end of the answer, as the gateway saw it.
    pub total: f64,
    /// From the gateway's event to its being read.
    pub queue: f64,
    /// Embedding the question.
    pub embed: f64,
    /// Searching, fusing and checking liveness.
    pub search: f64,
    /// From what was found to the first text of the answer; 0 where the twin does not know.
    pub first_token: f64,
    /// From what was found to the end of the answer: generating, or choosing what is quoted; 0 where the twin does not
    /// know.
    pub generate: f64,
}
