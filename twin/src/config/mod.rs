//! The configuration: defaults, then `twin.toml`, then `TWIN_…` variables, then flags. Validated as a whole before
//! anything starts. This is the one place that reads the environment.

mod keys;
mod layers;
mod reference;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_kafka::KafkaOptions;
use twin_onnx::EmbedderOptions;
use twin_schemas::FOLDED_BELOW;
use twin_stream::RetryOptions;
use twin_telemetry::LogOptions;
use twin_warehouse::OutboxOptions;
use url::Url;

pub use layers::{Flags, Loaded, load};
pub use reference::reference;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data folder: documents, index and, without Kafka, the event log.
    pub data: PathBuf,
    /// Address of the REST gateway, or of health and metrics where the gateway does not run.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The event log.
    pub log: LogConfig,
    /// What every stage does alike.
    pub stages: StagesConfig,
    /// Sharing work among processes.
    pub coordination: twin_coordination::Options,
    /// Publishing what was collected.
    pub outbox: OutboxOptions,
    /// Collection.
    pub crawler: twin_crawler::Options,
    /// Cleaning.
    pub cleaner: twin_cleaner::Options,
    /// Chunking.
    pub chunker: twin_chunker::Options,
    /// The embedding model.
    pub embedder: EmbedderOptions,
    /// Datasets of an author's own words.
    pub datasets: DatasetsConfig,
    /// Training.
    pub trainer: twin_trainer::Options,
    /// Evaluation and approval of trained models.
    pub evaluator: twin_evaluator::ServiceOptions,
    /// Finding passages.
    pub retrieval: twin_inference::RetrievalOptions,
    /// How questions are answered.
    pub answers: twin_inference::AnswerOptions,
    /// The model that writes answers.
    pub llm: twin_inference::LlmOptions,
    /// The REST gateway.
    pub gateway: twin_gateway::Options,
    /// Log lines of the program.
    pub telemetry: LogOptions,
}

/// Datasets of an author's own words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetsConfig {
    /// When versions are made.
    pub freeze: twin_datasets::FreezePolicy,
    /// What goes into them. The form of prompts follows `llm.prompt` where it is not set.
    pub build: twin_datasets::Options,
}

/// Which event log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `sqlite:` (in the data folder, one process), or `kafka://host:port,host:port`.
    pub url: String,
    /// Partitions of each topic when it is made: how many workers can share a stage.
    pub partitions: u32,
    /// Largest value that the embedded log takes as it is, bytes; larger ones go to the artifact folder.
    pub max_value_bytes: usize,
    /// Kafka; its brokers come from `log.url`.
    pub kafka: KafkaOptions,
}

/// What every stage does alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StagesConfig {
    /// Events handled together, at most.
    pub batch_events: usize,
    /// Events of a partition that wait before the partition is paused.
    pub queued_events: usize,
    /// Bytes of a partition that wait before the partition is paused.
    pub queued_bytes: usize,
    /// Seconds that work under way may take when a partition is taken away or the process ends.
    pub drain_s: u64,
    /// Repetitions after failures that may pass.
    pub retry: RetryOptions,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { url: "sqlite:".to_owned(), partitions: 4, max_value_bytes: 900_000, kafka: KafkaOptions::default() }
    }
}

impl Default for StagesConfig {
    fn default() -> Self {
        Self {
            batch_events: 32,
            queued_events: 256,
            queued_bytes: 16 << 20,
            drain_s: 15,
            retry: RetryOptions::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("~/.local/share/llm-twin"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            log: LogConfig::default(),
            stages: StagesConfig::default(),
            coordination: twin_coordination::Options::default(),
            outbox: OutboxOptions::default(),
            crawler: twin_crawler::Options::default(),
            cleaner: twin_cleaner::Options::default(),
            chunker: twin_chunker::Options::default(),
            embedder: EmbedderOptions {
                model_dir: PathBuf::from("~/.cache/llm-twin/models/minilm"),
                runtime_library: PathBuf::from("~/.cache/llm-twin/onnxruntime/libonnxruntime.so"),
                ..EmbedderOptions::default()
            },
            datasets: DatasetsConfig::default(),
            trainer: twin_trainer::Options::default(),
            evaluator: twin_evaluator::ServiceOptions::default(),
            retrieval: twin_inference::RetrievalOptions::default(),
            answers: twin_inference::AnswerOptions::default(),
            llm: twin_inference::LlmOptions {
                model: Path::new("~/.cache/llm-twin").join(DEFAULT_MODEL),
                ..twin_inference::LlmOptions::default()
            },
            gateway: twin_gateway::Options::default(),
            telemetry: LogOptions::default(),
        }
    }
}

/// The language model that `make models` puts into the cache folder.
const DEFAULT_MODEL: &str = "models/smollm2-135m-instruct-f32";

/// The tokenizer's file in the folder of an embedding model.
pub const TOKENIZER: &str = "tokenizer.json";

/// The event log that `log.url` names.
#[derive(Debug, Clone, PartialEq)]
pub enum LogKind {
    /// In the data folder.
    Sqlite,
    /// A cluster, with `brokers` filled in.
    Kafka(KafkaOptions),
}

impl LogKind {
    /// Its scheme in `log.url`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Kafka(_) => "kafka",
        }
    }
}

