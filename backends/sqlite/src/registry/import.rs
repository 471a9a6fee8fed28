//! What earlier versions kept in tables of its own becomes the first step of each author.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use twin_backend::Error;
use twin_schemas::{AuthorId, DatasetId, JobId, ModelId};

use super::columns::{self, collect, failed, from_json, get, named, optional_named, optional_time, parsed, time};
use twin_registry::NewStep;
use twin_registry::changed_rows;
use twin_registry::rules::{AuthorState, Deployment, Event, Step, Sweep};
use twin_registry::{
    DatasetRow, DecisionRow, DeploymentRow, EvaluationRow, FreezeRequest, JobRow, MeasureChanges, ModelRow,
    StoredRecipe,
};

/// Imports the tables, if they are there, and removes them.
pub(super) fn run(tx: &Connection) -> Result<(), Error> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'registry_outbox'";
    let is_there: bool = tx.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
    if !is_there {
        return Ok(());
    }
    for state in states(tx)?.into_values() {
        import(tx, state)?;
    }
    tx.execute_batch(
        "DROP TABLE datasets; DROP TABLE freeze_requests; DROP TABLE jobs; DROP TABLE recipes; DROP TABLE models;
         DROP TABLE evaluations; DROP TABLE decisions; DROP TABLE deployments; DROP TABLE registry_outbox;",
    )
    .map_err(failed)
}

fn import(tx: &Connection, state: AuthorState) -> Result<(), Error> {
    let nothing = AuthorState::new(state.author.clone());
    let mut after = nothing.clone();
    let events = events(tx, &state.author)?.into_iter().map(|event| Step::CarriedOver { event });
    for step in std::iter::once(Step::Imported { state: Box::new(state) }).chain(events) {
        after.apply(step.clone());
        let (author, event) = (after.author.clone(), step.event(&after.author));
        super::append(tx, &NewStep { author, number: after.number, step, event })?;
    }
    super::rows::put(tx, &changed_rows(&nothing, &after))
}

type States = BTreeMap<AuthorId, AuthorState>;

fn states(c: &Connection) -> Result<States, Error> {
    let mut states = States::new();
    for row in all(c, "SELECT * FROM freeze_requests", freeze)? {
        let state = of(&mut states, &row.author);
        state.freeze = Some(row);
    }
    for (author, recipe) in all(c, "SELECT * FROM recipes", recipe)? {
        of(&mut states, &author).recipe = Some(recipe);
    }
    for row in all(c, DATASETS, dataset)? {
        of(&mut states, &row.author).datasets.push(row);
    }
    for (row, progress) in all(c, "SELECT * FROM jobs", job)? {
        if let Some(progress) = progress {
            super::runs::put_progress(c, &row.job, row.attempts, &from_json("progress", &progress)?)?;
        }
        let state = of(&mut states, &row.author);
        if let Some(name) = &row.sweep {
            let (sweep, author) = (name.clone(), row.author.clone());
            let sweep = Sweep { sweep, author, concluded: false, trials: [].into() };
            state.sweeps.entry(name.clone()).or_insert(sweep).trials.insert(row.job.clone());
        }
        state.jobs.insert(row.job.clone(), row);
    }
    for row in all(c, MODELS, model)? {
        of(&mut states, &row.author).models.push(row);
    }
    for (author, row) in all(c, EVALUATIONS, |row| Ok((parsed(row, "author")?, evaluation(row)?)))? {
        of(&mut states, &author).evaluations.insert(row.model.clone(), row);
    }
    for row in all(c, "SELECT * FROM decisions ORDER BY decision", decision)? {
        of(&mut states, &row.author).decisions.push(row);
    }
    for row in all(c, "SELECT * FROM deployments ORDER BY author, number", deployment)? {
        of(&mut states, &row.author).deployments.push(Deployment { row, workers: BTreeMap::new() });
    }
    Ok(states)
}

const DATASETS: &str = "SELECT d.*, (SELECT count(*) FROM dataset_members m WHERE m.dataset = d.dataset) AS documents
    FROM datasets d ORDER BY author, number";
const MODELS: &str =
    "SELECT m.*, e.verdict FROM models m LEFT JOIN evaluations e USING (model) ORDER BY author, number";
const EVALUATIONS: &str = "SELECT e.*, m.author FROM evaluations e JOIN models m USING (model)";

fn of<'a>(states: &'a mut States, author: &AuthorId) -> &'a mut AuthorState {
    states.entry(author.clone()).or_insert_with(|| AuthorState::new(author.clone()))
}

fn all<T>(c: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    collect(&mut *columns::prepare(c, sql)?, [], read)
}

