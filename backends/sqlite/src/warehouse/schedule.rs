//! Which source is synced when, and by whom.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use twin_schemas::SourceId;

use super::Failure;
use super::rows::{collect, json_text, parsed, time_text};
use super::sources;
use twin_warehouse::{Claim, LastSync, SourceRow};

/// So much two machines' clocks may differ, or one be set by, without any consequence.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Its time has come, or its last sync ended in what is now the future: then the clock was put back, and the plan for the
/// next means nothing. `?1` is now, `?2` now and what clocks differ by.
const IS_DUE: &str = "state = 'registered' AND (next_run_at <= ?1 OR finished_at > ?2)";

pub(super) fn due(c: &Connection, now: DateTime<Utc>, limit: usize) -> Result<Vec<SourceId>, Failure> {
    // As IS_DUE, with an index for each half.
    let mut statement = c.prepare_cached(
        "SELECT source_id FROM sources WHERE source_id IN (
             SELECT source_id FROM sources WHERE state = 'registered' AND next_run_at <= ?1
             UNION ALL SELECT source_id FROM sources WHERE state = 'registered' AND finished_at > ?2)
         ORDER BY next_run_at LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    collect(&mut statement, params![time_text(now), time_text(now + CLOCKS_DIFFER), limit], |row| {
        parsed("source id", &row.get::<_, String>(0)?)
    })
}

pub(super) fn claim(
    tx: &Connection,
    id: SourceId,
    epoch: u64,
    now: DateTime<Utc>,
) -> Result<Option<(Claim, SourceRow)>, Failure> {
    let mut statement = tx.prepare_cached(&format!(
        "UPDATE sources SET claim_epoch = ?4 WHERE source_id = ?3 AND claim_epoch <= ?4 AND {IS_DUE}
         RETURNING generation, requests"
    ))?;
    let parameters = params![time_text(now), time_text(now + CLOCKS_DIFFER), id.to_string(), epoch.cast_signed()];
    let claimed = statement.query_row(parameters, |row| {
        let number = |index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs);
        Ok(Claim { source_id: id, generation: number(0)?, epoch, requests: number(1)? })
    });
    let Some(claim) = claimed.optional()? else { return Ok(None) };
    Ok(sources::get(tx, id)?.map(|row| (claim, row)))
}

/// A removal bumps the generation and leaves the epoch.
pub(super) fn is_claimed(c: &Connection, claim: &Claim) -> Result<bool, Failure> {
    let mut statement = c.prepare_cached(
        "SELECT 1 FROM sources WHERE source_id = ?1 AND generation = ?2 AND claim_epoch = ?3 AND state <> 'removed'",
    )?;
    let parameters = params![claim.source_id.to_string(), claim.generation.cast_signed(), claim.epoch.cast_signed()];
    Ok(statement.exists(parameters)?)
}

/// A sync that was asked for after this one was claimed still comes, with its confirmation.
pub(super) fn finish(
    tx: &Connection,
    claim: &Claim,
    sync: &LastSync,
    cursor: &serde_json::Value,
    next_run_at: DateTime<Utc>,
) -> Result<bool, Failure> {
    let finished = tx.execute(
        "UPDATE sources SET last_sync = ?5, finished_at = ?6, cursor = ?7,
             next_run_at = iif(requests > ?4, next_run_at, ?8),
             confirmation = iif(confirmation > ?4, confirmation, 0)
         WHERE source_id = ?1 AND generation = ?2 AND claim_epoch = ?3 AND state = 'registered'",
        params![
            claim.source_id.to_string(),
            claim.generation.cast_signed(),
            claim.epoch.cast_signed(),
            claim.requests.cast_signed(),
            json_text(sync)?,
            time_text(sync.finished_at),
            json_text(cursor)?,
            time_text(next_run_at),
        ],
    )?;
    Ok(finished > 0)
}

pub(super) fn save_cursor(tx: &Connection, claim: &Claim, cursor: &serde_json::Value) -> Result<bool, Failure> {
    let saved = tx.execute(
        "UPDATE sources SET cursor = ?4
         WHERE source_id = ?1 AND generation = ?2 AND claim_epoch = ?3 AND state = 'registered'",
        params![
            claim.source_id.to_string(),
            claim.generation.cast_signed(),
            claim.epoch.cast_signed(),
            json_text(cursor)?,
        ],
    )?;
    Ok(saved > 0)
}

pub(super) fn request(tx: &Connection, id: SourceId, confirm_deletions: bool) -> Result<bool, Failure> {
    let updated = tx.execute(
        "UPDATE sources SET next_run_at = ?2, requests = requests + 1,
             confirmation = iif(?3, requests + 1, confirmation)
         WHERE source_id = ?1 AND state = 'registered'",
        params![id.to_string(), time_text(Utc::now()), confirm_deletions],
    )?;
    Ok(updated > 0)
}
