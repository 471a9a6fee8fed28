//! The programming language of a source file, by its path; and whether it is prose.

/// The language that a path's extension (or well-known file name) stands for.
pub fn language_of_path(path: &str) -> Option<&'static str> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    match name.as_str() {
        "dockerfile" | "containerfile" => return Some("dockerfile"),
        "makefile" | "gnumakefile" => return Some("makefile"),
        "cmakelists.txt" => return Some("cmake"),
        "gemfile" | "rakefile" => return Some("ruby"),
        _ => {}
    }
    let (_, extension) = name.rsplit_once('.')?;
    let language = match extension {
        "rs" => "rust",
        "py" | "pyi" | "pyw" => "python",
        "js" | "mjs" | "cjs" | "jsx" => "javascript",
        "ts" | "mts" | "cts" => "typescript",
        "tsx" => "tsx",
        "go" => "go",
        "java" => "java",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => "cpp",
        "cs" => "csharp",
        "rb" => "ruby",
        "php" => "php",
        "swift" => "swift",
        "kt" | "kts" => "kotlin",
        "scala" | "sc" => "scala",
        "hs" => "haskell",
        "ml" | "mli" => "ocaml",
        "ex" | "exs" => "elixir",
        "erl" | "hrl" => "erlang",
        "clj" | "cljs" | "edn" => "clojure",
        "lua" => "lua",
        "pl" | "pm" => "perl",
        "r" => "r",
        "jl" => "julia",
        "dart" => "dart",
        "zig" => "zig",
        "nim" => "nim",
        "sh" | "bash" | "zsh" | "fish" => "shell",
        "ps1" => "powershell",
        "vim" => "vim",
        "el" | "lisp" => "lisp",
        "nix" => "nix",
        "sql" => "sql",
        "proto" => "protobuf",
        "graphql" | "gql" => "graphql",
        "tf" | "hcl" => "hcl",
        "yaml" | "yml" => "yaml",
        "toml" => "toml",
        "json" | "jsonc" => "json",
        "xml" | "xsd" => "xml",
        "html" | "htm" => "html",
        "vue" => "vue",
        "svelte" => "svelte",
        "css" => "css",
        "scss" | "sass" => "scss",
        "tex" => "latex",
        "md" | "markdown" | "mdx" => "markdown",
        "cmake" => "cmake",
        "mk" => "makefile",
        _ => return None,
    };
    Some(language)
}

/// Whether a document is written to be read, where its category is code or is not. A Markdown file of a repository is code by
/// its category and prose by what it is.
pub fn is_prose(is_code: bool, path: &str) -> bool {
    !is_code || language_of_path(path) == Some("markdown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_what_is_no_code_and_markdown_of_a_repository() {
        assert!(is_prose(false, "notes/main.rs") && is_prose(true, "docs/README.md"));
        assert!(!is_prose(true, "src/main.rs") && !is_prose(true, "LICENSE"));
    }

    #[test]
    fn a_path_tells_its_language() {
        for (path, language) in [
            ("src/main.rs", Some("rust")),
            ("a.b/App.TSX", Some("tsx")),
            ("docker/Dockerfile", Some("dockerfile")),
            ("docs/guide.md", Some("markdown")),
            ("win\\x.yml", Some("yaml")),
            ("LICENSE", None),
            ("notes.unknown", None),
            ("a.rs/readme", None),
        ] {
            assert_eq!(language_of_path(path), language, "{path}");
        }
    }
}