/// The author's events that are not in the log yet. Earlier versions keyed them by author.
fn events(c: &Connection, author: &AuthorId) -> Result<Vec<Event>, Error> {
    let sql = "SELECT * FROM registry_outbox WHERE published = 0 AND key = ?1 ORDER BY sequence";
    collect(&mut *columns::prepare(c, sql)?, [author.as_str()], |row| {
        Ok(Event {
            id: get(row, "event_id")?,
            stage: get(row, "stage")?,
            topic: get(row, "topic")?,
            subject: get(row, "subject")?,
            payload: from_json("event", &get::<String>(row, "payload")?)?,
        })
    })
}

fn freeze(row: &Row<'_>) -> Result<FreezeRequest, Error> {
    Ok(FreezeRequest {
        author: parsed(row, "author")?,
        requested_by: get(row, "requested_by")?,
        requested_at: time(row, "requested_at")?,
        outcome: get(row, "outcome")?,
        refused: get(row, "refused")?,
        retrain: false,
    })
}

fn recipe(row: &Row<'_>) -> Result<(AuthorId, StoredRecipe), Error> {
    let stored =
        StoredRecipe { recipe: get(row, "recipe")?, origin: get(row, "origin")?, set_at: time(row, "set_at")? };
    Ok((parsed(row, "author")?, stored))
}

fn dataset(row: &Row<'_>) -> Result<DatasetRow, Error> {
    Ok(DatasetRow {
        dataset: DatasetId(get(row, "dataset")?),
        author: parsed(row, "author")?,
        number: get(row, "number")?,
        parent: get::<Option<String>>(row, "parent")?.map(DatasetId),
        manifest: get(row, "manifest")?,
        training_samples: get::<i64>(row, "training_samples")?.unsigned_abs(),
        counts: from_json("counts", &get::<String>(row, "counts")?)?,
        prompts: None,
        reason: get(row, "reason")?,
        created_at: time(row, "created_at")?,
        documents: get::<i64>(row, "documents")?.unsigned_abs(),
        deleted_documents: 0,
    })
}

fn job(row: &Row<'_>) -> Result<(JobRow, Option<String>), Error> {
    let job = JobRow {
        job: JobId(get(row, "job")?),
        author: parsed(row, "author")?,
        dataset: DatasetId(get(row, "dataset")?),
        base: get(row, "base")?,
        recipe: get(row, "recipe")?,
        sweep: get(row, "sweep")?,
        code_version: get(row, "code_version")?,
        state: named(row, "state")?,
        reason: get(row, "reason")?,
        attempts: get(row, "attempts")?,
        cancel_requested: get(row, "cancel_requested")?,
        progress: None,
        pending: false,
        created_at: time(row, "created_at")?,
        started_at: optional_time(row, "started_at")?,
        ended_at: optional_time(row, "ended_at")?,
        model: get::<Option<String>>(row, "model")?.map(ModelId),
    };
    Ok((job, get(row, "progress")?))
}

fn model(row: &Row<'_>) -> Result<ModelRow, Error> {
    Ok(ModelRow {
        model: ModelId(get(row, "model")?),
        author: parsed(row, "author")?,
        number: get(row, "number")?,
        job: JobId(get(row, "job")?),
        dataset: DatasetId(get(row, "dataset")?),
        base: get(row, "base")?,
        manifest: get(row, "manifest")?,
        state: named(row, "state")?,
        created_at: time(row, "created_at")?,
        verdict: optional_named(row, "verdict")?,
        in_production: false,
    })
}

fn evaluation(row: &Row<'_>) -> Result<EvaluationRow, Error> {
    Ok(EvaluationRow {
        model: ModelId(get(row, "model")?),
        state: named(row, "state")?,
        reason: get(row, "reason")?,
        attempts: get(row, "attempts")?,
        verdict: optional_named(row, "verdict")?,
        grounded: false,
        against: None,
        look: 0,
        round: 1,
        changes: MeasureChanges::default(),
        report: get(row, "report")?,
        page: get(row, "page")?,
        created_at: time(row, "created_at")?,
        ended_at: optional_time(row, "ended_at")?,
    })
}

fn decision(row: &Row<'_>) -> Result<DecisionRow, Error> {
    Ok(DecisionRow {
        author: parsed(row, "author")?,
        model: get::<Option<String>>(row, "model")?.map(ModelId),
        action: named(row, "action")?,
        decided_by: get(row, "decided_by")?,
        why: get(row, "why")?,
        at: time(row, "at")?,
    })
}

fn deployment(row: &Row<'_>) -> Result<DeploymentRow, Error> {
    Ok(DeploymentRow {
        author: parsed(row, "author")?,
        number: get::<i64>(row, "number")?.unsigned_abs(),
        model: get::<Option<String>>(row, "model")?.map(ModelId),
        state: named(row, "state")?,
        detail: get(row, "detail")?,
        at: time(row, "at")?,
        settled_at: optional_time(row, "settled_at")?,
    })
}
