//! HTML tags within Markdown: which are presentation only and can go.

/// A tag at the start of a text.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// Lower case.
    pub(super) name: String,
    pub(super) is_closing: bool,
    pub(super) attributes: &'a str,
    /// Bytes, from `<` to `>`.
    pub(super) length: usize,
}

/// Longer tags are left alone: their end is not looked for any further.
const MAX_TAG_BYTES: usize = 4096;

/// Elements that say how text looks or is grouped; Markdown readers lose nothing with the tags.
const PRESENTATIONAL: [&str; 31] = [
    "a",
    "abbr",
    "article",
    "b",
    "big",
    "center",
    "cite",
    "details",
    "div",
    "em",
    "figcaption",
    "figure",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "i",
    "ins",
    "main",
    "p",
    "picture",
    "section",
    "small",
    "source",
    "span",
    "strong",
    "summary",
    "u",
];

impl<'a> Tag<'a> {
    /// The tag that the text starts with.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('<')?;
        let is_closing = rest.starts_with('/');
        let name_start = if is_closing { 2 } else { 1 };
        let name_length = text[name_start..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name_end = name_start + name_length;
        let starts_with_letter = text[name_start..].starts_with(|c: char| c.is_ascii_alphabetic());
        let name_ends = text[name_end..].starts_with([' ', '\t', '\n', '/', '>']);
        if !starts_with_letter || !name_ends || name_length > 16 {
            return None;
        }
        let end = tag_end(text, name_end)?;
        let attributes = text[name_end..end].trim_end_matches('/');
        Some(Self { name: text[name_start..name_end].to_ascii_lowercase(), is_closing, attributes, length: end + 1 })
    }

    pub(super) fn is_presentational(&self) -> bool {
        PRESENTATIONAL.contains(&self.name.as_str())
    }

    /// The level of a heading's tag.
    pub(super) fn heading_level(&self) -> Option<usize> {
        let digit = self.name.strip_prefix('h')?.parse().ok()?;
        (1..=6).contains(&digit).then_some(digit)
    }

    /// The value of an attribute; empty if it has none.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.attributes.trim_start();
        while !rest.is_empty() {
            let length = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
            let (found, after) = rest.split_at(length);
            let after = after.trim_start();
            let (value, after) = match after.strip_prefix('=') {
                Some(value) => split_value(value.trim_start()),
                None => ("", after),
            };
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            rest = after.trim_start();
        }
        None
    }

    /// Whether a reader would not see what this tag opens.
    pub(super) fn is_hidden(&self) -> bool {
        !self.is_closing
            && (self.attribute("hidden").is_some()
                || self.attribute("aria-hidden").is_some_and(|value| value.eq_ignore_ascii_case("true"))
                || self.attribute("style").is_some_and(style_hides))
    }
}

/// Where the `>` stands that ends the tag; quotes may hold another.
fn tag_end(text: &str, from: usize) -> Option<usize> {
    let mut quote = None;
    for (index, byte) in text.bytes().enumerate().skip(from).take(MAX_TAG_BYTES) {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(index),
            (None, b'<') => return None,
            (None, _) => {}
        }
    }
    None
}

/// Splits an attribute's value from what follows it.
fn split_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let length = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at(length)
}

/// Whether an inline style makes its element invisible.
pub(crate) fn style_hides(style: &str) -> bool {
    style.split(';').any(|declaration| {
        let Some((property, value)) = declaration.split_once(':') else {
            return false;
        };
        let value = value.to_ascii_lowercase();
        let value = value.split('!').next().unwrap_or_default().trim();
        match property.trim().to_ascii_lowercase().as_str() {
            "display" => value == "none",
            "visibility" => value == "hidden" || value == "collapse",
            "font-size" | "opacity" => is_zero(value),
            _ => false,
        }
    })
}

/// `0`, `0.0`, `0px`, `0%`: a number of zero with or without a unit.
fn is_zero(value: &str) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    number.parse::<f64>() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_with_its_attributes() {
        let tag = Tag::parse("<IMG alt='a > b' src=x.png hidden/>rest").unwrap();
        assert_eq!(
            (tag.name.as_str(), tag.attribute("ALT"), tag.attribute("src")),
            ("img", Some("a > b"), Some("x.png"))
        );
        assert!(tag.is_hidden());
        assert_eq!(tag.length, "<IMG alt='a > b' src=x.png hidden/>".len());
        for no_tag in ["<", "<3", "< b>", "<https://a.b>", "<b <i>", "<b", "a<b>"] {
            assert!(Tag::parse(no_tag).is_none(), "{no_tag}");
        }
    }

    #[test]
    fn styles_that_hide_are_recognised() {
        for hides in
            ["display:none", "color:red; DISPLAY : none !important", "font-size:0", "font-size: 0px", "opacity:0.0"]
        {
            assert!(style_hides(hides), "{hides}");
        }
        for shows in ["display:block", "font-size:10px", "opacity:0.5", "opacity", ""] {
            assert!(!style_hides(shows), "{shows}");
        }
    }
}
