//! One partition of a stage: its queue, its worker and its low-water mark.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Context, Order};
use crate::handler::{BatchLimits, Handler};
use crate::log::{Record, TopicPartition};
use crate::low_water::LowWater;

/// Records that a worker has finished.
pub(super) struct Finished {
    pub(super) partition: TopicPartition,
    /// Which assignment of the partition: what a worker of an earlier one reports late is passed over.
    pub(super) generation: u64,
    pub(super) offsets: Vec<u64>,
    pub(super) bytes: usize,
}

/// A partition while it is this consumer's.
pub(super) struct Partition {
    pub(super) generation: u64,
    queue: mpsc::UnboundedSender<Record>,
    stop: CancellationToken,
    worker: JoinHandle<()>,
    low_water: LowWater,
    committed: Option<u64>,
    queued_events: usize,
    queued_bytes: usize,
    pub(super) paused: bool,
}

impl Partition {
    pub(super) fn start<H: Handler>(
        context: Context<H>,
        partition: TopicPartition,
        generation: u64,
        finished: mpsc::UnboundedSender<Finished>,
    ) -> Self {
        let (queue, records) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let worker = Worker { context, partition, generation, records, finished, stop: stop.clone() };
        Self {
            generation,
            queue,
            stop,
            worker: tokio::spawn(worker.run()),
            low_water: LowWater::default(),
            committed: None,
            queued_events: 0,
            queued_bytes: 0,
            paused: false,
        }
    }

    /// Queues a record for the worker.
    pub(super) fn deliver(&mut self, record: Record) {
        self.queued_events += 1;
        self.queued_bytes += record.size();
        self.low_water.delivered(record.position.offset);
        // A worker that has ended (a bug: it never ends by itself) leaves its records unfinished, so uncommitted.
        let _ = self.queue.send(record);
    }

    pub(super) fn finished(&mut self, finished: &Finished) {
        self.queued_events = self.queued_events.saturating_sub(finished.offsets.len());
        self.queued_bytes = self.queued_bytes.saturating_sub(finished.bytes);
        for offset in &finished.offsets {
            self.low_water.finished(*offset);
        }
    }

    /// Whether so much waits that the log should hold back.
    pub(super) fn is_full(&self, events: usize, bytes: usize) -> bool {
        self.queued_events >= events || self.queued_bytes >= bytes
    }

    /// The offset to commit, if it is another than the last.
    pub(super) fn uncommitted(&self) -> Option<u64> {
        self.low_water.next().filter(|next| Some(*next) != self.committed)
    }

    pub(super) fn committed(&mut self, offset: u64) {
        self.committed = Some(offset);
    }

    /// Lets the worker finish what it has begun, and nothing more.
    pub(super) fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the worker, which was told to stop; ends it at the deadline.
    pub(super) async fn stopped(&mut self, deadline: tokio::time::Instant) -> bool {
        let in_time = tokio::time::timeout_at(deadline, &mut self.worker).await.is_ok();
        if !in_time {
            self.worker.abort();
        }
        in_time
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.stop.cancel();
        self.worker.abort();
    }
}

struct Worker<H> {
    context: Context<H>,
    partition: TopicPartition,
    generation: u64,
    records: mpsc::UnboundedReceiver<Record>,
    finished: mpsc::UnboundedSender<Finished>,
    stop: CancellationToken,
}

impl<H: Handler> Worker<H> {
    async fn run(self) {
        match self.context.options.order {
            Order::PerPartition => self.run_ordered().await,
            Order::None { in_flight } => self.run_unordered(in_flight).await,
        }
    }

    async fn run_ordered(mut self) {
        let limits = self.context.options.batch;
        while let Some(batch) = next_batch(&mut self.records, &self.stop, limits).await {
            let report = self.report(&batch);
            if self.context.process(batch, &self.stop).await.is_err() {
                return;
            }
            let _ = self.finished.send(report);
        }
    }

    async fn run_unordered(mut self, in_flight: usize) {
        let mut under_way = JoinSet::new();
        let one = BatchLimits { count: 1, ..self.context.options.batch };
        loop {
            while under_way.len() >= in_flight.max(1) {
                under_way.join_next().await;
            }
            let batch = tokio::select! {
                batch = next_batch(&mut self.records, &self.stop, one) => batch,
                Some(_) = under_way.join_next() => continue,
            };
            let Some(batch) = batch else { break };
            let report = self.report(&batch);
            let (context, stop, finished) = (self.context.clone(), self.stop.clone(), self.finished.clone());
            under_way.spawn(async move {
                if context.process(batch, &stop).await.is_ok() {
                    let _ = finished.send(report);
                }
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    fn report(&self, batch: &[Record]) -> Finished {
        Finished {
            partition: self.partition.clone(),
            generation: self.generation,
            offsets: batch.iter().map(|record| record.position.offset).collect(),
            bytes: batch.iter().map(Record::size).sum(),
        }
    }
}

/// The next batch; none when it is time to stop.
async fn next_batch(
    records: &mut mpsc::UnboundedReceiver<Record>,
    stop: &CancellationToken,
    limits: BatchLimits,
) -> Option<Vec<Record>> {
    let first = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        first = records.recv() => first?,
    };
    let mut bytes = first.size();
    let mut batch = vec![first];
    let linger = tokio::time::sleep(limits.linger);
    tokio::pin!(linger);
    while batch.len() < limits.count.max(1) && bytes < limits.bytes {
        let next = match records.try_recv() {
            Ok(record) => record,
            Err(_) if limits.linger == Duration::ZERO => break,
            Err(_) => tokio::select! {
                Some(record) = records.recv() => record,
                () = &mut linger => break,
                () = stop.cancelled() => break,
            },
        };
        bytes += next.size();
        batch.push(next);
    }
    Some(batch)
}
