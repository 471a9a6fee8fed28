//! Queues a job for each new dataset version that is to be trained on.

use async_trait::async_trait;
use twin_registry::JobQueue;
use twin_schemas::DatasetReady;
use twin_stream::{Handler, Message, Outcome};

use crate::options::Options;

/// The trainer stage: each new dataset version becomes a job; where nothing is trained by itself, each that was asked for to
/// be trained on.
pub struct Trigger {
    queue: JobQueue,
    automatic: bool,
}

impl Trigger {
    /// A stage that queues into `queue`.
    pub fn new(queue: JobQueue, options: &Options) -> Self {
        Self { queue, automatic: options.automatic }
    }

    async fn train(&self, ready: &DatasetReady) -> Result<(), twin_registry::Error> {
        if self.automatic || self.queue.is_for_retraining(&ready.dataset).await? {
            let recipe = self.queue.recipe_of(&ready.author).await?;
            self.queue.train(&ready.author, &ready.dataset, &recipe).await?;
        }
        Ok(())
    }

    async fn dataset_ready(&self, ready: &DatasetReady) -> Outcome {
        match self.train(ready).await {
            Ok(()) => Outcome::Done,
            Err(error) if error.is_transient() => Outcome::wait("registry", error),
            Err(error) => Outcome::dead("recipe", error),
        }
    }
}

#[async_trait]
impl Handler for Trigger {
    type Input = DatasetReady;

    async fn handle(&self, batch: Vec<Message<DatasetReady>>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for message in batch {
            outcomes.push(match &message.payload {
                Some(ready) => self.dataset_ready(ready).await,
                None => Outcome::dead("decode", "a dataset version is never a tombstone"),
            });
        }
        outcomes
    }
}
