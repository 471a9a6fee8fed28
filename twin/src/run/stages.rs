//! Starts a stage on the node.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use twin_schemas::Service;
use twin_stream::{BatchLimits, Handler, Order, Stage, StageOptions};
use twin_telemetry::ShutdownSignal;

use super::adapters::NoteDeadLetters;
use super::node::Node;
use crate::config::Config;

/// What the process waits for at its end.
pub(super) type Tasks = JoinSet<Result<()>>;

pub(super) fn stage_options(config: &Config, order: Order) -> StageOptions {
    StageOptions {
        batch: BatchLimits { count: config.stages.batch_events, ..BatchLimits::default() },
        order,
        queued_events: config.stages.queued_events,
        queued_bytes: config.stages.queued_bytes,
        retry: config.stages.retry.clone(),
        drain: std::time::Duration::from_secs(config.stages.drain_s),
        ..StageOptions::default()
    }
}

/// Starts a service that is a stage.
pub(super) fn start_stage<H: Handler>(
    node: &Node,
    service: Service,
    handler: H,
    order: Order,
    tasks: &mut Tasks,
    shutdown: &ShutdownSignal,
) {
    let name = service.name();
    let options = stage_options(&node.config, order);
    let readiness = node.health.part(name);
    let stage = Stage::new(name, handler, node.log.clone(), options, node.stage_metrics.clone(), readiness)
        .with_observer(Arc::new(NoteDeadLetters(node.warehouse.clone())));
    let shutdown = shutdown.clone();
    tasks.spawn(async move { stage.run(shutdown).await.with_context(|| format!("the {name} failed")) });
}
