//! Another embedding model: refused at the start, and taken up by `twin reindex` while the twin answers and indexes.

use std::cell::Cell;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use twin_stack::{TwinOptions, TwinProcess};
use twin_tests::{Api, Author, Folder, History, Reader, Stored, smaller_model};

const AUTHOR: &str = "ada";
/// Between two changes and between two questions, so that the vectors are built in between.
const PAUSE: Duration = Duration::from_millis(40);
/// Numbers in a vector of the second model; the first one's have 384.
const DIMENSION: u64 = 128;

/// Where `make models` puts the first model.
fn first_model() -> Result<PathBuf> {
    let cache = match env::var_os("TWIN_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context("there is a HOME")?).join(".cache/llm-twin"),
    };
    Ok(cache.join("models/minilm"))
}

fn second_model(folder: &TempDir) -> Result<String> {
    let model = folder.path().join("smaller");
    smaller_model(&first_model()?, &model, DIMENSION)?;
    Ok(model.display().to_string())
}

/// A twin without a language model, with this embedding model.
fn options(model: &str, data: &TempDir) -> TwinOptions {
    let environment = [
        ("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1"),
        ("TWIN_CRAWLER_POLL_MS", "50"),
        ("TWIN_EMBEDDER_MODEL_DIR", model),
    ];
    TwinOptions {
        data: Some(data.path().join("data")),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..TwinOptions::default()
    }
}

fn start(model: &str, data: &TempDir) -> Result<TwinProcess> {
    TwinProcess::start(options(model, data))
}

fn refusal(model: &str, data: &TempDir) -> Result<String> {
    let error = start(model, data).err().context("it starts")?;
    Ok(format!("{error:#}"))
}

/// `twin reindex` on the data of a twin, with another model.
async fn reindex(twin: &TwinProcess, model: &str) -> Result<String> {
    let mut command = twin.command(&["reindex", "--data"]);
    command.arg(twin.data()).env("TWIN_EMBEDDER_MODEL_DIR", model);
    let output = Command::from(command).output().await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}

/// Asks again and again. Each question is to be answered, and with something.
async fn ask(api: &Api, going_on: &Cell<bool>) -> Result<usize> {
    let mut questions = 0;
    while going_on.get() {
        ask_once(api).await?;
        questions += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(questions)
}

async fn ask_once(api: &Api) -> Result<()> {
    let passages = api.retrieve(AUTHOR, "the harbour", 5).await.context("a question has failed")?;
    ensure!(!passages.is_empty(), "a question finds nothing");
    Ok(())
}

/// Makes up changes and has the author make them.
async fn write(history: &mut History, author: &Author<'_>, going_on: &Cell<bool>) -> Result<usize> {
    let mut changes = 0;
    while going_on.get() {
        let change = history.next_change();
        author.apply(&change).await?;
        changes += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(changes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_goes_over_to_another_model_while_the_twin_answers_and_indexes() -> Result<()> {
    let models = TempDir::new()?;
    let (first, second) = (first_model()?.display().to_string(), second_model(&models)?);
    let (data, folder, notes) = (TempDir::new()?, Folder::new()?, Folder::of_sixty()?);
    let mut twin = start(&first, &data)?;
    let api = Api::new(twin.base_url())?;
    api.add_source("grace", notes.location()).await?;
    let author = Author::new(&api, AUTHOR, &folder).await?;
    let mut history = History::new(7);
    for change in history.changes().to_vec() {
        author.apply(&change).await?;
    }
    author.settled().await?;

    let reader = Reader::start(&api, AUTHOR);
    reader.settled(&history);
    let going_on = Cell::new(true);
    let reindexing = async {
        let said = reindex(&twin, &second).await;
        going_on.set(false);
        said
    };
    let (said, questions, changes) =
        tokio::try_join!(reindexing, ask(&api, &going_on), write(&mut history, &author, &going_on))?;
    ensure!(said.contains("done in") && said.contains("smaller@"), "{said}");
    ensure!(questions > 5 && changes > 5, "{questions} questions and {changes} changes meanwhile");
    // After the switch, if none came in between.
    ask_once(&api).await?;
    author.apply(&history.next_change()).await?;
    author.settled().await?;
    reader.settled(&history);
    reader.stop().await?;
    assert_eq!(reindex(&twin, &second).await?.lines().count(), 1, "a second time there is nothing to do");
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    let gone_over = Stored::read(twin.data())?;

    // The configuration that `twin run` is started with has to say the same.
    let refused = refusal(&first, &data)?;
    ensure!(refused.contains("smaller@") && refused.contains("`twin reindex`"), "{refused}");
    let mut twin = start(&second, &data)?;
    let passages = Api::new(twin.base_url())?.retrieve(AUTHOR, "the harbour", 5).await?;
    ensure!(!passages.is_empty(), "nothing is found after a restart");
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());

    folder.clear()?;
    gone_over.ensure_same(&of_the_second_model_alone(&second, &history, &folder, &notes).await?)
}

/// What a twin stores that had the second model from the beginning.
async fn of_the_second_model_alone(model: &str, history: &History, folder: &Folder, notes: &Folder) -> Result<Stored> {
    let data = TempDir::new()?;
    let mut twin = start(model, &data)?;
    let api = Api::new(twin.base_url())?;
    api.add_source("grace", notes.location()).await?;
    let author = Author::new(&api, AUTHOR, folder).await?;
    for change in history.changes() {
        author.apply(change).await?;
    }
    author.settled().await?;
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
    Stored::read(twin.data())
}

#[tokio::test]
async fn without_a_running_twin_it_does_the_same_and_the_model_may_be_moved_afterwards() -> Result<()> {
    let models = TempDir::new()?;
    let (first, second) = (first_model()?.display().to_string(), second_model(&models)?);
    let data = TempDir::new()?;
    let mut twin = start(&first, &data)?;
    let api = Api::new(twin.base_url())?;
    api.push(AUTHOR, "harbour", "The harbour was built of timber and stone by people who had never seen the sea.")
        .await?;
    api.settled(AUTHOR).await?;
    ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());

    let refused = refusal(&second, &data)?;
    ensure!(refused.contains("minilm@") && refused.contains("`twin reindex`"), "{refused}");
    reindex(&twin, &second).await?;
    let moved = models.path().join("elsewhere/renamed");
    std::fs::create_dir_all(models.path().join("elsewhere"))?;
    std::fs::rename(&second, &moved)?;
    let twin = start(&moved.display().to_string(), &data)?;
    let passages = Api::new(twin.base_url())?.retrieve(AUTHOR, "Who built the harbour?", 5).await?;
    assert_eq!(passages.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_model_or_a_data_folder_that_is_not_there_is_named() -> Result<()> {
    let (folder, data) = (TempDir::new()?, TempDir::new()?);
    let missing = folder.path().join("missing").display().to_string();
    let refused = refusal(&missing, &data)?;
    ensure!(refused.contains(&missing) && refused.contains("make models"), "{refused}");

    let second = second_model(&folder)?;
    let twin = start(&first_model()?.display().to_string(), &data)?;
    let error = reindex(&twin, &missing).await.unwrap_err().to_string();
    ensure!(error.contains(&missing) && error.contains("make models"), "{error}");
    let mut command = twin.command(&["reindex", "--data"]);
    command.arg(folder.path()).env("TWIN_EMBEDDER_MODEL_DIR", second);
    let said = String::from_utf8(Command::from(command).output().await?.stderr)?;
    ensure!(said.contains("holds no twin's data"), "{said}");
    Ok(())
}
