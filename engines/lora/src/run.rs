//! A training run from beginning to end: its stages, one after the other, and what it leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tracing::info;
use twin_training::{Fit, Observer, Progress, Task};

use super::checkpoint::{self, Checkpoints, State};
use super::curve::{EvaluationPoint, StepPoint, rounded};
use super::data::{ORDER, tokens_of};
use super::decoder::Decoder;
use super::error::Error;
use super::export::{Export, Manifest, Summary};
use super::kernels::Kernels;
use super::lora::{Adapter, Dropout};
use super::method::{Loss, Objective};
use super::optimizer::{AdamW, Moments, clip};
use super::prepare::{Prepared, PreparedStage, prepare, together};
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
    let Prepared { config, recipe, stages } = prepare(task)?;
    if let Some(PreparedStage { train, settled, samples, .. }) =
        stages.iter().find(|stage| stage.samples.items.is_empty())
    {
        let limit = settled.pack_tokens.min(config.max_tokens);
        let (read, too_long) = (samples.read, samples.too_long);
        return Err(Error::NoSamples { path: train.clone(), read, too_long, limit });
    }
    // Another recipe, model or data is another task; what a recipe leaves open follows from the latter two.
    let task = &Task { recipe, ..task.clone() };
    let fingerprint = fingerprint(task)?;
    let checkpoints = Checkpoints::of(task)?;
    let device = device()?;
    let decoder = Decoder::load_with(&task.base, &device, Kernels::of(&device), task.recipe.precision)?;

    let adapter = Adapter::new(decoder.config(), &task.recipe);
    let progress = checkpoint::Progress { task: fingerprint.task.clone(), order: ORDER, ..Default::default() };
    let blank = State { moments: Moments::none(&adapter), adapter, progress, best: None, reference: None };
    let state = checkpoints.newest(&blank)?;
    if let Some(state) = &state {
        info!(step = state.progress.step, stage = state.progress.stage, "training goes on from a checkpoint");
    }
    let learner = Learner::at(state.unwrap_or(blank), &device)?;
    let (began, tokens_here) = (Instant::now(), 0);
    let mut run = Run { task, stages: &stages, decoder: &decoder, learner, checkpoints, began, tokens_here };
    run.all_stages(observer)?;
    run.export(fingerprint)
}

/// What a run has come to: as a [`State`], with what is trained on the device.
struct Learner {
    progress: checkpoint::Progress,
    optimizer: AdamW,
    best: Option<Adapter>,
    reference: Option<Adapter>,
}

impl Learner {
    fn at(state: State, device: &Device) -> Result<Self, Error> {
        let State { progress, adapter, moments, best, reference } = state;
        let optimizer = AdamW::restored(&adapter, &moments, progress.updates, device)?;
        Ok(Self { progress, optimizer, best, reference })
    }

    fn state(&self) -> Result<State, Error> {
        let (adapter, moments) = self.optimizer.read()?;
        let (progress, best, reference) = (self.progress.clone(), self.best.clone(), self.reference.clone());
        Ok(State { progress, adapter, moments, best, reference })
    }

    /// The weights that the stage keeps.
    fn kept(&self) -> Result<Adapter, Error> {
        match &self.best {
            Some(best) => Ok(best.clone()),
            None => self.optimizer.parameters(),
        }
    }

    /// Begins the next stage with the weights that this one keeps. They stay what it is held against, and its optimizer
    /// knows nothing of another loss.
    fn begin_next_stage(&mut self, device: &Device) -> Result<(), Error> {
        let adapter = self.kept()?;
        self.optimizer = AdamW::new(&adapter, device)?;
        self.reference = Some(adapter);
        self.best = None;
        let progress = &mut self.progress;
        (progress.stage, progress.stage_began, progress.updates) = (progress.stage + 1, progress.step, 0);
        (progress.without_progress, progress.ended_early) = (0, false);
        Ok(())
    }
}

struct Run<'a> {
    /// With a recipe that leaves nothing open.
    task: &'a Task,
    stages: &'a [PreparedStage],
    decoder: &'a Decoder,
    learner: Learner,
    checkpoints: Checkpoints,
    began: Instant,
    tokens_here: usize,
}

