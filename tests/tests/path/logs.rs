//! A twin on each event log, started once for all tests.

use std::sync::Arc;

use anyhow::{Context, Result};
use twin_stack::{Kafka, TwinProcess};
use twin_tests::{Api, Shared, Split, start};

/// One process does everything.
pub fn sqlite() -> Result<Api> {
    static TWIN: Shared<TwinProcess> = Shared::new();
    Api::new(TWIN.get(|| start(&[]))?.base_url())
}

/// One process asks and answers, another collects and indexes, on one data folder.
pub fn kafka() -> Result<Api> {
    static TWIN: Shared<Split> = Shared::new();
    let twin: Arc<Split> = TWIN.get(|| Split::start(Kafka::shared()?).context("two processes over Kafka"))?;
    Api::new(twin.front.base_url())
}
