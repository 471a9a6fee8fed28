//! From a model to what taught it, and from a document to what learned from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{DocumentId, ModelId, Revision};
use twin_sqlite::rusqlite::Row;

use crate::model::{DatasetRow, JobRow, ModelRow};
use crate::rows::{collect, optional_time, parsed};
use crate::{Error, Registry, datasets, jobs, models};

/// Everything that a model came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The model.
    pub model: ModelRow,
    /// The job that made it, with its recipe, base model and code version.
    pub job: JobRow,
    /// What it was trained on.
    pub dataset: DatasetRow,
    /// The documents of that dataset.
    pub documents: Vec<TaughtDocument>,
}

/// A document that a dataset holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaughtDocument {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that was taught.
    pub revision: Revision,
    /// When it was deleted, if it was since.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Registry {
    /// Which documents taught this model, and how.
    pub async fn lineage(&self, id: &ModelId) -> Result<Lineage, Error> {
        let id = id.clone();
        self.read(move |c| {
            let model = models::require(c, &id)?;
            let job = jobs::get(c, &model.job)?.ok_or_else(|| Error::missing("job", &model.job))?;
            let dataset = datasets::get(c, &model.dataset)?.ok_or_else(|| Error::missing("dataset", &model.dataset))?;
            let mut statement = c.prepare_cached("SELECT * FROM dataset_members WHERE dataset = ?1")?;
            let documents = collect(&mut statement, [&model.dataset.0], taught)?;
            Ok(Lineage { model, job, dataset, documents })
        })
        .await
    }

    /// Which models learned from this document, oldest first.
    pub async fn models_taught_by(&self, document: DocumentId) -> Result<Vec<ModelId>, Error> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT m.model FROM models m JOIN dataset_members d USING (dataset)
                 WHERE d.document_id = ?1 ORDER BY m.created_at, m.number",
            )?;
            collect(&mut statement, [document.to_string()], |row| Ok(ModelId(row.get(0)?)))
        })
        .await
    }
}

fn taught(row: &Row<'_>) -> Result<TaughtDocument, Error> {
    Ok(TaughtDocument {
        document_id: parsed(row, "document_id")?,
        revision: Revision(row.get::<_, i64>("revision")?.unsigned_abs()),
        deleted_at: optional_time(row, "deleted_at")?,
    })
}
