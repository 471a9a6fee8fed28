//! What the learning loop knows: dataset versions, training jobs, models, decisions and deployments.
//!
//! What may happen is a pure function ([`rules`]): a command in an author's present state is a step, or refused. The
//! steps of an author are numbered, and appending one is the only write that decides anything: if somebody else has
//! appended that number, the command is decided again in the state after it. So a process that dies leaves the step
//! before or the step after, never half of one; a step that is asked for twice happens once; and what one decided is
//! true for all, on any store that can refuse a second row of one number ([`Store`]).
//!
//! A step holds its event, which a relay ([`relay()`]) publishes at least once, as the same event. Lists and look-ups over all
//! authors read rows that are made of the steps.
//!
//! Deliberately not here: what the steps do. Files (manifests, reports, weights) are artifacts; rows name them.

mod changes;
mod datasets;
mod deployments;
mod diff;
mod error;
mod evaluations;
mod folds;
mod jobs;
mod lineage;
mod manifest;
mod measure;
mod members;
mod model;
mod models;
mod outlook;
mod pages;
mod queue;
mod relay;
mod retraining;
mod rows;
pub mod rules;
mod runs;
mod store;
pub mod testing;

pub use changes::Interest;
pub use deployments::By;
pub use diff::{CountChange, Diff, diff};
pub use error::Error;
pub use folds::FoldAdapter;
pub use lineage::{Lineage, TaughtDocument, TaughtPosition};
pub use manifest::{ModelManifest, read_dataset_manifest};
pub use measure::MeasureChanges;
pub use members::{KeptMember, Member, Placement, Placements, SplitRule, placements_of};
pub use model::{
    Action, Against, DatasetRow, DecisionRow, DeploymentPosition, DeploymentRow, DeploymentState, EvaluationOutcome,
    EvaluationRow, EvaluationState, FreezeRequest, JobCheckpoint, JobOutcome, JobProgress, JobRow, JobState, Metric,
    MetricPosition, ModelRow, ModelState, NewDataset, NewJob, NewModel, NotedProgress, StoredRecipe,
};
pub use outlook::{Collected, Due, Outlook, Part, Standing, outlook};
pub use queue::{CODE_VERSION, JobQueue};
pub use relay::{Steps, relay};
pub use retraining::{Change, Ingredients, RETRAINING, Retraining, Stage, Taken, retraining};
pub use rows::{Kind, Row, RowPosition, changed as changed_rows};
pub use store::{NewStep, RowQuery, SortOrder, Store, Unsettled};
pub use twin_backend::Page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use twin_schemas::AuthorId;

use changes::Changes;
use rules::{AuthorState, Command, Step, decide};

/// Rows or steps of one read where all are wanted.
const PAGE: usize = 500;

/// The registry over a store; clones share it.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
    changes: Changes,
    /// States as far as this process has read them: steps never change, so only later ones are read again.
    states: Arc<Mutex<HashMap<AuthorId, Arc<AuthorState>>>>,
}

/// What became of a command.
struct Performed {
    state: Arc<AuthorState>,
    /// It was a step. Else all was as it wanted.
    happened: bool,
}

impl Registry {
    /// The registry over this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, changes: Changes::default(), states: Arc::default() }
    }

    /// Changes whenever this process has written something of that interest: who waits for it looks again then.
    pub fn changes(&self, interest: Interest) -> watch::Receiver<()> {
        self.changes.subscribe(interest)
    }

    /// An author's present state.
    pub async fn state(&self, author: &AuthorId) -> Result<Arc<AuthorState>, Error> {
        let known = self.states().get(author).cloned();
        let known = known.unwrap_or_else(|| Arc::new(AuthorState::new(author.clone())));
        let mut later = self.store.steps(author, known.number, PAGE).await?;
        if later.is_empty() {
            return Ok(known);
        }
        let mut state = (*known).clone();
        while !later.is_empty() {
            let is_last = later.len() < PAGE;
            for step in later {
                state.apply(step);
            }
            later = if is_last { Vec::new() } else { self.store.steps(author, state.number, PAGE).await? };
        }
        Ok(self.keep(state))
    }

    async fn perform(&self, author: &AuthorId, command: Command, at: DateTime<Utc>) -> Result<Performed, Error> {
        loop {
            let state = self.state(author).await?;
            let Some(step) = decide(&state, command.clone(), at)? else {
                return Ok(Performed { state, happened: false });
            };
            if let Some(state) = self.append(&state, step).await? {
                return Ok(Performed { state, happened: true });
            }
        }
    }

    /// The state after the step; none if another step came before it.
    async fn append(&self, before: &AuthorState, step: Step) -> Result<Option<Arc<AuthorState>>, Error> {
        let mut after = before.clone();
        after.apply(step.clone());
        let (author, number, event) = (after.author.clone(), after.number, step.event(&after.author));
        let interests = changes::interests(&step);
        let appended =
            self.store.append(NewStep { author, number, step, event }, rows::changed(before, &after)).await?;
        if !appended {
            return Ok(None);
        }
        let state = self.keep(after);
        self.changes.announce(interests);
        Ok(Some(state))
    }

    /// Writes an author's rows anew.
    async fn mend(&self, author: &AuthorId) -> Result<(), Error> {
        let state = self.state(author).await?;
        Ok(self.store.put_rows(rows::changed(&AuthorState::new(author.clone()), &state)).await?)
    }

    fn keep(&self, state: AuthorState) -> Arc<AuthorState> {
        let state = Arc::new(state);
        let mut states = self.states();
        let known = states.entry(state.author.clone()).or_insert_with(|| state.clone());
        if known.number < state.number {
            *known = state.clone();
        }
        state
    }

    fn states(&self) -> std::sync::MutexGuard<'_, HashMap<AuthorId, Arc<AuthorState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every row of a query, however many pages.
    async fn all_rows(&self, mut query: RowQuery) -> Result<Vec<Row>, Error> {
        query.limit = PAGE;
        let mut rows = Vec::new();
        loop {
            let page = self.store.rows(query.clone()).await?;
            let is_last = page.len() < PAGE;
            rows.extend(page);
            query.after = rows.last().map(Row::position);
            if is_last {
                return Ok(rows);
            }
        }
    }
}
