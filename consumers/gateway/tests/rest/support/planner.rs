//! A planner of jobs and dataset versions, whose plans are always the same.

use async_trait::async_trait;
use serde_json::Value;
use twin_api::PlannedFoldsView;
use twin_gateway::{JobPlanner, NextVersions, PlannedRun, PortError};
use twin_registry::Collected;
use twin_schemas::{AuthorId, DatasetId};
use twin_training::{Fit, Plan, Recipe};

/// Plans what it is asked for, and leaves one grounded sample of two out.
pub struct Planned;

#[async_trait]
impl NextVersions for Planned {
    async fn collected(&self, _: &AuthorId) -> Result<Collected, PortError> {
        let key = "datasets.freeze.new_samples";
        Ok(Collected { new_samples: 34, needed: 200, key, deleted_share: 0.0, due: None, automatic: true })
    }
}

#[async_trait]
impl JobPlanner for Planned {
    async fn plan(&self, _: &DatasetId, recipe: &Recipe) -> Result<PlannedRun, PortError> {
        let folds = Some(PlannedFoldsView { folds: 5, steps: 20, tokens: 5_120, seconds: 50.0 });
        Ok(PlannedRun { plan: planned(recipe), seconds: 60.0, folds, by_a_job: true, refused: None })
    }
}

/// A plan by that recipe.
pub fn planned(recipe: &Recipe) -> Plan {
    Plan {
        recipe: recipe.clone(),
        samples: [("grounded".to_owned(), Fit { read: 2, too_long: 1, unseen: 1 })].into(),
        longest: 300,
        limit: 256,
        positions: 512,
        steps: 120,
        tokens: 30_000,
        evaluation_tokens: 2_000,
        memory_bytes: 1 << 30,
        parameters: 135_000_000,
        stages: Vec::new(),
    }
}

/// The rank in the recipe of a job.
pub fn rank(job: &Value) -> usize {
    Recipe::from_canonical(job["recipe"].as_str().unwrap()).unwrap().rank
}
