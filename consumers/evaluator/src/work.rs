//! What an evaluation's process does.

use std::ops::ControlFlow;
use std::path::Path;

use tracing::{info, warn};
use twin_artifacts::Artifacts;
use twin_jobs::{Outcome, Worker};
use twin_llm::ChatModel;

use crate::order::{EvaluationOrder, EvaluationProduct, EvaluationReport};
use crate::{Assignment, Error, Progress, SampleKind, SubjectRole, Subjects, TestSample, evaluate, html, read_samples};
use crate::{end_to_end, folds};

/// Bytes of another author's texts, at most: many times what is read of an impostor, so that there is prose among them and code.
const OTHER_BYTES: usize = 256 << 10;

/// Evaluates the job of that folder, and says there how it ended. `artifacts` is the artifact store's address here;
/// `subjects` makes the models of an order, below a folder of the job's own; `judge` is asked where there is one.
///
/// An error is one that another attempt may not meet; the folder says so too, unless it is the folder that failed. A
/// disk that is full stays so until somebody makes room.
pub async fn work<S: Subjects>(
    folder: &Path,
    artifacts: &str,
    subjects: impl FnOnce(&EvaluationOrder, &Path) -> S,
    judge: Option<&dyn ChatModel>,
) -> Result<(), Error> {
    let worker = Worker::begin(folder)?;
    let order: EvaluationOrder = worker.order()?;
    let models = folder.join("models");
    let done = run(&worker, &order, artifacts, &subjects(&order, &models), judge).await;
    if let Err(error) = tokio::fs::remove_dir_all(&models).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(%error, "the models' files were left in the job's folder");
    }
    match done {
        Ok(product) => {
            info!(verdict = product.verdict.as_str(), "evaluation is done");
            Ok(worker.finish(&Outcome::Succeeded(product))?)
        }
        Err(error) if error.is_transient() && !error.is_of_the_disk() => {
            worker.finish(&Outcome::<EvaluationProduct>::Interrupted(error.to_string()))?;
            Err(error)
        }
        Err(error) => {
            warn!(%error, "evaluation has failed");
            Ok(worker.finish(&Outcome::<EvaluationProduct>::Failed(error.to_string()))?)
        }
    }
}

async fn run(
    worker: &Worker,
    order: &EvaluationOrder,
    artifacts: &str,
    subjects: &dyn Subjects,
    judge: Option<&dyn ChatModel>,
) -> Result<EvaluationProduct, Error> {
    let artifacts = Artifacts::open_existing(artifacts)?;
    let tested = test_samples(&artifacts, &order.test).await?;
    let opens_folds = match order.folds {
        Some(_) => subjects.opens_folds().await.map_err(|cause| Error::Open { role: SubjectRole::Base, cause })?,
        None => true,
    };
    let (folds, samples) = match order.folds.as_ref().filter(|_| opens_folds) {
        Some(order) => folds::pooled(&artifacts, order, tested).await.map(|(folds, samples)| (Some(folds), samples))?,
        None => (None, tested),
    };
    let progress = |now: Progress| {
        let role = now.role.map(|role| role.as_str().to_owned());
        let report = EvaluationReport { role, done: now.done, total: now.total };
        if let Err(error) = worker.progress(&report) {
            warn!(%error, "the progress could not be written");
        }
        ControlFlow::Continue(())
    };
    let look = order.compared.as_ref().map_or(1, |compared| compared.look);
    let others = texts_of_others(&artifacts, &order.others).await?;
    let questions = match &order.asked {
        Some(asked) => Some(end_to_end::read(&artifacts, asked).await?),
        None => None,
    };
    // Questions were made of what folds measure. Who is measured without them has learned from most of it.
    let questions = match opens_folds {
        true => questions,
        false => questions.map(|questions| questions.of_documents_of(&samples)),
    };
    let assignment = Assignment {
        dataset: &order.dataset,
        samples: &samples,
        look,
        others: &others,
        questions: questions.as_ref(),
        categories: &order.categories,
        folds: folds.as_ref(),
    };
    let report = evaluate(assignment, subjects, judge, &order.options, &progress).await?;
    let page = html(&report)?;
    Ok(EvaluationProduct {
        verdict: report.verdict,
        grounded: report.grounded,
        report: artifacts.put(serde_json::to_vec(&report)?).await?,
        page: artifacts.put(page.into_bytes()).await?,
        compared: order.compared.clone(),
    })
}

/// What other authors wrote, by author. One whose samples can not be read is left out, unless they are only away for a while: an
/// evaluation does not depend on others' versions.
async fn texts_of_others(artifacts: &Artifacts, others: &[Vec<String>]) -> Result<Vec<Vec<String>>, Error> {
    let mut texts = Vec::new();
    for parts in others {
        match texts_of(artifacts, parts).await {
            Ok(written) => texts.push(written),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => warn!(%error, "another author's test samples can not be read: the author is no impostor"),
        }
    }
    Ok(texts)
}

/// The references of an author's first voice samples, up to [`OTHER_BYTES`]. Parts are cut between lines: no more of them are
/// fetched than that takes.
async fn texts_of(artifacts: &Artifacts, parts: &[String]) -> Result<Vec<String>, Error> {
    let (mut texts, mut left) = (Vec::new(), OTHER_BYTES);
    for part in parts {
        let samples = read_samples(artifacts.get(part).await?.as_slice())?;
        for sample in samples.into_iter().filter(|sample| sample.kind == SampleKind::Voice) {
            let Some(rest) = left.checked_sub(sample.reference.len()) else { return Ok(texts) };
            left = rest;
            texts.push(sample.reference);
        }
    }
    Ok(texts)
}

/// The samples of these artifacts, whose contents belong one behind the other.
pub(crate) async fn test_samples(artifacts: &Artifacts, parts: &[String]) -> Result<Vec<TestSample>, Error> {
    let mut text = Vec::new();
    for part in parts {
        text.extend(artifacts.get(part).await?);
    }
    read_samples(text.as_slice())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use twin_schemas::{ChatMessage, Role};

    use super::*;

    #[tokio::test]
    async fn of_another_author_no_more_is_read_than_a_profile_needs() {
        let folder = TempDir::new().unwrap();
        let artifacts = Artifacts::in_folder(folder.path()).unwrap();
        let sample = |kind: SampleKind, letters: usize| {
            let sample = TestSample {
                kind,
                document_id: format!("{:032x}", 7).parse().unwrap(),
                prompt: vec![ChatMessage { role: Role::User, content: "Write.".into() }],
                reference: "a".repeat(letters),
                passages: vec![],
                right: None,
                ends: true,
            };
            serde_json::to_string(&sample).unwrap()
        };
        let first = [
            sample(SampleKind::Refusal, 10),
            sample(SampleKind::Voice, 20),
            sample(SampleKind::Voice, OTHER_BYTES - 50),
        ]
        .join("\n");
        let second = [sample(SampleKind::Voice, 30), sample(SampleKind::Voice, 1)].join("\n");
        let mut parts = Vec::new();
        for part in [first, second] {
            parts.push(artifacts.put(part.into_bytes()).await.unwrap());
        }
        // It is not there, and not needed.
        parts.push(format!("sha256:{}", "0".repeat(64)));
        let lengths = |texts: Vec<String>| texts.iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(lengths(texts_of(&artifacts, &parts).await.unwrap()), [20, OTHER_BYTES - 50, 30]);
        assert_eq!(lengths(texts_of(&artifacts, &parts[1..2]).await.unwrap()), [30, 1]);
        assert!(texts_of(&artifacts, &parts[1..]).await.is_err(), "what is missing is told");
    }
}
