//! Zip archives from anywhere. Entries are read in memory, one at a time, and never written under a name of theirs. An
//! archive that is not made as one expects it is refused as a whole: what is wrong with it may be meant (see the tests).

use std::collections::HashSet;
use std::fs::File;
use std::io::{Error as IoError, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::Error;
use crate::options::FilesOptions;

/// The "end of central directory record" without its comment (APPNOTE.TXT, section 4.3.16), bytes.
const END_BYTES: usize = 22;
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const COMMENT_MAX_BYTES: usize = u16::MAX as usize;
/// So much an entry may unpack to whatever its ratio, bytes: short texts of one letter are no attack.
const RATIO_FROM_ENTRY_BYTES: u64 = 1 << 20;
/// As above, of all entries together.
const RATIO_FROM_TOTAL_BYTES: u64 = 64 << 20;

/// An entry that was wanted, and what it holds or why it can not be read.
pub(super) struct Entry<'a> {
    pub path: &'a str,
    pub content: Result<Vec<u8>, String>,
}

/// Why an archive was not read to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It is refused; says why.
    Refused(String),
    /// The file that holds it could not be read: nothing is known of the archive.
    Unread(IoError),
    /// Whoever is told of the entries has ended.
    By(Error),
}

fn refused(reason: impl Into<String>) -> Stopped {
    Stopped::Refused(reason.into())
}

/// Tells each entry that is wanted, after all names were checked, and all that comes out was counted: they are unpacked
/// twice, so that of an archive that is refused none is told.
pub(super) fn read(
    mut file: File,
    limits: &FilesOptions,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Entry<'_>) -> Result<(), Error>,
) -> Result<(), Stopped> {
    let declared = declared_entries(&mut file)?;
    if declared > limits.max_entries {
        return Err(refused(format!("{declared} entries, more than {} (files.max_entries)", limits.max_entries)));
    }
    let packed_bytes = file.metadata().map_err(Stopped::Unread)?.len();
    let mut archive = ZipArchive::new(file).map_err(|error| refused(format!("no zip archive: {error}")))?;
    if archive.offset() != 0 {
        return Err(refused("there is something before the archive in the file"));
    }
    // The library keeps one of two entries of the same name.
    if archive.len() != declared {
        return Err(refused("two entries have the same name"));
    }
    if archive.has_overlapping_files().map_err(|error| refused(error.to_string()))? {
        return Err(refused("entries overlap"));
    }
    let paths = checked_paths(&mut archive)?;
    let paths = paths.iter().enumerate().filter_map(|(index, path)| Some((index, path.as_deref()?)));
    let paths: Vec<(usize, &str)> = paths.filter(|(_, path)| wanted(path)).collect();
    check_total(&mut archive, &paths, packed_bytes, limits)?;
    for (index, path) in paths {
        let Unpacked { content, .. } = entry(&mut archive, index, path, limits)?;
        each(Entry { path, content }).map_err(Stopped::By)?;
    }
    Ok(())
}

/// Refuses an archive whose entries unpack to too much, each of them or all together, those included that can not be read.
fn check_total(
    archive: &mut ZipArchive<File>,
    paths: &[(usize, &str)],
    packed_bytes: u64,
    limits: &FilesOptions,
) -> Result<(), Stopped> {
    let mut total = 0;
    for (index, path) in paths {
        total += entry(archive, *index, path, limits)?.bytes;
        if total > limits.max_unpacked_bytes {
            let limit = limits.max_unpacked_bytes;
            return Err(refused(format!("it unpacks to more than {limit} bytes (files.max_unpacked_bytes)")));
        }
        if total > RATIO_FROM_TOTAL_BYTES && total / packed_bytes.max(1) > limits.max_ratio {
            return Err(refused(format!(
                "it unpacks to more than {} times its size (files.max_ratio)",
                limits.max_ratio
            )));
        }
    }
    Ok(())
}

