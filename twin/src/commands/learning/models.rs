//! `twin models`: the model versions, where they come from, and which one answers.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use twin_api::{
    Decision, DecisionView, EvaluationState, EvaluationView, LineageView, ModelVersionDetail, ModelVersionState,
    ModelVersionView, TaughtDocumentView, TaughtModels,
};
use twin_schemas::{AuthorId, DocumentId, Verdict};

use super::super::Context;
use super::super::lists::{Limit, List};
use super::super::text::{Align, Table, cut, fields, moment, relative};
use super::{Decider, Which, deployment, evaluate, export, listed, plan, recipe, report, short};
use crate::client::parse;
use crate::error::CommandError;

/// Width of a document's title in a table, columns.
const NAME_WIDTH: usize = 50;

/// What to do with model versions.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// List model versions, newest first.
    List(Which),
    /// Show a model version, its evaluation and what was decided about it.
    Show(One),
    /// Show what a model version came from: job, recipe, dataset version, documents.
    Lineage(Ancestry),
    /// Write the files of a model version into a folder: the adapter, the merged model, the losses, the manifest.
    Export(Export),
    /// Show the report of a model version's evaluation.
    Report(report::Report),
    /// Queue the evaluation of a model version, also once more: on more samples, by another policy, or because what answers has
    /// changed since.
    Evaluate(evaluate::Evaluate),
    /// Let an evaluated model version serve, and deploy it.
    Approve(Decide),
    /// Keep a model version from ever serving.
    Reject(Decide),
    /// Deploy a model version that was approved before.
    Deploy(Decide),
    /// Go back to what served before the present model version.
    Rollback(Rollback),
    /// List the model versions that learned from a document.
    TaughtBy(TaughtBy),
}

/// A model version.
#[derive(Debug, Args)]
pub struct One {
    /// Its name: `<author>-v<number>`.
    model: String,
}

/// How much of what a model version came from.
#[derive(Debug, Args)]
pub struct Ancestry {
    /// Its name: `<author>-v<number>`.
    model: String,
    #[command(flatten)]
    limit: Limit,
}

/// Where to write which model version.
#[derive(Debug, Args)]
pub struct Export {
    /// Its name: `<author>-v<number>`.
    model: String,
    /// The folder, made if it is not there. Files of the same names are written over.
    folder: PathBuf,
}

/// A decision about a model version.
#[derive(Debug, Args)]
pub struct Decide {
    /// Its name: `<author>-v<number>`.
    model: String,
    #[command(flatten)]
    decider: Decider,
    /// Wait until it serves.
    #[arg(long)]
    wait: bool,
}

/// Whose model to roll back.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The author: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.
    #[arg(long, short, env = "TWIN_AUTHOR")]
    author: AuthorId,
    #[command(flatten)]
    decider: Decider,
    /// Wait until the earlier one serves.
    #[arg(long)]
    wait: bool,
}

/// A document.
#[derive(Debug, Args)]
pub struct TaughtBy {
    /// Its id.
    document: DocumentId,
}

fn name(document: &TaughtDocumentView) -> String {
    let name = document.title.as_deref().or(document.natural_key.as_deref());
    cut(name.unwrap_or("(not known here)"), NAME_WIDTH)
}

fn deletion(document: &TaughtDocumentView) -> String {
    match (document.deleted, document.deleted_at) {
        (false, None) => String::new(),
        (false, Some(at)) => format!("{}, is back", moment(at)),
        (true, Some(at)) => moment(at),
        (true, None) => "just now".to_owned(),
    }
}

/// Runs the command.
pub async fn run(command: Models, context: &mut Context) -> Result<(), CommandError> {
    match command {
        Models::List(which) => list(which, context).await,
        Models::Show(args) => show(args, context).await,
        Models::Lineage(args) => lineage(args, context).await,
        Models::Export(Export { model, folder }) => export::model(&model, &folder, context).await,
        Models::Report(args) => report::run(args, context).await,
        Models::Evaluate(args) => evaluate::run(args, context).await,
        Models::Approve(args) => decide(args, "approve", context).await,
        Models::Reject(args) => decide(args, "reject", context).await,
        Models::Deploy(args) => decide(args, "deploy", context).await,
        Models::Rollback(args) => rollback(args, context).await,
        Models::TaughtBy(args) => taught_by(args, context).await,
    }
}

async fn list(which: Which, context: &mut Context) -> Result<(), CommandError> {
    let empty = "no model version: the base model answers; next: twin train --author AUTHOR";
    let Some(models) = listed::<ModelVersionView>("model-versions", &which, empty, context).await? else {
        return Ok(());
    };
    context.out.line(&table(&models, Utc::now()).render())
}

