//! What is no step: the documents of versions, and what runs say of themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use twin_backend::Error;
use twin_registry::{JobProgress, KeptMember, Member, Metric, MetricPosition, NotedProgress, Placement};
use twin_schemas::{DatasetId, DocumentId, JobId, Revision, Split};

use super::columns::{self, collect, failed, from_json, optional_named, optional_time, parsed, time_text, to_json};

pub(super) fn put_members(tx: &Connection, dataset: &DatasetId, members: &[Member]) -> Result<(), Error> {
    let sql = "INSERT INTO dataset_members (dataset, document_id, revision, passages, split, split_rule)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (dataset, document_id) DO UPDATE
               SET passages = excluded.passages, split = excluded.split, split_rule = excluded.split_rule
               WHERE dataset_members.split IS NULL";
    let mut statement = columns::prepare(tx, sql)?;
    for member in members {
        let (document, revision) = (member.document_id.to_string(), member.revision.0.cast_signed());
        let split = member.placement.map(|placement| placement.split.as_str());
        let rule = member.placement.map(|placement| to_json(&placement.rule)).transpose()?;
        let values = params![dataset.0, document, revision, member.passages.cast_signed(), split, rule];
        statement.execute(values).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn mark_deleted(tx: &Connection, document: DocumentId, at: DateTime<Utc>) -> Result<(), Error> {
    let sql = "UPDATE dataset_members SET deleted_at = ?2 WHERE document_id = ?1 AND deleted_at IS NULL";
    columns::prepare(tx, sql)?.execute(params![document.to_string(), time_text(at)]).map_err(failed)?;
    Ok(())
}

pub(super) fn members(
    c: &Connection,
    dataset: &DatasetId,
    after: Option<DocumentId>,
    limit: usize,
) -> Result<Vec<KeptMember>, Error> {
    let sql = "SELECT document_id, revision, passages, split, split_rule, deleted_at FROM dataset_members
               WHERE dataset = ?1 AND document_id > ?2 ORDER BY document_id LIMIT ?3";
    let mut statement = columns::prepare(c, sql)?;
    // No document has an empty id.
    let after = after.map_or(String::new(), |after| after.to_string());
    collect(&mut statement, params![dataset.0, after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let member = Member {
            document_id: parsed(row, "document_id")?,
            revision: Revision(columns::get::<i64>(row, "revision")?.unsigned_abs()),
            passages: columns::get::<i64>(row, "passages")?.unsigned_abs(),
            placement: placement(row)?,
        };
        Ok(KeptMember { member, deleted_at: optional_time(row, "deleted_at")? })
    })
}

fn placement(row: &Row<'_>) -> Result<Option<Placement>, Error> {
    let rule: Option<String> = columns::get(row, "split_rule")?;
    let (Some(split), Some(rule)) = (optional_named(row, "split")?, rule) else { return Ok(None) };
    Ok(Some(Placement { split, rule: from_json("rule of a split", &rule)? }))
}

pub(super) fn deleted_members(c: &Connection, datasets: &[DatasetId]) -> Result<BTreeMap<DatasetId, u64>, Error> {
    let sql = "SELECT count(*) FROM dataset_members WHERE dataset = ?1 AND deleted_at IS NOT NULL AND passages > 0";
    let mut statement = columns::prepare(c, sql)?;
    let mut counts = BTreeMap::new();
    for dataset in datasets {
        let count: i64 = statement.query_row([&dataset.0], |row| row.get(0)).map_err(failed)?;
        counts.insert(dataset.clone(), count.unsigned_abs());
    }
    Ok(counts)
}

pub(super) fn datasets_with(c: &Connection, document: DocumentId) -> Result<Vec<(DatasetId, Option<Split>)>, Error> {
    let sql = "SELECT dataset, split FROM dataset_members WHERE document_id = ?1 AND passages > 0";
    let mut statement = columns::prepare(c, sql)?;
    collect(&mut statement, [document.to_string()], |row| {
        Ok((DatasetId(columns::get(row, "dataset")?), optional_named(row, "split")?))
    })
}

/// Whether it is noted: no higher attempt, and no higher step of this one, is there.
pub(super) fn put_progress(tx: &Connection, job: &JobId, attempt: u32, progress: &JobProgress) -> Result<bool, Error> {
    let sql = "INSERT INTO job_progress (job, progress, attempt, step) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (job) DO UPDATE
               SET progress = excluded.progress, attempt = excluded.attempt, step = excluded.step
               WHERE (excluded.attempt, excluded.step) >= (job_progress.attempt, job_progress.step)";
    let values = params![job.0, to_json(progress)?, attempt, progress.step.cast_signed()];
    Ok(columns::prepare(tx, sql)?.execute(values).map_err(failed)? > 0)
}

pub(super) fn progress(c: &Connection, jobs: &[JobId]) -> Result<BTreeMap<JobId, NotedProgress>, Error> {
    let mut statement = columns::prepare(c, "SELECT attempt, progress FROM job_progress WHERE job = ?1")?;
    let mut found = BTreeMap::new();
    for job in jobs {
        let noted = statement.query_row([&job.0], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
        if let Some((attempt, text)) = noted.optional().map_err(failed)? {
            found.insert(job.clone(), NotedProgress { attempt, progress: from_json("progress", &text)? });
        }
    }
    Ok(found)
}

pub(super) fn put_metrics(tx: &Connection, job: &JobId, metrics: &[Metric]) -> Result<(), Error> {
    let mut statement = columns::prepare(tx, "INSERT OR REPLACE INTO run_metrics VALUES (?1, ?2, ?3, ?4)")?;
    for metric in metrics {
        let values = params![job.0, metric.name, metric.step.cast_signed(), metric.value];
        statement.execute(values).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn metrics(
    c: &Connection,
    job: &JobId,
    after: Option<&MetricPosition>,
    limit: usize,
) -> Result<Vec<Metric>, Error> {
    let sql = "SELECT name, step, value FROM run_metrics WHERE job = ?1 AND (name, step) > (?2, ?3)
               ORDER BY name, step LIMIT ?4";
    let mut statement = columns::prepare(c, sql)?;
    // No metric has an empty name.
    let (name, step) = after.map_or(("", 0), |after| (after.name.as_str(), after.step.cast_signed()));
    collect(&mut statement, params![job.0, name, step, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let step = columns::get::<i64>(row, "step")?.unsigned_abs();
        Ok(Metric { name: columns::get(row, "name")?, step, value: columns::get(row, "value")? })
    })
}
