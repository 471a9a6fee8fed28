//! The ONNX Runtime library: loaded from its path, once a process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::Error;

/// The one runtime of this process. It is never dropped: sessions may outlive whoever loaded it.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// ONNX Runtime, ready to make sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    path: PathBuf,
    environment: Environment,
}

impl OnnxRuntime {
    /// Loads the library at `path`. Loading it again gives the same runtime; loading another one is an error,
    /// because a process can hold only one.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let path = path.canonicalize().map_err(|cause| Error::File { path: path.to_owned(), cause })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.path == path {
                return Ok(runtime.clone());
            }
            return Err(Error::SecondRuntime { loaded: runtime.path.clone(), asked: path });
        }
        let refused = |problem: String| Error::Runtime { path: path.clone(), problem };
        let builder = ort::init_from(&path).map_err(|error| refused(error.to_string()))?;
        let environment =
            builder.with_name("twin").with_telemetry(false).build().map_err(|error| refused(error.to_string()))?;
        tracing::info!(path = %path.display(), build = ort::info(), "ONNX Runtime loaded");
        let runtime = Self { path, environment };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Where it was loaded from, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named_with_the_command_that_fetches_it() {
        let error = OnnxRuntime::load(Path::new("/nowhere/libonnxruntime.so")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/libonnxruntime.so") && error.contains("make models"), "{error}");
    }
}