fn table(models: &[ModelVersionView], now: DateTime<Utc>) -> Table {
    use Align::Left;
    let mut table = Table::new(&[
        ("MODEL", Left),
        ("AUTHOR", Left),
        ("STATE", Left),
        ("EVALUATION", Left),
        ("ANSWERS", Left),
        ("DATASET", Left),
        ("JOB", Left),
        ("MADE", Left),
    ]);
    for model in models {
        table.row(vec![
            model.model.clone(),
            model.author.clone(),
            model.state.as_str().to_owned(),
            model.verdict.map_or("none yet", Verdict::as_str).to_owned(),
            if model.in_production { "yes" } else { "no" }.to_owned(),
            short(&model.dataset).to_owned(),
            short(&model.job).to_owned(),
            relative(model.created_at, now),
        ]);
    }
    table
}

async fn show(args: One, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["model-versions", &args.model], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let detail: ModelVersionDetail = reply.parse()?;
    context.out.line(&description(&detail))?;
    if let Some(next) = next_step(&detail) {
        context.out.note(&format!("next: {next}"));
    }
    Ok(())
}

fn description(ModelVersionDetail { model, evaluation, decisions, plan }: &ModelVersionDetail) -> String {
    let mut pairs = vec![
        ("model", model.model.clone()),
        ("author", model.author.clone()),
        ("state", model.state.as_str().to_owned()),
        ("answers now", if model.in_production { "yes" } else { "no" }.to_owned()),
        ("made", moment(model.created_at)),
        ("dataset", short(&model.dataset).to_owned()),
        ("job", short(&model.job).to_owned()),
        ("base model", model.base.clone()),
    ];
    pairs.extend(plan.as_ref().map(|plan| ("left out", plan::left_out(plan))));
    pairs.extend(plan.as_ref().and_then(plan::unseen).map(|unseen| ("not seen", unseen)));
    let evaluated = match (evaluation, model.verdict) {
        (None, _) => "none was queued".to_owned(),
        (Some(EvaluationView { state: EvaluationState::Done, .. }), Some(verdict)) => verdict.as_str().to_owned(),
        (Some(EvaluationView { state, reason, .. }), verdict) => {
            let before = verdict.map_or(String::new(), |verdict| format!("{}, now again ", verdict.as_str()));
            let why = reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
            format!("{before}{}{why}", state.as_str())
        }
    };
    pairs.push(("evaluation", evaluated));
    if let Some(EvaluationView { against, look, .. }) = evaluation.as_ref().filter(|row| row.look > 0) {
        let against = against.as_deref().unwrap_or("the base model");
        pairs.push(("compared with", format!("{against}, evaluation {look} against it")));
    }
    pairs.extend(evaluation.as_ref().and_then(|row| row.ended_at).map(|at| ("evaluated", moment(at))));
    let mut text = fields(&pairs);
    for DecisionView { action, decided_by, why, at, .. } in decisions {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        text += &format!("\n  {} {} by {decided_by}{why}", at.format("%Y-%m-%d %H:%M UTC"), action.as_str());
    }
    text
}

/// What somebody can do with it now.
fn next_step(ModelVersionDetail { model, evaluation, .. }: &ModelVersionDetail) -> Option<String> {
    let name = &model.model;
    match (model.state, model.verdict) {
        (ModelVersionState::Trained, _) => {
            let open = evaluation
                .as_ref()
                .is_some_and(|row| matches!(row.state, EvaluationState::Queued | EvaluationState::Running));
            (!open).then(|| format!("twin models evaluate {name}"))
        }
        (ModelVersionState::Evaluated, Some(Verdict::Failed)) => Some(format!("twin models report {name}")),
        (ModelVersionState::Evaluated, Some(Verdict::Inconclusive)) => Some(format!(
            "twin models report {name}, twin models evaluate {name} --max-voice N, twin models approve {name}"
        )),
        (ModelVersionState::Evaluated, _) => Some(format!("twin models report {name}, twin models approve {name}")),
        (ModelVersionState::Approved, _) if !model.in_production => Some(format!("twin models deploy {name}")),
        _ => None,
    }
}

async fn lineage(args: Ancestry, context: &mut Context) -> Result<(), CommandError> {
    let path = ["model-versions", args.model.as_str(), "lineage"];
    let document = List::by_name(&path, "documents").read(&context.client, &[], None, args.limit).await?;
    if context.json {
        return context.out.json(&document);
    }
    let lineage: LineageView = parse(&document)?;
    context.out.line(&ancestry(&lineage))?;
    if lineage.next.is_some() {
        context.out.note("there are more documents; see --limit");
    }
    Ok(())
}

fn ancestry(LineageView { model, job, dataset, documents, split_known, next: _ }: &LineageView) -> String {
    let taught = match split_known {
        true => format!("{}, those of the train split", documents.len()),
        false => format!("some of {}: which of them are in the train split is not known", documents.len()),
    };
    let pairs = [
        ("model", model.model.clone()),
        ("made", moment(model.created_at)),
        ("job", job.job.clone()),
        ("code", job.code_version.clone()),
        ("base model", job.base.clone()),
        ("dataset", format!("{} (version {} of {})", dataset.dataset, dataset.number, dataset.author)),
        ("frozen", moment(dataset.created_at)),
        ("documents", dataset.documents.to_string()),
        ("taught it", taught),
        ("deleted since", dataset.deleted_documents.to_string()),
    ];
    let mut table = Table::new(&[
        ("DOCUMENT", Align::Left),
        ("REVISION", Align::Right),
        ("TITLE", Align::Left),
        ("DELETED", Align::Left),
        ("URL", Align::Left),
    ]);
    for document in documents {
        table.row(vec![
            document.document_id.to_string(),
            document.revision.to_string(),
            name(document),
            deletion(document),
            document.url.clone().unwrap_or_default(),
        ]);
    }
    format!("{}\n\nrecipe:\n{}\n\n{}", fields(&pairs), recipe::lines(&job.recipe), table.render())
}

