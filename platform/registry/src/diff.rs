//! What changed between two dataset versions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twin_schemas::{DatasetId, DatasetManifest, DocumentId, SampleKind, SourceDocument, Split};

/// What changed from one version to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// The version compared.
    pub from: DatasetId,
    /// The version compared with.
    pub to: DatasetId,
    /// Documents that only the second was made of.
    pub added: Vec<DocumentId>,
    /// Documents that only the first was made of.
    pub removed: Vec<DocumentId>,
    /// Documents of which the two read other content.
    pub changed: Vec<DocumentId>,
    /// Documents that are in another split.
    pub moved: Vec<DocumentId>,
    /// Samples of both, where they differ.
    pub counts: Vec<CountChange>,
    /// The options differ.
    pub options_changed: bool,
    /// They were made by different versions of the code.
    pub build_changed: bool,
}

/// Samples of a split and kind in both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountChange {
    /// The split.
    pub split: Split,
    /// The kind.
    pub kind: SampleKind,
    /// In the first.
    pub before: u64,
    /// In the second.
    pub after: u64,
}

/// What changed from `a` to `b`.
pub fn diff(a: &DatasetManifest, b: &DatasetManifest) -> Diff {
    let by_id = |manifest: &'_ DatasetManifest| -> BTreeMap<DocumentId, SourceDocument> {
        manifest.documents.iter().map(|document| (document.document_id, document.clone())).collect()
    };
    let (before, after) = (by_id(a), by_id(b));
    let only = |these: &BTreeMap<DocumentId, SourceDocument>, others: &BTreeMap<DocumentId, SourceDocument>| {
        these.keys().filter(|id| !others.contains_key(id)).copied().collect()
    };
    let both = |differ: fn(&SourceDocument, &SourceDocument) -> bool| {
        let pairs = before.iter().filter_map(|(id, old)| Some((id, old, after.get(id)?)));
        pairs.filter(|(_, old, new)| differ(old, new)).map(|(id, ..)| *id).collect()
    };
    let pairs = Split::ALL.into_iter().flat_map(|split| SampleKind::ALL.map(|kind| (split, kind)));
    let counts = pairs.map(|(split, kind)| CountChange {
        split,
        kind,
        before: a.count(split, kind),
        after: b.count(split, kind),
    });
    Diff {
        from: a.dataset.clone(),
        to: b.dataset.clone(),
        added: only(&after, &before),
        removed: only(&before, &after),
        changed: both(|old, new| old.content_hash != new.content_hash),
        moved: both(|old, new| old.split != new.split && old.split.is_some() && new.split.is_some()),
        counts: counts.filter(|change| change.before != change.after).collect(),
        options_changed: a.options != b.options,
        build_changed: a.build_version != b.build_version,
    }
}
