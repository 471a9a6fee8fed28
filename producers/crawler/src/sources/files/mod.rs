//! Files that were uploaded: single ones, and zip archives of them. Each file is a document; what an upload no longer has,
//! once it is replaced under its name, is gone.

mod archive;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error as IoError, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use twin_artifacts::Artifacts;
use twin_schemas::{Category, MediaType};
use twin_warehouse::UploadedFile;

use super::text_file::{self, TextFiles};
use super::thread::{Found, FoundSender, collect_on_thread};
use super::{Collect, Evidence, KnownDocuments, Listing, Sink, Source};
use crate::Error;
use crate::options::FilesOptions;
use archive::Entry;

const PREFIX: &str = "files:";
const NAME_MAX_CHARS: usize = 64;
const FILE_NAME_MAX_BYTES: usize = 255;

/// See the module.
pub(super) struct Files {
    options: FilesOptions,
    artifacts: Artifacts,
    /// Where an upload lies while it is read.
    folder: PathBuf,
}

impl Files {
    pub fn new(options: FilesOptions, artifacts: Artifacts, folder: PathBuf) -> Self {
        Self { options, artifacts, folder }
    }
}

#[async_trait]
impl Source for Files {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn recognises(&self, location: &str) -> bool {
        location.starts_with(PREFIX)
    }

    fn accept(&self, location: &str) -> Result<String, String> {
        let name = location.strip_prefix(PREFIX).unwrap_or(location);
        let is_name = (1..=NAME_MAX_CHARS).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !is_name {
            return Err(format!(
                "{name:?} is no name for uploads: give 1 to {NAME_MAX_CHARS} letters, digits, '.', '_' and '-', such as \
                 {PREFIX}notes"
            ));
        }
        Ok(format!("{PREFIX}{name}"))
    }

    fn check_file(&self, name: &str) -> Result<(), String> {
        let is_name = !name.is_empty()
            && name.len() <= FILE_NAME_MAX_BYTES
            && !name.starts_with('.')
            && !name.contains(['/', '\\'])
            && !name.chars().any(char::is_control);
        if !is_name {
            return Err(format!("{name:?} is no name of a file"));
        }
        if is_archive(name) || text_file::media_type(Path::new(name)).is_some() {
            return Ok(());
        }
        Err(format!(
            "{name:?} is not read: give Markdown, HTML or text (.md, .html, .txt, .rst, .adoc, .org), or a .zip of them"
        ))
    }

    async fn collect(&self, request: Collect<'_>, sink: &mut dyn Sink) -> Result<Listing, Error> {
        let now = Memory::of(&request);
        let before = Memory::deserialize(&request.source.cursor).unwrap_or_default();
        if before.is_still(&now, request.known.len()) {
            for identity in request.known.keys() {
                sink.unchanged(identity.clone()).await?;
            }
            return Ok(Listing { cursor: request.source.cursor.clone(), evidence: Evidence::Complete });
        }
        let mut reading = Reading {
            options: self.options.clone(),
            files: TextFiles::new(request.location().to_owned(), request.category()),
            known: request.known.clone(),
            listed: 0,
            all_read: true,
        };
        for upload in &request.files {
            let file = self.fetch(upload).await?;
            let name = upload.name.clone();
            reading = collect_on_thread(sink, move |sender| reading.upload(&name, file, sender)).await?;
        }
        // What could not be read is looked at again, and what is in an archive that could not be read is not gone.
        let listed = reading.all_read.then_some(reading.listed);
        let evidence = if reading.all_read { Evidence::Complete } else { Evidence::Window { gone: Vec::new() } };
        Ok(Listing { cursor: Memory { listed, ..now }.write(), evidence })
    }
}

impl Files {
    /// The content of an upload in a file without a name, which is gone when it is closed.
    async fn fetch(&self, upload: &UploadedFile) -> Result<File, Error> {
        let failed = |error: IoError| of_disk(self.folder.display().to_string(), error);
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::tempfile_in(&folder)
        });
        let file = made.await.map_err(|_| Error::Stopped)?.map_err(failed)?;
        let mut file = tokio::fs::File::from_std(file);
        let content = self.artifacts.read(&upload.artifact).await?;
        let mut blocks = std::pin::pin!(content.blocks());
        while let Some(block) = blocks.try_next().await? {
            file.write_all(&block).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(file.into_std().await)
    }
}

/// The place where uploads are read failed, a full disk for one: nothing is wrong with the upload, and the sync fails as a
/// whole.
fn of_disk(path: String, source: IoError) -> Error {
    twin_artifacts::Error::File { path, source }.into()
}

/// What a cursor holds: an upload that was read as a whole is not read again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// By name: the artifacts.
    uploads: BTreeMap<String, String>,
    category: Option<Category>,
    /// Documents that were listed, where all could be read.
    listed: Option<usize>,
}

impl Memory {
    fn of(request: &Collect<'_>) -> Self {
        let uploads = request.files.iter().map(|file| (file.name.clone(), file.artifact.clone())).collect();
        Self { uploads, category: request.category(), listed: None }
    }

    /// Whether reading again would list what is known. More documents may be known: their deletion waits for a word.
    fn is_still(&self, now: &Self, known: usize) -> bool {
        self.uploads == now.uploads && self.category == now.category && self.listed == Some(known) && known > 0
    }

