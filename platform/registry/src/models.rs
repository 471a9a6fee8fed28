//! Model versions.

use chrono::{DateTime, Utc};
use twin_schemas::ModelId;

use crate::model::ModelRow;
use crate::rows::{Kind, Row};
use crate::rules::Command;
use crate::{Error, Performed, Registry};

impl Registry {
    /// One model.
    pub async fn model(&self, id: &ModelId) -> Result<Option<ModelRow>, Error> {
        self.exactly(Kind::Model, &id.0).await?.map(Row::read).transpose()
    }

    /// The model, or an error that says that there is none.
    pub(crate) async fn require_model(&self, id: &ModelId) -> Result<ModelRow, Error> {
        self.model(id).await?.ok_or_else(|| Error::missing("model", id))
    }

    /// A command about a model of whatever author.
    pub(crate) async fn perform_about(
        &self,
        model: &ModelId,
        command: Command,
        now: DateTime<Utc>,
    ) -> Result<Performed, Error> {
        let author = self.require_model(model).await?.author;
        self.perform(&author, command, now).await
    }
}