/// What a stage learns and is evaluated by.
struct Objectives<'a> {
    training: Objective<'a>,
    evaluation: Objective<'a>,
}

impl<'a> Run<'a> {
    fn all_stages(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.stage(observer)?;
        while self.learner.progress.stage + 1 < self.stages.len() {
            self.learner.begin_next_stage(self.decoder.device())?;
            info!(stage = self.learner.progress.stage, "the next stage begins");
            // Whoever goes on from here does nothing of the stage before again.
            self.tell_of_checkpoint(observer)?;
            self.stage(observer)?;
        }
        Ok(())
    }

    /// All steps of the stage under way.
    fn stage(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let stage = self.of_stage();
        if !self.has_steps() && !self.is_evaluation_due() {
            // What is left is its end: no preference is read for that.
            return Ok(());
        }
        let objectives = self.objectives(observer)?;
        // That of the weights it begins with, or one that was interrupted.
        self.evaluate_if_due(&objectives.evaluation, observer)?;
        while self.has_steps() {
            self.stop_if_asked(observer)?;
            self.step(&objectives.training)?;
            self.evaluate_if_due(&objectives.evaluation, observer)?;
            observer.progress(&self.progress());
            let every = stage.settled.recipe.checkpoint_every;
            if every > 0 && self.learner.progress.step.is_multiple_of(every) {
                self.tell_of_checkpoint(observer)?;
            }
        }
        Ok(())
    }

    /// Whether a step of the stage under way is left to be done.
    fn has_steps(&self) -> bool {
        self.step_of_stage() < self.of_stage().steps.len() && !self.learner.progress.ended_early
    }

