//! `twin run`: opens the stores, starts the services that were asked for, and stops them in order.

mod adapters;
pub mod embedding;
mod learning;
mod memory;
mod models;
mod node;
mod respondents;
mod service;
mod services;
mod serving;
mod stages;
pub mod stores;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, info};
use twin_schemas::Service;
use twin_telemetry::Shutdown;

use crate::config::{Config, LogKind};
use crate::folder::{DataFolder, NodeName};
use node::Node;
pub use service::Wanted;
use stores::Stores;

/// How long an address may be in use when the process starts, and between looks.
const ADDRESS_WAIT: Duration = Duration::from_secs(2);
const ADDRESS_PAUSE: Duration = Duration::from_millis(50);

/// Runs the services (all of them if none is named) until a signal, and returns when everything is drained.
/// Child processes read the configuration from `file` too, if one was named.
pub async fn run(config: Config, file: Option<PathBuf>, services: &[Wanted]) -> Result<()> {
    let shutdown = Shutdown::new();
    tokio::pin! { let signal = shutdown.begin_on_signal(); }
    let by_name = !services.is_empty();
    let named = services.iter().map(|wanted| wanted.0).collect();
    let services: Vec<Service> = if by_name { named } else { Service::ALL.to_vec() };
    let log_kind = config.log_kind().map_err(|problem| anyhow!("log.url: {problem}"))?;
    let listener = listen(config.listen).await?;
    let address = listener.local_addr()?;
    let folder = DataFolder::open(&config.data, log_kind != LogKind::Sqlite)?;
    let name = NodeName::take(&folder)?;
    let mut tasks = JoinSet::new();
    let start = async {
        folder.note_log(log_kind.name())?;
        let stores = Stores::open(&config, log_kind, &folder).await?;
        tasks.spawn(stores.clone().keep(shutdown.signal()));
        let node = Node::open(config, file, &folder, &name, stores).await?;
        services::start(node, &services, by_name, listener, &mut tasks, &shutdown.signal()).await
    };
    let running = tokio::select! {
        // Signals first: one that comes while a model is loaded stops the process in good order too.
        biased;
        received = &mut signal => received.context("signals can not be received").map(|()| false)?,
        started = start => started.map(|()| true)?,
    };
    if running {
        let names = services.iter().map(|service| service.name()).collect::<Vec<_>>().join(",");
        info!(%address, services = names, "twin is running");
    }
    let result = supervise(&mut tasks, &shutdown, signal, running).await;
    info!("stopped");
    result
}

/// Listens on an address. One that is in use is waited for: of a process that was killed a moment ago, a child that it had
/// just started holds it until that has become its own program.
async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let give_up_at = Instant::now() + ADDRESS_WAIT;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < give_up_at => {
                tokio::time::sleep(ADDRESS_PAUSE).await;
            }
            bound => {
                let refused = || format!("{address} can not be listened on: choose another with --listen");
                return bound.with_context(refused);
            }
        }
    }
}

/// Waits for a signal, unless it has come, or for a service that fails, then for all to end.
async fn supervise(
    tasks: &mut JoinSet<Result<()>>,
    shutdown: &Shutdown,
    mut signal: Pin<&mut impl Future<Output = std::io::Result<()>>>,
    mut waiting_for_signal: bool,
) -> Result<()> {
    let mut first_error = None;
    loop {
        tokio::select! {
            received = &mut signal, if waiting_for_signal => {
                waiting_for_signal = false;
                received.context("signals can not be received")?;
                info!("stopping: draining what is under way; a second signal ends at once");
            }
            ended = tasks.join_next() => match ended {
                None => return first_error.map_or(Ok(()), Err),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(problem))) => {
                    error!("{problem:#}");
                    first_error.get_or_insert(problem);
                    shutdown.begin();
                }
                Some(Err(panic)) => {
                    error!(%panic, "a service panicked");
                    first_error.get_or_insert(anyhow!("a service panicked: {panic}"));
                    shutdown.begin();
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_in_use_for_a_moment_is_waited_for_and_no_longer() {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        let refused = listen(address).await.unwrap_err();
        assert!(format!("{refused:#}").contains("choose another with --listen"), "{refused:#}");
        let (listening, ()) = tokio::join!(listen(address), async {
            tokio::time::sleep(ADDRESS_PAUSE * 3).await;
            drop(held);
        });
        assert_eq!(listening.unwrap().local_addr().unwrap(), address);
    }
}
