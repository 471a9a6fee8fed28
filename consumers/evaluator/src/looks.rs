//! The level of an evaluation's intervals, by how often a candidate was held against the same production before.
//!
//! Whoever trains every week and promotes what is better beyond chance at 95 % promotes noise some day: among 20 candidates
//! that are no better there is one that seems so with a probability of 40 %. So the chance of error is spent (Lan and
//! DeMets 1983, "Discrete Sequential Boundaries for Clinical Trials"; over a row without an end: Foster and Stine 2008,
//! "alpha-investing", section 2): with `a = 1 - confidence`, the `k`-th evaluation against one production may take a
//! candidate that is no better for a better one with a probability of `a / (k (k + 1))`. The sum of all of these is `a`,
//! whatever they have in common, as they do where one test split serves them all.
//!
//! The interval is two-sided, and only its lower end promotes: its level is `1 - 2 a / (k (k + 1))`, at the first look the
//! confidence itself.

/// The two-sided level at the `look`-th evaluation (from 1) against the same production.
pub fn level(confidence: f64, look: u32) -> f64 {
    let look = f64::from(look.max(1));
    1.0 - 2.0 * (1.0 - confidence) / (look * (look + 1.0))
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn the_first_look_has_the_confidence_and_all_together_spend_it_once() {
        assert!((level(0.95, 1) - 0.95).abs() < 1e-12 && level(0.95, 0) == level(0.95, 1));
        assert!((level(0.95, 2) - (1.0 - 0.05 / 3.0)).abs() < 1e-12);
        let spent: f64 = (1..=100_000).map(|look| (1.0 - level(0.95, look)) / 2.0).sum();
        assert!(spent <= 0.05 && spent > 0.0499, "{spent}");
    }
}
