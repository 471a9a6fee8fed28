//! The answers of OpenAI's chat completions, whole and in chunks.

use axum::response::sse::Event;
use serde::Serialize;
use twin_api::{AnswerCheckView, CitationView, UsageView};
use twin_schemas::{AnswerMode, Answered, FinishReason};
use utoipa::ToSchema;

use crate::views::{Shown, citations};

/// A chat completion (OpenAI's API), with the citations of the twin.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCompletion {
    /// Its id.
    #[schema(example = "chatcmpl-0198b3f1-7a52-7c1e-9a55-2f0c3f5b1c11")]
    id: String,
    /// `chat.completion`.
    #[schema(value_type = String)]
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// `twin/<author>`.
    model: String,
    /// The model that the twin answered with; where the content is quoted, the embedding model that chose what is quoted.
    system_fingerprint: Option<String>,
    /// One answer.
    choices: Vec<Choice>,
    /// Tokens used.
    usage: UsageView,
    /// The passages that the answer was made from, by marker. Not part of OpenAI's API.
    citations: Vec<CitationView>,
    /// The twin does not know. Not part of OpenAI's API.
    abstained: bool,
    /// `quoted`: the content is the author's own words. `generated`: a language model wrote it. Not part of OpenAI's API.
    #[schema(value_type = String, example = "quoted")]
    mode: AnswerMode,
    /// Why the text ended, in the twin's own words: `stop`, `length`, or `repetition`, which OpenAI's API has no word for. Not part
    /// of OpenAI's API.
    #[schema(value_type = String, example = "stop")]
    finish_detail: FinishReason,
    /// What the check of a generated content has found. Not part of OpenAI's API.
    #[serde(flatten)]
    check: AnswerCheckView,
    /// The question that was searched: the last message, or what was made of the conversation where that depends on it.
    /// Null where nothing was searched, as for thanks. Not part of OpenAI's API.
    searched_question: Option<String>,
}

/// One answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Choice {
    /// 0.
    index: u32,
    /// The answer.
    message: AnswerMessage,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    /// `stop`; or `length` where the text is cut: at the limit of tokens, or where the model began to repeat itself
    /// (`finish_detail` tells which).
    #[schema(value_type = String)]
    finish_reason: FinishReason,
}

/// The twin's message.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerMessage {
    /// `assistant`.
    #[schema(value_type = String)]
    role: &'static str,
    /// The text, with markers like `[1]` where it rests on a passage. Null where there is a refusal.
    content: Option<String>,
    /// That the twin does not know, where it was to answer with JSON.
    refusal: Option<String>,
}

/// A chunk of a streamed chat completion (OpenAI's API).
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatChunk {
    /// The same in every chunk.
    id: String,
    /// `chat.completion.chunk`.
    #[schema(value_type = String)]
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// `twin/<author>`.
    model: String,
    /// One, or none in the chunk of the usage.
    choices: Vec<ChunkChoice>,
    /// With `stream_options.include_usage`: null, and the usage in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<UsageView>)]
    usage: Option<Option<UsageView>>,
    /// In the chunk with the finish reason: the passages that the answer was made from. Not part of OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<Vec<CitationView>>,
    /// In the chunk with the finish reason: the twin does not know. Not part of OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    abstained: Option<bool>,
    /// In the chunk with the finish reason: `quoted` or `generated`. Not part of OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "quoted")]
    mode: Option<AnswerMode>,
    /// In the chunk with the finish reason: as in a whole completion. Not part of OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "stop")]
    finish_detail: Option<FinishReason>,
    /// In the chunk with the finish reason: what the check of a generated content has found. Not part of OpenAI's API.
    #[serde(flatten)]
    #[schema(value_type = AnswerCheckView)]
    check: Option<AnswerCheckView>,
    /// In the chunk with the finish reason, where the text that counts is not the one that was streamed: what was replaced, or cut
    /// before a repetition. Not part of OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// In the chunk with the finish reason: the question that was searched; absent where nothing was. Not part of OpenAI's
    /// API.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_question: Option<String>,
}

/// What a chunk adds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChunkChoice {
    /// 0.
    index: u32,
    /// What to append.
    delta: Delta,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    /// In the last chunk but the usage: `stop` or `length`.
    #[schema(value_type = Option<String>)]
    finish_reason: Option<FinishReason>,
}

