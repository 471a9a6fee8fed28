//! Parts of answers.

use twin_schemas::{
    AnswerCheck, AnswerMode, AnswerPart, Answered, Category, Citation, Copied, DocumentId, FailureKind, FinishReason,
    Passage, Revision, SentenceSupport, StageTimings, SupportReason, Usage, Voice, WrittenText,
};
use uuid::Uuid;

fn passage() -> Passage {
    Passage {
        document_id: DocumentId(Uuid::from_u128(7)),
        revision: Revision(2),
        ordinal: 3,
        natural_key: "first".into(),
        title: Some("First".into()),
        url: None,
        category: Category::Post,
        heading_path: vec!["Top".into()],
        text: "hello".into(),
        score: 0.75,
    }
}

pub fn retrieved() -> AnswerPart {
    AnswerPart::Retrieved { passages: vec![passage()], timings: StageTimings::default() }
}

pub fn delta(text: &str) -> AnswerPart {
    AnswerPart::Delta { text: text.into() }
}

pub fn support(sentence: &str) -> AnswerPart {
    AnswerPart::Support(Box::new(SentenceSupport {
        text: sentence.into(),
        supported: true,
        marker: Some(1),
        score: 0.75,
        reason: SupportReason::Supported,
        unknown: None,
    }))
}

pub fn failed(kind: FailureKind) -> AnswerPart {
    AnswerPart::Failed { kind, message: "as the script says".into() }
}

pub fn finished(text: &str, abstained: bool) -> AnswerPart {
    AnswerPart::Finished(Box::new(Answered {
        text: text.into(),
        abstained,
        mode: AnswerMode::Generated,
        citations: vec![Citation { marker: 1, cited: !abstained, passage: passage() }],
        model: "scripted".into(),
        finish_reason: FinishReason::Stop,
        usage: Usage { prompt_tokens: 20, completion_tokens: 4 },
        timings: StageTimings { queue_ms: 1.0, embed_ms: 2.0, search_ms: 3.0, first_token_ms: 4.0, generate_ms: 5.0 },
        check: AnswerCheck::default(),
        searched_question: Some("So? hi".into()),
    }))
}

pub fn written(answered: Answered) -> AnswerPart {
    let check = AnswerCheck {
        grounded_share: Some(0.25),
        invented_quotations: vec!["as nobody ever said".into()],
        ..AnswerCheck::default()
    };
    let answered = Answered { check, ..answered };
    let copied = |marker| Copied { text: "hello".into(), marker, passage: passage() };
    AnswerPart::Written(Box::new(WrittenText {
        answered,
        voice: Voice::Examples,
        examples: vec![passage()],
        copied: vec![copied(Some(1)), copied(None)],
    }))
}
