//! The engine, as whoever runs training jobs knows one.

use tracing::warn;
use twin_training::{Engine, Finished, Measured, Observer, Plan, Task, metric_of};

use super::checkpoint::Checkpoints;
use super::curve::{Curve, EvaluationPoint};
use super::error::Error;
use super::prepare::plan;
use super::run::{Trained, train};

/// Trains LoRA adapters in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lora;

impl Engine for Lora {
    fn plan(&self, task: &Task) -> Result<Plan, twin_backend::Error> {
        Ok(plan(task)?)
    }

    fn train(&self, task: &Task, observer: &mut dyn Observer) -> Result<Finished, twin_backend::Error> {
        let trained = match train(task, observer) {
            // A job's folder is its own: these are of its run by an earlier version of this program.
            Err(Error::OtherTask(checkpoint)) => {
                warn!(checkpoint = %checkpoint.display(), "checkpoints of another task are left behind: the run begins anew");
                Checkpoints::of(task)?.remove()?;
                train(task, observer)
            }
            trained => trained,
        };
        Ok(finished(trained?)?)
    }
}

fn finished(trained: Trained) -> Result<Finished, Error> {
    let path = trained.output.join("loss.json");
    let text = std::fs::read(&path).map_err(Error::at(&path))?;
    let curve = serde_json::from_slice(&text).map_err(|error| Error::malformed(&path, error))?;
    let summary = &trained.manifest.summary;
    Ok(Finished {
        steps: summary.steps as u64,
        evaluation_loss: summary.evaluation_loss,
        measured: measured(&curve),
        output: trained.output,
    })
}

fn measured(curve: &Curve) -> Vec<Measured> {
    let value = |name: &str, step: usize, value: f64| Measured { name: name.to_owned(), step: step as u64, value };
    let mut measured = Vec::new();
    for point in &curve.steps {
        measured.push(value(&metric_of("loss", point.stage), point.step, point.loss));
        measured.push(value("learning_rate", point.step, point.learning_rate));
    }
    let evaluation =
        |point: &EvaluationPoint| value(&metric_of("evaluation_loss", point.stage), point.step, point.loss);
    measured.extend(curve.evaluations.iter().map(evaluation));
    measured
}
