//! Texts as they are written: by whom, from what, and what is told of them.

mod common;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::ada;
use common::asked::{Asked, order};
use futures::StreamExt;
use twin_inference::{AnswerOptions, Base, LlmOptions, LoadError, Loader, Mode};
use twin_llm::{ABSTENTION, ChatChunk, ChatModel, ChatRequest, ChatStream, voice_prompt};
use twin_schemas::{
    AnswerCheck, AnswerPart, Category, FailureKind, FinishReason, ModelId, Query, QueryKind, Sampling, Usage, Voice,
    Writing,
};

const INSTRUCTION: &str = "Write about how bees get through the winter.";

const HIVE: &str = "# The hive\n\nThe hive survived the frost because I wrapped it in wool. In February the queen had begun \
    to lay eggs again, and I stood beside it with cold hands and was as glad as if I had done it myself.";

const POST: &str = "Every winter somebody tells me that bees have lived for thirty million years without wool. So they have. \
    I wrap them all the same, because the wind comes over the hill in February and does not ask how old a species is.";

/// A model that writes one text and keeps what it was asked.
#[derive(Clone)]
struct Scribe {
    name: String,
    text: String,
    asked: Arc<Mutex<Vec<ChatRequest>>>,
}

impl Scribe {
    fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), asked: Arc::default() }
    }

    fn last(&self) -> ChatRequest {
        self.asked.lock().unwrap().last().cloned().expect("the model was asked")
    }

    /// What it was told and asked.
    fn prompt(&self) -> (String, String) {
        let [system, user] = self.last().messages.try_into().unwrap();
        (system.content, user.content)
    }
}

#[async_trait]
impl ChatModel for Scribe {
    fn name(&self) -> &str {
        &self.name
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, twin_llm::Error> {
        self.asked.lock().unwrap().push(request);
        let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
        let chunks = [Ok(ChatChunk::Text(self.text.clone())), Ok(end)];
        Ok(futures::stream::iter(chunks).boxed())
    }
}

/// Any version is this model.
struct Versions(Scribe);

#[async_trait]
impl Loader for Versions {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        Ok(Arc::new(Scribe { name: model.0.clone(), ..self.0.clone() }))
    }
}

async fn twin(mode: Mode, base: Base) -> Asked {
    let documents = [("hive.md", Category::Article, HIVE), ("wool.md", Category::Post, POST)];
    Asked::about(&documents, AnswerOptions { mode, ..AnswerOptions::default() }, base).await
}

/// One whose texts this model writes, which is not the author's own.
async fn twin_of(scribe: &Scribe) -> Asked {
    twin(Mode::Auto, Base::Default(Arc::new(scribe.clone()))).await
}

fn article(facts: bool) -> Writing {
    Writing { category: Category::Article, words: None, facts }
}

#[tokio::test]
async fn a_text_with_facts_cites_them_and_comes_in_parts_that_make_it_up() {
    let scribe = Scribe::new("base", "I wrapped it in wool [1], as I always do.");
    let asked = twin_of(&scribe).await;
    let mut parts = asked.parts(order(INSTRUCTION, article(true))).await;
    let Some(AnswerPart::Written(written)) = parts.pop() else { panic!("{parts:?}") };
    let AnswerPart::Retrieved { passages, .. } = parts.remove(0) else { panic!("{parts:?}") };
    assert_eq!(parts, [AnswerPart::Delta { text: scribe.text.clone() }]);
    let answered = &written.answered;
    assert_eq!((answered.text.as_str(), answered.model.as_str()), (scribe.text.as_str(), "base"));
    let cited: Vec<bool> = answered.citations.iter().map(|citation| citation.cited).collect();
    assert_eq!((answered.citations.len(), cited[0]), (passages.len(), true));
    let (system, user) = scribe.prompt();
    assert!(system.contains("like [1]") && user.contains("I wrapped it in wool."), "{system}\n{user}");
    assert!(user.ends_with(&format!("Instruction: {INSTRUCTION} (About 400 words.)")), "{user}");
    assert!(written.copied.is_empty(), "{:?}", written.copied);
}

#[tokio::test]
async fn a_model_that_is_not_the_authors_own_is_shown_texts_of_the_category_first() {
    let scribe = Scribe::new("base", "So they have.");
    let asked = twin_of(&scribe).await;
    for (category, first) in [(Category::Article, "hive.md"), (Category::Post, "wool.md")] {
        let written = asked.written(order(INSTRUCTION, Writing { category, words: Some(50), facts: false })).await;
        let shown: Vec<&str> = written.examples.iter().map(|passage| passage.natural_key.as_str()).collect();
        assert_eq!((written.voice, shown[0], shown.len()), (Voice::Examples, first, 2), "one of each document");
        assert!(written.answered.citations.is_empty());
    }
    let (system, user) = scribe.prompt();
    assert!(user.contains("<passage example=\"1\">\nEvery winter") && !system.contains("[1]"), "{system}\n{user}");
    let request = scribe.last();
    assert!((90..200).contains(&request.max_tokens), "fifty words: {}", request.max_tokens);
    assert!(user.ends_with("(About 50 words.)"), "{user}");
}

