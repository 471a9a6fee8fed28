//! A process that stands still for longer than its group waits for it, and then goes on as if nothing had happened: it
//! takes nothing back from the one that has done its work meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use twin_kafka::{KafkaLog, KafkaOptions};
use twin_schemas::Topic;
use twin_stack::{Kafka, TwinOptions, TwinProcess};
use twin_stream::{EventLog, group_of};
use twin_tests::{Api, Folder, Stored, Trial, eventually, freeze, quick, quick_broker, times};

const STAGES: [(&str, Topic); 3] =
    [("cleaner", Topic::DocumentsRaw), ("chunker", Topic::DocumentsCleaned), ("embedder", Topic::DocumentsChunked)];
/// `log.partitions` as it is by default.
const PARTITIONS: f64 = 4.0;
/// Events that the other has to work on before the zombie wakes up.
const WORK: f64 = 40.0;

/// A process with the three stages. It shares them, and the data folder, with another.
struct Worker {
    process: TwinProcess,
    api: Api,
}

impl Worker {
    fn start(options: TwinOptions) -> Result<Self> {
        let process =
            TwinProcess::start(TwinOptions { arguments: STAGES.map(|(name, _)| name.to_owned()).into(), ..options })?;
        let api = Api::new(process.base_url())?;
        Ok(Self { process, api })
    }

    /// What a metric is for each stage.
    async fn of_stages(&self, metric: &str) -> Result<[f64; 3]> {
        let metrics = self.api.metrics().await?;
        Ok(STAGES.map(|(stage, _)| metrics.sum(metric, &[&format!("stage=\"{stage}\"")])))
    }

    /// How often a stage of it was told that its partitions are others' by now.
    fn losses(&self) -> usize {
        self.process.log().matches("lost partitions; another consumer has them").count()
    }
}

/// The zombie sleeps while the other does the work of both, wakes up, and finds its place again.
async fn sleep_and_wake(zombie: &Worker, other: &Worker) -> Result<()> {
    let losses = zombie.losses();
    freeze(&zombie.process).await?;
    eventually("the other has taken over", async || {
        Ok((other.of_stages("twin_stage_partitions").await? == [PARTITIONS; 3]).then_some(()))
    })
    .await?;
    let done = other.of_stages("twin_stage_events_total").await?;
    eventually("the other has worked", async || {
        let now = other.of_stages("twin_stage_events_total").await?;
        Ok(now.iter().zip(done).all(|(now, done)| *now >= done + WORK).then_some(()))
    })
    .await?;
    zombie.process.thaw()?;
    eventually("every stage of the zombie knows", async || Ok((zombie.losses() >= losses + 3).then_some(()))).await?;
    eventually("the zombie has its share again", async || {
        Ok((zombie.of_stages("twin_stage_partitions").await? == [PARTITIONS / 2.0; 3]).then_some(()))
    })
    .await
}

/// Looks at what the stages have committed, again and again. It never goes back.
async fn watch_commits(log: KafkaLog) -> Result<()> {
    let mut highest: BTreeMap<(&str, u32), u64> = BTreeMap::new();
    loop {
        for (stage, topic) in STAGES {
            // While a group changes hands there may be no answer.
            let Ok(committed) = log.committed(&group_of(stage), topic.name()).await else { continue };
            for (partition, offset) in committed {
                let before = highest.insert((stage, partition), offset).unwrap_or_default();
                ensure!(offset >= before, "{stage}, partition {partition}: {offset} was committed after {before}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_takes_nothing_back() -> Result<()> {
    let kafka = Kafka::start(quick_broker())?;
    let options = quick(Some(kafka.bootstrap()));
    let services = ["crawler", "gateway", "inference"].map(str::to_owned).into();
    let mut front = TwinProcess::start(TwinOptions { arguments: services, ..options.clone() })?;
    let options = TwinOptions { data: Some(front.data().to_owned()), ..options };
    let mut workers = [Worker::start(options.clone())?, Worker::start(options)?];
    let log =
        KafkaLog::connect(KafkaOptions { brokers: kafka.bootstrap().to_owned(), ..KafkaOptions::default() }).await?;
    let watching = tokio::spawn(watch_commits(log));

    let (api, folder) = (Api::new(front.base_url())?, Folder::new()?);
    let mut trial = Trial::begin(&api, &folder, Duration::from_millis(60)).await?;
    let [first, second] = &workers;
    trial
        .during(async {
            for _ in 0..times("TEST_ZOMBIES", 1)? {
                sleep_and_wake(first, second).await?;
                sleep_and_wake(second, first).await?;
            }
            Ok(())
        })
        .await?;
    let past = trial.end().await?;
    ensure!(!watching.is_finished(), "{:?}", watching.await?);
    watching.abort();

    for worker in &mut workers {
        assert_eq!(worker.process.terminate()?, 0, "{}", worker.process.log());
    }
    assert_eq!(front.terminate()?, 0, "{}", front.log());
    past.ensure_left(&Stored::read(front.data())?).await
}
