//! Starts the services of the learning loop on the node.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use tracing::warn;
use twin_datasets::{Answers, Asked, Builder, Collector, Freezer};
use twin_gateway::JobPlanner;
use twin_index::Index;
use twin_inference::VersionLoader;
use twin_jobs::LocalRunner;
use twin_lora::Lora;
use twin_registry::{Ingredients, JobQueue};
use twin_schemas::Service;
use twin_stream::Order;
use twin_telemetry::ShutdownSignal;
use twin_trainer::Planner;
use twin_training::Base;

use super::adapters::{NextDatasets, Plans};
use super::models;
use super::node::Node;
use super::respondents::{Serving, Starting};
use super::serving::Rehearsals;
use super::stages::{Tasks, start_stage};
use crate::learning::base_model;

/// The services that write steps of the learning loop all run the relay; one of them works at a time.
pub(super) fn start_relay(node: &Node, tasks: &mut Tasks, shutdown: &ShutdownSignal) {
    let relay = twin_registry::relay(node.registry.clone(), node.log.clone(), node.member.clone());
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        relay.run(shutdown).await;
        Ok(())
    });
}

/// The base model of this machine, opened off the runtime's threads: its folder and its files' headers are read.
pub(super) async fn open_base(node: &Node) -> Result<Base> {
    let path = base_model(&node.config).to_owned();
    Ok(tokio::task::spawn_blocking(move || Base::open(&path)).await??)
}

/// The base model, or why there is none, which several may want to say.
fn opened(base: &Result<Base>) -> Result<&Base> {
    base.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// What the gateway's routes of the learning loop work with.
pub(super) async fn routes(node: &Node, base: &Result<Base>) -> Result<twin_gateway::Learning> {
    let next_versions = NextDatasets {
        corpus: node.stores.corpus().await?,
        registry: node.registry.clone(),
        policy: node.config.datasets.freeze.clone(),
        automatic: node.config.trainer.automatic,
    };
    Ok(twin_gateway::Learning {
        registry: node.registry.clone(),
        artifacts: node.artifacts.clone(),
        queue: opened(base)
            .and_then(|base| queue(node, base))
            .map_err(|error| format!("training is not possible here: {error:#}")),
        planner: opened(base)
            .map(|base| -> Arc<dyn JobPlanner> { Arc::new(plans(node, base)) })
            .map_err(|error| format!("training is not possible here: {error:#}")),
        next_versions: Arc::new(next_versions),
    })
}

/// Plans of jobs for the base model of this machine.
fn plans(node: &Node, base: &Base) -> Plans {
    let options = &node.config.trainer;
    let planner = Planner {
        registry: node.registry.clone(),
        artifacts: node.artifacts.clone(),
        base: base.clone(),
        engine: Arc::new(Lora),
        threads: options.threads,
        folds: options.fold_limits(),
    };
    Plans { planner, max_left_out: options.max_left_out }
}

/// Jobs for the base model of this machine, on samples with prompts of this form.
fn queue(node: &Node, base: &Base) -> Result<JobQueue> {
    let ingredients = Ingredients {
        bases: base.fingerprints().map(str::to_owned).to_vec(),
        prompts: Some(node.config.datasets.build.prompt.form()),
    };
    let queue = JobQueue::new(node.registry.clone(), &base.fingerprint, node.config.trainer.default_recipe()?);
    Ok(queue.with_ingredients(ingredients))
}

/// The child processes that do this work.
fn children(node: &Node, work: &str, folder: &Path) -> Result<LocalRunner> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    Ok(LocalRunner::new(program, arguments(node, work), folder.to_owned()))
}

/// The arguments with which a child process does this work. It reads the configuration itself; the data folder may be of
/// this process's command line.
fn arguments(node: &Node, work: &str) -> Vec<String> {
    let file = node.config_file.iter().flat_map(|file| ["--config".to_owned(), file.display().to_string()]);
    let data = node.config.data.display().to_string();
    file.chain(["job".to_owned(), "--data".to_owned(), data, work.to_owned()]).collect()
}

