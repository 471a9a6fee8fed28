//! Dataset versions, and what is wanted of them.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, DatasetId, DocumentId};

use crate::model::{DatasetRow, FreezeRequest, NewDataset};
use crate::rows::{Kind, Row};
use crate::rules::Command;
use crate::store::{RowQuery, SortOrder};
use crate::{Error, PAGE, Registry};

impl Registry {
    /// Registers a dataset version and announces it. One that is there already stays as it is, and nothing is announced.
    pub async fn add_dataset(&self, new: NewDataset, now: DateTime<Utc>) -> Result<DatasetRow, Error> {
        let (author, dataset) = (new.author.clone(), new.dataset.clone());
        self.store.put_members(&dataset, &new.members).await?;
        let performed = self.perform(&author, Command::AddDataset(new), now).await?;
        let row = performed.state.datasets.iter().find(|known| known.dataset == dataset).cloned();
        let row = row.ok_or_else(|| Error::missing("dataset", &dataset))?;
        Ok(self.with_deletions(vec![row]).await?.remove(0))
    }

    /// The version that an id, or the beginning of one, names; none if there is none or several.
    pub async fn dataset(&self, id: &str) -> Result<Option<DatasetRow>, Error> {
        let Some(row) = self.only_one(Kind::Dataset, id).await? else { return Ok(None) };
        Ok(self.with_deletions(vec![row.read()?]).await?.pop())
    }

    /// The newest version of an author.
    pub async fn newest_dataset(&self, author: &AuthorId) -> Result<Option<DatasetRow>, Error> {
        let newest = self.state(author).await?.datasets.last().cloned();
        Ok(self.with_deletions(newest.into_iter().collect()).await?.pop())
    }

    /// A document is gone: versions that hold it are marked from here on.
    pub async fn mark_deleted(&self, document: DocumentId, now: DateTime<Utc>) -> Result<(), Error> {
        Ok(self.store.mark_deleted(document, now).await?)
    }

    /// Asks for a version to be frozen now. An open request stays.
    pub async fn request_freeze(&self, author: &AuthorId, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
        self.perform(author, Command::RequestFreeze { by: by.to_owned(), retrain: false }, now).await?;
        Ok(())
    }

    /// Asks for a version that is trained on as soon as it is there, whoever starts training otherwise.
    pub async fn request_retraining(&self, author: &AuthorId, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
        self.perform(author, Command::RequestFreeze { by: by.to_owned(), retrain: true }, now).await?;
        Ok(())
    }

    /// The request for an author's dataset, open or answered.
    pub async fn freeze_request(&self, author: &AuthorId) -> Result<Option<FreezeRequest>, Error> {
        Ok(self.state(author).await?.freeze.clone())
    }

    /// Requests that nobody has answered, oldest first.
    pub async fn open_freeze_requests(&self) -> Result<Vec<FreezeRequest>, Error> {
        self.in_states(Kind::Freeze, &["open"]).await
    }

    /// Answers an author's open request, if there is one: with the version that there is now, or with why there is none.
    pub async fn answer_freeze(
        &self,
        author: &AuthorId,
        outcome: Result<&str, &str>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let refused = outcome.is_err();
        let outcome = outcome.unwrap_or_else(|reason| reason).to_owned();
        self.perform(author, Command::AnswerFreeze { outcome, refused }, now).await?;
        Ok(())
    }

    /// The rows with how many of their documents were deleted since.
    pub(crate) async fn with_deletions(&self, mut rows: Vec<DatasetRow>) -> Result<Vec<DatasetRow>, Error> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let ids: Vec<DatasetId> = rows.iter().map(|row| row.dataset.clone()).collect();
        let deleted = self.store.deleted_members(&ids).await?;
        for row in &mut rows {
            row.deleted_documents = deleted.get(&row.dataset).copied().unwrap_or(0);
        }
        Ok(rows)
    }

    /// The row that an id, or the beginning of one, names; none if there is none or several.
    pub(crate) async fn only_one(&self, kind: Kind, prefix: &str) -> Result<Option<Row>, Error> {
        let mut found = self.store.rows_like(kind, prefix).await?;
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    /// The row of that id.
    pub(crate) async fn exactly(&self, kind: Kind, id: &str) -> Result<Option<Row>, Error> {
        // An id sorts before those that begin with it.
        let first = self.store.rows_like(kind, id).await?.into_iter().next();
        Ok(first.filter(|row| row.id == id))
    }

    /// Every row of a kind in these states, oldest first.
    pub(crate) async fn in_states<T: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        states: &[&str],
    ) -> Result<Vec<T>, Error> {
        let states = states.iter().map(|state| (*state).to_owned()).collect();
        let query = RowQuery { kind, author: None, states, order: SortOrder::OldestFirst, after: None, limit: PAGE };
        self.all_rows(query).await?.into_iter().map(Row::read).collect()
    }
}
