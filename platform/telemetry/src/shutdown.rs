use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Given to every component: ends when the process should stop.
#[derive(Clone, Debug)]
pub struct ShutdownSignal(CancellationToken);

/// The other end.
#[derive(Debug)]
pub struct Shutdown(CancellationToken);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self(CancellationToken::new())
    }

    /// What components wait on.
    pub fn signal(&self) -> ShutdownSignal {
        ShutdownSignal(self.0.clone())
    }

    /// Begins it.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Waits for SIGTERM or SIGINT and begins it. From then on a second one ends the process at once, with the exit
    /// code that a shell gives to one killed by that signal.
    pub async fn begin_on_signal(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.0.cancelled() => {}
        }
        self.begin();
        tokio::spawn(async move {
            let code = tokio::select! {
                _ = terminate.recv() => 128 + 15,
                _ = interrupt.recv() => 128 + 2,
            };
            std::process::exit(code);
        });
        Ok(())
    }
}

impl ShutdownSignal {
    /// Ends when the shutdown begins.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }
}
