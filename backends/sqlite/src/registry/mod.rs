//! The registry's store in the embedded database.

mod columns;
mod import;
mod rows;
mod runs;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Database;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use twin_backend::Error;
use twin_schemas::{AuthorId, DatasetId, DocumentId, JobId, Split};

use columns::{collect, from_json, to_json};
use twin_registry::rules::Step;
use twin_registry::{
    JobProgress, KeptMember, Kind, Member, Metric, MetricPosition, NewStep, NotedProgress, Registry, Row, RowQuery,
    Store, Unsettled,
};

/// A step that its event is missing in the log for: `published` is null where there is no event.
const OPEN: i64 = 0;

/// The store in an SQLite file.
#[derive(Clone)]
pub struct SqliteRegistry {
    database: Database,
}

impl SqliteRegistry {
    /// Opens it, making or migrating its tables.
    pub async fn open(database: Database) -> Result<Self, Error> {
        let migrate = |tx: &Connection| -> Result<(), Error> {
            crate::migrate(tx, "registry", tables::MIGRATIONS)?;
            import::run(tx)
        };
        database.write(migrate).await?;
        Ok(Self { database })
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.database.read(work).await
    }

    async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.database.write(work).await
    }
}

/// The registry in that file.
pub async fn registry(database: Database) -> Result<Registry, Error> {
    Ok(Registry::new(Arc::new(SqliteRegistry::open(database).await?)))
}

#[async_trait]
impl Store for SqliteRegistry {
    async fn steps(&self, author: &AuthorId, after: u64, limit: usize) -> Result<Vec<Step>, Error> {
        let author = author.clone();
        self.read(move |c| steps(c, &author, after, limit)).await
    }

    async fn append(&self, step: NewStep, rows: Vec<Row>) -> Result<bool, Error> {
        self.write(move |tx| {
            let appended = append(tx, &step)?;
            if appended {
                rows::put(tx, &rows)?;
            }
            Ok(appended)
        })
        .await
    }

    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.write(move |tx| rows::put(tx, &rows)).await
    }

    async fn unsettled(&self, limit: usize) -> Result<Vec<Unsettled>, Error> {
        self.read(move |c| unsettled(c, limit)).await
    }

    async fn settle(&self, steps: &[(AuthorId, u64)]) -> Result<(), Error> {
        let steps = steps.to_vec();
        self.write(move |tx| {
            let sql = "UPDATE registry_steps SET published = 1 WHERE author = ?1 AND number = ?2";
            let mut statement = columns::prepare(tx, sql)?;
            for (author, number) in &steps {
                statement.execute(params![author.as_str(), number.cast_signed()]).map_err(columns::failed)?;
            }
            Ok(())
        })
        .await
    }

    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>, Error> {
        self.read(move |c| rows::list(c, &query)).await
    }

    async fn rows_like(&self, kind: Kind, prefix: &str) -> Result<Vec<Row>, Error> {
        let prefix = prefix.to_owned();
        self.read(move |c| rows::like(c, kind, &prefix)).await
    }

    async fn put_members(&self, dataset: &DatasetId, members: &[Member]) -> Result<(), Error> {
        let (dataset, members) = (dataset.clone(), members.to_vec());
        self.write(move |tx| runs::put_members(tx, &dataset, &members)).await
    }

    async fn mark_deleted(&self, document: DocumentId, at: DateTime<Utc>) -> Result<(), Error> {
        self.write(move |tx| runs::mark_deleted(tx, document, at)).await
    }

    async fn members(
        &self,
        dataset: &DatasetId,
        after: Option<DocumentId>,
        limit: usize,
    ) -> Result<Vec<KeptMember>, Error> {
        let dataset = dataset.clone();
        self.read(move |c| runs::members(c, &dataset, after, limit)).await
    }

    async fn deleted_members(&self, datasets: &[DatasetId]) -> Result<BTreeMap<DatasetId, u64>, Error> {
        let datasets = datasets.to_vec();
        self.read(move |c| runs::deleted_members(c, &datasets)).await
    }

    async fn datasets_with(&self, document: DocumentId) -> Result<Vec<(DatasetId, Option<Split>)>, Error> {
        self.read(move |c| runs::datasets_with(c, document)).await
    }

    async fn put_progress(&self, job: &JobId, attempt: u32, progress: &JobProgress) -> Result<bool, Error> {
        let (job, progress) = (job.clone(), progress.clone());
        self.write(move |tx| runs::put_progress(tx, &job, attempt, &progress)).await
    }

    async fn progress(&self, jobs: &[JobId]) -> Result<BTreeMap<JobId, NotedProgress>, Error> {
        let jobs = jobs.to_vec();
        self.read(move |c| runs::progress(c, &jobs)).await
    }

    async fn put_metrics(&self, job: &JobId, metrics: &[Metric]) -> Result<(), Error> {
        let (job, metrics) = (job.clone(), metrics.to_vec());
        self.write(move |tx| runs::put_metrics(tx, &job, &metrics)).await
    }

    async fn metrics(&self, job: &JobId, after: Option<&MetricPosition>, limit: usize) -> Result<Vec<Metric>, Error> {
        let (job, after) = (job.clone(), after.cloned());
        self.read(move |c| runs::metrics(c, &job, after.as_ref(), limit)).await
    }
}

fn steps(c: &Connection, author: &AuthorId, after: u64, limit: usize) -> Result<Vec<Step>, Error> {
    let sql = "SELECT number, step FROM registry_steps WHERE author = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let mut statement = columns::prepare(c, sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    collect(&mut statement, params![author.as_str(), after.cast_signed(), limit], |row| {
        let number: i64 = columns::get(row, "number")?;
        from_json(&format!("step {number} of {author}"), &columns::get::<String>(row, "step")?)
    })
}

fn append(tx: &Connection, new: &NewStep) -> Result<bool, Error> {
    let mut statement = columns::prepare(
        tx,
        "INSERT INTO registry_steps (author, number, step, event, published) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (author, number) DO NOTHING",
    )?;
    let event = new.event.as_ref().map(to_json).transpose()?;
    let published = event.as_ref().map(|_| OPEN);
    let appended = statement
        .execute(params![new.author.as_str(), new.number.cast_signed(), to_json(&new.step)?, event, published])
        .map_err(columns::failed)?;
    Ok(appended == 1)
}

fn unsettled(c: &Connection, limit: usize) -> Result<Vec<Unsettled>, Error> {
    let sql = "SELECT author, number, event FROM registry_steps WHERE published = 0 ORDER BY sequence LIMIT ?1";
    let mut statement = columns::prepare(c, sql)?;
    collect(&mut statement, [i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(Unsettled {
            author: columns::parsed(row, "author")?,
            number: columns::get::<i64>(row, "number")?.unsigned_abs(),
            event: Some(from_json("event", &columns::get::<String>(row, "event")?)?),
            rows_missing: false,
        })
    })
}
