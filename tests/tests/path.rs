//! The main path, over both event logs: what an author publishes becomes searchable, follows every change, and is
//! answered from.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_tests::{Api, Folder, Repository, TOPICS, author};

#[path = "path/logs.rs"]
mod logs;

/// Looks for a document over and over until `stop`. Each look is the texts of its passages that were found.
async fn watch(api: &Api, author: &str, query: &str, document: &str, stop: &AtomicBool) -> Result<Vec<Vec<String>>> {
    let mut looks = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let hits = api.retrieve(author, query, 50).await?;
        let own = hits.iter().filter(|hit| hit["document_id"] == document);
        looks.push(own.filter_map(|hit| Some(hit["text"].as_str()?.to_owned())).collect());
    }
    Ok(looks)
}

/// Runs `work` while a document is watched.
async fn while_watching(
    api: &Api,
    author: &str,
    query: &str,
    document: &str,
    work: impl Future<Output = Result<()>>,
) -> Result<Vec<Vec<String>>> {
    let stop = AtomicBool::new(false);
    let worked = async {
        let result = work.await;
        stop.store(true, Ordering::Relaxed);
        result
    };
    let (looks, worked) = tokio::join!(watch(api, author, query, document, &stop), worked);
    worked?;
    looks
}

async fn document_of(api: &Api, author: &str, natural_key: &str) -> Result<Value> {
    let documents = api.documents(author).await?;
    documents.into_iter().find(|document| document["natural_key"] == natural_key).context("the document is there")
}

fn id(document: &Value) -> &str {
    document["document_id"].as_str().unwrap_or_default()
}

async fn a_folder_and_a_repository_become_searchable(api: Api) -> Result<()> {
    let author = author();
    let folder = Folder::of_sixty()?;
    let code = "/// Folds a checksum over the frames of a packet.\npub fn fold_checksum(frames: &[u8]) -> u32 {\n    \
                frames.iter().fold(7, |sum, byte| sum.rotate_left(3) ^ u32::from(*byte))\n}\n";
    let repository = Repository::new(&[
        ("README.md", "# Packets\n\nA library that reads and writes the packets of a weather station.\n"),
        ("src/checksum.rs", code),
        ("target/generated.rs", "pub fn generated() {}\n"),
    ])?;
    api.add_source(&author, folder.location()).await?;
    api.add_source(&author, repository.location()).await?;

    let totals = &api.settled(&author).await?["totals"];
    assert_eq!(totals["searchable"], 62, "60 files, and of the repository all but what a build made: {totals}");
    for topic in TOPICS {
        let hits = api.retrieve(&author, topic.question, 5).await?;
        let found = hits.iter().any(|hit| hit["natural_key"] == topic.file);
        assert!(found, "{} is not among the first five for {:?}: {hits:#?}", topic.file, topic.question);
    }
    let hits = api.retrieve(&author, "fold_checksum over packet frames", 5).await?;
    let found = hits.iter().find(|hit| hit["natural_key"] == "src/checksum.rs").context("the code is found")?;
    assert_eq!(found["category"], "code");
    Ok(())
}

async fn an_edited_document_is_never_absent_and_its_old_text_goes(api: Api) -> Result<()> {
    let author = author();
    let folder = Folder::new()?;
    folder.write("kettle.md", "# The kettle\n\nMy kettle whistles at ninety degrees, in the copper age of it.")?;
    folder.write("other.md", "# Other\n\nNothing in here has to do with boiling water.")?;
    let source = api.add_source(&author, folder.location()).await?;
    let document = document_of(&api, &author, "kettle.md").await?;

    folder.write("kettle.md", "# The kettle\n\nMy kettle is silent now: I took the steel one, an heirloom.")?;
    let edit = async {
        api.sync(&source).await?;
        api.settled(&author).await?;
        Ok(())
    };
    let looks = while_watching(&api, &author, "my kettle", id(&document), edit).await?;
    let is_old = |look: &Vec<String>| look.iter().any(|text| text.contains("copper age"));
    let is_new = |look: &Vec<String>| look.iter().any(|text| text.contains("heirloom"));
    for look in &looks {
        assert!(is_old(look) != is_new(look), "not exactly one revision was found: {look:?}");
    }
    let first_new = looks.iter().position(is_new).unwrap_or(looks.len());
    assert!(!looks[first_new..].iter().any(is_old), "the old text came back");

    for _ in 0..10 {
        let hits = api.retrieve(&author, "my kettle", 50).await?;
        assert!(hits.iter().all(|hit| !hit.to_string().contains("copper age")), "stale: {hits:#?}");
        assert!(hits.iter().any(|hit| hit.to_string().contains("heirloom")), "absent: {hits:#?}");
    }
    let after = document_of(&api, &author, "kettle.md").await?;
    assert_eq!((id(&after), &after["live_revision"]), (id(&document), &json!(2)));
    Ok(())
}

async fn a_renamed_document_with_an_id_of_its_own_keeps_its_identity(api: Api) -> Result<()> {
    let author = author();
    let folder = Folder::new()?;
    folder.write("draft.md", "---\nid: lighthouse-1\n---\n# Lighthouse\n\nThe lamp turns once in ten seconds.\n")?;
    let source = api.add_source(&author, folder.location()).await?;
    let before = document_of(&api, &author, "draft.md").await?;

    folder.rename("draft.md", "lighthouse.md")?;
    let sync = api.sync(&source).await?;
    api.settled(&author).await?;
    assert_eq!((sync.new, sync.deleted), (0, 0), "{sync:?}");
    let after = document_of(&api, &author, "lighthouse.md").await?;
    assert_eq!(id(&after), id(&before));
    let hits = api.retrieve(&author, "How often does the lamp turn?", 5).await?;
    assert!(hits.iter().all(|hit| hit["natural_key"] == "lighthouse.md") && !hits.is_empty(), "{hits:#?}");
    Ok(())
}