/// What to append to the message.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Delta {
    /// In the first chunk: `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    role: Option<&'static str>,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// That the twin does not know, where it was to answer with JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
}

/// What all chunks of one answer have in common.
#[derive(Debug, Clone)]
pub struct Completion {
    /// `chatcmpl-<request id>`.
    pub id: String,
    /// Seconds since 1970.
    pub created: i64,
    /// As asked for.
    pub model: String,
    /// The client wants the usage in a chunk.
    pub include_usage: bool,
    /// Any text may be the content. Else only JSON may.
    pub is_text: bool,
}

impl Completion {
    /// The answer as a whole.
    pub fn whole(self, mut answered: Answered) -> ChatCompletion {
        let text = std::mem::take(&mut answered.text);
        let is_refusal = answered.abstained && !self.is_text;
        let (content, refusal) = if is_refusal { (None, Some(text)) } else { (Some(text), None) };
        ChatCompletion {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            citations: citations(&mut answered),
            abstained: answered.abstained,
            mode: answered.mode,
            finish_detail: answered.finish_reason,
            check: answered.check.shown(),
            searched_question: answered.searched_question,
            usage: answered.usage.shown(),
            system_fingerprint: Some(answered.model),
            choices: vec![Choice {
                index: 0,
                message: AnswerMessage { role: "assistant", content, refusal },
                logprobs: None,
                finish_reason: in_openais_words(answered.finish_reason),
            }],
        }
    }

    /// The first chunk: who speaks.
    pub fn opening(&self) -> ChatChunk {
        self.chunk(Delta { role: Some("assistant"), content: Some(String::new()), refusal: None }, None)
    }

    /// A chunk of text.
    pub fn text(&self, text: String) -> ChatChunk {
        self.chunk(Delta { content: Some(text), ..Delta::default() }, None)
    }

    /// A chunk that says that the twin does not know.
    pub fn abstention(&self, text: String) -> ChatChunk {
        let refusal = Delta { refusal: Some(text.clone()), ..Delta::default() };
        if self.is_text { self.text(text) } else { self.chunk(refusal, None) }
    }

    /// The last chunks: the finish reason with the citations, and the usage where it is wanted.
    pub fn closing(&self, mut answered: Answered) -> Vec<ChatChunk> {
        let mut finish = self.chunk(Delta::default(), Some(in_openais_words(answered.finish_reason)));
        let is_another = answered.check.replaced.is_some() || answered.finish_reason == FinishReason::Repetition;
        finish.citations = Some(citations(&mut answered));
        finish.abstained = Some(answered.abstained);
        finish.mode = Some(answered.mode);
        finish.finish_detail = Some(answered.finish_reason);
        finish.check = Some(answered.check.shown());
        finish.answer = is_another.then_some(answered.text);
        finish.searched_question = answered.searched_question;
        let mut chunks = vec![finish];
        if self.include_usage {
            let mut usage = self.chunk(Delta::default(), None);
            usage.choices.clear();
            usage.usage = Some(Some(answered.usage.shown()));
            chunks.push(usage);
        }
        chunks
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<FinishReason>) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            choices: vec![ChunkChoice { index: 0, delta, logprobs: None, finish_reason }],
            usage: self.include_usage.then_some(None),
            citations: None,
            abstained: None,
            mode: None,
            finish_detail: None,
            check: None,
            answer: None,
            searched_question: None,
        }
    }
}

/// OpenAI's API knows `stop`, for a text that is complete, and `length`, for one that is cut. One that is cut before a
/// repetition is not complete.
fn in_openais_words(reason: FinishReason) -> FinishReason {
    match reason {
        FinishReason::Repetition => FinishReason::Length,
        reason => reason,
    }
}

