//! What the stage runtime, dead letters and the claim check promise, over SQLite and over a real broker. (What a log itself
//! promises: `src/testing/log.rs`, called by each backend's tests.)

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

mod claim_check;
mod dead_letters;
mod stage;
mod support;
