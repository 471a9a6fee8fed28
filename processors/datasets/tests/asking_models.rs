//! What a build asks of models: nothing depends on their answers being good.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use support::{Place, at, author, generated};
use twin_datasets::{
    Answers, Asked, Builder, DatasetReader, Error, Instructor, Opener, Options, Parent, PortError, Respondents,
};
use twin_llm::{ChatChunk, ChatModel, ChatRequest, ChatStream};
use twin_schemas::{
    AuthorId, ChatMessage, ChatSample, DatasetManifest, FinishReason, PreferenceSample, ResponseFormat, Split, Usage,
};
use twin_sqlite::{Database, SqliteCorpus};

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

    fn identity(&self) -> String {
        "unreliable".to_owned()
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

    fn identity(&self) -> String {
        "unreliable".to_owned()
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
    assert_eq!((built.manifest.answer_failures, built.manifest.instruction_fallbacks), (20, 0));
    assert!(card(&place, &built.manifest).await.contains("For 20 more preferences the model that was asked"));
    assert_eq!(built.manifest.rejected_by.as_deref(), Some("unreliable-1b"));
    let without = place.build().await.unwrap().manifest;
    assert_eq!(without.rejected_by, None);
    let json = serde_json::to_value(&without).unwrap();
    assert!(json.get("answer_failures").is_none() && json.get("instruction_fallbacks").is_none());
    assert!(without.file("preference/train.jsonl").is_none());
}

#[tokio::test]
async fn a_models_instructions_are_named_in_the_manifest_and_bad_ones_are_not_taken() {
    let options = Options { model_instructions: 30, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let built = place.builder().with_instructor(Arc::new(Unreliable::default()));
    let built = built.build(&author(), None, 1, at()).await.unwrap();
    assert_eq!((built.report.instruction_fallbacks, built.manifest.instruction_fallbacks), (20, 20));
    assert!(card(&place, &built.manifest).await.contains("20 more instructions were asked of a model"));
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

/// The card of a version.
async fn card(place: &Place, manifest: &DatasetManifest) -> String {
    let mut card = Vec::new();
    for part in manifest.parts("README.md") {
        card.extend_from_slice(&place.artifacts.get(part).await.unwrap());
    }
    String::from_utf8(card).unwrap()
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
    let asked = |says, ends| Asked::new(Arc::new(Parrot { says, ends }), "parrot");
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
    let asked = Asked::new(formed.clone(), "formed");
    assert_eq!(asked.instruction_for("Water digs.", None).await.unwrap(), "Why do rivers bend?");
    let format = serde_json::to_value(formed.format.lock().unwrap().take()).unwrap();
    assert_eq!(format["json_schema"]["schema"]["required"], serde_json::json!(["instruction"]), "{format}");
    assert_eq!(asked.answer(&[]).await.unwrap(), says);
    assert_eq!(formed.format.lock().unwrap().take(), Some(ResponseFormat::Text), "an answer has the author's form");

    let plain = Asked::new(Arc::new(Plain(Parrot { says, ends: true })), "plain");
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

/// The rejected answers of all splits.
async fn rejected(place: &Place, manifest: &DatasetManifest) -> Vec<String> {
    let reader = DatasetReader::new(manifest, &place.artifacts);
    let mut found = Vec::new();
    for split in Split::ALL {
        let samples = reader.all::<PreferenceSample>(&format!("preference/{}.jsonl", split.as_str())).await.unwrap();
        found.extend(samples.into_iter().map(|sample| sample.rejected[0].content.clone()));
    }
    found
}

#[tokio::test]
async fn the_same_documents_give_the_same_version_though_a_model_that_is_asked_again_says_something_else() {
    let options = Options { preferences: 12, model_instructions: 12, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let (instructor, answers) = (Arc::new(Unreliable::default()), Arc::new(Unreliable::default()));
    let with_models = |builder: Builder| builder.with_instructor(instructor.clone()).with_answers(answers.clone());
    let asked = || (instructor.0.load(Ordering::SeqCst), answers.0.load(Ordering::SeqCst));
    let first = with_models(place.builder()).build(&author(), None, 1, at()).await.unwrap();
    assert_eq!(asked(), (12, 12));
    assert!(first.manifest.instructor.is_some() && first.manifest.rejected_by.is_some());

    // Another process, on the same data folder.
    let database = Database::open(&place.folder.path().join("twin.db")).unwrap();
    let corpus = Arc::new(SqliteCorpus::open(database).await.unwrap());
    let builder = Builder::new(place.options.clone(), corpus, place.artifacts.clone()).unwrap();
    let parent = Parent::from(&first.manifest);
    let again = with_models(builder).build(&author(), Some(&parent), 2, at()).await.unwrap();
    assert_eq!(again.manifest.dataset, first.manifest.dataset);
    assert_eq!((again.report.instruction_fallbacks, again.report.answer_failures), (8, 8));
    assert_eq!(asked(), (12, 12), "nobody was asked again");

    // What is not kept is asked for anew.
    assert!(place.corpus.forget_unused(&author(), 0).await.unwrap() > 0);
    let other = with_models(place.builder()).build(&author(), Some(&parent), 2, at()).await.unwrap();
    assert_eq!(asked(), (24, 24));
    assert_ne!(other.manifest.dataset, first.manifest.dataset);
}

/// A model of that identity, which says how often it was asked.
struct Counting {
    identity: &'static str,
    asked: AtomicU64,
}

impl Counting {
    fn new(identity: &'static str) -> Arc<Self> {
        Arc::new(Self { identity, asked: AtomicU64::default() })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Answers for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn identity(&self) -> String {
        self.identity.to_owned()
    }

    async fn answer(&self, _: &[ChatMessage]) -> Result<String, PortError> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(format!("My answer number {asked}, as {}.", self.identity))
    }
}

#[tokio::test]
async fn another_model_of_the_same_name_is_asked_anew_and_what_is_kept_does_not_grow() {
    let options = Options { preferences: 5, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let build = async |model: &Arc<Counting>, number| {
        place.builder().with_answers(model.clone()).build(&author(), None, number, at()).await.unwrap().manifest
    };
    let (first, second) = (Counting::new("first"), Counting::new("second"));
    let of_first = build(&first, 1).await;
    let of_second = build(&second, 2).await;
    assert_eq!((first.asked(), second.asked()), (5, 5));
    assert_ne!(of_first.dataset, of_second.dataset);
    assert_eq!(build(&first, 3).await.dataset, of_first.dataset, "what it has said is kept beside the other's");
    assert_eq!(first.asked(), 5);
    for number in 4..20 {
        build(&Counting::new(format!("model {number}").leak()), number).await;
    }
    let kept = place.corpus.forget_unused(&author(), 0).await.unwrap();
    assert_eq!(kept, 20, "four versions' replies");
}

/// A model that fails at first.
#[derive(Default)]
struct FailingAtFirst(AtomicU64);

#[async_trait]
impl Answers for FailingAtFirst {
    fn name(&self) -> &str {
        "failing"
    }

    fn identity(&self) -> String {
        "failing".to_owned()
    }

    async fn answer(&self, _: &[ChatMessage]) -> Result<String, PortError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0..5 => Err(twin_llm::Error::Generation("no memory".to_owned()).into()),
            _ => Ok("I am back.".to_owned()),
        }
    }
}

#[tokio::test]
async fn that_a_model_failed_is_nothing_that_it_has_said() {
    let options = Options { preferences: 5, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let model = Arc::new(FailingAtFirst::default());
    let build =
        async |number| place.builder().with_answers(model.clone()).build(&author(), None, number, at()).await.unwrap();
    let failed = build(1).await;
    assert_eq!((failed.manifest.answer_failures, failed.manifest.rejected_by), (5, None));
    let back = build(2).await;
    assert_eq!((back.report.answer_failures, rejected(&place, &back.manifest).await.len()), (0, 5));
}

/// A version of an author, whose answers to every third question do not end.
#[derive(Default)]
struct OwnVersion(AtomicU64);

#[async_trait]
impl ChatModel for OwnVersion {
    fn name(&self) -> &str {
        "ada-v3"
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        assert_eq!(request.messages.len(), 2, "it is asked as it was taught");
        let call = self.0.fetch_add(1, Ordering::SeqCst);
        let finish_reason = if call.is_multiple_of(3) { FinishReason::Length } else { FinishReason::Stop };
        let text = Ok(ChatChunk::Text(format!("What I would say, as version 3 of Ada, the {call}. time.")));
        let end = Ok(ChatChunk::End { finish_reason, usage: Usage::default() });
        Ok(futures::stream::iter([text, end]).boxed())
    }
}

/// Ada has a version of her own; it is brought into memory as often as this says.
#[derive(Clone, Default)]
struct Deployed {
    opened: Arc<AtomicU64>,
    damaged: bool,
}

#[async_trait]
impl Opener for Deployed {
    async fn open(&self) -> Result<Arc<dyn ChatModel>, String> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        match self.damaged {
            true => Err("a file is damaged".to_owned()),
            false => Ok(Arc::new(OwnVersion::default())),
        }
    }
}

#[async_trait]
impl Respondents for Deployed {
    async fn respondent(&self, of: &AuthorId) -> Result<Arc<dyn Answers>, Error> {
        assert_eq!(*of, author());
        Ok(Arc::new(Asked::opened_when_asked("ada-v3", "sha256:v3", self.clone())))
    }
}

#[tokio::test]
async fn preferences_are_against_whole_answers_of_the_version_that_serves_and_cut_ones_are_counted() {
    let options = Options { preferences: 12, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let deployed = Deployed::default();
    let builder = place.builder().with_respondents(Arc::new(deployed.clone()));
    let first = builder.build(&author(), None, 1, at()).await.unwrap();
    assert_eq!((first.manifest.rejected_by.as_deref(), first.manifest.cut_answers), (Some("ada-v3"), 4));
    assert_eq!((first.report.cut_answers, first.report.answer_failures), (4, 0));
    let answers = rejected(&place, &first.manifest).await;
    assert!(answers.len() == 8 && answers.iter().all(|answer| answer.contains("as version 3 of Ada")), "{answers:?}");

    let again = builder.build(&author(), None, 2, at()).await.unwrap();
    assert_eq!((again.manifest.dataset, again.report.cut_answers), (first.manifest.dataset, 4));
    assert_eq!(deployed.opened.load(Ordering::SeqCst), 1, "it is not loaded for what it has said");
}

#[tokio::test]
async fn a_version_that_does_not_load_is_tried_once_and_a_version_of_the_dataset_is_made_without_preferences() {
    let options = Options { preferences: 12, ..Options::default() };
    let place = Place::with(options, (0..40).map(generated)).await;
    let deployed = Deployed { damaged: true, ..Deployed::default() };
    let builder = place.builder().with_respondents(Arc::new(deployed.clone()));
    let built = builder.build(&author(), None, 1, at()).await.unwrap();
    assert_eq!((built.report.answer_failures, built.manifest.rejected_by), (12, None));
    assert_eq!(deployed.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_tells_a_way_of_asking_from_another_is_the_model_and_what_it_is_asked_for() {
    let asked = |identity: &str| Asked::new(Arc::new(Parrot { says: "so", ends: true }), identity);
    let (one, same, other) = (asked("one"), asked("one"), asked("other"));
    assert_eq!(Answers::identity(&one), Answers::identity(&same));
    assert_ne!(Answers::identity(&one), Answers::identity(&other));
    assert_eq!(Instructor::identity(&one), Instructor::identity(&same));
    assert_ne!(Instructor::identity(&one), Instructor::identity(&other));
    assert!(Instructor::identity(&one).contains("Write the one request"), "{}", Instructor::identity(&one));
}
