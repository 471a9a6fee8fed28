//! Prometheus' text format, as far as a test reads it.

use std::collections::BTreeSet;

/// What `/metrics` showed.
#[derive(Debug, Clone)]
pub struct Exposition(String);

impl Exposition {
    /// Takes the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The metrics' names; a histogram's is its base name.
    pub fn names(&self) -> BTreeSet<String> {
        let types = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    }

    /// The sum of all series of this name that have all these labels, each written `name="value"`; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, given) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.iter().all(|label| given.contains(label))).then_some(value)
        });
        series.filter_map(|value| value.parse::<f64>().ok()).sum()
    }
}
