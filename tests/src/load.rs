//! Many questions at a time, and what they were told.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::Api;

/// How often new questions are sent.
const TICK: Duration = Duration::from_millis(20);

/// Sends one request over and over.
#[derive(Debug, Clone)]
pub struct Load {
    http: Client,
    api: Api,
    path: &'static str,
    body: Value,
}

/// What one request was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// It names a time to come back.
    pub has_retry_after: bool,
    /// From the request to the end of the answer.
    pub taken: Duration,
}

impl Load {
    /// `POST`s of this body to each twin of the API in turn.
    ///
    /// # Errors
    /// The HTTP client can not be made.
    pub fn new(api: &Api, path: &'static str, body: Value) -> Result<Self> {
        // Connections are kept: a new one for each question would use up the machine's ports within a minute.
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build()?;
        Ok(Self { http, api: api.clone(), path, body })
    }

    /// One request.
    ///
    /// # Errors
    /// No answer came.
    pub async fn once(&self) -> Result<Told> {
        let began = Instant::now();
        let response = self.http.post(self.api.url(self.path)).json(&self.body).send().await?;
        let (status, has_retry_after) = (response.status(), response.headers().contains_key("retry-after"));
        response.bytes().await?;
        Ok(Told { status, has_retry_after, taken: began.elapsed() })
    }

    /// So many clients, each of which asks again when it was answered.
    ///
    /// # Errors
    /// No answer came.
    pub async fn sustained(&self, clients: usize, time: Duration) -> Result<Vec<Told>> {
        let mut asking = JoinSet::new();
        for _ in 0..clients {
            let (load, ends) = (self.clone(), Instant::now() + time);
            asking.spawn(async move {
                let mut told = Vec::new();
                while Instant::now() < ends {
                    told.push(load.once().await?);
                }
                Ok(told)
            });
        }
        let told = asking.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(told.concat())
    }

    /// So many requests a second, whatever becomes of those before.
    ///
    /// # Errors
    /// One got no answer.
    pub async fn offered(&self, per_second: f64, time: Duration) -> Result<Vec<Told>> {
        let mut asking = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let began = Instant::now();
        while began.elapsed() < time {
            ticks.tick().await;
            let due = (began.elapsed().as_secs_f64() * per_second) as usize;
            for _ in asking.len()..due {
                let load = self.clone();
                asking.spawn(async move { load.once().await });
            }
        }
        asking.join_all().await.into_iter().collect()
    }
}

/// The time within which 99 of 100 were told.
///
/// # Errors
/// There are none.
pub fn p99<'a>(told: impl IntoIterator<Item = &'a Told>) -> Result<Duration> {
    let mut taken: Vec<Duration> = told.into_iter().map(|told| told.taken).collect();
    ensure!(!taken.is_empty(), "nobody was told");
    taken.sort_unstable();
    taken.get(taken.len() * 99 / 100).copied().context("the rank is below the number")
}
