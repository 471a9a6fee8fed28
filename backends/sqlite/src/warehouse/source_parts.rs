//! What belongs to a source and is no part of its row: its secrets, and the files that were uploaded to it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use twin_schemas::SourceId;
use twin_warehouse::{Claim, Error, FileStored, Page, Secret, Secrets, UploadedFile};

use super::Failure;
use super::documents::fence;
use super::rows::{collect, json_text, one_more, parsed, time, time_text};

pub(super) fn put_secrets(tx: &Connection, source: SourceId, secrets: &Secrets) -> Result<(), Failure> {
    let texts: BTreeMap<&str, &str> = secrets.iter().map(|(name, secret)| (name, secret.expose())).collect();
    tx.execute(
        "INSERT INTO source_secrets (source_id, secrets) VALUES (?1, ?2)
         ON CONFLICT (source_id) DO UPDATE SET secrets = excluded.secrets",
        params![source.to_string(), json_text(&texts)?],
    )?;
    Ok(())
}

pub(super) fn secrets(c: &Connection, source: SourceId) -> Result<Secrets, Failure> {
    let mut statement = c.prepare_cached("SELECT secrets FROM source_secrets WHERE source_id = ?1")?;
    let text: Option<String> = statement.query_row([source.to_string()], |row| row.get(0)).optional()?;
    let Some(text) = text else { return Ok(Secrets::default()) };
    // The error of what can not be read would show it.
    let texts: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|_| Error::Stored { what: "secrets", problem: "they are no JSON object of texts".to_owned() })
        .map_err(Failure::Port)?;
    Ok(texts.into_iter().map(|(name, text)| (name, Secret::new(text))).collect())
}

pub(super) fn forget_secrets(tx: &Connection, source: SourceId) -> Result<(), Failure> {
    tx.execute("DELETE FROM source_secrets WHERE source_id = ?1", [source.to_string()])?;
    Ok(())
}

pub(super) fn forget_secrets_claimed(tx: &Connection, removal: &Claim) -> Result<(), Failure> {
    fence(tx, removal)?;
    forget_secrets(tx, removal.source_id)
}

const FILE_COLUMNS: &str = "source_id, name, artifact, bytes, uploaded_at";

pub(super) fn put_file(tx: &Connection, file: &UploadedFile, most: usize) -> Result<FileStored, Failure> {
    let source = file.source_id.to_string();
    let mut registered = tx.prepare_cached("SELECT 1 FROM sources WHERE source_id = ?1 AND state = 'registered'")?;
    if !registered.exists([&source])? {
        return Ok(FileStored::NotRegistered);
    }
    let mut named = tx.prepare_cached("SELECT 1 FROM source_files WHERE source_id = ?1 AND name = ?2")?;
    let was_there = named.exists([&source, &file.name])?;
    let mut counted = tx.prepare_cached("SELECT count(*) FROM source_files WHERE source_id = ?1")?;
    if !was_there && counted.query_row([&source], |row| row.get::<_, i64>(0))? >= at_most(most) {
        return Ok(FileStored::Full);
    }
    tx.execute(
        "INSERT INTO source_files (source_id, name, artifact, bytes, uploaded_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (source_id, name) DO UPDATE SET artifact = excluded.artifact, bytes = excluded.bytes,
             uploaded_at = excluded.uploaded_at",
        params![source, file.name, file.artifact, file.bytes.cast_signed(), time_text(file.uploaded_at)],
    )?;
    Ok(if was_there { FileStored::Replaced } else { FileStored::New })
}

pub(super) fn remove_file(tx: &Connection, source: SourceId, name: &str) -> Result<bool, Failure> {
    let removed =
        tx.execute("DELETE FROM source_files WHERE source_id = ?1 AND name = ?2", params![source.to_string(), name])?;
    Ok(removed > 0)
}

pub(super) fn remove_file_claimed(tx: &Connection, removal: &Claim, name: &str) -> Result<bool, Failure> {
    fence(tx, removal)?;
    remove_file(tx, removal.source_id, name)
}

pub(super) fn files(
    c: &Connection,
    source: SourceId,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<UploadedFile, String>, Failure> {
    // No name is empty.
    let after = after.unwrap_or_default();
    let sql =
        format!("SELECT {FILE_COLUMNS} FROM source_files WHERE source_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3");
    let mut statement = c.prepare_cached(&sql)?;
    let listed = collect(&mut statement, params![source.to_string(), after, one_more(limit)], |row| {
        let file = file(row)?;
        let name = file.name.clone();
        Ok((file, name))
    })?;
    Ok(Page::of(listed, limit))
}

pub(super) fn files_after(
    c: &Connection,
    after: Option<&(SourceId, String)>,
    limit: usize,
) -> Result<Vec<UploadedFile>, Failure> {
    let sql = format!(
        "SELECT {FILE_COLUMNS} FROM source_files WHERE (source_id, name) > (?1, ?2) ORDER BY source_id, name LIMIT ?3"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let (source, name) = after.map(|(source, name)| (source.to_string(), name.as_str())).unwrap_or_default();
    collect(&mut statement, params![source, name, at_most(limit)], file)
}

fn at_most(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn file(row: &Row<'_>) -> Result<UploadedFile, Failure> {
    let text = |index: usize| row.get::<_, String>(index);
    Ok(UploadedFile {
        source_id: parsed("source id", &text(0)?)?,
        name: text(1)?,
        artifact: text(2)?,
        bytes: row.get::<_, i64>(3)?.unsigned_abs(),
        uploaded_at: time(&text(4)?)?,
    })
}
