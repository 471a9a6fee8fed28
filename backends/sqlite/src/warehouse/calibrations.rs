//! From which score on an author's questions are answered: a row for each author.

use rusqlite::{Connection, Row, params};
use twin_schemas::AuthorId;
use twin_warehouse::Calibration;

use super::Failure;
use super::rows::{collect, json, json_text};

pub(super) fn put(tx: &Connection, calibration: &Calibration) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO calibrations (author, calibration) VALUES (?1, ?2)
         ON CONFLICT (author) DO UPDATE SET calibration = excluded.calibration",
    )?
    .execute(params![calibration.author.as_str(), json_text(calibration)?])?;
    Ok(())
}

pub(super) fn get(c: &Connection, author: &AuthorId) -> Result<Option<Calibration>, Failure> {
    let mut statement = c.prepare_cached("SELECT calibration FROM calibrations WHERE author = ?1")?;
    Ok(collect(&mut statement, [author.as_str()], read)?.pop())
}

pub(super) fn list(c: &Connection, after: Option<&AuthorId>, limit: usize) -> Result<Vec<Calibration>, Failure> {
    let mut statement =
        c.prepare_cached("SELECT calibration FROM calibrations WHERE author > ?1 ORDER BY author LIMIT ?2")?;
    // Before every name.
    let after = after.map_or("", AuthorId::as_str);
    collect(&mut statement, params![after, i64::try_from(limit).unwrap_or(i64::MAX)], read)
}

fn read(row: &Row<'_>) -> Result<Calibration, Failure> {
    json("calibration", &row.get::<_, String>(0)?)
}
