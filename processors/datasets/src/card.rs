//! The card of a version: what a person reads of it, in the form of a Hugging Face dataset card.
//!
//! Deliberately not in it: number, date and id of the version. The card is a file of the version, so its bytes are part
//! of the id, which must not depend on them; they are in `manifest.json` beside it. For the same reason a change of the
//! card's wording gives versions frozen from then on another id, though their samples are the same.

use std::fmt::Write;

use twin_schemas::{DatasetFile, DatasetManifest, FOLD_SAMPLES, SampleKind, SourceDocument, Split};

/// A kind of files that are data.
struct Form {
    /// The folder of the files.
    name: &'static str,
    /// What they are for.
    what: &'static str,
    columns: &'static [(&'static str, Type)],
}

/// What is in a column.
enum Type {
    Text,
    Texts,
    Index,
    Flag,
    Messages,
}

const FORMS: [Form; 4] = [
    Form {
        name: "sft",
        what: "conversations (`messages`), for supervised fine-tuning; `ends` says whether the answer is over where its text \
               ends, so that an end may be learned there",
        columns: &[("messages", Type::Messages), ("kind", Type::Text), ("ends", Type::Flag)],
    },
    Form {
        name: "prompt_completion",
        what: "the same as `prompt` and `completion`, those alone whose answer is over where its text ends: an end is learned \
               after each",
        columns: &[("prompt", Type::Messages), ("completion", Type::Messages)],
    },
    Form {
        name: "preference",
        what: "`prompt`, `chosen` (the author's words) and `rejected` (a model's), for DPO",
        columns: &[("prompt", Type::Messages), ("chosen", Type::Messages), ("rejected", Type::Messages)],
    },
    Form {
        name: "eval",
        what: "test samples with their reference, passages and the right one's index; `ends` as above",
        columns: &[
            ("kind", Type::Text),
            ("document_id", Type::Text),
            ("prompt", Type::Messages),
            ("reference", Type::Text),
            ("passages", Type::Texts),
            ("right", Type::Index),
            ("ends", Type::Flag),
        ],
    },
];

/// What `load_dataset(FOLDER)` gives: the form that most trainers take.
const DEFAULT_FORM: &str = "sft";

/// The card, as Markdown.
pub(crate) fn card(manifest: &DatasetManifest) -> String {
    let mut card = front_matter(&manifest.files);
    let author = &manifest.author;
    let read = manifest.documents.len();
    let used = manifest.members().count();
    // Writing to a string does not fail.
    let _ = write!(
        card,
        "\n# Instructions in the words of {author}\n\nMade of {used} of the {read} documents that {author} published. Every \
         answer is verbatim: a passage, its title, sentences with the markers of their passages, or the fixed sentence that says \
         that the passages do not hold the answer. Documents are split, never samples: no document and no prompt is in two \
         splits, and training passages that share too much with a held-out one are left out.\n\n## Samples\n\n| split | documents |"
    );
    let kinds = [SampleKind::Voice, SampleKind::Grounded, SampleKind::Refusal, SampleKind::Preference];
    for kind in kinds {
        let _ = write!(card, " {} |", name(kind));
    }
    let _ = writeln!(card, "\n|---|---:|{}", "---:|".repeat(kinds.len()));
    for split in Split::ALL {
        let is_in = |document: &&SourceDocument| document.split == Some(split) && document.passages > 0;
        let documents = manifest.documents.iter().filter(is_in).count();
        let _ = write!(card, "| {} | {documents} |", split.as_str());
        for kind in kinds {
            let _ = write!(card, " {} |", manifest.count(split, kind));
        }
        card.push('\n');
    }
    card.push_str("\n| kind | characters of the longest sample, prompt and answer |\n|---|---:|\n");
    for (kind, longest) in &manifest.longest {
        let _ = writeln!(card, "| {} | {longest} |", name(*kind));
    }
    card.push_str("\nA trainer that cuts samples, or leaves long ones out, has to have room for these.\n");
    card.push_str("\n![Lengths of answers](lengths.svg)\n\n## Left out\n\n| reason | passages |\n|---|---:|\n");
    for (reason, count) in manifest.refusals.iter() {
        let _ = writeln!(card, "| {} | {count} |", reason.as_str());
    }
    card.push_str(&files(&manifest.files));
    card.push_str(&making(manifest));
    card
}

