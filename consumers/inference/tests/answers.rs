//! Queries as they are answered: in whose words, by which model, in which parts.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use common::asked::{Asked, query};
use common::models::{Endless, Interrupted, Rewriter, Word};
use common::{ada, key};
use twin_inference::{AnswerOptions, Base, LlmOptions, LoadError, Loader, Mode, Rehearsal};
use twin_llm::{ABSTENTION, ChatModel, abstention, grounded_prompt};
use twin_schemas::{
    AnswerMode, AnswerPart, Category, ChatMessage, FailureKind, FinishReason, ModelId, Query, Replaced, ResponseFormat,
    Role, Sampling, SentenceSupport, SupportReason, Usage,
};

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

/// A model that writes this, whatever it is asked.
fn writes(text: &'static str) -> Base {
    Base::Chosen(Arc::new(Word::new("writer", text, &Arc::default())))
}

fn base_model() -> Arc<dyn ChatModel> {
    Arc::new(Word::new("base", "The base model wrote this [1].", &Arc::default()))
}

/// A twin whose answers stay as they are written, since the models here say anything.
async fn twin(mode: Mode, base: Base) -> Asked {
    twin_with(AnswerOptions { mode, min_grounded: 0.0 }, base).await
}

async fn twin_with(answers: AnswerOptions, base: Base) -> Asked {
    Asked::about(&[("hive.md", Category::Article, NOTES)], answers, base).await
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
    let asked = twin(Mode::Auto, Base::Default(base_model())).await;
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
    let chosen = twin(Mode::Auto, Base::Chosen(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!((chosen.mode, chosen.model.as_str()), (AnswerMode::Generated, "base"));
    assert!(chosen.citations[0].cited && chosen.text == "The base model wrote this [1].", "{chosen:?}");
    let generate = twin(Mode::Generate, Base::Default(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!((generate.mode, generate.model.as_str()), (AnswerMode::Generated, "base"));
    let quote = twin(Mode::Quote, Base::Chosen(base_model())).await.answered(query(QUESTION)).await;
    assert_eq!(quote.mode, AnswerMode::Quoted);
}

#[tokio::test]
async fn a_version_answers_in_place_of_quotes_once_it_has_passed_for_grounded_answers() {
    for (grounded, mode) in [(false, AnswerMode::Quoted), (true, AnswerMode::Generated)] {
        let asked = twin(Mode::Auto, Base::Default(base_model())).await;
        asked.deploy(Versions(Arc::default()), grounded).await;
        let answered = asked.answered(query(QUESTION)).await;
        assert_eq!(answered.mode, mode, "grounded: {grounded}");
        assert_eq!(answered.model == "ada-v1", grounded, "{answered:?}");
    }
}

#[tokio::test]
async fn json_is_written_by_a_model_and_refused_where_there_is_none() {
    let json = || Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let quoting = twin(Mode::Quote, Base::Absent).await;
    match quoting.parts(json()).await.as_slice() {
        [AnswerPart::Failed { kind: FailureKind::Invalid, message }] => {
            assert!(message.contains("answers.mode"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let auto = twin(Mode::Auto, Base::Default(base_model())).await.answered(json()).await;
    assert_eq!(auto.mode, AnswerMode::Generated);
}

#[tokio::test]
async fn a_question_that_nothing_answers_is_abstained_from_in_either_mode() {
    for (mode, words) in [(Mode::Quote, AnswerMode::Quoted), (Mode::Generate, AnswerMode::Generated)] {
        let asked = twin(mode, Base::Default(base_model())).await;
        let answered = asked.answered(query("Which tax form does a shipping company file?")).await;
        assert!(answered.abstained && answered.text == ABSTENTION && answered.citations.is_empty(), "{answered:?}");
        assert_eq!(answered.mode, words);
    }
}

#[tokio::test]
async fn limits_and_stop_texts_of_a_request_hold_for_quotes() {
    let asked = |sampling| async {
        twin(Mode::Quote, Base::Absent).await.answered(Query { sampling, ..query(QUESTION) }).await
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
    let answered = twin(Mode::Generate, writes(text)).await.answered(query(QUESTION)).await;
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
    let asked = twin_with(strict.clone(), writes(invented)).await;
    let mut parts = asked.parts(query(QUESTION)).await;
    let Some(AnswerPart::Finished(replaced)) = parts.pop() else { panic!("{parts:?}") };
    let quoted = twin(Mode::Quote, Base::Absent).await.answered(query(QUESTION)).await;
    assert_eq!((&replaced.text, replaced.mode, &replaced.model), (&quoted.text, AnswerMode::Quoted, &quoted.model));
    assert_eq!(replaced.citations, quoted.citations);
    assert_eq!((replaced.check.replaced, replaced.check.grounded_share), (Some(Replaced::Ungrounded), Some(0.0)));
    assert_eq!(replaced.check.support.len(), 2, "what was wrong with it is told");
    assert_eq!(parts.pop(), Some(AnswerPart::Delta { text: invented.to_owned() }), "what was written was streamed");

    let json = Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let json = twin_with(strict, writes("{\"bees\": 300}")).await.answered(json).await;
    assert_eq!((json.text.as_str(), json.check.grounded_share), ("{\"bees\": 300}", None), "JSON is not checked");
}

/// The sentences of which something was told while the answer was written, and its text so far when each was.
fn told(parts: &[AnswerPart]) -> Vec<(SentenceSupport, String)> {
    let (mut text, mut told) = (String::new(), Vec::new());
    for part in parts {
        match part {
            AnswerPart::Delta { text: more } => text.push_str(more),
            AnswerPart::Support(sentence) => told.push(((**sentence).clone(), text.clone())),
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn a_sentence_is_checked_while_the_model_writes_on_and_told_behind_its_text() {
    let (model, go_on) = Interrupted::new(
        "I wrapped the hive in wool, so it survived the frost [1]. I left the colony forty kilos of honey [1]. And the smoker",
        " calms the bees.",
    );
    let asked = twin(Mode::Generate, Base::Chosen(Arc::new(model))).await;
    // The model does not write on before both sentences are told.
    let all_told = async {
        while told(&asked.published().await).len() < 2 {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
    };
    let (mut parts, told_in_time) =
        tokio::join!(asked.parts(query(QUESTION)), tokio::time::timeout(Duration::from_secs(30), all_told));
    told_in_time.expect("sentences are told while the model waits");
    let Some(AnswerPart::Finished(answered)) = parts.pop() else { panic!("{parts:?}") };
    let told = told(&parts);
    for (sentence, text) in &told {
        assert!(text.contains(&sentence.text), "{sentence:?} is told before its text: {text:?}");
    }
    let sentences: Vec<SentenceSupport> = told.into_iter().map(|(sentence, _)| sentence).collect();
    assert_eq!(sentences, answered.check.support[..2], "the end says the same of them");
    let supported: Vec<bool> = answered.check.support.iter().map(|sentence| sentence.supported).collect();
    assert_eq!(supported, [true, false, true]);
}

#[tokio::test]
async fn a_model_whose_answer_can_not_be_supported_any_more_is_stopped() {
    // Some 120 tokens, of which no passage says anything. It would never end by itself.
    let invented = (0..8).map(|n| format!("I sold hive {n}70 to Grace for {n}90 euros in Vienna that year. "));
    let (model, _never) = Interrupted::new(invented.collect::<String>() + "And", "");
    let strict = AnswerOptions { mode: Mode::Generate, ..AnswerOptions::default() };
    let asked = twin_with(strict, Base::Chosen(Arc::new(model))).await;
    let sampling = Sampling { max_tokens: Some(120), ..Sampling::default() };
    let answered = asked.answered(Query { sampling, ..query(QUESTION) }).await;
    assert_eq!((answered.mode, answered.check.replaced), (AnswerMode::Quoted, Some(Replaced::Ungrounded)));
    assert_eq!((answered.check.grounded_share, answered.usage), (Some(0.0), Usage::default()));
    assert!(answered.text.contains("because I wrapped it in wool"), "{}", answered.text);
}

#[tokio::test]
async fn an_answer_that_claims_nothing_is_left_as_it_is() {
    let strict = AnswerOptions { mode: Mode::Generate, min_grounded: 1.0 };
    let answered = twin_with(strict, writes("I don't know. What do you think?")).await.answered(query(QUESTION)).await;
    assert_eq!((answered.check.grounded_share, answered.check.replaced), (None, None), "{answered:?}");
}

#[tokio::test]
async fn an_honest_refusal_that_names_what_is_unknown_is_left_as_it_is() {
    let strict = AnswerOptions { mode: Mode::Generate, ..AnswerOptions::default() };
    let refusal = "I don't know whether Zookeeper expires leases.";
    let answered = twin_with(strict, writes(refusal)).await.answered(query(QUESTION)).await;
    assert_eq!((answered.text.as_str(), answered.check.replaced), (refusal, None), "{answered:?}");
}

#[tokio::test]
async fn a_model_that_says_that_the_twin_does_not_know_has_abstained_and_cites_nothing() {
    for text in [ABSTENTION, abstention(Some("deu"))] {
        let strict = AnswerOptions { mode: Mode::Generate, ..AnswerOptions::default() };
        let answered = twin_with(strict, writes(text)).await.answered(query(QUESTION)).await;
        assert!(answered.abstained && answered.citations.is_empty(), "{answered:?}");
        assert_eq!((answered.text.as_str(), answered.mode), (text, AnswerMode::Generated));
        assert_eq!(answered.check.replaced, None);
    }
}

#[tokio::test]
async fn a_model_that_writes_no_answer_is_quoted_in_its_place_but_not_for_json() {
    for text in ["", " \n"] {
        let answered = twin(Mode::Generate, writes(text)).await.answered(query(QUESTION)).await;
        assert_eq!((answered.mode, answered.check.replaced), (AnswerMode::Quoted, Some(Replaced::Ungrounded)));
        assert!(!answered.abstained && answered.text.contains("because I wrapped it in wool"), "{answered:?}");
    }
    let json = Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let answered = twin(Mode::Generate, writes("")).await.answered(json).await;
    assert_eq!((answered.mode, answered.check.replaced), (AnswerMode::Generated, None));
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_stopped_and_the_answer_cut_before_that() {
    for (piece, kept) in
        [("The hive survived the frost. ", "The hive survived the frost."), ("and the bees, ", "and the bees,")]
    {
        let endless = Base::Chosen(Arc::new(Endless(piece)));
        let asked = twin(Mode::Generate, endless).await;
        let answered = asked.answered(query(QUESTION)).await;
        assert_eq!((answered.text.as_str(), answered.finish_reason), (kept, FinishReason::Repetition));
    }
    let endless = Base::Chosen(Arc::new(Endless("[0, 0, 0], ")));
    let json = Query { format: ResponseFormat::JsonObject, ..query(QUESTION) };
    let answered = twin(Mode::Generate, endless).await.answered(json).await;
    assert_eq!(answered.finish_reason, FinishReason::Length, "JSON may say the same again and again");
}

#[tokio::test]
async fn what_stands_in_code_cites_nothing() {
    let code = writes("See `hives[1]`:\n\n```\nhives[2]\n```\n\nand [3].");
    let answered = twin(Mode::Generate, code).await.answered(query(QUESTION)).await;
    let cited: Vec<bool> = answered.citations.iter().map(|citation| citation.cited).collect();
    assert_eq!(cited.first(), Some(&false), "{answered:?}");
    for citation in &answered.citations {
        assert_eq!(citation.cited, citation.marker == 3, "{answered:?}");
    }
}

#[tokio::test]
async fn a_question_that_goes_on_from_another_is_answered_from_what_both_ask_for() {
    let asked = twin(Mode::Quote, Base::Absent).await;
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
        let asked = twin(mode, Base::Default(base_model())).await;
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
    let answered = twin(Mode::Quote, Base::Default(base_model())).await.answered(json).await;
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
        let asked = twin(Mode::Auto, Base::Chosen(model)).await;
        let answered = asked.answered(followed.clone()).await;
        assert_eq!(answered.searched_question.as_deref(), Some(searched), "{rewritten}");
        assert_eq!((answered.mode, answered.text.as_str()), (AnswerMode::Generated, "Wool keeps it warm [1]."));
    }
    // A question that stands alone is not shown to the model before it is searched.
    let model: Arc<dyn ChatModel> = Arc::new(Rewriter::new("How does a hive of bees survive without honey?"));
    let alone = twin(Mode::Auto, Base::Chosen(model)).await.answered(query(QUESTION)).await;
    assert_eq!(alone.searched_question.as_deref(), Some(QUESTION));
}

#[tokio::test]
async fn what_is_rehearsed_is_what_a_query_is_answered_with() {
    let asked = twin(Mode::Auto, Base::Default(base_model())).await;
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
