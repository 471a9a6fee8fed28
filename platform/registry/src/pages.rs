//! Lists, newest first, in parts: each part begins where the one before it ended.

use serde::de::DeserializeOwned;
use twin_backend::Page;
use twin_schemas::{AuthorId, JobId};

use crate::model::{DatasetRow, DeploymentPosition, DeploymentRow, JobRow, JobState, Metric, MetricPosition, ModelRow};
use crate::rows::{Kind, Row, RowPosition, name_of};
use crate::store::{RowQuery, SortOrder};
use crate::{Error, Registry};

impl Registry {
    /// At most `limit` dataset versions of one author or of all.
    pub async fn list_datasets(
        &self,
        author: Option<&AuthorId>,
        before: Option<&RowPosition>,
        limit: usize,
    ) -> Result<Page<DatasetRow, RowPosition>, Error> {
        let Page { items, next } = self.newest(Kind::Dataset, author, None, before, limit).await?;
        Ok(Page { items: self.with_deletions(items).await?, next })
    }

    /// At most `limit` jobs, of one author or of all, in one state or in any.
    pub async fn list_jobs(
        &self,
        author: Option<&AuthorId>,
        state: Option<JobState>,
        before: Option<&RowPosition>,
        limit: usize,
    ) -> Result<Page<JobRow, RowPosition>, Error> {
        let state = state.map(|state| name_of(&state));
        let Page { items, next } = self.newest(Kind::Job, author, state, before, limit).await?;
        Ok(Page { items: self.with_progress(items).await?, next })
    }

    /// At most `limit` models of one author or of all.
    pub async fn list_models(
        &self,
        author: Option<&AuthorId>,
        before: Option<&RowPosition>,
        limit: usize,
    ) -> Result<Page<ModelRow, RowPosition>, Error> {
        self.newest(Kind::Model, author, None, before, limit).await
    }

    /// At most `limit` deployments for an author.
    pub async fn list_deployments(
        &self,
        author: &AuthorId,
        before: Option<&DeploymentPosition>,
        limit: usize,
    ) -> Result<Page<DeploymentRow, DeploymentPosition>, Error> {
        let state = self.state(author).await?;
        let newest = state.deployments.iter().rev().map(|deployment| &deployment.row);
        let rest = newest.skip_while(|row| before.is_some_and(|before| row.number >= before.number));
        let placed = rest.take(limit.saturating_add(1)).map(|row| {
            let position = DeploymentPosition { number: row.number };
            (row.clone(), position)
        });
        Ok(Page::of(placed.collect(), limit))
    }

    /// At most `limit` values of a run, by name and step.
    pub async fn list_metrics(
        &self,
        job: &JobId,
        after: Option<&MetricPosition>,
        limit: usize,
    ) -> Result<Page<Metric, MetricPosition>, Error> {
        let metrics = self.store.metrics(job, after, limit.saturating_add(1)).await?;
        let placed = metrics.into_iter().map(|metric| {
            let position = MetricPosition { name: metric.name.clone(), step: metric.step };
            (metric, position)
        });
        Ok(Page::of(placed.collect(), limit))
    }

    /// The newest `limit` dataset versions of one author or of all.
    pub async fn newest_datasets(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<DatasetRow>, Error> {
        Ok(self.list_datasets(author, None, limit as usize).await?.items)
    }

    /// The newest `limit` jobs, of one author or of all, in one state or in any.
    pub async fn newest_jobs(
        &self,
        author: Option<&AuthorId>,
        state: Option<JobState>,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error> {
        Ok(self.list_jobs(author, state, None, limit as usize).await?.items)
    }

    /// The newest `limit` models of one author or of all.
    pub async fn newest_models(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<ModelRow>, Error> {
        Ok(self.list_models(author, None, limit as usize).await?.items)
    }

    async fn newest<T: DeserializeOwned>(
        &self,
        kind: Kind,
        author: Option<&AuthorId>,
        state: Option<String>,
        before: Option<&RowPosition>,
        limit: usize,
    ) -> Result<Page<T, RowPosition>, Error> {
        let query = RowQuery {
            kind,
            author: author.cloned(),
            states: state.into_iter().collect(),
            order: SortOrder::NewestFirst,
            after: before.cloned(),
            limit: limit.saturating_add(1),
        };
        let rows = self.store.rows(query).await?.into_iter();
        let placed = rows.map(|row| -> Result<(T, RowPosition), Error> {
            let position = row.position();
            Ok((Row::read(row)?, position))
        });
        Ok(Page::of(placed.collect::<Result<_, Error>>()?, limit))
    }
}
