//! Lists the files of one commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::index::entry::Mode;
use gix::worktree::stack::state::attributes::Source as AttributeSource;
use twin_schemas::{Category, MediaType};
use twin_warehouse::hash_of_blob;

use super::forge::{Web, published_branch};
use super::select::{self, FileKind};
use crate::Error;
use crate::error::chain;
use crate::sources::front_matter;
use crate::sources::thread::{Found, FoundSender};
use crate::sources::{KnownDocuments, SourceDocument};

/// Where the commit to list is.
pub(super) enum Where {
    Local,
    Fetched { folder: PathBuf, commit: ObjectId, web: Option<Web> },
}

/// Lists the files of one commit.
pub(super) struct List {
    pub scope: String,
    /// What its prose is, where the author said so; else it is code like the rest.
    pub prose_category: Option<Category>,
    pub max_file_bytes: u64,
    pub known: Arc<KnownDocuments>,
}

impl List {
    /// Hands over what is new or changed and returns the commit.
    pub fn run(self, place: Where, sender: &FoundSender) -> Result<ObjectId, Error> {
        let unreadable = |error: gix::Error| Error::Location { location: self.scope.clone(), problem: chain(&error) };
        let (repository, commit, web) = match place {
            Where::Fetched { folder, commit, web } => (open(&folder).map_err(unreadable)?, commit, web),
            Where::Local => {
                let repository = open(Path::new(&self.scope)).map_err(unreadable)?;
                let commit = self.local_head(&repository)?;
                let web = published_branch(&repository);
                (repository, commit, web)
            }
        };
        self.files(&repository, commit, web.as_ref(), sender)?;
        Ok(commit)
    }

    fn local_head(&self, repository: &gix::Repository) -> Result<ObjectId, Error> {
        let failed = |problem: String| Error::Location { location: self.scope.clone(), problem };
        let mut head = repository.head().map_err(|error| failed(chain(&error)))?;
        let commit = head.try_peel_to_id().map_err(|error| failed(chain(&error)))?;
        commit.map(|id| id.detach()).ok_or_else(|| failed("HEAD has no commit yet; nothing was deleted".to_owned()))
    }

    fn files(
        &self,
        repository: &gix::Repository,
        commit: ObjectId,
        web: Option<&Web>,
        sender: &FoundSender,
    ) -> Result<(), Error> {
        let failed = |error: gix::Error| Error::Location { location: self.scope.clone(), problem: chain(&error) };
        let tree = repository.find_commit(commit).and_then(|commit| Ok(commit.tree_id()?.detach())).map_err(failed)?;
        let index = repository.index_from_tree(&tree).map_err(failed)?;
        let mut attributes = repository.attributes_only(&index, AttributeSource::IdMapping).map_err(failed)?;
        let mut outcome = attributes.selected_attribute_matches(["linguist-generated", "linguist-vendored"]);
        for entry in index.entries() {
            let is_file = matches!(entry.mode, Mode::FILE | Mode::FILE_EXECUTABLE);
            let Ok(path) = entry.path(&index).to_str() else {
                continue;
            };
            let Some(kind) = select::by_path(path).filter(|_| is_file) else {
                continue;
            };
            let platform = attributes.at_entry(entry.path(&index), Some(entry.mode)).map_err(failed)?;
            platform.matching_attributes(&mut outcome);
            let is_foreign = outcome.iter_selected().any(|found| is_true(found.assignment.state));
            if !is_foreign {
                self.file(repository, path, entry.id, kind, web, sender)?;
            }
        }
        Ok(())
    }

    fn file(
        &self,
        repository: &gix::Repository,
        path: &str,
        blob: ObjectId,
        kind: FileKind,
        web: Option<&Web>,
        sender: &FoundSender,
    ) -> Result<(), Error> {
        let prose = match (kind, self.prose_category) {
            (FileKind::Prose(media_type), Some(category)) if category != Category::Code => Some((category, media_type)),
            _ => None,
        };
        let content_hash = hash_of_blob(&blob.to_string(), prose.map(|(category, _)| category));
        if self.known.get(path).is_some_and(|(known, _)| *known == content_hash) {
            return sender.send(Found::Unchanged(path.to_owned()));
        }
        let content = match self.read(repository, blob) {
            Ok(content) => content.and_then(|content| select::by_content(path, content)),
            Err(error) => {
                return sender.send(Found::Failed { natural_key: path.to_owned(), reason: chain(&error) });
            }
        };
        let Some(content) = content else { return Ok(()) };
        let document = SourceDocument {
            scope: self.scope.clone(),
            identity: path.to_owned(),
            natural_key: path.to_owned(),
            category: Category::Code,
            title: Some(path.to_owned()),
            url: web.and_then(|web| web.page(path)),
            published_at: None,
            media_type: MediaType::Text,
            content,
            content_hash,
        };
        let document = match prose {
            None => Ok(Some(document)),
            Some((category, media_type)) => as_prose(document, category, media_type),
        };
        match document {
            Ok(None) => Ok(()),
            Ok(Some(document)) => sender.send(Found::Document(Box::new(document))),
            Err(reason) => sender.send(Found::Failed { natural_key: path.to_owned(), reason }),
        }
    }

    /// The content of a blob; none if it is too large.
    fn read(&self, repository: &gix::Repository, blob: ObjectId) -> gix::Result<Option<Vec<u8>>> {
        if repository.find_header(blob)?.size() > self.max_file_bytes {
            return Ok(None);
        }
        Ok(Some(repository.find_object(blob)?.detach().data))
    }
}

/// A file as its author's prose, with what its front matter says; none for a draft. Without a title in the front
/// matter, the cleaner takes its heading.
fn as_prose(code: SourceDocument, category: Category, media_type: MediaType) -> Result<Option<SourceDocument>, String> {
    let (matter, content) = front_matter::split(&code.content)?;
    let content = content.to_owned();
    Ok((!matter.draft).then_some(SourceDocument {
        category: matter.category.unwrap_or(category),
        title: matter.title,
        url: matter.url.or(code.url),
        published_at: matter.published_at,
        media_type,
        content,
        ..code
    }))
}

/// Opens a repository with its own configuration alone: nothing of the user's or the system's, no environment.
fn open(path: &Path) -> gix::Result<gix::Repository> {
    gix::open_opts(path, gix::open::Options::isolated())
}

fn is_true(state: gix::attrs::StateRef<'_>) -> bool {
    match state {
        gix::attrs::StateRef::Set => true,
        gix::attrs::StateRef::Value(value) => value.as_bstr() == "true",
        gix::attrs::StateRef::Unset | gix::attrs::StateRef::Unspecified => false,
    }
}
