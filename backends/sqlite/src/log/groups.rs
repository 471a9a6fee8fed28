//! Consumer groups within the process: who has which partition, and how it changes hands.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::{SqliteLog, records};
use twin_stream::{Consumer, Delivery, Error, EventLog as _, RevokeAck, TopicPartition};

/// How long a group waits for a member to let go of a partition.
const REVOKE_DEADLINE: Duration = Duration::from_secs(30);

type GroupName = String;
type MemberId = u64;
type Owned = Arc<Mutex<HashSet<TopicPartition>>>;

/// Every group of this log.
#[derive(Default)]
pub(super) struct Groups {
    state: Mutex<HashMap<GroupName, BTreeMap<MemberId, Member>>>,
    /// One rebalance of a group at a time.
    rebalancing: Mutex<HashMap<GroupName, Arc<tokio::sync::Mutex<()>>>>,
    next_member: std::sync::atomic::AtomicU64,
}

#[derive(Clone)]
struct Member {
    partitions: Vec<TopicPartition>,
    owned: Owned,
    events: mpsc::UnboundedSender<Delivery>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Groups {
    fn members(&self, group: &str) -> Vec<Member> {
        locked(&self.state).get(group).map(|members| members.values().cloned().collect()).unwrap_or_default()
    }

    fn rebalance_lock(&self, group: &str) -> Arc<tokio::sync::Mutex<()>> {
        locked(&self.rebalancing).entry(group.to_owned()).or_default().clone()
    }

    /// Moves partitions until each member has its share: takes away first, waits, then hands out.
    async fn rebalance(&self, group: &str) {
        let lock = self.rebalance_lock(group);
        let _one_at_a_time = lock.lock().await;
        let members = self.members(group);
        let shares = shares(&members);
        let mut acknowledgements = Vec::new();
        for (member, share) in members.iter().zip(&shares) {
            let taken: Vec<_> = locked(&member.owned).difference(share).cloned().collect();
            if taken.is_empty() {
                continue;
            }
            let (ack, acknowledged) = RevokeAck::pair();
            if member.events.send(Delivery::Revoked(taken.clone(), ack)).is_ok() {
                acknowledgements.push((acknowledged, member.owned.clone(), taken));
            }
        }
        for (acknowledged, owned, taken) in acknowledgements {
            let waited = tokio::task::spawn_blocking(move || acknowledged.recv_timeout(REVOKE_DEADLINE)).await;
            if matches!(waited, Ok(Err(std::sync::mpsc::RecvTimeoutError::Timeout))) {
                warn!(group, "a consumer did not let go of its partitions in time; they are taken from it");
            }
            locked(&owned).retain(|partition| !taken.contains(partition));
        }
        for (member, share) in members.iter().zip(shares) {
            let given: Vec<_> = share.difference(&locked(&member.owned)).cloned().collect();
            if !given.is_empty() {
                locked(&member.owned).extend(given.iter().cloned());
                // A member that has just left is followed by another rebalance.
                let _ = member.events.send(Delivery::Assigned(given));
            }
        }
    }
}

/// Each member's share: partitions in order, dealt so that counts differ by one at most and as few as possible
/// change hands.
fn shares(members: &[Member]) -> Vec<HashSet<TopicPartition>> {
    let all: BTreeSet<&TopicPartition> = members.iter().flat_map(|member| &member.partitions).collect();
    let mut shares: Vec<HashSet<TopicPartition>> = vec![HashSet::new(); members.len()];
    if members.is_empty() {
        return shares;
    }
    let fair = all.len().div_ceil(members.len());
    let mut free = Vec::new();
    for partition in all {
        let owner = members.iter().position(|member| locked(&member.owned).contains(partition));
        match owner {
            Some(owner) if shares[owner].len() < fair => {
                shares[owner].insert(partition.clone());
            }
            _ => free.push(partition.clone()),
        }
    }
    for partition in free {
        let candidates = (0..members.len()).filter(|index| members[*index].partitions.contains(&partition));
        if let Some(index) = candidates.min_by_key(|index| shares[*index].len()) {
            shares[index].insert(partition);
        }
    }
    level(&mut shares, members);
    shares
}

/// Moves partitions from the fullest to the emptiest member until they differ by one at most.
fn level(shares: &mut [HashSet<TopicPartition>], members: &[Member]) {
    loop {
        let (Some(full), Some(empty)) = (
            (0..shares.len()).max_by_key(|index| shares[*index].len()),
            (0..shares.len()).min_by_key(|index| shares[*index].len()),
        ) else {
            return;
        };
        if shares[full].len() <= shares[empty].len() + 1 {
            return;
        }
        let moved = shares[full].iter().filter(|partition| members[empty].partitions.contains(partition)).max();
        let Some(moved) = moved.cloned() else { return };
        shares[full].remove(&moved);
        shares[empty].insert(moved);
    }
}

/// A member of a group.
pub(super) struct SqliteConsumer {
    log: SqliteLog,
    group: String,
    id: MemberId,
    owned: Owned,
    events: mpsc::UnboundedReceiver<Delivery>,
    appended: watch::Receiver<u64>,
    positions: BTreeMap<TopicPartition, u64>,
    paused: Mutex<HashSet<TopicPartition>>,
    /// Partitions handed to this member whose committed offsets are not read yet.
    arriving: VecDeque<Vec<TopicPartition>>,
    /// The partition that a fetch begins with, so that none starves.
    turn: usize,
}

impl SqliteConsumer {
    pub(super) fn join(log: SqliteLog, group: &str, partitions: Vec<TopicPartition>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let owned = Owned::default();
        let groups = &log.shared.groups;
        let id = groups.next_member.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let member = Member { partitions, owned: owned.clone(), events: sender };
        locked(&groups.state).entry(group.to_owned()).or_default().insert(id, member);
        let appended = log.shared.appended.subscribe();
        let consumer = Self {
            log,
            group: group.to_owned(),
            id,
            owned,
            events,
            appended,
            positions: BTreeMap::new(),
            paused: Mutex::default(),
            arriving: VecDeque::new(),
            turn: 0,
        };
        consumer.start_rebalance();
        consumer
    }

