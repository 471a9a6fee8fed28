//! Which base model: its place and its fingerprint.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;

/// The longest header of a safetensors file that is read, bytes.
const LONGEST_HEADER: u64 = 100 << 20;

/// A base model: a Hugging Face directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The directory.
    pub path: PathBuf,
    /// A hash of what it is: its configuration, and name, length and header (tensor names, types, shapes, places) of
    /// each weight file. The weights themselves are not read, which takes minutes for a large model.
    pub fingerprint: String,
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
        let mut hasher = Sha256::new();
        hasher.update(read(&path.join("config.json"))?);
        let mut weights = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|source| file(path, source))? {
            let found = entry.map_err(|source| file(path, source))?.path();
            if found.extension().is_some_and(|extension| extension == "safetensors") {
                weights.push(found);
            }
        }
        if weights.is_empty() {
            return Err(Error::Base(format!("the base model {} has no safetensors file", path.display())));
        }
        weights.sort();
        for weight in weights {
            hasher.update(weight.file_name().unwrap_or_default().as_encoded_bytes());
            hasher.update(header(&weight)?);
        }
        Ok(Self { path: path.to_owned(), fingerprint: hex::encode(hasher.finalize()) })
    }

    /// The directory's name.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// An error that says what to do if it is another than the one of that fingerprint.
    pub fn require(&self, fingerprint: &str) -> Result<(), Error> {
        if self.fingerprint == fingerprint {
            return Ok(());
        }
        Err(Error::Base(format!(
            "the job is for another base model than {}: set trainer.base to that one, or train again",
            self.path.display()
        )))
    }
}

/// The length of a safetensors file, and its header (<https://github.com/huggingface/safetensors#format>).
fn header(path: &Path) -> Result<Vec<u8>, Error> {
    let mut input = std::fs::File::open(path).map_err(|source| file(path, source))?;
    let length = input.metadata().map_err(|source| file(path, source))?.len();
    let mut size = [0; 8];
    input.read_exact(&mut size).map_err(|source| file(path, source))?;
    let mut header = length.to_le_bytes().to_vec();
    let size = u64::from_le_bytes(size);
    if size > LONGEST_HEADER.min(length) {
        return Err(Error::Base(format!("{} is no safetensors file", path.display())));
    }
    input.take(size).read_to_end(&mut header).map_err(|source| file(path, source))?;
    Ok(header)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
