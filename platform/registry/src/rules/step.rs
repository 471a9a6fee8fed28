use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{AuthorId, DatasetId, DatasetReady, JobId, ModelEvent, ModelId, Payload, Service, Verdict};

use super::AuthorState;
use crate::MeasureChanges;
use crate::model::{Action, NewJob};

/// Something that has happened for an author. Written once and never changed; what was released stays readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// What was there before steps were written: always the first.
    Imported {
        /// All of it.
        state: Box<AuthorState>,
    },
    /// An event that was decided before steps were written and not published by then.
    CarriedOver {
        /// The event.
        event: Event,
    },
    /// A dataset version is there.
    DatasetAdded {
        /// The hash of its content.
        dataset: DatasetId,
        /// Its number among the author's.
        number: u32,
        /// The version before it.
        parent: Option<DatasetId>,
        /// The artifact that holds its manifest.
        manifest: String,
        /// Samples to train on.
        training_samples: u64,
        /// Samples of each kind.
        counts: BTreeMap<String, u64>,
        /// The form of the prompts that its samples are made with. Steps of earlier versions do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompts: Option<String>,
        /// Why it was frozen.
        reason: String,
        /// Documents in it.
        documents: u64,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody wants a version.
    FreezeRequested {
        /// Who.
        by: String,
        /// And wants it trained on. Steps of earlier versions do not.
        #[serde(default)]
        retrain: bool,
        /// When.
        at: DateTime<Utc>,
    },
    /// What came of that.
    FreezeAnswered {
        /// In words.
        outcome: String,
        /// No version could be made.
        refused: bool,
    },
    /// A job waits.
    JobQueued {
        /// The job.
        #[serde(flatten)]
        new: NewJob,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// An attempt began.
    JobStarted {
        /// Of which job.
        job: JobId,
        /// When.
        at: DateTime<Utc>,
    },
    /// An attempt was gone; the job waits again.
    JobRequeued {
        /// Which.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// Somebody wants a running job stopped.
    JobStopRequested {
        /// Which.
        job: JobId,
        /// Why, and who.
        reason: String,
    },
    /// A job that had ended waits again.
    JobRetried {
        /// Which.
        job: JobId,
    },
    /// A job has ended well.
    JobSucceeded {
        /// Which.
        job: JobId,
        /// The model that it made; a trial of a sweep makes none.
        made: Option<Made>,
        /// When.
        at: DateTime<Utc>,
    },
    /// A job has ended badly.
    JobFailed {
        /// Which.
        job: JobId,
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A job was stopped.
    JobCancelled {
        /// Which.
        job: JobId,
        /// Why, and who.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// The recipe of later jobs.
    RecipeSet {
        /// Its canonical text.
        recipe: String,
        /// Where it is from.
        origin: String,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// A sweep is over.
    SweepConcluded {
        /// Its name.
        sweep: String,
        /// When.
        at: DateTime<Utc>,
        /// The recipe of later jobs and where it is from, if the sweep has found one.
        recipe: Option<(String, String)>,
    },
    /// An evaluation waits.
    EvaluationQueued {
        /// Of which model.
        model: ModelId,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// An attempt began.
    EvaluationStarted {
        /// Of which model's evaluation.
        model: ModelId,
    },
    /// An attempt was gone; the evaluation waits again.
    EvaluationRequeued {
        /// Of which model.
        model: ModelId,
        /// Why.
        reason: String,
    },
    /// There is a report.
    EvaluationFinished {
        /// Of which model.
        model: ModelId,
        /// The outcome.
        verdict: Verdict,
        /// The model's answers from passages are good enough to be given. Steps of earlier versions do not say.
        #[serde(default)]
        grounded: bool,
        /// The artifact that holds it as JSON.
        report: String,
        /// The artifact that holds it as a page.
        page: String,
        /// Which of the model's reports it is, from 1. Steps of earlier versions are of the first, and do not say.
        #[serde(default)]
        round: u32,
        /// When.
        at: DateTime<Utc>,
    },
    /// There will be no report, unless it is tried again.
    EvaluationFailed {
        /// Of which model.
        model: ModelId,
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// An evaluation that had failed waits again.
    EvaluationRetried {
        /// Of which model.
        model: ModelId,
    },
    /// A model is to be evaluated, though it was, or could not be, before.
    EvaluationReopened {
        /// Which.
        model: ModelId,
        /// What is to be measured otherwise than configured.
        #[serde(default)]
        changes: MeasureChanges,
        /// Who wants it.
        by: String,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// A model may serve, and is deployed unless it serves already.
    Approved {
        /// Which.
        model: ModelId,
        /// Who said so.
        who: String,
        /// In their words.
        why: String,
        /// When.
        at: DateTime<Utc>,
        /// The number of its deployment.
        deployment: Option<u64>,
    },
    /// A model may never serve.
    Rejected {
        /// Which.
        model: ModelId,
        /// Who said so.
        who: String,
        /// In their words.
        why: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A model is to serve.
    Deployed {
        /// Which; none is the base model.
        model: Option<ModelId>,
        /// The number of the deployment.
        number: u64,
        /// A deployment or a rollback.
        action: Action,
        /// Who said so.
        who: String,
        /// In their words.
        why: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A worker has taken up a deployment, or could not.
    WorkerReported {
        /// Which deployment.
        number: u64,
        /// Which worker.
        worker: String,
        /// Why not; none if it serves.
        problem: Option<String>,
        /// No worker is left that might take it up: the deployment has failed.
        failed: bool,
        /// When.
        at: DateTime<Utc>,
    },
}

/// The model that a job has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its name.
    pub model: ModelId,
    /// Its number among the author's.
    pub number: u32,
    /// What it was trained on.
    pub dataset: DatasetId,
    /// The artifact that holds its manifest.
    pub manifest: String,
}

/// What others are told of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: the same for the same step.
    pub id: String,
    /// The stage in whose name it is written.
    pub stage: String,
    /// The topic's name.
    pub topic: String,
    /// What it is about.
    pub subject: String,
    /// The payload.
    pub payload: serde_json::Value,
}

impl Event {
    fn new<P: Payload>(id: String, stage: Service, subject: &str, payload: &P) -> Self {
        // Payload types have string keys only and no failing `Serialize` implementation of their own.
        let payload = serde_json::to_value(payload).expect("a payload serialises to JSON");
        Self {
            id,
            stage: stage.name().to_owned(),
            topic: P::TOPIC.name().to_owned(),
            subject: subject.to_owned(),
            payload,
        }
    }
}

impl Step {
    /// What others are told of it.
    pub fn event(&self, author: &AuthorId) -> Option<Event> {
        let author = author.clone();
        match self {
            Self::CarriedOver { event } => Some(event.clone()),
            Self::DatasetAdded { dataset, number, manifest, training_samples, at, .. } => {
                let ready = DatasetReady {
                    dataset: dataset.clone(),
                    author,
                    number: *number,
                    manifest: manifest.clone(),
                    training_samples: *training_samples,
                    at: *at,
                };
                Some(Event::new(format!("dataset/{dataset}"), Service::Datasets, &dataset.0, &ready))
            }
            Self::JobSucceeded { job, made: Some(made), at } => {
                let trained = ModelEvent::Trained {
                    model: made.model.clone(),
                    author,
                    dataset: made.dataset.clone(),
                    job: job.clone(),
                    manifest: made.manifest.clone(),
                    at: *at,
                };
                Some(Event::new(format!("model/{}/trained", made.model), Service::Trainer, &made.model.0, &trained))
            }
            Self::EvaluationFinished { model, verdict, report, round, at, .. } => {
                let (verdict, report) = (*verdict, report.clone());
                let evaluated = ModelEvent::Evaluated { model: model.clone(), author, verdict, report, at: *at };
                let id = match round {
                    0 | 1 => format!("model/{model}/evaluated"),
                    later => format!("model/{model}/evaluated/{later}"),
                };
                Some(Event::new(id, Service::Evaluator, &model.0, &evaluated))
            }
            Self::Approved { model, deployment: Some(number), at, .. } => {
                Some(deployed(author, Some(model.clone()), *number, *at))
            }
            Self::Deployed { model, number, at, .. } => Some(deployed(author, model.clone(), *number, *at)),
            _ => None,
        }
    }
}

fn deployed(author: AuthorId, model: Option<ModelId>, deployment: u64, at: DateTime<Utc>) -> Event {
    let (id, subject) = (format!("deployment/{author}/{deployment}"), author.to_string());
    Event::new(id, Service::Gateway, &subject, &ModelEvent::Deployed { model, author, deployment, at })
}
