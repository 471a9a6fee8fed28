//! What memory the build of a dataset version takes as its documents become more, in processes of their own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use twin_schemas::{Category, CleanedDocument};

use crate::bench::Bench;
use crate::corpus::{self, Corpus};
use crate::datasets;
use crate::figure::Figure;
use crate::memory;

/// Each article of the repository comes so many times, in other words each time.
const TIMES: [u64; 3] = [16, 64, 256];
/// Between looks at a process's memory.
const LOOK: Duration = Duration::from_millis(5);

/// Peak memory of builds of more and more documents.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for times in TIMES {
        let documents = reworded_articles(&bench.corpus, times)?;
        let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
        let name = format!(
            "datasets: peak memory of a build of {} documents ({:.1} MB of text)",
            documents.len(),
            bytes as f64 / 1e6
        );
        let folder = bench.work.join(format!("dataset-memory-{times}"));
        bench.runtime.block_on(datasets::store(&folder, &documents))?;
        figures.push(Figure::once(name, "MB", peak_mb(&folder)?));
    }
    Ok(figures)
}

/// The articles so many times. Their structure stays; each word is another word of the corpus, so that no passage is a
/// duplicate of another.
fn reworded_articles(corpus: &Corpus, times: u64) -> Result<Vec<CleanedDocument>> {
    let words = corpus.words();
    let articles = corpus.documents.iter().filter(|document| document.meta.category == Category::Article);
    let mut documents = Vec::new();
    // One for all: articles that drew the same words would be near duplicates, and left out.
    let mut random = StdRng::seed_from_u64(7);
    for (article, time) in articles.flat_map(|article| (0..times).map(move |time| (article, time))) {
        let name = format!("{time}/{}", article.meta.natural_key);
        documents.push(corpus::document(Category::Article, &name, reworded(&article.text, &words, &mut random))?);
    }
    Ok(documents)
}

fn reworded(text: &str, words: &[&str], random: &mut StdRng) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for character in text.chars() {
        if !character.is_alphabetic() {
            out.push(character);
        } else if !in_word {
            out.push_str(words[random.random_range(0..words.len())]);
        }
        in_word = character.is_alphabetic();
    }
    out
}

/// Builds a version of the documents in that folder: what the process that is looked at does.
pub fn build(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(datasets::build(folder, &corpus::author()?))
}

/// The most memory of a process that builds, pages of mapped files left out: those are the system's to take back.
fn peak_mb(folder: &Path) -> Result<f64> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let mut child = Command::new(program).arg("--build-dataset").arg(folder).spawn().context("can not start itself")?;
    let mut peak: f64 = 0.0;
    let status = loop {
        peak = peak.max(memory::of_process_mb(child.id(), "RssAnon")?.unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(LOOK),
        }
    };
    ensure!(status.success(), "the build of {} ended with {status}", folder.display());
    Ok(peak)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn articles_of_the_same_words_get_other_words_each_time_and_keep_their_structure() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.md", "b.md"] {
            std::fs::write(folder.path().join(name), "# One\n\ntwo, three four five.\n").unwrap();
        }
        let corpus = Corpus::read(folder.path()).unwrap();
        let documents = reworded_articles(&corpus, 3).unwrap();
        let texts: HashSet<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        assert_eq!(texts.len(), 6);
        for text in texts {
            assert!(text.starts_with("# ") && text.ends_with(".\n") && text.contains("\n\n"), "{text:?}");
        }
    }
}
