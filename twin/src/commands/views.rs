//! What several commands read of the API. Fields that are not shown are not read.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::text::first_lines;
use crate::client::Client;
use crate::error::CommandError;

/// A registered source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub id: String,
    pub author: String,
    pub kind: String,
    pub location: String,
    pub category: Option<String>,
    pub interval_s: u64,
    pub created_at: DateTime<Utc>,
    pub next_run_at: DateTime<Utc>,
    pub deletions_confirmed: bool,
    /// Deletions that wait for a confirmation.
    pub awaiting_deletions: u64,
    /// None before the first sync has ended.
    pub last_sync: Option<LastSync>,
}

/// How a sync went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastSync {
    pub status: SyncStatus,
    pub reason: Option<String>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub seen: u64,
    pub new: u64,
    pub changed: u64,
    pub deleted: u64,
    /// The first of those that could not be read.
    pub failed: Vec<SyncFailure>,
    pub failed_total: u64,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    Completed,
    Failed,
    AwaitingConfirmation,
}

impl SyncStatus {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::AwaitingConfirmation => "awaiting confirmation",
        }
    }
}

/// A document that a sync could not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncFailure {
    pub natural_key: String,
    pub reason: String,
}

/// How far everything is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StatusReport {
    pub version: String,
    pub ready: bool,
    pub parts: Vec<Part>,
    pub totals: Totals,
    pub pending: u64,
    pub stages: Vec<StageLag>,
    pub sources: Vec<Source>,
}

/// A part of the twin's process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Part {
    pub part: String,
    pub ready: bool,
    pub reason: Option<String>,
}

/// Numbers of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub documents: u64,
    pub searchable: u64,
    pub rejected: u64,
    pub dead: u64,
    pub pending: u64,
    pub chunks: u64,
}

impl Totals {
    /// Those of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            searchable: self.searchable + other.searchable,
            rejected: self.rejected + other.rejected,
            dead: self.dead + other.dead,
            pending: self.pending + other.pending,
            chunks: self.chunks + other.chunks,
        }
    }
}

/// How far a stage is behind its topic.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StageLag {
    pub stage: String,
    pub topic: String,
    pub lag: u64,
}

/// A passage of a document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Passage {
    pub natural_key: String,
    pub text: String,
    pub title: Option<String>,
    pub url: Option<String>,
    pub score: f64,
    pub heading_path: Vec<String>,
}

impl Passage {
    /// The headings above it: `Top › Below`. A topmost one that says the title again is left out.
    pub fn heading(&self) -> String {
        let path = self.heading_path.as_slice();
        let path = match path {
            [top, below @ ..] if self.title.as_ref() == Some(top) => below,
            _ => path,
        };
        path.join(" › ")
    }

    /// Its first lines, each cut to `width` columns: those after its own heading, which is told by
    /// [`Passage::heading`].
    pub fn first_lines(&self, count: usize, width: usize) -> Vec<String> {
        let repeats_heading = |line: &&str| {
            let heading = line.trim_start_matches('#');
            heading.trim().is_empty()
                || heading.len() < line.len() && self.heading_path.iter().any(|h| h == heading.trim())
        };
        let body: Vec<&str> = self.text.lines().skip_while(repeats_heading).collect();
        // A passage that is a heading and nothing else.
        let text = if body.is_empty() { self.text.clone() } else { body.join("\n") };
        first_lines(&text, count, width)
    }
}

/// Where the time of a question went, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Timings {
    pub total: f64,
    pub queue: f64,
    pub embed: f64,
    pub search: f64,
    pub first_token: f64,
    pub generate: f64,
}

/// The registered sources, of one author or of all.
pub async fn list_sources(client: &Client, author: Option<&str>) -> Result<Vec<Source>, CommandError> {
    #[derive(Deserialize)]
    struct List {
        sources: Vec<Source>,
    }
    let reply = client.get(&["sources"], &author_query(author)).await?;
    Ok(reply.parse::<List>()?.sources)
}

/// The query parameter of an author.
pub fn author_query(author: Option<&str>) -> Vec<(&'static str, &str)> {
    author.map(|author| ("author", author)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_does_not_say_its_heading_twice() {
        let passage = |text: &str| Passage {
            natural_key: "a.md".into(),
            text: text.into(),
            title: Some("Bread".into()),
            url: None,
            score: 0.5,
            heading_path: vec!["Bread".into(), "Time".into()],
        };
        assert_eq!(passage("").heading(), "Time");
        assert_eq!(passage("# Bread\n\n## Time\nLeave it.\n# end").first_lines(2, 80), ["Leave it.", "# end"]);
        assert_eq!(passage("# Bread").first_lines(1, 80), ["# Bread"]);
        assert_eq!(passage("#include <time.h>\nint x;").first_lines(1, 80), ["#include <time.h>"]);
    }
}
