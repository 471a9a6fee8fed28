//! What a build asks of models: nothing depends on their answers being good.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use support::{Place, at, author, generated};
use twin_datasets::{Answers, Asked, DatasetReader, Instructor, Options, PortError};
use twin_llm::{ChatChunk, ChatModel, ChatRequest, ChatStream};
use twin_schemas::{ChatMessage, ChatSample, FinishReason, PreferenceSample, ResponseFormat, Split, Usage};

/// How the model's instructions begin.
const ASKED: &str = "What did you note down on page";

/// A model that fails on each third call, says nothing on the next and else says something of its own.
#[derive(Default)]
struct Unreliable(AtomicU64);

impl Unreliable {
    fn says(&self, text: &str) -> Result<String, PortError> {
        match self.0.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => Err(PortError::Form("no".to_owned())),
            1 => Ok("  \n".to_owned()),
            _ => Ok(text.to_owned()),
        }
    }
}

#[async_trait]
impl Answers for Unreliable {
    fn name(&self) -> &str {
        "unreliable-1b"
    }

    async fn answer(&self, prompt: &[ChatMessage]) -> Result<String, PortError> {
        self.says(&format!("As a language model I would answer: {}", prompt[1].content))
    }
}

#[async_trait]
impl Instructor for Unreliable {
    fn name(&self) -> &str {
        "unreliable-1b"
    }

    async fn instruction_for(&self, passage: &str, _title: Option<&str>) -> Result<String, PortError> {
        let call = self.0.fetch_add(1, Ordering::SeqCst);
        match call % 3 {
            0 => Err(PortError::Form("no".to_owned())),
            // Gives the answer away.
            1 => Ok(passage.to_owned()),
            _ => Ok(format!("{ASKED} {call}?")),
        }
    }
}

#[tokio::test]
async fn preferences_hold_the_authors_words_against_another_answer_and_failures_are_counted() {
    let options = Options { preferences: 30, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let built = place.builder().with_answers(Arc::new(Unreliable::default()));
    let built = built.build(&author(), None, 1, at()).await.unwrap();
    let texts: Vec<String> = (0..40).map(|number| generated(number).text).collect();
    let reader = DatasetReader::new(&built.manifest, &place.artifacts);
    let mut found = 0;
    for split in Split::ALL {
        let name = format!("preference/{}.jsonl", split.as_str());
        for sample in reader.all::<PreferenceSample>(&name).await.unwrap() {
            let (chosen, rejected) = (&sample.chosen[0].content, &sample.rejected[0].content);
            assert!(texts.iter().any(|text| text.contains(chosen.as_str())));
            assert!(rejected.starts_with("As a language model") && sample.prompt.len() == 2);
            found += 1;
        }
    }
    assert_eq!((found, built.report.answer_failures), (10, 20));
    assert_eq!(built.manifest.rejected_by.as_deref(), Some("unreliable-1b"));
    let without = place.build().await.unwrap().manifest;
    assert_eq!(without.rejected_by, None);
    assert!(without.file("preference/train.jsonl").is_none());
}

#[tokio::test]
async fn a_models_instructions_are_named_in_the_manifest_and_bad_ones_are_not_taken() {
    let options = Options { model_instructions: 30, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let built = place.builder().with_instructor(Arc::new(Unreliable::default()));
    let built = built.build(&author(), None, 1, at()).await.unwrap();
    assert_eq!(built.report.instruction_fallbacks, 20);
    assert_eq!(built.manifest.instructor.as_deref(), Some("unreliable-1b"));
    let named: usize = built.manifest.documents.iter().map(|document| document.instructions_by_model.len()).sum();
    let reader = DatasetReader::new(&built.manifest, &place.artifacts);
    let mut asked = 0;
    for split in Split::ALL {
        for sample in reader.all::<ChatSample>(&format!("sft/{}.jsonl", split.as_str())).await.unwrap() {
            asked += usize::from(sample.messages[1].content.starts_with(ASKED));
        }
    }
    assert_eq!((named, asked), (10, 10));
}

/// A chat model that always says the same, in two parts, and may break off.
struct Parrot {
    says: &'static str,
    ends: bool,
}

#[async_trait]
impl ChatModel for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        assert!(request.temperature == 0.0 && request.max_tokens > 0);
        let (first, second) = self.says.split_at(self.says.len() / 2);
        let text = [first, second].map(|text| Ok(ChatChunk::Text(text.to_owned())));
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        let end = self.ends.then_some(Ok(end));
        Ok(futures::stream::iter(text.into_iter().chain(end)).boxed())
    }
}

#[tokio::test]
async fn a_chat_model_is_asked_and_what_breaks_off_or_has_another_form_is_an_error() {
    let asked = |says, ends| Asked::new(Arc::new(Parrot { says, ends }));
    let json = "{\"instruction\": \"Why do rivers bend?\"}";
    assert_eq!(asked(json, true).instruction_for("Water digs.", None).await.unwrap(), "Why do rivers bend?");
    assert!(matches!(asked(json, false).instruction_for("Water digs.", None).await, Err(PortError::Model(_))));
    assert!(matches!(asked("Why?", true).instruction_for("Water digs.", None).await, Err(PortError::Form(_))));
    assert_eq!(asked("An answer.", true).answer(&[]).await.unwrap(), "An answer.");
    assert!(asked("An answer.", false).answer(&[]).await.is_err());
}

/// A chat model that knows of no forms, like an older endpoint.
struct Plain(Parrot);

#[async_trait]
impl ChatModel for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        if !request.format.is_text() {
            return Err(twin_llm::Error::Refused("unknown field response_format".to_owned()));
        }
        self.0.chat(request).await
    }
}

#[tokio::test]
async fn an_instruction_is_asked_for_as_json_and_a_model_that_knows_no_forms_gives_one_all_the_same() {
    let says = "{\"instruction\": \"Why do rivers bend?\"}";
    let formed = Formed { parrot: Parrot { says, ends: true }, format: Mutex::default() };
    let formed = Arc::new(formed);
    let asked = Asked::new(formed.clone());
    assert_eq!(asked.instruction_for("Water digs.", None).await.unwrap(), "Why do rivers bend?");
    let format = serde_json::to_value(formed.format.lock().unwrap().take()).unwrap();
    assert_eq!(format["json_schema"]["schema"]["required"], serde_json::json!(["instruction"]), "{format}");
    assert_eq!(asked.answer(&[]).await.unwrap(), says);
    assert_eq!(formed.format.lock().unwrap().take(), Some(ResponseFormat::Text), "an answer has the author's form");

    let plain = Asked::new(Arc::new(Plain(Parrot { says, ends: true })));
    assert_eq!(plain.instruction_for("Water digs.", None).await.unwrap(), "Why do rivers bend?");
}

/// A chat model that notes the form that it is asked for.
struct Formed {
    parrot: Parrot,
    format: Mutex<Option<ResponseFormat>>,
}

#[async_trait]
impl ChatModel for Formed {
    fn name(&self) -> &str {
        "formed"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        *self.format.lock().unwrap() = Some(request.format.clone());
        self.parrot.chat(request).await
    }
}
