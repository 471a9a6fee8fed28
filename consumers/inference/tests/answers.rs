//! Queries as they are answered: in whose words, by which model, in which parts.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use common::models::{Endless, Rewriter, Word, deployed};
use common::{Fixture, ada, key};
use futures::TryStreamExt;
use twin_inference::{
    AnswerOptions, Base, LlmOptions, LoadError, Loader, Mode, Models, Queries, Rehearsal, SwitchMetrics, Switcher,
    Workers,
};
use twin_llm::{ABSTENTION, ChatModel, grounded_prompt};
use twin_registry::Registry;
use twin_schemas::{
    AnswerEvent, AnswerMode, AnswerPart, Answered, Attributes, Category, ChatMessage, FailureKind, FinishReason,
    GatewayId, ModelId, Query, QueryEvent, QueryFilter, QueryKind, Replaced, RequestId, ResponseFormat, Role, Sampling,
    SupportReason, Usage,
};
use twin_sqlite::SqliteLog;
use twin_stream::{EventLog, Handler, Message, Outcome, Position, TopicPartition, TopicSpec};
use twin_telemetry::MetricsRegistry;

const NOTES: &str = "# The hive\n\nThe hive survived the frost because I wrapped it in wool. In February the queen had \
    begun to lay eggs again.\n\n## Honey\n\nI left the colony twelve kilos of honey for the winter.\n\n## Tools\n\n\
    A smoker calms the bees. I light it with dry grass.\n";

const QUESTION: &str = "How does a hive of bees survive the winter?";

/// Any version is a model that says its own name's word.
struct Versions(Arc<AtomicUsize>);

#[async_trait]
impl Loader for Versions {
    async fn load(&self, model: &ModelId) -> Result<Arc<dyn ChatModel>, LoadError> {
        Ok(Arc::new(Word::new(&model.0, "A version wrote this [1].", &self.0)))
    }
}

struct Asked {
    fixture: Fixture,
    log: Arc<SqliteLog>,
    models: Arc<Models>,
    queries: Queries,
}

/// A model that writes this, whatever it is asked.
fn writes(text: &'static str) -> Base {
    Base::Chosen(Arc::new(Word::new("writer", text, &Arc::default())))
}

fn base_model() -> Arc<dyn ChatModel> {
    Arc::new(Word::new("base", "The base model wrote this [1].", &Arc::default()))
}

impl Asked {
    /// A twin whose answers stay as they are written, since the models here say anything.
    async fn new(mode: Mode, base: Base) -> Self {
        Self::with(AnswerOptions { mode, min_grounded: 0.0 }, base).await
    }

    async fn with(answers: AnswerOptions, base: Base) -> Self {
        let fixture = Fixture::new(1).await;
        fixture.publish("hive.md", Category::Article, NOTES).await;
        let log = Arc::new(SqliteLog::open(fixture.database.clone(), 1 << 20).await.unwrap());
        log.ensure_topics(&TopicSpec::all(1)).await.unwrap();
        let models = Arc::new(Models::new(base, 4));
        let (llm, metrics) = (LlmOptions::default(), MetricsRegistry::new());
        let queries =
            Queries::new(fixture.retriever.clone(), answers, models.clone(), llm, log.clone(), &metrics).unwrap();
        Self { fixture, log, models, queries }
    }

    /// Deploys a version, as a worker takes it up.
    async fn deploy(&self, grounded: bool) {
        let registry: Registry = twin_sqlite::registry(self.fixture.database.clone()).await.unwrap();
        deployed(&registry, grounded).await;
        let metrics = SwitchMetrics::new(&MetricsRegistry::new()).unwrap();
        let versions = Versions(Arc::default());
        let switcher =
            Switcher::new(registry, self.log.clone(), versions, self.models.clone(), Workers::alone(), metrics);
        switcher.catch_up().await;
    }