/// `data: {…}`, without an event name.
pub fn data(value: &impl Serialize) -> Event {
    // The views have string keys only and no failing `Serialize` implementation of their own.
    Event::default().data(serde_json::to_string(value).expect("a view serialises to JSON"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use twin_schemas::{AnswerCheck, Replaced, SentenceSupport, StageTimings, SupportReason, Usage};

    use super::*;

    fn answered() -> Answered {
        Answered {
            text: "Yes [1].".into(),
            abstained: false,
            mode: AnswerMode::Generated,
            citations: Vec::new(),
            model: "base".into(),
            finish_reason: FinishReason::Length,
            usage: Usage { prompt_tokens: 10, completion_tokens: 3 },
            timings: StageTimings::default(),
            check: AnswerCheck {
                support: vec![SentenceSupport {
                    text: "Yes [1].".into(),
                    supported: true,
                    marker: Some(1),
                    score: 0.75,
                    reason: SupportReason::Supported,
                    unknown: None,
                }],
                grounded_share: Some(1.0),
                ..AnswerCheck::default()
            },
            searched_question: Some("So?".into()),
        }
    }

    fn completion(include_usage: bool) -> Completion {
        Completion { id: "chatcmpl-1".into(), created: 7, model: "twin/ada".into(), include_usage, is_text: true }
    }

    fn json_of(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn a_whole_completion_has_the_shape_of_openais() {
        let expected = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "twin/ada",
            "system_fingerprint": "base",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes [1].", "refusal": null},
                "logprobs": null, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
            "citations": [], "abstained": false, "mode": "generated", "finish_detail": "length",
            "support": [{"text": "Yes [1].", "supported": true, "marker": 1, "score": 0.75, "reason": "supported",
                "unknown": null}],
            "grounded_share": 1.0, "invented_quotations": [], "replaced": null, "searched_question": "So?",
        });
        assert_eq!(json_of(&completion(false).whole(answered())), expected);
    }

    #[test]
    fn an_abstention_is_a_refusal_where_json_was_wanted() {
        let message = |is_text, abstained| {
            let completion = Completion { is_text, ..completion(false) };
            let whole = completion.clone().whole(Answered { abstained, ..answered() });
            let chunk = json_of(&completion.abstention("Yes [1].".into()))["choices"][0]["delta"].clone();
            (json_of(&whole)["choices"][0]["message"].clone(), chunk)
        };
        let refusal = json!({"role": "assistant", "content": null, "refusal": "Yes [1]."});
        assert_eq!(message(false, true), (refusal, json!({"refusal": "Yes [1]."})));
        let content = json!({"role": "assistant", "content": "Yes [1].", "refusal": null});
        assert_eq!(message(true, true), (content.clone(), json!({"content": "Yes [1]."})));
        assert_eq!(message(false, false).0, content);
    }

    #[test]
    fn chunks_have_the_shape_of_openais() {
        let opening = json_of(&completion(false).opening());
        let choice = json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null,
            "finish_reason": null});
        let expected = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7,
            "model": "twin/ada", "choices": [choice]});
        assert_eq!(opening, expected);
        let text = json_of(&completion(false).text("Yes".into()));
        assert_eq!(text["choices"][0]["delta"], json!({"content": "Yes"}));
        let closing = completion(false).closing(answered());
        assert_eq!(closing.len(), 1);
        let closing = json_of(&closing[0]);
        assert_eq!(closing["choices"][0]["finish_reason"], "length");
        assert_eq!(closing["choices"][0]["delta"], json!({}));
        assert_eq!((&closing["citations"], &closing["mode"]), (&json!([]), &json!("generated")));
        assert_eq!((&closing["grounded_share"], closing.get("answer")), (&json!(1.0), None));
        assert_eq!(closing["searched_question"], "So?");
    }

    #[test]
    fn a_stream_whose_text_does_not_count_ends_with_the_text_that_does() {
        let closing = |answered: Answered| json_of(&completion(false).closing(answered)[0]);
        let check =
            AnswerCheck { replaced: Some(Replaced::Ungrounded), grounded_share: Some(0.0), ..AnswerCheck::default() };
        let replaced = closing(Answered { check, mode: AnswerMode::Quoted, ..answered() });
        assert_eq!((&replaced["answer"], &replaced["replaced"]), (&json!("Yes [1]."), &json!("ungrounded")));
        let cut = closing(Answered { finish_reason: FinishReason::Repetition, ..answered() });
        assert_eq!((&cut["answer"], &cut["finish_detail"]), (&json!("Yes [1]."), &json!("repetition")));
        assert_eq!(cut["choices"][0]["finish_reason"], "length", "OpenAI's API has no word for it");
    }

    #[test]
    fn the_usage_comes_in_a_last_chunk_without_choices_and_is_null_before() {
        let completion = completion(true);
        assert!(json_of(&completion.text("Yes".into()))["usage"].is_null());
        assert!(json_of(&completion.opening()).as_object().unwrap().contains_key("usage"));
        let closing = completion.closing(answered());
        assert_eq!(closing.len(), 2);
        let usage = json_of(&closing[1]);
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"]["total_tokens"], 13);
    }
}
