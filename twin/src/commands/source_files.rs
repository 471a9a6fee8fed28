//! `twin sources upload`, `files` and `remove-file`: what is uploaded to a source.

use std::path::PathBuf;

use clap::Args;
use twin_api::{UploadedFileList, UploadedFileView};

use super::Context;
use super::lists::List;
use super::locate::{One, find_one};
use super::text::{Align, Table, count, moment};
use crate::client::parse;
use crate::error::CommandError;

/// A file to upload.
#[derive(Debug, Args)]
pub struct Upload {
    /// The source: its id, the beginning of its id, or its location.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The file.
    file: PathBuf,
    /// What it is called there; the name of the file if absent. One of the same name is replaced.
    #[arg(long)]
    name: Option<String>,
}

/// An uploaded file to remove.
#[derive(Debug, Args)]
pub struct RemoveFile {
    /// The source: its id, the beginning of its id, or its location.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The file's name, as `twin sources files` lists it.
    name: String,
}

/// Uploads a file.
pub async fn upload(args: Upload, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    let name = match args.name {
        Some(name) => name,
        None => {
            let name = args.file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            name.ok_or_else(|| CommandError::Usage(format!("{}: give a name with --name", args.file.display())))?
        }
    };
    let id = source.id.to_string();
    let reply = context.client.upload(&["sources", &id, "files"], &[("name", &name)], &args.file).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let file: UploadedFileView = reply.parse()?;
    let done = if reply.is_created() { "uploaded" } else { "replaced" };
    context.out.line(&format!("{done} {}, {}", file.name, count(file.bytes, "byte")))?;
    context.out.note(&format!("next: twin sync {} --wait", source.id));
    Ok(())
}

/// Lists what was uploaded.
pub async fn list(args: One, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    let id = source.id.to_string();
    let path = ["sources", &id, "files"];
    let document = List::by_name(&path, "files").read_all(&context.client, &[]).await?;
    if context.json {
        return context.out.json(&document);
    }
    let list: UploadedFileList = parse(&document)?;
    if list.files.is_empty() {
        context.out.note(&format!("nothing was uploaded; next: twin sources upload {} FILE", source.location));
        return Ok(());
    }
    let mut table = Table::new(&[("FILE", Align::Left), ("BYTES", Align::Right), ("UPLOADED", Align::Left)]);
    for file in list.files {
        table.row(vec![file.name, file.bytes.to_string(), moment(file.uploaded_at)]);
    }
    context.out.line(&table.render())
}

/// Removes an uploaded file.
pub async fn remove(args: RemoveFile, context: &mut Context) -> Result<(), CommandError> {
    let source = find_one(context, &args.source).await?;
    let reply = context.client.delete(&["sources", &source.id.to_string(), "files", &args.name], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    context.out.line(&format!("removed {}; the next sync deletes its documents", args.name))
}
