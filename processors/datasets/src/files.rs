//! JSON lines on their way from a temporary file into the artifact store, and back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use twin_artifacts::Artifacts;

use twin_schemas::{DatasetFile, DatasetManifest};

use crate::Error;
use crate::work::blocking;

/// Bytes of a part: what writing and reading a file takes of memory.
const PART_BYTES: usize = 4 << 20;

/// The manifest's name in an export.
const MANIFEST: &str = "manifest.json";

/// The files of a version while they are written.
pub(crate) struct Files {
    folder: PathBuf,
    open: BTreeMap<String, Lines>,
}

/// A file that is written line by line.
struct Lines {
    path: PathBuf,
    writer: BufWriter<File>,
    lines: u64,
    bytes: u64,
}

/// A file that is complete.
pub(crate) struct Written {
    pub name: String,
    pub path: PathBuf,
    lines: u64,
    bytes: u64,
}

impl Files {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: BTreeMap::new() }
    }

    /// Appends a value as a line. Returns the line's number, from 1.
    pub(crate) fn append(&mut self, name: &str, value: &impl Serialize) -> Result<u64, Error> {
        let mut line = serde_json::to_string(value)?;
        line.push('\n');
        self.write(name, &line)
    }

    /// Appends text that ends with a line break.
    pub(crate) fn write(&mut self, name: &str, text: &str) -> Result<u64, Error> {
        if !self.open.contains_key(name) {
            let path = self.folder.join(name.replace('/', "-"));
            let file = File::create(&path).map_err(Error::file(&path))?;
            let lines = Lines { path, writer: BufWriter::new(file), lines: 0, bytes: 0 };
            self.open.insert(name.to_owned(), lines);
        }
        let Some(file) = self.open.get_mut(name) else { return Ok(0) };
        file.writer.write_all(text.as_bytes()).map_err(Error::file(&file.path))?;
        file.lines += text.matches('\n').count() as u64;
        file.bytes += text.len() as u64;
        Ok(file.lines)
    }

    /// Everything that was written, by name.
    pub(crate) fn finish(self) -> Result<Vec<Written>, Error> {
        let finish = |(name, file): (String, Lines)| {
            let Lines { path, mut writer, lines, bytes } = file;
            writer.flush().map_err(Error::file(&path))?;
            Ok(Written { name, path, lines, bytes })
        };
        self.open.into_iter().map(finish).collect()
    }
}

/// Puts a file into the store, part by part.
pub(crate) async fn stored(written: Written, artifacts: &Artifacts) -> Result<DatasetFile, Error> {
    let Written { name, path, lines, bytes } = written;
    let mut parts = Vec::new();
    let mut reader = Some(BufReader::new(File::open(&path).map_err(Error::file(&path))?));
    while let Some(mut open) = reader.take() {
        let at = path.clone();
        let (part, open) = blocking(move || {
            let part = next_part(&mut open, PART_BYTES).map_err(Error::file(at))?;
            Ok((part, open))
        })
        .await?;
        if !part.is_empty() {
            parts.push(artifacts.put(part).await?);
            reader = Some(open);
        }
    }
    Ok(DatasetFile { name, parts, lines, bytes })
}

/// Lines until there are so many bytes: it ends with the line that reaches them. Empty at the file's end.
fn next_part(reader: &mut impl BufRead, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    while part.len() < bytes && reader.read_until(b'\n', &mut part)? > 0 {}
    Ok(part)
}

/// The content of a version's files, one after the other.
pub struct DatasetReader<'a> {
    manifest: &'a DatasetManifest,
    artifacts: &'a Artifacts,
}

impl<'a> DatasetReader<'a> {
    /// Reads the files that a manifest names.
    pub fn new(manifest: &'a DatasetManifest, artifacts: &'a Artifacts) -> Self {
        Self { manifest, artifacts }
    }

    /// The lines of one part of a file, parsed: parts are numbered from 0, and behind the last (or for a file that the
    /// version lacks) there is none.
    pub async fn part<T: DeserializeOwned>(&self, file: &str, part: usize) -> Result<Option<Vec<T>>, Error> {
        let Some(name) = self.manifest.file(file).and_then(|file| file.parts.get(part)) else { return Ok(None) };
        let content = self.artifacts.get(name).await?;
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(Some(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?))
    }

    /// All lines of a file, parsed; none for a file that the version lacks. Memory grows with the file: for what is
    /// small, as `eval/test.jsonl` is.
    pub async fn all<T: DeserializeOwned>(&self, file: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for part in 0.. {
            match self.part(file, part).await? {
                Some(lines) => all.extend(lines),
                None => break,
            }
        }
        Ok(all)
    }
}

/// Writes a version's files and its manifest into a folder, which then is a Hugging Face dataset. The manifest comes
/// last: where it is, the rest is complete.
pub async fn export(manifest: &DatasetManifest, artifacts: &Artifacts, folder: &Path) -> Result<(), Error> {
    for file in &manifest.files {
        // A manifest is data from outside: a name does not lead out of the folder.
        let is_plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        if !Path::new(&file.name).components().all(is_plain) {
            return Err(Error::Row(format!("{:?} is no name of a file in a dataset", file.name)));
        }
        let path = folder.join(&file.name);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(Error::file(parent))?;
        }
        let mut out = tokio::fs::File::create(&path).await.map_err(Error::file(&path))?;
        for part in &file.parts {
            out.write_all(&artifacts.get(part).await?).await.map_err(Error::file(&path))?;
        }
        out.flush().await.map_err(Error::file(&path))?;
    }
    let path = folder.join(MANIFEST);
    let content = serde_json::to_vec_pretty(manifest)?;
    tokio::fs::write(&path, content).await.map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_with_a_line_and_are_the_file_together() {
        let text: String = (0..100).map(|number| format!("{}\n", "x".repeat(number))).collect();
        let mut reader = text.as_bytes();
        let mut parts = Vec::new();
        loop {
            match next_part(&mut reader, 64).unwrap() {
                part if part.is_empty() => break,
                part => parts.push(part),
            }
        }
        assert!(parts.len() > 20 && parts.iter().all(|part| part.ends_with(b"\n") && part.len() < 64 + 100));
        assert_eq!(parts.concat(), text.as_bytes());
    }
}
