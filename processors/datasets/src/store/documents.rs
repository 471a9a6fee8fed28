use twin_schemas::{AuthorId, Category, CleanedDocument, ContentHash, DocumentId, Revision};
use twin_sqlite::rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::DocumentStore;
use crate::work::blocking;
use crate::{Error, samples_of};

/// A document as a dataset is made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// The document.
    pub document_id: DocumentId,
    /// Its revision.
    pub revision: Revision,
    /// What it is.
    pub category: Category,
    /// ISO 639-3 code of its language, where it could be told.
    pub language: Option<String>,
    /// Programming language of code.
    pub code_language: Option<String>,
    /// Its title, where it has one.
    pub title: Option<String>,
    /// The source's own name for it.
    pub natural_key: String,
    /// Where a person can read it.
    pub url: Option<String>,
    /// Hash of what the source gave.
    pub content_hash: ContentHash,
    /// The cleaned text.
    pub text: String,
}

impl From<&CleanedDocument> for StoredDocument {
    fn from(document: &CleanedDocument) -> Self {
        Self {
            document_id: document.meta.document_id,
            revision: document.meta.revision,
            category: document.meta.category,
            language: document.language.clone(),
            code_language: document.code_language.clone(),
            title: document.meta.title.clone(),
            natural_key: document.meta.natural_key.clone(),
            url: document.meta.url.clone(),
            content_hash: document.meta.content_hash.clone(),
            text: document.text.clone(),
        }
    }
}

/// What an author has, and what of it is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuthorState {
    /// Documents that are not deleted.
    pub documents: u64,
    /// Their usable passages, before duplicates are left out.
    pub samples: u64,
    /// Usable passages of documents that changed after the given change.
    pub new_samples: u64,
    /// Documents deleted after the given change.
    pub deletions: u64,
    /// The author's newest change. Grows with each, over all authors.
    pub changed: u64,
}

impl DocumentStore {
    /// Stores a revision if it is higher than the one stored. Returns whether it was.
    pub async fn put(&self, document: CleanedDocument) -> Result<bool, Error> {
        let id = document.meta.document_id;
        let known = self.revision(id).await?;
        if known.is_some_and(|known| known >= document.meta.revision) {
            return Ok(false);
        }
        let options = self.options.clone();
        let counted = blocking(move || {
            let samples = samples_of(&document, &options).len() as u64;
            Ok((document, samples))
        });
        let (document, samples) = counted.await?;
        self.database.write(move |tx| put(tx, &document, samples)).await
    }

    /// Deletes a document as of a revision, if that is higher than the one stored. Returns whether it was. A document
    /// that is not known is noted (as nobody's), so that an older revision that comes later changes nothing.
    pub async fn delete(&self, document: DocumentId, revision: Revision) -> Result<bool, Error> {
        self.database.write(move |tx| delete(tx, document, revision)).await
    }

    /// The newest revision known of a document, deletions included.
    pub async fn revision(&self, document: DocumentId) -> Result<Option<Revision>, Error> {
        self.database.read(move |connection| newest(connection, document)).await
    }

    /// The authors that have, or had, documents.
    pub async fn authors(&self) -> Result<Vec<AuthorId>, Error> {
        let read = |connection: &Connection| -> Result<Vec<AuthorId>, Error> {
            let mut statement = connection
                .prepare_cached("SELECT DISTINCT author FROM dataset_documents WHERE author <> '' ORDER BY author")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            names.map(|name| name?.parse().map_err(|error| Error::Row(format!("{error}")))).collect()
        };
        self.database.read(read).await
    }

    /// What an author has, and what of it came after the change `since` (0: everything).
    pub async fn author_state(&self, author: AuthorId, since: u64) -> Result<AuthorState, Error> {
        self.database.read(move |connection| state(connection, &author, since)).await
    }

    /// The author's next document after `after` in the order of ids.
    pub(crate) fn next_blocking(
        &self,
        author: &AuthorId,
        after: Option<DocumentId>,
    ) -> Result<Option<StoredDocument>, Error> {
        self.database.read_blocking(|connection| next(connection, author, after))
    }
}

/// How many values a change has: the writer's transactions come one after the other.
fn next_change(tx: &Connection) -> Result<i64, Error> {
    let statement = "SELECT coalesce(max(changed), 0) + 1 FROM dataset_documents";
    Ok(tx.prepare_cached(statement)?.query_row([], |row| row.get(0))?)
}

fn newest(connection: &Connection, document: DocumentId) -> Result<Option<Revision>, Error> {
    let mut statement = connection.prepare_cached("SELECT revision FROM dataset_documents WHERE document_id = ?1")?;
    let revision: Option<i64> = statement.query_row([document.to_string()], |row| row.get(0)).optional()?;
    Ok(revision.map(|revision| Revision(revision.unsigned_abs())))
}

