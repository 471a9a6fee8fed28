//! Which files of a repository are its author's own text.

use twin_schemas::MediaType;

/// Folders of other people's code, or of what a build made.
#[rustfmt::skip]
const FOREIGN_FOLDERS: &[&str] = &[
    ".git", "vendor", "vendored", "node_modules", "bower_components", "third_party", "third-party", "target",
    "dist", "build", "__pycache__", ".venv", "venv", "site-packages", "Pods", ".next", ".yarn",
];

/// Files that a package manager writes.
#[rustfmt::skip]
const LOCK_FILES: &[&str] = &[
    "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "packages.lock.json", "go.sum", "bun.lockb",
    "gradle.lockfile", ".pnp.cjs", ".pnp.loader.mjs",
];

/// Images, fonts, archives, office files, binaries, data: nothing that reads as text. Notebooks are mostly output.
#[rustfmt::skip]
const FOREIGN_EXTENSIONS: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "bmp", "ico", "icns", "webp", "avif", "tif", "tiff", "svg", "psd", "ai", "eps",
    "heic", "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "m4a", "wav", "ogg", "flac", "webm", "mov", "avi",
    "mkv", "zip", "tar", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "jar", "war", "whl", "pdf", "doc", "docx",
    "xls", "xlsx", "ppt", "pptx", "odt", "ods", "exe", "dll", "so", "dylib", "a", "o", "obj", "lib", "class", "pyc",
    "wasm", "bin", "dat", "db", "sqlite", "parquet", "npy", "npz", "pt", "onnx", "safetensors", "map", "ipynb",
    "lock",
];

/// How far a file is searched for NUL, as git itself does, bytes.
const BINARY_SEARCH_BYTES: usize = 8 << 10;
/// Scripts and style sheets whose lines are longer than this on average are minified, bytes.
const MINIFIED_LINE_BYTES: usize = 200;
const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1";

/// What a kept file is, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Code,
    /// Text for people. It is code too, unless the author said what the repository's prose is.
    Prose(MediaType),
}

/// What the file at this path is; none if it is left out whatever is in it.
pub(super) fn by_path(path: &str) -> Option<FileKind> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folders.split('/').any(|folder| FOREIGN_FOLDERS.contains(&folder)) || LOCK_FILES.contains(&name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let (stem, extension) = lower.rsplit_once('.').unwrap_or((&lower, ""));
    if FOREIGN_EXTENSIONS.contains(&extension) || (is_script(extension) && stem.ends_with(".min")) {
        return None;
    }
    let in_docs = folders.split('/').any(|folder| matches!(folder, "doc" | "docs"));
    let is_prose_text = stem.starts_with("readme") || stem.starts_with("changelog") || in_docs;
    Some(match extension {
        "md" | "markdown" | "mdx" => FileKind::Prose(MediaType::Markdown),
        "rst" | "adoc" | "org" => FileKind::Prose(MediaType::Text),
        "" | "txt" if is_prose_text => FileKind::Prose(MediaType::Text),
        _ => FileKind::Code,
    })
}

/// The text of a kept file, byte for byte; none if it is left out for what is in it.
pub(super) fn by_content(path: &str, content: Vec<u8>) -> Option<String> {
    let start = &content[..content.len().min(BINARY_SEARCH_BYTES)];
    if start.contains(&0) {
        return None;
    }
    let text = String::from_utf8(content).ok()?;
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let is_minified = is_script(&extension) && text.len() / text.lines().count().max(1) > MINIFIED_LINE_BYTES;
    (!is_minified && !text.starts_with(LFS_POINTER)).then_some(text)
}

fn is_script(extension: &str) -> bool {
    matches!(extension, "js" | "mjs" | "cjs" | "css")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_and_generated_files_are_left_out() {
        for path in [
            "vendor/a.rs",
            "web/node_modules/x/index.js",
            "target/debug/a.rs",
            "Cargo.lock",
            "go.sum",
            "a/yarn.lock",
            "package-lock.json",
            "app.min.js",
            "site.MIN.css",
            "logo.svg",
            "font.woff2",
            "a.tar.gz",
            "run.ipynb",
        ] {
            assert_eq!(by_path(path), None, "{path}");
        }
    }

    #[test]
    fn prose_is_told_from_code_by_its_path() {
        for (path, kind) in [
            ("README.md", FileKind::Prose(MediaType::Markdown)),
            ("docs/guide.markdown", FileKind::Prose(MediaType::Markdown)),
            ("README", FileKind::Prose(MediaType::Text)),
            ("docs/notes.txt", FileKind::Prose(MediaType::Text)),
            ("guide.rst", FileKind::Prose(MediaType::Text)),
            ("CMakeLists.txt", FileKind::Code),
            ("src/main.rs", FileKind::Code),
            ("Makefile", FileKind::Code),
            ("src/vendor.rs", FileKind::Code),
        ] {
            assert_eq!(by_path(path), Some(kind), "{path}");
        }
    }

    #[test]
    fn content_that_is_not_written_text_is_left_out() {
        let long_line = "a".repeat(500).into_bytes();
        assert_eq!(by_content("a.js", long_line.clone()), None);
        assert!(by_content("a.md", long_line).is_some());
        assert_eq!(by_content("a.rs", b"fn\0".to_vec()), None);
        assert_eq!(by_content("a.rs", b"caf\xE9".to_vec()), None);
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
        assert_eq!(by_content("model.txt", pointer.into()), None);
    }

    #[test]
    fn whitespace_of_code_is_kept_exactly() {
        let code = "def f():\r\n\tif x:\n        return  1   \n\n\n";
        assert_eq!(by_content("f.py", code.into()).as_deref(), Some(code));
    }
}