/// The number of entries by the record at the end. Nothing may come after it.
fn declared_entries(file: &mut File) -> Result<usize, Stopped> {
    let failed = Stopped::Unread;
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let searched = length.min((END_BYTES + COMMENT_MAX_BYTES) as u64);
    file.seek(SeekFrom::Start(length - searched)).map_err(failed)?;
    let mut end = Vec::new();
    file.take(searched).read_to_end(&mut end).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let at = (0..=end.len().saturating_sub(END_BYTES)).rev().find(|at| end[*at..].starts_with(&END_SIGNATURE));
    let record = at.map(|at| &end[at..]).filter(|record| record.len() >= END_BYTES);
    let record = record.ok_or_else(|| refused("no zip archive, or one that is cut off"))?;
    let number = |at: usize| usize::from(u16::from_le_bytes([record[at], record[at + 1]]));
    if record.len() != END_BYTES + number(20) {
        return Err(refused("there is something after the archive in the file"));
    }
    match number(10) {
        many if many == usize::from(u16::MAX) => Err(refused("65,535 entries or more (zip64) are not read")),
        entries => Ok(entries),
    }
}

/// The path of each entry by its index; none of a folder. An archive with one that leads elsewhere is refused.
fn checked_paths(archive: &mut ZipArchive<File>) -> Result<Vec<Option<String>>, Stopped> {
    let mut names = HashSet::new();
    let mut paths = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| refused(format!("entry {}: {error}", index + 1)))?;
        let name = std::str::from_utf8(entry.name_raw());
        let name = name.map_err(|_| refused(format!("the name of entry {} is not UTF-8", index + 1)))?;
        let path = name.strip_suffix('/').unwrap_or(name);
        if let Some(problem) = problem_of(path) {
            return Err(refused(format!("entry {name:?}: {problem}")));
        }
        if entry.is_symlink() {
            return Err(refused(format!("entry {name:?} is a link")));
        }
        if entry.encrypted() {
            return Err(refused(format!("entry {name:?} is encrypted")));
        }
        if !names.insert(path.to_lowercase()) {
            return Err(refused(format!("another entry has the name of {name:?}, or differs from it in case alone")));
        }
        paths.push((!name.ends_with('/')).then(|| path.to_owned()));
    }
    Ok(paths)
}

/// What is wrong with a path within an archive.
fn problem_of(path: &str) -> Option<&'static str> {
    let is_drive = |path: &str| path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.is_empty() {
        return Some("it has no name");
    }
    if path.starts_with('/') || is_drive(path) {
        return Some("it is an absolute path");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Some("it has a backslash or a control character");
    }
    let leads_elsewhere = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    leads_elsewhere.then_some("it has an empty part, '.' or '..'")
}

/// What came out of an entry.
struct Unpacked {
    /// How much: of one that is too large, a byte more than it may have.
    bytes: u64,
    /// What it holds; the error is of this entry alone.
    content: Result<Vec<u8>, String>,
}

/// Unpacks an entry.
fn entry(archive: &mut ZipArchive<File>, index: usize, path: &str, limits: &FilesOptions) -> Result<Unpacked, Stopped> {
    let entry = archive.by_index_raw(index).map_err(|error| refused(format!("entry {path:?}: {error}")))?;
    let (packed_bytes, crc, method) = (entry.compressed_size(), entry.crc32(), entry.compression());
    let limit = limits.max_file_bytes;
    let mut content = Vec::new();
    let unpacked = match method {
        CompressionMethod::STORE => entry.take(limit + 1).read_to_end(&mut content),
        CompressionMethod::DEFLATE => DeflateDecoder::new(entry).take(limit + 1).read_to_end(&mut content),
        other => {
            let problem = format!("it is packed by a method that is not read ({other})");
            return Ok(Unpacked { bytes: 0, content: Err(problem) });
        }
    };
    let bytes = content.len() as u64;
    // Counted on what came out: sizes that an archive declares may be anything.
    if bytes > RATIO_FROM_ENTRY_BYTES && bytes / packed_bytes.max(1) > limits.max_ratio {
        let ratio = limits.max_ratio;
        return Err(refused(format!("entry {path:?} unpacks to more than {ratio} times its size (files.max_ratio)")));
    }
    if let Err(error) = unpacked {
        // What is wrong with the packed bytes has no number of the operating system.
        if error.raw_os_error().is_some() {
            return Err(Stopped::Unread(error));
        }
        return Ok(Unpacked { bytes, content: Err(format!("it can not be unpacked: {error}")) });
    }
    if bytes > limit {
        let problem = format!("more than {limit} bytes (files.max_file_bytes)");
        return Ok(Unpacked { bytes, content: Err(problem) });
    }
    let mut found = Crc::new();
    found.update(&content);
    let is_whole = found.sum() == crc;
    let content = if is_whole { Ok(content) } else { Err("it is damaged: its checksum is another".to_owned()) };
    Ok(Unpacked { bytes, content })
}

#[cfg(test)]
mod tests;
