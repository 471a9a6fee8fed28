//! Starts each service on the node.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tracing::{info, warn};
use twin_chunker::Chunker;
use twin_cleaner::Cleaner;
use twin_crawler::{Crawler, Sources};
use twin_embedder::Embedding;
use twin_gateway::{Dependencies, Gateway, StageGroup, Uploads};
use twin_index::Index;
use twin_inference::{Calibrator, Models, Queries, Retriever, SwitchMetrics, Switcher, VersionLoader, Workers};
use twin_schemas::Service;
use twin_stream::{DeadLetters, Order, Stage, group_of};
use twin_telemetry::{ShutdownSignal, admin_router};
use twin_training::Base;
use twin_warehouse::Outbox;

use super::adapters::{KnownSources, Operator};
use super::node::Node;
use super::service::parts;
use super::stages::{Tasks, stage_options, start_stage};
use super::{embedding, learning, models};
use crate::config::Config;

/// Queries of a partition under way at once. Generation has its own, smaller bound; this one only keeps cancellations
/// from waiting behind queries.
const QUERIES_IN_FLIGHT: usize = 256;

/// Starts the services. The gateway comes first, so that a process that is still loading a model can be asked how far
/// it is.
pub(super) async fn start(
    node: Node,
    services: &[Service],
    by_name: bool,
    listener: TcpListener,
    tasks: &mut Tasks,
    shutdown: &ShutdownSignal,
) -> Result<()> {
    let wanted = |service| services.contains(&service);
    for part in services.iter().flat_map(|service| parts(*service)) {
        // Not ready from the first request on, whatever is still to be loaded.
        drop(node.health.part(part));
    }
    let sources = Sources::new(&node.config.crawler)?;
    let sources = sources.with_uploads(&node.config.crawler, node.artifacts.clone(), uploads_folder(&node.config));
    // Once for all that need it.
    let base = if [Service::Gateway, Service::Trainer, Service::Evaluator].into_iter().any(wanted) {
        learning::open_base(&node).await
    } else {
        Err(anyhow!("no service here works with a base model"))
    };
    if wanted(Service::Gateway) {
        start_gateway(&node, &base, sources.clone(), listener, tasks, shutdown).await?;
    } else {
        serve_admin(&node, listener, tasks, shutdown);
    }
    if wanted(Service::Crawler) {
        start_crawler(&node, sources, tasks, shutdown)?;
    }
    if wanted(Service::Cleaner) {
        let cleaner = Cleaner::new(node.config.cleaner.clone(), node.warehouse.clone(), &node.metrics)?;
        start_stage(&node, Service::Cleaner, cleaner, Order::PerPartition, tasks, shutdown);
    }
    if wanted(Service::Chunker) {
        let tokenizer = embedding::tokenizer(&node.config).await?;
        let options = node.config.chunker.clone();
        let chunker = Chunker::new(options, tokenizer, node.warehouse.clone(), &node.metrics)?;
        start_stage(&node, Service::Chunker, chunker, Order::PerPartition, tasks, shutdown);
    }
    if wanted(Service::Datasets) {
        learning::start_datasets(&node, tasks, shutdown).await?;
    }
    if wanted(Service::Trainer) {
        learning::start_trainer(&node, &base, by_name, tasks, shutdown)?;
    }
    if [Service::Datasets, Service::Trainer, Service::Evaluator, Service::Gateway].into_iter().any(wanted) {
        learning::start_relay(&node, tasks, shutdown);
    }
    let index = match wanted(Service::Embedder) || wanted(Service::Inference) {
        true => Some(open_index(&node).await?),
        false => None,
    };
    if wanted(Service::Evaluator) {
        learning::start_evaluator(&node, &base, by_name, index.as_ref(), tasks, shutdown)?;
    }
    if let Some(index) = index {
        if wanted(Service::Embedder) {
            let embedding = Embedding::new(index.clone(), node.warehouse.clone(), &node.metrics)?;
            start_stage(&node, Service::Embedder, embedding, Order::PerPartition, tasks, shutdown);
            start_sweep(&node, index.clone(), tasks, shutdown.clone());
        }
        if wanted(Service::Inference) {
            let retrieval = node.config.retrieval.clone();
            let retriever = Retriever::new(index, node.warehouse.clone(), retrieval);
            start_calibrator(&node, retriever.clone(), tasks, shutdown)?;
            start_inference(node, retriever, tasks, shutdown.clone());
        }
    }
    Ok(())
}

async fn open_index(node: &Node) -> Result<Index> {
    let vectors = node.stores.vectors().await?;
    let readiness = node.health.part("embedding-model");
    embedding::open_index(node.config.embedder.clone(), vectors.as_ref(), &node.metrics, readiness).await
}

/// Between two tries at looking over the index.
const SWEEP_RETRY: Duration = Duration::from_secs(5);

/// Looks once for what a process has left of outdated revisions that was killed before it could take it back.
fn start_sweep(node: &Node, index: Index, tasks: &mut Tasks, shutdown: ShutdownSignal) {
    let warehouse = node.warehouse.clone();
    let sweep = async move {
        loop {
            match twin_embedder::sweep(&index, &warehouse).await {
                Ok(0) => return,
                Ok(documents) => return info!(documents, "outdated revisions were taken out of the index"),
                Err(error) if error.is_transient() => {
                    warn!(%error, "trying again");
                    tokio::time::sleep(SWEEP_RETRY).await;
                }
                Err(error) => return warn!(%error, "it is looked over at the next start"),
            }
        }
    };
    tasks.spawn(async move {
        tokio::select! {
            () = sweep => {}
            () = shutdown.begun() => {}
        }
        Ok(())
    });
}

