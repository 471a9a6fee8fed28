//! The newest rows of a kind, no more than are asked for.

use twin_schemas::{AuthorId, ModelId};

use crate::model::{DatasetRow, DecisionRow, DeploymentRow, JobRow, JobState, ModelRow};
use crate::rows::{collect, name_of};
use crate::{Error, Registry, datasets, deployments, jobs, models};

impl Registry {
    /// The newest `limit` dataset versions of one author or of all, newest first.
    pub async fn newest_datasets(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<DatasetRow>, Error> {
        let author = author.map(ToString::to_string);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {} FROM datasets d WHERE ?1 IS NULL OR author = ?1 ORDER BY created_at DESC, number DESC LIMIT ?2",
                datasets::COLUMNS
            ))?;
            collect(&mut statement, (author, limit), datasets::row)
        })
        .await
    }

    /// The newest `limit` jobs, of one author or of all, in one state or in any, newest first.
    pub async fn newest_jobs(
        &self,
        author: Option<&AuthorId>,
        state: Option<JobState>,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error> {
        let author = author.map(ToString::to_string);
        let state = state.map(|state| name_of(&state)).transpose()?;
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT * FROM jobs WHERE (?1 IS NULL OR author = ?1) AND (?2 IS NULL OR state = ?2)
                 ORDER BY created_at DESC, job LIMIT ?3",
            )?;
            collect(&mut statement, (author, state, limit), jobs::row)
        })
        .await
    }

    /// The newest `limit` models of one author or of all, newest first.
    pub async fn newest_models(&self, author: Option<&AuthorId>, limit: u32) -> Result<Vec<ModelRow>, Error> {
        let author = author.map(ToString::to_string);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE ?1 IS NULL OR m.author = ?1 ORDER BY m.created_at DESC, m.number DESC LIMIT ?2",
                models::COLUMNS,
                models::TABLES
            ))?;
            collect(&mut statement, (author, limit), models::row)
        })
        .await
    }

    /// The newest `limit` deployments for an author, newest first.
    pub async fn newest_deployments(&self, author: &AuthorId, limit: u32) -> Result<Vec<DeploymentRow>, Error> {
        let author = author.to_string();
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT * FROM deployments WHERE author = ?1 ORDER BY number DESC LIMIT ?2")?;
            collect(&mut statement, (author, limit), deployments::row)
        })
        .await
    }

    /// What was decided about a model, newest first.
    pub async fn decisions_about(&self, model: &ModelId) -> Result<Vec<DecisionRow>, Error> {
        let model = model.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM decisions WHERE model = ?1 ORDER BY decision DESC")?;
            collect(&mut statement, [model.0], deployments::decision_row)
        })
        .await
    }
}
