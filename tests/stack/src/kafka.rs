//! A real Kafka broker: one node that is its own controller (KRaft).

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use crate::place::{cache_folder, free_port, temporary_folder};
use crate::process::{Process, read_log};

/// The version in `tests/stack/kafka/pom.xml`; `scripts/kafka` leaves a marker file with it.
const VERSION: &str = "4.3.1";
/// Any 16 bytes in base64: each broker has its own folder, so clusters never meet.
const CLUSTER_ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
/// A port can be taken between its choice and its use.
const START_ATTEMPTS: usize = 3;
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How a broker is set up. The default suits most tests.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Largest record batch that the broker takes, bytes (`message.max.bytes`).
    pub message_max_bytes: u32,
    /// How often the broker looks for segments past their retention, ms (`log.retention.check.interval.ms`).
    pub log_retention_check_interval_ms: u32,
    /// Largest Java heap, MiB.
    pub heap_mib: u32,
    /// How long a start may take. Far above the usual 5 s, for busy machines.
    pub start_timeout: Duration,
    /// More lines for the broker's properties file. They win over those made here.
    pub properties: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            message_max_bytes: 1_048_588,
            log_retention_check_interval_ms: 300_000,
            heap_mib: 512,
            start_timeout: Duration::from_secs(120),
            properties: Vec::new(),
        }
    }
}

/// A broker on loopback with a folder of its own. Topics are not made by themselves.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    installation: PathBuf,
    bootstrap: String,
    // Declared before the folder: the process is gone before its data is removed.
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl Kafka {
    /// Starts a broker of its own for the caller and waits until it answers.
    ///
    /// # Errors
    /// The broker is not installed (run `scripts/kafka`), or did not start: with the end of its log.
    pub fn start(options: KafkaOptions) -> Result<Self> {
        let installation = installation()?;
        let mut attempt = 1;
        loop {
            let kafka = Self::prepare(&installation, &options)?;
            match kafka.launch() {
                Ok(process) => {
                    *kafka.process() = Some(process);
                    return Ok(kafka);
                }
                Err(_) if attempt < START_ATTEMPTS && kafka.log().contains("Address already in use") => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The broker that all tests of this process share. It lives until the process ends: use topics with
    /// names of your own, and do not stop it.
    ///
    /// # Errors
    /// As [`Kafka::start`]; each later call gives the same error.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Kafka, String>> = OnceLock::new();
        let started = SHARED.get_or_init(|| Self::start(KafkaOptions::default()).map_err(|error| format!("{error:#}")));
        started.as_ref().map_err(|message| anyhow!("{message}"))
    }

    /// The address for `bootstrap.servers`. It stays the same over restarts.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Ends the broker as a power loss of its process would (SIGKILL).
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<()> {
        self.process().take().context("the broker does not run")?.kill()
    }

    /// Stops the broker in good order.
    ///
    /// # Errors
    /// It does not run, or did not end in time and was killed.
    pub fn stop(&self) -> Result<()> {
        let code = self.process().take().context("the broker does not run")?.terminate(STOP_TIMEOUT)?;
        match code {
            // The Java runtime ends with 128 + 15 after SIGTERM, its shutdown hooks done.
            0 | 143 => Ok(()),
            code => bail!("the broker ended with code {code}"),
        }
    }

    /// Starts the broker again on its data and port, after [`Kafka::kill`] or [`Kafka::stop`]; a running
    /// one is stopped first. After a kill it takes some seconds longer, until the old session has expired.
    ///
    /// # Errors
    /// As [`Kafka::start`].
    pub fn restart(&self) -> Result<()> {
        if self.process().is_some() {
            self.stop()?;
        }
        let process = self.launch()?;
        *self.process() = Some(process);
        Ok(())
    }

    /// The broker's log since its first start.
    pub fn log(&self) -> String {
        read_log(&self.folder.path().join("broker.log"))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses ports, writes the properties file and formats the data folder.
    fn prepare(installation: &Path, options: &KafkaOptions) -> Result<Self> {
        let (port, controller_port) = (free_port()?, free_port()?);
        let kafka = Self {
            options: options.clone(),
            installation: installation.to_owned(),
            bootstrap: format!("127.0.0.1:{port}"),
            process: Mutex::new(None),
            folder: temporary_folder("kafka")?,
        };
        let properties = properties(options, port, controller_port, &kafka.folder.path().join("data"));
        fs::write(kafka.properties_file(), properties)?;
        let output = kafka
            .java("kafka.tools.StorageTool")
            .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(kafka.properties_file())
            .output()
            .context("cannot run java")?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("cannot format the broker's data folder: {}", String::from_utf8_lossy(&said));
        }
        Ok(kafka)
    }

    fn launch(&self) -> Result<Process> {
        let mut command = self.java("kafka.Kafka");
        command.arg(self.properties_file());
        let mut process = Process::start("the Kafka broker", &command, &self.folder.path().join("broker.log"))?;
        process.wait_until_ready(self.options.start_timeout, || self.answers())?;
        Ok(process)
    }

    /// Whether a client gets metadata that lists the broker, that is, whether it is registered and not fenced.
    fn answers(&self) -> bool {
        // librdkafka would wait ever longer between its attempts while nobody listens.
        if TcpStream::connect(&self.bootstrap).is_err() {
            return false;
        }
        let client: Result<BaseConsumer, _> = ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create();
        let metadata = client.and_then(|client| client.fetch_metadata(None, Duration::from_secs(2)));
        metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    fn properties_file(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// `java` with the broker's classes. The class path has to be the same text as in `scripts/kafka`, or
    /// the archive of loaded classes (AppCDS) is not used and a start takes twice as long.
    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .current_dir(&self.installation)
            .args(["-Xms128m", &format!("-Xmx{}m", self.options.heap_mib)])
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-XX:SharedArchiveFile=kafka.jsa", "-Xshare:auto"])
            .args(["-Dlog4j2.configurationFile=file:log4j2.properties", "-cp", "libs/*", class]);
        command
    }
}

/// The folder with the broker's jars.
fn installation() -> Result<PathBuf> {
    let folder = cache_folder()?.join("kafka");
    let marker = folder.join(format!(".ok-{VERSION}"));
    if !marker.exists() {
        bail!("Kafka {VERSION} is not installed: run scripts/kafka ({} does not exist)", marker.display());
    }
    Ok(folder)
}

fn properties(options: &KafkaOptions, port: u16, controller_port: u16, data: &Path) -> String {
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
message.max.bytes={message_max_bytes}
log.retention.check.interval.ms={log_retention_check_interval_ms}
",
        data = data.display(),
        message_max_bytes = options.message_max_bytes,
        log_retention_check_interval_ms = options.log_retention_check_interval_ms,
    );
    // In a Java properties file the last of several lines with one key counts.
    for (key, value) in &options.properties {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
