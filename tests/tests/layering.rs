//! What ARCHITECTURE.md says of layers, held against every manifest and every `use`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Crates of databases and brokers.
const DRIVERS: [&str; 7] =
    ["rusqlite", "sqlite-vec", "libsqlite3-sys", "rdkafka", "rdkafka-sys", "mongodb", "qdrant-client"];

/// Our crates over them.
const BACKENDS: [&str; 2] = ["twin-sqlite", "twin-kafka"];

/// Our crates that compute.
const ENGINES: [&str; 3] = ["twin-onnx", "twin-mistral", "twin-lora"];

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
    anyhow::ensure!(paths.len() > 5, "too few files: {paths:?}");
    Ok(paths)
}

fn is_of_tests(path: &str) -> bool {
    let beginnings = ["tests/", "benches/", "fuzz/"];
    beginnings.iter().any(|beginning| path.starts_with(beginning))
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}

/// The crates that a manifest depends on, on any platform, without those of its tests.
fn dependencies(manifest: &str) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join(manifest)).with_context(|| manifest.to_owned())?;
    let table: toml::Table = text.parse()?;
    let mut found = BTreeSet::new();
    let targets = table.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|all| all.values());
    for table in std::iter::once(&table).chain(targets.filter_map(toml::Value::as_table)) {
        for section in ["dependencies", "build-dependencies"] {
            for (name, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                found.insert(renamed.unwrap_or(name).to_owned());
            }
        }
    }
    Ok(found)
}

/// The files that are modules of tests alone: those that another declares so.
fn test_modules() -> Result<BTreeSet<String>> {
    let mut modules = BTreeSet::new();
    for path in files(".rs")? {
        let source = std::fs::read_to_string(root().join(&path))?;
        let (stem, folder) = (path.trim_end_matches(".rs"), path.rsplit_once('/').map_or("", |(folder, _)| folder));
        let is_root = ["mod", "lib", "main"].iter().any(|name| stem.ends_with(&format!("/{name}")));
        let below = if is_root { folder } else { stem };
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let declared =
                pair[1].trim_start_matches("pub ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            modules.extend(declared.map(|name| format!("{below}/{name}.rs")));
        }
    }
    Ok(modules)
}

/// A file without its modules of tests and without comments.
fn code_of(source: &str) -> Vec<&str> {
    let mut code = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            // What it is about: an item in one line, or one that ends with a brace as deep as this.
            if lines.next().is_some_and(|item| !item.trim_end().ends_with(';')) {
                lines.by_ref().take_while(|line| *line != end).for_each(drop);
            }
            continue;
        }
        code.push(line.split("//").next().unwrap_or_default());
    }
    code
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
        for name in ENGINES {
            assert!(manifest.starts_with("twin/") || !found.contains(name), "{manifest} depends on {name}");
        }
    }
    Ok(())
}

#[test]
fn one_file_chooses_backends() -> Result<()> {
    let test_modules = test_modules()?;
    assert!(!test_modules.is_empty());
    for path in files(".rs")? {
        if path.starts_with("backends/") || is_of_tests(&path) || test_modules.contains(&path) {
            continue;
        }
        let source = std::fs::read_to_string(root().join(&path))?;
        let code = code_of(&source);
        for name in DRIVERS.map(|name| name.replace('-', "_")) {
            let may = path == format!("{SCRATCH}/src/scratch.rs") || path == format!("{SCRATCH}/src/error.rs");
            assert!(may || !names(&code, &name), "{path} names {name}");
        }
        // The settings of a backend are a part of the configuration.
        let chooses = path == "twin/src/run/stores.rs" || path == "twin/src/config/mod.rs";
        for name in BACKENDS.map(|name| name.replace('-', "_")) {
            assert!(chooses || !names(&code, &name), "{path} names {name}");
        }
    }
    Ok(())
}

/// Whether the code names that crate: in a path, or in a `use` of its own.
fn names(code: &[&str], name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.iter().any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let is_use = before.trim_start().ends_with("use ") && !after.starts_with(is_part);
            is_use || after.starts_with("::") && !before.ends_with(is_part)
        })
    })
}

#[test]
fn a_crate_is_found_however_it_is_named() {
    for line in [
        "use rusqlite::Connection;",
        "use rusqlite as sql;",
        "    rusqlite::Connection::open(path)",
        "pub use rusqlite;",
    ] {
        assert!(names(&code_of(line), "rusqlite"), "{line}");
    }
    for line in
        ["// rusqlite::Connection", "use my_rusqlite::Connection;", "#[cfg(test)]\nmod tests {\n    use rusqlite;\n}"]
    {
        assert!(!names(&code_of(line), "rusqlite"), "{line}");
    }
    assert!(names(&code_of("#[cfg(test)]\nmod tests;\nuse rusqlite;"), "rusqlite"));
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

/// Folders whose files documents name by their paths.
const FOLDERS: [&str; 11] = [
    "api/",
    "backends/",
    "benches/",
    "consumers/",
    "engines/",
    "platform/",
    "processors/",
    "producers/",
    "schemas/",
    "tests/",
    "twin/",
];

#[test]
fn documents_name_files_that_are_there() -> Result<()> {
    let mut checked = 0;
    for document in files(".md")? {
        let text = std::fs::read_to_string(root().join(&document))?;
        let quoted = text.split('`').skip(1).step_by(2);
        for path in quoted.filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder))) {
            // `tests/tests/path/{a,b}.rs`, `sources/<platform>.rs` and commands name no one file.
            if path.contains(['<', '{', '*', ' ', '\n']) {
                continue;
            }
            assert!(root().join(path).exists(), "{document} names {path}, which is not there");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} paths");
    Ok(())
}
