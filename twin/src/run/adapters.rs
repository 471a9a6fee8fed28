//! What one crate offers in the shape that another wants: stages know nothing of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use tracing::warn;
use twin_api::{DeadLetterView, FieldError, PlannedFoldsView};
use twin_corpus::Corpus;
use twin_crawler::Sources;
use twin_datasets::{FreezePolicy, FreezeReason, FreezeState, due};
use twin_gateway::{DeadLetterAccess, JobPlanner, NextVersions, PlannedRun, PortError, Registration, SourceResolver};
use twin_registry::{Collected, Due, Registry};
use twin_schemas::{Attributes, AuthorId, DatasetId, Service, SourceKind};
use twin_stream::{DeadLetter, DeadLetterCursor, DeadLetterObserver, DeadLetters, Reason};
use twin_trainer::{Planned, PlannedFolds, Planner};
use twin_training::Recipe;
use twin_warehouse::{Progress, ProgressState, StageName, Warehouse};

/// The crawler's sources for the gateway.
pub struct KnownSources(pub Sources);

#[async_trait]
impl SourceResolver for KnownSources {
    fn resolve(&self, kind: Option<&str>, location: &str) -> Result<(SourceKind, String), PortError> {
        self.0.resolve(kind, location).map_err(PortError::Invalid)
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.0.kinds()
    }

    fn check(&self, registration: Registration<'_>) -> Result<(), FieldError> {
        let checked = self.0.check(registration.kind, &of_crawler(&registration));
        checked.map_err(|invalid| FieldError::new(invalid.key, invalid.problem))
    }

    async fn inspect(&self, registration: Registration<'_>) -> Result<String, PortError> {
        let inspected = self.0.inspect(registration.kind, &of_crawler(&registration)).await;
        inspected.map_err(|error| {
            let why = format!("{error}. It is registered all the same with `unchecked` (twin sources add --force)");
            match error.is_transient() {
                true => PortError::Away { why, retry_after_s: error.retry_after_s() },
                false => PortError::Invalid(why),
            }
        })
    }

    fn check_file(&self, kind: &SourceKind, name: &str) -> Result<(), String> {
        self.0.check_file(kind, name)
    }
}

fn of_crawler<'a>(registration: &Registration<'a>) -> twin_crawler::Registration<'a> {
    let Registration { location, settings, secrets, .. } = *registration;
    twin_crawler::Registration { location, settings, secrets }
}

/// The trainer's plans for the gateway.
pub struct Plans {
    /// What plans.
    pub planner: Planner,
    /// Share of the samples of a kind that a job may leave out.
    pub max_left_out: f64,
}

#[async_trait]
impl JobPlanner for Plans {
    async fn plan(&self, dataset: &DatasetId, recipe: &Recipe) -> Result<PlannedRun, PortError> {
        let planned = self.planner.plan(dataset, recipe).await.map_err(of_trainer)?;
        let Planned { plan, seconds, by_a_job, folds } = planned;
        let refused = plan.require_samples(self.max_left_out).err().map(|error| error.to_string());
        let folds = folds.map(|PlannedFolds { folds, steps, tokens, seconds }| PlannedFoldsView {
            folds,
            steps,
            tokens,
            seconds,
        });
        Ok(PlannedRun { plan, seconds, folds, by_a_job, refused })
    }
}

/// What the freezer waits for, for the gateway.
pub struct NextDatasets {
    /// What there is.
    pub corpus: Arc<dyn Corpus>,
    /// Which versions there are.
    pub registry: Registry,
    /// When the next is due.
    pub policy: FreezePolicy,
    /// A new one is trained on without anybody's asking.
    pub automatic: bool,
}

#[async_trait]
impl NextVersions for NextDatasets {
    async fn collected(&self, author: &AuthorId) -> Result<Collected, PortError> {
        let state = self.corpus.author_state(author).await.map_err(|error| match error.is_transient() {
            true => PortError::transient("corpus", error),
            false => PortError::Refused(error.to_string()),
        })?;
        let last = self.registry.newest_dataset(author).await?;
        let (needed, key) = match last {
            Some(_) => (self.policy.new_samples, "datasets.freeze.new_samples"),
            None => (self.policy.first_samples, "datasets.freeze.first_samples"),
        };
        let freeze = FreezeState::now(&self.registry, &state, last.as_ref(), false).await?;
        let due = match due(&self.policy, &freeze) {
            Some(FreezeReason::Deletions) => Some(Due::Deletions),
            Some(FreezeReason::Age) => Some(Due::Age),
            Some(FreezeReason::NewSamples | FreezeReason::Requested | FreezeReason::Retraining) | None => None,
        };
        let (new_samples, deleted_share) = (freeze.new_samples, freeze.deleted_share);
        Ok(Collected { new_samples, needed: needed.max(1), key, deleted_share, due, automatic: self.automatic })
    }
}

fn of_trainer(error: twin_trainer::Error) -> PortError {
    match error.is_transient() {
        true => PortError::transient("trainer", error),
        false => PortError::Refused(error.to_string()),
    }
}

/// The log's dead letters for the gateway.
pub struct Operator(pub DeadLetters);

