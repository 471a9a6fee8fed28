//! Freezes versions when the policy or a person says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_coordination::Member;
use twin_corpus::{AuthorState, Corpus};
use twin_registry::{
    DatasetRow, FreezeRequest, Interest, Member as VersionMember, NewDataset, Placement, Placements, Registry,
    read_dataset_manifest,
};
use twin_schemas::{AuthorId, DatasetManifest, SourceDocument, Split};
use twin_telemetry::ShutdownSignal;

use crate::metrics::Metrics;
use crate::work::blocking;
use crate::{Builder, Built, Error, FreezePolicy, FreezeReason, FreezeState, Parent, due};

/// Between looks at what has changed: a quarter of the time that must have passed without a change, within these bounds.
const SHORTEST_LOOK: Duration = Duration::from_secs(2);
const LONGEST_LOOK: Duration = Duration::from_secs(15);
/// Between tries of an author's version for which a model can not be reached: each reads all of the author's documents.
const AWAY: Duration = Duration::from_secs(60);
/// Authors of one read.
const PAGE: usize = 500;
/// Who asks for a version that nobody has asked for.
const POLICY: &str = "policy";

/// Makes versions as they fall due, registers and thereby announces them.
pub struct Freezer {
    policy: FreezePolicy,
    builder: Builder,
    corpus: Arc<dyn Corpus>,
    registry: Registry,
    artifacts: Artifacts,
    member: Member,
    metrics: Metrics,
    /// The newest change of each author, and when it was first seen.
    seen: HashMap<AuthorId, (u64, Instant)>,
    /// The change at which a version could not be made: it is not tried again before something else has changed.
    refused: HashMap<AuthorId, u64>,
    /// When a model that is asked for an author's version could not be reached.
    away: HashMap<AuthorId, Instant>,
}

impl Freezer {
    /// A freezer, not running yet.
    pub fn new(
        policy: FreezePolicy,
        builder: Builder,
        corpus: Arc<dyn Corpus>,
        registry: Registry,
        artifacts: Artifacts,
        member: Member,
        metrics: Metrics,
    ) -> Self {
        let (seen, refused, away) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { policy, builder, corpus, registry, artifacts, member, metrics, seen, refused, away }
    }

