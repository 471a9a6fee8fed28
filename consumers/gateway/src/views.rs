//! What several routes answer with.

use serde::Serialize;
use twin_schemas::{Answered, Citation, Passage, StageTimings, Usage};
use utoipa::ToSchema;
use uuid::Uuid;

/// A passage of one of the author's documents.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
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
    #[schema(example = "article")]
    pub category: &'static str,
    /// Relevance, 0 to 1: cosine similarity of question and passage.
    pub score: f32,
    /// The headings above it, outermost first; for code, the enclosing items.
    pub heading_path: Vec<String>,
}

impl From<Passage> for PassageView {
    fn from(passage: Passage) -> Self {
        Self {
            document_id: passage.document_id.0,
            natural_key: passage.natural_key,
            revision: passage.revision.0,
            ordinal: passage.ordinal,
            text: passage.text,
            title: passage.title,
            url: passage.url,
            category: passage.category.as_str(),
            score: passage.score,
            heading_path: passage.heading_path,
        }
    }
}

/// A passage that the model was given, and whether its answer names it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CitationView {
    /// The number by which the answer cites it, from 1.
    pub marker: u32,
    /// The answer has `[marker]` in it.
    pub cited: bool,
    /// The passage.
    #[serde(flatten)]
    pub passage: PassageView,
}

impl From<Citation> for CitationView {
    fn from(citation: Citation) -> Self {
        Self { marker: citation.marker, cited: citation.cited, passage: citation.passage.into() }
    }
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageView {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Both.
    pub total_tokens: u32,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
        }
    }
}

/// Where the time went, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct TimingsView {
    /// From the request to the end of the answer, as the gateway saw it.
    pub total: f64,
    /// From the gateway's event to its being read.
    pub queue: f64,
    /// Embedding the question.
    pub embed: f64,
    /// Searching, fusing and checking liveness.
    pub search: f64,
    /// To the first generated token; 0 where nothing was generated.
    pub first_token: f64,
    /// Generating, all of it; 0 where nothing was generated.
    pub generate: f64,
}

impl TimingsView {
    pub fn new(total: f64, stages: StageTimings) -> Self {
        Self {
            total,
            queue: stages.queue_ms,
            embed: stages.embed_ms,
            search: stages.search_ms,
            first_token: stages.first_token_ms,
            generate: stages.generate_ms,
        }
    }
}

/// The citations of an answer.
pub fn citations(answered: &mut Answered) -> Vec<CitationView> {
    std::mem::take(&mut answered.citations).into_iter().map(CitationView::from).collect()
}
