//! The documents of a dataset version, and which part of it each is in.
//!
//! A version's split is kept here and not in its manifest alone: the next version goes on with it, whatever becomes of that
//! file, and lineage can tell what taught from what tested.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use twin_schemas::{DatasetId, DatasetManifest, DocumentId, Revision, Split};

use crate::model::DatasetRow;
use crate::{Error, Registry};

/// A document that a version was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The document.
    pub document_id: DocumentId,
    /// The revision that was read.
    pub revision: Revision,
    /// Passages of it that samples are made of. 0: it has its place in the split, and no word of it is in the version.
    pub passages: u64,
    /// Where in the version it is. None: noted by an earlier version of this program, which did not say.
    pub placement: Option<Placement>,
}

/// A [`Member`] as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptMember {
    /// What was noted.
    pub member: Member,
    /// When the document was deleted, if it was since.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Which split a document is in, and what decided it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// What its samples are for.
    pub split: Split,
    /// How documents were divided.
    pub rule: SplitRule,
}

/// How an author's documents are divided: a document stays in its split as long as this is the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitRule {
    /// Decides the place of each document.
    pub seed: u64,
    /// Share of the documents that are trained on, 0 to 1.
    pub train_share: f64,
    /// Share of the documents that tell when to stop, 0 to 1. The rest is tested with.
    pub validation_share: f64,
}

/// Where the documents of a version are.
pub type Placements = BTreeMap<DocumentId, Placement>;

/// Where a version's manifest says that its documents are. Empty where it does not say how they were divided.
pub fn placements_of(manifest: &DatasetManifest) -> Placements {
    // Whatever else there was to set.
    let Ok(rule) = SplitRule::deserialize(&manifest.options) else { return Placements::new() };
    let placed = manifest.documents.iter().filter_map(|document| Some((document.document_id, document.split?)));
    placed.map(|(document, split)| (document, Placement { split, rule })).collect()
}

/// Members read at a time.
const PART: usize = 1_000;

impl Registry {
    /// The documents that a version was made of, by id.
    pub(crate) async fn members(&self, dataset: &DatasetId) -> Result<Vec<KeptMember>, Error> {
        let (mut members, mut after) = (Vec::new(), None);
        loop {
            let part = self.store.members(dataset, after, PART).await?;
            let is_last = part.len() < PART;
            after = part.last().map(|kept| kept.member.document_id);
            members.extend(part);
            if is_last {
                return Ok(members);
            }
        }
    }

    /// Share of a version's passages, 0 to 1, whose documents were deleted since. Rows of earlier versions of this program
    /// count one passage for each document.
    pub async fn deleted_share(&self, version: &DatasetRow) -> Result<f64, Error> {
        if version.deleted_documents == 0 {
            return Ok(0.0);
        }
        let (mut all, mut deleted) = (0_u64, 0_u64);
        for KeptMember { member, deleted_at } in self.members(&version.dataset).await? {
            all += member.passages;
            deleted += deleted_at.map_or(0, |_| member.passages);
        }
        Ok(if all == 0 { 0.0 } else { deleted as f64 / all as f64 })
    }

    /// Where the documents of a version are, as its rows say. None for one that an earlier version of this program
    /// registered: its rows do not say, but its manifest does ([`placements_of`]).
    pub async fn placements(&self, dataset: &DatasetId) -> Result<Option<Placements>, Error> {
        let members = self.members(dataset).await?;
        let placed = members.into_iter().map(|kept| Some((kept.member.document_id, kept.member.placement?)));
        // All of a version's rows say it, or none does; and no version is without a document.
        Ok(placed.collect::<Option<Placements>>().filter(|placements| !placements.is_empty()))
    }
}
