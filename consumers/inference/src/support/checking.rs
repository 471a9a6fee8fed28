//! The check of an answer beside the model that writes it.

use std::future::pending;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::debug;
use twin_embedding::{Embedder, Error};
use twin_llm::estimated_tokens;
use twin_schemas::{AnswerCheck, Passage, SentenceSupport};

use super::judging::Judging;
use super::settled::Settled;
use super::whole;
use crate::quotes::off_the_runtime;

/// Sentences that are still to come may be shorter than those so far: by this much, at most, is counted with.
const SHORTER: f32 = 0.5;

/// Checks sentences as they are complete. A few are checked at a time, and no others are taken up before these are known: what
/// waits is the text itself, and the model that writes it waits for nothing.
pub(crate) struct Checking {
    passages: Arc<[Passage]>,
    embedder: Arc<dyn Embedder>,
    settled: Settled,
    /// None: nothing was judged yet, or it is with what runs.
    judging: Option<Judging>,
    running: Option<BoxFuture<'static, Result<Found, Error>>>,
    /// What could not be checked meanwhile is checked at the end.
    is_broken: bool,
    tally: Tally,
}

/// What was found of some sentences.
struct Found {
    judging: Judging,
    support: Vec<SentenceSupport>,
}

/// The sentences that are known.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    claims: usize,
    supported: usize,
    /// Tokens of them, about.
    tokens: usize,
}

impl Checking {
    /// For an answer that is written from these passages, which the embedding model has found.
    pub(crate) fn new(passages: &[Passage], embedder: Arc<dyn Embedder>) -> Self {
        Self {
            passages: passages.into(),
            embedder,
            settled: Settled::default(),
            judging: None,
            running: None,
            is_broken: false,
            tally: Tally::default(),
        }
    }

    /// What is found next of a text as far as it has come; it does not end while there is nothing to find. To drop it loses
    /// nothing.
    pub(crate) async fn next(&mut self, text: &str) -> Vec<SentenceSupport> {
        self.take_up(text);
        let Some(running) = &mut self.running else { return pending().await };
        let ended = running.await;
        self.running = None;
        match ended {
            Ok(Found { judging, support }) => {
                self.judging = Some(judging);
                self.tally.add(&support);
                support
            }
            Err(error) => {
                debug!(%error, "sentences can not be checked while the answer is written");
                self.is_broken = true;
                pending().await
            }
        }
    }

    /// Begins to check what is complete by now, if nothing else is being checked.
    fn take_up(&mut self, text: &str) {
        if self.running.is_some() || self.is_broken {
            return;
        }
        let claims = self.settled.next(text);
        if claims.is_empty() {
            return;
        }
        let (judging, passages, embedder) = (self.judging.take(), self.passages.clone(), self.embedder.clone());
        let running = async move {
            let judged = off_the_runtime(move || {
                let mut judging = judging.unwrap_or_else(|| Judging::new(&passages));
                let known = judging.len();
                judging.add(claims);
                (judging, known)
            });
            let (mut judging, known) = judged.await?;
            let texts = judging.texts();
            if !texts.is_empty() {
                judging.learn(embedder.embed_candidates(texts).await?);
            }
            let support = judging.support(known);
            Ok::<_, Error>(Found { judging, support })
        };
        self.running = Some(running.boxed());
    }

    /// Whether passages may still support this share of the answer, if it has so many tokens at most: if all that there is room
    /// for beside the sentences that are known, in sentences half as long as these, is supported.
    ///
    /// No earlier end is sound: an answer may begin with what no passage says and go on with what they do, so the first
    /// sentences alone tell nothing of the share.
    pub(crate) fn may_reach(&self, least: f32, max_tokens: u32) -> bool {
        self.tally.may_reach(least, max_tokens)
    }

    /// What is found of the whole answer: the same as of one that is checked when it is complete.
    ///
    /// # Errors
    /// The embedding model's.
    pub(crate) async fn finish(mut self, text: &str) -> Result<AnswerCheck, Error> {
        if let Some(running) = self.running.take() {
            // Where it failed, all of it is done again.
            self.judging = running.await.ok().map(|found| found.judging);
        }
        whole(self.judging, text, self.passages, self.embedder.as_ref()).await
    }
}

impl Tally {
    fn add(&mut self, support: &[SentenceSupport]) {
        self.claims += support.len();
        self.supported += support.iter().filter(|sentence| sentence.supported).count();
        self.tokens += support.iter().map(|sentence| estimated_tokens(&sentence.text)).sum::<usize>();
    }

