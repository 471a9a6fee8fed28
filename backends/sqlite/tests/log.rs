//! What `EventLog` promises, over SQLite, and what is SQLite's own.

use std::sync::Arc;
use std::time::Duration;

use twin_schemas::Cleanup;
use twin_sqlite::{Database, SqliteLog};
use twin_stream::testing::log::{read, record};
use twin_stream::{EventLog, TopicPartition, TopicSpec, log_contract};

struct Place {
    log: SqliteLog,
    _folder: tempfile::TempDir,
}

impl Place {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.log.clone())
    }
}

async fn open() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("twin.db")).unwrap();
    Place { log: SqliteLog::open(database, 100_000).await.unwrap(), _folder: folder }
}

log_contract!(open);

#[tokio::test]
async fn the_embedded_log_keeps_what_a_group_has_yet_to_read_and_the_newest_of_each_key() {
    let place = open().await;
    let log = &place.log;
    let (topic, expiring) = ("test.compacted".to_owned(), "test.expiring".to_owned());
    let spec = |name: &String, cleanup| TopicSpec { name: name.clone(), partitions: 1, cleanup };
    let specs = [spec(&topic, Cleanup::Compact), spec(&expiring, Cleanup::Delete(Duration::ZERO))];
    log.ensure_topics(&specs).await.unwrap();
    for round in 0..1_200 {
        let key = format!("k{}", round % 10);
        log.append(vec![record(&topic, &key, Some("x")), record(&expiring, &key, Some("x"))]).await.unwrap();
    }
    let mut consumer = log.subscribe("slow", &[&topic, &expiring]).await.unwrap();
    read(&mut consumer, 2_400).await;
    let at = |topic: &str| TopicPartition { topic: topic.into(), partition: 0 };
    consumer.commit(&[(at(&topic), 1_100), (at(&expiring), 1_100)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    log.maintain().await.unwrap();
    let ends = log.watermarks(&expiring).await.unwrap()[&0];
    assert_eq!((ends.begin, ends.end), (1_100, 1_200), "unread records stay whatever their age");
    let mut again = log.subscribe("new", &[&topic]).await.unwrap();
    let kept = read(&mut again, 100).await;
    assert_eq!(kept[0].position.offset, 1_100, "read and superseded records are gone");
    assert_eq!(log.append(vec![record(&topic, "k", None)]).await.unwrap()[0].offset, 1_200);
}