async fn decide(args: Decide, action: &str, context: &mut Context) -> Result<(), CommandError> {
    let Decider { by, why } = args.decider;
    let body = Decision { by, why };
    let reply = context.client.post(&["model-versions", &args.model, action], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    if action == "reject" {
        return context.out.line(&format!("{} is rejected and will never serve", args.model));
    }
    deployment::told(reply.parse()?, args.wait, context).await
}

async fn rollback(args: Rollback, context: &mut Context) -> Result<(), CommandError> {
    let Decider { by, why } = args.decider;
    let body = Decision { by, why };
    let reply = context.client.post(&["authors", args.author.as_str(), "rollback"], &body).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    deployment::told(reply.parse()?, args.wait, context).await
}

async fn taught_by(args: TaughtBy, context: &mut Context) -> Result<(), CommandError> {
    let reply = context.client.get(&["documents", &args.document.to_string(), "models"], &[]).await?;
    if context.json {
        return context.out.json(reply.json());
    }
    let models = reply.parse::<TaughtModels>()?.models;
    if models.is_empty() {
        context.out.note("no model version learned from it");
        return Ok(());
    }
    context.out.line(&models.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail(state: &str, verdict: Option<&str>) -> ModelVersionDetail {
        serde_json::from_value(json!({
            "model": {
                "model": "ada-v3", "author": "ada", "number": 3, "job": "ab".repeat(32), "dataset": "cd".repeat(32),
                "base": "base", "manifest": "sha256:m", "state": state, "created_at": "2026-01-01T00:00:00Z",
                "verdict": verdict, "in_production": false,
            },
            "evaluation": verdict.map(|verdict| json!({
                "model": "ada-v3", "state": "done", "reason": null, "attempts": 1, "verdict": verdict, "grounded": false,
                "against": "ada-v2", "look": 3,
                "report": "sha256:r", "page": null, "created_at": "2026-01-01T00:00:00Z", "ended_at": null,
            })),
            "decisions": [{
                "author": "ada", "model": "ada-v3", "action": "approve", "decided_by": "Grace", "why": "good",
                "at": "2026-01-02T03:04:05Z",
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_document_that_taught_a_model_is_told_by_its_title_and_whether_it_is_there() {
        let taught = |title: Option<&str>, key: Option<&str>, deleted: bool, at: Option<&str>| -> TaughtDocumentView {
            let document = json!({"document_id": uuid::Uuid::nil(), "revision": 3, "title": title, "natural_key": key,
                "url": null, "deleted": deleted, "deleted_at": at});
            serde_json::from_value(document).unwrap()
        };
        let at = Some("2026-01-02T03:04:05Z");
        assert_eq!(name(&taught(Some("Hello"), Some("post/1"), false, None)), "Hello");
        assert_eq!(name(&taught(None, Some("post/1"), false, None)), "post/1");
        assert_eq!(name(&taught(None, None, false, None)), "(not known here)");
        assert_eq!(deletion(&taught(None, None, false, None)), "");
        assert_eq!(deletion(&taught(None, None, true, None)), "just now");
        let deleted = deletion(&taught(None, None, true, at));
        assert!(deleted.starts_with("2026-01-02"), "{deleted}");
        assert_eq!(deletion(&taught(None, None, false, at)), format!("{deleted}, is back"));
    }

    #[test]
    fn a_model_version_shows_its_decisions_and_what_can_be_done_with_it() {
        let passed = detail("evaluated", Some("passed"));
        let text = description(&passed);
        assert!(text.contains("evaluation     passed"), "{text}");
        assert!(text.contains("compared with  ada-v2, evaluation 3 against it"), "{text}");
        assert!(text.ends_with("\n  2026-01-02 03:04 UTC approve by Grace: good"), "{text}");
        let next = |state, verdict| next_step(&detail(state, verdict));
        assert_eq!(next("trained", None).unwrap(), "twin models evaluate ada-v3");
        assert!(next("evaluated", Some("passed")).unwrap().contains("approve"));
        assert!(next("evaluated", Some("inconclusive")).unwrap().contains("evaluate ada-v3 --max-voice"));
        assert!(!next("evaluated", Some("failed")).unwrap().contains("approve"));
        assert_eq!(next("approved", Some("passed")).unwrap(), "twin models deploy ada-v3");
        assert_eq!(next("rejected", Some("failed")), None);
        assert!(table(&[passed.model], Utc::now()).render().contains("ada-v3  ada     evaluated  passed"));
    }
}
