//! `/v1/sources`: what is collected, and how its last sync went.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Utc;
use futures::{StreamExt, stream};
use serde_json::Value;
use twin_api::{
    DocumentsOfSource, NewSourceRequest, Removal, Removed, SourceFilter, SourceList, SourceView, SyncFailureView,
    SyncRequested, SyncStatus, SyncView,
};
use twin_schemas::{AuthorId, Category, SourceId, SourceKind};
use twin_warehouse::{Claim, LastSync, NewSource, Secret, Secrets, SourceRow, SyncOutcome, Warehouse};

use crate::extract::{Checks, Json, Path, Query};
use crate::list::{List, Part};
use crate::problem::Problem;
use crate::problem_responses::{BodyProblems, ReadProblems};
use crate::state::{App, Registration};
use crate::views::Shown;

/// A year.
const INTERVAL_MAX_S: u64 = 365 * 24 * 60 * 60;
/// The list of sources; the status shows its first part.
pub const LIST: List = List { name: "sources", cursor: "after", default: 1_000, max: 1_000 };
/// Documents of a source that are read at once.
const KNOWN_AT_ONCE: usize = 1_000;
/// Uploads of a source that are read at once.
const FILES_AT_ONCE: usize = 1_000;
/// Deletions written at a time.
const RETRACTIONS_AT_A_TIME: usize = 64;

impl Shown for SourceRow {
    type View = SourceView;

    fn shown(self) -> SourceView {
        let awaiting_deletions = match self.last_sync.as_ref().map(|sync| &sync.outcome) {
            Some(SyncOutcome::AwaitingConfirmation { deletions }) if !self.deletions_confirmed => *deletions,
            _ => 0,
        };
        SourceView {
            id: self.id.0,
            author: self.source.author.to_string(),
            kind: self.source.kind.to_string(),
            location: self.source.location,
            category: self.source.category,
            interval_s: self.source.interval_s,
            created_at: self.created_at,
            next_run_at: self.next_run_at,
            deletions_confirmed: self.deletions_confirmed,
            awaiting_deletions,
            last_sync: self.last_sync.map(Shown::shown),
            settings: self.source.settings.as_object().cloned().unwrap_or_default(),
            secrets: self.source.secret_names,
        }
    }
}

impl Shown for LastSync {
    type View = SyncView;

    fn shown(self) -> SyncView {
        let (status, reason) = match self.outcome {
            SyncOutcome::Completed => (SyncStatus::Completed, None),
            SyncOutcome::Failed { reason } => (SyncStatus::Failed, Some(reason)),
            SyncOutcome::AwaitingConfirmation { .. } => (SyncStatus::AwaitingConfirmation, None),
        };
        let failed = self.failed.into_iter();
        SyncView {
            status,
            reason,
            started_at: self.started_at,
            finished_at: self.finished_at,
            seen: self.seen,
            new: self.new,
            changed: self.changed,
            deleted: self.deleted,
            failed: failed.map(|f| SyncFailureView { natural_key: f.natural_key, reason: f.reason }).collect(),
            failed_total: self.failed_total,
            waited_ms: self.waited_ms,
        }
    }
}

/// Register a source.
///
/// It is synced at once and then at its interval. One that is there already (same author, kind and location) gets the
/// new settings. Before it is registered it is looked at: what can not be reached or read is refused, unless `unchecked`
/// says otherwise (a 503 where the server is busy: try again), and of the home page of a blog the feed that it names is
/// registered.
#[utoipa::path(
    post, path = "/v1/sources", operation_id = "register_source", tag = "sources", request_body = NewSourceRequest,
    responses(
        (status = 201, description = "Registered", body = SourceView),
        (status = 200, description = "It was there; it has the new settings", body = SourceView),
        BodyProblems
    )
)]
pub async fn register(
    State(app): State<Arc<App>>,
    Json(request): Json<NewSourceRequest>,
) -> Result<(StatusCode, axum::Json<SourceView>), Problem> {
    let interval_s = request.interval_s.unwrap_or(app.default_interval_s);
    let mut checks = Checks::default();
    let in_range = (1..=INTERVAL_MAX_S).contains(&interval_s);
    checks.require(in_range, "interval_s", format!("must be 1 to {INTERVAL_MAX_S}"));
    checks.require(!request.location.trim().is_empty(), "location", "must not be empty");
    if let Some(kind) = &request.kind {
        let kinds = app.sources.kinds();
        checks.require(kinds.contains(&kind.as_str()), "kind", format!("must be one of {}", kinds.join(", ")));
    }
    checks.finish()?;
    let (kind, location) = resolve(&app, request.kind, request.location).await?;
    let settings = if request.settings.is_empty() { Value::Null } else { Value::Object(request.settings) };
    let given = request.secrets.map(|secrets| {
        let secrets = secrets.into_iter().map(|(name, text)| (name, Secret::new(text.into_text())));
        secrets.collect::<Secrets>()
    });
    let mut new = Registering { author: request.author, kind, location, settings, given };
    let mut known = new.check(&app).await?;
    // One that is there was looked at before, and is synced at once: its server may be away just now.
    if !known && !request.unchecked && new.look(&app).await? {
        known = new.check(&app).await?;
    }
    let row = new.store(&app, request.category, interval_s).await?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(row.shown())))
}

