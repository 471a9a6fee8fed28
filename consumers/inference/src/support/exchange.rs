//! Two names or numbers of a sentence, each in the other's place: `Kafka replaces MongoDB` for `MongoDB replaces Kafka`.
//!
//! All words are there, so neither words nor vectors tell. It is told where the sentence is that of a passage word for word
//! otherwise; one that is put in other words besides is not told.

use super::claims::is_content;

/// Words of a sentence of which it can be told, at least.
const LEAST_WORDS: usize = 4;

/// The word that stands first where its partner should, if `claim` is `said` with two words exchanged. Both are given as they
/// are compared, and one may have words around it that the other has not. `is_fact`: a word is a name or a number. What stands
/// side by side, as in a list, may change places.
pub(super) fn exchanged<'a>(claim: &'a [String], said: &[String], is_fact: impl Fn(&str) -> bool) -> Option<&'a str> {
    let length = claim.len().min(said.len());
    if length < LEAST_WORDS {
        return None;
    }
    let pairs = claim.windows(length).flat_map(|claim| said.windows(length).map(move |said| (claim, said)));
    pairs.filter_map(|(claim, said)| places(claim, said).map(|places| (claim, places))).find_map(
        |(claim, (one, other))| {
            let is_apart = claim[one + 1..other].iter().any(|word| is_content(word) && !is_fact(word));
            (is_apart && is_fact(&claim[one]) && is_fact(&claim[other])).then_some(claim[one].as_str())
        },
    )
}

/// Whether one of two sentences has the other word for word.
pub(super) fn is_within(claim: &[String], said: &[String]) -> bool {
    let (short, long) = if claim.len() <= said.len() { (claim, said) } else { (said, claim) };
    short.len() >= LEAST_WORDS && long.windows(short.len()).any(|window| window == short)
}

/// The two places in which texts of one length differ, if each has there what the other has in the other place.
fn places(claim: &[String], said: &[String]) -> Option<(usize, usize)> {
    let mut differing = (0..claim.len()).filter(|at| claim[*at] != said[*at]);
    let (one, other) = (differing.next()?, differing.next()?);
    let is_exchange = claim[one] == said[other] && claim[other] == said[one];
    (is_exchange && differing.next().is_none()).then_some((one, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(claim: &str, said: &str) -> Option<String> {
        let words = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let is_fact = |word: &str| ["kafka", "mongodb", "qdrant", "5", "10"].contains(&word);
        exchanged(&words(claim), &words(said), is_fact).map(str::to_owned)
    }

    #[test]
    fn two_names_or_numbers_that_change_places_are_told() {
        let said = "there Kafka replaces MongoDB at last";
        assert_eq!(told("there MongoDB replaces Kafka at last", said).as_deref(), Some("mongodb"));
        assert_eq!(told("in short there MongoDB replaces Kafka at last", said).as_deref(), Some("mongodb"));
        assert_eq!(told("MongoDB replaces Kafka at", said).as_deref(), Some("mongodb"));
        assert_eq!(told("it falls from 10 percent to 5", "it falls from 5 percent to 10").as_deref(), Some("10"));
    }

    #[test]
    fn what_stands_in_a_list_may_change_places_and_what_is_no_fact_is_not_told() {
        for (claim, said) in [
            ("it needs MongoDB or Kafka today", "it needs Kafka or MongoDB today"),
            ("it needs MongoDB Qdrant and Kafka today", "it needs Kafka Qdrant and MongoDB today"),
            ("a bee likes an old tree", "a tree likes an old bee"),
            ("there Kafka replaces MongoDB at last", "there Kafka replaces MongoDB at last"),
            ("there Qdrant replaces Kafka at last", "there Kafka replaces MongoDB at last"),
            ("MongoDB replaces Kafka", "Kafka replaces MongoDB"),
        ] {
            assert_eq!(told(claim, said), None, "{claim}");
        }
    }
}