#[async_trait]
impl DeadLetterAccess for Operator {
    async fn list(
        &self,
        topic: Option<&str>,
        before: Option<&DeadLetterCursor>,
        limit: usize,
    ) -> Result<(Vec<DeadLetterView>, Option<DeadLetterCursor>), PortError> {
        let page = self.0.list(topic, before, limit).await.map_err(of_log)?;
        Ok((page.letters.into_iter().map(view).collect(), page.next))
    }

    async fn show(&self, id: &str) -> Result<Option<DeadLetterView>, PortError> {
        let letter = self.0.get(id).await.map_err(of_log)?;
        Ok(letter.map(view))
    }

    async fn replay(&self, id: &str) -> Result<Option<String>, PortError> {
        let position = self.0.replay(id).await.map_err(of_log)?;
        Ok(position.map(|position| position.to_string()))
    }
}

fn of_log(error: twin_stream::Error) -> PortError {
    match error {
        // Nothing came while dead letters were read: the log is away.
        twin_stream::Error::Closed => PortError::transient("event log", error),
        error => error.into(),
    }
}

fn view(letter: DeadLetter) -> DeadLetterView {
    let attributes = Attributes::from_headers(&letter.headers).ok();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: BTreeMap<_, _> = letter.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    DeadLetterView {
        id: letter.id,
        topic: letter.original.partition.topic.to_string(),
        stage: letter.stage,
        class: letter.class,
        message: letter.message,
        attempts: letter.attempts,
        first_seen: letter.first_seen,
        dead_at: letter.dead_at,
        original_position: letter.original.to_string(),
        key: text(&letter.key),
        event_type: attributes.as_ref().map(|attributes| attributes.event_type.clone()),
        subject: attributes.as_ref().map(|attributes| attributes.subject.clone()),
        revision: attributes.and_then(|attributes| attributes.revision).map(|revision| revision.0),
        headers,
        value: letter.value.map(|value| serde_json::from_slice(&value).unwrap_or_else(|_| text(&value).into())),
        replayed: letter.replayed,
    }
}

/// Notes in the warehouse that a document's revision is dead-lettered, so that its status says why it is not
/// searchable.
pub struct NoteDeadLetters(pub Arc<dyn Warehouse>);

#[async_trait]
impl DeadLetterObserver for NoteDeadLetters {
    async fn dead(&self, stage: &str, attributes: Option<&Attributes>, reason: &Reason) {
        let stage = match stage.parse() {
            Ok(Service::Cleaner) => StageName::Cleaned,
            Ok(Service::Chunker) => StageName::Chunked,
            Ok(Service::Embedder) => StageName::Indexed,
            // Queries are no documents.
            _ => return,
        };
        let Some(Ok((document_id, revision))) = attributes.map(Attributes::document) else { return };
        let reason = format!("{}: {}", reason.class, reason.message);
        let state = ProgressState::Dead { reason };
        let note = Progress { document_id, revision, stage, state, at: Utc::now() };
        if let Err(error) = self.0.note_progress(vec![note]).await {
            warn!(%document_id, %error, "the dead letter could not be noted in the document's status");
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use twin_registry::{Member, NewDataset};
    use twin_schemas::{DocumentId, Revision};
    use twin_sqlite::{Database, SqliteCorpus};

    use super::*;

    fn document(number: usize) -> DocumentId {
        DocumentId(format!("00000000-0000-0000-0000-{number:012}").parse().unwrap())
    }

    #[tokio::test]
    async fn what_was_deleted_of_the_newest_version_is_among_what_makes_another_due() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        let registry = twin_sqlite::registry(database.clone()).await.unwrap();
        let corpus: Arc<dyn Corpus> = Arc::new(SqliteCorpus::open(database).await.unwrap());
        let author: AuthorId = "ada".parse().unwrap();
        let next =
            NextDatasets { corpus, registry: registry.clone(), policy: FreezePolicy::default(), automatic: true };
        let first = next.collected(&author).await.unwrap();
        assert_eq!((first.key, first.deleted_share, first.due), ("datasets.freeze.first_samples", 0.0, None));

        // A book, and many posts.
        let passages = std::iter::once(100).chain(std::iter::repeat_n(1, 100));
        let member = |(number, passages): (usize, u64)| Member {
            document_id: document(number),
            revision: Revision::FIRST,
            passages,
            placement: None,
        };
        let new = NewDataset {
            prompts: None,
            dataset: DatasetId("a".repeat(64)),
            author: author.clone(),
            manifest: format!("sha256:{}", "0".repeat(64)),
            training_samples: 200,
            counts: BTreeMap::new(),
            reason: "new samples".to_owned(),
            members: (0..).zip(passages).map(member).collect(),
        };
        registry.add_dataset(new, Utc::now() - TimeDelta::hours(1)).await.unwrap();
        for (number, share, expected) in [(1, 0.005, None), (0, 0.505, Some(Due::Deletions))] {
            registry.mark_deleted(document(number), Utc::now()).await.unwrap();
            let collected = next.collected(&author).await.unwrap();
            assert_eq!((collected.deleted_share, collected.due), (share, expected));
            assert_eq!(collected.key, "datasets.freeze.new_samples");
        }
    }
}
