//! Texts in the author's voice.
//!
//! In: an instruction. Out: a text, by whichever model there is: the version that was trained on the author, or another that is
//! shown examples of how the author writes. Where facts are wanted, they come from passages that are found as for a question,
//! and below the score from which on the twin knows something it abstains; the text is checked against them as an answer is.
//! What it copies without quotation marks is told with it. Nothing is put in its place, whatever of that is found.
//!
//! A text can not be quoted, so the mode of answers does not matter: without any model the order is refused.

mod copied;
mod examples;
mod length;

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use twin_embedding::Embedder;
use twin_llm::{Writer, WritingOrder, cited_markers, writing_prompt};
use twin_schemas::{
    AnswerMode, AnswerPart, Answered, Copied, FailureKind, Passage, Query, StageTimings, Voice, Writing, WrittenText,
};
use twin_stream::Error as LogError;

use crate::answer::{Answerer, Ended, abstain, citations, fail, overloaded, question, queue_ms, take_turn, time_left};
use crate::drafting::{Failure, Order, Written};
use crate::generate::Counted;
use crate::mode;
use crate::models::Assigned;
use crate::publisher::Publisher;
use crate::quotes::off_the_runtime;
use crate::retrieve::{Retrieved, milliseconds};
use crate::support::Checking;
use crate::turns::{Turn, Work};

use copied::copied;
use examples::{Example, examples};
use length::{tokens_for, usual_words};

/// What a text is made from.
struct Material {
    /// None: no facts are wanted.
    facts: Option<Vec<Passage>>,
    /// The model that found them.
    embedder: Option<Arc<dyn Embedder>>,
    examples: Vec<Example>,
    timings: StageTimings,
}

impl Answerer {
    /// Publishes the parts of a text. Dropping the future stops the work on it.
    pub(crate) async fn compose(
        &self,
        query: &Query,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let Some(writing) = &query.writing else {
            let message = "the query does not say what is to be written".to_owned();
            return fail(publisher, FailureKind::Invalid, message).await;
        };
        if self.models.writer_of(&query.author) == mode::Writer::Nobody {
            return no_model(publisher).await;
        }
        let Some(place) = self.turns.enter(Work::Text, time_left(query)) else { return overloaded(publisher).await };
        let Some((facts, timings)) = self.facts(query, writing, asked_at, publisher).await? else {
            return Ok(Ended::Failed);
        };
        let knows = match &facts {
            Some(found) => self.retriever.knows(&query.author, found, self.given(found)).await,
            None => Ok(true),
        };
        match knows {
            Ok(true) => {}
            Ok(false) => {
                let model = self.models.name_of(&query.author);
                return abstain(query, AnswerMode::Generated, model, timings, publisher).await;
            }
            Err(error) => return fail(publisher, FailureKind::Unavailable, error.to_string()).await,
        }
        let (facts, embedder) = facts.map(|found| (self.given(&found).to_vec(), found.embedder)).unzip();
        let shown = facts.as_deref().unwrap_or_default();
        let examples = match examples(&self.retriever, query, writing.category, shown).await {
            Ok(examples) => examples,
            Err(error) => return fail(publisher, FailureKind::Unavailable, error.to_string()).await,
        };
        let turn = match take_turn(&place, query, publisher).await? {
            Ok(turn) => turn,
            Err(ended) => return Ok(ended),
        };
        let material = Material { facts, embedder, examples, timings };
        self.written(query, writing, material, turn, publisher).await
    }

    /// The passages that facts are to come from, which are published as found. None if they could not be looked for.
    async fn facts(
        &self,
        query: &Query,
        writing: &Writing,
        asked_at: DateTime<Utc>,
        publisher: &mut Publisher,
    ) -> Result<Option<(Option<Retrieved>, StageTimings)>, LogError> {
        if writing.facts {
            let found = self.retrieve(query, question(query), asked_at, publisher).await?;
            return Ok(found.map(|(found, timings)| (Some(found), timings)));
        }
        let timings = StageTimings { queue_ms: queue_ms(asked_at), ..StageTimings::default() };
        publisher.publish(AnswerPart::Retrieved { passages: Vec::new(), timings }).await?;
        Ok(Some((None, timings)))
    }

