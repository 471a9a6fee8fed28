//! The threshold that scores of questions ask for, and the scores by which it is judged: pure functions.

use twin_warehouse::{Refusals, ThresholdBasis};

use crate::thresholds::SHIPPED;

/// Answerable questions that may be refused, as a share of those that the threshold is chosen by.
const MOST_LOST: f64 = 0.02;

/// Answerable questions that a threshold is measured by, at least. One half chooses it, and none of 25 may be lost.
pub(super) const LEAST_QUESTIONS: usize = 50;

/// Scores of questions, in the order in which these were made.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Scores {
    /// That the author's texts answer.
    pub(super) answerable: Vec<f32>,
    /// The same where the documents that answer are left out.
    pub(super) left_out: Vec<f32>,
    /// On other fields.
    pub(super) general: Vec<f32>,
}

/// A threshold.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) threshold: f32,
    pub(super) basis: ThresholdBasis,
    /// Scores that it was not chosen by. How many of these it refuses tells what it does to questions that nobody has seen.
    pub(super) others: Scores,
}

impl Scores {
    /// The threshold by one half of the questions, to be judged by the other one. Too few: the one that is shipped, to be
    /// judged by all of them.
    pub(super) fn choose(self) -> Choice {
        if self.answerable.len() < LEAST_QUESTIONS {
            return Choice { threshold: SHIPPED, basis: ThresholdBasis::Shipped, others: self };
        }
        let threshold = self.half(true).threshold();
        Choice { threshold, basis: ThresholdBasis::Measured, others: self.half(false) }
    }

    fn half(&self, chooses: bool) -> Self {
        let half = |scores: &[f32]| half(scores, chooses);
        Self { answerable: half(&self.answerable), left_out: half(&self.left_out), general: half(&self.general) }
    }

    /// The threshold that loses at most [`MOST_LOST`] of the answerable questions and refuses most of the others. Of the
    /// thresholds that refuse the same, the one in their middle.
    fn threshold(&self) -> f32 {
        let mut answerable = self.answerable.clone();
        answerable.sort_by(f32::total_cmp);
        let highest = answerable[(MOST_LOST * answerable.len() as f64) as usize];
        let others = self.left_out.iter().chain(&self.general).copied();
        let nearest = others.filter(|score| *score < highest).max_by(f32::total_cmp);
        nearest.map_or(highest, |nearest| (nearest + highest) / 2.0)
    }
}

/// Every second pair of scores. Of every second one, all questions of sentences would have the same form, as the forms
/// alternate too.
fn half(scores: &[f32], chooses: bool) -> Vec<f32> {
    let numbered = scores.iter().enumerate().filter(|(number, _)| (number / 2 % 2 == 0) == chooses);
    numbered.map(|(_, score)| *score).collect()
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
        let scores = Scores { answerable: scores(50, 0.4), left_out: scores(30, 0.305), general: scores(30, 0.0) };
        let threshold = scores.threshold();
        assert_eq!(refusals(&scores.answerable, threshold), Refusals { asked: 50, refused: 1 });
        assert_eq!(refusals(&scores.left_out, threshold), Refusals { asked: 30, refused: 11 });
        assert_eq!(refusals(&scores.general, threshold), Refusals { asked: 30, refused: 30 });
    }

    #[test]
    fn where_nothing_lies_between_the_middle_is_taken_and_nothing_is_lost_for_nothing() {
        let scores = Scores { answerable: scores(60, 0.6), left_out: vec![0.2], general: vec![0.3, 0.1] };
        let threshold = scores.threshold();
        assert!((0.44..0.47).contains(&threshold), "{threshold}");
        assert_eq!(refusals(&scores.answerable, threshold).refused, 0);
    }

    #[test]
    fn a_threshold_is_judged_by_questions_that_it_was_not_chosen_by() {
        // Of the half that chooses, all have .6; of the other one, five have less.
        let mut answerable = vec![0.6; 100];
        for number in [2, 3, 6, 7, 10] {
            answerable[number] = 0.1;
        }
        let general = vec![0.3; 8];
        let choice = Scores { left_out: answerable.clone(), answerable, general }.choose();
        assert_eq!(choice.basis, ThresholdBasis::Measured);
        assert!((0.44..0.46).contains(&choice.threshold), "{}", choice.threshold);
        assert_eq!(refusals(&choice.others.answerable, choice.threshold), Refusals { asked: 50, refused: 5 });
        assert_eq!(refusals(&choice.others.left_out, choice.threshold), Refusals { asked: 50, refused: 5 });
        assert_eq!(refusals(&choice.others.general, choice.threshold), Refusals { asked: 4, refused: 4 });
    }

    #[test]
    fn too_few_questions_choose_no_threshold_and_judge_the_shipped_one_all_of_them() {
        let few = || Scores { answerable: scores(49, 0.6), ..Scores::default() };
        let shipped = |others| Choice { threshold: SHIPPED, basis: ThresholdBasis::Shipped, others };
        assert_eq!(few().choose(), shipped(few()));
        assert_eq!(Scores::default().choose(), shipped(Scores::default()));
    }
}
