//! The newest rows of a kind, no more than are asked for.

use twin_schemas::AuthorId;

use crate::model::{DatasetRow, DeploymentRow, JobRow, JobState, ModelRow};
use crate::rows::{Kind, Row, name_of};
use crate::store::{Order, RowQuery};
use crate::{Error, Registry};

impl Registry {
    /// The newest `limit` dataset versions of one author or of all, newest first.
    pub async fn newest_datasets(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<DatasetRow>, Error> {
        self.with_deletions(self.newest(Kind::Dataset, author, None, limit).await?).await
    }

    /// The newest `limit` jobs, of one author or of all, in one state or in any, newest first.
    pub async fn newest_jobs(
        &self,
        author: Option<&AuthorId>,
        state: Option<JobState>,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error> {
        let state = state.map(|state| name_of(&state));
        self.with_progress(self.newest(Kind::Job, author, state, limit).await?).await
    }

    /// The newest `limit` models of one author or of all, newest first.
    pub async fn newest_models(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<ModelRow>, Error> {
        self.newest(Kind::Model, author, None, limit).await
    }

    /// The newest `limit` deployments for an author, newest first.
    pub async fn newest_deployments(&self, author: &AuthorId, limit: u32) -> Result<Vec<DeploymentRow>, Error> {
        let mut deployments = self.deployments(author).await?;
        deployments.truncate(limit as usize);
        Ok(deployments)
    }

    async fn newest<T: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        author: Option<&AuthorId>,
        state: Option<String>,
        limit: u32,
    ) -> Result<Vec<T>, Error> {
        let query = RowQuery {
            kind,
            author: author.cloned(),
            states: state.into_iter().collect(),
            order: Order::NewestFirst,
            after: None,
            limit: limit as usize,
        };
        self.store.rows(query).await?.into_iter().map(Row::read).collect()
    }
}
