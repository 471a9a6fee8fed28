//! Decisions about models, and which one is to answer.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, ModelId};

use crate::model::{DecisionRow, DeploymentRow, ModelState};
use crate::rows::Kind;
use crate::rules::{AuthorState, Command, WorkerReport};
use crate::{Error, Registry};

/// Who decides, why and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// A person's name, or `policy`.
    pub who: String,
    /// In their words; may be empty.
    pub why: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl By {
    /// A decision of that moment.
    pub fn new(who: impl Into<String>, why: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self { who: who.into(), why: why.into(), at }
    }
}

/// The deployment in force after a command that made sure that there is one.
fn in_force(state: &AuthorState) -> Result<DeploymentRow, Error> {
    state.in_force().cloned().ok_or_else(|| Error::missing("deployment", &state.author))
}

impl Registry {
    /// Lets an evaluated model serve, and deploys it. Refused for one that did not pass.
    pub async fn approve(&self, model: &ModelId, by: By) -> Result<DeploymentRow, Error> {
        let By { who, why, at } = by;
        in_force(&self.perform_about(model, Command::Approve { model: model.clone(), who, why }, at).await?.state)
    }

    /// Approves and deploys a model that has passed, as a policy does: whether it has. Nothing happens if a decision about it was
    /// made before, or if a newer model is in production: an event that comes twice or late changes nothing. If what answers has
    /// changed since the evaluation, the model is evaluated again instead.
    pub async fn approve_by_policy(&self, model: &ModelId, at: DateTime<Utc>) -> Result<bool, Error> {
        let performed = self.perform_about(model, Command::ApproveByPolicy { model: model.clone() }, at).await?;
        let is_approved = performed.state.model(model).is_some_and(|row| row.state == ModelState::Approved);
        Ok(performed.happened && is_approved)
    }

    /// Keeps a model from ever serving. Refused while it is in production.
    pub async fn reject(&self, model: &ModelId, by: By) -> Result<(), Error> {
        let By { who, why, at } = by;
        self.perform_about(model, Command::Reject { model: model.clone(), who, why }, at).await?;
        Ok(())
    }

    /// Deploys a model that was approved. One that is in production already stays, and no new deployment is made.
    pub async fn deploy(&self, model: &ModelId, by: By) -> Result<DeploymentRow, Error> {
        let By { who, why, at } = by;
        in_force(&self.perform_about(model, Command::Deploy { model: model.clone(), who, why }, at).await?.state)
    }

    /// Goes back to what served before the present model: an earlier model, or the base model.
    pub async fn roll_back(&self, author: &AuthorId, by: By) -> Result<DeploymentRow, Error> {
        let By { who, why, at } = by;
        in_force(&self.perform(author, Command::RollBack { who, why }, at).await?.state)
    }

    /// The deployment that is in force for an author: the newest that has not failed. None: the base model answers.
    pub async fn production(&self, author: &AuthorId) -> Result<Option<DeploymentRow>, Error> {
        Ok(self.state(author).await?.in_force().cloned())
    }

    /// The deployment in force for every author that has one, oldest first.
    pub async fn productions(&self) -> Result<Vec<DeploymentRow>, Error> {
        self.in_states(Kind::Production, &["requested", "serving"]).await
    }

    /// Deployments for an author, newest first.
    pub async fn deployments(&self, author: &AuthorId) -> Result<Vec<DeploymentRow>, Error> {
        let state = self.state(author).await?;
        Ok(state.deployments.iter().rev().map(|deployment| deployment.row.clone()).collect())
    }

    /// Notes what a worker made of a deployment: it serves as soon as one does, and has failed when none that is alive
    /// can.
    pub async fn report_deployment(
        &self,
        author: &AuthorId,
        report: WorkerReport,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.perform(author, Command::ReportDeployment(report), now).await?;
        Ok(())
    }

    /// What was decided for an author, newest first.
    pub async fn decisions(&self, author: &AuthorId) -> Result<Vec<DecisionRow>, Error> {
        Ok(self.state(author).await?.decisions.iter().rev().cloned().collect())
    }

    /// What was decided about a model, newest first.
    pub async fn decisions_about(&self, model: &ModelId) -> Result<Vec<DecisionRow>, Error> {
        let author = self.require_model(model).await?.author;
        let mut decisions = self.decisions(&author).await?;
        decisions.retain(|decision| decision.model.as_ref() == Some(model));
        Ok(decisions)
    }
}
