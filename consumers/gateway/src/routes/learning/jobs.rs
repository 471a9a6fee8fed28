//! `/v1/jobs` and `/v1/sweeps`: training, and what it measured.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;
use twin_api::{
    Asker, JobFilter, JobList, JobView, MetricFilter, MetricList, NewJobRequest, NewSweepRequest, PlannedJob,
};
use twin_registry::DatasetRow;
use twin_schemas::{AuthorId, DatasetId};
use twin_training::{Recipe, Sweep};

use super::views::job_state;
use super::{checked_by, checked_recipe, find_dataset, find_job, newest_first};
use crate::extract::{Json, Path, Query};
use crate::learning::Learning;
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

const LIST: List = newest_first("jobs");
/// Values of a run.
const METRICS: List = List { name: "metrics", cursor: "after", default: 10_000, max: 10_000 };

/// List training jobs.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "learning", params(JobFilter),
    responses((status = 200, description = "Jobs, newest first", body = JobList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<JobFilter>,
) -> Result<axum::Json<JobList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.before.as_deref())?;
    let (author, state) = (filter.author.as_ref(), filter.state.map(job_state));
    let page = app.learning()?.registry.list_jobs(author, state, from.as_ref(), limit).await?;
    Ok(axum::Json(JobList { jobs: page.items.into_iter().map(Shown::shown).collect(), next: LIST.next(page.next) }))
}

/// Show a training job.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "show_job", tag = "learning",
    params(("id" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 200, description = "The job", body = JobView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<axum::Json<JobView>, Problem> {
    Ok(axum::Json(find_job(&app.learning()?.registry, &id).await?.shown()))
}

/// Queue a training job.
///
/// The same dataset, base model and recipe are the same job: one that is there already is answered as it stands.
#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "train", tag = "learning", request_body = NewJobRequest,
    responses((status = 202, description = "Queued, or there already", body = JobView), StepProblems)
)]
pub async fn train(
    State(app): State<Arc<App>>,
    Json(request): Json<NewJobRequest>,
) -> Result<(StatusCode, axum::Json<JobView>), Problem> {
    let learning = app.learning()?;
    let (author, dataset, recipe) = wanted(&app, learning, request).await?;
    let job = learning.queue()?.train(&author, &dataset, &recipe).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(job.shown())))
}

/// Say what a training job would be: its steps, tokens, memory and time, and which samples it would leave out.
///
/// Nothing is queued. The samples are read for it, which takes seconds.
#[utoipa::path(
    post, path = "/v1/jobs/plan", operation_id = "plan_job", tag = "learning", request_body = NewJobRequest,
    responses((status = 200, description = "What it would be", body = PlannedJob), StepProblems)
)]
pub async fn plan(
    State(app): State<Arc<App>>,
    Json(request): Json<NewJobRequest>,
) -> Result<axum::Json<PlannedJob>, Problem> {
    let learning = app.learning()?;
    let (author, dataset, recipe) = wanted(&app, learning, request).await?;
    let planned = learning.planner()?.plan(&dataset, &recipe).await?;
    Ok(axum::Json(PlannedJob {
        author: author.to_string(),
        dataset: dataset.0,
        plan: planned.plan.shown(),
        seconds: planned.seconds,
        folds: planned.folds,
        by_a_job: planned.by_a_job,
        refused: planned.refused,
    }))
}

/// What a request asks to train on, and by which recipe.
async fn wanted(
    app: &App,
    learning: &Learning,
    request: NewJobRequest,
) -> Result<(AuthorId, DatasetId, Recipe), Problem> {
    let recipe = request.recipe.as_deref().map(checked_recipe).transpose()?;
    let DatasetRow { author, dataset, .. } =
        dataset_to_train_on(app, learning, request.author, request.dataset).await?;
    let recipe = match recipe {
        Some(recipe) => recipe,
        None => learning.queue()?.recipe_of(&author).await?,
    };
    Ok((author, dataset, recipe))
}

