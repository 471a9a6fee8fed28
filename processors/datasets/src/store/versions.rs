//! Which versions were frozen, and of what.

use chrono::{DateTime, SecondsFormat, Utc};
use twin_schemas::{AuthorId, DatasetId};
use twin_sqlite::rusqlite::{Connection, OptionalExtension, params};

use crate::store::DocumentStore;
use crate::{Built, Error};

/// A frozen version, as far as the next one depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenVersion {
    /// The version.
    pub dataset: DatasetId,
    /// Its number among the author's.
    pub number: u32,
    /// The artifact that holds its manifest.
    pub manifest: String,
    /// The author's newest change that it was made of: later ones are new to it.
    pub changed: u64,
    /// When it was frozen.
    pub frozen_at: DateTime<Utc>,
}

impl DocumentStore {
    /// Notes a version. Noting it again changes nothing.
    pub async fn frozen(&self, built: &Built) -> Result<(), Error> {
        let manifest = built.manifest.clone();
        let (artifact, changed) = (built.manifest_artifact.clone(), built.changed);
        let note = move |tx: &Connection| -> Result<(), Error> {
            tx.prepare_cached(
                "INSERT INTO dataset_versions VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (dataset) DO NOTHING",
            )?
            .execute(params![
                manifest.dataset.0,
                manifest.author.as_str(),
                manifest.number,
                artifact,
                changed.cast_signed(),
                manifest.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            ])?;
            Ok(())
        };
        self.database.write(note).await
    }

    /// The author's version with the highest number.
    pub async fn last_frozen(&self, author: AuthorId) -> Result<Option<FrozenVersion>, Error> {
        let read = move |connection: &Connection| -> Result<Option<FrozenVersion>, Error> {
            let mut statement = connection.prepare_cached(
                "SELECT dataset, number, manifest, changed, frozen_at FROM dataset_versions
                 WHERE author = ?1 ORDER BY number DESC LIMIT 1",
            )?;
            let found = statement
                .query_row([author.as_str()], |row| {
                    let version = FrozenVersion {
                        dataset: DatasetId(row.get(0)?),
                        number: row.get(1)?,
                        manifest: row.get(2)?,
                        changed: row.get::<_, i64>(3)?.unsigned_abs(),
                        frozen_at: DateTime::UNIX_EPOCH,
                    };
                    Ok((version, row.get::<_, String>(4)?))
                })
                .optional()?;
            let Some((version, at)) = found else { return Ok(None) };
            let at = DateTime::parse_from_rfc3339(&at).map_err(|error| Error::Row(format!("time {at:?}: {error}")))?;
            Ok(Some(FrozenVersion { frozen_at: at.to_utc(), ..version }))
        };
        self.database.read(read).await
    }
}
