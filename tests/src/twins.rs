//! Full twins that share a log and a data folder: one alone, or every service as often as there are twins.

use std::ops::{Deref, DerefMut};

use anyhow::{Result, ensure};
use twin_stack::{TwinOptions, TwinProcess};

use crate::{Api, Stored, eventually};

const STAGES: [&str; 4] = ["cleaner", "chunker", "embedder", "inference"];
/// `log.partitions` as it is by default.
const PARTITIONS: f64 = 4.0;

/// So many times the same twin. More than one need Kafka.
#[derive(Debug)]
pub struct Twins(Vec<TwinProcess>);

impl Twins {
    /// Starts so many, one after the other.
    ///
    /// # Errors
    /// As [`TwinProcess::start`].
    pub fn start(options: TwinOptions, count: usize) -> Result<Self> {
        let first = TwinProcess::start(options.clone())?;
        let data = Some(first.data().to_owned());
        let mut twins = Vec::new();
        for _ in 1..count {
            twins.push(TwinProcess::start(TwinOptions { data: data.clone(), ..options.clone() })?);
        }
        // The folder goes with the first: when nobody works in it any more.
        twins.push(first);
        Ok(Self(twins))
    }

    /// The API of all of them: each request goes to the next.
    ///
    /// # Errors
    /// As [`Api::in_turn`].
    pub fn api(&self) -> Result<Api> {
        Api::in_turn(self.iter().map(TwinProcess::base_url))
    }

    /// Waits until each of them has its share of every stage.
    ///
    /// # Errors
    /// One has not within the deadline.
    pub async fn share(&self) -> Result<()> {
        let share = PARTITIONS / self.len() as f64;
        for twin in self.iter() {
            let api = Api::new(twin.base_url())?;
            eventually("the twin has its share", async || {
                let metrics = api.metrics().await?;
                let has = |stage| metrics.sum("twin_stage_partitions", &[&format!("stage=\"{stage}\"")]);
                Ok((STAGES.map(has) == [share; 4]).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Ends all of them as a power loss would.
    ///
    /// # Errors
    /// One does not run.
    pub fn kill9(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(TwinProcess::kill9)
    }

    /// Ends all of them in good order.
    ///
    /// # Errors
    /// One does not end with 0.
    pub fn terminate(&mut self) -> Result<()> {
        for twin in self.iter_mut() {
            ensure!(twin.terminate()? == 0, "it does not end in good order:\n{}", twin.log());
        }
        Ok(())
    }

    /// Starts all of them again, at the same time, and waits until they are ready.
    ///
    /// # Errors
    /// One still runs, or is not ready within the deadline.
    pub async fn restart(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(TwinProcess::restart_unattended)?;
        self.api()?.up().await
    }

    /// Ends all of them in good order and reads what is stored.
    ///
    /// # Errors
    /// One does not end with 0, or the data folder can not be read.
    pub fn stopped(&mut self) -> Result<Stored> {
        self.terminate()?;
        Stored::read(self[0].data())
    }
}

impl Deref for Twins {
    type Target = [TwinProcess];

    fn deref(&self) -> &[TwinProcess] {
        &self.0
    }
}

impl DerefMut for Twins {
    fn deref_mut(&mut self) -> &mut [TwinProcess] {
        &mut self.0
    }
}
