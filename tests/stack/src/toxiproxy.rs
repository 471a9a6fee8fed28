//! A proxy between clients and a broker that delays, limits or cuts their connections.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::Kafka;
use crate::place::{cache_folder, free_port, temporary_folder};
use crate::process::Process;

/// The version in `scripts/toxiproxy`, which leaves a marker file with it.
const VERSION: &str = "2.12.0";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What is wrong with the network, in both directions and for every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    /// Everything comes so many milliseconds late.
    Latency(u32),
    /// So many kilobytes pass in a second.
    Bandwidth(u32),
    /// Connections are reset, new ones too.
    Reset,
    /// Nothing passes and nobody is told. Once it is over, the connections are closed.
    BlackHole,
}

/// A proxy in front of a broker. Dropping it ends it.
#[derive(Debug)]
pub struct Toxiproxy {
    api: String,
    address: String,
    // Declared before the folder: the process is gone before its log is removed.
    _process: Process,
    _folder: TempDir,
}

impl Toxiproxy {
    /// Starts a proxy at the address that the broker names to clients who come by it.
    ///
    /// # Errors
    /// It is not installed (run `scripts/toxiproxy`), the broker was started without
    /// [`KafkaOptions::proxied`](crate::KafkaOptions), or the proxy did not start: with the end of its log.
    pub fn in_front_of(kafka: &Kafka) -> Result<Self> {
        let installed = cache_folder()?.join("toxiproxy");
        let marker = installed.join(format!(".ok-{VERSION}"));
        if !marker.exists() {
            bail!("Toxiproxy {VERSION} is not installed: run scripts/toxiproxy ({} does not exist)", marker.display());
        }
        let (address, upstream) = kafka.proxied()?;
        let folder = temporary_folder("toxiproxy")?;
        let configuration = folder.path().join("proxies.json");
        let proxies = format!(r#"[{{"name":"kafka","listen":"{address}","upstream":"{upstream}","enabled":true}}]"#);
        fs::write(&configuration, proxies)?;
        let port = free_port()?.to_string();
        let mut command = Command::new(installed.join("toxiproxy-server"));
        command.args(["-host", "127.0.0.1", "-port", &port, "-config"]).arg(configuration);
        let mut process = Process::start("Toxiproxy", &command, &folder.path().join("toxiproxy.log"))?;
        process.wait_until_ready(START_TIMEOUT, || TcpStream::connect(&address).is_ok())?;
        Ok(Self { api: format!("127.0.0.1:{port}"), address, _process: process, _folder: folder })
    }

    /// The address for `bootstrap.servers`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on the network has this too.
    ///
    /// # Errors
    /// The proxy does not do it.
    pub fn add(&self, toxic: Toxic) -> Result<()> {
        let (name, attributes) = match toxic {
            Toxic::Latency(ms) => ("latency", format!(r#"{{"latency":{ms}}}"#)),
            Toxic::Bandwidth(kilobytes) => ("bandwidth", format!(r#"{{"rate":{kilobytes}}}"#)),
            Toxic::Reset => ("reset_peer", r#"{"timeout":0}"#.to_owned()),
            Toxic::BlackHole => ("timeout", r#"{"timeout":0}"#.to_owned()),
        };
        for stream in ["upstream", "downstream"] {
            let toxic = format!(r#"{{"type":"{name}","stream":"{stream}","attributes":{attributes}}}"#);
            self.post("/proxies/kafka/toxics", &toxic)?;
        }
        Ok(())
    }

    /// The network is well again.
    ///
    /// # Errors
    /// The proxy does not do it.
    pub fn clear(&self) -> Result<()> {
        self.post("/reset", "")
    }

    /// Written by hand, since a client library would need a runtime.
    fn post(&self, path: &str, body: &str) -> Result<()> {
        let mut stream = TcpStream::connect(&self.api).context("Toxiproxy does not answer")?;
        stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        let (api, length) = (&self.api, body.len());
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "Toxiproxy was asked for {body} and said: {answer}");
        Ok(())
    }
}
