//! A poison event on Kafka, and every service twice: it is put aside with the reason, its partition moves on, and it can be
//! replayed, whichever twin had it and whichever is asked.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::{Attributes, DocumentKey, RawDocument, Revision, SourceKind, Topic};
use twin_stack::{Kafka, TwinProcess};
use twin_stream::{EventLog, NewRecord, Position, partition_for};
use twin_tests::{Api, Shared, Twins, author, eventually, fast_answers, note};

/// The topic that the cleaner reads.
fn raw() -> &'static str {
    Topic::DocumentsRaw.name()
}

fn twins() -> Result<std::sync::Arc<Twins>> {
    static TWINS: Shared<Twins> = Shared::new();
    TWINS.get(|| {
        let url = format!("kafka://{}", Kafka::shared()?.bootstrap());
        Twins::start(fast_answers(&[("TWIN_LOG_URL", &url)]), 2)
    })
}

/// The id of the document that the push endpoint makes of a key.
fn pushed_id(author: &str, natural_key: &str) -> Result<twin_schemas::DocumentId> {
    let (source_kind, identity) = (SourceKind::push(), natural_key.to_owned());
    Ok(DocumentKey { source_kind, author: author.parse()?, scope: String::new(), identity }.id())
}

/// Appends a raw event whose payload is cut off, as another producer with a fault would.
async fn poison(author: &str, natural_key: &str) -> Result<Position> {
    let options = KafkaOptions { brokers: Kafka::shared()?.bootstrap().to_owned(), ..KafkaOptions::default() };
    let log = KafkaLog::connect(options).await?;
    let document = pushed_id(author, natural_key)?;
    let record = NewRecord {
        topic: raw().to_owned(),
        key: document.to_string().into_bytes(),
        value: Some(format!("{{\"document_id\": \"{document}\", \"revision\":").into_bytes()),
        headers: Attributes::for_document::<RawDocument>("test", document, Revision(1)).to_headers(),
    };
    log.append(vec![record]).await?.pop().context("one record has one position")
}

/// The dead letters of one document, newest first.
async fn letters(api: &Api, natural_key: &str, author: &str) -> Result<Vec<Value>> {
    let subject = pushed_id(author, natural_key)?.to_string();
    let list = api.get(&format!("/v1/dlq?topic={}&limit=1000", raw())).await?;
    let letters = list["dead_letters"].as_array().context("dead letters are an array")?;
    Ok(letters.iter().filter(|letter| letter["subject"] == subject).cloned().collect())
}

async fn letter(api: &Api, natural_key: &str, author: &str) -> Result<Value> {
    eventually("the event is dead-lettered", async || Ok(letters(api, natural_key, author).await?.pop())).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_poison_event_is_put_aside_with_its_reason() -> Result<()> {
    let (api, author) = (twins()?.api()?, author());
    let position = poison(&author, "poison").await?;
    let listed = letter(&api, "poison", &author).await?;
    assert_eq!((text(&listed["stage"]), text(&listed["class"])), ("cleaner", "decode"), "{listed:#}");
    assert_eq!(listed["original_position"], position.to_string());
    assert_eq!((&listed["topic"], &listed["replayed"]), (&json!(raw()), &json!(false)));
    assert!(!text(&listed["message"]).is_empty(), "{listed:#}");

    let shown = api.get(&format!("/v1/dlq/{}", text(&listed["id"]))).await?;
    assert!(text(&shown["value"]).ends_with("\"revision\":"), "the payload is shown as it came: {shown:#}");
    let metrics = api.metrics().await?;
    let labels = ["stage=\"cleaner\"", "class=\"decode\""];
    assert!(metrics.sum("twin_stage_dead_letters_total", &labels) >= 1.0);
    Ok(())
}

#[tokio::test]
async fn the_partition_of_a_poison_event_moves_on() -> Result<()> {
    let (api, author) = (twins()?.api()?, author());
    let position = poison(&author, "poison").await?;
    let partitions = u32::try_from(
        KafkaLog::connect(KafkaOptions { brokers: Kafka::shared()?.bootstrap().to_owned(), ..KafkaOptions::default() })
            .await?
            .watermarks(raw())
            .await?
            .len(),
    )?;
    let mut behind = Vec::new();
    for number in 0.. {
        let key = format!("note-{number}");
        if partition_for(pushed_id(&author, &key)?.to_string().as_bytes(), partitions) == position.partition.partition {
            behind.push(key);
        }
        if behind.len() == 5 {
            break;
        }
    }
    for key in &behind {
        // It waits until the document is searchable.
        api.push(&author, key, &note(key)).await?;
    }
    assert_eq!(letters(&api, "poison", &author).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_command_line_lists_shows_and_replays_a_dead_letter() -> Result<()> {
    let twins = twins()?;
    let (api, author) = (twins.api()?, author());
    let (one, other) = (&twins[0], &twins[1]);
    poison(&author, "poison").await?;
    let first = letter(&api, "poison", &author).await?;
    let id = text(&first["id"]);
    let command = |twin: &TwinProcess, arguments: &[&str]| -> Result<String> {
        let output = twin.command(arguments).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "twin {arguments:?} ended with {}: {told}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    };
    let list = command(one, &["dlq", "list"])?;
    let line = list.lines().find(|line| line.contains(id)).context("the letter is listed")?;
    assert!(line.contains("cleaner") && line.contains("decode"), "{line}");
    let shown = command(other, &["dlq", "show", id])?;
    for part in ["cleaner", "decode", text(&first["message"]), text(&first["original_position"])] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }

    // It is as broken as before: the replay is another dead letter, and the first is marked.
    command(one, &["dlq", "replay", id])?;
    let letters = eventually("the replayed event is dead-lettered again", async || {
        let letters = letters(&api, "poison", &author).await?;
        Ok((letters.len() == 2).then_some(letters))
    })
    .await?;
    let replayed: Vec<&Value> = letters.iter().filter(|letter| letter["replayed"] == true).collect();
    assert_eq!(replayed.iter().map(|letter| text(&letter["id"])).collect::<Vec<_>>(), [id], "{letters:#?}");
    assert_ne!(letters[0]["original_position"], letters[1]["original_position"]);
    Ok(())
}
