//! An answer as it is told to a client: as a whole, or step by step.

use std::collections::VecDeque;

use futures::Stream;
use futures::stream::unfold;
use twin_schemas::{Answered, Passage, SentenceSupport, WrittenText};

use crate::ask::{Failure, Part, PendingAnswer};

/// One step of an answer that is streamed.
pub enum Step {
    /// What was found. It may come twice before the first text, if the query was worked on twice: the later counts.
    Retrieved(Vec<Passage>),
    /// More text; never empty.
    Text(String),
    /// Whether a passage says what a sentence of that text says. Not all sentences have such a step; the end has all.
    Support(SentenceSupport),
    /// The whole text of an abstention that came in no other piece.
    Abstained(String),
    /// The end, and the milliseconds that it took. Its text is the one that counts: all steps of text together are another where
    /// it was replaced, and more where the model began to repeat itself.
    Done(Box<WrittenText>, f64),
    /// The end, without an answer.
    Failed(Failure),
}

/// The whole answer, and the milliseconds that it took.
pub async fn whole(mut pending: PendingAnswer) -> Result<(Box<WrittenText>, f64), Failure> {
    loop {
        if let Part::Finished(written) = pending.next().await? {
            pending.complete(outcome(&written.answered));
            return Ok((written, pending.elapsed_ms()));
        }
    }
}

/// The answer step by step, from `first` on. Dropping the stream before its end cancels the query.
pub fn steps(pending: PendingAnswer, first: Part) -> impl Stream<Item = Step> + Send {
    let mut steps = AnswerSteps { pending, sent: String::new(), ready: VecDeque::new(), ended: false };
    steps.take(first);
    unfold(steps, async |mut steps| {
        while steps.ready.is_empty() && !steps.ended {
            match steps.pending.next().await {
                Ok(part) => steps.take(part),
                Err(failure) => {
                    steps.ended = true;
                    steps.ready.push_back(Step::Failed(failure));
                }
            }
        }
        let step = steps.ready.pop_front()?;
        Some((step, steps))
    })
}

struct AnswerSteps {
    pending: PendingAnswer,
    /// The text so far.
    sent: String,
    ready: VecDeque<Step>,
    ended: bool,
}

impl AnswerSteps {
    fn take(&mut self, part: Part) {
        match part {
            Part::Retrieved(passages, _) => self.ready.push_back(Step::Retrieved(passages)),
            Part::Delta(text) => self.text(text, Step::Text),
            Part::Support(sentence) => self.ready.push_back(Step::Support(sentence)),
            Part::Finished(written) => {
                let answered = &written.answered;
                // A text that came without deltas, as an abstention may.
                if let Some(rest) = answered.text.strip_prefix(self.sent.as_str()) {
                    let is_refusal = answered.abstained && self.sent.is_empty();
                    self.text(rest.to_owned(), if is_refusal { Step::Abstained } else { Step::Text });
                }
                self.pending.complete(outcome(answered));
                self.ended = true;
                self.ready.push_back(Step::Done(written, self.pending.elapsed_ms()));
            }
            // No parts of an answer.
            Part::Vectors(..) | Part::Embedded(_) => {}
        }
    }

    fn text(&mut self, text: String, step: fn(String) -> Step) {
        if text.is_empty() {
            return;
        }
        self.sent.push_str(&text);
        self.pending.text_was_sent();
        self.ready.push_back(step(text));
    }
}

fn outcome(answered: &Answered) -> &'static str {
    if answered.abstained { "abstained" } else { "answered" }
}