    fn write(&self) -> serde_json::Value {
        // String keys, and no `Serialize` implementation that can fail.
        serde_json::to_value(self).expect("a memory of uploads serialises to JSON")
    }
}

fn is_archive(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// Reads uploads, one after the other.
struct Reading {
    options: FilesOptions,
    files: TextFiles,
    known: Arc<KnownDocuments>,
    listed: usize,
    all_read: bool,
}

impl Reading {
    fn upload(mut self, name: &str, mut file: File, sender: &FoundSender) -> Result<Self, Error> {
        let failed = |error: IoError| of_disk(name.to_owned(), error);
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        if is_archive(name) {
            self.archive(name, file, sender)?;
        } else if let Some(media_type) = text_file::media_type(Path::new(name)) {
            let mut bytes = Vec::new();
            let limit = self.options.max_file_bytes;
            file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
            let is_too_large = bytes.len() as u64 > limit;
            let content =
                if is_too_large { Err(format!("more than {limit} bytes (files.max_file_bytes)")) } else { Ok(bytes) };
            self.document(name.to_owned(), media_type, content, sender)?;
        }
        Ok(self)
    }

    fn archive(&mut self, name: &str, file: File, sender: &FoundSender) -> Result<(), Error> {
        let options = self.options.clone();
        let read = archive::read(file, &options, is_wanted, |Entry { path, content }| {
            let Some(media_type) = text_file::media_type(Path::new(path)) else { return Ok(()) };
            self.document(format!("{name}/{path}"), media_type, content, sender)
        });
        match read {
            Ok(()) => Ok(()),
            Err(archive::Stopped::Refused(reason)) => self.failed(name.to_owned(), reason, sender),
            Err(archive::Stopped::Unread(error)) => Err(of_disk(name.to_owned(), error)),
            Err(archive::Stopped::By(error)) => Err(error),
        }
    }

    fn document(
        &mut self,
        natural_key: String,
        media_type: MediaType,
        content: Result<Vec<u8>, String>,
        sender: &FoundSender,
    ) -> Result<(), Error> {
        let document = content.and_then(|bytes| self.files.document(&natural_key, media_type, &bytes));
        let found = match document {
            Ok(None) => return Ok(()),
            Err(reason) => return self.failed(natural_key, reason, sender),
            Ok(Some(document)) => {
                let known = self.known.get(&document.identity);
                match known.is_some_and(|(content_hash, _)| *content_hash == document.content_hash) {
                    true => Found::Unchanged(document.identity),
                    false => Found::Document(Box::new(document)),
                }
            }
        };
        self.listed += 1;
        sender.send(found)
    }

    fn failed(&mut self, natural_key: String, reason: String, sender: &FoundSender) -> Result<(), Error> {
        self.all_read = false;
        sender.send(Found::Failed { natural_key, reason })
    }
}

/// Which entries of an archive are opened at all.
fn is_wanted(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let in_passed_over = folders.split('/').any(|folder| text_file::is_passed_over(folder, true));
    !in_passed_over && !text_file::is_passed_over(name, false) && text_file::media_type(Path::new(name)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_that_are_as_they_were_are_not_read_again_unless_a_deletion_waits() {
        let uploads: BTreeMap<_, _> = [("a.zip".to_owned(), "sha256:0".to_owned())].into();
        let now = Memory { uploads, category: None, listed: None };
        let before = Memory { listed: Some(3), ..now.clone() };
        assert!(before.is_still(&now, 3));
        assert!(!before.is_still(&now, 4), "one is known that was not listed");
        assert!(!now.is_still(&now, 3), "something could not be read");
        assert!(!before.is_still(&Memory { category: Some(Category::Post), ..now.clone() }, 3));
        assert!(!before.is_still(&Memory::default(), 3));
        assert_eq!(Memory::deserialize(before.write()).unwrap(), before);
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_no_fault_of_the_upload() {
        let data = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::in_folder(&data.path().join("artifacts")).unwrap();
        let artifact = artifacts.put(b"# A".to_vec()).await.unwrap();
        let source_id = twin_schemas::SourceId(Default::default());
        let uploaded_at = chrono::Utc::now();
        let upload = UploadedFile { source_id, name: "a.md".into(), artifact, bytes: 3, uploaded_at };
        let folder = data.path().join("uploads");
        std::fs::write(&folder, "no folder").unwrap();
        let files = Files::new(FilesOptions::default(), artifacts, folder.clone());
        let error = files.fetch(&upload).await.unwrap_err();
        assert!(matches!(error, Error::Artifacts(_)) && error.is_transient(), "{error}");
        assert!(error.to_string().contains(&folder.display().to_string()), "{error}");
        std::fs::remove_file(&folder).unwrap();
        let mut content = String::new();
        let mut file = files.fetch(&upload).await.unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "# A");
    }

    #[test]
    fn only_writing_is_opened() {
        for path in ["a.md", "posts/2025/b.HTML", "notes.txt"] {
            assert!(is_wanted(path), "{path}");
        }
        for path in ["a.png", ".git/a.md", "x/.hidden.md", "__MACOSX/a.md", "node_modules/x/README.md", "inner.zip"] {
            assert!(!is_wanted(path), "{path}");
        }
    }
}
