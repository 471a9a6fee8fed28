//! What a model makes of the questions, and what serving makes of that.

use tracing::warn;
use twin_llm::ABSTENTION;
use twin_schemas::AnswerCheck;
use twin_text::repetition::Repetition;

use super::questions::{Question, Questions};
use super::serving::Checks;
use crate::{SampleKind, Subject, SubjectError, Subjects};

/// What comes of a question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    /// What the model wrote, as far as it does not repeat itself; or that the twin does not know, where it asks no model.
    pub(crate) text: String,
    /// What the passages support of it, once that is known.
    pub(crate) check: Option<AnswerCheck>,
}

/// Puts a question to a model, unless serving would not.
pub(crate) async fn answer(subject: &dyn Subject, question: &Question) -> Result<Served, SubjectError> {
    let text = match question.rehearsed.asks {
        true => cut(subject.answer(&question.rehearsed.prompt).await?.text),
        false => ABSTENTION.to_owned(),
    };
    Ok(Served { text, check: None })
}

/// The text up to where it begins to repeat itself, as serving cuts it.
fn cut(mut text: String) -> String {
    if let Some(begun) = Repetition::default().since(&text) {
        text.truncate(text[..begun].trim_end().len());
    }
    text
}

/// Checks what all models made of the questions, as serving does. Returns why that was not possible, if so.
pub(crate) async fn check(
    questions: Option<&Questions>,
    models: Vec<&mut [Served]>,
    subjects: &dyn Subjects,
) -> Option<String> {
    let questions = questions.map(|questions| questions.questions.as_slice()).filter(|asked| !asked.is_empty())?;
    let failed = |error: SubjectError| {
        warn!(%error, "answers are not held against their passages");
        Some(error.to_string())
    };
    let checks = match subjects.checks().await {
        Ok(Some(checks)) => checks,
        Ok(None) => return Some("there is no embedding model to check them with".to_owned()),
        Err(error) => return failed(error),
    };
    for served in models {
        if let Err(error) = check_each(checks.as_ref(), questions, served).await {
            return failed(error);
        }
    }
    None
}

/// Checks the answers to questions that a text of the author answers.
async fn check_each(checks: &dyn Checks, questions: &[Question], served: &mut [Served]) -> Result<(), SubjectError> {
    for (question, served) in questions.iter().zip(served) {
        if question.kind == SampleKind::Grounded && question.rehearsed.asks {
            served.check = Some(checks.check(&served.text, question.given()).await?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn an_answer_that_goes_round_in_circles_is_cut_as_in_serving() {
        let good = "The hive survived the frost because I wrapped it in wool [1].";
        assert_eq!(cut(good.to_owned()), good);
        let circling = format!("{good} {}", "It is a good hive for bees. ".repeat(5));
        assert_eq!(cut(circling), format!("{good} It is a good hive for bees."));
    }
}
