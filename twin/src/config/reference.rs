//! `docs/configuration.md`, made from the types.

use super::Config;
use super::keys;

/// The page, in Markdown.
pub fn reference() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut page = String::from(
        "# Configuration\n\n\
         Made from the types by `twin config --reference`; a test keeps it true.\n\n\
         Values come from, each covering the one before: the defaults below, `twin.toml` in the working folder (or the \
         file that `--config` or `TWIN_CONFIG` names), variables, flags (`--data`, `--listen`, `--log`). `twin config` \
         prints the effective values and where each came from. A key or value that can not be used is named, and the \
         exit code is 64.\n\n\
         | key | variable | value | default | meaning |\n|---|---|---|---|---|\n",
    );
    for key in keys::all() {
        let default = key.path.split('.').try_fold(None, |at: Option<&toml::Value>, part| match at {
            None => defaults.get(part).map(Some),
            Some(value) => value.get(part).map(Some),
        });
        let default = default.flatten().map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        let row = [format!("`{}`", key.path), format!("`{}`", key.variable()), key.kind.clone(), default, key.doc];
        let cells = row.map(|cell| cell.replace('|', "\\|"));
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_tree_is_that_of_the_types() {
        // Cargo runs tests in their package's folder.
        let stored = std::fs::read_to_string("../docs/configuration.md").unwrap_or_default();
        assert_eq!(stored, super::reference(), "run: twin config --reference > docs/configuration.md");
    }

    #[test]
    fn every_key_says_what_it_means() {
        for key in super::keys::all() {
            assert!(!key.doc.is_empty(), "{} has no documentation", key.path);
        }
    }
}
