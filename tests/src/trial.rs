//! A trial: an author writes and a reader asks while something goes wrong. What is stored at the end is compared with
//! what an undisturbed run leaves.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use serde_json::json;
use twin_stack::{KafkaOptions, TwinOptions};

use crate::{Api, Author, Folder, History, Reader, Stored, Twins};

const AUTHOR: &str = "ada";
/// Changes between two looks at the whole.
const SETTLE_EVERY: usize = 40;

/// An author and a reader at work.
#[derive(Debug)]
pub struct Trial<'a> {
    history: History,
    author: Author<'a>,
    reader: Reader,
    pause: Duration,
    seed: u64,
}

impl<'a> Trial<'a> {
    /// Begins with what is to be found from now on. The author pauses after each change, so that there are not more of
    /// them than can be indexed. They are made up from `TEST_SEED`, if that is set, so that a run can be repeated.
    ///
    /// # Errors
    /// Not within the deadline.
    pub async fn begin(api: &'a Api, folder: &'a Folder, pause: Duration) -> Result<Self> {
        let seed = match std::env::var("TEST_SEED") {
            Ok(number) => number.parse().context("TEST_SEED is a number")?,
            Err(_) => rand::rng().random(),
        };
        let author = Author::new(api, AUTHOR, folder).await?;
        let trial = Self { history: History::new(seed), author, reader: Reader::start(api, AUTHOR), pause, seed };
        for change in trial.history.changes() {
            trial.author.apply(change).await?;
        }
        trial.settle().await?;
        Ok(trial)
    }

    /// Writes as long as `fault` takes, and looks at the whole every now and then.
    ///
    /// # Errors
    /// The fault failed, or something was not acknowledged or not searchable within the deadline.
    pub async fn during<T>(&mut self, fault: impl Future<Output = Result<T>>) -> Result<T> {
        let under_way = Cell::new(true);
        let fault = async {
            let result = fault.await;
            under_way.set(false);
            result
        };
        let seed = self.seed;
        let both = async { tokio::try_join!(fault, self.write_while(&under_way)) };
        let (result, ()) = both.await.with_context(|| again(seed))?;
        Ok(result)
    }

    async fn write_while(&mut self, under_way: &Cell<bool>) -> Result<()> {
        while under_way.get() {
            for _ in 0..SETTLE_EVERY {
                let change = self.history.next_change();
                self.author.apply(&change).await?;
                tokio::time::sleep(self.pause).await;
            }
            self.settle().await?;
        }
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        self.author.settled().await?;
        self.reader.settled(&self.history);
        Ok(())
    }

    /// The number from which the changes are made up.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Ends it, with everything searchable.
    ///
    /// # Errors
    /// The reader was told anything wrong or got next to no answers, or something was dead-lettered.
    pub async fn end(self) -> Result<Past<'a>> {
        let seed = self.seed;
        let ended = async {
            self.settle().await?;
            let answers = self.reader.stop().await?;
            ensure!(answers > 20, "the reader got only {answers} answers");
            let letters = self.author.api.get("/v1/dlq").await?["dead_letters"].clone();
            ensure!(letters == json!([]), "dead-lettered: {letters}");
            Ok(Past { history: self.history, folder: self.author.folder, seed })
        };
        ended.await.with_context(|| again(seed))
    }
}

/// What happened in a trial.
#[derive(Debug)]
pub struct Past<'a> {
    history: History,
    folder: &'a Folder,
    seed: u64,
}

impl Past<'_> {
    /// Does the same again with a twin to which nothing happens, over the embedded log, and compares.
    ///
    /// # Errors
    /// Anything is stored otherwise.
    pub async fn ensure_left(&self, stored: &Stored) -> Result<()> {
        let compared = async {
            self.folder.clear()?;
            let mut twin = Twins::start(quick(None), 1)?;
            let api = twin.api()?;
            // The same folder: a document's identity includes where it is.
            let author = Author::new(&api, AUTHOR, self.folder).await?;
            for change in self.history.changes() {
                author.apply(change).await?;
            }
            author.settled().await?;
            let undisturbed = twin.stopped()?;
            ensure!(undisturbed.chunks() > 20, "too little was written: {} chunks", undisturbed.chunks());
            stored.ensure_same(&undisturbed)
        };
        compared.await.with_context(|| again(self.seed))
    }
}

fn again(seed: u64) -> String {
    format!("to do the same again, set TEST_SEED={seed}")
}

/// How often something is tried: what the variable says, which `make test-long` sets, or else `default`.
///
/// # Errors
/// The variable is no number.
pub fn times(variable: &str, default: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(number) => number.parse().with_context(|| format!("{variable} is a number")),
        Err(_) => Ok(default),
    }
}

/// A twin without a language model, which is not asked anything here, and so starts within a second. Over Kafka its
/// group notices its absence after a second.
pub fn quick(kafka: Option<&str>) -> TwinOptions {
    let mut environment = vec![("TWIN_LLM_ENDPOINT", "http://127.0.0.1:9/v1".to_owned())];
    environment.push(("TWIN_CRAWLER_POLL_MS", "50".to_owned()));
    if let Some(brokers) = kafka {
        environment.push(("TWIN_LOG_URL", format!("kafka://{brokers}")));
        environment.push(("TWIN_LOG_KAFKA_SESSION_TIMEOUT_MS", "1000".to_owned()));
    }
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    TwinOptions { environment, ..TwinOptions::default() }
}

/// A broker that lets consumers be missed that soon.
pub fn quick_broker() -> KafkaOptions {
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "500".to_owned())];
    KafkaOptions { properties, ..KafkaOptions::default() }
}