impl Config {
    /// The event log.
    pub fn log_kind(&self) -> Result<LogKind, String> {
        if self.log.url == "sqlite:" {
            return Ok(LogKind::Sqlite);
        }
        let brokers = self.log.url.strip_prefix("kafka://").map(|brokers| brokers.trim_end_matches('/'));
        let brokers = brokers.filter(|brokers| !brokers.is_empty() && brokers.split(',').all(is_host_and_port));
        let brokers = brokers
            .ok_or_else(|| format!("{:?} is neither `sqlite:` nor `kafka://host:port[,host:port…]`", self.log.url))?;
        Ok(LogKind::Kafka(KafkaOptions { brokers: brokers.to_owned(), ..self.log.kafka.clone() }))
    }

    /// Whether answers are written by the model that every installation has, wherever its cache is: nobody has chosen
    /// another, or an endpoint.
    pub fn has_default_model(&self) -> bool {
        self.llm.endpoint.is_none() && self.llm.model.ends_with(DEFAULT_MODEL)
    }

    /// What the types can not say: the first key whose value can not work, and why.
    fn problem(&self) -> Option<(&'static str, String)> {
        if let Err(problem) = self.log_kind() {
            return Some(("log.url", problem));
        }
        let positive = [
            ("log.partitions", self.log.partitions as usize),
            ("log.max_value_bytes", self.log.max_value_bytes),
            ("stages.batch_events", self.stages.batch_events),
            ("stages.queued_events", self.stages.queued_events),
            ("stages.queued_bytes", self.stages.queued_bytes),
            ("outbox.batch", self.outbox.batch),
            ("crawler.interval_s", self.crawler.interval_s as usize),
            ("crawler.max_concurrent_syncs", self.crawler.max_concurrent_syncs),
            ("crawler.per_host.max_in_flight", self.crawler.per_host.max_in_flight),
            ("retrieval.candidates", self.retrieval.candidates),
            ("trainer.attempts", self.trainer.attempts as usize),
            ("evaluator.attempts", self.evaluator.attempts as usize),
            ("llm.max_tokens", self.llm.max_tokens as usize),
            ("llm.endpoint_window", self.llm.endpoint_window as usize),
            ("llm.concurrency", self.llm.concurrency),
            ("llm.max_versions", self.llm.max_versions),
            ("llm.prompt.passages", self.llm.prompt.passages),
            ("llm.prompt.passage_chars", self.llm.prompt.passage_chars),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Some((key, "must be at least 1".to_owned()));
        }
        if self.log.partitions > 256 {
            return Some(("log.partitions", "must be at most 256".to_owned()));
        }
        if self.trainer.folds_below > FOLDED_BELOW {
            let problem = "larger versions of a dataset do not keep what folds are made of";
            return Some(("trainer.folds_below", format!("must be at most {FOLDED_BELOW}: {problem}")));
        }
        let shares = [
            ("retrieval.min_score", f64::from(self.retrieval.min_score.unwrap_or_default())),
            ("answers.min_grounded", f64::from(self.answers.min_grounded)),
            ("datasets.freeze.deleted_share", self.datasets.freeze.deleted_share),
            ("trainer.max_left_out", self.trainer.max_left_out),
            ("crawler.brake_share", self.crawler.brake_share),
        ];
        if let Some((key, _)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Some((key, "must be between 0 and 1".to_owned()));
        }
        if self.llm.endpoint.as_ref().is_some_and(|endpoint| !is_http(endpoint)) {
            return Some(("llm.endpoint", "must be an http or https URL".to_owned()));
        }
        if self.evaluator.judge_endpoint.as_ref().is_some_and(|endpoint| !is_http(endpoint)) {
            return Some(("evaluator.judge_endpoint", "must be an http or https URL".to_owned()));
        }
        if let Err(error) = self.gateway.validate() {
            return Some(("gateway", error.to_string()));
        }
        if let Err(error) = self.datasets.build.validate() {
            return Some(("datasets.build", error.to_string()));
        }
        if let Err(error) = self.evaluator.measure.validate() {
            return Some(("evaluator.measure", error.to_string()));
        }
        let chunker = self.chunker.validate().err().map(|error| ("chunker", error.to_string()));
        chunker.or_else(|| self.embedder.validate().err().map(|error| ("embedder", error.to_string())))
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn is_host_and_port(broker: &str) -> bool {
    broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
