use rusqlite::{Connection, OptionalExtension, params};

use super::Error;

/// A step of a component's schema: SQL that brings it from the version before to this one.
pub type Migration = &'static str;

/// Brings a component's tables to the newest version: runs the steps that the file has not seen.
pub fn migrate(connection: &Connection, component: &str, steps: &[Migration]) -> Result<(), Error> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL)",
    )?;
    let found: u32 = connection
        .query_row("SELECT version FROM schema_versions WHERE component = ?1", [component], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let known = steps.len() as u32;
    if found > known {
        return Err(Error::Newer { component: component.to_owned(), found, known });
    }
    for step in &steps[found as usize..] {
        connection.execute_batch(step)?;
    }
    connection.execute(
        "INSERT INTO schema_versions VALUES (?1, ?2) ON CONFLICT (component) DO UPDATE SET version = excluded.version",
        params![component, known],
    )?;
    Ok(())
}
