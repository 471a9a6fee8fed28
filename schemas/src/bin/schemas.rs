//! Writes the generated JSON Schema and AsyncAPI files into the folder given, else into `schemas/` here.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("schemas"), PathBuf::from);
    for (path, content) in twin_schemas::generated_documents() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)?;
    }
    Ok(())
}
