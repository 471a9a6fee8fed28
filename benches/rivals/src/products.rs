//! The rate at which ONNX Runtime multiplies matrices: no model of such products runs faster.

use std::path::Path;

use anyhow::{Result, anyhow};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

/// A model that is one matrix product, on one thread.
pub struct Products {
    session: Session,
    shape: [usize; 2],
    input: Vec<f32>,
}

impl Products {
    /// Loads the model.
    pub fn load(environment: &Environment, file: &Path, shape: [usize; 2]) -> Result<Self> {
        let refused = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", file.display());
        let mut builder = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level3)?))
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|builder| Ok(builder.with_intra_op_spinning(false)?))
            .map_err(|error| refused(&error))?;
        let session = builder.commit_from_file(file).map_err(|error| refused(&error))?;
        let numbers = shape[0] * shape[1];
        // Small numbers of both signs, none of them so small that the processor takes its slow path.
        let input = (0..numbers).map(|index| (index % 17) as f32 / 17.0 - 0.47).collect();
        Ok(Self { session, shape, input })
    }

    /// Multiplies so many times.
    pub fn run(&mut self, count: usize) -> Result<usize> {
        for _ in 0..count {
            let input = TensorRef::from_array_view((self.shape, &self.input[..]))?;
            let outputs = self.session.run(ort::inputs![input])?;
            std::hint::black_box(outputs[0].try_extract_tensor::<f32>()?);
        }
        Ok(count)
    }
}
