//! One copy of the model: token ids in, unit vectors out.

use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, TensorRef};

use crate::options::Device;
use crate::{Error, OnnxRuntime};

const INPUT_IDS: &str = "input_ids";
const ATTENTION_MASK: &str = "attention_mask";
const TOKEN_TYPE_IDS: &str = "token_type_ids";

/// An embedding model in a session of its own, for one thread: on CPU it uses that one core.
pub(crate) struct EmbeddingSession {
    session: Session,
    takes_token_types: bool,
    path: PathBuf,
}

impl EmbeddingSession {
    /// Loads the model and checks that it takes what this crate gives.
    pub(crate) fn load(runtime: &OnnxRuntime, path: &Path, device: Device) -> Result<Self, Error> {
        std::fs::metadata(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
        let refused =
            |error: &dyn std::fmt::Display| Error::Model { path: path.to_owned(), problem: error.to_string() };
        let builder = Session::builder(runtime.environment()).map_err(|error| refused(&error))?;
        let builder = single_threaded(builder).map_err(|error| refused(&error))?;
        let mut builder = on_device(builder, device).map_err(|error| refused(&error))?;
        let session = builder.commit_from_file(path).map_err(|error| refused(&error))?;
        let takes_token_types = check_inputs(&session).map_err(|problem| refused(&problem))?;
        Ok(Self { session, takes_token_types, path: path.to_owned() })
    }

    /// Embeds the rows as one batch. Mean over each row's own tokens, then length 1 (as sentence-transformers
    /// does for this family). Not finite: none in place of the vector.
    pub(crate) fn run(&mut self, rows: &[&[u32]]) -> Result<Vec<Option<Vec<f32>>>, Error> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let shape = [rows.len(), width];
        let mut ids = vec![0_i64; rows.len() * width];
        let mut mask = vec![0_i64; rows.len() * width];
        for (index, row) in rows.iter().enumerate() {
            let range = index * width..index * width + row.len();
            mask[range.clone()].fill(1);
            for (target, &id) in ids[range].iter_mut().zip(*row) {
                *target = i64::from(id);
            }
        }
        let token_types = vec![0_i64; rows.len() * width];
        let mut inputs = ort::inputs![
            INPUT_IDS => TensorRef::from_array_view((shape, &ids[..]))?,
            ATTENTION_MASK => TensorRef::from_array_view((shape, &mask[..]))?,
        ];
        if self.takes_token_types {
            inputs.extend(ort::inputs![TOKEN_TYPE_IDS => TensorRef::from_array_view((shape, &token_types[..]))?]);
        }
        let outputs = self.session.run(inputs)?;
        let (output_shape, states) = outputs[0].try_extract_tensor::<f32>()?;
        match output_shape[..] {
            [batch, tokens, dimension] if batch == rows.len() as i64 && tokens == width as i64 && dimension > 0 => {
                let row_states = states.chunks_exact(width * dimension as usize);
                Ok(rows.iter().zip(row_states).map(|(row, states)| mean(states, row.len(), dimension)).collect())
            }
            _ => Err(Error::Model {
                path: self.path.clone(),
                problem: format!(
                    "its output has the shape {output_shape:?} for {} rows of {width} tokens; \
                     [rows, tokens, dimension] is expected",
                    rows.len()
                ),
            }),
        }
    }
}

/// The mean of the first `tokens` states, scaled to length 1.
fn mean(states: &[f32], tokens: usize, dimension: i64) -> Option<Vec<f32>> {
    let dimension = dimension as usize;
    let mut sum = vec![0_f32; dimension];
    for state in states.chunks_exact(dimension).take(tokens) {
        for (total, value) in sum.iter_mut().zip(state) {
            *total += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_finite() || length <= f32::MIN_POSITIVE {
        return None;
    }
    sum.iter_mut().for_each(|value| *value /= length);
    Some(sum)
}

/// One core a session, and no spinning while it waits: other threads need the cores too.
fn single_threaded(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?)
}

#[cfg(feature = "cuda")]
fn on_device(builder: SessionBuilder, device: Device) -> ort::Result<SessionBuilder> {
    match device {
        Device::Cpu => Ok(builder),
        // Without `error_on_failure` a missing GPU would mean a slow processor and no word about it.
        Device::Cuda => Ok(builder.with_execution_providers([ort::ep::CUDA::default().build().error_on_failure()])?),
    }
}

/// [`crate::EmbedderOptions::validate`] has refused CUDA in a build without it.
#[cfg(not(feature = "cuda"))]
fn on_device(builder: SessionBuilder, device: Device) -> ort::Result<SessionBuilder> {
    debug_assert_eq!(device, Device::Cpu);
    Ok(builder)
}

/// Whether the model takes token types, or what is wrong with its inputs.
fn check_inputs(session: &Session) -> Result<bool, String> {
    let names: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
    let missing = [INPUT_IDS, ATTENTION_MASK].iter().find(|name| !names.contains(name));
    let unknown = names.iter().find(|name| ![INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS].contains(name));
    if missing.is_some() || unknown.is_some() {
        return Err(format!(
            "its inputs are {names:?}; an embedding model takes {INPUT_IDS}, {ATTENTION_MASK} and at most \
             {TOKEN_TYPE_IDS}"
        ));
    }
    for input in session.inputs() {
        if input.dtype().tensor_type() != Some(TensorElementType::Int64) {
            return Err(format!("its input {} is {:?}; int64 is expected", input.name(), input.dtype()));
        }
    }
    Ok(names.contains(&TOKEN_TYPE_IDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_leaves_out_filling_and_has_length_one() {
        let vector = mean(&[2.0, 0.0, 4.0, 8.0, 100.0, 100.0], 2, 2).unwrap();
        assert_eq!(vector, vec![0.6, 0.8]);
    }

    #[test]
    fn a_vector_that_is_not_finite_is_refused() {
        assert_eq!(mean(&[f32::NAN, 1.0], 1, 2), None);
        assert_eq!(mean(&[f32::INFINITY, 1.0], 1, 2), None);
        assert_eq!(mean(&[0.0, 0.0], 1, 2), None);
    }
}
