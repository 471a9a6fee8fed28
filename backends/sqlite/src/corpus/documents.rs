use rusqlite::{Connection, OptionalExtension, Row, params};
use twin_corpus::{AuthorState, CorpusDocument};
use twin_schemas::{AuthorId, ContentHash, DocumentId, Revision};

use super::Failure;

pub(super) fn revision(c: &Connection, document: DocumentId) -> Result<Option<Revision>, Failure> {
    let mut statement = c.prepare_cached("SELECT revision FROM dataset_documents WHERE document_id = ?1")?;
    let revision: Option<i64> = statement.query_row([document.to_string()], |row| row.get(0)).optional()?;
    Ok(revision.map(|revision| Revision(revision.unsigned_abs())))
}

pub(super) fn put(tx: &Connection, document: &CorpusDocument, samples: u64) -> Result<bool, Failure> {
    let written = tx
        .prepare_cached(
            "INSERT INTO dataset_documents (document_id, author, revision, frozen, deleted, samples, category, language,
                                            code_language, title, natural_key, url, content_hash, text)
             VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (document_id) DO UPDATE SET
                 author = excluded.author, revision = excluded.revision, deleted = 0, samples = excluded.samples,
                 category = excluded.category, language = excluded.language, code_language = excluded.code_language,
                 title = excluded.title, natural_key = excluded.natural_key, url = excluded.url,
                 content_hash = excluded.content_hash, text = excluded.text
             WHERE excluded.revision > dataset_documents.revision",
        )?
        .execute(params![
            document.document_id.to_string(),
            document.author.as_str(),
            document.revision.0.cast_signed(),
            samples.cast_signed(),
            document.category.as_str(),
            document.language,
            document.code_language,
            document.title,
            document.natural_key,
            document.url,
            document.content_hash.as_str(),
            document.text,
        ])?;
    Ok(written > 0)
}

pub(super) fn delete(tx: &Connection, document: DocumentId, revision: Revision) -> Result<bool, Failure> {
    let written = tx
        .prepare_cached(
            "INSERT INTO dataset_documents (document_id, author, revision, frozen, deleted, samples, category,
                                            natural_key, content_hash, text)
             VALUES (?1, '', ?2, 0, 1, 0, 'post', '', '', '')
             ON CONFLICT (document_id) DO UPDATE SET
                 revision = excluded.revision, deleted = 1, samples = 0, title = NULL, url = NULL, natural_key = '',
                 content_hash = '', text = ''
             WHERE excluded.revision > dataset_documents.revision",
        )?
        .execute(params![document.to_string(), revision.0.cast_signed()])?;
    Ok(written > 0)
}

pub(super) fn authors(c: &Connection, after: Option<&AuthorId>, limit: usize) -> Result<Vec<AuthorId>, Failure> {
    // One step in the index for each author, instead of a read of all rows.
    let mut next = c.prepare_cached("SELECT min(author) FROM dataset_documents WHERE author > ?1")?;
    let mut last = after.map(|author| author.as_str().to_owned()).unwrap_or_default();
    let mut authors = Vec::new();
    while authors.len() < limit {
        let Some(name) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? else { break };
        authors.push(name.parse().map_err(unreadable)?);
        last = name;
    }
    Ok(authors)
}

const STATE: &str = "
    SELECT coalesce(sum(deleted = 0), 0), coalesce(sum(samples), 0),
           coalesce(sum(samples) FILTER (WHERE revision > frozen), 0), coalesce(sum(revision), 0)
    FROM dataset_documents WHERE author = ?1";

pub(super) fn author_state(c: &Connection, author: &AuthorId) -> Result<AuthorState, Failure> {
    let count = |row: &Row<'_>, index| row.get::<_, i64>(index).map(i64::unsigned_abs);
    let state = c.prepare_cached(STATE)?.query_row([author.as_str()], |row| {
        Ok(AuthorState {
            documents: count(row, 0)?,
            samples: count(row, 1)?,
            new_samples: count(row, 2)?,
            changed: count(row, 3)?,
        })
    })?;
    Ok(state)
}

pub(super) fn list(
    c: &Connection,
    author: &AuthorId,
    after: Option<DocumentId>,
    limit: usize,
) -> Result<Vec<CorpusDocument>, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT document_id, revision, category, language, code_language, title, natural_key, url, content_hash, text
         FROM dataset_documents WHERE author = ?1 AND deleted = 0 AND document_id > ?2 ORDER BY document_id LIMIT ?3",
    )?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![author.as_str(), after, limit])?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(document(row, author)?);
    }
    Ok(documents)
}

fn document(row: &Row<'_>, author: &AuthorId) -> Result<CorpusDocument, Failure> {
    Ok(CorpusDocument {
        document_id: row.get::<_, String>(0)?.parse().map_err(unreadable)?,
        revision: Revision(row.get::<_, i64>(1)?.unsigned_abs()),
        author: author.clone(),
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

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::Port(twin_backend::Error::permanent(format!("a row of the corpus can not be read: {error}")))
}

pub(super) fn mark_frozen(tx: &Connection, revisions: &[(DocumentId, Revision)]) -> Result<(), Failure> {
    let mut statement =
        tx.prepare_cached("UPDATE dataset_documents SET frozen = ?2 WHERE document_id = ?1 AND frozen < ?2")?;
    for (document, revision) in revisions {
        statement.execute(params![document.to_string(), revision.0.cast_signed()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::tables::MIGRATIONS;
    use crate::migrate;

    #[test]
    fn an_authors_state_is_read_from_an_index_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate(&tx, "datasets", MIGRATIONS).unwrap();
        let plan: String =
            tx.query_row(&format!("EXPLAIN QUERY PLAN {STATE}"), params!["ada"], |row| row.get("detail")).unwrap();
        assert!(plan.contains("USING COVERING INDEX dataset_documents_state"), "{plan}");
    }

    #[test]
    fn what_a_version_of_before_holds_is_not_new_after_the_migration() {
        let mut connection = Connection::open_in_memory().unwrap();
        let tx = connection.transaction().unwrap();
        migrate(&tx, "datasets", &MIGRATIONS[..2]).unwrap();
        let row = "INSERT INTO dataset_documents VALUES
            (?1, 'ada', ?2, 0, 'article', NULL, NULL, NULL, 'key', NULL, 'hash', 'text', 3, ?3)";
        let ids = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"];
        tx.execute(row, params![ids[0], 4, 1]).unwrap();
        tx.execute(row, params![ids[1], 2, 2]).unwrap();
        tx.execute("INSERT INTO dataset_versions VALUES ('d', 'ada', 1, 'm', 1, '2026-01-01T00:00:00Z')", []).unwrap();
        migrate(&tx, "datasets", MIGRATIONS).unwrap();
        let author: AuthorId = "ada".parse().unwrap();
        let wanted = AuthorState { documents: 2, samples: 6, new_samples: 3, changed: 6 };
        assert_eq!(author_state(&tx, &author).unwrap(), wanted);
        let kept = list(&tx, &author, None, 10).unwrap();
        assert_eq!(kept.iter().map(|document| document.text.as_str()).collect::<Vec<_>>(), ["text", "text"]);
    }
}
