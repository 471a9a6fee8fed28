//! Starts the services of the learning loop on the node.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracing::warn;
use twin_datasets::{Builder, Collector, Freezer};
use twin_evaluator::BaseModel;
use twin_schemas::Service;
use twin_stream::Order;
use twin_telemetry::ShutdownSignal;
use twin_trainer::{Base, JobQueue, LocalRunner, Supervisor};

use super::models;
use super::node::Node;
use super::stages::{Tasks, start_stage};
use crate::learning::{Desk, Files};

/// The services that write steps of the learning loop all run the relay; one of them works at a time.
pub(super) fn start_relay(node: &Node, tasks: &mut Tasks, shutdown: &ShutdownSignal) {
    let relay = twin_registry::relay(node.learning.clone(), node.log.clone(), node.member.clone());
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        relay.run(shutdown).await;
        Ok(())
    });
}

/// What the gateway's routes of the learning loop work with.
pub(super) fn desk(node: &Node) -> twin_gateway::Learning {
    let desk = Desk {
        registry: node.learning.clone(),
        files: Files(node.artifacts.clone()),
        queue: queue(node).map_err(|error| format!("training is not possible here: {error:#}")),
    };
    twin_gateway::Learning { registry: node.learning.clone(), artifacts: node.artifacts.clone(), desk: Arc::new(desk) }
}

/// Jobs for the configured base model.
fn queue(node: &Node) -> Result<JobQueue> {
    Ok(JobQueue::new(node.learning.clone(), base(node)?, &node.config.trainer)?)
}

fn base(node: &Node) -> Result<Base> {
    let configured = &node.config.trainer.base;
    let path = if configured.as_os_str().is_empty() { &node.config.llm.model } else { configured };
    Ok(Base::open(path)?)
}

/// The arguments with which a child process does this work.
fn arguments(node: &Node, work: &str) -> Vec<String> {
    let file = node.config_file.iter().flat_map(|file| ["--config".to_owned(), file.display().to_string()]);
    file.chain(["job".to_owned(), work.to_owned()]).collect()
}

/// This program, which runs the jobs too.
fn program() -> Result<PathBuf> {
    std::env::current_exe().context("the path of this program is not known")
}

pub(super) async fn start_datasets(node: &Node, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let options = node.config.datasets.clone();
    let corpus = node.stores.corpus().await?;
    let mut builder = Builder::new(options.build.clone(), corpus.clone(), node.artifacts.clone())?;
    if options.build.preferences > 0 || options.build.model_instructions > 0 {
        let model = models::chat_model(&node.config.llm).await?;
        let asked = Arc::new(twin_datasets::Asked::new(model));
        builder = builder.with_answers(asked.clone()).with_instructor(asked);
    }
    let metrics = twin_datasets::Metrics::new(&node.registry)?;
    let freezer = Freezer::new(
        options.freeze,
        builder,
        corpus.clone(),
        node.learning.clone(),
        node.artifacts.clone(),
        node.member.clone(),
        metrics,
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        freezer.run(stopping).await;
        Ok(())
    });
    let collector = Collector::new(options.build, corpus, node.learning.clone())?;
    start_stage(node, Service::Datasets, collector, Order::PerPartition, tasks, shutdown);
    Ok(())
}

/// Starts the trainer. Without a base model that can be trained it is an error if the service was asked for by name, and
/// else said and left out.
pub(super) fn start_trainer(node: &Node, by_name: bool, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let queue = match queue(node) {
        Ok(queue) => queue,
        Err(error) if by_name => return Err(error),
        Err(error) => {
            warn!("models are not trained here: {error:#}");
            node.health.part(Service::Trainer.name()).ready();
            return Ok(());
        }
    };
    let options = node.config.trainer.clone();
    let runner = LocalRunner::new(program()?, arguments(node, "train"), node.folders.training.clone(), &options);
    let supervisor = Supervisor::new(
        options.clone(),
        node.learning.clone(),
        node.artifacts.clone(),
        node.folders.artifacts.clone(),
        queue.base().clone(),
        Arc::new(runner),
        Arc::new(Files(node.artifacts.clone())),
        node.member.clone(),
        twin_trainer::Metrics::new(&node.registry)?,
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        supervisor.run(stopping).await;
        Ok(())
    });
    let trigger = twin_trainer::Trigger::new(queue, &options);
    start_stage(node, Service::Trainer, trigger, Order::PerPartition, tasks, shutdown);
    Ok(())
}

/// Starts the evaluator, on the same condition as the trainer.
pub(super) fn start_evaluator(node: &Node, by_name: bool, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let base = match base(node) {
        Ok(base) => base,
        Err(error) if by_name => return Err(error),
        Err(_) => {
            node.health.part(Service::Evaluator.name()).ready();
            return Ok(());
        }
    };
    let options = node.config.evaluator.clone();
    let name = base.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let dependencies = twin_evaluator::Dependencies {
        registry: node.learning.clone(),
        artifacts: node.artifacts.clone(),
        artifacts_folder: node.folders.artifacts.clone(),
        models_folder: node.folders.models.clone(),
        base: BaseModel { name, path: base.path },
        datasets: Box::new(Files(node.artifacts.clone())),
        member: node.member.clone(),
    };
    let approval = options.approval;
    let service = twin_evaluator::Service::new(
        options,
        dependencies,
        program()?,
        arguments(node, "evaluate"),
        node.folders.evaluation.clone(),
        twin_evaluator::Metrics::new(&node.registry)?,
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        service.run(stopping).await;
        Ok(())
    });
    let trigger = twin_evaluator::Trigger::new(node.learning.clone(), approval);
    start_stage(node, Service::Evaluator, trigger, Order::PerPartition, tasks, shutdown);
    Ok(())
}
