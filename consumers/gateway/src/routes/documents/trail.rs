//! How far a document's newest revision has come, and why it is not searched.

use twin_api::{StageState, StageView};
use twin_schemas::Revision;
use twin_warehouse::{DocumentRow, LedgerEntry, Progress, ProgressState, StageName};

const STAGES: [StageName; 5] =
    [StageName::Collected, StageName::Published, StageName::Cleaned, StageName::Chunked, StageName::Indexed];

/// The way of the newest revision through the stages.
pub struct Trail {
    pub stages: Vec<StageView>,
    /// Why the newest revision is not searched; none if it is.
    pub reason: Option<String>,
}

impl Trail {
    pub fn new(
        row: &DocumentRow,
        progress: &[Progress],
        indexed: Option<&LedgerEntry>,
        live: Option<Revision>,
    ) -> Self {
        let newest = row.meta.revision;
        let indexed = indexed.filter(|entry| entry.revision >= newest);
        let mut stages: Vec<StageView> = STAGES
            .into_iter()
            .map(|stage| {
                let noted = progress.iter().find(|note| note.revision == newest && note.stage == stage);
                stage_view(row, stage, noted, indexed)
            })
            .collect();
        settle(&mut stages);
        let reason = reason(row, &stages, live);
        Self { stages, reason }
    }
}

fn stage_view(
    row: &DocumentRow,
    stage: StageName,
    noted: Option<&Progress>,
    indexed: Option<&LedgerEntry>,
) -> StageView {
    let done_at = match stage {
        StageName::Collected => Some(Some(row.meta.observed_at)),
        StageName::Published => row.published.then_some(None),
        StageName::Indexed => indexed.map(|entry| Some(entry.indexed_at)),
        StageName::Cleaned | StageName::Chunked => None,
    };
    let stage = stage.as_str().to_owned();
    if let Some(at) = done_at {
        return StageView { stage, state: StageState::Done, at, reason: None };
    }
    let (state, reason) = match noted.map(|note| &note.state) {
        Some(ProgressState::Done) => (StageState::Done, None),
        Some(ProgressState::Rejected { reason }) => (StageState::Rejected, Some(reason.clone())),
        Some(ProgressState::Dead { reason }) => (StageState::Dead, Some(reason.clone())),
        None => (StageState::Pending, None),
    };
    StageView { stage, state, at: noted.map(|note| note.at), reason }
}

/// A stage that left no note but has a later stage behind it is done (notes are written beside the events and may come
/// late); one after an end is not reached.
fn settle(stages: &mut [StageView]) {
    let furthest = stages.iter().rposition(|stage| stage.state != StageState::Pending).unwrap_or(0);
    let ended = stages.iter().position(|stage| matches!(stage.state, StageState::Rejected | StageState::Dead));
    for (index, stage) in stages.iter_mut().enumerate() {
        if stage.state != StageState::Pending {
            continue;
        }
        if index < furthest {
            stage.state = StageState::Done;
        } else if ended.is_some_and(|end| index > end) {
            stage.state = StageState::NotReached;
        }
    }
}

fn reason(row: &DocumentRow, stages: &[StageView], live: Option<Revision>) -> Option<String> {
    if row.deleted {
        return Some("it was deleted".to_owned());
    }
    if live == Some(row.meta.revision) {
        return None;
    }
    let why = stages.iter().find_map(|stage| {
        let reason = stage.reason.as_deref().unwrap_or_default();
        match stage.state {
            StageState::Rejected => Some(format!("rejected, to be {}: {reason}", stage.stage)),
            StageState::Dead => {
                let help = "see `twin dlq list` and `twin dlq show`";
                Some(format!("dead-lettered, to be {}: {reason}; {help}", stage.stage))
            }
            StageState::Pending => Some(format!("still on its way: to be {} next", stage.stage)),
            StageState::Done | StageState::NotReached => None,
        }
    });
    let why = why.unwrap_or_else(|| "it is indexed and not live yet".to_owned());
    Some(match live {
        Some(earlier) => format!("{why}; revision {earlier} is searched meanwhile"),
        None => why,
    })
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use twin_schemas::{Category, ContentHash, DocumentId, DocumentMeta, MediaType, SourceKind};
    use uuid::Uuid;

    use super::*;

    fn row(revision: u64) -> DocumentRow {
        DocumentRow {
            meta: DocumentMeta {
                document_id: DocumentId(Uuid::from_u128(1)),
                revision: Revision(revision),
                author: "ada".parse().unwrap(),
                category: Category::Post,
                source_kind: SourceKind::push(),
                natural_key: "k".into(),
                title: None,
                url: None,
                published_at: None,
                observed_at: Utc::now(),
                content_hash: ContentHash::stored("sha256:0"),
            },
            source_id: None,
            media_type: MediaType::Text,
            content: "text".into(),
            deleted: false,
            published: true,
        }
    }

    fn note(revision: u64, stage: StageName, state: ProgressState) -> Progress {
        Progress {
            document_id: DocumentId(Uuid::from_u128(1)),
            revision: Revision(revision),
            stage,
            state,
            at: Utc::now(),
        }
    }

    fn entry(revision: u64) -> LedgerEntry {
        LedgerEntry {
            document_id: DocumentId(Uuid::from_u128(1)),
            revision: Revision(revision),
            chunks: 1,
            model: "m".into(),
            indexed_at: Utc::now(),
        }
    }

    fn states(trail: &Trail) -> Vec<StageState> {
        trail.stages.iter().map(|stage| stage.state).collect()
    }

    #[test]
    fn a_document_on_its_way_says_which_stage_is_next() {
        use StageState::{Done, Pending};
        let trail = Trail::new(&row(1), &[note(1, StageName::Cleaned, ProgressState::Done)], None, None);
        assert_eq!(states(&trail), [Done, Done, Done, Pending, Pending]);
        assert_eq!(trail.reason.unwrap(), "still on its way: to be chunked next");
    }

    #[test]
    fn an_indexed_document_is_done_even_where_a_note_is_late() {
        let trail = Trail::new(&row(1), &[], Some(&entry(1)), Some(Revision(1)));
        assert_eq!(states(&trail), [StageState::Done; 5]);
        assert_eq!(trail.reason, None);
    }

    #[test]
    fn a_rejected_revision_says_why_and_that_the_earlier_one_stays() {
        use StageState::{Done, NotReached, Rejected};
        let rejected = ProgressState::Rejected { reason: "no text is left".into() };
        let notes = [note(1, StageName::Cleaned, ProgressState::Done), note(2, StageName::Cleaned, rejected)];
        let trail = Trail::new(&row(2), &notes, Some(&entry(1)), Some(Revision(1)));
        assert_eq!(states(&trail), [Done, Done, Rejected, NotReached, NotReached]);
        let reason = trail.reason.unwrap();
        assert!(reason.contains("no text is left") && reason.contains("revision 1 is searched"), "{reason}");
    }

    #[test]
    fn a_dead_letter_says_where_to_look() {
        let dead = ProgressState::Dead { reason: "panic".into() };
        let trail = Trail::new(&row(1), &[note(1, StageName::Indexed, dead)], None, None);
        assert_eq!(states(&trail)[2..], [StageState::Done, StageState::Done, StageState::Dead]);
        assert!(trail.reason.unwrap().contains("twin dlq show"));
    }

    #[test]
    fn a_deleted_document_says_so() {
        let deleted = DocumentRow { deleted: true, ..row(2) };
        assert_eq!(Trail::new(&deleted, &[], Some(&entry(1)), None).reason.unwrap(), "it was deleted");
    }
}
