//! How far an author's learning is, in one view; and taking the retraining that is offered there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use twin_api::{Asker, LearningPart, LearningView, PartStanding, PartStatus, RetrainingOffer};
use twin_registry::{Outlook, Part, Retraining, Stage, Standing};
use twin_schemas::AuthorId;

use super::checked_by;
use crate::extract::{Json, Path};
use crate::learning::Learning;
use crate::problem::Problem;
use crate::problem_responses::{ReadProblems, StepProblems};
use crate::state::App;
use crate::views::Shown;

/// Show what of an author's learning is done, under way, waits, is offered or is held back, and why.
#[utoipa::path(
    get, path = "/v1/authors/{author}/learning", operation_id = "show_learning", tag = "learning",
    params(("author" = String, Path, description = "The author")),
    responses((status = 200, description = "The parts of the learning loop", body = LearningView), ReadProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
) -> Result<axum::Json<LearningView>, Problem> {
    let learning = app.learning()?;
    let author = app.author(Some(author)).await?;
    Ok(axum::Json(view(learning, &author).await?))
}

/// Take the retraining that is offered to an author.
///
/// A job is queued, on the newest dataset version; or a version is asked for first, where that one has prompts of another form,
/// and is trained on as soon as it is there. One that was taken already goes on as it does.
#[utoipa::path(
    post, path = "/v1/authors/{author}/retrain", operation_id = "retrain", tag = "learning",
    params(("author" = String, Path, description = "The author")), request_body = Option<Asker>,
    responses((status = 202, description = "Taken; the parts of the learning loop", body = LearningView), StepProblems)
)]
pub async fn retrain(
    State(app): State<Arc<App>>,
    Path(author): Path<AuthorId>,
    body: Option<Json<Asker>>,
) -> Result<(StatusCode, axum::Json<LearningView>), Problem> {
    let learning = app.learning()?;
    let by = checked_by(body.and_then(|Json(asker)| asker.by))?;
    let author = app.author(Some(author)).await?;
    learning.queue()?.retrain(&author, &by).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(view(learning, &author).await?)))
}

async fn view(learning: &Learning, author: &AuthorId) -> Result<LearningView, Problem> {
    let collected = learning.next_versions.collected(author).await?;
    let now = learning.queue.as_ref().map(|queue| queue.ingredients());
    let parts = learning.registry.outlook(author, collected, now.map_err(String::as_str)).await?;
    let retraining = match now {
        Ok(now) => learning.registry.retraining(author, now).await?,
        Err(_) => None,
    };
    Ok(LearningView {
        author: author.to_string(),
        parts: parts.into_iter().map(Shown::shown).collect(),
        offer: retraining.and_then(offer),
    })
}

/// The retraining, if nobody has taken it.
fn offer(retraining: Retraining) -> Option<RetrainingOffer> {
    let Retraining { model, changed, stage, .. } = retraining;
    let Stage::Offered { version_first } = stage else { return None };
    let changed = changed.iter().map(|change| change.as_str().to_owned()).collect();
    Some(RetrainingOffer { model: model.0, changed, version_first })
}

impl Shown for Outlook {
    type View = PartStatus;

    fn shown(self) -> PartStatus {
        let part = match self.part {
            Part::Dataset => LearningPart::Dataset,
            Part::Training => LearningPart::Training,
            Part::Evaluation => LearningPart::Evaluation,
            Part::Decision => LearningPart::Decision,
            Part::Deployment => LearningPart::Deployment,
            Part::Retraining => LearningPart::Retraining,
        };
        let standing = match self.standing {
            Standing::Done => PartStanding::Done,
            Standing::UnderWay => PartStanding::UnderWay,
            Standing::Waits => PartStanding::Waits,
            Standing::Offered => PartStanding::Offered,
            Standing::HeldBack => PartStanding::HeldBack,
            Standing::NotBegun => PartStanding::NotBegun,
        };
        PartStatus { part, standing, detail: self.detail }
    }
}
