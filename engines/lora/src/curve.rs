//! The course of a run: the losses, step by step, as data and as a chart.

use plotters::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepPoint {
    /// Which, from 1.
    pub step: usize,
    /// The stage that it is of, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub stage: usize,
    /// Mean loss before its update, nats per token (SFT) or per pair (DPO).
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Norm of its gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens computed, of prompts and completions; what samples of a pack begin with in common counts once.
    pub tokens: usize,
}

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationPoint {
    /// After this step; 0 is before training.
    pub step: usize,
    /// The stage that it is of, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub stage: usize,
    /// Mean loss on the validation samples.
    pub loss: f64,
}

fn is_first(stage: &usize) -> bool {
    *stage == 0
}

/// All steps and evaluations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// In their order.
    pub steps: Vec<StepPoint>,
    /// In their order.
    pub evaluations: Vec<EvaluationPoint>,
}

/// A number to twelve digits: with more of them, JSON and back may give another number, and a run that went on from a
/// checkpoint would show another curve.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

impl Curve {
    /// One line for each step: `step,loss,learning_rate,gradient_norm,tokens,evaluation_loss`.
    pub fn csv(&self) -> String {
        let mut text = String::from("step,loss,learning_rate,gradient_norm,tokens,evaluation_loss\n");
        for point in &self.steps {
            let is_of_it =
                |evaluation: &&EvaluationPoint| (evaluation.step, evaluation.stage) == (point.step, point.stage);
            let evaluation = self.evaluations.iter().find(is_of_it);
            let evaluation = evaluation.map(|evaluation| evaluation.loss.to_string()).unwrap_or_default();
            let StepPoint { step, stage: _, loss, learning_rate, gradient_norm, tokens } = point;
            text.push_str(&format!("{step},{loss},{learning_rate},{gradient_norm},{tokens},{evaluation}\n"));
        }
        text
    }

    /// The stages that there are, from 0.
    fn stages(&self) -> impl Iterator<Item = usize> {
        0..=self.steps.last().map_or(0, |point| point.stage)
    }

    /// A chart of the losses, as SVG. Each stage has lines of its own: their losses are not the same.
    ///
    /// # Errors
    /// The drawing library's.
    pub fn svg(&self) -> Result<String, Error> {
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, (800, 400))).map_err(|error| Error::Chart(error.to_string()))?;
        Ok(text)
    }

    fn draw(&self, backend: SVGBackend<'_>) -> Result<(), Box<dyn std::error::Error + '_>> {
        let training = || self.steps.iter().map(|point| (point.step, point.loss));
        let evaluations = || self.evaluations.iter().map(|point| (point.step, point.loss));
        let highest = training().chain(evaluations()).map(|(_, loss)| loss).fold(0.0, f64::max);
        let steps = self.steps.len().max(1);
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        let mut chart = ChartBuilder::on(&area)
            .caption("Loss", ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(35)
            .y_label_area_size(50)
            .build_cartesian_2d(0..steps + 1, 0.0..highest.max(f64::MIN_POSITIVE) * 1.05)
            .map_err(|error| error.to_string())?;
        chart.configure_mesh().x_desc("step").y_desc("nats").draw().map_err(|error| error.to_string())?;
        let legend = |colour: RGBColor| move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour);
        for stage in self.stages() {
            let of_stage = self.steps.iter().filter(|point| point.stage == stage);
            let line = LineSeries::new(of_stage.map(|point| (point.step, point.loss)), &BLUE);
            let drawn = chart.draw_series(line).map_err(|error| error.to_string())?;
            if stage == 0 {
                drawn.label("training").legend(legend(BLUE));
            }
            let of_stage = self.evaluations.iter().filter(|point| point.stage == stage);
            let mut points = of_stage.map(|point| (point.step, point.loss)).peekable();
            if points.peek().is_none() {
                continue;
            }
            let line = LineSeries::new(points, RED.stroke_width(2)).point_size(3);
            let drawn = chart.draw_series(line).map_err(|error| error.to_string())?;
            if stage == 0 {
                drawn.label("evaluation").legend(legend(RED));
            }
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()
            .map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
        Ok(())
    }
}
