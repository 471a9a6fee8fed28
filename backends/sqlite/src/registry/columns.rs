//! Between columns and types.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::types::FromSql;
use rusqlite::{self, CachedStatement, Connection, Params, Row, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;
use twin_backend::Error;

/// A statement's failure as the port tells it.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    crate::Error::from(error).into()
}

pub(super) fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, Error> {
    connection.prepare_cached(sql).map_err(failed)
}

/// A column.
pub(super) fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T, Error> {
    row.get(column).map_err(failed)
}

/// A time as stored.
pub(super) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The time in a column.
pub(super) fn time(row: &Row<'_>, column: &str) -> Result<DateTime<Utc>, Error> {
    parse_time(&get::<String>(row, column)?)
}

/// The time in a column that may have none.
pub(super) fn optional_time(row: &Row<'_>, column: &str) -> Result<Option<DateTime<Utc>>, Error> {
    get::<Option<String>>(row, column)?.map(|text| parse_time(&text)).transpose()
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Error> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| unreadable("time", text, error))?;
    Ok(time.with_timezone(&Utc))
}

/// A column whose text parses.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(row: &Row<'_>, column: &str) -> Result<T, Error> {
    let text: String = get(row, column)?;
    text.parse().map_err(|error| unreadable(column, &text, error))
}

/// A column that holds the name of a value of a fieldless enum.
pub(super) fn named<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, Error> {
    let name: String = get(row, column)?;
    serde_json::from_value(name.as_str().into()).map_err(|error| unreadable(column, &name, error))
}

/// As [`named`], where there may be none.
pub(super) fn optional_named<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<Option<T>, Error> {
    let name: Option<String> = get(row, column)?;
    name.map(|name| serde_json::from_value(name.as_str().into()).map_err(|error| unreadable(column, &name, error)))
        .transpose()
}

/// A value as JSON text.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::permanent)
}

/// A value from JSON text.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| unreadable(what, text, error))
}

fn unreadable(what: &str, text: &str, error: impl std::fmt::Display) -> Error {
    let beginning: String = text.chars().take(200).collect();
    Error::permanent(format!("stored {what} can not be read: {beginning:?}: {error}"))
}

/// Every row of a query.
pub(super) fn collect<T>(
    statement: &mut Statement<'_>,
    parameters: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut rows = statement.query(parameters).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(row)?);
    }
    Ok(found)
}
