use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, JobId, ModelId};

use super::Step;
use crate::model::{
    Action, Against, DatasetRow, DecisionRow, DeploymentRow, DeploymentState, EvaluationRow, FreezeRequest, JobRow,
    ModelRow, StoredRecipe,
};

/// Everything that is so for an author: the fold of the author's steps.
///
/// Rows here lack what is no step: how far a running job is, and which documents of a version were deleted since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorState {
    /// The author.
    pub author: AuthorId,
    /// The number of the last step, 0 before the first.
    pub number: u64,
    /// Dataset versions, by number.
    pub datasets: Vec<DatasetRow>,
    /// The newest wish for a version.
    pub freeze: Option<FreezeRequest>,
    /// Jobs.
    pub jobs: BTreeMap<JobId, JobRow>,
    /// The recipe of later jobs.
    pub recipe: Option<StoredRecipe>,
    /// Sweeps.
    pub sweeps: BTreeMap<String, Sweep>,
    /// Models, by number.
    pub models: Vec<ModelRow>,
    /// Evaluations, by model.
    pub evaluations: BTreeMap<ModelId, EvaluationRow>,
    /// How many evaluations were held against each model in production, by its name; the base model has none.
    #[serde(default)]
    pub looks: BTreeMap<String, u32>,
    /// Decisions, oldest first.
    pub decisions: Vec<DecisionRow>,
    /// Deployments, by number.
    pub deployments: Vec<Deployment>,
}

/// A sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Its name.
    pub sweep: String,
    /// Whose.
    pub author: AuthorId,
    /// All its trials have ended, and their best recipe is chosen.
    pub concluded: bool,
    /// Its jobs.
    pub trials: BTreeSet<JobId>,
}

/// A deployment, with what each worker made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// What is told of it.
    pub row: DeploymentRow,
    /// By worker: none if it serves there, else why not.
    pub workers: BTreeMap<String, Option<String>>,
}

impl AuthorState {
    /// Before the first step.
    pub fn new(author: AuthorId) -> Self {
        Self {
            author,
            number: 0,
            datasets: Vec::new(),
            freeze: None,
            jobs: BTreeMap::new(),
            recipe: None,
            sweeps: BTreeMap::new(),
            models: Vec::new(),
            evaluations: BTreeMap::new(),
            looks: BTreeMap::new(),
            decisions: Vec::new(),
            deployments: Vec::new(),
        }
    }

    /// The deployment in force: the newest that has not failed. None: the base model answers.
    pub fn in_force(&self) -> Option<&DeploymentRow> {
        let has_not_failed = |row: &&DeploymentRow| row.state != DeploymentState::Failed;
        self.deployments.iter().map(|deployment| &deployment.row).rfind(has_not_failed)
    }

    /// What a candidate is compared with now.
    pub fn rival(&self) -> Against {
        Against { model: self.in_force().and_then(|row| row.model.clone()) }
    }

    /// A model by name.
    pub fn model(&self, id: &ModelId) -> Option<&ModelRow> {
        self.models.iter().find(|model| model.model == *id)
    }

    /// The state after a step.
    pub fn apply(&mut self, step: Step) {
        let number = self.number + 1;
        self.change(step);
        self.number = number;
        let serving = self.in_force().and_then(|row| row.model.clone());
        for model in &mut self.models {
            model.in_production = serving.as_ref() == Some(&model.model);
        }
    }

    fn change(&mut self, step: Step) {
        match step {
            Step::Imported { state } => *self = *state,
            Step::CarriedOver { .. } => {}
            Step::DatasetAdded { .. } | Step::FreezeRequested { .. } | Step::FreezeAnswered { .. } => {
                self.change_datasets(step);
            }
            Step::JobQueued { .. }
            | Step::JobStarted { .. }
            | Step::JobRequeued { .. }
            | Step::JobStopRequested { .. }
            | Step::JobRetried { .. }
            | Step::JobSucceeded { .. }
            | Step::JobFailed { .. }
            | Step::JobCancelled { .. }
            | Step::RecipeSet { .. }
            | Step::SweepConcluded { .. } => self.change_jobs(step),
            Step::EvaluationQueued { .. }
            | Step::EvaluationStarted { .. }
            | Step::EvaluationRequeued { .. }
            | Step::EvaluationFinished { .. }
            | Step::EvaluationFailed { .. }
            | Step::EvaluationRetried { .. }
            | Step::EvaluationReopened { .. } => self.change_evaluations(step),
            Step::Approved { .. } | Step::Rejected { .. } | Step::Deployed { .. } | Step::WorkerReported { .. } => {
                self.change_deployments(step);
            }
        }
    }

    pub(super) fn decided(&mut self, model: Option<ModelId>, action: Action, who: String, why: String, at: super::At) {
        let author = self.author.clone();
        self.decisions.push(DecisionRow { author, model, action, decided_by: who, why, at });
    }
}