#[tokio::test]
async fn a_version_of_the_authors_own_is_asked_as_it_was_taught() {
    let asked = twin_of(&Scribe::new("base", "no")).await;
    let version = Scribe::new("version", "I wrap them in wool.");
    asked.deploy(Versions(version.clone()), false).await;
    let written = asked.written(order(INSTRUCTION, article(false))).await;
    assert_eq!((written.voice, written.answered.model.as_str()), (Voice::Trained, "ada-v1"));
    assert!(written.examples.is_empty());
    assert_eq!(version.last().messages, voice_prompt(&ada(), INSTRUCTION));
    let written = asked.written(order(INSTRUCTION, Writing { words: Some(90), ..article(true) })).await;
    assert_eq!(written.voice, Voice::Trained);
    let (system, user) = version.prompt();
    assert!(system.contains("like [1]") && user.contains("wrapped it in wool") && user.ends_with("(About 90 words.)"));
}

#[tokio::test]
async fn what_is_copied_without_quotation_marks_is_told_and_what_stands_in_them_is_not() {
    let two =
        "The hive survived the frost because I wrapped it in wool. In February the queen had begun to lay eggs again";
    let scribe = Scribe::new("base", &format!("{two}. As I said: \"{two}.\""));
    let asked = twin_of(&scribe).await;
    let written = asked.written(order(INSTRUCTION, article(true))).await;
    assert_eq!(written.copied.len(), 1, "{:?}", written.copied);
    let copied = &written.copied[0];
    assert_eq!((copied.text.as_str(), copied.passage.natural_key.as_str()), (two, "hive.md"));
    let citation = written.answered.citations.iter().find(|citation| Some(citation.marker) == copied.marker).unwrap();
    assert_eq!(citation.passage, copied.passage);
    let written = asked.written(order(INSTRUCTION, article(false))).await;
    assert_eq!((written.copied.len(), written.copied[0].marker), (1, None), "an example's has no marker");
}

#[tokio::test]
async fn a_text_with_facts_is_checked_against_them_and_never_replaced() {
    let text = "The hive survived the frost because I wrapped it in wool [1]. I sold it for 90 euros. It weighed 40 kilos [1].";
    let asked = twin_of(&Scribe::new("base", text)).await;
    let answered = asked.written(order(INSTRUCTION, article(true))).await.answered;
    let supported: Vec<bool> = answered.check.support.iter().map(|sentence| sentence.supported).collect();
    assert_eq!(supported, [true, false, false], "{:?}", answered.check);
    assert!(answered.check.grounded_share.is_some_and(|share| share < AnswerOptions::default().min_grounded));
    assert_eq!((answered.text.as_str(), answered.check.replaced), (text, None));
    let voice_alone = asked.written(order(INSTRUCTION, article(false))).await.answered;
    assert_eq!(voice_alone.check, AnswerCheck::default(), "there is nothing to check it against");
}

#[tokio::test]
async fn where_facts_are_wanted_and_there_are_none_nothing_is_written() {
    let scribe = Scribe::new("base", "Anything.");
    let asked = twin_of(&scribe).await;
    let instruction = "Which tax form does a shipping company file?";
    match asked.parts(order(instruction, article(true))).await.pop() {
        Some(AnswerPart::Finished(answered)) => {
            assert!(answered.abstained && answered.text == ABSTENTION && answered.citations.is_empty(), "{answered:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(scribe.asked.lock().unwrap().is_empty(), "no model was asked");
    assert_eq!(asked.written(order(instruction, article(false))).await.answered.text, "Anything.");
}

#[tokio::test]
async fn a_text_is_written_by_whatever_model_there_is_and_refused_where_there_is_none() {
    let scribe = Scribe::new("endpoint", "I write.");
    let quoting = twin(Mode::Quote, Base::Chosen(Arc::new(scribe))).await;
    assert_eq!(quoting.written(order(INSTRUCTION, article(true))).await.answered.model, "endpoint");
    let without = twin(Mode::Quote, Base::Absent).await;
    match without.parts(order(INSTRUCTION, article(true))).await.as_slice() {
        [AnswerPart::Failed { kind: FailureKind::Invalid, message }] => {
            assert!(message.contains("no language model") && message.contains("llm.endpoint"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_an_answer_is_asked_for_with_reaches_the_model_and_the_rest_is_configured() {
    let scribe = Scribe::new("base", "Wool [1].");
    let asked = twin(Mode::Generate, Base::Chosen(Arc::new(scribe.clone()))).await;
    let question =
        |sampling| Query { kind: QueryKind::Answer, writing: None, sampling, ..order(INSTRUCTION, article(true)) };
    let sampling = Sampling {
        max_tokens: Some(5_000),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(0.25),
        seed: Some(3),
        stop: vec!["END".to_owned()],
        ..Sampling::default()
    };
    asked.parts(question(sampling)).await;
    let request = scribe.last();
    assert_eq!(
        (request.max_tokens, request.seed, request.stop.len()),
        (5_000, Some(3), 1),
        "no configured number is a cap"
    );
    assert_eq!((request.frequency_penalty, request.presence_penalty), (-0.5, 0.25));
    asked.parts(question(Sampling::default())).await;
    let (request, configured) = (scribe.last(), LlmOptions::default());
    assert_eq!((request.max_tokens, request.presence_penalty), (configured.max_tokens, 0.0));
    assert_eq!(request.frequency_penalty, configured.frequency_penalty);
}
