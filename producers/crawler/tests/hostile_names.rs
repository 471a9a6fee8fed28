//! Names that nobody gives to files: in a folder, and in the trees of a git repository, where git itself would not
//! make them.

mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Driver, Recording, git};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};
use twin_crawler::sources::Evidence;
use twin_crawler::{Error, Options};

fn sync(kind: &str, root: &Path) -> Result<Recording, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut driver = Driver::new(&Options::default(), kind, root.to_str().unwrap());
    runtime.block_on(driver.sync()).map(|(found, listing)| {
        assert_eq!(listing.evidence, Evidence::Complete);
        found
    })
}

/// Bytes that a file's name may have, the odd ones more often than chance would.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        "\n",
        "\r",
        "\t",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{200b}",
        "..",
        "\\",
        ":",
        "~",
        " ",
        ".",
        "-",
        "*",
        "?",
        "\"",
        "e\u{301}",
        "é",
        "\u{feff}",
        "%2f",
        "$(x)",
        "`",
    ]);
    let piece = prop_oneof![
        odd.prop_map(|text| text.as_bytes().to_vec()),
        "[a-z]{1,4}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>().prop_filter("no name has it", |byte| !matches!(byte, 0 | b'/')), 1..4),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_of_a_folder_is_a_document_or_explained_or_hidden(
        names in prop::collection::btree_set(name(), 1..12),
    ) {
        let root = tempdir().unwrap();
        let names: Vec<Vec<u8>> = names.into_iter().map(|name| [&name, b".md".as_slice()].concat()).collect();
        for name in &names {
            std::fs::write(root.path().join(OsStr::from_bytes(name)), "text").unwrap();
        }
        let found = sync("folder", root.path()).unwrap();
        let keys: BTreeSet<&str> = found.keys().into_iter().collect();
        prop_assert_eq!(keys.len(), found.documents.len(), "no two documents have one key");
        for name in names.iter().filter(|name| !name.starts_with(b".")) {
            let shown = String::from_utf8_lossy(name);
            match std::str::from_utf8(name) {
                Ok(name) => prop_assert!(keys.contains(name), "{name:?} is missing: {keys:?}"),
                Err(_) => prop_assert!(found.failed[shown.as_ref()].contains("UTF-8"), "{shown:?}"),
            }
        }
        prop_assert!(keys.iter().all(|key| !key.starts_with('.')), "{keys:?}");
    }

    #[test]
    fn every_file_of_a_repository_is_listed_under_its_own_path_or_left_out(
        names in prop::collection::btree_set(name(), 1..12),
    ) {
        let repository = repository();
        let blob = object(repository.path(), "blob", b"text\n");
        let entries: Vec<Entry> = names.iter().map(|name| ("100644", name.as_slice(), blob.as_str())).collect();
        commit_tree(repository.path(), &entries);
        // Whether git's own rules for names let the whole tree through is not for us to say.
        if let Ok(found) = sync("git", repository.path()) {
            for key in found.keys() {
                prop_assert!(names.contains(key.as_bytes()), "{key:?} is none of {names:?}");
            }
        }
    }
}

/// Mode, name and object.
type Entry<'a> = (&'a str, &'a [u8], &'a str);

fn repository() -> TempDir {
    let root = tempdir().unwrap();
    git(root.path(), &["init", "--quiet"]);
    root
}

/// Writes an object without any check of it, and gives its id.
fn object(root: &Path, kind: &str, content: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn tree(root: &Path, entries: &[Entry<'_>]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()));
    }
    object(root, "tree", &bytes)
}

/// Makes a commit of these entries the newest.
fn commit_tree(root: &Path, entries: &[Entry<'_>]) {
    let tree = tree(root, entries);
    let commit = format!("tree {tree}\nauthor A <a@a> 0 +0000\ncommitter A <a@a> 0 +0000\n\nhostile\n");
    let commit = object(root, "commit", commit.as_bytes());
    git(root, &["update-ref", "HEAD", &commit]);
}

#[test]
fn links_submodules_and_large_files_of_a_repository_are_left_out_and_the_rest_is_read() {
    let repository = repository();
    let root = repository.path();
    let text = object(root, "blob", b"fn main() {}\n");
    let link = object(root, "blob", b"/etc/passwd");
    let large = object(root, "blob", &vec![b'x'; 1 << 20]);
    let inner = tree(root, &[("100644", b"two\nlines.rs", &text), ("100644", b"caf\xe9.rs", &text)]);
    let missing = "1234567890123456789012345678901234567890";
    commit_tree(
        root,
        &[
            ("160000", b"module", missing),
            ("100644", b"good.rs", &text),
            ("40000", b"inner", &inner),
            ("100644", b"large.rs", &large),
            ("120000", b"link.rs", &link),
            ("100644", b"missing.rs", missing),
        ],
    );
    let found = sync("git", root).unwrap();
    assert_eq!(found.keys(), ["good.rs", "inner/two\nlines.rs"]);
    assert_eq!(found.failed.keys().collect::<Vec<_>>(), ["missing.rs"]);
}

#[test]
fn a_tree_that_leads_out_of_its_repository_gives_nothing_from_outside() {
    for name in [b"..".as_slice(), b".git", b".GIT", b"git~1", b".", b"", b"a/../../b", b"/etc"] {
        let repository = repository();
        let root = repository.path();
        let text = object(root, "blob", b"[core]\n");
        let inner = tree(root, &[("100644", b"passwd", &text)]);
        commit_tree(root, &[("40000", name, &inner), ("100644", b"z.rs", &text)]);
        match sync("git", root) {
            // Nothing of a listing that failed is deleted, and the error is what the source's last sync shows.
            Err(error) => assert!(error.to_string().contains(root.to_str().unwrap()), "{error}"),
            Ok(found) => {
                for document in &found.documents {
                    assert_eq!(document.content, "[core]\n", "{name:?}: {}", document.natural_key);
                }
            }
        }
    }
}

#[test]
fn a_tree_of_many_levels_ends() {
    let repository = repository();
    let root = repository.path();
    let text = object(root, "blob", b"text\n");
    let mut inner = tree(root, &[("100644", b"a.rs", &text)]);
    for _ in 0..500 {
        inner = tree(root, &[("40000", b"d", &inner)]);
    }
    commit_tree(root, &[("40000", b"d", &inner), ("100644", b"z.rs", &text)]);
    if let Ok(found) = sync("git", root) {
        assert!(found.keys().contains(&"z.rs"), "{:?}", found.keys());
    }
}
