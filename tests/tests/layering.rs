//! What ARCHITECTURE.md says of layers, held against every manifest and every `use`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Crates of databases and brokers.
const DRIVERS: [&str; 7] =
    ["rusqlite", "sqlite-vec", "libsqlite3-sys", "rdkafka", "rdkafka-sys", "mongodb", "qdrant-client"];

/// Our crates over them.
const BACKENDS: [&str; 2] = ["twin-sqlite", "twin-kafka"];

/// What may name a driver though it is no backend: a scratch file of one build, which is no store.
const SCRATCH: &str = "processors/datasets";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the workspace, as git has them, whose path ends so.
fn files(ending: &str) -> Result<Vec<String>> {
    let pattern = format!("*{ending}");
    let listed = std::process::Command::new("git").args(["ls-files", "--", &pattern]).current_dir(root()).output()?;
    anyhow::ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout)?;
    let paths: Vec<String> = paths.lines().map(str::to_owned).filter(|path| root().join(path).is_file()).collect();
    anyhow::ensure!(paths.len() > 20, "too few files: {paths:?}");
    Ok(paths)
}

fn is_of_tests(path: &str) -> bool {
    let beginnings = ["tests/", "benches/", "fuzz/"];
    beginnings.iter().any(|beginning| path.starts_with(beginning))
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}

/// The dependencies of a manifest, without those of its tests.
fn dependencies(manifest: &str) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join(manifest)).with_context(|| manifest.to_owned())?;
    let table: toml::Table = text.parse()?;
    let of = |name: &str| table.get(name).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
    Ok(of("dependencies").chain(of("build-dependencies")).cloned().collect())
}

#[test]
fn drivers_are_dependencies_of_backends_alone() -> Result<()> {
    for manifest in files("Cargo.toml")? {
        if manifest == "Cargo.toml" || manifest.starts_with("backends/") || is_of_tests(&manifest) {
            continue;
        }
        let found = dependencies(&manifest)?;
        for name in DRIVERS {
            let may = manifest.starts_with(SCRATCH) && name == "rusqlite";
            assert!(may || !found.contains(name), "{manifest} depends on {name}");
        }
        for name in BACKENDS {
            assert!(manifest.starts_with("twin/") || !found.contains(name), "{manifest} depends on {name}");
        }
    }
    Ok(())
}

#[test]
fn one_file_chooses_backends() -> Result<()> {
    for path in files(".rs")? {
        if path.starts_with("backends/") || is_of_tests(&path) {
            continue;
        }
        let source = std::fs::read_to_string(root().join(&path))?;
        // Tests within a file stand at its end.
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for name in DRIVERS.map(|name| name.replace('-', "_")) {
            let may = path == format!("{SCRATCH}/src/scratch.rs") || path == format!("{SCRATCH}/src/error.rs");
            assert!(may || !names(code, &name), "{path} names {name}");
        }
        // The settings of a backend are a part of the configuration.
        let chooses = path == "twin/src/run/stores.rs" || path == "twin/src/config/mod.rs";
        for name in BACKENDS.map(|name| name.replace('-', "_")) {
            assert!(chooses || !names(code, &name), "{path} names {name}");
        }
    }
    Ok(())
}

/// Whether a path in the code begins with that crate.
fn names(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.lines().any(|line| {
        let before = line.split("//").next().unwrap_or_default();
        before.match_indices(&path).any(|(at, _)| !before[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn stages_and_platform_know_no_stage() -> Result<()> {
    let stages: BTreeSet<String> = files("Cargo.toml")?
        .into_iter()
        .filter(|path| ["producers/", "processors/", "consumers/"].iter().any(|folder| path.starts_with(folder)))
        .filter_map(|path| Some(format!("twin-{}", path.split('/').nth(1)?)))
        .collect();
    assert!(stages.contains("twin-crawler") && stages.contains("twin-gateway"), "{stages:?}");
    for manifest in files("Cargo.toml")? {
        if manifest == "Cargo.toml" || manifest.starts_with("twin/") || is_of_tests(&manifest) {
            continue;
        }
        for name in dependencies(&manifest)? {
            assert!(!stages.contains(&name), "{manifest} depends on the stage {name}");
        }
    }
    Ok(())
}

#[test]
fn the_table_of_ports_names_files_that_are_there() -> Result<()> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let (_, section) = text.split_once("## Ports and backends").context("the section")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && line.contains('/')).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.split('|').skip(2).collect();
        let paths = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|path| path.contains('/'));
        for path in paths {
            assert!(root().join(path).exists(), "{path} in {row}");
        }
    }
    Ok(())
}
