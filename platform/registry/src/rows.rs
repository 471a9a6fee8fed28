//! Between columns and types.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use twin_sqlite::rusqlite::{Params, Row, Statement};

use crate::Error;

/// A time as stored.
pub(crate) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The time in a column.
pub(crate) fn time(row: &Row<'_>, column: &str) -> Result<DateTime<Utc>, Error> {
    parse_time(&row.get::<_, String>(column)?)
}

/// The time in a column that may have none.
pub(crate) fn optional_time(row: &Row<'_>, column: &str) -> Result<Option<DateTime<Utc>>, Error> {
    row.get::<_, Option<String>>(column)?.map(|text| parse_time(&text)).transpose()
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Error> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| unreadable("time", text, error))?;
    Ok(time.with_timezone(&Utc))
}

/// A column whose text parses.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(row: &Row<'_>, column: &'static str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| unreadable(column, &text, error))
}

/// The name of a value of a fieldless enum, as in JSON.
pub(crate) fn name_of(value: &impl Serialize) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(Error::Stored { what: "name", problem: format!("{other:?}") }),
    }
}

/// A column that holds the name of a value of a fieldless enum.
pub(crate) fn named<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<T, Error> {
    let name: String = row.get(column)?;
    serde_json::from_value(name.as_str().into()).map_err(|error| unreadable(column, &name, error))
}

/// As [`named`], where there may be none.
pub(crate) fn optional_named<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<Option<T>, Error> {
    let name: Option<String> = row.get(column)?;
    name.map(|name| serde_json::from_value(name.as_str().into()).map_err(|error| unreadable(column, &name, error)))
        .transpose()
}

/// A value as JSON text.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Stored { what: "value", problem: error.to_string() })
}

/// A column of JSON text.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &'static str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, &text, error))
}

fn unreadable(what: &'static str, text: &str, error: impl std::fmt::Display) -> Error {
    Error::Stored { what, problem: format!("{text:?}: {error}") }
}

/// Every row of a query.
pub(crate) fn collect<T>(
    statement: &mut Statement<'_>,
    parameters: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
