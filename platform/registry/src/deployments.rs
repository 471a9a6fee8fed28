//! Decisions about models, and which one is to answer.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, ModelEvent, ModelId, Verdict};
use twin_sqlite::rusqlite::{Connection, Row, params};

use crate::model::{Action, DecisionRow, DeploymentRow, DeploymentState, ModelState};
use crate::rows::{collect, name_of, named, optional_time, parsed, time, time_text};
use crate::{Error, Registry, models, outbox};

/// Why a deployment failed that nothing was wrong with.
const OVERTAKEN: &str = "a later deployment took its place before it was taken up";

/// Who decides, why and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// A person's name, or `policy`.
    pub who: String,
    /// In their words; may be empty.
    pub why: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl By {
    /// A decision of that moment.
    pub fn new(who: impl Into<String>, why: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self { who: who.into(), why: why.into(), at }
    }
}

impl Registry {
    /// Lets an evaluated model serve, and deploys it. Refused for one that did not pass.
    pub async fn approve(&self, model: &ModelId, by: By) -> Result<DeploymentRow, Error> {
        let model = model.clone();
        self.write(move |tx| {
            let row = models::require(tx, &model)?;
            match (row.state, row.verdict) {
                (ModelState::Approved, _) => {}
                (ModelState::Evaluated, Some(Verdict::Passed | Verdict::Inconclusive)) => {
                    models::set_state(tx, &model, ModelState::Approved)?;
                    decide(tx, &row.author, Some(&model), Action::Approve, &by)?;
                }
                (ModelState::Evaluated, _) => {
                    return Err(Error::Refused(format!(
                        "{model} did not pass its evaluation and may not serve; the report says why"
                    )));
                }
                (ModelState::Trained, _) => {
                    return Err(Error::Refused(format!("{model} is not evaluated yet")));
                }
                (ModelState::Rejected, _) => {
                    return Err(Error::Refused(format!("{model} was rejected and may not serve")));
                }
            }
            deploy(tx, &row.author, Some(&model), Action::Deploy, &by)
        })
        .await
    }

    /// Approves and deploys a model that has passed, as a policy does. Nothing happens if a decision about it was made
    /// before, or if a newer model is in production: an event that comes twice or late changes nothing.
    pub async fn approve_by_policy(&self, model: &ModelId, at: DateTime<Utc>) -> Result<bool, Error> {
        let model = model.clone();
        self.write(move |tx| {
            let row = models::require(tx, &model)?;
            if row.state != ModelState::Evaluated || row.verdict != Some(Verdict::Passed) {
                return Ok(false);
            }
            if let Some(serving) = in_force(tx, &row.author)?.and_then(|present| present.model)
                && models::require(tx, &serving)?.number > row.number
            {
                return Ok(false);
            }
            let by = By::new("policy", "it passed its evaluation", at);
            models::set_state(tx, &model, ModelState::Approved)?;
            decide(tx, &row.author, Some(&model), Action::Approve, &by)?;
            deploy(tx, &row.author, Some(&model), Action::Deploy, &by)?;
            Ok(true)
        })
        .await
    }

    /// Keeps a model from ever serving. Refused while it is in production.
    pub async fn reject(&self, model: &ModelId, by: By) -> Result<(), Error> {
        let model = model.clone();
        self.write(move |tx| {
            let row = models::require(tx, &model)?;
            if row.in_production {
                return Err(Error::Refused(format!("{model} is in production: roll back first")));
            }
            if row.state == ModelState::Rejected {
                return Ok(());
            }
            models::set_state(tx, &model, ModelState::Rejected)?;
            decide(tx, &row.author, Some(&model), Action::Reject, &by)
        })
        .await
    }

    /// Deploys a model that was approved. One that is in production already stays, and no new deployment is made.
    pub async fn deploy(&self, model: &ModelId, by: By) -> Result<DeploymentRow, Error> {
        let model = model.clone();
        self.write(move |tx| {
            let row = models::require(tx, &model)?;
            if row.state != ModelState::Approved {
                let advice = match row.state {
                    ModelState::Rejected => "it was rejected",
                    ModelState::Trained => "it is not evaluated yet",
                    _ => "nobody has approved it",
                };
                return Err(Error::Refused(format!("{model} may not serve: {advice}")));
            }
            deploy(tx, &row.author, Some(&model), Action::Deploy, &by)
        })
        .await
    }

    /// Goes back to what served before the present model: an earlier model, or the base model.
    pub async fn roll_back(&self, author: &AuthorId, by: By) -> Result<DeploymentRow, Error> {
        let author = author.clone();
        self.write(move |tx| {
            let target = before_present(tx, &author)?;
            deploy(tx, &author, target.as_ref(), Action::Rollback, &by)
        })
        .await
    }

    /// The deployment that is in force for an author: the newest that has not failed. None: the base model answers.
    pub async fn production(&self, author: &AuthorId) -> Result<Option<DeploymentRow>, Error> {
        let author = author.clone();
        self.read(move |c| in_force(c, &author)).await
    }

