//! Tables.

use dom_query::NodeRef;

use super::blocks::flatten;
use super::builder::build;

/// Cells of one row, at most; more are joined into the last.
const MAX_COLUMNS: usize = 100;

/// Elements that do not fit a cell of a Markdown table.
const BLOCKS: [&str; 11] = ["table", "pre", "h1", "h2", "h3", "h4", "ul", "ol", "blockquote", "article", "section"];

/// Columns of line numbers beside code.
const GUTTERS: [&str; 4] = ["gutter", "linenos", "rouge-gutter", "blob-num"];

/// Whether the table only places things on the page.
pub(super) fn is_layout(table: &NodeRef<'_>) -> bool {
    if table.attr("role").is_some_and(|role| matches!(&*role, "presentation" | "none")) {
        return true;
    }
    let has_code = !table.find(&["pre"]).is_empty();
    let has_headings = !table.find(&["th"]).is_empty();
    let holds_blocks = BLOCKS.iter().any(|name| !table.find(&[name]).is_empty());
    has_code || (holds_blocks && !has_headings)
}

/// The cells of a layout table, without line numbers.
pub(super) fn layout_cells<'a>(table: &NodeRef<'a>) -> Vec<NodeRef<'a>> {
    let mut cells = row_nodes(table).iter().flat_map(cell_nodes).collect::<Vec<_>>();
    cells.retain(|cell| !GUTTERS.iter().any(|class| cell.has_class(class)));
    cells
}

/// The rows of a table of data, each cell on one line; rows without any text are left out.
pub(super) fn rows(table: &NodeRef<'_>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for row in row_nodes(table) {
        let mut cells = Vec::new();
        for cell in cell_nodes(&row) {
            if cells.len() >= MAX_COLUMNS {
                break;
            }
            cells.push(flatten(&build(&cell)).replace('|', "\\|"));
            // Keeps the cells after a wide one under their headings.
            let span: usize = cell.attr("colspan").and_then(|span| span.parse().ok()).unwrap_or(1);
            let free = MAX_COLUMNS.saturating_sub(cells.len());
            cells.extend(std::iter::repeat_n(String::new(), span.clamp(1, 20).saturating_sub(1).min(free)));
        }
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(cells);
        }
    }
    rows
}

/// The rows of this table, not those of tables within it.
fn row_nodes<'a>(table: &NodeRef<'a>) -> Vec<NodeRef<'a>> {
    let mut rows = Vec::new();
    for child in table.children_it(false) {
        if child.has_name("tr") {
            rows.push(child);
        } else if ["thead", "tbody", "tfoot"].iter().any(|name| child.has_name(name)) {
            rows.extend(child.children_it(false).filter(|row| row.has_name("tr")));
        }
    }
    rows
}

fn cell_nodes<'a>(row: &NodeRef<'a>) -> Vec<NodeRef<'a>> {
    row.children_it(false).filter(|cell| cell.has_name("td") || cell.has_name("th")).collect()
}
