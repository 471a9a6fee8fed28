//! Hugging Face's `datasets` reads an exported dataset version as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use twin_stack::TwinProcess;
use twin_tests::{Api, Llm, Script, python, school, start};

/// Cargo runs tests in their package's folder.
const SCRIPT: &str = "python/dataset_reader.py";
const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// A version of forty posts with every kind of sample, in a folder.
async fn exported(folder: &Path) -> Result<Value> {
    let model = Llm::start(Script::of(&["It moves ", "things around."], Duration::ZERO)).await?;
    let twin = start(&[
        ("TWIN_LLM_ENDPOINT", model.endpoint()),
        // Never by itself: a version that is made before all posts are known may lack a kind of sample.
        ("TWIN_DATASETS_FREEZE_FIRST_SAMPLES", "1000000"),
        ("TWIN_DATASETS_BUILD_PREFERENCES", "40"),
        ("TWIN_TRAINER_AUTOMATIC", "false"),
    ])?;
    // By the name of its author a post has its id, and by that its split: of this one a question is among the tests.
    let (api, author) = (Api::new(twin.base_url())?, "ada");
    school::publish(&api, author).await?;
    api.settled(author).await?;
    api.idle().await?;
    let outcome = school::freeze(&api, author).await?;
    let dataset = school::newest(&api, &format!("/v1/datasets?author={author}"), "datasets").await?;
    let dataset = dataset.context(outcome)?;
    export(&twin, dataset["dataset"].as_str().context("a dataset has an id")?, folder)?;
    Ok(serde_json::from_slice(&std::fs::read(folder.join("manifest.json"))?)?)
}

fn export(twin: &TwinProcess, id: &str, folder: &Path) -> Result<()> {
    let folder = folder.to_str().context("the path is UTF-8")?;
    let output = twin.command(&["datasets", "export", id, folder]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What Python makes of the folder.
fn read(folder: &Path, cache: &Path) -> Result<Value> {
    let mut command = Command::new(python()?);
    command.arg(SCRIPT).arg(folder);
    command.envs([
        ("HF_HUB_OFFLINE", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("HF_DATASETS_DISABLE_PROGRESS_BARS", "1"),
    ]);
    let output = command.env("HF_HOME", cache).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the script ended with {}: {told}", output.status);
    serde_json::from_slice(&output.stdout).context("the script writes JSON")
}

/// Samples that the manifest counts in a file.
fn counted(manifest: &Value, form: &str, split: &str) -> u64 {
    let kinds: &[&str] = match form {
        "preference" => &["preference"],
        _ => &["voice", "grounded", "refusal"],
    };
    kinds.iter().filter_map(|kind| manifest["counts"][split][kind].as_u64()).sum()
}

/// Lines that the manifest counts in a file.
fn lines(manifest: &Value, name: &str) -> Option<u64> {
    manifest["files"].as_array()?.iter().find(|file| file["name"] == name)?["lines"].as_u64()
}

fn columns(form: &str) -> Value {
    let messages = json!([{ "role": "string", "content": "string" }]);
    match form {
        "sft" => json!({ "messages": messages, "kind": "string", "ends": "bool" }),
        "prompt_completion" => json!({ "prompt": messages, "completion": messages }),
        "preference" => json!({ "prompt": messages, "chosen": messages, "rejected": messages }),
        _ => json!({
            "kind": "string", "document_id": "string", "prompt": messages, "reference": "string",
            "passages": ["string"], "right": "int64", "ends": "bool"
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_loaded_by_hugging_face_datasets_as_it_is() -> Result<()> {
    let place = TempDir::with_prefix("twin-hugging-face-")?;
    // `scripts/peft` has more to do with the export.
    let folder = std::env::var_os("TEST_EXPORT").map_or_else(|| place.path().join("export"), PathBuf::from);
    let manifest = exported(&folder).await?;
    let told = read(&folder, &place.path().join("cache"))?;

    let forms = [("sft", &SPLITS[..]), ("prompt_completion", &SPLITS), ("preference", &SPLITS), ("eval", &SPLITS[2..])];
    for (form, splits) in forms {
        for split in splits {
            let name = format!("{form}/{split}.jsonl");
            let counted = counted(&manifest, form, split);
            let rows = lines(&manifest, &name).unwrap_or_default();
            assert!(rows > 0, "{name}: {}", manifest["counts"]);
            // Of a text that goes on, no end may be learned, and `prompt_completion` can not say so.
            assert!(rows == counted || form == "prompt_completion" && rows < counted, "{name}: {rows} of {counted}");
            let wanted = json!({ "columns": columns(form), "rows": rows, "as_written": true });
            assert_eq!(told["files"][&name], wanted, "{name}");
            let wanted = json!({ "columns": columns(form), "rows": rows });
            assert_eq!(told["configurations"][form][split], wanted, "{form}, {split}");
        }
        assert_eq!(told["configurations"][form].as_object().map(|found| found.len()), Some(splits.len()), "{form}");
    }
    assert_eq!(told["files"].as_object().map(|files| files.len()), Some(10));
    assert_eq!(told["configurations"].as_object().map(|found| found.len()), Some(forms.len()));
    assert_eq!(
        told["default"], told["configurations"]["sft"],
        "the folder's name is enough for supervised fine-tuning"
    );

    // Files of a version without grounded samples.
    let test = folder.join("eval/test.jsonl");
    let lines = std::fs::read_to_string(&test)?;
    let (mut without, mut rows) = (String::new(), 0);
    for line in lines.lines().filter(|line| line.contains(r#""right":null"#)) {
        without.push_str(&format!("{line}\n"));
        rows += 1;
    }
    ensure!(rows > 0 && without.len() < lines.len(), "{rows} of the evaluation's samples are not grounded");
    std::fs::write(&test, without)?;
    let told = read(&folder, &place.path().join("second_cache"))?;
    std::fs::write(&test, lines)?;
    let wanted = json!({ "columns": columns("eval"), "rows": rows });
    assert_eq!(told["configurations"]["eval"]["test"], wanted, "a column that is null in every row has its type");
    Ok(())
}