pub(super) async fn start_datasets(node: &Node, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let options = node.config.datasets.clone();
    let corpus = node.stores.corpus().await?;
    let mut builder = Builder::new(options.build.clone(), corpus.clone(), node.artifacts.clone())?;
    if options.build.preferences > 0 || options.build.model_instructions > 0 {
        let llm = &node.config.llm;
        let (name, identity, starting) = (models::name(llm), models::identity(llm).await?, Starting::new(llm.clone()));
        let base = move || Asked::opened_when_asked(&name, identity.clone(), starting.clone());
        let loader = VersionLoader {
            registry: node.registry.clone(),
            artifacts: node.artifacts.clone(),
            folder: node.folders.models.clone(),
            engine: models::engine(llm),
        };
        if options.build.model_instructions > 0 {
            builder = builder.with_instructor(Arc::new(base()));
        }
        let base = Box::new(move || -> Arc<dyn Answers> { Arc::new(base()) });
        let serving = Serving { registry: node.registry.clone(), loader: Arc::new(loader), base };
        builder = builder.with_respondents(Arc::new(serving));
    }
    let metrics = twin_datasets::Metrics::new(&node.metrics)?;
    let freezer = Freezer::new(
        options.freeze,
        builder,
        corpus.clone(),
        node.registry.clone(),
        node.artifacts.clone(),
        node.member.clone(),
        metrics,
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        freezer.run(stopping).await;
        Ok(())
    });
    let collector = Collector::new(options.build, corpus, node.registry.clone())?;
    start_stage(node, Service::Datasets, collector, Order::PerPartition, tasks, shutdown);
    Ok(())
}

/// Starts the trainer. Without a base model that can be trained it is an error if the service was asked for by name,
/// and else said and left out.
pub(super) fn start_trainer(
    node: &Node,
    base: &Result<Base>,
    by_name: bool,
    tasks: &mut Tasks,
    shutdown: &ShutdownSignal,
) -> Result<()> {
    let opened = opened(base).and_then(|base| Ok((queue(node, base)?, base.clone())));
    let (queue, base) = match opened {
        Ok(opened) => opened,
        Err(error) if by_name => return Err(error),
        Err(error) => {
            warn!("models are not trained here: {error:#}");
            node.health.part(Service::Trainer.name()).ready();
            return Ok(());
        }
    };
    let options = node.config.trainer.clone();
    let dependencies =
        twin_trainer::Dependencies { registry: node.registry.clone(), artifacts: node.artifacts.clone(), base };
    let metrics = twin_trainer::Metrics::new(&node.metrics)?;
    let supervisor = twin_trainer::supervisor(
        &options,
        dependencies,
        Arc::new(children(node, "train", &node.folders.training)?),
        node.member.clone(),
        metrics.clone(),
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        supervisor.run(stopping).await;
        Ok(())
    });
    let retrainings = twin_trainer::Retrainings::new(node.registry.clone(), queue.clone(), &options, metrics);
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        retrainings.run(stopping).await;
        Ok(())
    });
    let trigger = twin_trainer::Trigger::new(queue, &options);
    start_stage(node, Service::Trainer, trigger, Order::PerPartition, tasks, shutdown);
    Ok(())
}

/// Starts the evaluator, on the same condition as the trainer. `index`: what this process has open of it.
pub(super) fn start_evaluator(
    node: &Node,
    base: &Result<Base>,
    by_name: bool,
    index: Option<&Index>,
    tasks: &mut Tasks,
    shutdown: &ShutdownSignal,
) -> Result<()> {
    match opened(base) {
        Ok(_) => {}
        Err(error) if by_name => return Err(error),
        Err(_) => {
            node.health.part(Service::Evaluator.name()).ready();
            return Ok(());
        }
    }
    let options = &node.config.evaluator;
    let dependencies = twin_evaluator::Dependencies {
        registry: node.registry.clone(),
        artifacts: node.artifacts.clone(),
        serving: Some(Arc::new(Rehearsals::new(node, index, shutdown))),
    };
    let supervisor = twin_evaluator::supervisor(
        options,
        dependencies,
        Arc::new(children(node, "evaluate", &node.folders.evaluation)?),
        node.member.clone(),
        twin_evaluator::Metrics::new(&node.metrics)?,
    );
    let stopping = shutdown.clone();
    tasks.spawn(async move {
        supervisor.run(stopping).await;
        Ok(())
    });
    let trigger = twin_evaluator::Trigger::new(node.registry.clone(), options.approval);
    start_stage(node, Service::Evaluator, trigger, Order::PerPartition, tasks, shutdown);
    Ok(())
}
