//! Training jobs.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, DatasetId, JobId, ModelEvent, ModelId};
use twin_sqlite::rusqlite::{Connection, Row, params};

use crate::model::{JobOutcome, JobProgress, JobRow, JobState, NewJob, NewModel, StoredRecipe};
use crate::rows::{collect, json, json_text, name_of, named, optional_time, parsed, time, time_text};
use crate::{Error, Registry, models, outbox};

impl Registry {
    /// Queues a job. False if it is there already, whatever became of it: the same work is not done twice.
    pub async fn queue_job(&self, new: NewJob, now: DateTime<Utc>) -> Result<bool, Error> {
        self.write(move |tx| {
            let inserted = tx.execute(
                "INSERT INTO jobs (job, author, dataset, base, recipe, sweep, code_version, state, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8) ON CONFLICT (job) DO NOTHING",
                params![
                    new.job.0,
                    new.author.as_str(),
                    new.dataset.0,
                    new.base,
                    new.recipe,
                    new.sweep,
                    new.code_version,
                    time_text(now)
                ],
            )?;
            Ok(inserted == 1)
        })
        .await
    }

    /// Jobs of one author or of all, newest first.
    pub async fn jobs(&self, author: Option<&AuthorId>) -> Result<Vec<JobRow>, Error> {
        let author = author.map(ToString::to_string);
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT * FROM jobs WHERE ?1 IS NULL OR author = ?1 ORDER BY created_at DESC, job")?;
            collect(&mut statement, [author], row)
        })
        .await
    }

    /// The trials of all sweeps, by sweep and id.
    pub async fn trials(&self) -> Result<Vec<JobRow>, Error> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT * FROM jobs WHERE sweep IS NOT NULL ORDER BY sweep, job")?;
            collect(&mut statement, [], row)
        })
        .await
    }

    /// The job that an id, or the beginning of one, names; none if there is none or several.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>, Error> {
        let (from, to) = (id.to_owned(), format!("{id}~"));
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM jobs WHERE job >= ?1 AND job < ?2 LIMIT 2")?;
            let mut found = collect(&mut statement, [from, to], row)?;
            Ok(if found.len() == 1 { found.pop() } else { None })
        })
        .await
    }

    /// Jobs that are running, or said to be.
    pub async fn running_jobs(&self) -> Result<Vec<JobRow>, Error> {
        self.in_state(JobState::Running).await
    }

    /// Jobs that wait, oldest first.
    pub async fn queued_jobs(&self) -> Result<Vec<JobRow>, Error> {
        self.in_state(JobState::Queued).await
    }

    async fn in_state(&self, state: JobState) -> Result<Vec<JobRow>, Error> {
        let state = name_of(&state)?;
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM jobs WHERE state = ?1 ORDER BY created_at, job")?;
            collect(&mut statement, [state], row)
        })
        .await
    }

    /// Takes a queued job. False if it is not queued any more.
    pub async fn start_job(&self, job: &JobId, now: DateTime<Utc>) -> Result<bool, Error> {
        let job = job.clone();
        self.write(move |tx| {
            let started = tx.execute(
                "UPDATE jobs SET state = 'running', reason = NULL, started_at = ?2, ended_at = NULL,
                     attempts = attempts + 1 WHERE job = ?1 AND state = 'queued'",
                params![job.0, time_text(now)],
            )?;
            Ok(started == 1)
        })
        .await
    }

    /// Notes how far a running job is.
    pub async fn note_job_progress(&self, job: &JobId, progress: JobProgress) -> Result<(), Error> {
        let job = job.clone();
        self.write(move |tx| {
            tx.execute(
                "UPDATE jobs SET progress = ?2 WHERE job = ?1 AND state = 'running'",
                params![job.0, json_text(&progress)?],
            )?;
            Ok(())
        })
        .await
    }

    /// Ends a running job. With a model, that is registered and announced in the same step. A job that has ended already
    /// stays as it is.
    pub async fn finish_job(
        &self,
        job: &JobId,
        outcome: JobOutcome,
        now: DateTime<Utc>,
    ) -> Result<Option<ModelId>, Error> {
        let job = job.clone();
        self.write(move |tx| finish(tx, &job, &outcome, now)).await
    }

    /// Asks for a job to be stopped. A queued one ends at once. False if it has ended already.
    pub async fn cancel_job(&self, job: &JobId, by: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        let (job, reason) = (job.clone(), format!("cancelled by {by}"));
        self.write(move |tx| {
            let ended = tx.execute(
                "UPDATE jobs SET state = 'cancelled', reason = ?2, ended_at = ?3 WHERE job = ?1 AND state = 'queued'",
                params![job.0, reason, time_text(now)],
            )?;
            let asked = tx.execute(
                "UPDATE jobs SET cancel_requested = 1, reason = ?2 WHERE job = ?1 AND state = 'running'",
                params![job.0, reason],
            )?;
            Ok(ended + asked > 0)
        })
        .await
    }

    /// Queues a job again that failed or was cancelled; it goes on from its last checkpoint. False if it is in another
    /// state.
    pub async fn retry_job(&self, job: &JobId) -> Result<bool, Error> {
        let job = job.clone();
        self.write(move |tx| {
            let again = tx.execute(
                "UPDATE jobs SET state = 'queued', reason = NULL, cancel_requested = 0, ended_at = NULL
                 WHERE job = ?1 AND state IN ('failed', 'cancelled')",
                [&job.0],
            )?;
            Ok(again == 1)
        })
        .await
    }

    /// A running job whose process is gone waits for its turn again.
    pub async fn requeue_job(&self, job: &JobId, reason: &str) -> Result<(), Error> {
        let (job, reason) = (job.clone(), reason.to_owned());
        self.write(move |tx| {
            tx.execute(
                "UPDATE jobs SET state = 'queued', reason = ?2 WHERE job = ?1 AND state = 'running'",
                params![job.0, reason],
            )?;
            Ok(())
        })
        .await
    }

    /// Makes a recipe that of an author's later jobs.
    pub async fn set_recipe(
        &self,
        author: &AuthorId,
        recipe: &str,
        origin: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (author, recipe, origin) = (author.to_string(), recipe.to_owned(), origin.to_owned());
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO recipes VALUES (?1, ?2, ?3, ?4) ON CONFLICT (author) DO UPDATE SET
                     recipe = excluded.recipe, origin = excluded.origin, set_at = excluded.set_at",
                params![author, recipe, origin, time_text(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// The recipe of an author's later jobs, if one was set.
    pub async fn recipe(&self, author: &AuthorId) -> Result<Option<StoredRecipe>, Error> {
        let author = author.to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM recipes WHERE author = ?1")?;
            let read = |row: &Row<'_>| {
                Ok(StoredRecipe {
                    recipe: row.get("recipe")?,
                    origin: row.get("origin")?,
                    set_at: time(row, "set_at")?,
                })
            };
            Ok(collect(&mut statement, [author], read)?.pop())
        })
        .await
    }
}