    /// The parts of the answer.
    async fn parts(&self, query: Query) -> Vec<AnswerPart> {
        let (attributes, payload) =
            (Attributes::new::<QueryEvent>("gateway", query.request_id.to_string()), QueryEvent::Ask(Box::new(query)));
        let partition = TopicPartition { topic: "twin.queries.v1".into(), partition: 0 };
        let position = Position { partition, offset: 0 };
        let outcomes = self.queries.handle(vec![Message { attributes, payload: Some(payload), position }]).await;
        assert!(matches!(outcomes[..], [Outcome::Done]), "{outcomes:?}");
        let partition = TopicPartition { topic: "twin.answers.v1".into(), partition: 0 };
        let records = self.log.records(&partition, 0..u64::MAX).try_collect::<Vec<_>>().await.unwrap();
        let part = |record: twin_stream::Record| {
            let attributes = Attributes::from_headers(&record.headers).unwrap();
            attributes.decode::<AnswerEvent>(&record.value.unwrap()).unwrap().part
        };
        records.into_iter().map(part).collect()
    }

    async fn answered(&self, query: Query) -> Answered {
        match self.parts(query).await.pop() {
            Some(AnswerPart::Finished(answered)) => *answered,
            other => panic!("{other:?}"),
        }
    }
}

fn query(question: &str) -> Query {
    let query_id = RequestId::new();
    Query {
        request_id: query_id,
        reply_to: GatewayId(query_id.0),
        author: ada(),
        kind: QueryKind::Answer,
        messages: vec![ChatMessage { role: Role::User, content: question.to_owned() }],
        k: 5,
        filter: QueryFilter::default(),
        sampling: Sampling::default(),
        format: ResponseFormat::Text,
        writing: None,
        deadline: Utc::now() + Duration::from_secs(60),
    }
}

/// The last of these messages is asked; the others were asked and answered before.
fn conversation(asked: &[&str]) -> Query {
    let turn = |role, content: &str| ChatMessage { role, content: content.to_owned() };
    let said = |question: &&str| [turn(Role::User, question), turn(Role::Assistant, "As I wrote [1].")];
    let mut messages: Vec<ChatMessage> = asked.iter().flat_map(said).collect();
    messages.pop();
    Query { messages, ..query("") }
}

