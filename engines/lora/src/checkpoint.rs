//! The state of a run on disk, from which it goes on as if it had never stopped.
//!
//! A checkpoint is a folder `step-00000020` that gets its name when it is complete. The order of samples, the dropout
//! and the learning rate follow from the recipe and the step, so that no state of a random generator needs to be kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::curve::Curve;
use super::error::Error;
use super::files::{self, FileEntry};
use super::lora::Adapter;
use super::optimizer::AdamW;

const STATE: &str = "state.safetensors";
const PROGRESS: &str = "progress.json";
const MANIFEST: &str = "manifest.json";
/// Checkpoints that are kept: the newest, and one should that be damaged.
const KEPT: usize = 2;

/// All that a run has come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub progress: Progress,
    pub adapter: Adapter,
    pub optimizer: AdamW,
    /// The adapter of the lowest evaluation loss, where the recipe has patience.
    pub best: Option<Adapter>,
}

/// The part of the state that is not tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// A hash of model, data and recipe.
    pub task: String,
    /// Steps done.
    pub step: usize,
    /// The optimizer's updates.
    pub updates: u32,
    /// Evaluations since the lowest loss.
    pub without_progress: usize,
    /// Losses.
    pub curve: Curve,
    /// Training ended before all steps were done.
    pub ended_early: bool,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    files: Vec<FileEntry>,
}

/// The checkpoints of a run.
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub fn new(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::at(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes a checkpoint, deletes those that are too old, and says where it is. One that can not be written leaves
    /// nothing behind.
    pub fn write(&self, state: &State) -> Result<PathBuf, Error> {
        let partial = self.folder.join("partial");
        let folder = self.write_in(&partial, state).inspect_err(|_| files::discard(&partial))?;
        for old in self.newest_first()?.iter().skip(KEPT) {
            std::fs::remove_dir_all(old).map_err(Error::at(old))?;
        }
        Ok(folder)
    }

    fn write_in(&self, partial: &Path, state: &State) -> Result<PathBuf, Error> {
        files::fresh(partial)?;
        let progress = serde_json::to_vec(&state.progress).map_err(|error| Error::malformed(partial, error))?;
        let entries = vec![
            files::write(partial, STATE, &tensors(state).map_err(|error| Error::malformed(partial, error))?)?,
            files::write(partial, PROGRESS, &progress)?,
        ];
        let manifest = serde_json::to_vec_pretty(&Manifest { files: entries });
        files::write(partial, MANIFEST, &manifest.map_err(|error| Error::malformed(partial, error))?)?;
        let folder = self.folder.join(format!("step-{:08}", state.progress.step));
        files::publish(partial, &folder)?;
        Ok(folder)
    }

    /// The newest checkpoint that is whole. `blank` is the state before training, which gives the names and shapes.
    pub fn newest(&self, blank: &State) -> Result<Option<State>, Error> {
        for folder in self.newest_first()? {
            match read(&folder, blank) {
                Ok(state) => return Ok(Some(state)),
                Err(error @ Error::OtherTask(_)) => return Err(error),
                Err(error) => warn!(folder = %folder.display(), %error, "a damaged checkpoint is passed over"),
            }
        }
        Ok(None)
    }

    fn newest_first(&self) -> Result<Vec<PathBuf>, Error> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(Error::at(&self.folder))? {
            let entry = entry.map_err(Error::at(&self.folder))?;
            if entry.file_name().to_string_lossy().starts_with("step-") {
                folders.push(entry.path());
            }
        }
        folders.sort();
        folders.reverse();
        Ok(folders)
    }
}

fn read(folder: &Path, blank: &State) -> Result<State, Error> {
    let json = |name: &str| std::fs::read(folder.join(name)).map_err(Error::at(folder));
    let manifest: Manifest =
        serde_json::from_slice(&json(MANIFEST)?).map_err(|error| Error::malformed(folder, error))?;
    for file in &manifest.files {
        if files::sha256(&folder.join(&file.path))? != file.sha256 {
            return Err(Error::malformed(folder, format!("{} has another hash than when it was written", file.path)));
        }
    }
    let progress: Progress =
        serde_json::from_slice(&json(PROGRESS)?).map_err(|error| Error::malformed(folder, error))?;
    if progress.task != blank.progress.task {
        return Err(Error::OtherTask(folder.to_owned()));
    }
    let bytes = json(STATE)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| Error::malformed(folder, error))?;
    let mut state = blank.clone();
    for (index, parameter) in state.adapter.parameters.iter_mut().enumerate() {
        let name = &parameter.name;
        fill(&tensors, &format!("adapter.{name}"), &mut parameter.values, folder)?;
        fill(&tensors, &format!("first.{name}"), &mut state.optimizer.first[index], folder)?;
        fill(&tensors, &format!("second.{name}"), &mut state.optimizer.second[index], folder)?;
    }
    if tensors.names().iter().any(|name| name.starts_with("best.")) {
        let mut best = blank.adapter.clone();
        for parameter in &mut best.parameters {
            fill(&tensors, &format!("best.{}", parameter.name), &mut parameter.values, folder)?;
        }
        state.best = Some(best);
    }
    state.optimizer.updates = progress.updates;
    state.progress = progress;
    Ok(state)
}

fn fill(tensors: &SafeTensors<'_>, name: &str, values: &mut [f32], folder: &Path) -> Result<(), Error> {
    let tensor = tensors.tensor(name).map_err(|error| Error::malformed(folder, format!("{name}: {error}")))?;
    let (numbers, rest) = tensor.data().as_chunks::<4>();
    if tensor.dtype() != Dtype::F32 || !rest.is_empty() || numbers.len() != values.len() {
        return Err(Error::malformed(folder, format!("{name} is of another shape")));
    }
    for (value, number) in values.iter_mut().zip(numbers) {
        *value = f32::from_le_bytes(*number);
    }
    Ok(())
}

fn tensors(state: &State) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let mut matrices: Vec<(String, (usize, usize), &[f32])> = Vec::new();
    for (index, parameter) in state.adapter.parameters.iter().enumerate() {
        let name = &parameter.name;
        matrices.push((format!("adapter.{name}"), parameter.shape, &parameter.values));
        matrices.push((format!("first.{name}"), parameter.shape, &state.optimizer.first[index]));
        matrices.push((format!("second.{name}"), parameter.shape, &state.optimizer.second[index]));
    }
    for parameter in state.best.iter().flat_map(|best| &best.parameters) {
        matrices.push((format!("best.{}", parameter.name), parameter.shape, &parameter.values));
    }
    serialized(matrices)
}

/// Matrices as the bytes of a safetensors file; the same matrices are the same bytes.
pub(crate) fn serialized(
    matrices: Vec<(String, (usize, usize), &[f32])>,
) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let bytes: BTreeMap<String, ((usize, usize), Vec<u8>)> = matrices
        .into_iter()
        .map(|(name, shape, values)| (name, (shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())))
        .collect();
    let mut views = Vec::new();
    for (name, ((rows, columns), bytes)) in &bytes {
        views.push((name.as_str(), TensorView::new(Dtype::F32, vec![*rows, *columns], bytes)?));
    }
    safetensors::serialize(views, None)
}
