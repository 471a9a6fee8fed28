//! The way of [`Way::Quote`](crate::mode::Way): what is quoted, as it is told.

use std::time::Instant;

use tracing::warn;
use twin_schemas::{
    AnswerCheck, AnswerMode, AnswerPart, Answered, FailureKind, FinishReason, Query, StageTimings, Usage,
};
use twin_stream::Error as LogError;

use crate::answer::{Answerer, Ended, abstain, citations, fail, take_turn, time_left};
use crate::publisher::Publisher;
use crate::quotes::quote;
use crate::retrieve::{Retrieved, milliseconds};
use crate::turns::Place;

impl Answerer {
    /// Quotes what answers best in the passages found, each quotation as a part. All are known at the same moment, so all
    /// parts are one write to the log.
    pub(crate) async fn quote(
        &self,
        query: &Query,
        place: Place<'_>,
        found: Retrieved,
        mut timings: StageTimings,
        publisher: &mut Publisher,
    ) -> Result<Ended, LogError> {
        let turn = match take_turn(&place, query, publisher).await? {
            Ok(turn) => turn,
            Err(ended) => return Ok(ended),
        };
        let began = Instant::now();
        let quoting = quote(&found.searched, &found, query.sampling.max_tokens);
        let Ok(quoted) = tokio::time::timeout(time_left(query), quoting).await else {
            turn.used();
            let message = "the answer was not quoted before the deadline".to_owned();
            return fail(publisher, FailureKind::Expired, message).await;
        };
        let quoted = match quoted {
            Ok(quoted) => quoted,
            Err(error) => {
                warn!(%error, "the passages could not be compared with the question");
                return fail(publisher, FailureKind::Unavailable, error.to_string()).await;
            }
        };
        turn.used();
        self.metrics.quote_seconds.observe(began.elapsed().as_secs_f64());
        let model = found.model();
        if quoted.quotations.is_empty() {
            return abstain(query, AnswerMode::Quoted, model, timings, publisher).await;
        }
        let quoted = quoted.until(&query.sampling.stop);
        timings.first_token_ms = milliseconds(began);
        timings.generate_ms = timings.first_token_ms;
        let answered = Answered {
            text: quoted.text(),
            abstained: false,
            mode: AnswerMode::Quoted,
            citations: citations(found.passages, &quoted.cited()),
            model,
            finish_reason: if quoted.is_cut { FinishReason::Length } else { FinishReason::Stop },
            usage: Usage::default(),
            timings,
            check: AnswerCheck::default(),
            searched_question: publisher.searched_question(),
        };
        let deltas = quoted.quotations.into_iter().map(|quotation| AnswerPart::Delta { text: quotation.text });
        publisher.publish_all(deltas.chain([AnswerPart::Finished(Box::new(answered))])).await?;
        Ok(Ended::Quoted)
    }
}
