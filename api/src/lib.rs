//! The types of the REST API: what a client sends, and what it is answered with.
//!
//! The gateway, the command line and the tests use these, so that none of them can mean another field than the others.
//! Their descriptions are those of the OpenAPI document, which the gateway makes of them and its routes.
//!
//! Deliberately not here: how rows become answers and which values are in range (`consumers/gateway`), how answers are
//! shown (`twin`), and OpenAI's API, whose types are OpenAI's.

mod answers;
mod datasets;
mod dead_letters;
mod decisions;
mod documents;
mod evaluations;
mod jobs;
mod learning;
mod models;
mod problem;
mod secret;
mod sources;
mod status;
mod writing;

pub use answers::{
    AnswerCheckView, CitationView, PassageView, QueryAnswer, QueryRequest, RetrieveAnswer, RetrieveRequest,
    SentenceSupportView, Speaker, TimingsView, Turn, UsageView,
};
pub use datasets::{
    AuthorAndLimit, CountChangeView, DatasetDetail, DatasetDiff, DatasetList, DatasetView, FreezeView, NewFreeze,
};
pub use dead_letters::{DeadLetterFilter, DeadLetterList, DeadLetterView, Replayed};
pub use decisions::{
    Action, Decision, DecisionView, DeploymentFilter, DeploymentList, DeploymentState, DeploymentView,
};
pub use documents::{
    Change, DocumentList, DocumentSummary, DocumentView, LineProblem, ListFilter, PushAnswer, PushRequest, Pushed,
    StageState, StageView, Upload,
};
pub use evaluations::{EvaluationGuardRule, EvaluationMetric, EvaluationRequest};
pub use jobs::{
    Asker, JobFilter, JobList, JobProgressView, JobStateView, JobView, MetricFilter, MetricList, MetricView,
    NewJobRequest, NewRecipe, NewSweepRequest, PlanView, PlannedFoldsView, PlannedJob, RecipeView, SampleFit,
    StagePlanView,
};
pub use learning::{LearningPart, LearningView, PartStanding, PartStatus, RetrainingOffer};
pub use models::{
    EvaluationState, EvaluationView, LineageFilter, LineageView, ModelFileList, ModelFileView, ModelVersionDetail,
    ModelVersionList, ModelVersionState, ModelVersionView, TaughtDocumentView, TaughtModels,
};
pub use problem::{Code, FieldError, OpenAiError, Problem};
pub use secret::SecretText;
pub use sources::{
    DocumentsOfSource, FileName, NewSourceRequest, Removal, Removed, RemovedFile, SourceFilter, SourceList, SourceView,
    SyncFailureView, SyncRequested, SyncStatus, SyncView, UploadedFileFilter, UploadedFileList, UploadedFileView,
};
pub use status::{
    PartView, RefusalsView, StageLag, StatusFilter, StatusView, ThresholdBasis, ThresholdView, TotalsView,
};
pub use writing::{CopiedView, WriteAnswer, WriteRequest};