    fn may_reach(self, least: f32, max_tokens: u32) -> bool {
        if self.claims == 0 {
            return true;
        }
        let of_one = (SHORTER * self.tokens as f32 / self.claims as f32).max(1.0);
        let room = (max_tokens as usize).saturating_sub(self.tokens) as f32;
        let further = (room / of_one).ceil();
        (self.supported as f32 + further) / (self.claims as f32 + further) >= least
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check;
    use super::super::tests::{HIVE, fragment};
    use super::*;
    use crate::testing::{Words, passages};

    /// What is told of a text that comes in these pieces, behind some of which the model waits, and what is found at its end.
    async fn written(pieces: &[(String, bool)], passages: &[Passage]) -> (Vec<SentenceSupport>, AnswerCheck) {
        let mut checking = Checking::new(passages, Arc::new(Words));
        let (mut text, mut told) = (String::new(), Vec::new());
        for (piece, waits) in pieces {
            text.push_str(piece);
            checking.take_up(&text);
            while *waits && checking.running.is_some() {
                told.extend(checking.next(&text).await);
                checking.take_up(&text);
            }
        }
        (told, checking.finish(&text).await.unwrap())
    }

    #[tokio::test]
    async fn sentences_are_told_while_a_text_is_written_and_the_last_one_at_its_end() {
        let text =
            "The hive survived the frost because I wrapped it in wool [1]. I sold it for 90 euros. And then what.";
        let pieces: Vec<(String, bool)> = text.split_inclusive(' ').map(|word| (word.to_owned(), true)).collect();
        let passages = passages("Notes of Ada", &[HIVE]);
        let (told, found) = written(&pieces, &passages).await;
        let supported: Vec<bool> = told.iter().map(|sentence| sentence.supported).collect();
        assert_eq!(supported, [true, false], "{told:?}");
        assert_eq!(found, check(text, &passages, &Words).await.unwrap());
        assert_eq!(told, found.support[..2]);
    }

    #[tokio::test]
    async fn a_text_that_is_cut_after_sentences_were_told_is_judged_as_it_was_left() {
        let text =
            "I wrapped the hive in wool. The queen had begun to lay eggs in February. I fed it 7 kilos of sugar then.";
        let passages = passages("Notes of Ada", &[HIVE]);
        let mut checking = Checking::new(&passages, Arc::new(Words));
        assert_eq!(checking.next(text).await.len(), 2);
        let left = &text[..text.find(" The queen").unwrap()];
        assert_eq!(checking.finish(left).await.unwrap(), check(left, &passages, &Words).await.unwrap());
    }

    proptest! {
        #[test]
        fn a_text_that_is_checked_while_it_is_written_ends_with_what_is_found_of_the_whole(
            answer in prop::collection::vec(fragment(), 0..40),
            sizes in prop::collection::vec((1_usize..30, any::<bool>()), 1..20),
        ) {
            let answer = format!("I wrapped the hive in wool. {}", answer.concat());
            let mut pieces = Vec::new();
            let mut rest = answer.as_str();
            for (size, waits) in sizes.iter().cycle() {
                let end = rest.char_indices().nth(*size).map_or(rest.len(), |(at, _)| at);
                pieces.push((rest[..end].to_owned(), *waits));
                rest = &rest[end..];
                if rest.is_empty() {
                    break;
                }
            }
            let passages = passages("Notes of Ada", &[HIVE, "A river rises in 1950. It rises again in spring."]);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (told, found) = runtime.block_on(written(&pieces, &passages));
            let whole = runtime.block_on(check(&answer, &passages, &Words)).unwrap();
            prop_assert_eq!(&found, &whole);
            prop_assert!(whole.support.starts_with(&told), "{:?} of {:?}", told, whole.support);
        }
    }

    #[test]
    fn an_answer_may_reach_a_share_as_long_as_there_is_room_for_enough_that_is_supported() {
        let seen = |claims, supported| Tally { claims, supported, tokens: 20 * claims };
        assert!(Tally::default().may_reach(1.0, 200), "nothing is known");
        assert!(seen(4, 0).may_reach(0.5, 200), "the first sentences alone tell nothing");
        // 60 tokens are left, which is room for six sentences of ten tokens.
        assert!(!seen(7, 0).may_reach(0.5, 200) && seen(7, 1).may_reach(0.5, 200));
        assert!(seen(7, 0).may_reach(0.5, 400), "there is room for more");
        assert!(!seen(1, 0).may_reach(1.0, 200) && seen(1, 1).may_reach(1.0, 200));
        assert!(seen(50, 0).may_reach(0.0, 200), "nothing is asked for");
        let shortest = Tally { claims: 3, supported: 0, tokens: 0 };
        assert!(shortest.may_reach(0.5, 200) && !shortest.may_reach(0.5, 2));
    }
}
