//! A version as a folder of files.

mod support;

use support::{Place, generated, paragraph};
use twin_datasets::{Error, Options, export};
use twin_schemas::{ChatSample, CleanedDocument, DatasetManifest, PromptCompletion, Split};

#[tokio::test]
async fn an_export_is_a_folder_of_json_lines_with_a_card() {
    let mut documents: Vec<CleanedDocument> = (0..40).map(generated).collect();
    // Some are one section that is longer than a passage.
    for (number, document) in documents.iter_mut().enumerate().take(20) {
        let paragraphs: Vec<String> = (20..30).map(|place| paragraph(number, place)).collect();
        document.text = format!("# Notes on {number}\n\n{}", paragraphs.join("\n\n"));
    }
    let place = Place::with(Options::default(), documents).await;
    let manifest = place.build().await.unwrap().manifest;
    let folder = place.folder.path().join("export");
    export(&manifest, &place.artifacts, &folder).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let card = read("README.md");
    for split in Split::ALL {
        let lines = read(&format!("prompt_completion/{}.jsonl", split.as_str()));
        let sft = read(&format!("sft/{}.jsonl", split.as_str()));
        let chats = sft.lines().map(|line| serde_json::from_str::<ChatSample>(line).unwrap());
        let (whole, parts): (Vec<_>, Vec<_>) = chats.partition(|chat| chat.ends);
        assert!(split != Split::Train || !parts.is_empty(), "some answers are parts of a text that goes on");
        assert_eq!(lines.lines().count(), whole.len(), "this form has no way to say so");
        for (line, chat) in lines.lines().zip(whole) {
            let sample: PromptCompletion = serde_json::from_str(line).unwrap();
            assert_eq!([sample.prompt, sample.completion].concat(), chat.messages);
        }
        assert!(card.contains(&format!("path: sft/{}.jsonl", split.as_str())));
    }
    // Hugging Face's `datasets` asks for a name where no configuration is the default.
    assert_eq!(card.matches("default: true").count(), 1);
    assert!(card.contains("- config_name: sft\n  default: true\n  data_files:\n  - split: train\n"));
    // Each configuration's columns have types, so that none is guessed from rows in which it is null.
    let (_, types) = card.split_once("dataset_info:\n").unwrap();
    for form in ["sft", "prompt_completion", "eval"] {
        assert!(types.contains(&format!("- config_name: {form}\n  features:\n")), "{types}");
    }
    assert!(types.contains(
        "  - name: passages\n    list: string\n  - name: right\n    dtype: int64\n  - name: ends\n    dtype: bool\n"
    ));
    for (kind, longest) in &manifest.longest {
        assert!(*longest > 200 && card.contains(&format!("| {} | {longest} |", kind.as_str())), "{card}");
    }
    assert_eq!(manifest.longest.len(), 3);
    assert!(read("lengths.svg").starts_with("<svg"));
    assert_eq!(serde_json::from_str::<DatasetManifest>(&read("manifest.json")).unwrap(), manifest);
    for file in &manifest.files {
        let content = read(&file.name);
        assert_eq!(
            (content.len() as u64, content.matches('\n').count() as u64),
            (file.bytes, file.lines),
            "{}",
            file.name
        );
    }
}

#[tokio::test]
async fn an_export_does_not_leave_its_folder() {
    let place = Place::with(Options::default(), (0..12).map(generated)).await;
    let mut manifest = place.build().await.unwrap().manifest;
    for name in ["../outside.jsonl", "/tmp/outside.jsonl", "sft/../../outside.jsonl"] {
        manifest.files[0].name = name.to_owned();
        let error = export(&manifest, &place.artifacts, &place.folder.path().join("export")).await.unwrap_err();
        assert!(matches!(error, Error::Row(_)), "{name}: {error}");
    }
    assert!(!place.folder.path().join("outside.jsonl").exists());
}