fn put(tx: &Connection, document: &CleanedDocument, samples: u64) -> Result<bool, Error> {
    let meta = &document.meta;
    let written = tx
        .prepare_cached(
            "INSERT INTO dataset_documents (document_id, author, revision, deleted, category, language, code_language,
                                            title, natural_key, url, content_hash, text, samples, changed)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (document_id) DO UPDATE SET
                 author = excluded.author, revision = excluded.revision, deleted = 0, category = excluded.category,
                 language = excluded.language, code_language = excluded.code_language, title = excluded.title,
                 natural_key = excluded.natural_key, url = excluded.url, content_hash = excluded.content_hash,
                 text = excluded.text, samples = excluded.samples, changed = excluded.changed
             WHERE excluded.revision > dataset_documents.revision",
        )?
        .execute(params![
            meta.document_id.to_string(),
            meta.author.as_str(),
            meta.revision.0.cast_signed(),
            meta.category.as_str(),
            document.language,
            document.code_language,
            meta.title,
            meta.natural_key,
            meta.url,
            meta.content_hash.as_str(),
            document.text,
            samples.cast_signed(),
            next_change(tx)?,
        ])?;
    Ok(written > 0)
}

fn delete(tx: &Connection, document: DocumentId, revision: Revision) -> Result<bool, Error> {
    let written = tx
        .prepare_cached(
            "INSERT INTO dataset_documents (document_id, author, revision, deleted, category, natural_key,
                                            content_hash, text, samples, changed)
             VALUES (?1, '', ?2, 1, 'post', '', '', '', 0, ?3)
             ON CONFLICT (document_id) DO UPDATE SET
                 revision = excluded.revision, deleted = 1, title = NULL, url = NULL, natural_key = '',
                 content_hash = '', text = '', samples = 0, changed = excluded.changed
             WHERE excluded.revision > dataset_documents.revision",
        )?
        .execute(params![document.to_string(), revision.0.cast_signed(), next_change(tx)?])?;
    Ok(written > 0)
}

const STATE: &str = "
    SELECT coalesce(sum(deleted = 0), 0), coalesce(sum(samples), 0),
           coalesce(sum(samples) FILTER (WHERE changed > ?2), 0),
           coalesce(sum(deleted) FILTER (WHERE changed > ?2), 0), coalesce(max(changed), 0)
    FROM dataset_documents WHERE author = ?1";

fn state(connection: &Connection, author: &AuthorId, since: u64) -> Result<AuthorState, Error> {
    let mut statement = connection.prepare_cached(STATE)?;
    let count = |row: &Row<'_>, index| row.get::<_, i64>(index).map(i64::unsigned_abs);
    let state = statement.query_row(params![author.as_str(), since.cast_signed()], |row| {
        Ok(AuthorState {
            documents: count(row, 0)?,
            samples: count(row, 1)?,
            new_samples: count(row, 2)?,
            deletions: count(row, 3)?,
            changed: count(row, 4)?,
        })
    })?;
    Ok(state)
}

fn next(
    connection: &Connection,
    author: &AuthorId,
    after: Option<DocumentId>,
) -> Result<Option<StoredDocument>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT document_id, revision, category, language, code_language, title, natural_key, url, content_hash, text
         FROM dataset_documents WHERE author = ?1 AND deleted = 0 AND document_id > ?2 ORDER BY document_id LIMIT 1",
    )?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut rows = statement.query(params![author.as_str(), after])?;
    rows.next()?.map(document).transpose()
}

fn document(row: &Row<'_>) -> Result<StoredDocument, Error> {
    let unreadable = |error: twin_schemas::InvalidId| Error::Row(error.to_string());
    Ok(StoredDocument {
        document_id: row.get::<_, String>(0)?.parse().map_err(unreadable)?,
        revision: Revision(row.get::<_, i64>(1)?.unsigned_abs()),
        category: row.get::<_, String>(2)?.parse().map_err(unreadable)?,
        language: row.get(3)?,
        code_language: row.get(4)?,
        title: row.get(5)?,
        natural_key: row.get(6)?,
        url: row.get(7)?,
        content_hash: ContentHash::stored(row.get::<_, String>(8)?),
        text: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use twin_sqlite::migrate;

    use super::*;
    use crate::store::MIGRATIONS;

    #[test]
    fn an_authors_state_is_read_from_an_index_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate(&tx, "datasets", MIGRATIONS).unwrap();
        let plan: String =
            tx.query_row(&format!("EXPLAIN QUERY PLAN {STATE}"), params!["ada", 0], |row| row.get("detail")).unwrap();
        assert!(plan.contains("USING COVERING INDEX dataset_documents_by_change"), "{plan}");
    }
}
