//! Interrupted runs.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use twin_lora::{Error, Method, Observer, Progress, Recipe, Task, train};

use crate::training::{Watch, run, task};

pub fn adapter_bytes(task: &Task) -> Vec<u8> {
    std::fs::read(task.output().join("adapter/adapter_model.safetensors")).unwrap()
}

fn checkpoints(task: &Task) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(task.folder.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// Runs `task`, stopping after so many steps each time until it ends; the result's bytes.
pub fn in_pieces(task: &Task, steps: usize) -> Vec<u8> {
    loop {
        let mut watch = Watch { stop_after: Some(steps), ..Watch::default() };
        match train(task, &mut watch) {
            Ok(_) => return adapter_bytes(task),
            Err(Error::Stopped { .. }) => assert_eq!(watch.seen.len(), steps),
            Err(other) => panic!("{other}"),
        }
    }
}

fn variant(folder: &Path, name: &str, recipe: Recipe) -> Task {
    let mut task = task(folder);
    task.folder = folder.join(name);
    task.recipe = recipe;
    task
}

#[test]
fn a_run_in_pieces_ends_with_the_weights_of_an_undisturbed_run() {
    let folder = TempDir::new().unwrap();
    // Dropout, several packs in a step, the best weights: all that has a state.
    let recipe = Recipe {
        dropout: 0.2,
        accumulation: 2,
        pack_tokens: Some(160),
        eval_every: 2,
        patience: 50,
        weight_decay: 0.1,
        ..task(folder.path()).recipe
    };
    let whole = variant(folder.path(), "whole", recipe.clone());
    let undisturbed = run(&whole);
    let pieces = variant(folder.path(), "pieces", recipe);
    assert!(in_pieces(&pieces, 3) == adapter_bytes(&whole));
    let curve = |task: &Task| std::fs::read_to_string(task.output().join("loss.csv")).unwrap();
    assert_eq!(curve(&pieces), curve(&whole));
    assert!(undisturbed.manifest.summary.steps >= 6);
}

#[test]
fn a_run_can_be_stopped_wherever_it_asks() {
    let folder = TempDir::new().unwrap();
    let recipe = Recipe { epochs: Some(2), eval_every: 2, patience: 50, ..task(folder.path()).recipe };
    let whole = variant(folder.path(), "whole", recipe.clone());
    let undisturbed = run(&whole);
    // Before each of four steps, and in the evaluations before, amid and after them.
    for call in 1..=7 {
        let stopped = variant(folder.path(), &format!("stopped at {call}"), recipe.clone());
        let mut watch = Watch { stop_at_call: Some(call), ..Watch::default() };
        assert!(matches!(train(&stopped, &mut watch), Err(Error::Stopped { .. })), "{call}");
        assert_eq!(run(&stopped).manifest, undisturbed.manifest, "{call}");
    }
}

#[test]
fn a_run_that_was_killed_goes_on_from_its_last_checkpoint() {
    let folder = TempDir::new().unwrap();
    let recipe = task(folder.path()).recipe;
    let whole = variant(folder.path(), "whole", recipe.clone());
    run(&whole);
    let killed = variant(folder.path(), "killed", recipe);
    let mut watch = Watch { stop_after: Some(7), ..Watch::default() };
    assert!(train(&killed, &mut watch).is_err());
    // A kill writes no checkpoint when it happens, and may leave a half-written one.
    std::fs::remove_dir_all(killed.folder.join("checkpoints/step-00000007")).unwrap();
    std::fs::create_dir_all(killed.folder.join("checkpoints/partial")).unwrap();
    let mut watch = Watch::default();
    train(&killed, &mut watch).unwrap();
    assert_eq!(watch.seen[0].step, 5, "the last checkpoint was that of step 4");
    assert!(adapter_bytes(&killed) == adapter_bytes(&whole));
}

/// Copies each checkpoint that it is told of, and stops after one of them.
struct Copies<'a> {
    task: &'a Task,
    to: &'a Path,
    told: Vec<usize>,
}

impl Observer for Copies<'_> {
    fn progress(&mut self, _: &Progress) {}

    fn checkpoint(&mut self, step: usize, folder: &Path) {
        let target = self.to.join(folder.strip_prefix(&self.task.folder).unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
        self.told.push(step);
    }

    fn stop(&mut self) -> bool {
        self.told.len() == 2
    }
}

#[test]
fn a_run_goes_on_in_another_folder_from_the_checkpoints_that_were_told_of() {
    let folder = TempDir::new().unwrap();
    let recipe = task(folder.path()).recipe;
    let whole = variant(folder.path(), "whole", recipe.clone());
    let undisturbed = run(&whole);
    let (here, there) = (variant(folder.path(), "here", recipe.clone()), variant(folder.path(), "there", recipe));
    let mut copies = Copies { task: &here, to: &there.folder, told: Vec::new() };
    assert!(matches!(train(&here, &mut copies), Err(Error::Stopped { step: 8 })));
    assert_eq!(copies.told, [4, 8]);
    let mut watch = Watch::default();
    assert_eq!(train(&there, &mut watch).unwrap().manifest, undisturbed.manifest);
    assert_eq!(watch.seen[0].step, 9);
    assert!(adapter_bytes(&there) == adapter_bytes(&whole));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let folder = TempDir::new().unwrap();
    let recipe = task(folder.path()).recipe;
    let whole = variant(folder.path(), "whole", recipe.clone());
    run(&whole);
    for (name, file) in [("state", "state.safetensors"), ("progress", "progress.json"), ("manifest", "manifest.json")] {
        let damaged = variant(folder.path(), name, recipe.clone());
        let mut watch = Watch { stop_after: Some(9), ..Watch::default() };
        assert!(train(&damaged, &mut watch).is_err());
        let newest = checkpoints(&damaged).pop().unwrap().join(file);
        let mut bytes = std::fs::read(&newest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&newest, bytes).unwrap();
        let mut watch = Watch::default();
        train(&damaged, &mut watch).unwrap();
        assert_eq!(watch.seen[0].step, 9, "{name}: the checkpoint before was that of step 8");
        assert!(adapter_bytes(&damaged) == adapter_bytes(&whole), "{name}");
    }
}

