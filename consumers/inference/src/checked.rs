//! What a model wrote, checked against its passages, and the answer that becomes of it.

use std::future::Future;
use std::time::Instant;

use tracing::{info, warn};
use twin_llm::{cited_markers, is_abstention};
use twin_schemas::{AnswerCheck, AnswerMode, Answered, FailureKind, FinishReason, Query, Replaced};

use crate::answer::{Answerer, citations, said_of_the_unknown, time_left};
use crate::drafting::{Failure, Written};
use crate::quotes::quote;
use crate::retrieve::Retrieved;
use crate::support::Checking;

impl Answerer {
    /// The answer that counts: what the model wrote with what its passages support of it, or where that is too little or nothing
    /// was written, the quotations that answer best, out of all passages found.
    pub(crate) async fn checked(
        &self,
        query: &Query,
        mut written: Written,
        model: &str,
        found: Retrieved,
    ) -> Result<Answered, Failure> {
        let given = self.given(&found);
        let outcome = self.compared(query, written.checking.take(), &written.text).await?;
        // A model that thinks up to the limit of its tokens writes no answer. JSON can not be quoted.
        let is_empty = written.text.trim().is_empty() && query.format.is_text();
        let share = outcome.grounded_share;
        let is_too_little = is_empty || share.is_some_and(|share| share < self.answers.min_grounded);
        if is_too_little || written.is_given_up {
            let request_id = query.request_id;
            info!(%request_id, model, ?share, "the answer is replaced: passages support too little");
            return self.replaced(query, written, outcome, found).await;
        }
        // Versions are taught to say it in the twin's own words.
        let abstained = is_abstention(written.text.trim());
        let cited = cited_markers(&written.text, given.len());
        Ok(Answered {
            citations: if abstained { Vec::new() } else { citations(given.to_vec(), &cited) },
            text: written.text,
            abstained,
            mode: AnswerMode::Generated,
            model: model.to_owned(),
            finish_reason: written.finish_reason,
            usage: written.usage,
            timings: written.timings,
            check: outcome,
            searched_question: Some(found.searched),
        })
    }

    /// What passages support of a text that a model wrote, counted; nothing where it is not checked.
    pub(crate) async fn compared(
        &self,
        query: &Query,
        checking: Option<Checking>,
        text: &str,
    ) -> Result<AnswerCheck, Failure> {
        let Some(checking) = checking else { return Ok(AnswerCheck::default()) };
        let began = Instant::now();
        let outcome = in_time(query, checking.finish(text)).await?;
        self.metrics.check_seconds.observe(began.elapsed().as_secs_f64());
        self.metrics.checked(&outcome);
        Ok(outcome)
    }

    /// As [`Answerer::quote`] answers, or that the twin does not know where nothing can be quoted.
    async fn replaced(
        &self,
        query: &Query,
        written: Written,
        check: AnswerCheck,
        found: Retrieved,
    ) -> Result<Answered, Failure> {
        let quoted = in_time(query, quote(&found.searched, &found, query.sampling.max_tokens)).await?;
        let quoted = quoted.until(&query.sampling.stop);
        let (model, cited) = (found.model(), quoted.cited());
        let abstained = quoted.quotations.is_empty();
        Ok(Answered {
            text: if abstained { said_of_the_unknown(query).to_owned() } else { quoted.text() },
            abstained,
            mode: AnswerMode::Quoted,
            citations: if abstained { Vec::new() } else { citations(found.passages, &cited) },
            model,
            finish_reason: if quoted.is_cut { FinishReason::Length } else { FinishReason::Stop },
            usage: written.usage,
            timings: written.timings,
            check: AnswerCheck { replaced: Some(Replaced::Ungrounded), ..check },
            searched_question: Some(found.searched),
        })
    }
}

/// What the embedding model is asked for, if it comes before the deadline.
async fn in_time<T>(query: &Query, work: impl Future<Output = Result<T, twin_embedding::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(time_left(query), work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            warn!(%error, "the answer could not be compared with its passages");
            Err((FailureKind::Unavailable, error.to_string()))
        }
        Err(_) => Err((FailureKind::Expired, "the answer was not checked before the deadline".to_owned())),
    }
}
