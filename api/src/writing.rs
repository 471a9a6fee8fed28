//! Texts in an author's voice.

use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, Category, FinishReason, Voice};
use utoipa::ToSchema;

use crate::answers::{AnswerCheckView, CitationView, PassageView, TimingsView, UsageView};

/// A text that a twin is to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRequest {
    /// What to write; up to `gateway.max_question_chars` characters.
    #[schema(example = "Write about what the winter taught me about bees.")]
    pub instruction: String,
    /// Whose voice; `gateway.default_author` if absent.
    #[schema(value_type = Option<String>, example = "ada")]
    pub author: Option<AuthorId>,
    /// What is to be written, `article` (if absent) or `post`: a model that is not the author's own is shown examples of it.
    #[schema(value_type = Option<String>, example = "article")]
    pub category: Option<Category>,
    /// Words wanted, about, 1 to 5000, as far as the model's window and the time for a request allow; 400 of an article and 120 of a post if absent. The text may end earlier, and is cut
    /// (`finish_reason` is `length`) when it is half as long again.
    pub words: Option<u32>,
    /// Take facts from what the author has published, and cite it. True if absent. Where nothing near enough was published,
    /// nothing is written then. False: the voice alone.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub facts: bool,
    /// Answer as server-sent events, as of `/v1/query`: `retrieved` (the passages for the facts), `delta`, `support` and `done`
    /// (a `WriteAnswer`), or `error`.
    #[serde(default)]
    pub stream: bool,
}

fn yes() -> bool {
    true
}

/// The text that a twin has written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WriteAnswer {
    /// The text, with markers like `[1]` where it rests on a passage.
    pub text: String,
    /// Nothing was written: facts were wanted, and nothing that its author published is near enough.
    pub abstained: bool,
    /// The model that wrote it.
    pub model: String,
    /// Where the author's voice is from. `trained`: the model was trained on the author. `examples`: it was shown `examples`.
    /// `unknown`: it knows no more of it than the citations.
    #[schema(value_type = String, example = "examples")]
    pub voice: Voice,
    /// The passages that facts were to come from, by marker; none where none were wanted.
    pub citations: Vec<CitationView>,
    /// Passages that the model was shown as examples of the author's style.
    pub examples: Vec<PassageView>,
    /// What the text copies from these passages without quotation marks: each run of words that is longer than a sentence.
    pub copied: Vec<CopiedView>,
    /// `stop`: the text is complete; `length`: the limit for the words that were asked for, or the model's window, cut it;
    /// `repetition`: the model began to repeat itself, and the text is what stands before that.
    #[schema(value_type = String)]
    pub finish_reason: FinishReason,
    /// Tokens used.
    pub usage: UsageView,
    /// Where the time went.
    pub timings_ms: TimingsView,
    /// What the check of the text against the citations has found, as of an answer; nothing where no facts were wanted. The text
    /// stays, whatever it is: `replaced` is null.
    #[serde(flatten)]
    pub check: AnswerCheckView,
}

/// Words that are copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CopiedView {
    /// The words, as they stand in the text.
    pub text: String,
    /// The marker of the passage, where it is one of the citations.
    pub marker: Option<u32>,
    /// The passage that they are from.
    pub citation: PassageView,
}
