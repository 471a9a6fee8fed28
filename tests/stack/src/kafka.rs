//! A real Kafka broker, which is a controller too (KRaft).

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use crate::place::{cache_folder, temporary_folder};
use crate::process::{Process, read_log};
use crate::seat::Seat;

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
    /// Whether clients can also come by a second address, at which a [`Toxiproxy`](crate::Toxiproxy) is to listen.
    pub proxied: bool,
    /// Name and password of the one user (SASL/PLAIN) whom the address [`Kafka::secured`] lets in.
    pub user: Option<(String, String)>,
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
            proxied: false,
            user: None,
            properties: Vec::new(),
        }
    }
}

/// A broker on loopback with a folder of its own. Topics are not made by themselves.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    installation: PathBuf,
    seat: Seat,
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
        let mut attempt = 1;
        loop {
            let kafka = Self::prepare(&options, Seat::alone(options.proxied)?)?;
            match kafka.restart() {
                Ok(()) => return Ok(kafka),
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

    /// The address that asks for [`KafkaOptions::user`].
    pub fn secured(&self) -> String {
        format!("127.0.0.1:{}", self.seat.secured)
    }

    /// Where a proxy has to listen, and where it has to connect to.
    ///
    /// # Errors
    /// The broker was started without [`KafkaOptions::proxied`].
    pub(crate) fn proxied(&self) -> Result<(String, String)> {
        let (port, advertised) = self.seat.proxied.context("the broker was started without `proxied`")?;
        Ok((format!("127.0.0.1:{advertised}"), format!("127.0.0.1:{port}")))
    }

    /// Whether it was neither killed nor stopped.
    pub(crate) fn is_started(&self) -> bool {
        self.process().is_some()
    }

    /// Its id in its cluster.
    pub(crate) fn node(&self) -> i32 {
        self.seat.node
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
        if self.is_started() {
            self.stop()?;
        }
        self.launch()?;
        self.wait_until_ready()
    }

    /// The broker's log since its first start.
    pub fn log(&self) -> String {
        read_log(&self.folder.path().join("broker.log"))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the properties file and formats the data folder.
    pub(crate) fn prepare(options: &KafkaOptions, seat: Seat) -> Result<Self> {
        let kafka = Self {
            options: options.clone(),
            installation: installation()?,
            bootstrap: format!("127.0.0.1:{}", seat.port),
            seat,
            process: Mutex::new(None),
            folder: temporary_folder("kafka")?,
        };
        let properties = kafka.seat.properties(options, &kafka.folder.path().join("data"));
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

    /// Starts the process. A broker of a cluster is ready only when others have been launched too.
    pub(crate) fn launch(&self) -> Result<()> {
        let mut command = self.java("kafka.Kafka");
        command.arg(self.properties_file());
        let process = Process::start("the Kafka broker", &command, &self.folder.path().join("broker.log"))?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Waits until the launched broker answers.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let mut process = self.process().take().context("the broker does not run")?;
        process.wait_until_ready(self.options.start_timeout, || self.answers())?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Whether a client gets metadata that lists the broker, that is, whether it is registered and not fenced.
    fn answers(&self) -> bool {
        // librdkafka would wait ever longer between its attempts while nobody listens.
        if TcpStream::connect(&self.bootstrap).is_err() {
            return false;
        }
        let client: Result<BaseConsumer, _> = ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create();
        let metadata = client.and_then(|client| client.fetch_metadata(None, Duration::from_secs(2)));
        metadata.is_ok_and(|metadata| metadata.brokers().iter().any(|broker| broker.id() == self.seat.node))
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
