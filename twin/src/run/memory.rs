//! Memory of language models, given back to the system.
//!
//! mimalloc returns freed memory by itself, but only a second later and only when some thread allocates or frees enough:
//! what loading a model needs for a moment (hundreds of megabytes), and a model that was replaced, would count as this
//! process's until then, in a twin that is asked nothing for long.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use twin_llm::{ChatModel, ChatRequest, ChatStream, Engine, Error};

/// From a model being let go of until its engine's thread has freed it.
const UNLOADED: Duration = Duration::from_secs(2);

/// An engine that leaves no freed memory behind, when a model was loaded and when it is gone.
pub(super) struct Trimming<E>(pub E);

#[async_trait]
impl<E: Engine> Engine for Trimming<E> {
    async fn open(&self, path: &Path, name: &str) -> Result<Arc<dyn ChatModel>, Error> {
        let model = self.0.open(path, name).await?;
        trim_after(Duration::ZERO).await;
        Ok(Arc::new(Model(model)))
    }
}

struct Model(Arc<dyn ChatModel>);

#[async_trait]
impl ChatModel for Model {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error> {
        self.0.chat(request).await
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(trim_after(UNLOADED));
        }
    }
}

async fn trim_after(pause: Duration) {
    tokio::time::sleep(pause).await;
    // It takes some milliseconds. A panic there is none.
    let _ = tokio::task::spawn_blocking(trim).await;
}

/// Gives all memory that was freed back to the system.
#[allow(unsafe_code)]
fn trim() {
    unsafe extern "C" {
        /// Of `mimalloc.h`. The crate declares it only with a feature; the library has it in any case.
        fn mi_collect(force: bool);
    }
    // SAFETY: declared as in mimalloc's header. It may be called from any thread at any time.
    unsafe { mi_collect(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of this process's own memory.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn what_another_thread_has_freed_is_given_back_at_once() {
        const BYTES: usize = 256 << 20;
        let before = resident();
        let loaded = std::thread::spawn(|| vec![1_u8; BYTES]).join().unwrap();
        assert!(resident() > before + (BYTES as u64 >> 10) / 2);
        std::thread::spawn(move || drop(loaded)).join().unwrap();
        trim();
        assert!(resident() < before + (BYTES as u64 >> 10) / 2, "{} kB, before it was {before}", resident());
    }
}
