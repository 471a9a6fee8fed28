//! A training run from beginning to end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tracing::info;
use twin_training::{Fit, Observer, Progress, Settled, Task};

use super::checkpoint::{self, Checkpoints, State};
use super::curve::{EvaluationPoint, StepPoint, rounded};
use super::data::{Samples, Step, size, tokens_of};
use super::decoder::Decoder;
use super::error::Error;
use super::export::{Export, Manifest, Summary};
use super::kernels::Kernels;
use super::lora::{Adapter, Dropout};
use super::method::{Loss, Objective};
use super::optimizer::{AdamW, clip};
use super::pack::first_fit;
use super::prepare::{Prepared, prepare, together};
use super::schedule::learning_rate;
use super::task::{Fingerprint, device, fingerprint};

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The folder with `adapter/`, `merged/` (where it was asked for), `loss.csv`, `loss.json`, `loss.svg` and `manifest.json`.
    pub output: PathBuf,
    /// What is in it, and how the run went.
    pub manifest: Manifest,
}

/// Trains an adapter for a base model. Blocks until it is done: hours, for a large model.
///
/// # Errors
/// A recipe, model or data file that can not be used; [`Error::Stopped`] if the observer asked for it. After any error
/// but [`Error::Diverged`], the same call goes on from the newest checkpoint.
pub fn train(task: &Task, observer: &mut dyn Observer) -> Result<Trained, Error> {
    task.recipe.validate()?;
    let Some(threads) = task.threads else { return train_here(task, observer) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Threads(error.to_string()))?.install(|| train_here(task, observer))
}

fn train_here(task: &Task, observer: &mut dyn Observer) -> Result<Trained, Error> {
    let Prepared { config, settled, samples, validation, steps, .. } = prepare(task)?;
    if samples.items.is_empty() {
        let limit = settled.pack_tokens.min(config.max_tokens);
        let (read, too_long) = (samples.read, samples.too_long);
        return Err(Error::NoSamples { path: task.train.clone(), read, too_long, limit });
    }
    // Another recipe, model or data is another task; what a recipe leaves open follows from the latter two.
    let task = &Task { recipe: settled.recipe.clone(), ..task.clone() };
    let fingerprint = fingerprint(task)?;
    let checkpoints = Checkpoints::new(&task.folder.join("checkpoints"))?;
    let device = device()?;
    let decoder = Decoder::load_with(&task.base, &device, Kernels::of(&device), task.recipe.precision)?;

    let adapter = Adapter::new(decoder.config(), &task.recipe);
    let progress = checkpoint::Progress { task: fingerprint.task.clone(), ..Default::default() };
    let blank = State { optimizer: AdamW::new(&adapter), adapter, progress, best: None };
    let state = checkpoints.newest(&blank)?;
    if let Some(state) = &state {
        info!(step = state.progress.step, "training goes on from a checkpoint");
    }
    let done = state.as_ref().map_or(0, |state| state.progress.step);
    let mut go_on = || if observer.stop() { Err(Error::Stopped { step: done }) } else { Ok(()) };
    let training = {
        let used = steps.iter().flatten().flatten().copied();
        Objective::new(&decoder, &task.recipe, &samples.items, used, &mut go_on)?
    };
    let evaluation = Objective::new(&decoder, &task.recipe, &validation.items, 0..validation.items.len(), go_on)?;
    let mut run = Run {
        task,
        settled: &settled,
        decoder: &decoder,
        samples: &samples,
        validation: &validation,
        training,
        evaluation,
        steps,
        state: state.unwrap_or(blank),
        checkpoints,
        began: Instant::now(),
        tokens_here: 0,
    };
    run.all_steps(observer)?;
    run.export(fingerprint)
}

struct Run<'a> {
    /// With a recipe that leaves nothing open.
    task: &'a Task,
    settled: &'a Settled,
    decoder: &'a Decoder,
    samples: &'a Samples,
    validation: &'a Samples,
    training: Objective<'a>,
    evaluation: Objective<'a>,
    steps: Vec<Step>,
    state: State,
    checkpoints: Checkpoints,
    began: Instant,
    tokens_here: usize,
}

