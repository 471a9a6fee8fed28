//! The lines of YAML (between `---`) or TOML (between `+++`) that static site generators put before a text.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use twin_schemas::Category;
use url::Url;

/// What front matter says of a document. Other fields are passed over.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FrontMatter {
    pub id: Option<String>,
    pub title: Option<String>,
    pub url: Option<String>,
    pub published_at: Option<DateTime<Utc>>,
    pub category: Option<Category>,
    pub draft: bool,
}

/// Splits a text into its front matter and its content. An error says what is wrong with the front matter.
pub(super) fn split(text: &str) -> Result<(FrontMatter, &str), String> {
    let Some((fence, matter, content)) = cut(text) else {
        return Ok((FrontMatter::default(), text));
    };
    let fields = if fence == "+++" { toml_fields(matter)? } else { yaml_fields(matter)? };
    match fields {
        Some(fields) => Ok((read(&fields)?, content)),
        // Two horizontal rules around plain text are not front matter.
        None => Ok((FrontMatter::default(), text)),
    }
}

/// The fence, what is between the fences and what comes after them.
fn cut(text: &str) -> Option<(&'static str, &str, &str)> {
    let fence = if text.starts_with("---") { "---" } else { "+++" };
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    if first.trim_end() != fence {
        return None;
    }
    let mut at = first.len();
    for line in lines {
        let ends = line.trim_end() == fence || (fence == "---" && line.trim_end() == "...");
        if ends {
            return Some((fence, &text[first.len()..at], &text[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

type Fields = BTreeMap<String, Field>;

/// A value as text, or none where it is a list, a table or the like.
type Field = Option<String>;

fn yaml_fields(matter: &str) -> Result<Option<Fields>, String> {
    if matter.trim().is_empty() {
        return Ok(Some(Fields::new()));
    }
    let value: serde_json::Value = serde_saphyr::from_str(matter).map_err(|error| {
        let text = error.to_string();
        format!("front matter is not YAML: {}", text.lines().next().unwrap_or_default())
    })?;
    let serde_json::Value::Object(map) = value else {
        return if value.is_null() { Ok(Some(Fields::new())) } else { Ok(None) };
    };
    let fields = map.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let text = match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        (name, text)
    });
    Ok(Some(fields.collect()))
}

fn toml_fields(matter: &str) -> Result<Option<Fields>, String> {
    let table: toml::Table =
        toml::from_str(matter).map_err(|error| format!("front matter is not TOML: {}", error.message()))?;
    let fields = table.into_iter().map(|(name, value)| {
        let text = match value {
            toml::Value::String(text) => Some(text),
            toml::Value::Array(_) | toml::Value::Table(_) => None,
            scalar => Some(scalar.to_string()),
        };
        (name, text)
    });
    Ok(Some(fields.collect()))
}

fn read(fields: &Fields) -> Result<FrontMatter, String> {
    let draft = match text(fields, &["draft"])?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(format!("front matter: draft is {other:?}, not true or false")),
    };
    let category = match text(fields, &["category"])?.as_deref() {
        None => None,
        Some("article") => Some(Category::Article),
        Some("post") => Some(Category::Post),
        Some(other) => return Err(format!("front matter: category is {other:?}, not article or post")),
    };
    let published_at = match text(fields, &["published_at", "date"])? {
        None => None,
        Some(date) => Some(parse_date(&date).ok_or_else(|| {
            format!("front matter: {date:?} is not a date; write 2025-01-31 or 2025-01-31T10:00:00Z")
        })?),
    };
    Ok(FrontMatter {
        id: text(fields, &["id"])?,
        title: text(fields, &["title"])?,
        url: address(fields)?,
        published_at,
        category,
        draft,
    })
}

/// The first of these fields that is there and not empty.
fn text(fields: &Fields, names: &[&str]) -> Result<Option<String>, String> {
    for name in names {
        match fields.get(*name) {
            None => {}
            Some(None) => return Err(format!("front matter: {name} is not text")),
            Some(Some(value)) if value.trim().is_empty() => {}
            Some(Some(value)) => return Ok(Some(value.trim().to_owned())),
        }
    }
    Ok(None)
}

/// The first of the address fields that is a whole address. A path or a slug alone leads nowhere without the site's
/// own address, which the file does not say.
fn address(fields: &Fields) -> Result<Option<String>, String> {
    for name in ["canonical_url", "url", "permalink", "slug"] {
        let Some(value) = text(fields, &[name])? else { continue };
        let is_whole = Url::parse(&value).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if is_whole {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The dates that people write: RFC 3339, the same with a space or without seconds or zone (then UTC), a day, RFC 2822.
fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    let with_zone = ["%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M %z", "%Y-%m-%dT%H:%M:%S%z"];
    let without = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    if let Ok(at) = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)) {
        return Some(at.with_timezone(&Utc));
    }
    if let Some(at) = with_zone.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()) {
        return Some(at.with_timezone(&Utc));
    }
    if let Some(at) = without.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()) {
        return Some(at.and_utc());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").or_else(|_| NaiveDate::parse_from_str(text, "%Y/%m/%d"));
    day.ok().map(|day| day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_and_removed() {
        let text = "---\ntitle: \"On engines: a note\"\ndate: 2025-01-31\nid: 42\ncategory: post\ntags: [a, b]\n\
                    canonical_url: https://ada.example/engines\n---\n\n# Heading\n";
        let (matter, content) = split(text).unwrap();
        assert_eq!(content, "\n# Heading\n");
        assert_eq!(matter.title.as_deref(), Some("On engines: a note"));
        assert_eq!(matter.id.as_deref(), Some("42"));
        assert_eq!(matter.category, Some(Category::Post));
        assert_eq!(matter.url.as_deref(), Some("https://ada.example/engines"));
        assert_eq!(matter.published_at, Some("2025-01-31T00:00:00Z".parse().unwrap()));
        assert!(!matter.draft);
    }

    #[test]
    fn toml_is_read_and_removed() {
        let text = "+++\ntitle = 'Notes'\ndate = 2025-01-31T12:00:00+02:00\ndraft = true\ntags = ['a']\n+++\r\nBody";
        let (matter, content) = split(text).unwrap();
        assert_eq!((content, matter.draft), ("Body", true));
        assert_eq!(matter.published_at, Some("2025-01-31T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn the_usual_ways_to_write_a_date_are_read() {
        for (text, expected) in [
            ("2025-01-31T10:00:00Z", "2025-01-31T10:00:00Z"),
            ("2025-01-31 10:00:00 +0200", "2025-01-31T08:00:00Z"),
            ("2025-01-31 10:00", "2025-01-31T10:00:00Z"),
            ("2025-01-31", "2025-01-31T00:00:00Z"),
            ("Fri, 31 Jan 2025 10:00:00 +0000", "2025-01-31T10:00:00Z"),
        ] {
            assert_eq!(parse_date(text), Some(expected.parse().unwrap()), "{text}");
        }
        assert_eq!(parse_date("last Friday"), None);
    }

    #[test]
    fn text_between_two_rules_is_content() {
        for text in ["---\nNo fields here\n---\nbody", "---\n\nnever closed", "no rule at all", "----\na: b\n----\n"] {
            assert_eq!(split(text).unwrap(), (FrontMatter::default(), text));
        }
        assert_eq!(split("---\n---\nbody").unwrap().1, "body");
    }

    #[test]
    fn wrong_front_matter_is_an_error_that_says_what_is_wrong() {
        for (text, word) in [
            ("---\ntitle: [unclosed\n---\n", "YAML"),
            ("+++\ntitle = \n+++\n", "TOML"),
            ("---\ndate: soon\n---\n", "date"),
            ("---\ncategory: essay\n---\n", "category"),
            ("---\ntitle: {a: b}\n---\n", "title"),
            ("---\ndraft: perhaps\n---\n", "draft"),
        ] {
            let error = split(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_path_is_not_an_address() {
        let (matter, _) = split("---\npermalink: /2025/engines/\nslug: engines\n---\n").unwrap();
        assert_eq!(matter.url, None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_at_the_top_the_rest_of_the_text_is_kept(
            fence in "(---|\\+\\+\\+)",
            matter in "([a-z]{0,5}[:=] ?[\\PC\\n]{0,20}\n){0,4}",
            body in "\\PC{0,80}",
        ) {
            let text = format!("{fence}\n{matter}{fence}\n{body}");
            if let Ok((_, content)) = split(&text) {
                proptest::prop_assert!(content.ends_with(&body));
            }
        }
    }
}
