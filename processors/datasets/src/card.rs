//! The card of a version: what a person reads of it, in the form of a Hugging Face dataset card.
//!
//! Deliberately not in it: number, date and id of the version. The card is a file of the version, so its bytes are part
//! of the id, which must not depend on them; they are in `manifest.json` beside it. For the same reason a change of the
//! card's wording gives versions frozen from then on another id, though their samples are the same.

use std::fmt::Write;

use crate::manifest::{DatasetFile, Manifest, SampleKind};
use crate::split::Split;

/// Kinds of files that are data, with what they are for.
const FORMS: [(&str, &str); 4] = [
    ("sft", "conversations (`messages`), for supervised fine-tuning"),
    ("prompt_completion", "the same, as `prompt` and `completion`"),
    ("preference", "`prompt`, `chosen` (the author's words) and `rejected` (a model's), for DPO"),
    ("eval", "test samples with their reference, passages and the right one's index"),
];

/// What `load_dataset(FOLDER)` gives: the form that most trainers take.
const DEFAULT_FORM: &str = "sft";

/// The card, as Markdown.
pub(crate) fn card(manifest: &Manifest) -> String {
    let mut card = front_matter(&manifest.files);
    let author = &manifest.author;
    let read = manifest.documents.len();
    let used = manifest.members().count();
    // Writing to a string does not fail.
    let _ = write!(
        card,
        "\n# Instructions in the words of {author}\n\nMade of {used} of the {read} documents that {author} published. Every \
         answer is verbatim: a passage, or a sentence of one in quotation marks, or the fixed sentence that says that the \
         passages do not hold the answer. Documents are split, never samples: no document is in two splits, and training \
         passages that share too much with a held-out one are left out.\n\n## Samples\n\n| split | documents |"
    );
    let kinds = [SampleKind::Voice, SampleKind::Grounded, SampleKind::Refusal, SampleKind::Preference];
    for kind in kinds {
        let _ = write!(card, " {} |", name(kind));
    }
    let _ = writeln!(card, "\n|---|---:|{}", "---:|".repeat(kinds.len()));
    for split in Split::ALL {
        let is_in = |document: &&crate::SourceDocument| document.split == Some(split) && document.passages > 0;
        let documents = manifest.documents.iter().filter(is_in).count();
        let _ = write!(card, "| {} | {documents} |", split.as_str());
        for kind in kinds {
            let _ = write!(card, " {} |", manifest.count(split, kind));
        }
        card.push('\n');
    }
    card.push_str("\n![Lengths of answers](lengths.svg)\n\n## Left out\n\n| reason | passages |\n|---|---:|\n");
    for (reason, count) in manifest.refusals.iter() {
        let _ = writeln!(card, "| {} | {count} |", reason.as_str());
    }
    card.push_str(&files(&manifest.files));
    card.push_str(&making(manifest));
    card
}

/// What the Hugging Face hub and `datasets` read (<https://huggingface.co/docs/hub/datasets-manual-configuration>).
fn front_matter(files: &[DatasetFile]) -> String {
    let mut text = String::from("---\ntask_categories:\n- text-generation\ntags:\n- llm-twin\nconfigs:\n");
    for (form, _) in FORMS {
        let names: Vec<&DatasetFile> = files.iter().filter(|file| file.name.split('/').next() == Some(form)).collect();
        if names.is_empty() {
            continue;
        }
        let _ = writeln!(text, "- config_name: {form}");
        // Which one a reader gets who names none; without it that is an error.
        if form == DEFAULT_FORM {
            text.push_str("  default: true\n");
        }
        text.push_str("  data_files:\n");
        // In the order of training, as people expect them, not of the alphabet.
        for split in Split::ALL {
            let wanted = format!("{form}/{}.jsonl", split.as_str());
            if names.iter().any(|file| file.name == wanted) {
                let _ = writeln!(text, "  - split: {}\n    path: {wanted}", split.as_str());
            }
        }
    }
    text.push_str("---\n");
    text
}

fn files(files: &[DatasetFile]) -> String {
    let mut text = String::from("\n## Files\n\n| file | lines | bytes |\n|---|---:|---:|\n");
    for file in files {
        let _ = writeln!(text, "| {} | {} | {} |", file.name, file.lines, file.bytes);
    }
    text.push('\n');
    for (form, what) in FORMS {
        if files.iter().any(|file| file.name.starts_with(form)) {
            let _ = writeln!(text, "- `{form}/`: {what}");
        }
    }
    text
}

fn making(manifest: &Manifest) -> String {
    let mut text = format!(
        "\n## How it was made\n\nBuild version {}, seed {}; all options, the source documents with their revisions and the \
         content hash of each file are in `manifest.json`.\n",
        manifest.build_version, manifest.options.seed
    );
    if let Some(model) = &manifest.instructor {
        let count: usize = manifest.documents.iter().map(|document| document.instructions_by_model.len()).sum();
        let _ = writeln!(text, "\n{count} instructions were written by {model}; the manifest names their passages.");
    }
    if let Some(model) = &manifest.rejected_by {
        let _ = writeln!(text, "\nThe rejected answers of preferences are those of {model}.");
    }
    text
}

fn name(kind: SampleKind) -> &'static str {
    match kind {
        SampleKind::Voice => "voice",
        SampleKind::Grounded => "grounded",
        SampleKind::Refusal => "refusal",
        SampleKind::Preference => "preference",
    }
}
