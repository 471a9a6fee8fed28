//! Leases in the embedded database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::{Database, Error as Sqlite, Migration};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use twin_backend::Error;
use uuid::Uuid;

use twin_coordination::{Epoch, Lease, Leases, Owner};

/// A row stays when its lease is given up: the epoch must not go back.
const MIGRATIONS: &[Migration] = &["
CREATE TABLE leases (
    name     TEXT PRIMARY KEY,
    epoch    INTEGER NOT NULL,
    renewals INTEGER NOT NULL,
    ttl_ms   INTEGER NOT NULL,
    -- Both null: nobody holds it.
    node     TEXT,
    process  TEXT
) WITHOUT ROWID;
"];

/// Leases in an SQLite file. Clones share what they have watched.
#[derive(Clone)]
pub struct SqliteLeases {
    database: Database,
    watched: Arc<Mutex<Watched>>,
}

impl SqliteLeases {
    /// Opens them, making or migrating their table.
    pub async fn open(database: Database) -> Result<Self, Error> {
        database.write(|tx| crate::migrate(tx, "coordination", MIGRATIONS)).await?;
        Ok(Self { database, watched: Arc::default() })
    }

    fn has_stood_still(&self, name: &str, current: &Current) -> bool {
        self.watched.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).has_stood_still(name, current)
    }
}

#[async_trait]
impl Leases for SqliteLeases {
    async fn acquire(&self, name: &str, owner: &Owner, ttl: Duration) -> Result<Option<Lease>, Error> {
        let (key, wanted) = (name.to_owned(), owner.clone());
        let seen = self.database.read(move |c| current(c, &key)).await?;
        // What is decided on the way to a write is decided by the row that is written.
        let others = seen.as_ref().filter(|seen| seen.owner.as_ref().is_some_and(|holder| holder != owner));
        let stands_still = others.filter(|seen| self.has_stood_still(name, seen)).cloned();
        if next_epoch(seen.as_ref(), owner, stands_still.as_ref()).is_none() {
            return Ok(None);
        }
        let key = name.to_owned();
        let taken = move |tx: &Connection| {
            let current = current(tx, &key)?;
            let Some(epoch) = next_epoch(current.as_ref(), &wanted, stands_still.as_ref()) else { return Ok(None) };
            take(tx, &key, &wanted, epoch, ttl)?;
            Ok(Some(Lease { name: key.clone(), owner: wanted.clone(), epoch }))
        };
        Ok(self.database.write::<_, Sqlite, _>(taken).await?)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        let lease = lease.clone();
        let renew = move |tx: &Connection| -> Result<bool, Sqlite> {
            let mut statement = tx.prepare_cached(
                "UPDATE leases SET renewals = renewals + 1, ttl_ms = ?4 WHERE name = ?1 AND epoch = ?2 AND process = ?3",
            )?;
            let renewed = statement.execute(params![
                lease.name,
                lease.epoch.cast_signed(),
                lease.owner.process().to_string(),
                milliseconds(ttl)
            ])?;
            Ok(renewed > 0)
        };
        Ok(self.database.write(renew).await?)
    }

    async fn release(&self, lease: &Lease) -> Result<(), Error> {
        let lease = lease.clone();
        let release = move |tx: &Connection| -> Result<(), Sqlite> {
            let mut statement = tx.prepare_cached(
                "UPDATE leases SET node = NULL, process = NULL WHERE name = ?1 AND epoch = ?2 AND process = ?3",
            )?;
            statement.execute(params![lease.name, lease.epoch.cast_signed(), lease.owner.process().to_string()])?;
            Ok(())
        };
        Ok(self.database.write(release).await?)
    }

    async fn holders(&self, prefix: &str) -> Result<Vec<Lease>, Error> {
        let prefix = prefix.to_owned();
        let read = move |c: &Connection| -> Result<Vec<(String, Current)>, Sqlite> {
            let mut statement = c.prepare_cached(
                "SELECT name, epoch, renewals, ttl_ms, node, process FROM leases
                 WHERE name >= ?1 AND name < ?1 || char(1114111) AND process IS NOT NULL ORDER BY name",
            )?;
            let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, read(row, 1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        let rows = self.database.read(read).await?;
        let live = rows.into_iter().filter(|(name, current)| !self.has_stood_still(name, current));
        let lease = |(name, current): (String, Current)| {
            let Current { owner, epoch, .. } = current;
            owner.map(|owner| Lease { name, owner, epoch })
        };
        Ok(live.filter_map(lease).collect())
    }
}

/// A lease as stored.
#[derive(Clone, PartialEq, Eq)]
struct Current {
    epoch: Epoch,
    renewals: i64,
    ttl: Duration,
    owner: Option<Owner>,
}

/// The epoch with which `owner` may hold the lease; none if another holds it. `stands_still` is what was seen not to move
/// for its time to live.
fn next_epoch(current: Option<&Current>, owner: &Owner, stands_still: Option<&Current>) -> Option<Epoch> {
    let Some(current) = current else { return Some(1) };
    match &current.owner {
        Some(holder) if holder == owner => Some(current.epoch),
        Some(holder) if holder.node() != owner.node() && stands_still != Some(current) => None,
        Some(_) | None => Some(current.epoch + 1),
    }
}

fn current(c: &Connection, name: &str) -> Result<Option<Current>, Sqlite> {
    let mut statement =
        c.prepare_cached("SELECT epoch, renewals, ttl_ms, node, process FROM leases WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| read(row, 0)).optional()?)
}

/// The columns of [`Current`], from the one with this index on.
fn read(row: &Row<'_>, first: usize) -> Result<Current, rusqlite::Error> {
    let process: Option<String> = row.get(first + 4)?;
    let process = process
        .map(|process| Uuid::parse_str(&process))
        .transpose()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(first + 4, Type::Text, Box::new(error)))?;
    let node: Option<String> = row.get(first + 3)?;
    Ok(Current {
        epoch: row.get::<_, i64>(first)?.unsigned_abs(),
        renewals: row.get(first + 1)?,
        ttl: Duration::from_millis(row.get::<_, i64>(first + 2)?.unsigned_abs()),
        owner: node.zip(process).map(|(node, process)| Owner::of(node, process)),
    })
}

fn take(tx: &Connection, name: &str, owner: &Owner, epoch: Epoch, ttl: Duration) -> Result<(), Sqlite> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO leases VALUES (?1, ?2, 0, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, renewals = renewals + 1, ttl_ms = excluded.ttl_ms,
             node = excluded.node, process = excluded.process",
    )?;
    let process = owner.process().to_string();
    statement.execute(params![name, epoch.cast_signed(), milliseconds(ttl), owner.node(), process])?;
    Ok(())
}

fn milliseconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

/// What this process has seen of leases that others hold, and since when by its own monotonic clock.
#[derive(Default)]
struct Watched(HashMap<String, (Current, Instant)>);

/// Leases remembered before those whose time has long passed are forgotten.
const REMEMBERED: usize = 1024;

impl Watched {
    fn has_stood_still(&mut self, name: &str, current: &Current) -> bool {
        let now = Instant::now();
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (seen, since)| now.duration_since(*since) < seen.ttl * 2);
        }
        match self.0.get(name) {
            Some((seen, since)) if seen == current => now.duration_since(*since) >= current.ttl,
            _ => {
                self.0.insert(name.to_owned(), (current.clone(), now));
                false
            }
        }
    }
}
