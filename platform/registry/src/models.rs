//! Model versions.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId};
use twin_sqlite::rusqlite::{Connection, Row, params};

use crate::model::{JobRow, ModelRow, ModelState, NewModel};
use crate::rows::{collect, name_of, named, optional_named, parsed, time, time_text};
use crate::{Error, Registry};

pub(crate) const COLUMNS: &str = "m.*, e.verdict, (SELECT p.model IS m.model FROM deployments p WHERE p.author = m.author \
    AND p.state <> 'failed' ORDER BY p.number DESC LIMIT 1) AS in_production";
pub(crate) const TABLES: &str = "models m LEFT JOIN evaluations e ON e.model = m.model";

impl Registry {
    /// Models of one author or of all, newest first.
    pub async fn models(&self, author: Option<&AuthorId>) -> Result<Vec<ModelRow>, Error> {
        let author = author.map(ToString::to_string);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE ?1 IS NULL OR m.author = ?1 ORDER BY m.created_at DESC, m.number DESC"
            ))?;
            collect(&mut statement, [author], row)
        })
        .await
    }

    /// One model.
    pub async fn model(&self, id: &ModelId) -> Result<Option<ModelRow>, Error> {
        let id = id.clone();
        self.read(move |c| get(c, &id)).await
    }
}

/// Registers the model of a job under the author's next number.
pub(crate) fn add(tx: &Connection, job: &JobRow, new: &NewModel, now: DateTime<Utc>) -> Result<ModelId, Error> {
    let newest: Option<u32> =
        tx.query_row("SELECT max(number) FROM models WHERE author = ?1", [job.author.as_str()], |row| row.get(0))?;
    let number = newest.unwrap_or(0) + 1;
    let model = ModelId::of(&job.author, number);
    tx.execute(
        "INSERT INTO models VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'trained', ?8)",
        params![model.0, job.author.as_str(), number, job.job.0, job.dataset.0, job.base, new.manifest, time_text(now)],
    )?;
    Ok(model)
}

/// The model, or an error that says that there is none.
pub(crate) fn require(c: &Connection, id: &ModelId) -> Result<ModelRow, Error> {
    get(c, id)?.ok_or_else(|| Error::missing("model", id))
}

pub(crate) fn set_state(tx: &Connection, id: &ModelId, state: ModelState) -> Result<(), Error> {
    tx.execute("UPDATE models SET state = ?2 WHERE model = ?1", params![id.0, name_of(&state)?])?;
    Ok(())
}

fn get(c: &Connection, id: &ModelId) -> Result<Option<ModelRow>, Error> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE m.model = ?1"))?;
    Ok(collect(&mut statement, [&id.0], row)?.pop())
}

pub(crate) fn row(row: &Row<'_>) -> Result<ModelRow, Error> {
    Ok(ModelRow {
        model: ModelId(row.get("model")?),
        author: parsed(row, "author")?,
        number: row.get("number")?,
        job: JobId(row.get("job")?),
        dataset: DatasetId(row.get("dataset")?),
        base: row.get("base")?,
        manifest: row.get("manifest")?,
        state: named(row, "state")?,
        created_at: time(row, "created_at")?,
        verdict: optional_named(row, "verdict")?,
        in_production: row.get::<_, Option<bool>>("in_production")?.unwrap_or(false),
    })
}
