//! `GET /v1/status`: how far everything is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use twin_api::{PartView, RefusalsView, StageLag, StatusFilter, StatusView, ThresholdBasis, ThresholdView, TotalsView};
use twin_stream::Watermarks;
use twin_warehouse::{Calibration, Refusals, Totals};

use crate::extract::Query;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::routes::sources;
use crate::state::{App, StageGroup};
use crate::views::Shown;

impl Shown for Totals {
    type View = TotalsView;

    fn shown(self) -> TotalsView {
        let Totals { documents, searchable, rejected, dead, pending, chunks } = self;
        TotalsView { documents, searchable, rejected, dead, pending, chunks }
    }
}

/// Authors whose thresholds are shown, at most.
const THRESHOLDS: usize = 1_000;

impl Shown for Refusals {
    type View = RefusalsView;

    fn shown(self) -> RefusalsView {
        RefusalsView { asked: self.asked, refused: self.refused }
    }
}

impl Shown for Calibration {
    type View = ThresholdView;

    fn shown(self) -> ThresholdView {
        ThresholdView {
            author: self.author,
            threshold: self.threshold,
            basis: match self.basis {
                twin_warehouse::ThresholdBasis::Measured => ThresholdBasis::Measured,
                twin_warehouse::ThresholdBasis::Shipped => ThresholdBasis::Shipped,
            },
            answerable: self.answerable.shown(),
            left_out: self.left_out.shown(),
            general: self.general.shown(),
            measured_at: self.measured_at,
        }
    }
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
    let sources = app.warehouse.sources(author, None, sources::LIST.default as usize).await?;
    let calibrations = match author {
        Some(author) => app.warehouse.calibration(author).await?.into_iter().collect(),
        None => app.warehouse.calibrations(None, THRESHOLDS).await?,
    };
    // One look for both: whoever waits for nothing to be pending reads the other numbers beside it.
    let totals = app.warehouse.totals(author).await?;
    Ok(axum::Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: parts.iter().all(|part| part.ready),
        parts,
        pending: totals.pending,
        totals: totals.shown(),
        stages,
        thresholds: calibrations.into_iter().map(Shown::shown).collect(),
        min_score: app.min_score,
        sources_next: sources::LIST.next(sources.next),
        sources: sources.items.into_iter().map(Shown::shown).collect(),
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
