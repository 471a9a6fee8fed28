//! Evaluations of models.

use chrono::{DateTime, Utc};
use twin_schemas::{ModelEvent, ModelId, Verdict};
use twin_sqlite::rusqlite::{Connection, Row, params};

use crate::model::{EvaluationRow, EvaluationState, ModelState};
use crate::rows::{collect, name_of, named, optional_named, optional_time, time, time_text};
use crate::{Error, Registry, models, outbox};

impl Registry {
    /// Queues the evaluation of a model. False if there is one already.
    pub async fn queue_evaluation(&self, model: &ModelId, now: DateTime<Utc>) -> Result<bool, Error> {
        let model = model.clone();
        self.write(move |tx| {
            models::require(tx, &model)?;
            let inserted = tx.execute(
                "INSERT INTO evaluations (model, state, created_at) VALUES (?1, 'queued', ?2) ON CONFLICT DO NOTHING",
                params![model.0, time_text(now)],
            )?;
            Ok(inserted == 1)
        })
        .await
    }

    /// Evaluations that wait or are under way, oldest first.
    pub async fn open_evaluations(&self) -> Result<Vec<EvaluationRow>, Error> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT * FROM evaluations WHERE state IN ('queued', 'running') ORDER BY created_at, model",
            )?;
            collect(&mut statement, [], row)
        })
        .await
    }

    /// The evaluation of a model.
    pub async fn evaluation(&self, model: &ModelId) -> Result<Option<EvaluationRow>, Error> {
        let model = model.clone();
        self.read(move |c| get(c, &model)).await
    }

    /// Begins an evaluation, or begins it again after the death of who was at it.
    pub async fn start_evaluation(&self, model: &ModelId) -> Result<(), Error> {
        let model = model.clone();
        self.write(move |tx| {
            tx.execute(
                "UPDATE evaluations SET state = 'running', attempts = attempts + 1, reason = NULL
                 WHERE model = ?1 AND state IN ('queued', 'running')",
                [&model.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Stores an evaluation's outcome and announces it. One that is there already stays.
    pub async fn finish_evaluation(
        &self,
        model: &ModelId,
        verdict: Verdict,
        report: &str,
        page: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (model, report, page) = (model.clone(), report.to_owned(), page.to_owned());
        self.write(move |tx| finish(tx, &model, verdict, &report, &page, now)).await
    }

    /// Notes that an evaluation could not be done.
    pub async fn fail_evaluation(&self, model: &ModelId, reason: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let (model, reason) = (model.clone(), reason.to_owned());
        self.write(move |tx| {
            tx.execute(
                "UPDATE evaluations SET state = 'failed', reason = ?2, ended_at = ?3
                 WHERE model = ?1 AND state IN ('queued', 'running')",
                params![model.0, reason, time_text(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// Queues an evaluation again that failed. False if it is in another state.
    pub async fn retry_evaluation(&self, model: &ModelId) -> Result<bool, Error> {
        let model = model.clone();
        self.write(move |tx| {
            let again = tx.execute(
                "UPDATE evaluations SET state = 'queued', reason = NULL, ended_at = NULL
                 WHERE model = ?1 AND state = 'failed'",
                [&model.0],
            )?;
            Ok(again == 1)
        })
        .await
    }
}

fn finish(
    tx: &Connection,
    model: &ModelId,
    verdict: Verdict,
    report: &str,
    page: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let evaluated = models::require(tx, model)?;
    let finished = tx.execute(
        "UPDATE evaluations SET state = 'done', reason = NULL, verdict = ?2, report = ?3, page = ?4, ended_at = ?5
         WHERE model = ?1 AND state IN ('queued', 'running')",
        params![model.0, name_of(&verdict)?, report, page, time_text(now)],
    )?;
    if finished == 0 {
        return Ok(());
    }
    if evaluated.state == ModelState::Trained {
        models::set_state(tx, model, ModelState::Evaluated)?;
    }
    let author = evaluated.author;
    let event = ModelEvent::Evaluated {
        model: model.clone(),
        author: author.clone(),
        verdict,
        report: report.to_owned(),
        at: now,
    };
    outbox::put(tx, &format!("model/{model}/evaluated"), "evaluator", &author, &model.0, &event)
}

fn get(c: &Connection, model: &ModelId) -> Result<Option<EvaluationRow>, Error> {
    let mut statement = c.prepare_cached("SELECT * FROM evaluations WHERE model = ?1")?;
    Ok(collect(&mut statement, [&model.0], row)?.pop())
}

fn row(row: &Row<'_>) -> Result<EvaluationRow, Error> {
    let state: EvaluationState = named(row, "state")?;
    Ok(EvaluationRow {
        model: ModelId(row.get("model")?),
        state,
        reason: row.get("reason")?,
        attempts: row.get("attempts")?,
        verdict: optional_named(row, "verdict")?,
        report: row.get("report")?,
        page: row.get("page")?,
        created_at: time(row, "created_at")?,
        ended_at: optional_time(row, "ended_at")?,
    })
}
