//! What several routes answer with.

use twin_api::{AnswerCheckView, CitationView, PassageView, SentenceSupportView, TimingsView, UsageView};
use twin_schemas::{AnswerCheck, Answered, Citation, Passage, SentenceSupport, StageTimings, Usage};

/// What a client is shown of a row.
pub trait Shown {
    /// The type of the API.
    type View;

    /// The row as it is shown.
    fn shown(self) -> Self::View;
}

impl Shown for Passage {
    type View = PassageView;

    fn shown(self) -> PassageView {
        PassageView {
            document_id: self.document_id.0,
            natural_key: self.natural_key,
            revision: self.revision.0,
            ordinal: self.ordinal,
            text: self.text,
            title: self.title,
            url: self.url,
            category: self.category,
            score: self.score,
            heading_path: self.heading_path,
        }
    }
}

impl Shown for Citation {
    type View = CitationView;

    fn shown(self) -> CitationView {
        CitationView { marker: self.marker, cited: self.cited, passage: self.passage.shown() }
    }
}

impl Shown for SentenceSupport {
    type View = SentenceSupportView;

    fn shown(self) -> SentenceSupportView {
        SentenceSupportView {
            text: self.text,
            supported: self.supported,
            marker: self.marker,
            score: self.score,
            reason: self.reason,
            unknown: self.unknown,
        }
    }
}

impl Shown for AnswerCheck {
    type View = AnswerCheckView;

    fn shown(self) -> AnswerCheckView {
        AnswerCheckView {
            support: self.support.into_iter().map(Shown::shown).collect(),
            grounded_share: self.grounded_share,
            invented_quotations: self.invented_quotations,
            replaced: self.replaced,
        }
    }
}

impl Shown for Usage {
    type View = UsageView;

    fn shown(self) -> UsageView {
        UsageView {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_tokens: self.prompt_tokens.saturating_add(self.completion_tokens),
        }
    }
}

/// Where the time went, of `total` milliseconds.
pub fn timings(total: f64, stages: StageTimings) -> TimingsView {
    TimingsView {
        total,
        queue: stages.queue_ms,
        embed: stages.embed_ms,
        search: stages.search_ms,
        first_token: stages.first_token_ms,
        generate: stages.generate_ms,
    }
}

/// The citations of an answer.
pub fn citations(answered: &mut Answered) -> Vec<CitationView> {
    std::mem::take(&mut answered.citations).into_iter().map(Shown::shown).collect()
}
