//! Which backend each port of this process is. Nowhere else is one chosen (artifacts have one so far, a folder).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tracing::{info, warn};
use twin_coordination::Leases;
use twin_corpus::Corpus;
use twin_kafka::KafkaLog;
use twin_registry::Registry;
use twin_sqlite::{Database, SqliteCorpus, SqliteLeases, SqliteLog, SqliteVectors, SqliteWarehouse};
use twin_stream::EventLog;
use twin_telemetry::ShutdownSignal;
use twin_vectors::VectorStore;
use twin_warehouse::Warehouse;

use crate::config::{Config, LogKind};
use crate::folder::DataFolder;

/// Between two rounds of retention and compaction of the embedded log.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// The stores of a process.
#[derive(Clone)]
pub struct Stores {
    /// The log as it is: values that travel by reference are references.
    pub log: Arc<dyn EventLog>,
    database: Database,
    /// The log's own handle, if it is the embedded one.
    embedded: Option<SqliteLog>,
}

impl Stores {
    /// Opens the database of the folder, and the log.
    pub async fn open(config: &Config, kind: LogKind, folder: &DataFolder) -> Result<Self> {
        let path = folder.database();
        let database = Database::open(&path).with_context(|| path.display().to_string())?;
        match kind {
            LogKind::Sqlite => {
                let log = SqliteLog::open(database.clone(), config.log.max_value_bytes).await?;
                Ok(Self { log: Arc::new(log.clone()), database, embedded: Some(log) })
            }
            LogKind::Kafka(options) => {
                let brokers = options.brokers.clone();
                let log = KafkaLog::connect(options).await;
                let log = log.with_context(|| format!("the Kafka cluster at {brokers} can not be used"))?;
                Ok(Self { log: Arc::new(log), database, embedded: None })
            }
        }
    }

    /// Whether this is the only process that has them: the embedded log has one.
    pub fn are_of_one_process(&self) -> bool {
        self.embedded.is_some()
    }

    /// Sources, documents, the ledger and the outbox.
    pub async fn warehouse(&self) -> Result<Arc<dyn Warehouse>> {
        Ok(Arc::new(SqliteWarehouse::open(self.database.clone()).await?))
    }

    /// Who does what.
    pub async fn leases(&self) -> Result<Arc<dyn Leases>> {
        Ok(Arc::new(SqliteLeases::open(self.database.clone()).await?))
    }

    /// The learning loop's steps and rows.
    pub async fn registry(&self) -> Result<Registry> {
        Ok(twin_sqlite::registry(self.database.clone()).await?)
    }

    /// The documents that datasets are made of.
    pub async fn corpus(&self) -> Result<Arc<dyn Corpus>> {
        Ok(Arc::new(SqliteCorpus::open(self.database.clone()).await?))
    }

    /// The vector index.
    pub async fn vectors(&self) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(SqliteVectors::open(self.database.clone()).await?))
    }

    /// Keeps what is embedded in order until the shutdown begins. A damaged file is found within seconds of the start, not
    /// when somebody asks for what was on the damaged page.
    pub async fn keep(self, shutdown: ShutdownSignal) -> Result<()> {
        tokio::select! {
            checked = self.database.check() => checked.with_context(|| self.database.path().display().to_string())?,
            () = shutdown.begun() => return Ok(()),
        }
        match self.embedded {
            Some(log) => maintain(&log, &shutdown).await,
            None => return Ok(()),
        }
        Ok(())
    }
}

async fn maintain(log: &SqliteLog, shutdown: &ShutdownSignal) {
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(MAINTENANCE) => {}
        }
        match log.maintain().await {
            Ok(0) => {}
            Ok(deleted) => info!(deleted, "log records past their retention or superseded are gone"),
            Err(error) => warn!(%error, "retention and compaction failed, trying again in a minute"),
        }
    }
}

/// The vector index of a folder, without anything else of it.
pub async fn vectors(folder: &DataFolder) -> Result<Arc<dyn VectorStore>> {
    Ok(Arc::new(SqliteVectors::open(Database::open(&folder.database())?).await?))
}
