//! Server-sent events (WHATWG HTML, "Server-sent events"), as they come in over a connection.

use std::collections::VecDeque;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` where the server gave none.
    pub name: String,
    /// Its data, lines joined by `\n`.
    pub data: String,
}

/// An event is longer than the parser holds.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Splits bytes, however they are cut, into events of bounded size.
#[derive(Debug)]
pub struct Parser {
    max_bytes: usize,
    line: Vec<u8>,
    /// The last line ended with a carriage return: a line feed right after it belongs to that end.
    after_return: bool,
    name: String,
    data: Option<String>,
    ready: VecDeque<Event>,
}

impl Parser {
    /// A parser of events of up to `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            after_return: false,
            name: String::new(),
            data: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        for byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' => self.end_line(),
                b'\r' => {
                    self.end_line();
                    self.after_return = true;
                }
                _ => {
                    let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
                    if held >= self.max_bytes {
                        return Err(TooLong);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(())
    }

    /// The next event that is complete.
    pub fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.dispatch();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments (an empty field), ids and retry times are of no use here.
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            self.ready.push_back(Event { name, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::new(1024);
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece).unwrap();
            while let Some(event) = parser.next() {
                events.push((event.name, event.data));
            }
        }
        events
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let text =
            "event: delta\r\ndata: caf\u{e9}\r\n\r\n: keep-alive\n\ndata: one\ndata: two\n\nevent:done\rdata:{}\r\r";
        let expected = [pair("delta", "caf\u{e9}"), pair("message", "one\ntwo"), pair("done", "{}")];
        assert_eq!(events(&[text.as_bytes()]), expected);
        for cut in 1..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            assert_eq!(events(&[first, second]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn an_event_whose_end_did_not_come_is_none() {
        assert_eq!(events(&[b"data: a\n\ndata: b\n"]), [pair("message", "a")]);
        assert_eq!(events(&[b"event: delta\n\n"]), [], "an event without data is none");
    }

    #[test]
    fn one_leading_space_is_not_data_and_a_second_is() {
        assert_eq!(events(&[b"data:  a: b\n\n"]), [pair("message", " a: b")]);
    }

    #[test]
    fn an_event_that_is_too_long_is_refused_however_its_lines_are_cut() {
        let mut one_line = Parser::new(16);
        assert_eq!(one_line.feed(b"data: 0123456789012345"), Err(TooLong));
        let mut many_lines = Parser::new(16);
        assert_eq!(many_lines.feed(&b"data: 0\n".repeat(16)), Err(TooLong));
        let mut many_events = Parser::new(16);
        assert_eq!(many_events.feed(&b"data: 0\n\n".repeat(16)), Ok(()), "the bound is on one event");
    }
}
