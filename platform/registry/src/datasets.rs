//! Dataset versions, and what is wanted of them.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, DatasetId, DatasetReady, DocumentId};
use twin_sqlite::rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::{DatasetRow, FreezeRequest, NewDataset};
use crate::rows::{collect, json, json_text, parsed, time, time_text};
use crate::{Error, Registry, outbox};

pub(crate) const COLUMNS: &str = "d.dataset, d.author, d.number, d.parent, d.manifest, d.training_samples, d.counts, d.reason, \
    d.created_at, (SELECT count(*) FROM dataset_members m WHERE m.dataset = d.dataset) AS documents, \
    (SELECT count(*) FROM dataset_members m WHERE m.dataset = d.dataset AND m.deleted_at IS NOT NULL) AS deleted";

impl Registry {
    /// Registers a dataset version and announces it. One that is there already stays as it is, and nothing is announced.
    pub async fn add_dataset(&self, new: NewDataset, now: DateTime<Utc>) -> Result<DatasetRow, Error> {
        self.write(move |tx| {
            if let Some(known) = get(tx, &new.dataset)? {
                return Ok(known);
            }
            add(tx, &new, now)
        })
        .await
    }

    /// Dataset versions of one author or of all, newest first.
    pub async fn datasets(&self, author: Option<&AuthorId>) -> Result<Vec<DatasetRow>, Error> {
        let author = author.map(ToString::to_string);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM datasets d WHERE ?1 IS NULL OR author = ?1 ORDER BY created_at DESC, number DESC"
            ))?;
            collect(&mut statement, [author], row)
        })
        .await
    }

    /// The version that an id, or the beginning of one, names; none if there is none or several.
    pub async fn dataset(&self, id: &str) -> Result<Option<DatasetRow>, Error> {
        let (from, to) = (id.to_owned(), format!("{id}~"));
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM datasets d WHERE dataset >= ?1 AND dataset < ?2 LIMIT 2"
            ))?;
            let mut found = collect(&mut statement, [from, to], row)?;
            Ok(if found.len() == 1 { found.pop() } else { None })
        })
        .await
    }

    /// The newest version of an author.
    pub async fn newest_dataset(&self, author: &AuthorId) -> Result<Option<DatasetRow>, Error> {
        let author = author.clone();
        self.read(move |c| newest(c, &author)).await
    }

    /// A document is gone: versions that hold it are marked from here on.
    pub async fn mark_deleted(&self, document: DocumentId, now: DateTime<Utc>) -> Result<(), Error> {
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE dataset_members SET deleted_at = ?2 WHERE document_id = ?1 AND deleted_at IS NULL",
            )?
            .execute(params![document.to_string(), time_text(now)])?;
            Ok(())
        })
        .await
    }

    /// Asks for a version to be frozen now. An open request stays.
    pub async fn request_freeze(&self, author: &AuthorId, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let (author, by) = (author.to_string(), by.to_owned());
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO freeze_requests (author, requested_by, requested_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (author) DO UPDATE SET requested_by = excluded.requested_by,
                     requested_at = excluded.requested_at, outcome = NULL, refused = 0 WHERE outcome IS NOT NULL",
                params![author, by, time_text(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// The request for an author's dataset, open or answered.
    pub async fn freeze_request(&self, author: &AuthorId) -> Result<Option<FreezeRequest>, Error> {
        let author = author.to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM freeze_requests WHERE author = ?1")?;
            Ok(collect(&mut statement, [author], freeze_row)?.pop())
        })
        .await
    }

    /// Requests that nobody has answered.
    pub async fn open_freeze_requests(&self) -> Result<Vec<FreezeRequest>, Error> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT * FROM freeze_requests WHERE outcome IS NULL")?;
            collect(&mut statement, [], freeze_row)
        })
        .await
    }

    /// Answers an author's open request, if there is one: with the version that there is now, or with why there is none.
    pub async fn answer_freeze(&self, author: &AuthorId, outcome: Result<&str, &str>) -> Result<(), Error> {
        let refused = outcome.is_err();
        let (author, outcome) = (author.to_string(), outcome.unwrap_or_else(|reason| reason).to_owned());
        self.write(move |tx| {
            tx.execute(
                "UPDATE freeze_requests SET outcome = ?2, refused = ?3 WHERE author = ?1 AND outcome IS NULL",
                params![author, outcome, refused],
            )?;
            Ok(())
        })
        .await
    }
}

fn add(tx: &Connection, new: &NewDataset, now: DateTime<Utc>) -> Result<DatasetRow, Error> {
    let parent = newest(tx, &new.author)?;
    let number = parent.as_ref().map_or(1, |parent| parent.number + 1);
    let parent = parent.map(|parent| parent.dataset.0);
    tx.execute(
        "INSERT INTO datasets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            new.dataset.0,
            new.author.as_str(),
            number,
            parent,
            new.manifest,
            new.training_samples.cast_signed(),
            json_text(&new.counts)?,
            new.reason,
            time_text(now)
        ],
    )?;
    let mut member = tx.prepare_cached("INSERT INTO dataset_members VALUES (?1, ?2, ?3, NULL)")?;
    for (document, revision) in &new.members {
        member.execute(params![new.dataset.0, document.to_string(), revision.0.cast_signed()])?;
    }
    let event = DatasetReady {
        dataset: new.dataset.clone(),
        author: new.author.clone(),
        number,
        manifest: new.manifest.clone(),
        training_samples: new.training_samples,
        at: now,
    };
    let id = format!("dataset/{}", new.dataset);
    outbox::put(tx, &id, "datasets", &new.author, &new.dataset.0, &event)?;
    get(tx, &new.dataset)?.ok_or_else(|| Error::missing("dataset", &new.dataset))
}

pub(crate) fn get(c: &Connection, id: &DatasetId) -> Result<Option<DatasetRow>, Error> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM datasets d WHERE dataset = ?1"))?;
    Ok(collect(&mut statement, [&id.0], row)?.pop())
}

fn newest(c: &Connection, author: &AuthorId) -> Result<Option<DatasetRow>, Error> {
    let id: Option<String> = c
        .prepare_cached("SELECT dataset FROM datasets WHERE author = ?1 ORDER BY number DESC LIMIT 1")?
        .query_row([author.as_str()], |row| row.get(0))
        .optional()?;
    id.map_or(Ok(None), |id| get(c, &DatasetId(id)))
}

pub(crate) fn row(row: &Row<'_>) -> Result<DatasetRow, Error> {
    Ok(DatasetRow {
        dataset: DatasetId(row.get("dataset")?),
        author: parsed(row, "author")?,
        number: row.get("number")?,
        parent: row.get::<_, Option<String>>("parent")?.map(DatasetId),
        manifest: row.get("manifest")?,
        training_samples: row.get::<_, i64>("training_samples")?.unsigned_abs(),
        counts: json(row, "counts")?,
        reason: row.get("reason")?,
        created_at: time(row, "created_at")?,
        documents: row.get::<_, i64>("documents")?.unsigned_abs(),
        deleted_documents: row.get::<_, i64>("deleted")?.unsigned_abs(),
    })
}

fn freeze_row(row: &Row<'_>) -> Result<FreezeRequest, Error> {
    Ok(FreezeRequest {
        author: parsed(row, "author")?,
        requested_by: row.get("requested_by")?,
        requested_at: time(row, "requested_at")?,
        outcome: row.get("outcome")?,
        refused: row.get("refused")?,
    })
}
