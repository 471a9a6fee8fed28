//! A desk whose stages know one thing: ranks. It queues real jobs in the registry.

use async_trait::async_trait;
use chrono::Utc;
use serde_json::{Value, json};
use twin_gateway::{LearningDesk, PortError, TrainRequest};
use twin_registry::{JobRow, NewJob, Registry};
use twin_schemas::{AuthorId, DatasetId, JobId};

/// The recipe where nobody says.
pub const CONFIGURED: &str = "rank = 16\n";

/// A recipe is `rank = <number>`, a sweep is `rank = [<number>, …]`.
pub struct Desk(pub Registry);

impl Desk {
    async fn queue(
        &self,
        author: &AuthorId,
        dataset: DatasetId,
        recipe: String,
        sweep: Option<String>,
    ) -> Result<JobRow, PortError> {
        let job = JobId::of(&dataset, "base", &recipe);
        let new = NewJob {
            job: job.clone(),
            author: author.clone(),
            dataset,
            base: "base".into(),
            recipe,
            sweep,
            code_version: "1.2.3".into(),
        };
        self.0.queue_job(new, Utc::now()).await?;
        self.0.job(&job.0).await?.ok_or_else(|| PortError::Missing("the job is gone".into()))
    }
}

#[async_trait]
impl LearningDesk for Desk {
    async fn diff(&self, a: &str, b: &str) -> Result<Value, PortError> {
        let (Some(a), Some(b)) = (self.0.dataset(a).await?, self.0.dataset(b).await?) else {
            return Err(PortError::Missing("no such version".into()));
        };
        let added = b.training_samples.cast_signed() - a.training_samples.cast_signed();
        Ok(json!({"from": a.dataset, "to": b.dataset, "training_samples_added": added}))
    }

    async fn train(&self, request: TrainRequest) -> Result<JobRow, PortError> {
        let recipe = request.recipe.unwrap_or_else(|| CONFIGURED.to_owned());
        if recipe == "rank = 64\n" {
            return Err(PortError::Refused("rank 64 needs more memory than there is".into()));
        }
        self.queue(&request.author, request.dataset, recipe, None).await
    }

    async fn sweep(&self, author: &AuthorId, sweep: &str) -> Result<Vec<JobRow>, PortError> {
        let ranks = sweep.strip_prefix("rank = [").and_then(|rest| rest.strip_suffix(']'));
        let ranks = ranks.ok_or_else(|| PortError::Invalid(format!("{sweep:?} is no list of ranks")))?;
        let newest = self.0.newest_dataset(author).await?;
        let dataset = newest.ok_or_else(|| PortError::Missing("there is no dataset".into()))?.dataset;
        let mut jobs = Vec::new();
        for rank in ranks.split(", ") {
            let recipe = self.check_recipe(&format!("rank = {rank}")).map_err(PortError::Invalid)?;
            jobs.push(self.queue(author, dataset.clone(), recipe, Some("sweep-1".into())).await?);
        }
        Ok(jobs)
    }

    fn check_recipe(&self, recipe: &str) -> Result<String, String> {
        let (key, rank) = recipe.trim().split_once('=').ok_or("expected `rank = <number>`")?;
        let rank: u32 = rank.trim().parse().map_err(|error| format!("rank: {error}"))?;
        if key.trim() == "rank" { Ok(format!("rank = {rank}\n")) } else { Err(format!("unknown key {key:?}")) }
    }
}