async fn dataset_to_train_on(
    app: &App,
    learning: &Learning,
    author: Option<AuthorId>,
    dataset: Option<String>,
) -> Result<DatasetRow, Problem> {
    if let Some(id) = dataset {
        let row = find_dataset(&learning.registry, &id).await?;
        return match author {
            Some(author) if author != row.author => {
                let detail = format!("dataset {} is of {}, not of {author}", row.dataset.short(), row.author);
                Err(Problem::field("author", detail))
            }
            _ => Ok(row),
        };
    }
    let author = app.author(author).await?;
    let Some(newest) = learning.registry.newest_dataset(&author).await? else {
        return Err(Problem::refused(format!(
            "{author} has no dataset version yet: `twin datasets freeze --author {author} --wait` asks for one (POST \
             /v1/datasets) and says what is missing"
        )));
    };
    if learning.queue.as_ref().is_ok_and(|queue| queue.ingredients().is_outdated(&newest)) {
        return Err(Problem::refused(format!(
            "the newest dataset version of {author}, number {}, has prompts of another form than they have now: `twin \
             datasets freeze --author {author} --wait` makes one of the present form (POST /v1/datasets); to train on that \
             one all the same, name it",
            newest.number
        )));
    }
    Ok(newest)
}

/// Queue the trials of a sweep over recipes, on the author's newest dataset version.
#[utoipa::path(
    post, path = "/v1/sweeps", operation_id = "sweep", tag = "learning", request_body = NewSweepRequest,
    responses((status = 202, description = "Its trials", body = JobList), StepProblems)
)]
pub async fn sweep(
    State(app): State<Arc<App>>,
    Json(request): Json<NewSweepRequest>,
) -> Result<(StatusCode, axum::Json<JobList>), Problem> {
    let learning = app.learning()?;
    let DatasetRow { author, dataset, .. } = dataset_to_train_on(&app, learning, request.author, None).await?;
    let sweep = Sweep::from_toml(&request.sweep).map_err(|error| Problem::field("sweep", error.to_string()))?;
    let trials = learning.queue()?.sweep(&author, &dataset, &sweep).await?;
    let jobs = trials.into_iter().map(Shown::shown).collect();
    Ok((StatusCode::ACCEPTED, axum::Json(JobList { jobs, next: None })))
}

/// Stop a training job.
///
/// One that waits ends at once; one that runs ends at its next step and keeps its last checkpoint.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "learning",
    params(("id" = String, Path, description = "Its id, or the beginning of it")), request_body = Option<Asker>,
    responses((status = 202, description = "It is to stop, or has", body = JobView), StepProblems)
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Option<Json<Asker>>,
) -> Result<(StatusCode, axum::Json<JobView>), Problem> {
    let registry = &app.learning()?.registry;
    let by = checked_by(body.and_then(|Json(asker)| asker.by))?;
    let job = find_job(registry, &id).await?.job;
    let asked = registry.cancel_job(&job, &by, Utc::now()).await?;
    let row = find_job(registry, &job.0).await?;
    if !asked {
        return Err(Problem::refused(format!("job {} has ended already", job.short())));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(row.shown())))
}

/// Queue a training job again that failed or was cancelled.
///
/// It goes on from its last checkpoint.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", operation_id = "retry_job", tag = "learning",
    params(("id" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 202, description = "Queued again", body = JobView), StepProblems)
)]
pub async fn retry(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<JobView>), Problem> {
    let registry = &app.learning()?.registry;
    let job = find_job(registry, &id).await?.job;
    let again = registry.retry_job(&job, Utc::now()).await?;
    let row = find_job(registry, &job.0).await?;
    if !again {
        let detail = format!("job {} has neither failed nor been cancelled: nothing to try again", job.short());
        return Err(Problem::refused(detail));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(row.shown())))
}

/// Show everything that a run measured.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/metrics", operation_id = "show_job_metrics", tag = "learning",
    params(("id" = String, Path, description = "The job's id, or the beginning of it"), MetricFilter),
    responses((status = 200, description = "Its values, by name and step", body = MetricList), ReadProblems)
)]
pub async fn metrics(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(filter): Query<MetricFilter>,
) -> Result<axum::Json<MetricList>, Problem> {
    let Part { limit, from } = METRICS.part(filter.limit, filter.after.as_deref())?;
    let registry = &app.learning()?.registry;
    let job = find_job(registry, &id).await?.job;
    let page = registry.list_metrics(&job, from.as_ref(), limit).await?;
    let metrics = page.items.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(MetricList { job: job.0, metrics, next: METRICS.next(page.next) }))
}
