//! The event stream of an answer, as chunks.

use futures::{Stream, StreamExt};
use serde::Deserialize;
use twin_schemas::{FinishReason, Usage};
use url::Url;

use super::failure;
use crate::Error;
use crate::model::ChatChunk;

/// A line of an event stream longer than this is no answer of a chat model.
const LONGEST_LINE: usize = 1 << 20;

struct Reader<S> {
    endpoint: Url,
    bytes: S,
    line: Vec<u8>,
    pending: std::collections::VecDeque<u8>,
    finish_reason: Option<FinishReason>,
    usage: Usage,
    ended: bool,
}

/// Events of a stream as chunks of an answer. One that breaks off before its end is an error.
pub(super) fn chunks<S, B>(endpoint: Url, bytes: S) -> impl Stream<Item = Result<ChatChunk, Error>>
where
    S: Stream<Item = Result<B, Error>> + Unpin,
    B: AsRef<[u8]>,
{
    let reader = Reader {
        endpoint,
        bytes,
        line: Vec::new(),
        pending: std::collections::VecDeque::new(),
        finish_reason: None,
        usage: Usage::default(),
        ended: false,
    };
    futures::stream::unfold(reader, |mut reader| async move {
        if reader.ended {
            return None;
        }
        let item = reader.next().await;
        reader.ended = !matches!(item, Ok(ChatChunk::Text(_)));
        Some((item, reader))
    })
}

impl<S, B> Reader<S>
where
    S: Stream<Item = Result<B, Error>> + Unpin,
    B: AsRef<[u8]>,
{
    async fn next(&mut self) -> Result<ChatChunk, Error> {
        loop {
            let Some(line) = self.next_line().await? else {
                return match self.finish_reason {
                    // Some servers close without the `[DONE]` line.
                    Some(finish_reason) => Ok(ChatChunk::End { finish_reason, usage: self.usage }),
                    None => Err(failure(&self.endpoint, &"the answer broke off")),
                };
            };
            let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
            if data == "[DONE]" {
                let finish_reason = self.finish_reason.unwrap_or(FinishReason::Stop);
                return Ok(ChatChunk::End { finish_reason, usage: self.usage });
            }
            let event: Event = serde_json::from_str(data).map_err(|error| failure(&self.endpoint, &error))?;
            if let Some(text) = self.take(event) {
                return Ok(ChatChunk::Text(text));
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<String> {
        if let Some(usage) = event.usage {
            self.usage = Usage { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens };
        }
        let choice = event.choices.into_iter().next()?;
        match choice.finish_reason.as_deref() {
            Some("length") => self.finish_reason = Some(FinishReason::Length),
            Some(_) => self.finish_reason = Some(FinishReason::Stop),
            None => {}
        }
        choice.delta.and_then(|delta| delta.content).filter(|text| !text.is_empty())
    }

    async fn next_line(&mut self) -> Result<Option<String>, Error> {
        loop {
            while let Some(byte) = self.pending.pop_front() {
                if byte == b'\n' {
                    let line = std::mem::take(&mut self.line);
                    return Ok(Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()));
                }
                self.line.push(byte);
                if self.line.len() > LONGEST_LINE {
                    return Err(failure(&self.endpoint, &"a line of the answer is too long"));
                }
            }
            match self.bytes.next().await {
                Some(bytes) => self.pending.extend(bytes?.as_ref()),
                None => return Ok(None),
            }
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<EventUsage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct EventUsage {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(parts: &[&str]) -> Vec<Result<ChatChunk, String>> {
        let endpoint = Url::parse("http://127.0.0.1:1/v1").unwrap();
        let parts: Vec<Result<Vec<u8>, Error>> = parts.iter().map(|part| Ok(part.as_bytes().to_vec())).collect();
        let chunks = chunks(endpoint, futures::stream::iter(parts));
        chunks.map(|item| item.map_err(|error| error.to_string())).collect().await
    }

    #[tokio::test]
    async fn a_stream_cut_anywhere_is_read_as_one() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"Hé\"}}]}\r\n\r\n: comment\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"length\"}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
        let usage = Usage { prompt_tokens: 7, completion_tokens: 2 };
        let expected = vec![
            Ok(ChatChunk::Text("Hé".into())),
            Ok(ChatChunk::Text("llo".into())),
            Ok(ChatChunk::End { finish_reason: FinishReason::Length, usage }),
        ];
        assert_eq!(read(&[stream]).await, expected);
        let middle = stream.char_indices().map(|(at, _)| at).nth(40).unwrap();
        assert_eq!(read(&[&stream[..middle], &stream[middle..]]).await, expected);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_an_error() {
        let chunks = read(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"]).await;
        assert_eq!(chunks[0], Ok(ChatChunk::Text("Hel".into())));
        assert!(chunks[1].as_ref().unwrap_err().contains("broke off"));
    }
}
