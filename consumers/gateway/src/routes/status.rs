//! `GET /v1/status`: how far everything is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;
use twin_stream::Watermarks;
use twin_warehouse::Totals;
use utoipa::{IntoParams, ToSchema};

use crate::extract::Query;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::routes::sources::SourceView;
use crate::state::{App, StageGroup};

/// Whose status.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatusFilter {
    /// Totals, pending documents and sources of this author only.
    #[param(value_type = Option<String>, example = "ada")]
    author: Option<AuthorId>,
}

/// How far everything is.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// Version of this program.
    #[schema(value_type = String)]
    version: &'static str,
    /// Every part of this process can do its job.
    ready: bool,
    /// Each part of this process.
    parts: Vec<PartView>,
    /// Documents.
    totals: TotalsView,
    /// Documents whose newest revision is neither indexed, rejected nor dead-lettered. 0: everything that was
    /// collected is searchable or has a reason not to be.
    pending: u64,
    /// How far each stage is behind its topic.
    stages: Vec<StageLag>,
    /// The sources, by author and location.
    sources: Vec<SourceView>,
}

/// A part of this process.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartView {
    /// Its name.
    part: String,
    /// It can do its job.
    ready: bool,
    /// Why not.
    reason: Option<String>,
}

/// Numbers of documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalsView {
    /// Not deleted.
    documents: u64,
    /// Of these, with a revision that is searched.
    searchable: u64,
    /// Of these, whose newest revision was rejected.
    rejected: u64,
    /// Of these, whose newest revision is dead-lettered.
    dead: u64,
    /// On their way.
    pending: u64,
    /// Chunks in the index.
    chunks: u64,
}

impl From<Totals> for TotalsView {
    fn from(totals: Totals) -> Self {
        let Totals { documents, searchable, rejected, dead, pending, chunks } = totals;
        Self { documents, searchable, rejected, dead, pending, chunks }
    }
}

/// How far a stage is behind its topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct StageLag {
    /// The stage.
    stage: String,
    /// Its consumer group.
    group: String,
    /// The topic that it reads.
    topic: String,
    /// Offsets between what it has committed and the end of the topic: at least as many as there are records to read,
    /// since compaction leaves gaps.
    lag: u64,
}

/// Show how far everything is.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "show_status", tag = "operations", params(StatusFilter),
    responses((status = 200, description = "How far everything is", body = StatusView), ReadProblems)
)]
pub async fn status(
    State(app): State<Arc<App>>,
    Query(filter): Query<StatusFilter>,
) -> Result<axum::Json<StatusView>, Problem> {
    let author = filter.author.as_ref();
    let parts: Vec<PartView> = app
        .health
        .report()
        .into_iter()
        .map(|(part, state)| PartView { part, ready: state.is_ok(), reason: state.err() })
        .collect();
    let mut stages = Vec::with_capacity(app.stages.len());
    for stage in &app.stages {
        stages.push(stage_lag(&app, stage).await?);
    }
    let sources = app.warehouse.sources(author).await?;
    // One look for both: whoever waits for nothing to be pending reads the other numbers beside it.
    let totals = app.warehouse.totals(author).await?;
    Ok(axum::Json(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        ready: parts.iter().all(|part| part.ready),
        parts,
        pending: totals.pending,
        totals: totals.into(),
        stages,
        sources: sources.into_iter().map(SourceView::from).collect(),
    }))
}

async fn stage_lag(app: &App, stage: &StageGroup) -> Result<StageLag, Problem> {
    let watermarks = app.log.watermarks(&stage.topic).await?;
    let committed = app.log.committed(&stage.group, &stage.topic).await?;
    let StageGroup { stage, group, topic } = stage.clone();
    Ok(StageLag { stage, group, topic, lag: lag(&watermarks, &committed) })
}

fn lag(watermarks: &BTreeMap<u32, Watermarks>, committed: &BTreeMap<u32, u64>) -> u64 {
    watermarks
        .iter()
        .map(|(partition, ends)| {
            let next = committed.get(partition).copied().unwrap_or(ends.begin).max(ends.begin);
            ends.end.saturating_sub(next)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_what_is_between_the_commits_and_the_ends() {
        let watermarks = BTreeMap::from([
            (0, Watermarks { begin: 0, end: 10 }),
            (1, Watermarks { begin: 5, end: 9 }),
            (2, Watermarks { begin: 20, end: 30 }),
        ]);
        // Partition 0 is 3 behind, nothing of 1 was read, and 2 was cut before its commit.
        assert_eq!(lag(&watermarks, &BTreeMap::from([(0, 7), (2, 15)])), 3 + 4 + 10);
        assert_eq!(lag(&watermarks, &BTreeMap::from([(0, 10), (1, 9), (2, 30)])), 0);
    }
}
