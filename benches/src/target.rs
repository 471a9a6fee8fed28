//! What a number has to reach.

/// A bound, and what is known about missing it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    bound: Bound,
    /// Why it is missed where it is, and what would close the gap; empty where nothing is known.
    pub if_missed: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    /// A rate or a ratio.
    pub const fn at_least(bound: f64) -> Self {
        Self { bound: Bound::AtLeast(bound), if_missed: "" }
    }

    /// A time or a size.
    pub const fn at_most(bound: f64) -> Self {
        Self { bound: Bound::AtMost(bound), if_missed: "" }
    }

    /// The same target with what is known about missing it.
    pub const fn if_missed(self, reason: &'static str) -> Self {
        Self { if_missed: reason, ..self }
    }

    /// Whether the number reaches it.
    pub fn is_met_by(&self, number: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => number >= bound,
            Bound::AtMost(bound) => number <= bound,
        }
    }

    /// For a person: "at least 3.5".
    pub fn wanted(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::AtMost(bound) => format!("at most {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_itself_is_met() {
        assert!(Target::at_least(3.5).is_met_by(3.5) && !Target::at_least(3.5).is_met_by(3.49));
        assert!(Target::at_most(25.0).is_met_by(25.0) && !Target::at_most(25.0).is_met_by(25.1));
    }
}