/// The forms of which there are files.
fn forms(files: &[DatasetFile]) -> impl Iterator<Item = &'static Form> {
    let is_there = |form: &&Form| files.iter().any(|file| file.name.split('/').next() == Some(form.name));
    FORMS.iter().filter(is_there)
}

/// What the Hugging Face hub and `datasets` read (<https://huggingface.co/docs/hub/datasets-manual-configuration>).
fn front_matter(files: &[DatasetFile]) -> String {
    let mut text = String::from("---\ntask_categories:\n- text-generation\ntags:\n- llm-twin\nconfigs:\n");
    for Form { name, .. } in forms(files) {
        let _ = writeln!(text, "- config_name: {name}");
        // Which one a reader gets who names none; without it that is an error.
        if *name == DEFAULT_FORM {
            text.push_str("  default: true\n");
        }
        text.push_str("  data_files:\n");
        // In the order of training, as people expect them, not of the alphabet.
        for split in Split::ALL {
            let wanted = format!("{name}/{}.jsonl", split.as_str());
            if files.iter().any(|file| file.name == wanted) {
                let _ = writeln!(text, "  - split: {}\n    path: {wanted}", split.as_str());
            }
        }
    }
    text.push_str("dataset_info:\n");
    // A reader would guess them from the rows, and wrongly where a column is null or empty in each of them.
    for Form { name, columns, .. } in forms(files) {
        let _ = writeln!(text, "- config_name: {name}\n  features:");
        for (column, of) in *columns {
            let _ = writeln!(text, "  - name: {column}\n    {}", declared(of));
        }
    }
    text.push_str("---\n");
    text
}

/// A type as `datasets` writes it into a card.
fn declared(of: &Type) -> &'static str {
    match of {
        Type::Text => "dtype: string",
        Type::Texts => "list: string",
        Type::Index => "dtype: int64",
        Type::Flag => "dtype: bool",
        Type::Messages => "list:\n    - name: role\n      dtype: string\n    - name: content\n      dtype: string",
    }
}

fn files(files: &[DatasetFile]) -> String {
    let mut text = String::from("\n## Files\n\n| file | lines | bytes |\n|---|---:|---:|\n");
    for file in files {
        let _ = writeln!(text, "| {} | {} | {} |", file.name, file.lines, file.bytes);
    }
    text.push('\n');
    for Form { name, what, .. } in forms(files) {
        let _ = writeln!(text, "- `{name}/`: {what}");
    }
    // It is for this program, and no configuration of the dataset.
    if files.iter().any(|file| file.name == FOLD_SAMPLES) {
        let _ = writeln!(
            text,
            "- `{FOLD_SAMPLES}`: the samples of the training and the test split in the form of `eval`, and which documents can only be \
             held out together (`family`), to measure a small version on all of its documents in turn"
        );
    }
    text
}

fn making(manifest: &DatasetManifest) -> String {
    let mut text = format!(
        "\n## How it was made\n\nBuild version {}, seed {}; all options, the source documents with their revisions and the \
         content hash of each file are in `manifest.json`.\n",
        manifest.build_version, manifest.options["seed"]
    );
    if let Some(model) = &manifest.instructor {
        let count: usize = manifest.documents.iter().map(|document| document.instructions_by_model.len()).sum();
        let _ = writeln!(text, "\n{count} instructions were written by {model}; the manifest names their passages.");
    }
    if let Some(model) = &manifest.rejected_by {
        let _ = writeln!(text, "\nThe rejected answers of preferences are those of {model}.");
    }
    if manifest.cut_answers > 0 {
        let _ = writeln!(
            text,
            "\n{} more of its answers did not come to an end, and are not among them.",
            manifest.cut_answers
        );
    }
    if manifest.answer_failures > 0 {
        let _ = writeln!(
            text,
            "\nFor {} more preferences the model that was asked gave no answer that could be used.",
            manifest.answer_failures
        );
    }
    if manifest.instruction_fallbacks > 0 {
        let _ = writeln!(
            text,
            "\n{} more instructions were asked of a model and not usable: those told from the text's structure stand.",
            manifest.instruction_fallbacks
        );
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
