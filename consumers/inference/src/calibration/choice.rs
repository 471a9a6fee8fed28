//! The threshold that scores of questions ask for. A pure function.

use twin_warehouse::{Refusals, ThresholdBasis};

use crate::thresholds::SHIPPED;

/// Answerable questions that may be refused, as a share.
const MOST_LOST: f64 = 0.02;

/// With fewer answerable questions, the share above is less than one of them.
pub(super) const LEAST_QUESTIONS: usize = 50;

/// Scores of questions.
#[derive(Debug, Default)]
pub(super) struct Scores {
    /// That the author's texts answer.
    pub(super) answerable: Vec<f32>,
    /// The same where the documents that answer are left out.
    pub(super) left_out: Vec<f32>,
    /// On other fields.
    pub(super) general: Vec<f32>,
}

impl Scores {
    /// The threshold that loses at most [`MOST_LOST`] of the answerable questions and refuses most of the others. Of the
    /// thresholds that refuse the same, the one in their middle. Too few questions: the one that is shipped.
    pub(super) fn threshold(&self) -> (f32, ThresholdBasis) {
        if self.answerable.len() < LEAST_QUESTIONS {
            return (SHIPPED, ThresholdBasis::Shipped);
        }
        let mut answerable = self.answerable.clone();
        answerable.sort_by(f32::total_cmp);
        let highest = answerable[(MOST_LOST * answerable.len() as f64) as usize];
        let others = self.left_out.iter().chain(&self.general).copied();
        let nearest = others.filter(|score| *score < highest).max_by(f32::total_cmp);
        (nearest.map_or(highest, |nearest| (nearest + highest) / 2.0), ThresholdBasis::Measured)
    }
}

/// How many of the questions with these scores a threshold refuses.
pub(super) fn refusals(scores: &[f32], threshold: f32) -> Refusals {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let refused = scores.iter().filter(|score| **score < threshold).count();
    Refusals { asked: count(scores.len()), refused: count(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many scores from `from` on, a hundredth apart.
    fn scores(count: u16, from: f32) -> Vec<f32> {
        (0..count).map(|number| from + f32::from(number) / 100.0).collect()
    }

    #[test]
    fn one_of_fifty_answerable_questions_may_be_lost_and_no_more() {
        let scores = Scores { answerable: scores(100, 0.4), left_out: scores(30, 0.305), general: scores(30, 0.0) };
        let (threshold, basis) = scores.threshold();
        assert_eq!(basis, ThresholdBasis::Measured);
        assert_eq!(refusals(&scores.answerable, threshold), Refusals { asked: 100, refused: 2 });
        assert_eq!(refusals(&scores.left_out, threshold), Refusals { asked: 30, refused: 12 });
        assert_eq!(refusals(&scores.general, threshold), Refusals { asked: 30, refused: 30 });
    }

    #[test]
    fn where_nothing_lies_between_the_middle_is_taken_and_nothing_is_lost_for_nothing() {
        let scores = Scores { answerable: scores(60, 0.6), left_out: vec![0.2], general: vec![0.3, 0.1] };
        let (threshold, _) = scores.threshold();
        assert!((0.44..0.47).contains(&threshold), "{threshold}");
        assert_eq!(refusals(&scores.answerable, threshold).refused, 0);
    }

    #[test]
    fn too_few_questions_choose_no_threshold() {
        let few = Scores { answerable: scores(49, 0.6), ..Scores::default() };
        assert_eq!(few.threshold(), (SHIPPED, ThresholdBasis::Shipped));
        assert_eq!(Scores::default().threshold(), (SHIPPED, ThresholdBasis::Shipped));
    }
}