async fn a_deleted_document_leaves_no_chunk_behind(api: Api) -> Result<()> {
    let author = author();
    let folder = Folder::new()?;
    folder.write("secret.md", "# A secret\n\nThe treasure lies under the third oak.")?;
    folder.write("other.md", "# Other\n\nNothing in here has to do with gold.")?;
    let source = api.add_source(&author, folder.location()).await?;
    let document = document_of(&api, &author, "secret.md").await?;

    folder.remove("secret.md")?;
    let query = "Where does the treasure lie?";
    let looks =
        while_watching(&api, &author, query, id(&document), async { api.sync(&source).await.map(drop) }).await?;
    let first_gone = looks.iter().position(Vec::is_empty).unwrap_or(looks.len());
    assert!(looks[first_gone..].iter().all(Vec::is_empty), "a deleted chunk came back");
    // The sync has ended: from now on it is gone, whether the deletion has reached the index yet or not.
    let settle = async { api.settled(&author).await.map(drop) };
    let looks = while_watching(&api, &author, query, id(&document), settle).await?;
    assert!(looks.iter().all(Vec::is_empty), "a deleted chunk was served after the sync: {looks:?}");
    for _ in 0..10 {
        let hits = api.retrieve(&author, query, 50).await?;
        assert!(hits.iter().all(|hit| hit["document_id"] != document["document_id"]), "{hits:#?}");
        assert!(!hits.is_empty(), "the other document is still there");
    }
    let shown = api.get(&format!("/v1/documents/{}", id(&document))).await?;
    assert_eq!((&shown["deleted"], &shown["searchable"]), (&json!(true), &json!(false)), "{shown}");
    Ok(())
}

/// What every answer has that was written from passages of `file`.
fn assert_answered(answer: &Value, file: &str) {
    assert_eq!(answer["abstained"], false, "{answer:#}");
    assert!(!answer["answer"].as_str().unwrap_or_default().is_empty(), "{answer:#}");
    let citations = answer["citations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let markers: Vec<u64> = citations.iter().filter_map(|citation| citation["marker"].as_u64()).collect();
    assert_eq!(markers, (1..=citations.len() as u64).collect::<Vec<_>>(), "{answer:#}");
    assert!(citations.iter().any(|citation| citation["natural_key"] == file), "{answer:#}");
    let tokens = |kind: &str| answer["usage"][kind].as_u64().unwrap_or_default();
    assert!(tokens("prompt_tokens") > 0 && (1..=24).contains(&tokens("completion_tokens")), "{answer:#}");
    assert!(answer["timings_ms"]["generate"].as_f64().is_some_and(|ms| ms > 0.0), "{answer:#}");
}

async fn an_answer_names_its_passages_streamed_and_whole(api: Api) -> Result<()> {
    let (author, topic) = (author(), TOPICS[0]);
    api.push(&author, topic.file, topic.text).await?;
    let mut question = json!({ "author": author, "question": topic.question, "k": 2 });
    let whole = api.post("/v1/query", &question).await?;
    assert_answered(&whole, topic.file);

    question["stream"] = json!(true);
    let events = api.events("/v1/query", &question).await?;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"retrieved"), Some(&"done")), "{names:?}");
    assert!(events[0].json()?["passages"].as_array().is_some_and(|passages| !passages.is_empty()));
    let done = events.last().context("the stream has events")?.json()?;
    assert_answered(&done, topic.file);
    let mut told = String::new();
    for event in events.iter().filter(|event| event.name == "delta") {
        told.push_str(event.json()?["text"].as_str().context("a delta has a text")?);
    }
    assert_eq!(done["answer"], told, "the deltas are not the answer");
    Ok(())
}

async fn an_unrelated_question_is_abstained_from_without_the_model(api: Api) -> Result<()> {
    let author = author();
    api.push(&author, "sourdough.md", TOPICS[0].text).await?;
    let question = json!({ "author": author, "question": "Which tax form does a shipping company file?", "k": 2 });
    let answer = api.post("/v1/query", &question).await?;
    assert_eq!((&answer["abstained"], &answer["usage"]["total_tokens"]), (&json!(true), &json!(0)), "{answer:#}");
    ensure!(answer["timings_ms"]["generate"] == 0.0, "the model was asked: {answer:#}");
    Ok(())
}

/// Every test once for each event log.
macro_rules! over_each_log {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test(super::logs::sqlite()?).await
            })+
        }
        mod kafka {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test(super::logs::kafka()?).await
            })+
        }
    };
}

over_each_log!(
    a_folder_and_a_repository_become_searchable,
    an_edited_document_is_never_absent_and_its_old_text_goes,
    a_renamed_document_with_an_id_of_its_own_keeps_its_identity,
    a_deleted_document_leaves_no_chunk_behind,
    an_answer_names_its_passages_streamed_and_whole,
    an_unrelated_question_is_abstained_from_without_the_model,
);
