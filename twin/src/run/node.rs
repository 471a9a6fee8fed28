//! What the services of a process work with.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use twin_artifacts::Artifacts;
use twin_coordination::{Member, Owner};
use twin_registry::Registry;
use twin_stream::{ClaimCheck, EventLog, StageMetrics, TopicSpec};
use twin_telemetry::{Health, MetricsRegistry};
use twin_warehouse::Warehouse;

use super::stores::Stores;
use crate::config::Config;
use crate::folder::{DataFolder, NodeName};

/// Folders within the data folder.
pub(super) struct Folders {
    /// Model versions as directories.
    pub(super) models: PathBuf,
    /// Training jobs.
    pub(super) training: PathBuf,
    /// Evaluations.
    pub(super) evaluation: PathBuf,
}

impl Folders {
    fn of(folder: &DataFolder) -> Self {
        let jobs = folder.jobs();
        Self { models: folder.models(), training: jobs.join("train"), evaluation: jobs.join("evaluate") }
    }
}

/// What every service of the process works with.
pub(super) struct Node {
    pub(super) config: Config,
    /// The file that the configuration was read from, if it was named on the command line.
    pub(super) config_file: Option<PathBuf>,
    pub(super) stores: Stores,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) warehouse: Arc<dyn Warehouse>,
    /// This process among those that share the work.
    pub(super) member: Member,
    /// Datasets, jobs, models and decisions.
    pub(super) registry: Registry,
    pub(super) artifacts: Artifacts,
    pub(super) folders: Folders,
    /// What is measured.
    pub(super) metrics: MetricsRegistry,
    pub(super) health: Health,
    pub(super) stage_metrics: StageMetrics,
}

impl Node {
    /// Opens the stores for the services of this process.
    pub(super) async fn open(
        config: Config,
        config_file: Option<PathBuf>,
        folder: &DataFolder,
        name: &NodeName,
        stores: Stores,
    ) -> Result<Self> {
        let artifacts = Artifacts::in_folder(&folder.artifacts())?;
        stores.log.ensure_topics(&TopicSpec::all(config.log.partitions)).await?;
        let metrics = MetricsRegistry::new();
        let member = Member::new(stores.leases().await?, Owner::new(name.as_str()), &config.coordination);
        let member = if stores.are_of_one_process() { member.alone() } else { member };
        Ok(Self {
            log: Arc::new(ClaimCheck::new(stores.log.clone(), artifacts.clone())),
            registry: stores.registry().await?,
            artifacts,
            folders: Folders::of(folder),
            warehouse: stores.warehouse().await?,
            member,
            stage_metrics: StageMetrics::new(&metrics)?,
            health: Health::default(),
            metrics,
            stores,
            config,
            config_file,
        })
    }
}
