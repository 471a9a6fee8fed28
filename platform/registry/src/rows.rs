//! Rows for lists and look-ups over all authors: what of an author's state is looked for by something else than the
//! author. Each can be made anew from the author's steps.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twin_schemas::AuthorId;

use crate::Error;
use crate::rules::AuthorState;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A dataset version ([`crate::DatasetRow`]), by its id.
    Dataset,
    /// A job ([`crate::JobRow`]), by its id.
    Job,
    /// A model ([`crate::ModelRow`]), by its name.
    Model,
    /// An evaluation ([`crate::EvaluationRow`]), by its model's name.
    Evaluation,
    /// The wish for a dataset version ([`crate::FreezeRequest`]), by author.
    Freeze,
    /// The deployment in force ([`crate::DeploymentRow`]), by author.
    Production,
    /// A sweep ([`crate::rules::Sweep`]), by its name.
    Sweep,
}

impl Kind {
    /// The name as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Job => "job",
            Self::Model => "model",
            Self::Evaluation => "evaluation",
            Self::Freeze => "freeze",
            Self::Production => "production",
            Self::Sweep => "sweep",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub kind: Kind,
    /// Its id, unique within the kind.
    pub id: String,
    /// Whose.
    pub author: AuthorId,
    /// Where it stands: a name from a small closed set.
    pub state: String,
    /// What lists are sorted by.
    pub at: DateTime<Utc>,
    /// The number of the author's step that it is as of. A row is never replaced by one of a lower step.
    pub step: u64,
    /// All of it, as JSON.
    pub body: serde_json::Value,
}

/// A position in a list of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowPosition {
    /// What lists are sorted by.
    pub at: DateTime<Utc>,
    /// The row's id.
    pub id: String,
}

impl Row {
    /// Where it stands in a list.
    pub fn position(&self) -> RowPosition {
        RowPosition { at: self.at, id: self.id.clone() }
    }

    /// What it holds.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        let Self { kind, id, body, .. } = self;
        let unreadable =
            |error: serde_json::Error| Error::Stored { what: kind.as_str(), problem: format!("{id}: {error}") };
        serde_json::from_value(body).map_err(unreadable)
    }
}

/// The state of a [`Kind::Production`] row of an author whose deployments have all failed.
const NOTHING: &str = "none";

/// The rows of a state that differ from those of an earlier one.
pub fn changed(before: &AuthorState, after: &AuthorState) -> Vec<Row> {
    let mut rows = Changes { after, rows: Vec::new() };
    for (index, row) in after.datasets.iter().enumerate() {
        rows.add(Kind::Dataset, &row.dataset.0, "", row.created_at, before.datasets.get(index), row);
    }
    for (id, row) in &after.jobs {
        rows.add(Kind::Job, &id.0, &name_of(&row.state), row.created_at, before.jobs.get(id), row);
    }
    for (index, row) in after.models.iter().enumerate() {
        rows.add(Kind::Model, &row.model.0, &name_of(&row.state), row.created_at, before.models.get(index), row);
    }
    for (model, row) in &after.evaluations {
        let known = before.evaluations.get(model);
        rows.add(Kind::Evaluation, &model.0, &name_of(&row.state), row.created_at, known, row);
    }
    if let Some(row) = &after.freeze {
        let state = if row.outcome.is_none() { "open" } else { "answered" };
        rows.add(Kind::Freeze, after.author.as_str(), state, row.requested_at, before.freeze.as_ref(), row);
    }
    if let Some(newest) = after.deployments.last() {
        // None where every deployment has failed.
        let of = |state: &AuthorState| state.in_force().cloned();
        let row = of(after);
        let state = row.as_ref().map_or_else(|| NOTHING.to_owned(), |row| name_of(&row.state));
        let known = (!before.deployments.is_empty()).then(|| of(before));
        rows.add(Kind::Production, after.author.as_str(), &state, newest.row.at, known.as_ref(), &row);
    }
    for (name, row) in &after.sweeps {
        let state = if row.concluded { "concluded" } else { "open" };
        rows.add(Kind::Sweep, name, state, DateTime::UNIX_EPOCH, before.sweeps.get(name), row);
    }
    rows.rows
}

struct Changes<'a> {
    after: &'a AuthorState,
    rows: Vec<Row>,
}

impl Changes<'_> {
    fn add<T: PartialEq + Serialize>(
        &mut self,
        kind: Kind,
        id: &str,
        state: &str,
        at: DateTime<Utc>,
        before: Option<&T>,
        after: &T,
    ) {
        if before == Some(after) {
            return;
        }
        // Rows have string keys only and no failing `Serialize` implementation of their own.
        let body = serde_json::to_value(after).expect("a row serialises to JSON");
        let (id, author) = (id.to_owned(), self.after.author.clone());
        self.rows.push(Row { kind, id, author, state: state.to_owned(), at, step: self.after.number, body });
    }
}

/// The name of a value of a fieldless enum, as in JSON.
pub(crate) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        // Only fieldless enums with `rename_all` come here.
        other => unreachable!("{other:?} is no name"),
    }
}