    /// Has the text written and publishes it.
    async fn written(
        &self,
        query: &Query,
        writing: &Writing,
        mut material: Material,
        turn: Turn<'_>,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        // The same to the end, whatever is deployed meanwhile. The version that was to write may have gone while it waited.
        let Assigned { model, is_own } = match self.assigned(query).await {
            Ok(Some(assigned)) => assigned,
            Ok(None) => return no_model(publisher).await,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        if is_own {
            material.examples.clear();
        }
        let order = self.order(query, writing, &material, is_own);
        let began = Instant::now();
        let generating = Counted::new(&self.metrics.generating);
        let written = self.write(model.as_ref(), query, order, material.timings, publisher).await?;
        drop(generating);
        let written = match written {
            Ok(written) => written,
            Err((kind, message)) => {
                if kind == FailureKind::Expired {
                    turn.used();
                }
                return fail(publisher, kind, message).await;
            }
        };
        turn.used();
        let mut told = match self.told(query, written, material, model.name(), is_own).await {
            Ok(told) => told,
            Err((kind, message)) => return fail(publisher, kind, message).await,
        };
        told.answered.timings.generate_ms = milliseconds(began);
        told.answered.searched_question = publisher.searched_question();
        publisher.publish(AnswerPart::Written(Box::new(told))).await?;
        Ok(Ended::Written)
    }

    /// What a model is asked for. Where there are facts, the text is checked against them while it is written; however little of
    /// it they support, it is written to its end.
    fn order(&self, query: &Query, writing: &Writing, material: &Material, is_own: bool) -> Order {
        let Material { facts, embedder, examples, .. } = material;
        let texts: Vec<String> = examples.iter().map(|example| example.text.clone()).collect();
        let usual = usual_words(writing.category);
        let order = WritingOrder {
            instruction: question(query),
            category: writing.category,
            // A version was taught by instructions that say nothing of a length.
            words: writing.words.or((!is_own).then_some(usual)),
            facts: facts.as_deref(),
            writer: if is_own { Writer::Own } else { Writer::Other(&texts) },
        };
        let messages = writing_prompt(&query.author, &order, &self.options.prompt);
        let of_text = tokens_for(writing.words.unwrap_or(usual), &sample(query, facts.as_deref(), &texts));
        let max_tokens = self.options.with_thoughts(of_text);
        let checking = facts.as_deref().zip(embedder.clone()).map(|(facts, embedder)| Checking::new(facts, embedder));
        Order { request: self.chat_request(query, messages, max_tokens), checking, least_share: 0.0 }
    }

    /// The text, with what its facts support of it and what it copies.
    async fn told(
        &self,
        query: &Query,
        written: Written,
        material: Material,
        model: &str,
        is_own: bool,
    ) -> Result<WrittenText, Failure> {
        let Written { text, finish_reason, usage, timings, checking, .. } = written;
        let voice = voice(is_own, &material.examples);
        let facts = material.facts.unwrap_or_default();
        let examples: Vec<Passage> = material.examples.into_iter().map(|example| example.passage).collect();
        let check = self.compared(query, checking, &text).await?;
        let copying = off_the_runtime(move || (copies(&text, &facts, &examples), text, facts, examples));
        let copied = copying.await.map_err(|error| (FailureKind::Unavailable, error.to_string()));
        let (copied, text, facts, examples) = copied?;
        let cited = cited_markers(&text, facts.len());
        let answered = Answered {
            citations: citations(facts, &cited),
            text,
            abstained: false,
            mode: AnswerMode::Generated,
            model: model.to_owned(),
            finish_reason,
            usage,
            timings,
            check,
            searched_question: None,
        };
        Ok(WrittenText { answered, voice, examples, copied })
    }
}

/// Where the author's voice is from.
fn voice(is_own: bool, examples: &[Example]) -> Voice {
    match (is_own, examples.is_empty()) {
        (true, _) => Voice::Trained,
        (false, false) => Voice::Examples,
        (false, true) => Voice::Unknown,
    }
}

/// A text of the language that is to be written, as far as one is known.
fn sample(query: &Query, facts: Option<&[Passage]>, examples: &[String]) -> String {
    let facts = facts.unwrap_or_default().iter().map(|passage| passage.text.as_str());
    let known: Vec<&str> = facts.chain(examples.iter().map(String::as_str)).collect();
    if known.is_empty() { question(query).to_owned() } else { known.join("\n") }
}

/// What is copied of the passages that the model was shown.
fn copies(text: &str, facts: &[Passage], examples: &[Passage]) -> Vec<Copied> {
    let shown: Vec<&Passage> = facts.iter().chain(examples).collect();
    let texts: Vec<&str> = shown.iter().map(|passage| passage.text.as_str()).collect();
    let of_run = |run: copied::Run| Copied {
        text: text[run.range].to_owned(),
        marker: (run.passage < facts.len()).then(|| u32::try_from(run.passage + 1).unwrap_or(u32::MAX)),
        passage: shown[run.passage].clone(),
    };
    copied(text, &texts).into_iter().map(of_run).collect()
}

/// For a text that no model is there to write.
async fn no_model(publisher: &mut Publisher) -> Result<Ended, LogError> {
    let message = "this twin has no language model to write with (`answers.mode` is quote): name one in `llm.endpoint` or \
        `llm.model` and leave the mode at auto, or deploy a version that was trained on the author";
    fail(publisher, FailureKind::Invalid, message.to_owned()).await
}