    /// Freezes until the shutdown begins.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.registry.changes(Interest::Freezes);
        let pause = Duration::from_secs(self.policy.quiet_s / 4).clamp(SHORTEST_LOOK, LONGEST_LOOK);
        while !shutdown.has_begun() {
            tokio::select! {
                // A build that is broken off leaves nothing behind that is referred to.
                () = shutdown.begun() => {}
                looked = self.look() => if let Err(error) = looked {
                    warn!(%error, "datasets could not be looked after, trying again");
                }
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Looks at every author once.
    pub async fn look(&mut self) -> Result<(), Error> {
        let requests = self.registry.open_freeze_requests().await?;
        let mut authors = self.authors().await?;
        authors.extend(requests.iter().map(|request| request.author.clone()));
        authors.sort();
        authors.dedup();
        for author in authors {
            let requested = requests.iter().any(|request| request.author == author);
            // Only who has something to do takes a lease.
            if self.due(&author, requested).await?.is_some() {
                self.freeze_alone(&author).await?;
            }
        }
        Ok(())
    }

    /// Everybody in the corpus.
    async fn authors(&self) -> Result<Vec<AuthorId>, Error> {
        let mut authors: Vec<AuthorId> = Vec::new();
        loop {
            let page = self.corpus.authors(authors.last(), PAGE).await?;
            let is_last = page.len() < PAGE;
            authors.extend(page);
            if is_last {
                return Ok(authors);
            }
        }
    }

    /// Freezes, unless another process does. Two that did would make the same version, at twice the work.
    async fn freeze_alone(&mut self, author: &AuthorId) -> Result<(), Error> {
        let Some(lease) = self.member.hold(&format!("freeze/{author}")).await? else { return Ok(()) };
        let frozen = lease.run(self.freeze_if_due(author)).await;
        if lease.is_held() {
            lease.release().await?;
        }
        // What was broken off is begun anew by who has the lease now.
        frozen.unwrap_or(Ok(()))
    }

    /// Freezes, unless whoever had the lease before has done it.
    async fn freeze_if_due(&mut self, author: &AuthorId) -> Result<(), Error> {
        let requests = self.registry.open_freeze_requests().await?;
        let request = requests.iter().find(|request| request.author == *author);
        let reason = match self.due(author, request.is_some()).await? {
            Some(_) if request.is_some_and(|request| request.retrain) => FreezeReason::Retraining,
            Some(reason) => reason,
            None => return Ok(()),
        };
        self.freeze(author, reason).await
    }

    async fn due(&mut self, author: &AuthorId, requested: bool) -> Result<Option<FreezeReason>, Error> {
        let last = self.registry.newest_dataset(author).await?;
        let state = self.corpus.author_state(author).await?;
        let is_quiet = self.is_quiet(author, &state);
        let freeze = FreezeState::now(&self.registry, &state, last.as_ref(), requested).await?;
        let reason = due(&self.policy, &freeze);
        let is_worth_it = requested || is_quiet && self.refused.get(author) != Some(&state.changed);
        let waits = self.away.get(author).is_some_and(|since| since.elapsed() < AWAY);
        Ok(reason.filter(|_| is_worth_it && !waits))
    }

    /// Whether an author's documents have come to rest: a version made while they still pour in would be out of date at
    /// once, and train a model for nothing.
    fn is_quiet(&mut self, author: &AuthorId, state: &AuthorState) -> bool {
        let now = Instant::now();
        let (changed, since) = self.seen.entry(author.clone()).or_insert((state.changed, now));
        if *changed != state.changed {
            (*changed, *since) = (state.changed, now);
        }
        now - *since >= Duration::from_secs(self.policy.quiet_s)
    }

    async fn freeze(&mut self, author: &AuthorId, reason: FreezeReason) -> Result<(), Error> {
        let parent = self.registry.newest_dataset(author).await?;
        let now = Utc::now();
        match self.build(author, parent.as_ref(), now).await {
            Ok(built) => self.register(author, parent, built, reason, now).await,
            // Versions of others may need no model, or another one: they do not wait for it.
            Err(error @ Error::Away(_)) => {
                warn!(%author, %error, "the dataset version is made when the model can be reached");
                self.away.insert(author.clone(), Instant::now());
                Ok(())
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                warn!(%author, %error, "no dataset version was made");
                let state = self.corpus.author_state(author).await?;
                self.refused.insert(author.clone(), state.changed);
                self.metrics.frozen("refused");
                self.tell_refusal(author, parent.as_ref(), &error.to_string(), now).await
            }
        }
    }

    /// Answers who has asked for a version. Where nobody has, the refusal is noted as that of the policy's own wish, once
    /// for each reason: else nobody could know why no version comes.
    async fn tell_refusal(
        &self,
        author: &AuthorId,
        parent: Option<&DatasetRow>,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let last = self.registry.freeze_request(author).await?;
        let is_of_now = |last: &FreezeRequest| parent.is_none_or(|parent| last.requested_at >= parent.created_at);
        // Who asked for a retraining is to read what came of that.
        let says_it = |last: &FreezeRequest| last.retrain || last.outcome.as_deref() == Some(why);
        let is_told = |last: &FreezeRequest| last.refused && is_of_now(last) && says_it(last);
        if !last.as_ref().is_some_and(is_told) {
            self.registry.request_freeze(author, POLICY, now).await?;
        }
        Ok(self.registry.answer_freeze(author, Err(why), now).await?)
    }

    async fn build(&self, author: &AuthorId, parent: Option<&DatasetRow>, now: DateTime<Utc>) -> Result<Built, Error> {
        let before = match parent {
            Some(parent) => Some(self.before(parent).await?),
            None => None,
        };
        let number = parent.map_or(1, |parent| parent.number + 1);
        let (builder, author) = (self.builder.clone(), author.clone());
        let runtime = tokio::runtime::Handle::current();
        // A build reads and writes a scratch database all the way: it stays on one thread, and off the runtime's.
        blocking(move || runtime.block_on(builder.build(&author, before.as_ref(), number, now))).await
    }

    /// What the next version goes on from. Where documents are is told by the version's rows; those that an earlier version
    /// of this program has written do not tell it, but the manifest does.
    async fn before(&self, row: &DatasetRow) -> Result<Parent, Error> {
        let dataset = row.dataset.clone();
        if let Some(placements) = self.registry.placements(&dataset).await? {
            return Ok(Parent { dataset, placements });
        }
        match read_dataset_manifest(&self.artifacts, &row.manifest).await {
            Ok(manifest) => Ok(Parent::from(&manifest)),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                warn!(
                    author = %row.author, dataset = dataset.short(), %error,
                    "neither the rows nor the manifest of the version before tell its split: documents are divided anew, and \
                     one that was moved for want of others may go from one split to another"
                );
                Ok(Parent { dataset, placements: Placements::new() })
            }
        }
    }

    /// The documents of a version that are in its split.
    fn members(&self, manifest: &DatasetManifest) -> Vec<VersionMember> {
        let rule = self.builder.split_rule();
        let member = |document: &SourceDocument| {
            Some(VersionMember {
                document_id: document.document_id,
                revision: document.revision,
                passages: document.passages,
                placement: Some(Placement { split: document.split?, rule }),
            })
        };
        manifest.documents.iter().filter_map(member).collect()
    }

    async fn register(
        &mut self,
        author: &AuthorId,
        parent: Option<DatasetRow>,
        built: Built,
        reason: FreezeReason,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let manifest = &built.manifest;
        let mut counts = BTreeMap::new();
        for split in Split::ALL {
            for (kind, count) in manifest.counts.get(&split).into_iter().flatten() {
                counts.insert(format!("{}/{}", split.as_str(), kind.as_str()), *count);
            }
        }
        let new = NewDataset {
            dataset: manifest.dataset.clone(),
            author: author.clone(),
            manifest: built.manifest_artifact.clone(),
            training_samples: manifest.training_samples(),
            counts,
            prompts: Some(self.builder.prompts()),
            reason: reason.as_str().to_owned(),
            members: self.members(manifest),
        };
        let registered = self.registry.add_dataset(new, now).await?;
        // What was read and gave no sample is not new either.
        let read: Vec<_> = manifest.documents.iter().map(|read| (read.document_id, read.revision)).collect();
        self.corpus.mark_frozen(&read).await?;
        let is_new = parent.is_none_or(|parent| parent.number < registered.number);
        let outcome = if is_new {
            self.metrics.frozen("frozen");
            info!(%author, dataset = registered.dataset.short(), number = registered.number, reason = reason.as_str(), "dataset version registered");
            format!("version {} is {}", registered.number, registered.dataset)
        } else {
            self.restore(built.manifest, &registered).await?;
            format!("nothing has changed since version {}, which is {}", registered.number, registered.dataset)
        };
        Ok(self.registry.answer_freeze(author, Ok(&outcome), now).await?)
    }

    /// Writes the manifest of a version that is there already as it was written: who asks for a version that has not changed
    /// may do so since a file of it is damaged. The build has written all others.
    async fn restore(&self, built: DatasetManifest, row: &DatasetRow) -> Result<(), Error> {
        let (number, parent, created_at) = (row.number, row.parent.clone(), row.created_at);
        let manifest = DatasetManifest { number, parent, created_at, ..built };
        self.artifacts.put(serde_json::to_vec(&manifest)?).await?;
        Ok(())
    }
}

impl FreezeState {
    /// What the decision on the version after `last` depends on now.
    ///
    /// # Errors
    /// The rows of that version can not be read.
    pub async fn now(
        registry: &Registry,
        state: &AuthorState,
        last: Option<&DatasetRow>,
        requested: bool,
    ) -> Result<Self, twin_registry::Error> {
        let deleted_share = match last {
            Some(last) => registry.deleted_share(last).await?,
            None => 0.0,
        };
        let last = last.map(|last| last.created_at);
        Ok(Self { new_samples: state.new_samples, last, deleted_share, now: Utc::now(), requested })
    }
}
