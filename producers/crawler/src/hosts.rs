//! How often a host is asked, by all sources of this process together: so many requests at a time, a pause between them,
//! and none while the host asks to be left alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::info;
use url::Url;

use crate::Error;
use crate::network::without_secrets;
use crate::options::PerHostOptions;

/// Hosts beyond this number are forgotten where nobody asks them.
const REMEMBERED: usize = 1024;
/// No host is left alone for longer, whatever it asks for.
const LONGEST_SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a sync has waited for its turns at hosts. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<AtomicU64>);

impl Waits {
    /// Milliseconds in all.
    pub fn total_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, waited: Duration) {
        self.0.fetch_add(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// All hosts. Clones share them.
#[derive(Clone)]
pub(crate) struct Hosts {
    spacing: Duration,
    longest_wait: Duration,
    max_in_flight: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Host>>>>,
}

struct Host {
    slots: Arc<Semaphore>,
    pace: Mutex<Pace>,
}

struct Pace {
    /// When the next request may leave.
    next_at: Instant,
    /// Until when the host asked to be left alone, and with which status.
    silent: Option<(Instant, u16)>,
}

/// What a host may be asked at a moment.
enum Step {
    Go,
    Wait { until: Instant, asked: bool },
}

/// Leave to have one request under way at a host, until it is dropped.
pub(crate) struct Turn(#[allow(dead_code, reason = "dropping it gives the place to another")] OwnedSemaphorePermit);

impl Hosts {
    pub fn new(options: &PerHostOptions) -> Self {
        Self {
            spacing: Duration::from_millis(options.spacing_ms),
            longest_wait: Duration::from_millis(options.longest_wait_ms),
            max_in_flight: options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS),
            hosts: Arc::default(),
        }
    }

    /// Waits until the host of `url` may be asked. [`Error::RetryAfter`] where it asked to be left alone for longer than a
    /// sync waits.
    pub async fn turn(&self, url: &Url, waits: &Waits) -> Result<Turn, Error> {
        let host = self.host(url);
        let began = Instant::now();
        let slot = host.slots.clone().acquire_owned().await;
        // Nobody closes the semaphore; were it so, nothing could be asked any more.
        let slot = slot.map_err(|_| Error::Stopped)?;
        loop {
            let step = host.step(self.spacing);
            let Step::Wait { until, asked } = step else { break };
            if asked {
                self.say(&host, url, until)?;
            }
            tokio::time::sleep_until(until).await;
        }
        waits.add(began.elapsed());
        Ok(Turn(slot))
    }

    /// Whether a sync waits for so long, or ends and comes again later.
    pub fn waits_for(&self, silence: Duration) -> bool {
        silence <= self.longest_wait
    }

    /// The host of `url` asked to be left alone: no source asks it until then.
    pub fn silence(&self, url: &Url, status: u16, silence: Duration) {
        let until = Instant::now() + silence.min(LONGEST_SILENCE);
        let host = self.host(url);
        let mut pace = host.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.silent.is_none_or(|(other, _)| other < until) {
            pace.silent = Some((until, status));
        }
    }

    /// Says that sources wait, or that it is too long for that.
    fn say(&self, host: &Host, url: &Url, until: Instant) -> Result<(), Error> {
        let left = until.saturating_duration_since(Instant::now());
        if !self.waits_for(left) {
            let silent = host.pace.lock().unwrap_or_else(PoisonError::into_inner).silent;
            let after_s = left.as_secs_f64().ceil() as u64;
            let status = silent.map_or(429, |(_, status)| status);
            return Err(Error::RetryAfter { url: without_secrets(url), status, after_s });
        }
        info!(host = url.host_str(), wait_ms = left.as_millis(), "a host asked to be left alone, its sources wait");
        Ok(())
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        // The scheme's own port is none: a host is one, whether it is asked over http or https.
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}{port}", url.host_str().unwrap_or_default());
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= REMEMBERED {
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.is_silent());
        }
        hosts.entry(name).or_insert_with(|| Arc::new(Host::new(self.max_in_flight))).clone()
    }
}

impl Host {
    fn new(max_in_flight: usize) -> Self {
        let pace = Pace { next_at: Instant::now(), silent: None };
        Self { slots: Arc::new(Semaphore::new(max_in_flight)), pace: Mutex::new(pace) }
    }

    fn is_silent(&self) -> bool {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.silent.is_some_and(|(until, _)| until > Instant::now())
    }

    fn step(&self, spacing: Duration) -> Step {
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        match pace.silent {
            Some((until, _)) if until > now => Step::Wait { until, asked: true },
            _ if pace.next_at > now => Step::Wait { until: pace.next_at, asked: false },
            _ => {
                pace.silent = None;
                pace.next_at = now + spacing;
                Step::Go
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(max_in_flight: usize, spacing_ms: u64, longest_wait_ms: u64) -> Hosts {
        Hosts::new(&PerHostOptions { max_in_flight, spacing_ms, longest_wait_ms })
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_host_has_so_many_requests_at_a_time_and_others_are_not_kept() {
        let hosts = hosts(2, 0, 1000);
        let waits = Waits::default();
        let (a, b) = (url("https://ada.example/a"), url("http://ada.example/b"));
        let one = hosts.turn(&a, &waits).await.unwrap();
        let _two = hosts.turn(&b, &waits).await.unwrap();
        let mut third = Box::pin(hosts.turn(&a, &waits));
        assert!(futures::poll!(&mut third).is_pending(), "http and https are one host");
        let _elsewhere = hosts.turn(&url("https://bob.example/"), &waits).await.unwrap();
        let _other_port = hosts.turn(&url("https://ada.example:8443/"), &waits).await.unwrap();
        drop(one);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn requests_to_a_host_are_spaced_and_the_wait_is_counted() {
        let hosts = hosts(4, 40, 1000);
        let waits = Waits::default();
        let began = Instant::now();
        for _ in 0..4 {
            drop(hosts.turn(&url("https://ada.example/"), &waits).await.unwrap());
        }
        assert!(began.elapsed() >= Duration::from_millis(120), "{:?}", began.elapsed());
        assert!((100..60_000).contains(&waits.total_ms()), "{waits:?}");
    }

    #[tokio::test]
    async fn a_host_that_asks_for_silence_has_it_from_all_and_a_long_one_ends_the_sync() {
        let hosts = hosts(2, 0, 10_000);
        let waits = Waits::default();
        let began = Instant::now();
        hosts.silence(&url("https://ada.example/a"), 429, Duration::from_millis(80));
        hosts.silence(&url("https://ada.example/a"), 429, Duration::from_millis(1));
        hosts.turn(&url("https://ada.example/b"), &waits).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(80), "a shorter wish does not end a longer one");

        hosts.silence(&url("https://ada.example/"), 503, Duration::from_secs(3600));
        let error = hosts.turn(&url("https://ada.example/c"), &waits).await.err().unwrap();
        assert!(matches!(error, Error::RetryAfter { status: 503, after_s: 3600, .. }), "{error}");
        hosts.turn(&url("https://bob.example/"), &waits).await.unwrap();
    }
}
