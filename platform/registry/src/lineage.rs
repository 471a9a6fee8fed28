//! From a model to what taught it, and from a document to what learned from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_backend::Page;
use twin_schemas::{DocumentId, ModelId, Revision};

use crate::model::{DatasetRow, JobRow, ModelRow};
use crate::rows::Kind;
use crate::{Error, Registry};

/// Everything that a model came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The model.
    pub model: ModelRow,
    /// The job that made it, with its recipe, base model and code version.
    pub job: JobRow,
    /// What it was trained on.
    pub dataset: DatasetRow,
    /// The documents of that dataset, by id: as many as were asked for.
    pub documents: Page<TaughtDocument, TaughtPosition>,
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

/// A position in the documents of a dataset version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtPosition {
    /// The document.
    pub document_id: DocumentId,
}

impl Registry {
    /// Which documents taught this model, and how: at most `limit` of the documents, by id.
    pub async fn lineage(&self, id: &ModelId, after: Option<&TaughtPosition>, limit: usize) -> Result<Lineage, Error> {
        let model = self.require_model(id).await?;
        let job = self.job(&model.job.0).await?.ok_or_else(|| Error::missing("job", &model.job))?;
        let dataset = self.dataset(&model.dataset.0).await?;
        let dataset = dataset.ok_or_else(|| Error::missing("dataset", &model.dataset))?;
        let members = self.store.members(&model.dataset, after, limit.saturating_add(1)).await?;
        let placed = members.into_iter().map(|member| {
            let position = TaughtPosition { document_id: member.document_id };
            (member, position)
        });
        let documents = Page::of(placed.collect(), limit);
        Ok(Lineage { model, job, dataset, documents })
    }

    /// Which models learned from this document, oldest first.
    pub async fn models_taught_by(&self, document: DocumentId) -> Result<Vec<ModelId>, Error> {
        let mut models = Vec::new();
        for dataset in self.store.datasets_with(document).await? {
            let Some(row) = self.exactly(Kind::Dataset, &dataset.0).await? else { continue };
            let state = self.state(&row.author).await?;
            models.extend(state.models.iter().filter(|model| model.dataset == dataset).cloned());
        }
        models.sort_by_key(|model| (model.created_at, model.number));
        Ok(models.into_iter().map(|model| model.model).collect())
    }
}
