//! The registry in a data folder of version 0.1.0, which kept no steps.

use twin_registry::{Action, DeploymentState, EvaluationState, JobState, Metric, ModelState, rules::Step};
use twin_schemas::{AuthorId, ModelId, Verdict};
use twin_sqlite::Database;

/// What that version left after a dataset, a training, an evaluation, an approval and a rollback, and a job whose twin was
/// killed. Texts are cut, and records, chunks and vectors left out, for their size.
const DATABASE: &[u8] = include_bytes!("../../../tests/fixtures/data-folder-0.1.0.db");

fn old_folder() -> (Database, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twin.db");
    std::fs::write(&path, DATABASE).unwrap();
    (Database::open(&path).unwrap(), folder)
}

fn ada() -> AuthorId {
    "ada".parse().unwrap()
}

fn by(who: &str) -> twin_registry::By {
    twin_registry::By::new(who, "", chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

#[tokio::test]
async fn what_an_earlier_version_kept_in_tables_is_there_as_it_was() {
    let (database, _folder) = old_folder();
    let registry = twin_sqlite::registry(database).await.unwrap();

    let datasets = registry.newest_datasets(None, 9).await.unwrap();
    let known = (datasets[0].dataset.short().to_owned(), datasets[0].number, datasets[0].training_samples);
    assert_eq!(known, ("1684be9fe16f".to_owned(), 1, 157));
    assert_eq!((datasets[0].documents, datasets[0].deleted_documents), (9, 1));
    assert_eq!(datasets[0].counts["train/voice"], 92);
    let request = registry.freeze_request(&ada()).await.unwrap().unwrap();
    assert!(request.requested_by == "grace" && request.outcome.is_some_and(|outcome| outcome.contains("version 1")));

    let model = registry.model(&ModelId("ada-v1".into())).await.unwrap().unwrap();
    assert_eq!((model.state, model.verdict), (ModelState::Approved, Some(Verdict::Inconclusive)));
    assert!(!model.in_production, "it was rolled back");
    let evaluation = registry.evaluation(&model.model).await.unwrap().unwrap();
    assert_eq!((evaluation.state, evaluation.attempts), (EvaluationState::Done, 1));
    assert!(evaluation.report.is_some_and(|report| report.starts_with("sha256:cbcf2928")));

    let deployments = registry.deployments(&ada()).await.unwrap();
    let known: Vec<_> = deployments.iter().map(|row| (row.number, row.model.clone(), row.state)).collect();
    let serving = DeploymentState::Serving;
    assert_eq!(known, [(2, None, serving), (1, Some(model.model.clone()), serving)]);
    let actions: Vec<_> = registry.decisions(&ada()).await.unwrap().into_iter().map(|row| row.action).collect();
    assert_eq!(actions, [Action::Rollback, Action::Deploy, Action::Approve]);

    let trained = registry.job("895535b3147c").await.unwrap().unwrap();
    assert_eq!((trained.state, trained.model.as_ref()), (JobState::Succeeded, Some(&model.model)));
    assert!(trained.progress.is_some_and(|progress| progress.step == 3 && progress.steps == 3));
    assert!(registry.metrics(&trained.job).await.unwrap().iter().any(|Metric { name, .. }| name == "loss"));
    let lineage = registry.lineage(&model.model).await.unwrap();
    assert_eq!(lineage.documents.iter().filter(|taught| taught.deleted_at.is_some()).count(), 1);
}

#[tokio::test]
async fn it_goes_on_where_the_earlier_version_stopped_and_is_imported_once() {
    let (database, _folder) = old_folder();
    let registry = twin_sqlite::registry(database.clone()).await.unwrap();
    let running = registry.open_jobs().await.unwrap();
    assert_eq!(running.len(), 1, "the job whose twin was killed");
    assert_eq!(running[0].attempts, 1);
    let again = registry.deploy(&ModelId("ada-v1".into()), by("grace")).await.unwrap();
    assert_eq!(again.number, 3, "numbers go on");

    let reopened = twin_sqlite::registry(database.clone()).await.unwrap();
    assert_eq!(reopened.state(&ada()).await.unwrap(), registry.state(&ada()).await.unwrap());
    let steps: Vec<String> = database
        .read(|c| -> Result<_, twin_sqlite::Error> {
            let mut statement = c.prepare("SELECT step FROM registry_steps ORDER BY number")?;
            let texts = statement.query_map([], |row| row.get(0))?;
            Ok(texts.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap();
    let steps: Vec<Step> = steps.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!(matches!(&steps[..], [Step::Imported { .. }, Step::Deployed { .. }]), "{steps:?}");
}
