//! Which base model: its place and its fingerprint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Error;

/// The longest header of a safetensors file that is read, bytes.
const LONGEST_HEADER: u64 = 100 << 20;

/// Places of each tensor whose bytes are read, from its first to its last, and bytes of each.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 64;

/// What decides, beside the weights, how a model answers. Not every model has all of them.
const BESIDE_WEIGHTS: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

/// A base model: a Hugging Face directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The directory.
    pub path: PathBuf,
    /// A hash of what it is: its configuration, its tokenizer and chat template, and of each weight file the name, length,
    /// header (tensor names, types, shapes, places) and a sample of each tensor's bytes. Training that changes a tensor
    /// changes nearly all of its numbers, so that a model is told from one that was made of it; to read all of the weights
    /// would take minutes for a large model.
    pub fingerprint: String,
    /// The fingerprint by which jobs of before the weights were looked at name it.
    headers: String,
}

impl Base {
    /// Looks at the directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            return Err(Error::Base(format!(
                "the base model {} is no directory: training needs a Hugging Face directory (config.json, tokenizer.json, \
                 safetensors); set trainer.base",
                path.display()
            )));
        }
        let config = read(&path.join("config.json"))?;
        let (mut headers, mut all) = (Sha256::new_with_prefix(&config), Sha256::new_with_prefix(&config));
        for name in BESIDE_WEIGHTS.iter().filter(|name| path.join(name).exists()) {
            all.update(name);
            all.update(Sha256::digest(read(&path.join(name))?));
        }
        for weights in weight_files(path)? {
            let name = weights.file_name().unwrap_or_default().as_encoded_bytes();
            let mut weights = WeightFile::open(&weights)?;
            for hasher in [&mut headers, &mut all] {
                hasher.update(name);
                hasher.update(weights.length.to_le_bytes());
                hasher.update(&weights.header);
            }
            weights.sample(&mut all)?;
        }
        let [fingerprint, headers] = [all, headers].map(|hasher| hex::encode(hasher.finalize()));
        Ok(Self { path: path.to_owned(), fingerprint, headers })
    }

    /// The directory's name.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The fingerprints that jobs and models name it by: today's, and the one of before the weights were looked at.
    pub fn fingerprints(&self) -> [&str; 2] {
        [&self.fingerprint, &self.headers]
    }

    /// Whether it is the one of that fingerprint.
    pub fn is(&self, fingerprint: &str) -> bool {
        self.fingerprints().contains(&fingerprint)
    }

    /// An error that says what to do if it is another than the one of that fingerprint.
    pub fn require(&self, fingerprint: &str) -> Result<(), Error> {
        if self.is(fingerprint) {
            return Ok(());
        }
        Err(Error::Base(format!(
            "the job is for another base model than {}: set trainer.base to that one, or train again",
            self.path.display()
        )))
    }
}

/// The weight files of a model, by name.
fn weight_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|source| file(path, source))? {
        found.push(entry.map_err(|source| file(path, source))?.path());
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    if found.is_empty() {
        return Err(Error::Base(format!("the base model {} has no safetensors file", path.display())));
    }
    found.sort();
    Ok(found)
}

/// An open safetensors file (<https://github.com/huggingface/safetensors#format>): the header's length in 8 bytes, the
/// header in JSON, the tensors.
struct WeightFile<'a> {
    path: &'a Path,
    file: File,
    /// Of the whole file, bytes.
    length: u64,
    /// With the 8 bytes of its length not among them.
    header: Vec<u8>,
}

/// Where a tensor is, in bytes behind the header.
#[derive(Deserialize)]
struct Place {
    data_offsets: (u64, u64),
}

impl<'a> WeightFile<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let mut input = File::open(path).map_err(|source| file(path, source))?;
        let length = input.metadata().map_err(|source| file(path, source))?.len();
        let mut size = [0; 8];
        input.read_exact(&mut size).map_err(|source| file(path, source))?;
        let size = u64::from_le_bytes(size);
        if size > LONGEST_HEADER.min(length) {
            return Err(malformed(path));
        }
        let mut header = Vec::new();
        (&input).take(size).read_to_end(&mut header).map_err(|source| file(path, source))?;
        Ok(Self { path, file: input, length, header })
    }

    /// Hashes some of each tensor's bytes.
    fn sample(&mut self, hasher: &mut Sha256) -> Result<(), Error> {
        let entries: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&self.header).map_err(|_| malformed(self.path))?;
        let data = 8 + self.header.len() as u64;
        for (_, entry) in entries.into_iter().filter(|(name, _)| name != "__metadata__") {
            let Place { data_offsets: (begin, end) } =
                serde_json::from_value(entry).map_err(|_| malformed(self.path))?;
            if begin > end || end > self.length.saturating_sub(data) {
                return Err(malformed(self.path));
            }
            let last = (end - begin).saturating_sub(SAMPLE_BYTES);
            for sample in 0..SAMPLES {
                let from = begin + last * sample / (SAMPLES - 1);
                let bytes = self.read_at(data + from, SAMPLE_BYTES.min(end - from))?;
                hasher.update(bytes);
            }
        }
        Ok(())
    }

    fn read_at(&mut self, from: u64, bytes: u64) -> Result<Vec<u8>, Error> {
        let mut read = Vec::new();
        self.file.seek(SeekFrom::Start(from)).map_err(|source| file(self.path, source))?;
        (&self.file).take(bytes).read_to_end(&mut read).map_err(|source| file(self.path, source))?;
        Ok(read)
    }
}

fn malformed(path: &Path) -> Error {
    Error::Base(format!("{} is no safetensors file", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