/// A source on its way to being registered.
struct Registering {
    author: AuthorId,
    kind: SourceKind,
    location: String,
    settings: Value,
    /// None: it keeps the secrets that it has.
    given: Option<Secrets>,
}

impl Registering {
    fn id(&self) -> SourceId {
        SourceId::of(&self.author, &self.kind, &self.location)
    }

    async fn secrets(&self, app: &App) -> Result<Secrets, Problem> {
        match &self.given {
            Some(secrets) => Ok(secrets.clone()),
            None => Ok(app.warehouse.secrets(self.id()).await?),
        }
    }

    fn with<'a>(&'a self, secrets: &'a Secrets) -> Registration<'a> {
        Registration { kind: &self.kind, location: &self.location, settings: &self.settings, secrets }
    }

    /// Checks what can be checked here, and says whether there is such a source.
    async fn check(&self, app: &App) -> Result<bool, Problem> {
        let secrets = self.secrets(app).await?;
        app.sources.check(self.with(&secrets)).map_err(|error| Problem::fields(vec![error]))?;
        Ok(app.warehouse.source(self.id()).await?.is_some())
    }

    /// Looks at what is there; true if another location was found, which is that of the source from here on.
    async fn look(&mut self, app: &App) -> Result<bool, Problem> {
        let secrets = self.secrets(app).await?;
        let found = app.sources.inspect(self.with(&secrets)).await;
        let found = found.map_err(|error| Problem::of_field("location", error))?;
        let is_another = found != self.location;
        self.location = found;
        Ok(is_another)
    }

    async fn store(self, app: &App, category: Option<Category>, interval_s: u64) -> Result<SourceRow, Problem> {
        let secrets = self.secrets(app).await?;
        // Before the source, whose first sync is due at once. What is stored here for none is replaced with the next try.
        match &self.given {
            Some(given) if given.is_empty() => app.warehouse.forget_secrets(self.id()).await?,
            Some(given) => app.warehouse.put_secrets(self.id(), given).await?,
            None => {}
        }
        let (id, secret_names) = (self.id(), secrets.names().map(str::to_owned).collect());
        let Self { author, kind, location, settings, .. } = self;
        let source = NewSource { author, kind, location, category, interval_s, settings, secret_names };
        let row = app.warehouse.put_source(source).await?;
        // A removal that was under way may have forgotten them until here, and no longer does.
        if !secrets.is_empty() && app.warehouse.secrets(id).await?.is_empty() {
            app.warehouse.put_secrets(id, &secrets).await?;
        }
        Ok(row)
    }
}

async fn resolve(app: &App, kind: Option<String>, location: String) -> Result<(SourceKind, String), Problem> {
    let sources = Arc::clone(&app.sources);
    // It may look at the file system.
    let resolved = tokio::task::spawn_blocking(move || sources.resolve(kind.as_deref(), location.trim())).await;
    let resolved = resolved.map_err(|error| {
        tracing::error!(%error, "resolving a source failed");
        Problem::internal("the source could not be resolved; the gateway's log has more")
    })?;
    resolved.map_err(|error| Problem::of_field("location", error))
}

/// List sources.
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "list_sources", tag = "sources", params(SourceFilter),
    responses((status = 200, description = "The sources, by author and location", body = SourceList), ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<SourceFilter>,
) -> Result<axum::Json<SourceList>, Problem> {
    let Part { limit, from } = LIST.part(filter.limit, filter.after.as_deref())?;
    let page = app.warehouse.sources(filter.author.as_ref(), from.as_ref(), limit).await?;
    let sources = page.items.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(SourceList { sources, next: LIST.next(page.next) }))
}

