//! A broker's place in its cluster, and the properties file that says so.

use std::path::Path;

use anyhow::Result;

use crate::KafkaOptions;
use crate::place::free_port;

/// A broker's place: who it is, where it listens, and who is there besides.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    /// Its id, from 1.
    pub(crate) node: i32,
    /// Where clients and other brokers come.
    pub(crate) port: u16,
    /// A second listener for clients, and the port that they are told instead of it.
    pub(crate) proxied: Option<(u16, u16)>,
    /// A listener that lets nobody in without a password.
    pub(crate) secured: u16,
    controller_port: u16,
    /// `id@host:port` of each controller.
    voters: String,
    brokers: usize,
}

impl Seat {
    /// The place of a broker without others.
    pub(crate) fn alone(proxied: bool) -> Result<Self> {
        let proxied = if proxied { Some((free_port()?, free_port()?)) } else { None };
        let (port, controller_port) = (free_port()?, free_port()?);
        let secured = free_port()?;
        Ok(Self { node: 1, port, proxied, secured, controller_port, voters: voter(1, controller_port), brokers: 1 })
    }

    /// The places of a cluster.
    pub(crate) fn cluster(brokers: usize) -> Result<Vec<Self>> {
        let seat = || Ok(Self { brokers, ..Self::alone(false)? });
        let mut seats: Vec<Self> = (0..brokers).map(|_| seat()).collect::<Result<_>>()?;
        for (node, seat) in (1..).zip(&mut seats) {
            seat.node = node;
        }
        let voters: Vec<String> = seats.iter().map(|seat| voter(seat.node, seat.controller_port)).collect();
        for seat in &mut seats {
            seat.voters = voters.join(",");
        }
        Ok(seats)
    }

    /// The text of the broker's properties file.
    pub(crate) fn properties(&self, options: &KafkaOptions, data: &Path) -> String {
        let Self { node, port, controller_port, voters, .. } = self;
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut advertised = listeners.clone();
        if let Some((port, told)) = self.proxied {
            listeners.push_str(&format!(",PROXIED://127.0.0.1:{port}"));
            advertised.push_str(&format!(",PROXIED://127.0.0.1:{told}"));
        }
        let mut users = String::new();
        if let Some((name, password)) = &options.user {
            let secured = format!(",SECURED://127.0.0.1:{}", self.secured);
            listeners.push_str(&secured);
            advertised.push_str(&secured);
            users = format!(
                "sasl.enabled.mechanisms=PLAIN\nlistener.name.secured.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required user_{name}=\"{password}\";"
            );
        }
        let (replicas, in_sync) = (self.brokers, self.brokers.div_ceil(2));
        let mut text = format!(
            "process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
{users}
log.dirs={data}
num.partitions=3
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=5
transaction.state.log.replication.factor={replicas}
transaction.state.log.num.partitions=5
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
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
}

fn voter(node: i32, controller_port: u16) -> String {
    format!("{node}@127.0.0.1:{controller_port}")
}
