//! Large values, over each log.

use futures::TryStreamExt;
use twin_artifacts::Artifacts;
use twin_stream::testing::log::{read, record};
use twin_stream::{ClaimCheck, EventLog, Record, TopicPartition, partition_for};

use crate::support::Log;

over_both_logs!(a_large_value_travels_by_reference, a_partition_is_read_to_its_end_with_references_as_they_are);

async fn a_large_value_travels_by_reference(log: Log) {
    let topic = log.topic("large", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let checked = ClaimCheck::new(log.shared(), Artifacts::in_folder(folder.path()).unwrap());
    let large = "long ".repeat(log.max_value_bytes() / 2);
    checked.append(vec![record(&topic, "k", Some(&large)), record(&topic, "k", Some("short"))]).await.unwrap();
    let mut plain = log.subscribe("plain", &[&topic]).await.unwrap();
    let stored = read(&mut plain, 2).await;
    assert!(stored[0].value.as_ref().unwrap().len() < 200, "the log holds a reference");
    plain.close().await;
    let mut consumer = checked.subscribe("large", &[&topic]).await.unwrap();
    let records = read(&mut consumer, 2).await;
    assert_eq!(records[0].value.as_deref(), Some(large.as_bytes()));
    assert_eq!(records[0].headers, record(&topic, "k", None).headers);
    consumer.close().await;
}

async fn a_partition_is_read_to_its_end_with_references_as_they_are(log: Log) {
    let topic = log.topic("whole", 2).await;
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::in_folder(folder.path()).unwrap();
    let checked = ClaimCheck::new(log.shared(), artifacts.clone());
    let partition = |partition| TopicPartition { topic: topic.as_str().into(), partition };
    let whole = async |partition| checked.records(&partition, 0..u64::MAX).try_collect::<Vec<Record>>().await.unwrap();
    assert_eq!((whole(partition(0)).await, whole(partition(1)).await), (Vec::new(), Vec::new()));

    let large = "long ".repeat(log.max_value_bytes() / 2);
    let short = (0..1_200).map(|number| record(&topic, "k", Some(&number.to_string())));
    checked
        .append(short.chain([record(&topic, "k", Some(&large)), record(&topic, "k", None)]).collect())
        .await
        .unwrap();
    let holder = partition_for(b"k", 2);
    let records = whole(partition(holder)).await;
    let offsets: Vec<u64> = records.iter().map(|record| record.position.offset).collect();
    assert_eq!(offsets, (0..1_202).collect::<Vec<_>>());
    assert_eq!((records[1_199].value.as_deref(), records[1_201].value.as_deref()), (Some(&b"1199"[..]), None));
    let reference = records[1_200].headers.iter().find(|(name, _)| name == twin_schemas::attribute::DATA_REF).unwrap();
    assert_eq!(artifacts.get(std::str::from_utf8(&reference.1).unwrap()).await.unwrap(), large.as_bytes());
    assert_eq!(checked.with_value(records[1_200].clone()).await.unwrap().value.as_deref(), Some(large.as_bytes()));
    assert!(whole(partition(1 - holder)).await.is_empty());
}
