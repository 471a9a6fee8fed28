//! What `Corpus` promises, over SQLite.

use twin_corpus::{Corpus, corpus_contract};
use twin_sqlite::{Database, SqliteCorpus};

struct Place {
    corpus: SqliteCorpus,
    _folder: tempfile::TempDir,
}

impl Place {
    fn corpus(&self) -> &dyn Corpus {
        &self.corpus
    }
}

async fn open() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    Place { corpus: SqliteCorpus::open(database).await.unwrap(), _folder: folder }
}

corpus_contract!(open);