    /// The deployment in force for every author that has one.
    pub async fn productions(&self) -> Result<Vec<DeploymentRow>, Error> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT d.* FROM deployments d WHERE d.number = (SELECT max(number) FROM deployments n
                     WHERE n.author = d.author AND n.state <> 'failed') ORDER BY author",
            )?;
            collect(&mut statement, [], row)
        })
        .await
    }

    /// Deployments for an author, newest first.
    pub async fn deployments(&self, author: &AuthorId) -> Result<Vec<DeploymentRow>, Error> {
        let author = author.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM deployments WHERE author = ?1 ORDER BY number DESC")?;
            collect(&mut statement, [author.as_str()], row)
        })
        .await
    }

    /// Notes what a worker made of a deployment. One that serves somewhere is not marked failed any more. When
    /// one serves, earlier ones that no worker has taken up never will be, and are marked so: somebody may be waiting.
    pub async fn settle_deployment(
        &self,
        author: &AuthorId,
        number: u64,
        outcome: Result<(), String>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let author = author.clone();
        self.write(move |tx| {
            let (state, detail) = match &outcome {
                Ok(()) => (DeploymentState::Serving, None),
                Err(problem) => (DeploymentState::Failed, Some(problem)),
            };
            tx.execute(
                "UPDATE deployments SET state = ?3, detail = ?4, settled_at = ?5
                 WHERE author = ?1 AND number = ?2 AND state = 'requested'",
                params![author.as_str(), number.cast_signed(), name_of(&state)?, detail, time_text(now)],
            )?;
            if state == DeploymentState::Serving {
                tx.execute(
                    "UPDATE deployments SET state = 'failed', detail = ?3, settled_at = ?4
                     WHERE author = ?1 AND number < ?2 AND state = 'requested'",
                    params![author.as_str(), number.cast_signed(), OVERTAKEN, time_text(now)],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// What was decided for an author, newest first.
    pub async fn decisions(&self, author: &AuthorId) -> Result<Vec<DecisionRow>, Error> {
        let author = author.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT * FROM decisions WHERE author = ?1 ORDER BY decision DESC")?;
            collect(&mut statement, [author.as_str()], decision_row)
        })
        .await
    }
}

fn deploy(
    tx: &Connection,
    author: &AuthorId,
    model: Option<&ModelId>,
    action: Action,
    by: &By,
) -> Result<DeploymentRow, Error> {
    if let Some(present) = in_force(tx, author)?
        && present.model.as_ref() == model
    {
        return Ok(present);
    }
    let newest: Option<i64> =
        tx.query_row("SELECT max(number) FROM deployments WHERE author = ?1", [author.as_str()], |row| row.get(0))?;
    let number = newest.unwrap_or(0).unsigned_abs() + 1;
    decide(tx, author, model, action, by)?;
    tx.execute(
        "INSERT INTO deployments VALUES (?1, ?2, ?3, 'requested', NULL, ?4, NULL)",
        params![author.as_str(), number.cast_signed(), model.map(|model| &model.0), time_text(by.at)],
    )?;
    let event = ModelEvent::Deployed { model: model.cloned(), author: author.clone(), deployment: number, at: by.at };
    outbox::put(tx, &format!("deployment/{author}/{number}"), "gateway", author, author.as_str(), &event)?;
    in_force(tx, author)?.ok_or_else(|| Error::missing("deployment", number))
}

fn decide(tx: &Connection, author: &AuthorId, model: Option<&ModelId>, action: Action, by: &By) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO decisions (author, model, action, decided_by, why, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![author.as_str(), model.map(|m| &m.0), name_of(&action)?, by.who, by.why, time_text(by.at)],
    )?;
    Ok(())
}

fn in_force(c: &Connection, author: &AuthorId) -> Result<Option<DeploymentRow>, Error> {
    let mut statement = c.prepare_cached(
        "SELECT * FROM deployments WHERE author = ?1 AND state <> 'failed' ORDER BY number DESC LIMIT 1",
    )?;
    Ok(collect(&mut statement, [author.as_str()], row)?.pop())
}

/// The model that served before the one in force took over. Rollbacks are not retraced: two in a row go two models back.
fn before_present(c: &Connection, author: &AuthorId) -> Result<Option<ModelId>, Error> {
    let mut statement =
        c.prepare_cached("SELECT * FROM deployments WHERE author = ?1 AND state <> 'failed' ORDER BY number")?;
    let mut history: Vec<Option<ModelId>> = vec![None];
    for deployment in collect(&mut statement, [author.as_str()], row)? {
        match history.iter().position(|earlier| *earlier == deployment.model) {
            Some(back) => history.truncate(back + 1),
            None => history.push(deployment.model),
        }
    }
    if history.len() < 2 {
        return Err(Error::Refused(format!("the base model answers for {author}: there is nothing to go back to")));
    }
    history.truncate(history.len() - 1);
    Ok(history.pop().flatten())
}

pub(crate) fn row(row: &Row<'_>) -> Result<DeploymentRow, Error> {
    Ok(DeploymentRow {
        author: parsed(row, "author")?,
        number: row.get::<_, i64>("number")?.unsigned_abs(),
        model: row.get::<_, Option<String>>("model")?.map(ModelId),
        state: named(row, "state")?,
        detail: row.get("detail")?,
        at: time(row, "at")?,
        settled_at: optional_time(row, "settled_at")?,
    })
}

pub(crate) fn decision_row(row: &Row<'_>) -> Result<DecisionRow, Error> {
    Ok(DecisionRow {
        author: parsed(row, "author")?,
        model: row.get::<_, Option<String>>("model")?.map(ModelId),
        action: named(row, "action")?,
        decided_by: row.get("decided_by")?,
        why: row.get("why")?,
        at: time(row, "at")?,
    })
}