impl Run<'_> {
    fn all_steps(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        // That of the base model, or one that was interrupted.
        self.evaluate_if_due(observer)?;
        while self.state.progress.step < self.steps.len() && !self.state.progress.ended_early {
            self.stop_if_asked(observer)?;
            self.step()?;
            self.evaluate_if_due(observer)?;
            observer.progress(&self.progress());
            let every = self.task.recipe.checkpoint_every;
            if every > 0 && self.state.progress.step.is_multiple_of(every) {
                let folder = self.checkpoint()?;
                observer.checkpoint(self.state.progress.step, &folder);
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Error> {
        let index = self.state.progress.step;
        let recipe = &self.task.recipe;
        let rate = learning_rate(self.settled, index, self.steps.len());
        let (loss, mut gradients) = self.gradients(index)?;
        let norm = clip(&mut gradients, recipe.clip);
        if !loss.mean().is_finite() || !norm.is_finite() {
            return Err(Error::Diverged { step: index + 1 });
        }
        self.state.optimizer.update(&mut self.state.adapter, &gradients, rate, recipe.weight_decay);
        let tokens = tokens_of(&self.samples.items, &self.steps[index]);
        self.tokens_here += tokens;
        let progress = &mut self.state.progress;
        progress.step += 1;
        progress.updates = self.state.optimizer.updates;
        let point = StepPoint {
            step: index + 1,
            loss: rounded(loss.mean()),
            learning_rate: rounded(rate),
            gradient_norm: rounded(norm),
            tokens,
        };
        progress.curve.steps.push(point);
        Ok(())
    }

    /// The loss of a step and the gradients of its mean, summed over the step's packs.
    fn gradients(&self, index: usize) -> Result<(Loss, Vec<Vec<f32>>), Error> {
        let (recipe, items) = (&self.task.recipe, &self.samples.items);
        let packs = &self.steps[index];
        let units = self.training.units(packs.iter().flatten().map(|item| &items[*item]));
        let mut adapter = self.state.adapter.on(self.decoder)?;
        let mut total = Loss::default();
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for (place, pack) in packs.iter().enumerate() {
            let number = (index * recipe.accumulation + place) as u64;
            adapter.dropout = Some(Dropout { rate: recipe.dropout, seed: recipe.seed, pack: number });
            let (loss, gradients) = self.training.gradients(items, pack, &adapter, units)?;
            total = total.add(loss);
            let numbers = gradients.iter().map(|gradient| gradient.flatten_all()?.to_vec1::<f32>());
            let numbers: Vec<Vec<f32>> = numbers.collect::<Result<_, _>>()?;
            match place {
                0 => sums = numbers,
                _ => sums.iter_mut().flatten().zip(numbers.iter().flatten()).for_each(|(sum, term)| *sum += term),
            }
        }
        Ok((total, sums))
    }

    fn stop_if_asked(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        if !observer.stop() {
            return Ok(());
        }
        self.checkpoint()?;
        Err(Error::Stopped { step: self.state.progress.step })
    }

    /// Evaluates before the first step, after the last, and as often between them as the recipe says.
    fn evaluate_if_due(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let (progress, every) = (&self.state.progress, self.task.recipe.eval_every);
        let bound = progress.step == 0 || progress.step == self.steps.len();
        let due = bound || (every > 0 && progress.step.is_multiple_of(every));
        let done = progress.curve.evaluations.last().is_some_and(|point| point.step == progress.step);
        if due && !done && !self.validation.items.is_empty() { self.evaluate(observer) } else { Ok(()) }
    }

    /// Adds to the curve, and decides by it whether training goes on.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let items = &self.validation.items;
        let adapter = self.state.adapter.on(self.decoder)?;
        let sizes: Vec<usize> = items.iter().map(size).collect();
        let mut loss = Loss::default();
        for pack in first_fit(&sizes, self.settled.pack_tokens) {
            self.stop_if_asked(observer)?;
            loss = loss.add(self.evaluation.loss(items, &pack, &adapter)?);
        }
        let progress = &mut self.state.progress;
        if !loss.mean().is_finite() {
            return Err(Error::Diverged { step: progress.step });
        }
        let loss = rounded(loss.mean());
        let lowest = progress.curve.evaluations.iter().map(|point| point.loss).fold(f64::INFINITY, f64::min);
        progress.curve.evaluations.push(EvaluationPoint { step: progress.step, loss });
        if self.task.recipe.patience == 0 {
            return Ok(());
        }
        if loss < lowest {
            progress.without_progress = 0;
            self.state.best = Some(self.state.adapter.clone());
        } else {
            progress.without_progress += 1;
            progress.ended_early = progress.without_progress >= self.task.recipe.patience;
        }
        Ok(())
    }

    /// Where it is.
    fn checkpoint(&self) -> Result<PathBuf, Error> {
        self.checkpoints.write(&self.state)
    }

    fn progress(&self) -> Progress {
        let done = &self.state.progress;
        let seconds = self.began.elapsed().as_secs_f64();
        let (step, steps) = (done.step, self.steps.len());
        let last = done.curve.steps.last();
        let rest = self.steps[step..].iter().flatten().flatten().map(|item| size(&self.samples.items[*item]));
        let tokens_per_s = self.tokens_here as f64 / seconds;
        Progress {
            step,
            steps,
            loss: last.map_or(f64::NAN, |point| point.loss),
            learning_rate: last.map_or(0.0, |point| point.learning_rate),
            tokens: done.curve.steps.iter().map(|point| point.tokens).sum(),
            tokens_per_s,
            eta_s: rest.sum::<usize>() as f64 / tokens_per_s,
            evaluation_loss: done.curve.evaluations.last().map(|point| point.loss),
        }
    }

    fn export(self, fingerprint: Fingerprint) -> Result<Trained, Error> {
        // After the last step, so that a run that fails in its export does not train again.
        self.checkpoint()?;
        let output = self.task.output();
        let export = Export {
            base: &self.task.base,
            adapter: self.state.best.as_ref().unwrap_or(&self.state.adapter),
            recipe: &self.task.recipe,
            curve: &self.state.progress.curve,
            summary: self.summary(),
            train_sha256: fingerprint.train,
            validation_sha256: fingerprint.validation,
            merge: self.task.merge,
        };
        let manifest = export.write(&output)?;
        Ok(Trained { output, manifest })
    }

    /// The samples of both files by kind.
    fn fit(&self) -> BTreeMap<String, Fit> {
        together(&self.samples.fit, &self.validation.fit)
    }

    fn summary(&self) -> Summary {
        let progress = &self.state.progress;
        let (steps, evaluations) = (&progress.curve.steps, &progress.curve.evaluations);
        let last = &steps[steps.len() - steps.len().div_ceil(10)..];
        let evaluation = match self.task.recipe.patience {
            0 => evaluations.last().map(|point| point.loss),
            _ => evaluations.iter().map(|point| point.loss).min_by(f64::total_cmp),
        };
        Summary {
            steps: progress.step,
            planned_steps: self.steps.len(),
            ended_early: progress.ended_early,
            samples: self.samples.seen(),
            too_long: self.samples.too_long,
            fit: self.fit(),
            parameters: self.state.adapter.parameters.iter().map(|parameter| parameter.values.len()).sum(),
            tokens: steps.iter().map(|point| point.tokens).sum(),
            first_loss: steps.first().map_or(f64::NAN, |point| point.loss),
            last_loss: last.iter().map(|point| point.loss).sum::<f64>() / last.len() as f64,
            base_evaluation_loss: evaluations.first().map(|point| point.loss),
            evaluation_loss: evaluation,
        }
    }
}
