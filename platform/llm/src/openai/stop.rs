//! Texts that end an answer, where the endpoint does not know of them.

use std::collections::VecDeque;

use futures::StreamExt;
use futures::stream::unfold;
use twin_schemas::{FinishReason, Usage};

use crate::Error;
use crate::model::{ChatChunk, ChatStream};

/// The answer up to the first of these texts, none of which is empty. The stream behind it is dropped there, which stops the
/// generation; how many tokens it took is not known then.
pub(super) fn until(answer: ChatStream, stops: Vec<String>) -> ChatStream {
    let state = Until { answer: Some(answer), stops, held: String::new(), ready: VecDeque::new() };
    unfold(state, async |mut state| {
        while state.ready.is_empty() {
            let item = state.answer.as_mut()?.next().await;
            state.take(item);
        }
        let item = state.ready.pop_front()?;
        Some((item, state))
    })
    .boxed()
}

struct Until {
    /// None: it has ended.
    answer: Option<ChatStream>,
    stops: Vec<String>,
    /// Text that one of the stops may begin with.
    held: String,
    ready: VecDeque<Result<ChatChunk, Error>>,
}

impl Until {
    fn take(&mut self, item: Option<Result<ChatChunk, Error>>) {
        match item {
            Some(Ok(ChatChunk::Text(more))) => self.text(&more),
            last => {
                self.answer = None;
                self.hand_on(self.held.len());
                self.ready.extend(last);
            }
        }
    }

    fn text(&mut self, more: &str) {
        self.held.push_str(more);
        if let Some(end) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.answer = None;
            self.hand_on(end);
            self.held.clear();
            let end = ChatChunk::End { finish_reason: FinishReason::Stop, usage: Usage::default() };
            self.ready.push_back(Ok(end));
            return;
        }
        let begun = self.stops.iter().map(|stop| begun(&self.held, stop)).max().unwrap_or_default();
        self.hand_on(self.held.len() - begun);
    }

    /// The first `bytes` of what is held.
    fn hand_on(&mut self, bytes: usize) {
        if bytes > 0 {
            let rest = self.held.split_off(bytes);
            let text = std::mem::replace(&mut self.held, rest);
            self.ready.push_back(Ok(ChatChunk::Text(text)));
        }
    }
}

/// Bytes at the end of a text that a stop begins with.
fn begun(text: &str, stop: &str) -> usize {
    let ends = stop.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    ends.filter(|at| text.ends_with(&stop[..*at])).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures::stream::iter;

    use super::*;
    use crate::model::{Reply, whole};

    async fn cut(pieces: &[&str], stops: &[&str]) -> Reply {
        let usage = Usage { prompt_tokens: 1, completion_tokens: 2 };
        let end = ChatChunk::End { finish_reason: FinishReason::Length, usage };
        let chunks: Vec<_> = pieces.iter().map(|piece| Ok(ChatChunk::Text((*piece).to_owned()))).collect();
        let answer = iter(chunks.into_iter().chain([Ok(end)])).boxed();
        whole(until(answer, stops.iter().map(|stop| (*stop).to_owned()).collect())).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_ends_before_the_first_stop_however_it_is_cut_into_pieces() {
        let text = "So it is. ÉND of it, and more.";
        for at in text.char_indices().map(|(at, _)| at) {
            let reply = cut(&[&text[..at], &text[at..]], &["more", "ÉND"]).await;
            assert_eq!((reply.text.as_str(), reply.finish_reason), ("So it is. ", FinishReason::Stop), "cut at {at}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_stop_is_whole_and_ends_as_it_did() {
        let reply = cut(&["So it is. E", "N", "d. EN"], &["END"]).await;
        assert_eq!((reply.text.as_str(), reply.finish_reason), ("So it is. ENd. EN", FinishReason::Length));
        assert_eq!(reply.usage.completion_tokens, 2);
    }
}
