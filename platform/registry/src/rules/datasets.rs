//! Dataset versions, and wishes for them.

use super::{At, AuthorState, Step};
use crate::model::{DatasetRow, FreezeRequest, NewDataset};

pub(super) fn add(state: &AuthorState, new: NewDataset, at: At) -> Option<Step> {
    if state.datasets.iter().any(|known| known.dataset == new.dataset) {
        return None;
    }
    let parent = state.datasets.last();
    Some(Step::DatasetAdded {
        number: parent.map_or(1, |parent| parent.number + 1),
        parent: parent.map(|parent| parent.dataset.clone()),
        dataset: new.dataset,
        manifest: new.manifest,
        training_samples: new.training_samples,
        counts: new.counts,
        prompts: new.prompts,
        reason: new.reason,
        documents: new.members.iter().filter(|member| member.passages > 0).count() as u64,
        at,
    })
}

/// An open wish stays as it is, unless what it wants is to be trained on too.
pub(super) fn request_freeze(state: &AuthorState, by: String, retrain: bool, at: At) -> Option<Step> {
    let is_open = |request: &FreezeRequest| request.outcome.is_none() && (request.retrain || !retrain);
    (!state.freeze.as_ref().is_some_and(is_open)).then_some(Step::FreezeRequested { by, retrain, at })
}

/// Only an open wish is answered.
pub(super) fn answer_freeze(state: &AuthorState, outcome: String, refused: bool) -> Option<Step> {
    let is_open = state.freeze.as_ref().is_some_and(|request| request.outcome.is_none());
    is_open.then_some(Step::FreezeAnswered { outcome, refused })
}

impl AuthorState {
    pub(super) fn change_datasets(&mut self, step: Step) {
        match step {
            Step::DatasetAdded {
                dataset,
                number,
                parent,
                manifest,
                training_samples,
                counts,
                prompts,
                reason,
                documents,
                at,
            } => self.datasets.push(DatasetRow {
                dataset,
                author: self.author.clone(),
                number,
                parent,
                manifest,
                training_samples,
                counts,
                prompts,
                reason,
                created_at: at,
                documents,
                deleted_documents: 0,
            }),
            Step::FreezeRequested { by, retrain, at } => {
                self.freeze = Some(FreezeRequest {
                    author: self.author.clone(),
                    requested_by: by,
                    requested_at: at,
                    outcome: None,
                    refused: false,
                    retrain,
                });
            }
            Step::FreezeAnswered { outcome, refused } => {
                if let Some(request) = &mut self.freeze {
                    (request.outcome, request.refused) = (Some(outcome), refused);
                }
            }
            _ => {}
        }
    }
}
