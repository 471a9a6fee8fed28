//! A folder of Markdown, HTML and text files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use twin_schemas::{ContentHash, MediaType};
use walkdir::{DirEntry, WalkDir};

use super::text_file::{self, TextFiles};
use super::thread::{Found, FoundSender, collect_on_thread};
use super::{Collect, Evidence, KnownDocuments, Listing, Sink, Source, SourceDocument};
use crate::Error;
use crate::options::FolderOptions;

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
            files: TextFiles::new(request.location().to_owned(), request.category()),
            max_file_bytes: self.options.max_file_bytes,
            known: request.known.clone(),
        };
        let evidence = collect_on_thread(sink, move |sender| walk.run(sender)).await?;
        Ok(Listing { cursor: serde_json::Value::Null, evidence })
    }
}

struct Walk {
    root: String,
    files: TextFiles,
    max_file_bytes: u64,
    known: Arc<KnownDocuments>,
}

impl Walk {
    fn run(mut self, sender: &FoundSender) -> Result<Evidence, Error> {
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
                    if let Some(media_type) = text_file::media_type(entry.path()) {
                        self.file(&entry, media_type, sender)?;
                    }
                }
                // What is in a folder that can not be read is not known: its documents are not gone.
                Err(error) => {
                    complete = false;
                    let path = error.path().unwrap_or(Path::new(&self.root));
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    sender.send(Found::Failed { natural_key: self.relative(path), reason })?;
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

    fn file(&mut self, entry: &DirEntry, media_type: MediaType, sender: &FoundSender) -> Result<(), Error> {
        let natural_key = self.relative(entry.path());
        let found = match self.read(entry, &natural_key, media_type) {
            Ok(None) => return Ok(()),
            Ok(Some(document)) if self.is_known(&document.identity, &document.content_hash) => {
                Found::Unchanged(document.identity)
            }
            Ok(Some(document)) => Found::Document(Box::new(document)),
            Err(reason) => Found::Failed { natural_key, reason },
        };
        sender.send(found)
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
        self.files.document(natural_key, media_type, &bytes)
    }
}

/// Hidden files and folders, and those of software, are passed over; links are not followed by the walk itself.
fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !text_file::is_passed_over(&name, entry.file_type().is_dir())
}
