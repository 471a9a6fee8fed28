//! A folder of Markdown, HTML and text files.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use dom_query::Document;
use twin_schemas::{Category, ContentHash, MediaType};
use walkdir::{DirEntry, WalkDir};

use super::front_matter::{self, FrontMatter};
use super::thread::{Finds, Found, collect_on_thread};
use super::{Collect, Evidence, KnownDocuments, Listing, Sink, Source, SourceDocument};
use crate::options::FolderOptions;
use crate::{Error, charset};

/// Folders of software, not of writing.
const SKIPPED_FOLDERS: &[&str] = &["node_modules", "target"];
/// A title longer than this is not looked for further, bytes.
const TITLE_BYTES: usize = 1024;

/// See the module.
pub(super) struct Folder {
    options: FolderOptions,
}

impl Folder {
    pub fn new(options: FolderOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Source for Folder {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn recognises(&self, location: &str) -> bool {
        Path::new(location).is_dir()
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        let root = fs::canonicalize(location).map_err(|error| format!("folder {location:?}: {error}"))?;
        if !root.is_dir() {
            return Err(format!("{location:?} is not a folder; give the folder that the file is in"));
        }
        let path = root.to_str().ok_or_else(|| format!("the path of {location:?} is not UTF-8; rename the folder"))?;
        Ok(path.to_owned())
    }

    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let walk = Walk {
            root: request.location().to_owned(),
            category: request.category(),
            max_file_bytes: self.options.max_file_bytes,
            known: request.known.clone(),
            ids: HashSet::new(),
        };
        let evidence = collect_on_thread(sink, move |finds| walk.run(finds)).await?;
        Ok(Listing { cursor: serde_json::Value::Null, evidence })
    }
}

struct Walk {
    root: String,
    category: Option<Category>,
    max_file_bytes: u64,
    known: Arc<KnownDocuments>,
    /// Ids that front matter has given so far.
    ids: HashSet<String>,
}

impl Walk {
    fn run(mut self, finds: &Finds) -> Result<Evidence, Error> {
        let metadata = fs::metadata(&self.root).map_err(|error| self.unusable(&error.to_string()))?;
        if !metadata.is_dir() {
            return Err(self.unusable("it is not a folder"));
        }
        let mut complete = true;
        let walk = WalkDir::new(&self.root).sort_by_file_name().into_iter().filter_entry(is_wanted);
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_dir() || entry.file_type().is_symlink() => {}
                Ok(entry) => {
                    if let Some(media_type) = media_type(entry.path()) {
                        self.file(&entry, media_type, finds)?;
                    }
                }
                // What is in a folder that can not be read is not known: its documents are not gone.
                Err(error) => {
                    complete = false;
                    let path = error.path().unwrap_or(Path::new(&self.root));
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    finds.send(Found::Failed { natural_key: self.relative(path), reason })?;
                }
            }
        }
        Ok(if complete { Evidence::Complete } else { Evidence::Window { gone: Vec::new() } })
    }

    fn unusable(&self, problem: &str) -> Error {
        Error::Location { location: self.root.clone(), problem: format!("{problem}; nothing was deleted") }
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    fn file(&mut self, entry: &DirEntry, media_type: MediaType, finds: &Finds) -> Result<(), Error> {
        let natural_key = self.relative(entry.path());
        let found = match self.read(entry, &natural_key, media_type) {
            Ok(None) => return Ok(()),
            Ok(Some(document)) if self.is_known(&document.identity, &document.content_hash) => {
                Found::Unchanged(document.identity)
            }
            Ok(Some(document)) => Found::Document(Box::new(document)),
            Err(reason) => Found::Failed { natural_key, reason },
        };
        finds.send(found)
    }

    fn is_known(&self, identity: &str, content_hash: &ContentHash) -> bool {
        self.known.get(identity).is_some_and(|(known, _)| known == content_hash)
    }

    /// The document in a file; none for a draft.
    fn read(
        &mut self,
        entry: &DirEntry,
        natural_key: &str,
        media_type: MediaType,
    ) -> Result<Option<SourceDocument>, String> {
        if entry.path().to_str().is_none() {
            return Err("its name is not UTF-8; rename it".to_owned());
        }
        // A pipe or a device may never end, or never begin.
        if !entry.file_type().is_file() {
            return Err("it is no regular file".to_owned());
        }
        let size = entry.metadata().map_err(|error| error.to_string())?.len();
        if size > self.max_file_bytes {
            return Err(format!("{size} bytes, more than {} (folder.max_file_bytes)", self.max_file_bytes));
        }
        let bytes = fs::read(entry.path()).map_err(|error| error.to_string())?;
        let text = if media_type == MediaType::Html { charset::html_file(&bytes)? } else { charset::strict(&bytes)? };
        let (matter, content) = front_matter::split(&text)?;
        if matter.draft {
            return Ok(None);
        }
        let identity = self.identity(&matter, natural_key)?;
        let document = SourceDocument {
            scope: self.root.clone(),
            identity,
            natural_key: natural_key.to_owned(),
            category: matter.category.or(self.category).unwrap_or(Category::Article),
            title: matter.title.or_else(|| title(content, media_type)).or_else(|| file_stem(entry.path())),
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

/// Hidden files and folders, and those of software, are passed over; links are not followed by the walk itself.
fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_root = entry.depth() == 0;
    let is_skipped_folder = entry.file_type().is_dir() && SKIPPED_FOLDERS.contains(&name.as_ref());
    is_root || !(name.starts_with('.') || is_skipped_folder)
}

fn media_type(path: &Path) -> Option<MediaType> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "md" | "markdown" | "mdx" => Some(MediaType::Markdown),
        "html" | "htm" => Some(MediaType::Html),
        "txt" | "text" | "rst" | "adoc" | "org" => Some(MediaType::Text),
        _ => None,
    }
}

fn file_stem(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
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