#[tokio::test]
async fn the_author_is_quoted_in_parts_that_make_up_the_answer_and_name_their_passages() {
    let asked = Asked::new(Mode::Auto, Base::Default(base_model())).await;
    let mut parts = asked.parts(query(QUESTION)).await;
    let Some(AnswerPart::Finished(answered)) = parts.pop() else { panic!("{parts:?}") };
    let AnswerPart::Retrieved { passages, .. } = parts.remove(0) else { panic!("{parts:?}") };
    let deltas: Vec<&str> = parts
        .iter()
        .map(|part| match part {
            AnswerPart::Delta { text } => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(deltas.concat(), answered.text);
    assert!(answered.text.contains("The hive survived the frost because I wrapped it in wool."), "{}", answered.text);
    assert_eq!((answered.mode, answered.finish_reason), (AnswerMode::Quoted, FinishReason::Stop));
    assert_eq!((answered.model.as_str(), answered.usage), ("minilm@759c3cd2b7fe", Usage::default()));
    let given: Vec<_> = answered.citations.iter().map(|citation| citation.passage.clone()).collect();
    assert_eq!(given, passages, "every passage that was found");
    for citation in &answered.citations {
        assert_eq!(citation.cited, answered.text.contains(&format!("[{}]", citation.marker)), "{citation:?}");
    }
    assert!(answered.timings.generate_ms > 0.0);
}

#[tokio::test]
async fn what_writes_answers_is_what_the_mode_says_and_which_model_there_is() {
    let chosen = Asked::new(Mode::Auto, Base::Chosen(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!((chosen.mode, chosen.model.as_str()), (AnswerMode::Generated, "base"));
    assert!(chosen.citations[0].cited && chosen.text == "The base model wrote this [1].", "{chosen:?}");
    let generate = Asked::new(Mode::Generate, Base::Default(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!((generate.mode, generate.model.as_str()), (AnswerMode::Generated, "base"));
    let quote = Asked::new(Mode::Quote, Base::Chosen(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!(quote.mode, AnswerMode::Quoted);
}

#[tokio::test]
async fn a_version_answers_in_place_of_quotes_once_it_has_passed_for_grounded_answers() {
    for (grounded, mode) in [(false, AnswerMode::Quoted), (true, AnswerMode::Generated)] {
        let asked = Asked::new(Mode::Auto, Base::Default(base_model())).await;
        asked.deploy(grounded).await;
        let answered = asked.answered(query(QUESTION)).await;
        assert_eq!(answered.mode, mode, "grounded: {grounded}");
        assert_eq!(answered.model == "ada-v1", grounded, "{answered:?}");
    }
}

#[tokio::test]
async fn json_is_written_by_a_model_and_refused_where_there_is_none() {
    let json = || Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let quoting = Asked::new(Mode::Quote, Base::Absent).await;
    match quoting.parts(json()).await.as_slice() {
        [AnswerPart::Failed { kind: FailureKind::Invalid, message }] => {
            assert!(message.contains("answers.mode"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let auto = Asked::new(Mode::Auto, Base::Default(base_model())).await.answered(json()).await;
    assert_eq!(auto.mode, AnswerMode::Generated);
}

#[tokio::test]
async fn a_question_that_nothing_answers_is_abstained_from_in_either_mode() {
    for (mode, words) in [(Mode::Quote, AnswerMode::Quoted), (Mode::Generate, AnswerMode::Generated)] {
        let asked = Asked::new(mode, Base::Default(base_model())).await;
        let answered = asked.answered(query("Which tax form does a shipping company file?")).await;
        assert!(answered.abstained && answered.text == ABSTENTION && answered.citations.is_empty(), "{answered:?}");
        assert_eq!(answered.mode, words);
    }
}

#[tokio::test]
async fn limits_and_stop_texts_of_a_request_hold_for_quotes() {
    let asked = |sampling| async {
        Asked::new(Mode::Quote, Base::Absent).await.answered(Query { sampling, ..query(QUESTION) }).await
    };
    let cut = asked(Sampling { max_tokens: Some(4), ..Sampling::default() }).await;
    assert_eq!(cut.finish_reason, FinishReason::Length);
    assert!(cut.text.ends_with(']') && !cut.text.contains("\n\n"), "one whole quotation: {}", cut.text);
    let stopped = asked(Sampling { stop: vec!["wool".to_owned()], ..Sampling::default() }).await;
    assert!(!stopped.text.contains("wool"), "{}", stopped.text);
}

#[tokio::test]
async fn a_generated_answer_says_of_each_sentence_that_claims_something_whether_a_passage_does() {
    let text = "Let me tell you. I wrapped the hive in wool, so it survived the frost [1]. I left the colony forty kilos of honey \
        [1]. Do you keep bees?\n\n> I have never owned a single hive.\n\nNobody taught Grace to light the smoker.";
    let answered = Asked::new(Mode::Generate, writes(text)).await.answered(query(QUESTION)).await;
    let seen: Vec<(&str, SupportReason, Option<&str>)> = answered
        .check
        .support
        .iter()
        .map(|sentence| (&sentence.text[..9], sentence.reason, sentence.unknown.as_deref()))
        .collect();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!(seen[0], ("I wrapped", SupportReason::Supported, None));
    assert_eq!(seen[1], ("I left th", SupportReason::Number, Some("forty")));
    assert_eq!(seen[3], ("Nobody ta", SupportReason::Name, Some("Grace")));
    assert_eq!(answered.check.support[0].marker, Some(1));
    assert_eq!(answered.check.grounded_share, Some(0.25));
    assert_eq!(answered.check.invented_quotations, ["I have never owned a single hive."]);
    assert_eq!((answered.text.as_str(), answered.check.replaced), (text, None));
}

#[tokio::test]
async fn an_answer_that_passages_support_too_little_of_is_replaced_by_what_would_have_been_quoted() {
    let invented = "I sold the hive to Grace in 1999. She lost 300 bees a day.";
    let strict = AnswerOptions { mode: Mode::Generate, ..AnswerOptions::default() };
    let asked = Asked::with(strict.clone(), writes(invented)).await;
    let mut parts = asked.parts(query(QUESTION)).await;
    let Some(AnswerPart::Finished(replaced)) = parts.pop() else { panic!("{parts:?}") };
    let quoted = Asked::new(Mode::Quote, Base::Absent).await.answered(query(QUESTION)).await;
    assert_eq!((&replaced.text, replaced.mode, &replaced.model), (&quoted.text, AnswerMode::Quoted, &quoted.model));
    assert_eq!(replaced.citations, quoted.citations);
    assert_eq!((replaced.check.replaced, replaced.check.grounded_share), (Some(Replaced::Ungrounded), Some(0.0)));
    assert_eq!(replaced.check.support.len(), 2, "what was wrong with it is told");
    assert_eq!(parts.pop(), Some(AnswerPart::Delta { text: invented.to_owned() }), "what was written was streamed");

    let json = Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let json = Asked::with(strict, writes("{\"bees\": 300}")).await.answered(json).await;
    assert_eq!((json.text.as_str(), json.check.grounded_share), ("{\"bees\": 300}", None), "JSON is not checked");
}

#[tokio::test]
async fn an_answer_that_claims_nothing_is_left_as_it_is() {
    let strict = AnswerOptions { mode: Mode::Generate, min_grounded: 1.0 };
    let answered =
        Asked::with(strict, writes("I don't know. What do you think?")).await.answered(query(QUESTION)).await;
    assert_eq!((answered.check.grounded_share, answered.check.replaced), (None, None), "{answered:?}");
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_stopped_and_the_answer_cut_before_that() {
    for (piece, kept) in
        [("The hive survived the frost. ", "The hive survived the frost."), ("and the bees, ", "and the bees,")]
    {
        let endless = Base::Chosen(Arc::new(Endless(piece)));
        let asked = Asked::new(Mode::Generate, endless).await;
        let answered = asked.answered(query(QUESTION)).await;
        assert_eq!((answered.text.as_str(), answered.finish_reason), (kept, FinishReason::Repetition));
    }
    let endless = Base::Chosen(Arc::new(Endless("[0, 0, 0], ")));
    let json = Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let answered = Asked::new(Mode::Generate, endless).await.answered(json).await;
    assert_eq!(answered.finish_reason, FinishReason::Length, "JSON may say the same again and again");
}

#[tokio::test]
async fn what_stands_in_code_cites_nothing() {
    let code = writes("See `hives[1]`:\n\n```\nhives[2]\n```\n\nand [3].");
    let answered = Asked::new(Mode::Generate, code).await.answered(query(QUESTION)).await;
    let cited: Vec<bool> = answered.citations.iter().map(|citation| citation.cited).collect();
    assert_eq!(cited.first(), Some(&false), "{answered:?}");
    for citation in &answered.citations {
        assert_eq!(citation.cited, citation.marker == 3, "{answered:?}");
    }
}

#[tokio::test]
async fn a_question_that_goes_on_from_another_is_answered_from_what_both_ask_for() {
    let asked = Asked::new(Mode::Quote, Base::Absent).await;
    let answered = asked.answered(conversation(&[QUESTION, "Why?"])).await;
    assert!(!answered.abstained && answered.text.contains("because I wrapped it in wool"), "{answered:?}");
    assert_eq!(answered.searched_question.as_deref(), Some("How does a hive of bees survive the winter? Why?"));
    let again = asked.answered(conversation(&[QUESTION, "Shorter, please"])).await;
    assert_eq!((again.searched_question.as_deref(), again.abstained), (Some(QUESTION), false));
    let alone = asked.answered(conversation(&[QUESTION, "Which tax form does a shipping company file?"])).await;
    let searched = alone.searched_question.as_deref();
    assert_eq!((searched, alone.abstained), (Some("Which tax form does a shipping company file?"), true));
}

#[tokio::test]
async fn thanks_are_answered_with_courtesy_and_nothing_is_searched_or_asked_for_them() {
    for (mode, words) in [(Mode::Quote, AnswerMode::Quoted), (Mode::Generate, AnswerMode::Generated)] {
        let asked = Asked::new(mode, Base::Default(base_model())).await;
        let parts = asked.parts(conversation(&[QUESTION, "Thanks a lot!"])).await;
        let [AnswerPart::Retrieved { passages, .. }, AnswerPart::Delta { text }, AnswerPart::Finished(answered)] =
            parts.as_slice()
        else {
            panic!("{parts:?}")
        };
        assert_eq!((passages.len(), text.as_str(), answered.text.as_str()), (0, "You're welcome.", "You're welcome."));
        assert_eq!((answered.abstained, answered.citations.len(), answered.mode), (false, 0, words));
        assert_eq!(answered.searched_question, None);
    }
    let json = Query { format: ResponseFormat::JsonObject, ..conversation(&[QUESTION, "Thanks!"]) };
    let answered = Asked::new(Mode::Quote, Base::Default(base_model())).await.answered(json).await;
    assert!(answered.searched_question.is_some(), "courtesy is no JSON: {answered:?}");
}

#[tokio::test]
async fn a_model_rewrites_what_goes_on_from_a_question_and_is_not_believed_where_it_says_something_else() {
    let followed = conversation(&[QUESTION, "And with wool?"]);
    let by_rules = "How does a hive of bees survive the winter? And with wool?";
    for (rewritten, searched) in [
        (
            "How does a hive of bees survive the winter with wool?",
            "How does a hive of bees survive the winter with wool?",
        ),
        ("Paris is the capital of France.", by_rules),
        ("", by_rules),
    ] {
        let model: Arc<dyn ChatModel> = Arc::new(Rewriter::new(rewritten));
        let asked = Asked::new(Mode::Auto, Base::Chosen(model)).await;
        let answered = asked.answered(followed.clone()).await;
        assert_eq!(answered.searched_question.as_deref(), Some(searched), "{rewritten}");
        assert_eq!((answered.mode, answered.text.as_str()), (AnswerMode::Generated, "Wool keeps it warm [1]."));
    }
    // A question that stands alone is not shown to the model before it is searched.
    let model: Arc<dyn ChatModel> = Arc::new(Rewriter::new("How does a hive of bees survive without honey?"));
    let alone = Asked::new(Mode::Auto, Base::Chosen(model)).await.answered(query(QUESTION)).await;
    assert_eq!(alone.searched_question.as_deref(), Some(QUESTION));
}

#[tokio::test]
async fn what_is_rehearsed_is_what_a_query_is_answered_with() {
    let asked = Asked::new(Mode::Auto, Base::Default(base_model())).await;
    let answered = asked.answered(query(QUESTION)).await;
    let options = LlmOptions::default();
    let rehearsal = Rehearsal::new(asked.fixture.retriever.clone(), options.prompt.clone(), 5);
    let rehearsed = rehearsal.of(&ada(), QUESTION, None).await.unwrap();
    let cited: Vec<_> = answered.citations.iter().map(|citation| citation.passage.clone()).collect();
    assert_eq!((rehearsed.asks, &rehearsed.passages), (true, &cited));
    assert_eq!(rehearsed.quoted.map(|quoted| quoted.text()), Some(answered.text));
    let messages = [ChatMessage { role: Role::User, content: QUESTION.to_owned() }];
    assert_eq!(rehearsed.prompt, grounded_prompt(&ada(), &messages, &cited[..rehearsed.given], &options.prompt));
    assert_eq!(rehearsed.given, cited.len().min(options.prompt.passages));

    let without = rehearsal.of(&ada(), QUESTION, Some(key("hive.md").id())).await.unwrap();
    assert_eq!((without.passages.len(), without.asks, without.quoted), (0, false, None), "there is nothing else");
}
