//! A folder of files, through the public registry of sources.

mod common;

use common::{Driver, write};
use tempfile::tempdir;
use twin_crawler::sources::Evidence;
use twin_crawler::{Error, Options, Sources};
use twin_schemas::{Category, MediaType};

#[tokio::test]
async fn files_of_writing_are_listed_by_relative_path_and_the_rest_is_passed_over() {
    let root = tempdir().unwrap();
    write(root.path(), "b/two.markdown", "# Two\ntext");
    write(root.path(), "a.md", "one");
    write(root.path(), "page.html", "<title>A page</title>");
    write(root.path(), "notes.txt", "plain");
    for skipped in [".hidden.md", ".obsidian/x.md", "node_modules/x/README.md", "target/doc.html", "image.png"] {
        write(root.path(), skipped, "x");
    }
    std::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", root.path().join("link.txt")).unwrap();
    let (found, listing) =
        Driver::new(&Options::default(), "folder", root.path().to_str().unwrap()).sync().await.unwrap();
    assert_eq!(found.keys(), ["a.md", "b/two.markdown", "notes.txt", "page.html"]);
    assert_eq!(listing.evidence, Evidence::Complete);
    assert!(found.failed.is_empty());
    let two = found.get("b/two.markdown");
    assert_eq!(
        (two.title.as_deref(), two.media_type, two.category),
        (Some("Two"), MediaType::Markdown, Category::Article)
    );
    assert_eq!(found.get("a.md").title.as_deref(), Some("a"));
    assert_eq!(found.get("page.html").title.as_deref(), Some("A page"));
    assert_eq!(two.scope, std::fs::canonicalize(root.path()).unwrap().to_str().unwrap());
}

#[tokio::test]
async fn an_unchanged_file_is_not_handed_over_again_and_an_edited_one_is() {
    let root = tempdir().unwrap();
    write(root.path(), "a.md", "one");
    write(root.path(), "b.md", "two");
    let mut driver = Driver::new(&Options::default(), "folder", root.path().to_str().unwrap());
    driver.sync().await.unwrap();
    write(root.path(), "b.md", "two, edited");
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.keys(), ["b.md"]);
    assert_eq!(found.unchanged, ["a.md"]);
}

#[tokio::test]
async fn front_matter_gives_the_fields_and_is_not_part_of_the_text() {
    let root = tempdir().unwrap();
    write(root.path(), "a.md", "---\ntitle: T\nid: x1\ndate: 2025-01-31\ncategory: post\n---\nBody\n");
    write(root.path(), "draft.md", "---\ndraft: true\n---\nBody\n");
    let (found, _) = Driver::new(&Options::default(), "folder", root.path().to_str().unwrap()).sync().await.unwrap();
    assert_eq!(found.keys(), ["a.md"]);
    let a = found.get("a.md");
    assert_eq!((a.identity.as_str(), a.content.as_str(), a.category), ("id:x1", "Body\n", Category::Post));
}

#[tokio::test]
async fn a_file_that_moves_keeps_its_identity_by_its_id() {
    let root = tempdir().unwrap();
    write(root.path(), "a.md", "---\nid: x1\n---\nBody\n");
    let mut driver = Driver::new(&Options::default(), "folder", root.path().to_str().unwrap());
    driver.sync().await.unwrap();
    std::fs::create_dir(root.path().join("2025")).unwrap();
    std::fs::rename(root.path().join("a.md"), root.path().join("2025/a.md")).unwrap();
    let (found, _) = driver.sync().await.unwrap();
    assert_eq!(found.get("2025/a.md").identity, "id:x1");
}

#[tokio::test]
async fn a_file_that_can_not_be_read_is_reported_with_the_reason() {
    let root = tempdir().unwrap();
    write(root.path(), "a.md", "---\nid: same\n---\n");
    write(root.path(), "b.md", "---\nid: same\n---\n");
    write(root.path(), "c.md", "---\ntitle: [\n---\n");
    write(root.path(), "d.txt", b"caf\xE9");
    write(root.path(), "e.txt", vec![b'x'; 101]);
    write(root.path(), "f.txt", b"\xFF\xFEh\x00i\x00");
    let mut options = Options::default();
    options.folder.max_file_bytes = 100;
    let (found, listing) = Driver::new(&options, "folder", root.path().to_str().unwrap()).sync().await.unwrap();
    assert_eq!(found.keys(), ["a.md", "f.txt"]);
    assert_eq!(found.get("f.txt").content, "hi");
    for (file, reason) in [("b.md", "id"), ("c.md", "YAML"), ("d.txt", "UTF-8"), ("e.txt", "max_file_bytes")] {
        assert!(found.failed[file].contains(reason), "{file}: {}", found.failed[file]);
    }
    assert_eq!(listing.evidence, Evidence::Complete, "a file that is there but unreadable is listed");
}

#[tokio::test]
async fn the_authors_category_stands_in_where_a_file_says_nothing() {
    let root = tempdir().unwrap();
    write(root.path(), "a.md", "text");
    write(root.path(), "b.md", "---\ncategory: article\n---\ntext");
    let driver = Driver::new(&Options::default(), "folder", root.path().to_str().unwrap());
    let (found, _) = driver.category(Category::Post).sync().await.unwrap();
    assert_eq!(found.get("a.md").category, Category::Post);
    assert_eq!(found.get("b.md").category, Category::Article);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_and_no_listing() {
    let root = tempdir().unwrap();
    let place = root.path().join("notes");
    write(&place, "a.md", "x");
    let mut driver = Driver::new(&Options::default(), "folder", place.to_str().unwrap());
    std::fs::remove_dir_all(&place).unwrap();
    assert!(matches!(driver.sync().await, Err(Error::Location { .. })));
}

#[test]
fn the_kind_of_a_location_is_told_from_what_it_is() {
    let root = tempdir().unwrap();
    write(root.path(), "notes/a.md", "x");
    write(root.path(), "code/a.rs", "x");
    common::commit(&root.path().join("code"));
    let sources = Sources::new(&Options::default()).unwrap();
    let kind = |location: &str| sources.resolve(None, location).map(|(kind, _)| kind.as_str().to_owned());
    assert_eq!(sources.kinds(), ["git", "folder", "feed"]);
    assert_eq!(kind(root.path().join("notes").to_str().unwrap()).unwrap(), "folder");
    assert_eq!(kind(root.path().join("code").to_str().unwrap()).unwrap(), "git");
    assert_eq!(kind("https://github.com/ada/engine").unwrap(), "git");
    assert_eq!(kind("https://git.ada.example/engine.git").unwrap(), "git");
    assert_eq!(kind("https://ada.example/feed.xml").unwrap(), "feed");
    assert_eq!(kind("https://github.com.evil.example/ada/engine").unwrap(), "feed");
    assert!(kind("/nowhere/at/all").unwrap_err().contains("neither"));
    let canonical = |kind, location| sources.resolve(Some(kind), location).map(|(_, location)| location);
    assert_eq!(canonical("git", "https://github.com/ada/engine.git/").unwrap(), "https://github.com/ada/engine");
    assert_eq!(canonical("feed", "https://medium.com/@ada").unwrap(), "https://medium.com/feed/@ada");
    assert!(canonical("feed", "http://169.254.169.254/feed").unwrap_err().contains("allow_private_hosts"));
    assert!(canonical("git", "ssh://git@github.com/ada/engine").unwrap_err().contains("https"));
    assert!(canonical("myspace", "x").unwrap_err().contains("git, folder, feed"));
}
