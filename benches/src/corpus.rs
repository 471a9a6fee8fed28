//! This repository's own texts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use rand::Rng;
use twin_schemas::{AuthorId, Category, CleanedDocument, ContentHash, DocumentKey, DocumentMeta, Revision, SourceKind};
use walkdir::{DirEntry, WalkDir};

/// The Markdown and Rust files of a checkout, by path.
pub struct Corpus {
    /// The files, as the cleaner would hand them on.
    pub documents: Vec<CleanedDocument>,
}

impl Corpus {
    /// Reads every Markdown and Rust file that is neither hidden nor built.
    pub fn read(repository: &Path) -> Result<Self> {
        let mut documents = Vec::new();
        let walk = WalkDir::new(repository).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_passed_over(entry)) {
            let entry = entry?;
            let category = match entry.path().extension().and_then(|extension| extension.to_str()) {
                Some("md") => Category::Article,
                Some("rs") => Category::Code,
                _ => continue,
            };
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("can not read {}", entry.path().display()))?;
            let name = entry.path().strip_prefix(repository)?.display().to_string();
            documents.push(document(category, &name, text)?);
        }
        ensure!(!documents.is_empty(), "no Markdown or Rust file under {}", repository.display());
        Ok(Self { documents })
    }

    /// Its text in so many pieces of about the same length, cut between lines.
    pub fn pieces(&self, count: usize) -> Vec<String> {
        let bytes: usize = self.documents.iter().map(|document| document.text.len()).sum();
        let (mut pieces, mut taken) = (vec![String::new()], 0);
        for line in self.documents.iter().flat_map(|document| document.text.lines()) {
            if pieces.len() < count && taken >= pieces.len() * bytes / count {
                pieces.push(String::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(line);
                piece.push('\n');
            }
            taken += line.len() + 1;
        }
        pieces
    }

    /// Its words in running order.
    pub fn words(&self) -> Vec<&str> {
        let texts = self.documents.iter().map(|document| document.text.as_str());
        texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).filter(|word| !word.is_empty()).collect()
    }
}

fn is_passed_over(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || name == "target"
}

/// Who everything belongs to.
pub fn author() -> Result<AuthorId> {
    Ok("bench".parse()?)
}

/// A document with these words.
pub fn document(category: Category, name: &str, text: String) -> Result<CleanedDocument> {
    let key = DocumentKey {
        source_kind: SourceKind::new("bench"),
        author: author()?,
        scope: String::new(),
        identity: name.to_owned(),
    };
    let meta = DocumentMeta {
        document_id: key.id(),
        revision: Revision::FIRST,
        author: key.author,
        category,
        source_kind: key.source_kind,
        natural_key: name.to_owned(),
        title: None,
        url: None,
        published_at: None,
        observed_at: DateTime::UNIX_EPOCH,
        content_hash: ContentHash::sha256([text.as_bytes()]),
    };
    let code_language = (category == Category::Code).then(|| "rust".to_owned());
    Ok(CleanedDocument { meta, text, language: None, code_language })
}

/// A text of so many words, each drawn from running text, so that common words are as common as they are there.
pub fn drawn_text(words: &[&str], count: usize, random: &mut impl Rng) -> String {
    let drawn: Vec<&str> = (0..count).map(|_| words[random.random_range(0..words.len())]).collect();
    drawn.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_built_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.md", "One two."), ("b/c.rs", "fn d() {}"), ("target/e.rs", "x"), (".f/g.md", "x")] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let corpus = Corpus::read(folder.path()).unwrap();
        let names: Vec<&str> = corpus.documents.iter().map(|document| document.meta.natural_key.as_str()).collect();
        assert_eq!(names, ["a.md", "b/c.rs"]);
        assert_eq!(corpus.words(), ["One", "two", "fn", "d"]);
        assert_eq!(corpus.pieces(2), ["One two.\n", "fn d() {}\n"]);
        assert!(Corpus::read(&folder.path().join(".f").join("none")).is_err());
    }
}
