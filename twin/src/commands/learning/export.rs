//! `twin datasets export`: a version's files in a folder, as trainers of other projects read them; and
//! `twin models export`: those of a model version, as other engines load them.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use serde_json::json;
use twin_api::{DatasetDetail, ModelFileList};
use twin_artifacts::FolderFile;

use super::super::Context;
use super::super::text::count;
use super::views::files;
use crate::client::Client;
use crate::error::CommandError;

/// The manifest's own name in the folder.
const MANIFEST: &str = "manifest.json";

/// A file to be fetched.
struct Wanted<'a> {
    /// Its path on the twin and in the folder.
    name: &'a str,
    bytes: u64,
    /// What it must hold, where the twin says it.
    sha256: Option<&'a str>,
}

/// Fetches the files of a dataset version.
pub async fn dataset(id: &str, folder: &Path, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["datasets", id], &[]).await?;
    let detail: DatasetDetail = reply.parse()?;
    let id = &detail.dataset.dataset;
    let files = files(&detail)?;
    let wanted: Vec<_> =
        files.iter().map(|file| Wanted { name: &file.name, bytes: file.bytes, sha256: None }).collect();
    fetch_all(&["datasets", id, "files"], &wanted, folder, context).await?;
    let manifest = format!("{:#}\n", reply.json()["manifest"]);
    let path = folder.join(MANIFEST);
    replace(&path, |writer| writer.write_all(manifest.as_bytes())).map_err(|error| failed(&path, &error))?;
    if context.json {
        return context.out.json(&json!({ "dataset": id, "folder": folder, "files": names(&wanted) }));
    }
    context.out.line(&format!("{} and {MANIFEST} in {}", sum(&wanted), folder.display()))
}

/// Fetches the files of a model version, its manifest too.
pub async fn model(name: &str, folder: &Path, context: &mut Context) -> Result<(), CommandError> {
    let listed: ModelFileList = context.client.get(&["model-versions", name, "files"], &[]).await?.parse()?;
    let files = listed.files.iter();
    let wanted: Vec<_> =
        files.map(|file| Wanted { name: &file.path, bytes: file.bytes, sha256: Some(&file.sha256) }).collect();
    fetch_all(&["model-versions", &listed.model, "files"], &wanted, folder, context).await?;
    if context.json {
        return context.out.json(&json!({ "model": listed.model, "folder": folder, "files": names(&wanted) }));
    }
    context.out.line(&format!("{} in {}", sum(&wanted), folder.display()))
}

fn names<'a>(wanted: &[Wanted<'a>]) -> Vec<&'a str> {
    wanted.iter().map(|file| file.name).collect()
}

fn sum(wanted: &[Wanted<'_>]) -> String {
    let bytes: u64 = wanted.iter().map(|file| file.bytes).sum();
    format!("{} ({bytes} bytes)", count(wanted.len() as u64, "file"))
}

/// Fetches files into a folder, in which they have their names. Nothing is fetched if one of them would lie outside.
async fn fetch_all(
    route: &[&str],
    wanted: &[Wanted<'_>],
    folder: &Path,
    context: &mut Context,
) -> Result<(), CommandError> {
    let targets: Vec<PathBuf> = wanted.iter().map(|file| target(folder, file.name)).collect::<Result<_, _>>()?;
    for (at, (file, path)) in wanted.iter().zip(&targets).enumerate() {
        context.out.progress(&format!("{} of {}: {}", at + 1, count(wanted.len() as u64, "file"), file.name));
        fetch(&context.client, route, file, path).await?;
    }
    Ok(())
}

/// Where a file lies; never outside the folder.
fn target(folder: &Path, name: &str) -> Result<PathBuf, CommandError> {
    let path = Path::new(name);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(CommandError::Failed(format!("the twin names a file outside the folder: {name:?}")));
    }
    Ok(folder.join(path))
}

async fn fetch(client: &Client, route: &[&str], file: &Wanted<'_>, path: &Path) -> Result<(), CommandError> {
    let route: Vec<&str> = route.iter().copied().chain(file.name.split('/')).collect();
    let content = client.content(&route).await?;
    let part = part_of(path);
    let mut writer = create(&part).map_err(|error| failed(&part, &error))?;
    let written = content.write_to(&mut writer).await?;
    if written != file.bytes {
        let detail = format!("{} has {written} bytes, where the twin says {}", file.name, file.bytes);
        return Err(CommandError::Failed(detail));
    }
    if let Some(sha256) = file.sha256 {
        let stored = FolderFile::of(&part).await.map_err(|error| CommandError::Failed(error.to_string()))?;
        if stored.artifact != format!("sha256:{sha256}") {
            return Err(CommandError::Failed(format!("{} came with another hash than the twin says", file.name)));
        }
    }
    writer.sync_all().and_then(|()| fs::rename(&part, path)).map_err(|error| failed(path, &error))
}

/// Writes a file in place as a whole or not at all.
fn replace(path: &Path, write: impl FnOnce(&mut fs::File) -> std::io::Result<()>) -> std::io::Result<()> {
    let part = part_of(path);
    let mut file = create(&part)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(part, path)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn create(path: &Path) -> std::io::Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::create(path)
}

fn failed(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_written_outside_the_folder() {
        let folder = Path::new("/data/export");
        assert_eq!(target(folder, "sft/train.jsonl").unwrap(), Path::new("/data/export/sft/train.jsonl"));
        for name in ["", "/etc/passwd", "../up", "sft/../../up"] {
            assert!(target(folder, name).is_err(), "{name:?}");
        }
    }
}
