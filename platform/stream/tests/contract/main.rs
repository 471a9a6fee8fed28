//! One suite for every event log: what `EventLog` and the stage runtime promise, over SQLite and over a real broker.

/// A test for each log.
macro_rules! over_both_logs {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::support::Log::sqlite().await).await })+
        }
        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::support::Log::kafka().await).await })+
        }
    };
}

mod dead_letters;
mod log;
mod stage;
mod support;