fn finish(tx: &Connection, id: &JobId, outcome: &JobOutcome, now: DateTime<Utc>) -> Result<Option<ModelId>, Error> {
    let job = get(tx, id)?.ok_or_else(|| Error::missing("job", id))?;
    if job.state != JobState::Running {
        return Ok(job.model);
    }
    let (state, reason, model) = match outcome {
        JobOutcome::Succeeded(None) => (JobState::Succeeded, None, None),
        JobOutcome::Succeeded(Some(model)) => (JobState::Succeeded, None, Some(register(tx, &job, model, now)?)),
        JobOutcome::Failed(reason) => (JobState::Failed, Some(reason), None),
        JobOutcome::Cancelled(reason) => (JobState::Cancelled, Some(reason), None),
    };
    tx.execute(
        "UPDATE jobs SET state = ?2, reason = ?3, ended_at = ?4, model = ?5 WHERE job = ?1",
        params![id.0, name_of(&state)?, reason, time_text(now), model.as_ref().map(|model| &model.0)],
    )?;
    Ok(model)
}

fn register(tx: &Connection, job: &JobRow, new: &NewModel, now: DateTime<Utc>) -> Result<ModelId, Error> {
    let model = models::add(tx, job, new, now)?;
    let event = ModelEvent::Trained {
        model: model.clone(),
        author: job.author.clone(),
        dataset: job.dataset.clone(),
        job: job.job.clone(),
        manifest: new.manifest.clone(),
        at: now,
    };
    outbox::put(tx, &format!("model/{model}/trained"), "trainer", &job.author, &model.0, &event)?;
    Ok(model)
}

pub(crate) fn get(c: &Connection, id: &JobId) -> Result<Option<JobRow>, Error> {
    let mut statement = c.prepare_cached("SELECT * FROM jobs WHERE job = ?1")?;
    Ok(collect(&mut statement, [&id.0], row)?.pop())
}

pub(crate) fn row(row: &Row<'_>) -> Result<JobRow, Error> {
    let progress: Option<String> = row.get("progress")?;
    Ok(JobRow {
        job: JobId(row.get("job")?),
        author: parsed(row, "author")?,
        dataset: DatasetId(row.get("dataset")?),
        base: row.get("base")?,
        recipe: row.get("recipe")?,
        sweep: row.get("sweep")?,
        code_version: row.get("code_version")?,
        state: named(row, "state")?,
        reason: row.get("reason")?,
        attempts: row.get("attempts")?,
        cancel_requested: row.get("cancel_requested")?,
        progress: progress.is_some().then(|| json(row, "progress")).transpose()?,
        created_at: time(row, "created_at")?,
        started_at: optional_time(row, "started_at")?,
        ended_at: optional_time(row, "ended_at")?,
        model: row.get::<_, Option<String>>("model")?.map(ModelId),
    })
}
