//! How far an author's learning is, in one view.

use std::sync::Arc;

use axum::extract::State;
use twin_api::{LearningPart, LearningView, PartStanding, PartStatus};
use twin_registry::{Outlook, Part, Standing};
use twin_schemas::AuthorId;

use crate::extract::Path;
use crate::problem::Problem;
use crate::problem_responses::ReadProblems;
use crate::state::App;
use crate::views::Shown;

/// Show what of an author's learning is done, under way, waits or is held back, and why.
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
    let collected = learning.next_versions.collected(&author).await?;
    let parts = learning.registry.outlook(&author, collected).await?;
    let parts = parts.into_iter().map(Shown::shown).collect();
    Ok(axum::Json(LearningView { author: author.to_string(), parts }))
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
        };
        let standing = match self.standing {
            Standing::Done => PartStanding::Done,
            Standing::UnderWay => PartStanding::UnderWay,
            Standing::Waits => PartStanding::Waits,
            Standing::HeldBack => PartStanding::HeldBack,
            Standing::NotBegun => PartStanding::NotBegun,
        };
        PartStatus { part, standing, detail: self.detail }
    }
}