    fn start_rebalance(&self) {
        let (log, group) = (self.log.clone(), self.group.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { log.shared.groups.rebalance(&group).await });
        }
    }

    /// Reads where the group stands in partitions that have arrived.
    async fn settle(&mut self) -> Result<Option<Delivery>, Error> {
        let Some(partitions) = self.arriving.front().cloned() else { return Ok(None) };
        for partition in &partitions {
            let committed = self.log.committed(&self.group, &partition.topic).await?;
            self.positions.insert(partition.clone(), committed.get(&partition.partition).copied().unwrap_or(0));
        }
        self.arriving.pop_front();
        Ok(Some(Delivery::Assigned(partitions)))
    }

    fn take_event(&mut self, event: Delivery) -> Option<Delivery> {
        match event {
            Delivery::Assigned(partitions) => {
                self.arriving.push_back(partitions);
                None
            }
            Delivery::Revoked(partitions, ack) => {
                for partition in &partitions {
                    self.positions.remove(partition);
                    locked(&self.paused).remove(partition);
                    for arriving in &mut self.arriving {
                        arriving.retain(|other| other != partition);
                    }
                }
                Some(Delivery::Revoked(partitions, ack))
            }
            other => Some(other),
        }
    }

    /// Fetches from the partitions that are not paused.
    async fn fetch(&mut self) -> Result<Option<Delivery>, Error> {
        let mut from: Vec<_> = {
            let paused = locked(&self.paused);
            self.positions.iter().filter(|(partition, _)| !paused.contains(partition)).map(clone_pair).collect()
        };
        if from.is_empty() {
            return Ok(None);
        }
        let first = self.turn % from.len();
        from.rotate_left(first);
        let records = self.log.shared.database.read(move |c| records::fetch(c, &from, u64::MAX)).await?;
        self.turn = self.turn.wrapping_add(1);
        for record in &records {
            self.positions.insert(record.position.partition.clone(), record.position.offset + 1);
        }
        Ok((!records.is_empty()).then_some(Delivery::Records(records)))
    }
}

fn clone_pair((partition, offset): (&TopicPartition, &u64)) -> (TopicPartition, u64) {
    (partition.clone(), *offset)
}

#[async_trait]
impl Consumer for SqliteConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            while let Ok(event) = self.events.try_recv() {
                if let Some(delivery) = self.take_event(event) {
                    return Ok(delivery);
                }
            }
            if let Some(delivery) = self.settle().await? {
                return Ok(delivery);
            }
            self.appended.mark_unchanged();
            if let Some(delivery) = self.fetch().await? {
                return Ok(delivery);
            }
            tokio::select! {
                event = self.events.recv() => {
                    let event = event.ok_or(Error::Closed)?;
                    if let Some(delivery) = self.take_event(event) {
                        return Ok(delivery);
                    }
                }
                changed = self.appended.changed() => changed.map_err(|_| Error::Closed)?,
            }
        }
    }

    async fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        locked(&self.paused).extend(partitions.iter().cloned());
        Ok(())
    }

    async fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        locked(&self.paused).retain(|partition| !partitions.contains(partition));
        // Wakes `next`, which may wait for appends only.
        self.log.shared.appended.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn commit(&self, offsets: &[(TopicPartition, u64)]) -> Result<(), Error> {
        {
            let owned = locked(&self.owned);
            if let Some((foreign, _)) = offsets.iter().find(|(partition, _)| !owned.contains(partition)) {
                return Err(Error::NotAssigned(foreign.clone()));
            }
        }
        let (group, offsets) = (self.group.clone(), offsets.to_vec());
        Ok(self.log.shared.database.write(move |tx| records::commit(tx, &group, &offsets)).await?)
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for SqliteConsumer {
    /// A member that goes, in whatever way, leaves its partitions to the others.
    fn drop(&mut self) {
        let groups = &self.log.shared.groups;
        if let Some(members) = locked(&groups.state).get_mut(&self.group) {
            members.remove(&self.id);
        }
        locked(&self.owned).clear();
        self.start_rebalance();
    }
}
