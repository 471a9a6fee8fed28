//! What a run measured, by step.

use twin_schemas::JobId;
use twin_sqlite::rusqlite::{Connection, Row, params};

use crate::model::Metric;
use crate::rows::collect;
use crate::{Error, Registry};

impl Registry {
    /// Adds values of a run. A value of a step that is there already is replaced: a job that goes on from a checkpoint
    /// does some steps again.
    pub async fn add_metrics(&self, job: &JobId, metrics: Vec<Metric>) -> Result<(), Error> {
        let job = job.clone();
        self.write(move |tx| {
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO run_metrics VALUES (?1, ?2, ?3, ?4)")?;
            for metric in &metrics {
                insert.execute(params![job.0, metric.name, metric.step.cast_signed(), metric.value])?;
            }
            Ok(())
        })
        .await
    }

    /// Every value of a run, by name and step.
    pub async fn metrics(&self, job: &JobId) -> Result<Vec<Metric>, Error> {
        let job = job.clone();
        self.read(move |c| all(c, &job)).await
    }
}

fn all(c: &Connection, job: &JobId) -> Result<Vec<Metric>, Error> {
    let mut statement =
        c.prepare_cached("SELECT name, step, value FROM run_metrics WHERE job = ?1 ORDER BY name, step")?;
    let read = |row: &Row<'_>| {
        let step = row.get::<_, i64>("step")?.unsigned_abs();
        Ok(Metric { name: row.get("name")?, step, value: row.get("value")? })
    };
    collect(&mut statement, [&job.0], read)
}
