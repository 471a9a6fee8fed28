//! `twin documents push`: a document by hand.

use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use twin_api::{PushRequest, Pushed};
use twin_schemas::{AuthorId, Category};

use super::Context;
use crate::error::CommandError;

/// A document to push.
#[derive(Debug, Args)]
pub struct Push {
    /// Whose it is: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.
    #[arg(long, short, env = "TWIN_AUTHOR")]
    author: AuthorId,
    /// article, post or code.
    #[arg(long, short)]
    category: Category,
    /// Your own name for it, unique for the author.
    #[arg(long)]
    key: String,
    /// Its title.
    #[arg(long)]
    title: Option<String>,
    /// Where a person can read it: an http or https URL.
    #[arg(long)]
    document_url: Option<String>,
    /// When it was published: 2026-01-31T12:00:00Z.
    #[arg(long)]
    published_at: Option<DateTime<Utc>>,
    /// How it is written; told from the file's name if absent, plain text where that says nothing.
    #[arg(long)]
    format: Option<Format>,
    /// The file; `-` is standard input.
    file: PathBuf,
}

/// How a document is written. The names are the fields of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Markdown,
    Text,
}

/// Runs the command.
pub async fn run(args: Push, context: &mut Context) -> Result<(), CommandError> {
    let format = args.format.unwrap_or_else(|| format_of(&args.file));
    let content = content(args.file).await?;
    let mut body = PushRequest {
        author: args.author.clone(),
        category: args.category,
        natural_key: args.key,
        title: args.title,
        url: args.document_url,
        text: None,
        markdown: None,
        html: None,
        published_at: args.published_at,
    };
    match format {
        Format::Html => body.html = Some(content),
        Format::Markdown => body.markdown = Some(content),
        Format::Text => body.text = Some(content),
    }
    let reply = context.client.post(&["documents"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let pushed: Pushed = reply.parse()?;
    context.out.line(&format!("{} {} (revision {})", pushed.change.as_str(), pushed.document_id, pushed.revision))?;
    context.out.note(&format!("next: twin sync --author {} --wait", args.author));
    Ok(())
}

/// The text of a file or of standard input.
async fn content(file: PathBuf) -> Result<String, CommandError> {
    let name = file.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        if file == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(file)
        }
    });
    let bytes = reading.await.map_err(|error| CommandError::Failed(format!("{name}: {error}")))?;
    let bytes = bytes.map_err(|error| CommandError::Usage(format!("{name} can not be read: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::Usage(format!("{name} is not UTF-8 text; convert it (iconv -t UTF-8)")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn format_of(file: &Path) -> Format {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" | "xhtml" => Format::Html,
        "md" | "markdown" | "mdx" => Format::Markdown,
        _ => Format::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_from_the_name() {
        assert_eq!(format_of(Path::new("a/b.HTML")), Format::Html);
        assert_eq!(format_of(Path::new("b.md")), Format::Markdown);
        for other in ["main.rs", "README", "-", ".md"] {
            assert_eq!(format_of(Path::new(other)), Format::Text, "{other}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_without_its_byte_order_mark_and_only_as_utf_8() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        std::fs::write(&file, "\u{feff}héllo").unwrap();
        assert_eq!(content(file.clone()).await.unwrap(), "héllo");
        std::fs::write(&file, b"h\xe9llo").unwrap();
        assert!(matches!(content(file).await, Err(CommandError::Usage(message)) if message.contains("UTF-8")));
        let missing = folder.path().join("none");
        assert!(matches!(content(missing).await, Err(CommandError::Usage(_))));
    }
}