    fn of_stage(&self) -> &'a PreparedStage {
        &self.stages[self.learner.progress.stage]
    }

    /// Steps done in the stage under way.
    fn step_of_stage(&self) -> usize {
        self.learner.progress.step - self.learner.progress.stage_began
    }

    fn objectives(&self, observer: &mut dyn Observer) -> Result<Objectives<'a>, Error> {
        let PreparedStage { settled, samples, validation, steps, .. } = self.of_stage();
        let (recipe, done) = (&settled.recipe, self.learner.progress.step);
        let frozen = self.learner.reference.as_ref().map(|adapter| adapter.on(self.decoder)).transpose()?;
        let mut go_on = || if observer.stop() { Err(Error::Stopped { step: done }) } else { Ok(()) };
        let used = steps.iter().flatten().flatten().copied();
        let training = Objective::new(self.decoder, recipe, frozen.as_ref(), &samples.items, used, &mut go_on)?;
        let (items, all) = (&validation.items, 0..validation.items.len());
        let evaluation = Objective::new(self.decoder, recipe, frozen.as_ref(), items, all, go_on)?;
        Ok(Objectives { training, evaluation })
    }

    fn step(&mut self, objective: &Objective<'_>) -> Result<(), Error> {
        let (stage, index) = (self.of_stage(), self.step_of_stage());
        let recipe = &stage.settled.recipe;
        let rate = learning_rate(&stage.settled, index, stage.steps.len());
        let (loss, gradients) = self.gradients(objective, index)?;
        let (gradients, norm) = clip(gradients, recipe.clip)?;
        let Learner { progress, optimizer, .. } = &mut self.learner;
        if !loss.mean().is_finite() || !norm.is_finite() {
            return Err(Error::Diverged { step: progress.step + 1 });
        }
        optimizer.update(&gradients, rate, recipe.weight_decay)?;
        let tokens = tokens_of(&stage.samples.items, &stage.steps[index]);
        self.tokens_here += tokens;
        progress.step += 1;
        progress.updates = optimizer.updates();
        let point = StepPoint {
            step: progress.step,
            stage: progress.stage,
            loss: rounded(loss.mean()),
            learning_rate: rounded(rate),
            gradient_norm: rounded(norm),
            tokens,
        };
        progress.curve.steps.push(point);
        Ok(())
    }

    /// The loss of a step of the stage and the gradients of its mean, summed over the step's packs, as the optimizer takes
    /// them.
    fn gradients(&self, objective: &Objective<'_>, index: usize) -> Result<(Loss, Vec<Tensor>), Error> {
        let PreparedStage { settled, samples, steps, .. } = self.of_stage();
        let (recipe, items, packs) = (&settled.recipe, &samples.items, &steps[index]);
        let units = objective.units(packs.iter().flatten().map(|item| &items[*item]));
        let mut adapter = self.learner.optimizer.adapter(self.decoder)?;
        let mut total = Loss::default();
        let mut sums: Vec<Tensor> = Vec::new();
        for (place, pack) in packs.iter().enumerate() {
            let number = (self.learner.progress.step * recipe.accumulation + place) as u64;
            adapter.dropout = Some(Dropout { rate: recipe.dropout, seed: recipe.seed, pack: number });
            let (loss, gradients) = objective.gradients(items, pack, &adapter, units)?;
            total = total.add(loss);
            let rows = self.learner.optimizer.rows(&gradients)?;
            sums = match place {
                0 => rows,
                _ => sums.iter().zip(&rows).map(|(sum, row)| sum + row).collect::<Result<_, _>>()?,
            };
        }
        Ok((total, sums))
    }

    fn stop_if_asked(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        if !observer.stop() {
            return Ok(());
        }
        self.checkpoint()?;
        Err(Error::Stopped { step: self.learner.progress.step })
    }

    fn evaluate_if_due(&mut self, objective: &Objective<'_>, observer: &mut dyn Observer) -> Result<(), Error> {
        if self.is_evaluation_due() { self.evaluate(objective, observer) } else { Ok(()) }
    }

    /// It is before the stage's first step, after its last, and as often between them as the recipe says.
    fn is_evaluation_due(&self) -> bool {
        let (stage, done) = (self.of_stage(), self.step_of_stage());
        let every = stage.settled.recipe.eval_every;
        let bound = done == 0 || done == stage.steps.len();
        let due = bound || (every > 0 && done.is_multiple_of(every));
        let progress = &self.learner.progress;
        let last = progress.curve.evaluations.last();
        let is_known = last.is_some_and(|point| (point.step, point.stage) == (progress.step, progress.stage));
        due && !is_known && !stage.validation.items.is_empty()
    }

    /// Adds to the curve, and decides by it whether the stage goes on.
    fn evaluate(&mut self, objective: &Objective<'_>, observer: &mut dyn Observer) -> Result<(), Error> {
        let PreparedStage { settled, validation, .. } = self.of_stage();
        let items = &validation.items;
        let adapter = self.learner.optimizer.adapter(self.decoder)?;
        let mut loss = Loss::default();
        for pack in validation.packs(settled.pack_tokens) {
            self.stop_if_asked(observer)?;
            loss = loss.add(objective.loss(items, &pack, &adapter)?);
        }
        let Learner { progress, optimizer, best, .. } = &mut self.learner;
        let (step, stage) = (progress.step, progress.stage);
        if !loss.mean().is_finite() {
            return Err(Error::Diverged { step });
        }
        let loss = rounded(loss.mean());
        let before = progress.curve.evaluations.iter().filter(|point| point.stage == stage);
        let lowest = before.map(|point| point.loss).fold(f64::INFINITY, f64::min);
        progress.curve.evaluations.push(EvaluationPoint { step, stage, loss });
        let patience = settled.recipe.patience;
        if patience == 0 {
            return Ok(());
        }
        if loss < lowest {
            progress.without_progress = 0;
            *best = Some(optimizer.parameters()?);
        } else {
            progress.without_progress += 1;
            progress.ended_early = progress.without_progress >= patience;
        }
        Ok(())
    }

    /// Where it is.
    fn checkpoint(&self) -> Result<PathBuf, Error> {
        self.checkpoints.write(&self.learner.state()?)
    }

    fn tell_of_checkpoint(&self, observer: &mut dyn Observer) -> Result<(), Error> {
        let folder = self.checkpoint()?;
        observer.checkpoint(self.learner.progress.step, &folder);
        Ok(())
    }

    fn progress(&self) -> Progress {
        let done = &self.learner.progress;
        let seconds = self.began.elapsed().as_secs_f64();
        let (stage, later) = (self.of_stage(), &self.stages[done.stage + 1..]);
        let last = done.curve.steps.last();
        let rest =
            stage.tokens_from(self.step_of_stage()) + later.iter().map(|stage| stage.tokens_from(0)).sum::<usize>();
        let tokens_per_s = self.tokens_here as f64 / seconds;
        let evaluation = done.curve.evaluations.last().filter(|point| point.stage == done.stage);
        Progress {
            stage: done.stage,
            step: done.step,
            steps: done.stage_began + stage.steps.len() + planned(later),
            loss: last.map_or(f64::NAN, |point| point.loss),
            learning_rate: last.map_or(0.0, |point| point.learning_rate),
            tokens: done.curve.steps.iter().map(|point| point.tokens).sum(),
            tokens_per_s,
            eta_s: rest as f64 / tokens_per_s,
            evaluation_loss: evaluation.map(|point| point.loss),
            evaluated_at: evaluation.map(|point| point.step),
        }
    }

    fn export(self, fingerprint: Fingerprint) -> Result<Trained, Error> {
        // After the last step, so that a run that fails in its export does not train again.
        self.checkpoint()?;
        let output = self.task.output();
        let adapter = self.learner.kept()?;
        let export = Export {
            base: &self.task.base,
            adapter: &adapter,
            recipe: &self.task.recipe,
            curve: &self.learner.progress.curve,
            summary: self.summary(&adapter),
            fingerprint,
            merge: self.task.merge,
        };
        let manifest = export.write(&output)?;
        Ok(Trained { output, manifest })
    }

    /// The samples of all files by kind.
    fn fit(&self) -> BTreeMap<String, Fit> {
        self.stages.iter().fold(BTreeMap::new(), |all, stage| together(&all, &stage.fit()))
    }

    fn summary(&self, adapter: &Adapter) -> Summary {
        let progress = &self.learner.progress;
        let (steps, evaluations) = (&progress.curve.steps, &progress.curve.evaluations);
        let of_last: Vec<&StepPoint> = steps.iter().filter(|point| point.stage == progress.stage).collect();
        let last = &of_last[of_last.len() - of_last.len().div_ceil(10)..];
        let planned_before = planned(&self.stages[..progress.stage]);
        Summary {
            steps: progress.step,
            planned_steps: planned(self.stages),
            ended_early: progress.ended_early || progress.stage_began < planned_before,
            samples: self.stages.iter().map(|stage| stage.samples.seen()).sum(),
            too_long: self.stages.iter().map(|stage| stage.samples.too_long).sum(),
            fit: self.fit(),
            parameters: adapter.parameters.iter().map(|parameter| parameter.values.len()).sum(),
            tokens: steps.iter().map(|point| point.tokens).sum(),
            first_loss: steps.first().map_or(f64::NAN, |point| point.loss),
            last_loss: last.iter().map(|point| point.loss).sum::<f64>() / last.len() as f64,
            base_evaluation_loss: evaluations.first().map(|point| point.loss),
            evaluation_loss: self.evaluation_of_kept(),
        }
    }

    /// The evaluation loss of the weights that are exported, by the last stage that was evaluated.
    fn evaluation_of_kept(&self) -> Option<f64> {
        let evaluations = &self.learner.progress.curve.evaluations;
        let stage = evaluations.last()?.stage;
        let mut losses = evaluations.iter().filter(|point| point.stage == stage).map(|point| point.loss);
        match self.stages[stage].settled.recipe.patience {
            0 => losses.next_back(),
            _ => losses.min_by(f64::total_cmp),
        }
    }
}

/// Steps planned in some stages.
fn planned(stages: &[PreparedStage]) -> usize {
    stages.iter().map(|stage| stage.steps.len()).sum()
}

impl PreparedStage {
    /// Tokens of the steps from that one on.
    fn tokens_from(&self, step: usize) -> usize {
        self.steps[step..].iter().map(|step| tokens_of(&self.samples.items, step)).sum()
    }
}
