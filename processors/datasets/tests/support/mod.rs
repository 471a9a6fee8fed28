//! Documents for the tests of datasets: generated ones, and this repository's own.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use twin_artifacts::Artifacts;
use twin_corpus::Corpus;
use twin_datasets::{Builder, Built, Error, Options, Parent, put_document};
use twin_schemas::{
    AuthorId, Category, CleanedDocument, ContentHash, DatasetManifest, DocumentId, DocumentKey, DocumentMeta,
    MediaType, RawDocument, Revision, SourceKind,
};
use twin_sqlite::{Database, SqliteCorpus};

pub const ADA: &str = "ada";

pub fn author() -> AuthorId {
    ADA.parse().unwrap()
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A store and an artifact folder that go with the test.
pub struct Place {
    pub corpus: Arc<dyn Corpus>,
    pub artifacts: Artifacts,
    pub options: Options,
    pub folder: tempfile::TempDir,
}

impl Place {
    pub async fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let corpus = Arc::new(SqliteCorpus::open(database).await.unwrap());
        let artifacts = Artifacts::in_folder(&folder.path().join("artifacts")).unwrap();
        Self { corpus, artifacts, options, folder }
    }

    pub async fn with(options: Options, documents: impl IntoIterator<Item = CleanedDocument>) -> Self {
        let place = Self::new(options).await;
        for document in documents {
            assert!(place.put(document).await);
        }
        place
    }

    /// Whether it was new.
    pub async fn put(&self, document: CleanedDocument) -> bool {
        put_document(&*self.corpus, document, &self.options).await.unwrap()
    }

    /// Whether it was there.
    pub async fn delete(&self, document: DocumentId, revision: u64) -> bool {
        self.corpus.delete(document, Revision(revision)).await.unwrap()
    }

    pub fn builder(&self) -> Builder {
        Builder::new(self.options.clone(), self.corpus.clone(), self.artifacts.clone()).unwrap()
    }

    pub async fn build(&self) -> Result<Built, Error> {
        self.builder().build(&author(), None, 1, at()).await
    }

    pub async fn build_after(&self, parent: &DatasetManifest) -> Result<Built, Error> {
        self.builder().build(&author(), Some(&Parent::from(parent)), parent.number + 1, at()).await
    }
}

pub fn id(name: &str) -> DocumentId {
    key(name).id()
}

fn key(name: &str) -> DocumentKey {
    DocumentKey { source_kind: SourceKind::push(), author: author(), scope: String::new(), identity: name.to_owned() }
}

pub fn meta(name: &str, title: Option<&str>, category: Category, text: &str) -> DocumentMeta {
    DocumentMeta {
        document_id: id(name),
        revision: Revision::FIRST,
        author: author(),
        category,
        source_kind: SourceKind::push(),
        natural_key: name.to_owned(),
        title: title.map(str::to_owned),
        url: None,
        published_at: None,
        observed_at: at(),
        content_hash: ContentHash::sha256([text.as_bytes()]),
    }
}

pub fn article(name: &str, title: &str, text: &str) -> CleanedDocument {
    let meta = meta(name, Some(title), Category::Article, text);
    CleanedDocument { meta, text: text.to_owned(), language: Some("eng".to_owned()), code_language: None }
}

/// Words that no two subjects share.
const SUBJECTS: [[&str; 8]; 12] = [
    ["rivers", "meander", "valley", "sediment", "current", "bank", "delta", "flood"],
    ["compilers", "parser", "register", "inlining", "lattice", "scheduling", "codegen", "lexer"],
    ["bread", "flour", "yeast", "crust", "oven", "kneading", "dough", "proofing"],
    ["violins", "spruce", "varnish", "bow", "bridge", "luthier", "resonance", "strings"],
    ["glaciers", "moraine", "crevasse", "firn", "icefall", "melting", "altitude", "ablation"],
    ["databases", "index", "transaction", "isolation", "replica", "journal", "vacuum", "planner"],
    ["gardens", "compost", "seedling", "pruning", "mulch", "perennial", "trellis", "harvest"],
    ["chess", "gambit", "endgame", "bishop", "zugzwang", "castling", "opening", "sacrifice"],
    ["telescopes", "mirror", "eyepiece", "aperture", "seeing", "galaxy", "exposure", "tracking"],
    ["cycling", "cadence", "derailleur", "gravel", "peloton", "saddle", "climbing", "descent"],
    ["letters", "envelope", "postage", "ink", "handwriting", "salutation", "stationery", "courier"],
    ["networks", "packet", "router", "congestion", "latency", "gateway", "checksum", "handshake"],
];

/// The words of a generated document's subject.
pub fn subject(document: usize) -> [&'static str; 8] {
    SUBJECTS[document % SUBJECTS.len()]
}

/// Sentences that differ in words and order, so that no two generated documents are near duplicates.
pub fn paragraph(document: usize, number: usize) -> String {
    let subject = SUBJECTS[document % SUBJECTS.len()];
    let mut state = (document as u64) << 20 | number as u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % bound
    };
    const VERBS: [&str; 12] = [
        "changes", "rewards", "resists", "reveals", "outlasts", "forgives", "punishes", "shapes", "hides", "carries",
        "slows", "needs",
    ];
    const ENDS: [&str; 10] = [
        "as I keep saying",
        "though nobody told me",
        "which costs some patience",
        "unless the weather turns",
        "before anyone is up",
        "however calm you are",
        "because attention is dear",
        "in spite of manuals",
        "so I begin again",
        "and I write down",
    ];
    let sentence = |next: &mut dyn FnMut(usize) -> usize| {
        let (a, b) = (subject[next(8)], subject[next(8)]);
        let (first, verb, end, last) = (next(1_000), VERBS[next(12)], ENDS[next(10)], next(1_000));
        format!("On page {first} the {a} {verb} the {b}, {end}, for {last} days.")
    };
    (0..4).map(|_| sentence(&mut next)).collect::<Vec<_>>().join(" ")
}

/// An article of three sections of one subject.
pub fn generated(number: usize) -> CleanedDocument {
    let [first, second, third, ..] = SUBJECTS[number % SUBJECTS.len()];
    let title = format!("Notes on {first}, {number}");
    let text = format!(
        "# {title}\n\n{}\n\n## Why does the {second} matter?\n\n{}\n\n{}\n\n## The {third}\n\n{}",
        paragraph(number, 0),
        paragraph(number, 1),
        paragraph(number, 2),
        paragraph(number, 3)
    );
    article(&format!("notes/{number}.md"), &title, &text)
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// This repository's Markdown and Rust files, as its cleaner makes them.
pub fn real_documents() -> Vec<CleanedDocument> {
    let root = repository();
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    paths.iter().filter_map(|path| real_document(&root, path)).collect()
}

fn real_document(root: &Path, path: &Path) -> Option<CleanedDocument> {
    let content = std::fs::read_to_string(path).unwrap();
    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let is_code = name.ends_with(".rs");
    let category = if is_code { Category::Code } else { Category::Article };
    let media_type = if is_code { MediaType::Text } else { MediaType::Markdown };
    let raw = RawDocument { meta: meta(&name, None, category, &content), media_type, content };
    twin_cleaner::clean(&raw, &twin_cleaner::Options::default()).ok()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "rivals" {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths);
        } else if name.ends_with(".md") || name.ends_with(".rs") {
            paths.push(path);
        }
    }
}