/// Show a source, as registered, and how its last sync went.
#[utoipa::path(
    get, path = "/v1/sources/{id}", operation_id = "show_source", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source")),
    responses((status = 200, description = "The source", body = SourceView), ReadProblems)
)]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<SourceId>) -> Result<axum::Json<SourceView>, Problem> {
    let row = app.warehouse.source(id).await?.ok_or_else(|| not_found(id))?;
    Ok(axum::Json(row.shown()))
}

/// Remove a source, with its documents unless they should stay.
///
/// A removal that was cut off can be sent again.
#[utoipa::path(
    delete, path = "/v1/sources/{id}", operation_id = "remove_source", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source"), Removal),
    responses((status = 200, description = "Removed", body = Removed), ReadProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
    Query(removal): Query<Removal>,
) -> Result<axum::Json<Removed>, Problem> {
    let warehouse = app.warehouse.as_ref();
    // From here on no sync records anything of it. Then the documents: if this is cut off, the source is still there to
    // be removed again.
    let begun = warehouse.begin_removal(id).await?.ok_or_else(|| not_found(id))?;
    let documents_deleted = match removal.documents {
        DocumentsOfSource::Delete => retract_all(warehouse, &begun).await?,
        DocumentsOfSource::Keep => 0,
    };
    match forget_parts(warehouse, &begun).await {
        Ok(()) | Err(twin_warehouse::Error::ClaimLost) => {}
        Err(error) => return Err(error.into()),
    }
    warehouse.remove_source(&begun).await?;
    Ok(axum::Json(Removed { id: id.0, documents_deleted }))
}

/// Deletes the documents of a source that is being removed, and counts them. Who registers it anew meanwhile has those
/// that are left.
async fn retract_all(warehouse: &dyn Warehouse, removal: &Claim) -> Result<u64, Problem> {
    let observed_at = Utc::now();
    let (mut deleted, mut after) = (0, None);
    loop {
        let known = warehouse.known(removal.source_id, after, KNOWN_AT_ONCE).await?;
        let mut retractions = stream::iter(known.items)
            .map(|document| async move { warehouse.retract_claimed(removal, document.document_id, observed_at).await })
            .buffer_unordered(RETRACTIONS_AT_A_TIME);
        while let Some(retracted) = retractions.next().await {
            match retracted {
                Ok(revision) => deleted += u64::from(revision.is_some()),
                Err(twin_warehouse::Error::ClaimLost) => return Ok(deleted),
                Err(error) => return Err(error.into()),
            }
        }
        after = known.next;
        if after.is_none() {
            return Ok(deleted);
        }
    }
}

/// Forgets the uploads and the secrets of a source that is being removed. Who registers it anew meanwhile keeps those that
/// are left, and those that come with it.
async fn forget_parts(warehouse: &dyn Warehouse, removal: &Claim) -> Result<(), twin_warehouse::Error> {
    let mut after = None;
    loop {
        let files = warehouse.files(removal.source_id, after.as_deref(), FILES_AT_ONCE).await?;
        for file in files.items {
            warehouse.remove_file_claimed(removal, &file.name).await?;
        }
        after = files.next;
        if after.is_none() {
            break;
        }
    }
    warehouse.forget_secrets_claimed(removal).await
}

/// Sync a source now.
#[utoipa::path(
    post, path = "/v1/sources/{id}/sync", operation_id = "sync_source", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source")),
    responses((status = 202, description = "It is due now", body = SyncRequested), ReadProblems)
)]
pub async fn sync(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    request_sync(&app, id, false).await
}

/// Confirm deletions: sync a source now, and let that sync delete as many documents as it finds gone.
#[utoipa::path(
    post, path = "/v1/sources/{id}/confirm", operation_id = "confirm_deletions", tag = "sources",
    params(("id" = uuid::Uuid, Path, description = "The source")),
    responses((status = 202, description = "It is due now", body = SyncRequested), ReadProblems)
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    Path(id): Path<SourceId>,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    request_sync(&app, id, true).await
}

async fn request_sync(
    app: &App,
    id: SourceId,
    confirm_deletions: bool,
) -> Result<(StatusCode, axum::Json<SyncRequested>), Problem> {
    if !app.warehouse.request_sync(id, confirm_deletions).await? {
        return Err(not_found(id));
    }
    let requested = SyncRequested { id: id.0, deletions_confirmed: confirm_deletions };
    Ok((StatusCode::ACCEPTED, axum::Json(requested)))
}

pub(super) fn not_found(id: SourceId) -> Problem {
    Problem::not_found(format!("there is no source {id}; GET /v1/sources lists those that there are"))
}
