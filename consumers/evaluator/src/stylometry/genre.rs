//! Posts and articles: one author may write them by different habits, and who writes a post as the author writes articles does
//! not write it as the author does.
//!
//! So where an author has enough of both, a post is held against the author's other posts, and the articles are one impostor
//! more; and the other way round. That is right only for authors whose two genres differ. One who writes both alike would be
//! an impostor of their own, and half of the author's own texts would be nobody's. Whether they differ is asked of the author's
//! texts first ([`are_apart`]): each, left out of its genre, must be nearer to the rest of it than to the other one.

use twin_schemas::Category;

use super::impostors::Pool;
use super::masked::Language;

/// The mean score from which on the texts of a genre are told from the other one's. Of twelve ways to cut the works of one
/// writer in two none reaches it in both halves; of fifteen pairs of writers fourteen do (`tests/evaluation_genres.rs`).
const LEAST_SCORE: f64 = 0.6;

/// What prose is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Genre {
    /// Long prose.
    Article,
    /// Short prose.
    Post,
}

impl Genre {
    /// That of a document. What stands among code is of neither.
    pub fn of(category: Category) -> Option<Self> {
        match category {
            Category::Article => Some(Self::Article),
            Category::Post => Some(Self::Post),
            Category::Code => None,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Article => Self::Post,
            Self::Post => Self::Article,
        }
    }
}

/// Whether an author's texts of two genres are told apart by the hand that they show. Each text of a genre is all that one
/// document has of it. False where there is too little of either, with any one document left out.
pub fn are_apart(one: &[String], other: &[String], language: Language) -> bool {
    [(one, other), (other, one)].into_iter().all(|(own, foreign)| {
        let foreign = foreign.iter().map(String::as_str).collect();
        let pool = Pool::new(vec![foreign], language);
        let scores = (0..own.len()).map(|left_out| {
            let rest: Vec<&str> =
                own.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, text)| text.as_str()).collect();
            Some(pool.against(&rest, &[])?.score(&own[left_out]))
        });
        let scores: Option<Vec<f64>> = scores.collect();
        scores
            .is_some_and(|scores| !scores.is_empty() && scores.iter().sum::<f64>() / scores.len() as f64 >= LEAST_SCORE)
    })
}
