//! What several commands show of the API's types.

use twin_api::{PassageView, SourceList, SourceView, SyncStatus, TotalsView};

use super::lists::List;
use super::text::first_lines;
use crate::client::{Client, parse};
use crate::error::CommandError;

/// The registered sources, by author and location.
pub const SOURCES: List<'static> = List { path: &["sources"], rows: "sources", cursor: "after", page: 1_000 };

/// How a sync ended, as it is shown.
pub fn sync_status(status: SyncStatus) -> String {
    status.as_str().replace('_', " ")
}

/// Those of both.
pub fn sum(a: TotalsView, b: TotalsView) -> TotalsView {
    TotalsView {
        documents: a.documents + b.documents,
        searchable: a.searchable + b.searchable,
        rejected: a.rejected + b.rejected,
        dead: a.dead + b.dead,
        pending: a.pending + b.pending,
        chunks: a.chunks + b.chunks,
    }
}

/// The headings above a passage: `Top › Below`. A topmost one that says the title again is left out.
pub fn heading(passage: &PassageView) -> String {
    let path = passage.heading_path.as_slice();
    let path = match path {
        [top, below @ ..] if passage.title.as_ref() == Some(top) => below,
        _ => path,
    };
    path.join(" › ")
}

/// A passage's first lines, each cut to `width` columns: those after its own heading, which is told by [`heading`].
pub fn beginning(passage: &PassageView, count: usize, width: usize) -> Vec<String> {
    let repeats_heading = |line: &&str| {
        let heading = line.trim_start_matches('#');
        heading.trim().is_empty()
            || heading.len() < line.len() && passage.heading_path.iter().any(|h| h == heading.trim())
    };
    let body: Vec<&str> = passage.text.lines().skip_while(repeats_heading).collect();
    // A passage that is a heading and nothing else.
    let text = if body.is_empty() { passage.text.clone() } else { body.join("\n") };
    first_lines(&text, count, width)
}

/// The registered sources, of one author or of all.
pub async fn list_sources(client: &Client, author: Option<&str>) -> Result<Vec<SourceView>, CommandError> {
    let document = SOURCES.read_all(client, &author_query(author)).await?;
    Ok(parse::<SourceList>(&document)?.sources)
}

/// The query parameter of an author.
pub fn author_query(author: Option<&str>) -> Vec<(&'static str, &str)> {
    author.map(|author| ("author", author)).into_iter().collect()
}

#[cfg(test)]
pub mod testing {
    use twin_api::PassageView;
    use twin_schemas::Category;

    /// A passage of an article.
    pub fn passage(text: &str, title: &str, heading_path: &[&str]) -> PassageView {
        PassageView {
            document_id: uuid::Uuid::nil(),
            natural_key: "posts/a.md".into(),
            revision: 1,
            ordinal: 0,
            text: text.into(),
            title: Some(title.into()),
            url: None,
            category: Category::Article,
            score: 0.8312,
            heading_path: heading_path.iter().map(|heading| (*heading).to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_does_not_say_its_heading_twice() {
        let passage = |text: &str| testing::passage(text, "Bread", &["Bread", "Time"]);
        assert_eq!(heading(&passage("")), "Time");
        assert_eq!(beginning(&passage("# Bread\n\n## Time\nLeave it.\n# end"), 2, 80), ["Leave it.", "# end"]);
        assert_eq!(beginning(&passage("# Bread"), 1, 80), ["# Bread"]);
        assert_eq!(beginning(&passage("#include <time.h>\nint x;"), 1, 80), ["#include <time.h>"]);
    }
}
