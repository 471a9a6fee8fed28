//! Plain text for people: tables, lengths of time, and no surprises from the text of others.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between two cells.
const GAP: &str = "  ";

/// On which side a column's cells are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table whose columns are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headers.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: one cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells.iter().map(|cell| one_line(cell)).collect());
    }

    /// The lines, headers first, without the last line's end.
    pub fn render(&self) -> String {
        let headers: Vec<String> = self.columns.iter().map(|(header, _)| (*header).to_owned()).collect();
        let all = || std::iter::once(&headers).chain(&self.rows);
        let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| width(column).unwrap_or(0)).collect();
        let lines: Vec<String> = all().map(|row| self.line(row, &widths)).collect();
        lines.join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(widths) {
            let fill = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([cell.as_str(), &fill, GAP]),
                Align::Right => line.extend([fill.as_str(), cell, GAP]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Names and values, one a line, the values aligned.
pub fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        let fill = " ".repeat(width - name.width());
        let _ = writeln!(text, "{name}{fill}{GAP}{}", one_line(value));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Control characters, and those that turn the direction of text, written as `\u{1b}`. Line ends and tabs stay;
/// carriage returns, which would let a line be written over, go.
pub fn escape(text: &str) -> Cow<'_, str> {
    let is_safe = |c: char| !is_dangerous(c) || matches!(c, '\n' | '\t');
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => {}
            _ if is_safe(c) => escaped.push(c),
            _ => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// JSON text with the characters that `serde_json` leaves raw in strings and a terminal may obey written as `\u009b`.
/// All of them are in the basic plane, and outside strings there are none.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_dangerous) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_dangerous(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn is_dangerous(c: char) -> bool {
    // Bidirectional embeddings, overrides and isolates ("Trojan Source", CVE-2021-42574).
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line: every run of white space is one space.
pub fn one_line(text: &str) -> String {
    // Escaped here already, so that the width of a cell is that of what is written.
    escape(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}

/// The text, cut to a width in columns.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// The first lines that have text, each on one line of at most `width` columns.
pub fn first_lines(text: &str, count: usize, width: usize) -> Vec<String> {
    let lines = text.lines().map(one_line).filter(|line| !line.is_empty());
    lines.take(count).map(|line| cut(&line, width)).collect()
}

/// A number and what is counted: `1 document`, `2 documents`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A length of time in its two largest units, from seconds.
pub fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds.max(0.0) * 1000.0);
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    // A length of time is never near the limit of the integer.
    let seconds = seconds.round() as u64;
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, length) in units {
        let number = rest / length;
        rest %= length;
        if number > 0 {
            parts.push(format!("{number} {unit}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// A time as seen from `now`: `3 min ago`, `in 2 h`.
pub fn relative(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (time - now).num_seconds();
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", duration(seconds as f64)),
        _ => format!("{} ago", duration(seconds.unsigned_abs() as f64)),
    }
}

/// A time in full, and as seen from now.
pub fn moment(time: DateTime<Utc>) -> String {
    format!("{} ({})", time.format("%Y-%m-%d %H:%M:%S UTC"), relative(time, Utc::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_the_width_on_the_screen() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right), ("NOTE", Align::Left)]);
        table.row(vec!["日本".into(), "5".into(), "two\nlines".into()]);
        table.row(vec!["a".into(), "1000".into(), String::new()]);
        assert_eq!(
            table.render(),
            "NAME     N  NOTE\n\
             日本     5  two lines\n\
             a     1000"
        );
        assert_eq!(fields(&[("id", "5".into()), ("author", "ada".into())]), "id      5\nauthor  ada");
    }

    #[test]
    fn control_characters_and_turned_text_are_written_out() {
        assert_eq!(escape("a\tb\nc"), "a\tb\nc");
        assert_eq!(escape("a\r\nb\x1b[31mc\u{202e}d"), "a\nb\\u{1b}[31mc\\u{202e}d");
        assert_eq!(escape_json("\"\u{9b}\u{7f}\u{2066}é\""), r#""\u009b\u007f\u2066é""#);
    }

    #[test]
    fn text_is_cut_by_width_and_says_so() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello!", 5), "hell…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(first_lines("\n  # Title\n\n a   b\nc", 2, 80), ["# Title", "a b"]);
    }

    #[test]
    fn lengths_of_time_have_their_two_largest_units() {
        let expected = [
            (0.0042, "4 ms"),
            (1.25, "1.2 s"),
            (59.6, "1 min"),
            (125.0, "2 min 5 s"),
            (3_600.0, "1 h"),
            (3_605.0, "1 h"),
            (7_380.0, "2 h 3 min"),
            (200_000.0, "2 d 7 h"),
        ];
        for (seconds, text) in expected {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_time_is_told_from_now() {
        let now = DateTime::UNIX_EPOCH;
        let at = |seconds| relative(now + chrono::TimeDelta::seconds(seconds), now);
        assert_eq!((at(0).as_str(), at(90).as_str(), at(-7200).as_str()), ("now", "in 1 min 30 s", "2 h ago"));
        assert_eq!((count(1, "source"), count(0, "source")), ("1 source".into(), "0 sources".into()));
    }
}
