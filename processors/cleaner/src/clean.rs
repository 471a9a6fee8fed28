//! The pure core: one document in, clean text or a rejection out.

use twin_schemas::{Category, CleanedDocument, MediaType, RawDocument};
use twin_text::language::language_of_path;

use crate::characters::head;
use crate::gate::{self, Source};
use crate::{Options, Rejection, RejectionKind, characters, html, markdown};

/// Language detection sees so many bytes of prose.
const LANGUAGE_SAMPLE_BYTES: usize = 4096;

/// Titles are cut at so many characters.
const MAX_TITLE_CHARACTERS: usize = 300;

/// Cleans a document. No input or output but its arguments and the thread's processor time (the parser gives up at the deadline).
///
/// Prose comes out without trailing spaces, and without an empty line at either end. HTML and Markdown come out with
/// at most one empty line between blocks; the inner layout of plain text is left as the author typed it.
pub fn clean(raw: &RawDocument, options: &Options) -> Result<CleanedDocument, Rejection> {
    if raw.content.len() > options.max_bytes {
        let detail = format!("{} bytes, allowed are {}", raw.content.len(), options.max_bytes);
        return Err(Rejection::new(RejectionKind::TooLarge, detail));
    }
    match raw.meta.category {
        Category::Code => Ok(clean_code(raw)),
        Category::Article | Category::Post => clean_prose(raw, options),
    }
}

fn clean_code(raw: &RawDocument) -> CleanedDocument {
    let text = raw.content.strip_prefix('\u{feff}').unwrap_or(&raw.content).to_owned();
    let code_language = language_of_path(&raw.meta.natural_key).map(str::to_owned);
    CleanedDocument { meta: raw.meta.clone(), text, language: None, code_language }
}

fn clean_prose(raw: &RawDocument, options: &Options) -> Result<CleanedDocument, Rejection> {
    gate::require_text(&raw.content)?;
    let min_words = match (raw.media_type, raw.meta.category) {
        (MediaType::Html, Category::Article) => options.min_words_html,
        _ => options.min_words_text,
    };
    let (text, found_title) = match raw.media_type {
        MediaType::Html => {
            let extracted = html::extract(&raw.content, options)?;
            let source = extracted.page.as_ref().map_or(Source::Fragment, Source::Page);
            gate::judge(&extracted.text, source, min_words)?;
            (extracted.text, extracted.title)
        }
        MediaType::Markdown => {
            let text = markdown::clean(&raw.content);
            gate::judge(&text, Source::Text, min_words)?;
            let title = markdown::title(&text);
            (text, title)
        }
        MediaType::Text => {
            let text = clean_plain_text(&raw.content);
            gate::judge(&text, Source::Text, min_words)?;
            (text, None)
        }
    };
    let mut meta = raw.meta.clone();
    meta.title = meta.title.as_deref().and_then(tidy_title).or_else(|| found_title.as_deref().and_then(tidy_title));
    let language = language_of(&text, raw.media_type);
    Ok(CleanedDocument { meta, text, language, code_language: None })
}

fn clean_plain_text(content: &str) -> String {
    let text = characters::prose(&characters::unix_newlines(content));
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.trim_matches('\n').to_owned()
}

/// A title on one line; none if nothing is left of it.
fn tidy_title(title: &str) -> Option<String> {
    let line = characters::prose(title).split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(MAX_TITLE_CHARACTERS).collect();
    (!cut.is_empty()).then_some(cut)
}

fn language_of(text: &str, media_type: MediaType) -> Option<String> {
    let info = match media_type {
        MediaType::Text => whatlang::detect(head(text, LANGUAGE_SAMPLE_BYTES)),
        MediaType::Html | MediaType::Markdown => whatlang::detect(&markdown::prose_sample(text, LANGUAGE_SAMPLE_BYTES)),
    }?;
    info.is_reliable().then(|| info.lang().code().to_owned())
}
