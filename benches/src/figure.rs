//! A number that stands for itself.

use crate::target::Target;

/// Something measured on our side alone.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The unit of the numbers.
    pub unit: &'static str,
    /// One for each round.
    pub numbers: Vec<f64>,
    /// What their median has to reach.
    pub target: Option<Target>,
}

impl Figure {
    /// A figure of these rounds.
    pub fn new(name: impl Into<String>, unit: &'static str, numbers: Vec<f64>) -> Self {
        Self { name: name.into(), unit, numbers, target: None }
    }

    /// A figure that was taken once.
    pub fn once(name: impl Into<String>, unit: &'static str, number: f64) -> Self {
        Self::new(name, unit, vec![number])
    }

    /// The same figure with a target.
    pub fn wanting(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }
}
