//! Rows of all kinds in one table.

use rusqlite::{Connection, params, params_from_iter};
use twin_backend::Error;

use super::columns::{self, collect, failed, from_json, parsed, time, time_text, to_json};
use twin_registry::{Kind, Row};
use twin_registry::{RowQuery, SortOrder};

pub(super) fn put(tx: &Connection, rows: &[Row]) -> Result<(), Error> {
    let mut statement = columns::prepare(
        tx,
        "INSERT INTO registry_rows (kind, id, author, state, at, step, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (kind, id) DO UPDATE SET state = excluded.state, at = excluded.at, step = excluded.step,
             body = excluded.body WHERE excluded.step >= registry_rows.step",
    )?;
    for row in rows {
        let (author, step, body) = (row.author.as_str(), row.step.cast_signed(), to_json(&row.body)?);
        statement
            .execute(params![row.kind.as_str(), row.id, author, row.state, time_text(row.at), step, body])
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn list(c: &Connection, query: &RowQuery) -> Result<Vec<Row>, Error> {
    let mut sql = "SELECT * FROM registry_rows WHERE kind = ?".to_owned();
    let mut values = vec![query.kind.as_str().to_owned()];
    if let Some(author) = &query.author {
        sql += " AND author = ?";
        values.push(author.to_string());
    }
    if !query.states.is_empty() {
        sql += &format!(" AND state IN ({})", vec!["?"; query.states.len()].join(", "));
        values.extend(query.states.iter().cloned());
    }
    let (compared, direction) = match query.order {
        SortOrder::OldestFirst => (">", "ASC"),
        SortOrder::NewestFirst => ("<", "DESC"),
    };
    if let Some(after) = &query.after {
        sql += &format!(" AND (at, id) {compared} (?, ?)");
        values.extend([time_text(after.at), after.id.clone()]);
    }
    sql += &format!(" ORDER BY at {direction}, id {direction} LIMIT {}", query.limit);
    let mut statement = columns::prepare(c, &sql)?;
    collect(&mut statement, params_from_iter(values), |row| read(query.kind, row))
}

pub(super) fn like(c: &Connection, kind: Kind, prefix: &str) -> Result<Vec<Row>, Error> {
    // No id has a character above `~`.
    let sql = "SELECT * FROM registry_rows WHERE kind = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT 2";
    let mut statement = columns::prepare(c, sql)?;
    collect(&mut statement, [kind.as_str(), prefix, &format!("{prefix}~")], |row| read(kind, row))
}

fn read(kind: Kind, row: &rusqlite::Row<'_>) -> Result<Row, Error> {
    Ok(Row {
        kind,
        id: columns::get(row, "id")?,
        author: parsed(row, "author")?,
        state: columns::get(row, "state")?,
        at: time(row, "at")?,
        step: columns::get::<i64>(row, "step")?.unsigned_abs(),
        body: from_json(kind.as_str(), &columns::get::<String>(row, "body")?)?,
    })
}