/// Makes a checkpoint one of the version that did not say which order of steps it had.
fn as_before_there_were_orders(checkpoint: &Path) {
    let path = checkpoint.join("progress.json");
    let mut progress: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(progress.as_object_mut().unwrap().remove("order").is_some());
    let bytes = serde_json::to_vec(&progress).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let path = checkpoint.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for file in manifest["files"].as_array_mut().unwrap() {
        if file["path"] == "progress.json" {
            file["sha256"] = hex::encode(Sha256::digest(&bytes)).into();
            file["bytes"] = bytes.len().into();
        }
    }
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[test]
fn a_run_whose_steps_had_another_order_begins_anew_and_leaves_no_checkpoint_of_it() {
    let folder = TempDir::new().unwrap();
    let recipe = task(folder.path()).recipe;
    let whole = variant(folder.path(), "whole", recipe.clone());
    run(&whole);
    let earlier = variant(folder.path(), "earlier", recipe);
    assert!(train(&earlier, &mut Watch { stop_after: Some(9), ..Watch::default() }).is_err());
    checkpoints(&earlier).iter().for_each(|checkpoint| as_before_there_were_orders(checkpoint));
    let mut watch = Watch { stop_after: Some(2), ..Watch::default() };
    assert!(matches!(train(&earlier, &mut watch), Err(Error::Stopped { step: 2 })));
    assert_eq!(watch.seen[0].step, 1);
    let left: Vec<String> =
        checkpoints(&earlier).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(left, ["step-00000002"]);
    let mut watch = Watch::default();
    train(&earlier, &mut watch).unwrap();
    assert_eq!(watch.seen[0].step, 3, "that of its own order is gone on from");
    assert!(adapter_bytes(&earlier) == adapter_bytes(&whole));
}

#[test]
fn only_the_newest_checkpoints_are_kept_and_a_finished_run_is_not_run_again() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let trained = run(&task);
    assert_eq!(checkpoints(&task).len(), 2);
    let mut watch = Watch::default();
    assert_eq!(train(&task, &mut watch).unwrap(), trained);
    assert!(watch.seen.is_empty());
}

#[test]
fn preferences_go_on_as_well() {
    let folder = TempDir::new().unwrap();
    let base = task(folder.path()).recipe;
    let recipe = Recipe { method: Method::Dpo, pack_tokens: Some(256), epochs: Some(3), ..base };
    let mut whole = variant(folder.path(), "whole", recipe);
    crate::training::write_preferences(&whole.train);
    whole.validation = None;
    run(&whole);
    let pieces = Task { folder: folder.path().join("pieces"), ..whole.clone() };
    assert!(in_pieces(&pieces, 2) == adapter_bytes(&whole));
}

#[test]
fn a_folder_of_another_task_is_not_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    run(&task);
    task.recipe.seed = 1;
    let other = train(&task, &mut Watch::default());
    assert!(matches!(other, Err(Error::OtherTask(_))), "{other:?}");
}

#[test]
fn a_job_whose_base_model_has_another_template_now_begins_anew() {
    use twin_training::Engine;

    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let mut watch = Watch { stop_after: Some(5), ..Watch::default() };
    assert!(twin_lora::Lora.train(&task, &mut watch).is_err());
    std::fs::write(task.base.join("chat_template.jinja"), crate::model::CHATML).unwrap();
    let other = train(&task, &mut Watch::default());
    assert!(matches!(other, Err(Error::OtherTask(_))), "{other:?}");
    let mut watch = Watch::default();
    twin_lora::Lora.train(&task, &mut watch).unwrap();
    assert_eq!(watch.seen[0].step, 1);
    assert_eq!(checkpoints(&task).len(), 2, "none of the run before is left");
}

#[test]
fn a_run_that_failed_in_its_export_reads_no_preference_again() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    crate::training::write_preferences(&task.train);
    std::fs::copy(&task.train, task.validation.as_ref().unwrap()).unwrap();
    task.recipe = Recipe { method: Method::Dpo, pack_tokens: Some(512), epochs: Some(2), ..task.recipe };
    let trained = run(&task);
    std::fs::remove_dir_all(task.output()).unwrap();
    let mut watch = Watch::default();
    assert_eq!(train(&task, &mut watch).unwrap(), trained);
    assert_eq!((watch.calls, watch.seen.len()), (0, 0), "it asks before each preference");
}

#[test]
fn a_run_that_goes_on_says_when_it_was_evaluated() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    assert!(train(&task, &mut Watch { stop_after: Some(7), ..Watch::default() }).is_err());
    let mut watch = Watch::default();
    train(&task, &mut watch).unwrap();
    let told: Vec<_> = watch.seen.iter().map(|progress| (progress.step, progress.evaluated_at)).collect();
    assert_eq!(told[..3], [(8, Some(5)), (9, Some(5)), (10, Some(10))]);
}
