//! HTML: from a page or a fragment to Markdown-like text.
//!
//! The order matters: bounds are checked before anything is parsed, hidden and foreign parts leave the tree before the
//! main content is looked for, and the text is written by a walk of our own, since the extractor's serialiser loses
//! line breaks in code.

mod blocks;
mod builder;
mod content;
mod inline;
mod page;
mod parse;
mod preformatted;
mod prune;
mod screen;
mod table;

use dom_query::NodeRef;

use crate::{Options, Rejection, markdown, processor_time};

pub(crate) use page::Page;

/// What an HTML document holds.
pub(crate) struct Extracted {
    /// The text, as Markdown.
    pub(crate) text: String,
    /// The title, where the document names one.
    pub(crate) title: Option<String>,
    /// What else the page shows; none for a fragment.
    pub(crate) page: Option<Page>,
}

/// Extracts the text of a page (its main content) or of a fragment (all of it).
pub(crate) fn extract(html: &str, options: &Options) -> Result<Extracted, Rejection> {
    screen::check(html, options)?;
    let is_page = page::is_page(html);
    // The parser gives up at half of the time, so that there is some left for the rest.
    let give_up_at = processor_time::of_this_thread() + options.deadline() / 2;
    let document = parse::parse(html, is_page, options.max_depth, give_up_at)?;
    if !is_page {
        prune::fragment(&document);
        let text = render(&document.root());
        let title = page::first_heading(&document);
        return Ok(Extracted { text, title, page: None });
    }
    let page = Page::observe(&document);
    let title = page.content_title(&document);
    prune::page(&document);
    let text = content::main_text(&document);
    Ok(Extracted { text, title, page: Some(page) })
}

/// The node's content as Markdown that is clean already.
fn render(node: &NodeRef<'_>) -> String {
    markdown::clean(&blocks::write(&builder::build(node)))
}
