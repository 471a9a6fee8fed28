//! Files of Markdown, HTML and text, wherever they lie: in a folder, or in what was uploaded.

use std::collections::HashSet;
use std::path::Path;

use dom_query::Document;
use twin_schemas::{Category, ContentHash, MediaType};

use super::SourceDocument;
use super::front_matter::{self, FrontMatter};
use crate::charset;

/// Folders of software, not of writing.
const SKIPPED_FOLDERS: &[&str] = &["node_modules", "target", "__MACOSX"];
/// A title longer than this is not looked for further, bytes.
const TITLE_BYTES: usize = 1024;

/// Makes documents of the files of one source.
pub(super) struct TextFiles {
    scope: String,
    category: Option<Category>,
    /// Ids that front matter has given so far.
    ids: HashSet<String>,
}

impl TextFiles {
    /// Of a source; `category` is what its files are, where the author said so.
    pub fn new(scope: String, category: Option<Category>) -> Self {
        Self { scope, category, ids: HashSet::new() }
    }

    /// The document in a file; none for a draft. An error says why it can not be read.
    pub fn document(
        &mut self,
        natural_key: &str,
        media_type: MediaType,
        bytes: &[u8],
    ) -> Result<Option<SourceDocument>, String> {
        let text = if media_type == MediaType::Html { charset::html_file(bytes)? } else { charset::strict(bytes)? };
        let (matter, content) = front_matter::split(&text)?;
        if matter.draft {
            return Ok(None);
        }
        let identity = self.identity(&matter, natural_key)?;
        let document = SourceDocument {
            scope: self.scope.clone(),
            identity,
            natural_key: natural_key.to_owned(),
            category: matter.category.or(self.category).unwrap_or(Category::Article),
            title: matter.title.or_else(|| title(content, media_type)).or_else(|| file_stem(natural_key)),
            url: matter.url,
            published_at: matter.published_at,
            media_type,
            content: content.to_owned(),
            content_hash: ContentHash::stored(""),
        };
        Ok(Some(document.hashed()))
    }

    fn identity(&mut self, matter: &FrontMatter, natural_key: &str) -> Result<String, String> {
        let Some(id) = &matter.id else {
            return Ok(natural_key.to_owned());
        };
        if !self.ids.insert(id.clone()) {
            return Err(format!("front matter: another file has the id {id:?} too; give each its own"));
        }
        Ok(format!("id:{id}"))
    }
}

/// Whether a folder or a file of this name is passed over: hidden ones, and folders of software.
pub(super) fn is_passed_over(name: &str, is_folder: bool) -> bool {
    name.starts_with('.') || (is_folder && SKIPPED_FOLDERS.contains(&name))
}

/// How a file is written, by its name; none where it is not read.
pub(super) fn media_type(path: &Path) -> Option<MediaType> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "md" | "markdown" | "mdx" => Some(MediaType::Markdown),
        "html" | "htm" => Some(MediaType::Html),
        "txt" | "text" | "rst" | "adoc" | "org" => Some(MediaType::Text),
        _ => None,
    }
}

fn file_stem(natural_key: &str) -> Option<String> {
    Path::new(natural_key).file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

fn title(content: &str, media_type: MediaType) -> Option<String> {
    let title = match media_type {
        MediaType::Markdown => markdown_title(content),
        MediaType::Html => html_title(content),
        MediaType::Text => None,
    };
    title.filter(|title| !title.is_empty())
}

/// The first level one heading outside of fenced code (CommonMark, "ATX headings").
fn markdown_title(content: &str) -> Option<String> {
    let mut fence: Option<&str> = None;
    for line in content.lines() {
        let line = line.trim();
        let opens = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        match (fence, opens) {
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, Some(mark)) => fence = Some(mark),
            (None, None) => {
                if let Some(title) = line.strip_prefix("# ") {
                    return Some(title.trim_end_matches('#').trim().to_owned());
                }
            }
            _ => {}
        }
    }
    None
}

/// The text of `<title>`. The page as a whole is not parsed here: that is the cleaner's work, and its guards'.
fn html_title(content: &str) -> Option<String> {
    let lower = content.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let title = content[start..end].trim();
    if title.len() > TITLE_BYTES {
        return None;
    }
    // Parsed on its own, so that entities are decoded.
    let text = Document::from(format!("<title>{title}</title>")).select("title").text();
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_heading_outside_of_code() {
        let text = "intro\n```sh\n# a comment\n~~~\n```\n## Two\n# The title #\n# Another";
        assert_eq!(title(text, MediaType::Markdown).as_deref(), Some("The title"));
        assert_eq!(title("#hashtag only", MediaType::Markdown), None);
    }

    #[test]
    fn a_pages_title_is_decoded_once() {
        let page = "<html><head><TITLE lang=en>\n Tom &amp; Ada\n &lt;3 </TITLE></head>";
        assert_eq!(title(page, MediaType::Html).as_deref(), Some("Tom & Ada <3"));
        assert_eq!(title("<p>none</p>", MediaType::Html), None);
    }
}
