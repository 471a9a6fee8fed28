//! The loop of a stage: takes deliveries, feeds partitions, commits, drains.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info, warn};
use twin_telemetry::ShutdownSignal;

use super::Context;
use super::partition::{Finished, Partition};
use crate::Error;
use crate::handler::Handler;
use crate::log::{Consumer, Delivery, Record, TopicPartition};

/// The pause after a delivery that failed in passing.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Dispatcher<H> {
    context: Context<H>,
    consumer: Box<dyn Consumer>,
    partitions: HashMap<TopicPartition, Partition>,
    next_generation: u64,
    finished: mpsc::UnboundedReceiver<Finished>,
    report_to: mpsc::UnboundedSender<Finished>,
}

impl<H: Handler> Dispatcher<H> {
    pub(super) fn new(context: Context<H>, consumer: Box<dyn Consumer>) -> Self {
        let (report_to, finished) = mpsc::unbounded_channel();
        context.metrics.paused.with_label_values(&[&context.name]).set(0);
        Self { context, consumer, partitions: HashMap::new(), next_generation: 0, finished, report_to }
    }

    pub(super) async fn run(mut self, shutdown: ShutdownSignal) -> Result<(), Error> {
        let mut commits = tokio::time::interval(self.context.options.commit_every);
        commits.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let result = loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break Ok(()),
                Some(finished) = self.finished.recv() => self.finish(&finished).await,
                // Not while there is nothing to commit: each turn asks the log anew for what comes next.
                _ = commits.tick(), if self.has_uncommitted() => self.commit_all().await,
                delivery = self.consumer.next() => match delivery {
                    Ok(delivery) => self.take(delivery).await,
                    Err(error) if error.is_transient() => {
                        warn!(stage = self.context.name, %error, "reading failed, trying again");
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(error) => break Err(error),
                },
            }
        };
        let all = self.partitions.keys().cloned().collect();
        self.drain(all).await;
        self.consumer.close().await;
        result
    }

    async fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Assigned(assigned) => self.assign(assigned),
            Delivery::Revoked(revoked, ack) => {
                self.drain(revoked).await;
                drop(ack);
            }
            Delivery::Lost(lost, ack) => {
                warn!(stage = self.context.name, partitions = lost.len(), "lost partitions; another consumer has them");
                self.forget(&lost);
                drop(ack);
            }
            Delivery::Records(records) => self.deliver(records).await,
        }
        let count = i64::try_from(self.partitions.len()).unwrap_or(i64::MAX);
        self.context.metrics.partitions.with_label_values(&[&self.context.name]).set(count);
    }

    fn assign(&mut self, assigned: Vec<TopicPartition>) {
        debug!(stage = self.context.name, partitions = assigned.len(), "assigned");
        for partition in assigned {
            self.next_generation += 1;
            let started =
                Partition::start(self.context.clone(), partition.clone(), self.next_generation, self.report_to.clone());
            self.partitions.insert(partition, started);
        }
    }

    /// Records of a partition that is no longer ours come when they were fetched before it was taken away: whoever
    /// has it now gets them too.
    async fn deliver(&mut self, records: Vec<Record>) {
        let (events, bytes) = (self.context.options.queued_events, self.context.options.queued_bytes);
        let mut full = Vec::new();
        for record in records {
            let name = record.position.partition.clone();
            let Some(partition) = self.partitions.get_mut(&name) else { continue };
            partition.deliver(record);
            if !partition.paused && partition.is_full(events, bytes) {
                partition.paused = true;
                full.push(name);
            }
        }
        if !full.is_empty() {
            self.context.metrics.paused.with_label_values(&[&self.context.name]).add(full.len() as i64);
            if let Err(error) = self.consumer.pause(&full).await {
                warn!(stage = self.context.name, %error, "pausing failed");
            }
        }
    }

    async fn finish(&mut self, finished: &Finished) {
        let (events, bytes) = (self.context.options.queued_events / 2, self.context.options.queued_bytes / 2);
        let Some(partition) = self.partitions.get_mut(&finished.partition) else { return };
        if partition.generation != finished.generation {
            return;
        }
        partition.finished(finished);
        if partition.paused && !partition.is_full(events.max(1), bytes.max(1)) {
            partition.paused = false;
            self.context.metrics.paused.with_label_values(&[&self.context.name]).dec();
            if let Err(error) = self.consumer.resume(std::slice::from_ref(&finished.partition)).await {
                warn!(stage = self.context.name, %error, "resuming failed");
            }
        }
    }

    fn has_uncommitted(&self) -> bool {
        self.partitions.values().any(|partition| partition.uncommitted().is_some())
    }

    async fn commit_all(&mut self) {
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        self.commit(&all).await;
    }

    async fn commit(&mut self, partitions: &[TopicPartition]) {
        let next = |name: &TopicPartition| Some((name.clone(), self.partitions.get(name)?.uncommitted()?));
        let offsets: Vec<_> = partitions.iter().filter_map(next).collect();
        if offsets.is_empty() {
            return;
        }
        match self.consumer.commit(&offsets).await {
            Ok(()) => {
                for (name, offset) in offsets {
                    if let Some(partition) = self.partitions.get_mut(&name) {
                        partition.committed(offset);
                    }
                }
            }
            // The next commit covers it; if there is none, the events come again and change nothing.
            Err(error) => warn!(stage = self.context.name, %error, "commit failed"),
        }
    }

    /// Lets workers finish what they have begun, commits it, and lets the partitions go.
    async fn drain(&mut self, names: Vec<TopicPartition>) {
        let deadline = Instant::now() + self.context.options.drain;
        for name in &names {
            if let Some(partition) = self.partitions.get(name) {
                partition.begin_stop();
            }
        }
        let mut late = 0;
        for name in &names {
            if let Some(partition) = self.partitions.get_mut(name) {
                late += usize::from(!partition.stopped(deadline).await);
            }
        }
        if late > 0 {
            warn!(stage = self.context.name, partitions = late, "batches did not end in time; they come again");
        }
        while let Ok(finished) = self.finished.try_recv() {
            self.finish(&finished).await;
        }
        self.commit(&names).await;
        self.forget(&names);
        info!(stage = self.context.name, partitions = names.len(), "drained");
    }

    /// Lets the partitions go; what a worker still does ends at once.
    fn forget(&mut self, names: &[TopicPartition]) {
        for name in names {
            if let Some(partition) = self.partitions.remove(name)
                && partition.paused
            {
                self.context.metrics.paused.with_label_values(&[&self.context.name]).dec();
            }
        }
    }
}
