//! What a source is called on the command line, and on the machine of the twin.

use std::path::Path;

use clap::Args;
use twin_api::SourceView;

use super::Context;
use super::views::list_sources;
use crate::error::CommandError;

/// How many characters of an id are shown in tables, at least.
const SHORT_ID: usize = 8;

/// A source that is there.
#[derive(Debug, Args)]
pub struct One {
    /// Its id, the beginning of its id, or its location.
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
}

/// The source that a text on the command line means, of those that the twin has.
pub(super) async fn find_one(context: &Context, text: &str) -> Result<SourceView, CommandError> {
    let sources = list_sources(&context.client, None).await?;
    find(&sources, text).cloned()
}

/// The source that a text on the command line means: an id, the beginning of one, or a location.
pub fn find<'a>(sources: &'a [SourceView], text: &str) -> Result<&'a SourceView, CommandError> {
    if text.is_empty() {
        return Err(CommandError::Usage("the source is an empty text".to_owned()));
    }
    if let Some(source) = sources.iter().find(|source| source.id.to_string() == text) {
        return Ok(source);
    }
    let locations = spellings(text);
    let is_meant = |source: &&SourceView| locations.contains(&source.location);
    let mut found: Vec<&SourceView> = sources.iter().filter(is_meant).collect();
    if found.is_empty() {
        let beginning = text.to_ascii_lowercase();
        found = sources.iter().filter(|source| source.id.to_string().starts_with(&beginning)).collect();
    }
    match found.as_slice() {
        [source] => Ok(source),
        [] => Err(CommandError::NotFound(format!("there is no source {text:?}; `twin sources list` shows all"))),
        many => {
            let mut message = format!("{text:?} may be any of {} sources; give the id of one:", many.len());
            for source in many {
                message += &format!("\n  {} {} {} {}", source.id, source.author, source.kind, source.location);
            }
            Err(CommandError::Usage(message))
        }
    }
}

/// The ways in which the twin may have written down a location.
fn spellings(text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_owned(), text.trim_end_matches('/').to_owned(), format!("{text}/")];
    let paths = [std::path::absolute(text), std::fs::canonicalize(text)];
    spellings.extend(paths.into_iter().flatten().filter_map(|path| path.into_os_string().into_string().ok()));
    spellings
}

/// The location as the twin, which has another working directory, can read it.
pub fn absolute(location: &str) -> Result<String, CommandError> {
    let is_path = Path::new(location).exists() || !location.contains(':');
    if location.is_empty() || !is_path {
        return Ok(location.to_owned());
    }
    let path = std::path::absolute(location)
        .map_err(|error| CommandError::Usage(format!("the path {location:?} can not be made absolute: {error}")))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| CommandError::Usage(format!("the path {path:?} is not UTF-8; rename it")))
}

/// The shortest beginning of the source's id that no other has, 8 characters at least.
pub fn short_id(source: &SourceView, all: &[SourceView]) -> String {
    let id = source.id.to_string();
    let ids: Vec<String> = all.iter().map(|source| source.id.to_string()).collect();
    let is_unique = |short: &&str| ids.iter().filter(|other| other.starts_with(*short)).count() <= 1;
    let shortest = (SHORT_ID..id.len()).filter_map(|length| id.get(..length)).find(is_unique);
    shortest.unwrap_or(&id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::sources::testing::source;
    use super::*;

    #[test]
    fn a_source_is_found_by_id_by_its_beginning_and_by_location() {
        let sources = [
            source("aa11", "/blog"),
            source("aa12", "https://example.org/feed.xml"),
            source("bb13", "/a/b"),
            source("bb14", "/a/b"),
        ];
        let id = |text: &str| find(&sources, text).map(|source| source.id);
        assert_eq!(id(&sources[0].id.to_string()).unwrap(), sources[0].id);
        assert_eq!(id("AA12").unwrap(), sources[1].id);
        assert_eq!(id("/blog/").unwrap(), sources[0].id);
        assert_eq!(id("https://example.org/feed.xml").unwrap(), sources[1].id);
        assert!(matches!(id("aa"), Err(CommandError::Usage(message)) if message.contains("aa110000-")));
        assert!(matches!(id("/a/b"), Err(CommandError::Usage(message)) if message.contains("bb140000-")));
        assert!(matches!(id("cc"), Err(CommandError::NotFound(_))));
        assert!(matches!(id(""), Err(CommandError::Usage(_))));
    }

    #[test]
    fn a_relative_path_becomes_absolute_and_an_address_stays() {
        let here = std::env::current_dir().unwrap().to_str().unwrap().to_owned();
        assert_eq!(absolute("blog").unwrap(), format!("{here}/blog"));
        for unchanged in ["/srv/blog", "https://example.org/feed.xml", "git@example.org:ada/code.git", ""] {
            assert_eq!(absolute(unchanged).unwrap(), unchanged);
        }
    }

    #[test]
    fn an_id_is_shown_as_short_as_it_is_unique() {
        let sources = [source("0123456789ab", "/a"), source("0123456780cd", "/b"), source("ff23456780cd", "/c")];
        assert_eq!(short_id(&sources[0], &sources), "01234567-89");
        assert_eq!(short_id(&sources[2], &sources), "ff234567");
    }
}
