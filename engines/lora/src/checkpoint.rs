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
use twin_training::Task;

use super::curve::Curve;
use super::error::Error;
use super::files::{self, FileEntry};
use super::lora::Adapter;
use super::optimizer::Moments;

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
    /// The optimizer's.
    pub moments: Moments,
    /// The adapter of the stage's lowest evaluation loss, where the recipe has patience.
    pub best: Option<Adapter>,
    /// What the stage before has come to, from which this one began.
    pub reference: Option<Adapter>,
}

/// The part of the state that is not tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// A hash of model, data and recipe.
    pub task: String,
    /// The version of the order of the steps. Versions before there was a second one did not say it: 0.
    #[serde(default)]
    pub order: u32,
    /// Steps done, of all stages.
    pub step: usize,
    /// The stage under way, from 0. A run of an earlier version had one.
    #[serde(default)]
    pub stage: usize,
    /// Steps that were done when it began.
    #[serde(default)]
    pub stage_began: usize,
    /// The optimizer's updates in it.
    pub updates: u32,
    /// Evaluations since the lowest loss.
    pub without_progress: usize,
    /// Losses.
    pub curve: Curve,
    /// The stage ended before all its steps were done.
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
    /// Those in a task's folder.
    pub fn of(task: &Task) -> Result<Self, Error> {
        let folder = task.folder.join("checkpoints");
        std::fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        Ok(Self { folder })
    }

    /// Removes all of them.
    pub fn remove(self) -> Result<(), Error> {
        std::fs::remove_dir_all(&self.folder).map_err(Error::at(&self.folder))
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

    /// The newest checkpoint that is whole. `blank` is the state before training, which gives the names and shapes. One of
    /// another order of the steps is removed: whoever went on from it would see some samples twice and others never, and as one
    /// of a later step it would be kept in place of those that are written now.
    pub fn newest(&self, blank: &State) -> Result<Option<State>, Error> {
        for folder in self.newest_first()? {
            match read(&folder, blank) {
                Ok(state) if state.progress.order == blank.progress.order => return Ok(Some(state)),
                Ok(_) => {
                    warn!(folder = %folder.display(), "a checkpoint of another version's order of steps is removed");
                    std::fs::remove_dir_all(&folder).map_err(Error::at(&folder))?;
                }
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
        fill(&tensors, &format!("first.{name}"), &mut state.moments.first[index], folder)?;
        fill(&tensors, &format!("second.{name}"), &mut state.moments.second[index], folder)?;
    }
    state.best = other(&tensors, "best", &blank.adapter, folder)?;
    state.reference = other(&tensors, "reference", &blank.adapter, folder)?;
    state.progress = progress;
    Ok(state)
}

/// An adapter beside the one that is trained, if there is one of that kind.
fn other(tensors: &SafeTensors<'_>, kind: &str, blank: &Adapter, folder: &Path) -> Result<Option<Adapter>, Error> {
    if !tensors.names().iter().any(|name| name.starts_with(&format!("{kind}."))) {
        return Ok(None);
    }
    let mut adapter = blank.clone();
    for parameter in &mut adapter.parameters {
        fill(tensors, &format!("{kind}.{}", parameter.name), &mut parameter.values, folder)?;
    }
    Ok(Some(adapter))
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
        matrices.push((format!("first.{name}"), parameter.shape, &state.moments.first[index]));
        matrices.push((format!("second.{name}"), parameter.shape, &state.moments.second[index]));
    }
    for (kind, other) in [("best", &state.best), ("reference", &state.reference)] {
        for parameter in other.iter().flat_map(|adapter| &adapter.parameters) {
            matrices.push((format!("{kind}.{}", parameter.name), parameter.shape, &parameter.values));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_an_earlier_version_is_that_of_the_only_stage() {
        let earlier = r#"{"task": "t", "step": 12, "updates": 12, "without_progress": 1, "ended_early": false,
            "curve": {"steps": [{"step": 1, "loss": 2.0, "learning_rate": 0.1, "gradient_norm": 1.0, "tokens": 9}],
                      "evaluations": [{"step": 0, "loss": 2.5}]}}"#;
        let progress: Progress = serde_json::from_str(earlier).unwrap();
        assert_eq!((progress.step, progress.stage, progress.stage_began), (12, 0, 0));
        assert_eq!((progress.curve.steps[0].stage, progress.curve.evaluations[0].stage), (0, 0));
        let again = serde_json::to_string(&progress.curve).unwrap();
        assert!(!again.contains("stage"), "what the curve of one stage says is what it said: {again}");
    }
}
