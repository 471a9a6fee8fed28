//! What the events of models start: an evaluation, an approval.

use async_trait::async_trait;
use chrono::Utc;
use tracing::info;
use twin_registry::Registry;
use twin_schemas::{ModelEvent, ModelId, Verdict};
use twin_stream::{Handler, Message, Outcome};

use crate::jobs::Approval;

/// The evaluator stage: each trained model is queued for its evaluation; under the policy `auto`, each that has passed is
/// approved.
pub struct Trigger {
    registry: Registry,
    approval: Approval,
}

impl Trigger {
    /// A stage that queues into the registry.
    pub fn new(registry: Registry, approval: Approval) -> Self {
        Self { registry, approval }
    }

    async fn step(&self, event: &ModelEvent) -> Result<(), twin_registry::Error> {
        match event {
            ModelEvent::Trained { model, .. } => {
                if self.registry.queue_evaluation(model, Utc::now()).await? {
                    info!(%model, "evaluation queued");
                }
                Ok(())
            }
            ModelEvent::Evaluated { model, verdict: Verdict::Passed, .. } if self.approval == Approval::Auto => {
                self.approve(model).await
            }
            ModelEvent::Evaluated { .. } | ModelEvent::Deployed { .. } => Ok(()),
        }
    }

    async fn approve(&self, model: &ModelId) -> Result<(), twin_registry::Error> {
        if self.registry.approve_by_policy(model, Utc::now()).await? {
            info!(%model, "approved by policy");
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Trigger {
    type Input = ModelEvent;

    async fn handle(&self, batch: Vec<Message<ModelEvent>>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            let Some(event) = &message.payload else {
                outcomes.push(Outcome::dead("decode", "an event about a model is never a tombstone"));
                continue;
            };
            outcomes.push(match self.step(event).await {
                Ok(()) => Outcome::Done,
                Err(error) if error.is_transient() => Outcome::wait("registry", error),
                Err(error) => Outcome::dead("registry", error),
            });
        }
        outcomes
    }
}
