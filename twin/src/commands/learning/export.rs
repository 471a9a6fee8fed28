//! `twin datasets export`: a version's files in a folder, as trainers of other projects read them.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use serde_json::json;

use super::super::Context;
use super::super::text::count;
use super::views::{DatasetDetail, File};
use crate::client::Client;
use crate::error::CommandError;

/// The manifest's own name in the folder.
const MANIFEST: &str = "manifest.json";

/// Runs the command.
pub async fn run(id: &str, folder: &Path, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["datasets", id], &[]).await?;
    let detail: DatasetDetail = reply.parse()?;
    let targets: Vec<(&File, PathBuf)> =
        detail.manifest.files.iter().map(|file| Ok((file, target(folder, &file.name)?))).collect::<Result<_, _>>()?;
    for (at, (file, path)) in targets.iter().enumerate() {
        context.out.progress(&format!("{} of {}: {}", at + 1, count(targets.len() as u64, "file"), file.name));
        fetch(&context.client, &detail.dataset.dataset, file, path).await?;
    }
    let manifest = format!("{:#}\n", reply.json()["manifest"]);
    let path = folder.join(MANIFEST);
    replace(&path, |writer| writer.write_all(manifest.as_bytes())).map_err(|error| failed(&path, &error))?;
    if context.json {
        let names: Vec<&str> = targets.iter().map(|(file, _)| file.name.as_str()).collect();
        return context.out.json(&json!({ "dataset": detail.dataset.dataset, "folder": folder, "files": names }));
    }
    let bytes: u64 = targets.iter().map(|(file, _)| file.bytes).sum();
    let files = count(targets.len() as u64, "file");
    context.out.line(&format!("{files} ({bytes} bytes) and {MANIFEST} in {}", folder.display()))
}

/// Where a file of the manifest lies; never outside the folder.
fn target(folder: &Path, name: &str) -> Result<PathBuf, CommandError> {
    let path = Path::new(name);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(CommandError::Failed(format!("the manifest names a file outside the folder: {name:?}")));
    }
    Ok(folder.join(path))
}

async fn fetch(client: &Client, dataset: &str, file: &File, path: &Path) -> Result<(), CommandError> {
    let mut route = vec!["datasets", dataset, "files"];
    route.extend(file.name.split('/'));
    let content = client.content(&route).await?;
    let part = part_of(path);
    let mut writer = create(&part).map_err(|error| failed(&part, &error))?;
    let written = content.write_to(&mut writer).await?;
    if written != file.bytes {
        let detail = format!("{} has {written} bytes, where the manifest says {}", file.name, file.bytes);
        return Err(CommandError::Failed(detail));
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