/// Where uploads lie while they come, and while they are read.
fn uploads_folder(config: &Config) -> PathBuf {
    config.data.join("uploads")
}

async fn start_gateway(
    node: &Node,
    base: &Result<Base>,
    sources: Sources,
    listener: TcpListener,
    tasks: &mut Tasks,
    shutdown: &ShutdownSignal,
) -> Result<()> {
    let group = |service: Service| {
        let topic = service.topic()?.name().to_owned();
        Some(StageGroup { stage: service.name().to_owned(), group: group_of(service.name()), topic })
    };
    let dependencies = Dependencies {
        log: node.log.clone(),
        warehouse: node.warehouse.clone(),
        sources: Arc::new(KnownSources(sources)),
        dead_letters: Arc::new(Operator(DeadLetters::new(node.log.clone()))),
        health: node.health.clone(),
        registry: node.metrics.clone(),
        stages: Service::ALL.into_iter().filter_map(group).collect(),
        default_interval_s: node.config.crawler.interval_s,
        min_score: node.config.retrieval.min_score,
        uploads: Some(Uploads { artifacts: node.artifacts.clone(), folder: uploads_folder(&node.config) }),
        learning: Some(learning::routes(node, base).await?),
    };
    let gateway = Gateway::new(node.config.gateway.clone(), dependencies)?;
    let shutdown = shutdown.clone();
    tasks.spawn(async move { gateway.run(listener, shutdown).await.context("the gateway failed") });
    Ok(())
}

/// Health and metrics of a process without the gateway.
fn serve_admin(node: &Node, listener: TcpListener, tasks: &mut Tasks, shutdown: &ShutdownSignal) {
    let router = admin_router(node.health.clone(), node.metrics.clone());
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        let stopped = async move { shutdown.begun().await };
        axum::serve(listener, router).with_graceful_shutdown(stopped).into_future().await?;
        Ok(())
    });
}

fn start_crawler(node: &Node, sources: Sources, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let (options, member) = (node.config.crawler.clone(), node.member.clone());
    let crawler = Crawler::new(options, sources, node.warehouse.clone(), member, &node.metrics)?;
    let (options, member) = (node.config.outbox.clone(), node.member.clone());
    let outbox = Outbox::new(options, node.warehouse.clone(), node.log.clone(), member);
    let (crawler_shutdown, outbox_shutdown) = (shutdown.clone(), shutdown.clone());
    tasks.spawn(async move {
        crawler.run(crawler_shutdown).await;
        Ok(())
    });
    tasks.spawn(async move {
        outbox.run(outbox_shutdown).await;
        Ok(())
    });
    Ok(())
}

/// Measures from which score on questions are answered, where no similarity is configured.
fn start_calibrator(node: &Node, retriever: Retriever, tasks: &mut Tasks, shutdown: &ShutdownSignal) -> Result<()> {
    let calibrator = Calibrator::new(retriever, node.warehouse.clone(), node.member.clone(), &node.metrics)?;
    if node.config.retrieval.min_score.is_some() {
        return Ok(());
    }
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        calibrator.run(shutdown).await;
        Ok(())
    });
    Ok(())
}

/// The workers that take up deployments.
fn workers(node: &Node) -> Workers {
    if node.member.is_alone() { Workers::alone() } else { Workers::among(node.member.clone()) }
}

/// The language model, where one is needed, is loaded while the other services run already.
fn start_inference(node: Node, retriever: Retriever, tasks: &mut Tasks, shutdown: ShutdownSignal) {
    let loading = node.health.part("llm");
    let name = Service::Inference.name();
    let readiness = node.health.part(name);
    tasks.spawn(async move {
        loading.not_ready("loading the model");
        let base = tokio::select! {
            base = models::base(&node.config) => base?,
            () = shutdown.begun() => return Ok(()),
        };
        let llm = node.config.llm.clone();
        let models = Arc::new(Models::new(base, llm.max_versions));
        let switcher = Switcher::new(
            node.registry.clone(),
            node.log.clone(),
            VersionLoader {
                registry: node.registry.clone(),
                artifacts: node.artifacts.clone(),
                folder: node.folders.models.clone(),
                engine: models::engine(&llm),
            },
            models.clone(),
            workers(&node),
            SwitchMetrics::new(&node.metrics)?,
        );
        // What was deployed before this process began answers from its first query on.
        tokio::select! {
            () = switcher.catch_up() => {}
            () = shutdown.begun() => return Ok(()),
        }
        loading.ready();
        let switching = tokio::spawn(switcher.run(shutdown.clone()));
        let answers = node.config.answers.clone();
        let queries = Queries::new(retriever, answers, models, llm, node.log.clone(), &node.metrics)?;
        let options = stage_options(&node.config, Order::None { in_flight: QUERIES_IN_FLIGHT });
        let stage = Stage::new(name, queries, node.log.clone(), options, node.stage_metrics.clone(), readiness);
        let ended = stage.run(shutdown).await.context("inference failed");
        switching.abort();
        ended
    });
}
