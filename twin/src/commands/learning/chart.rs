//! Curves of runs: as text in a terminal, and as an SVG picture.

mod svg;
mod text;

pub use svg::svg;
pub use text::text;

use std::path::Path;

use twin_api::MetricView;

use crate::error::CommandError;

/// A curve: values by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called in the legend.
    pub label: String,
    /// The character it is drawn with.
    pub mark: char,
    /// Steps in rising order, with finite values.
    pub points: Vec<(u64, f64)>,
}

impl Series {
    /// The curve of one metric of a run.
    pub fn of(metrics: &[MetricView], name: &str, label: impl Into<String>, mark: char) -> Self {
        let named = metrics.iter().filter(|metric| metric.name == name);
        let mut points: Vec<(u64, f64)> = named.filter_map(|metric| Some((metric.step, metric.value?))).collect();
        points.sort_by_key(|(step, _)| *step);
        Self { label: label.into(), mark, points }
    }
}

/// Draws the curves of a metric into a file.
pub fn write(path: &Path, metric: &str, curves: &[Series]) -> Result<(), CommandError> {
    let picture = svg(metric, curves).ok_or_else(|| {
        CommandError::NotFound(format!("no run has measured {metric:?}: there is no picture to draw"))
    })?;
    std::fs::write(path, picture).map_err(|error| CommandError::Failed(format!("{}: {error}", path.display())))
}

/// The part of the plane that curves lie in. None: there is no point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    first: u64,
    last: u64,
    low: f64,
    high: f64,
}

impl Frame {
    fn of(series: &[Series]) -> Option<Self> {
        let points = || series.iter().flat_map(|series| &series.points);
        let (first, last) = (points().map(|(step, _)| *step).min()?, points().map(|(step, _)| *step).max()?);
        let low = points().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let high = points().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        // A flat curve lies in the middle.
        let margin = if high > low { 0.0 } else { (low.abs() / 10.0).max(f64::MIN_POSITIVE) };
        Some(Self { first, last, low: low - margin, high: high + margin })
    }

    /// Where a step lies between the first and the last, 0 to 1.
    fn across(&self, step: u64) -> f64 {
        if self.last == self.first { 0.5 } else { (step - self.first) as f64 / (self.last - self.first) as f64 }
    }

    /// Where a value lies between the lowest and the highest, 0 to 1.
    fn up(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The value at a share of the height.
    fn value_at(&self, share: f64) -> f64 {
        self.low + (self.high - self.low) * share
    }
}
