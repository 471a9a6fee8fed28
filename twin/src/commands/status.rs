//! `twin status`: how far everything is.

use clap::Args;
use twin_api::{RefusalsView, StatusView, ThresholdBasis, ThresholdView};

use super::sources;
use super::text::{Align, Table, count};
use super::views::author_query;
use super::{AuthorOption, Context};
use crate::error::CommandError;

/// Whose status.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    author: AuthorOption,
}

/// Runs the command.
pub async fn run(args: Status, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["status"], &author_query(args.author.name())).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let report: StatusView = reply.parse()?;
    let url = context.client.url().to_owned();
    context.out.line(&render(&report, &url))
}

fn render(report: &StatusView, url: &str) -> String {
    let state = if report.ready { "ready" } else { "not ready" };
    let mut blocks = vec![format!("twin {} at {url}: {state}", report.version)];
    let idle: Vec<String> = report
        .parts
        .iter()
        .filter(|part| !part.ready)
        .map(|part| format!("  {} is not ready: {}", part.part, part.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    blocks.extend(idle);
    let totals = report.totals;
    blocks.push(format!(
        "{}: {} searchable, {} on the way, {} rejected, {} dead-lettered; {}",
        count(totals.documents, "document"),
        totals.searchable,
        report.pending,
        totals.rejected,
        totals.dead,
        count(totals.chunks, "chunk"),
    ));
    if totals.dead > 0 {
        blocks.push("  next: twin dlq list".to_owned());
    }
    if !report.stages.is_empty() {
        blocks.push(String::new());
        let mut table = Table::new(&[("STAGE", Align::Left), ("READS", Align::Left), ("BEHIND", Align::Right)]);
        for stage in &report.stages {
            table.row(vec![stage.stage.clone(), stage.topic.clone(), stage.lag.to_string()]);
        }
        blocks.push(table.render());
    }
    if let Some(min_score) = report.min_score {
        blocks.push(String::new());
        blocks.push(format!("questions are refused where no passage reaches {min_score:.2} (`retrieval.min_score`)"));
    } else if !report.thresholds.is_empty() {
        blocks.push(String::new());
        blocks.push(thresholds(&report.thresholds));
    }
    if !report.sources.is_empty() {
        blocks.push(String::new());
        blocks.push(sources::table(&report.sources).render());
    }
    if report.sources_next.is_some() {
        blocks.push("  there are more: twin sources list".to_owned());
    }
    blocks.join("\n")
}

/// From which score on whose questions are answered, and how often that is wrong.
fn thresholds(thresholds: &[ThresholdView]) -> String {
    let mut table = Table::new(&[
        ("AUTHOR", Align::Left),
        ("ANSWERED FROM", Align::Right),
        ("LOST", Align::Right),
        ("OTHER FIELDS REFUSED", Align::Right),
        ("WITHOUT ITS DOCUMENT REFUSED", Align::Right),
        ("MEASURED", Align::Left),
    ]);
    for threshold in thresholds {
        let ThresholdView { author, threshold, basis, answerable, left_out, general, measured_at } = threshold;
        let from = match basis {
            ThresholdBasis::Measured => format!("{threshold:.2}"),
            ThresholdBasis::Shipped => format!("{threshold:.2} (shipped: too few texts)"),
        };
        let measured_at = measured_at.format("%Y-%m-%d %H:%M").to_string();
        table.row(vec![author.to_string(), from, share(answerable), share(general), share(left_out), measured_at]);
    }
    table.render()
}

/// `2.0 % of 200`.
fn share(refusals: &RefusalsView) -> String {
    let RefusalsView { asked, refused } = *refusals;
    match asked {
        0 => "-".to_owned(),
        asked => format!("{:.1} % of {asked}", 100.0 * f64::from(refused) / f64::from(asked)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use twin_api::{PartView, StageLag, TotalsView};

    use super::*;

    #[test]
    fn a_part_that_is_not_ready_is_named_with_its_reason() {
        let report = StatusView {
            version: "0.1.0".into(),
            ready: false,
            parts: vec![
                PartView { part: "gateway".into(), ready: true, reason: None },
                PartView { part: "embedder".into(), ready: false, reason: Some("no model".into()) },
            ],
            totals: TotalsView { documents: 2, searchable: 1, rejected: 0, dead: 1, pending: 0, chunks: 7 },
            pending: 0,
            stages: vec![StageLag {
                stage: "cleaner".into(),
                group: "twin.cleaner".into(),
                topic: "twin.documents.raw.v1".into(),
                lag: 3,
            }],
            thresholds: Vec::new(),
            min_score: None,
            sources: Vec::new(),
            sources_next: None,
        };
        assert_eq!(
            render(&report, "http://127.0.0.1:7700"),
            "twin 0.1.0 at http://127.0.0.1:7700: not ready\n  \
             embedder is not ready: no model\n\
             2 documents: 1 searchable, 0 on the way, 0 rejected, 1 dead-lettered; 7 chunks\n  \
             next: twin dlq list\n\n\
             STAGE    READS                  BEHIND\n\
             cleaner  twin.documents.raw.v1       3"
        );
    }

    #[test]
    fn what_refusing_costs_is_told_for_each_author() {
        let refusals = |asked, refused| RefusalsView { asked, refused };
        let ada = ThresholdView {
            author: "ada".parse().unwrap(),
            threshold: 0.612,
            basis: ThresholdBasis::Measured,
            answerable: refusals(200, 3),
            left_out: refusals(200, 140),
            general: refusals(300, 299),
            measured_at: DateTime::UNIX_EPOCH,
        };
        let grace = ThresholdView {
            author: "grace".parse().unwrap(),
            threshold: 0.35,
            basis: ThresholdBasis::Shipped,
            answerable: refusals(0, 0),
            left_out: refusals(0, 0),
            general: refusals(0, 0),
            ..ada.clone()
        };
        let text = thresholds(&[ada, grace]);
        let cells = |line: &str| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let rows: Vec<_> = text.lines().skip(1).map(cells).collect();
        assert_eq!(rows[0], ["ada", "0.61", "1.5 % of 200", "99.7 % of 300", "70.0 % of 200", "1970-01-01 00:00"]);
        assert_eq!(rows[1], ["grace", "0.35 (shipped: too few texts)", "-", "-", "-", "1970-01-01 00:00"]);
    }
}
