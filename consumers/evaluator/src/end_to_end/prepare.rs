//! Puts questions of the test split, or of all documents that folds measure, to serving.

use tracing::warn;
use twin_artifacts::Artifacts;
use twin_llm::quotations::{Originals, quotations};
use twin_llm::{question_of, without_markers};
use twin_schemas::AuthorId;
use twin_text::sentences::sentences;
use twin_text::words::words;

use super::questions::{Asked, Question, Questions};
use super::serving::{Serving, ServingError};
use crate::{Error, Options, SampleKind, TestSample, select};

/// A sentence of fewer words, such as `So it is.`, stands in many a text that answers nothing.
const LEAST_WORDS: usize = 4;

/// What an evaluation of this author is told of answers from end to end: questions of these samples, as many of each kind as
/// the options say, with what serving did for them.
///
/// # Errors
/// If this process stops, or the artifact store fails. What else goes wrong is told in the order.
pub(crate) async fn prepare(
    serving: &dyn Serving,
    artifacts: &Artifacts,
    author: &AuthorId,
    samples: &[TestSample],
    options: &Options,
) -> Result<Asked, Error> {
    if options.max_asked == 0 {
        return Ok(Asked::Absent("`evaluator.measure.max_asked` is 0".to_owned()));
    }
    match questions(serving, author, samples, options).await {
        Ok(questions) => match nothing_to_measure(&questions) {
            Some(why) => Ok(Asked::Absent(why.to_owned())),
            None => Ok(Asked::Questions(artifacts.put(serde_json::to_vec(&questions)?).await?)),
        },
        Err(ServingError::Stopping) => Err(Error::Stopping),
        Err(error) => {
            warn!(%author, %error, "answers are not measured from end to end");
            Ok(Asked::Absent(format!("the author's texts can not be searched: {error}")))
        }
    }
}

fn nothing_to_measure(questions: &Questions) -> Option<&'static str> {
    if questions.questions.is_empty() {
        return Some("the test split has no question");
    }
    let finds_nothing = questions.questions.iter().all(|question| question.rehearsed.passages.is_empty());
    finds_nothing.then_some("the index has no passage of the author")
}

async fn questions(
    serving: &dyn Serving,
    author: &AuthorId,
    samples: &[TestSample],
    options: &Options,
) -> Result<Questions, ServingError> {
    let most = options.max_asked;
    let few = Options { max_voice: 0, max_grounded: most, max_refusal: most, ..options.clone() };
    let mut questions = Questions { settings: serving.settings(), ..Questions::default() };
    for sample in select(samples, &few) {
        let Some((asked, answers)) = asked(&sample) else { continue };
        let without = (sample.kind == SampleKind::Refusal).then_some(sample.document_id);
        let rehearsed = serving.rehearse(author, &asked, without).await?;
        let TestSample { kind, document_id, .. } = sample;
        questions.questions.push(Question { kind, document_id, asked, answers, rehearsed });
    }
    Ok(questions)
}

/// What a sample asks, and the sentences that answer it. None if it asks nothing, or is grounded and nothing of its reference is
/// in its passage.
fn asked(sample: &TestSample) -> Option<(String, Vec<String>)> {
    let question = question_of(&sample.prompt)?.trim();
    let answers = match sample.kind {
        SampleKind::Voice => return None,
        SampleKind::Grounded => answers(&sample.reference, sample.passages.get(sample.right?)?)?,
        SampleKind::Refusal => Vec::new(),
    };
    (!question.is_empty()).then(|| (question.to_owned(), answers))
}

/// The sentences of a passage that a reference answers with: the last that it quotes of it, since what stands before a quotation
/// leads up to it; or those of its prose, of which it is not told which one answers.
fn answers(reference: &str, passage: &str) -> Option<Vec<String>> {
    let passage = Originals::new([passage]);
    let tells = |text: &String| words(text).len() >= LEAST_WORDS && passage.hold(text);
    if let Some(quotation) = quotations(reference).into_iter().rfind(tells) {
        return Some(vec![quotation]);
    }
    let prose = without_markers(reference);
    let said = sentences(&prose, 0..prose.len()).into_iter().map(|range| prose[range].trim().to_owned());
    let said: Vec<String> = said.filter(tells).collect();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::answers;

    const PASSAGE: &str =
        "I keep bees. The hive survived the frost because I wrapped it in wool. It was a long winter.";

    fn of(reference: &str) -> Option<Vec<String>> {
        answers(reference, PASSAGE)
    }

    #[test]
    fn what_answers_is_what_the_reference_quotes_of_the_passage() {
        let wool = "The hive survived the frost because I wrapped it in wool.".to_owned();
        assert_eq!(of(&format!("\"{wool}\" [2]")), Some(vec![wool.clone()]));
        assert_eq!(of(&format!("I keep bees. [2] \"{wool}\" [2]")), Some(vec![wool.clone()]));
        let of_two = format!("\"{wool}\" [2] \"In February the queen had begun to lay eggs.\" [3]");
        assert_eq!(of(&of_two), Some(vec![wool.clone()]), "the second is of another passage");
        let winter = "It was a long winter.".to_owned();
        assert_eq!(of(&format!("{wool} {winter} [1]")), Some(vec![wool.clone(), winter]), "either may be meant");
        assert_eq!(of(&format!("I keep bees. {wool} [1]")), Some(vec![wool]), "three words tell nothing");
        assert_eq!(of("Nothing of the kind [1]."), None);
    }
}
