//! Runs of two stages: supervised, then by preferences, on one adapter.

use std::path::Path;

use tempfile::TempDir;
use twin_lora::{Curve, Error, Lora, Method, Recipe, SampleFiles, Stage, Task, train};
use twin_training::Engine;

use crate::checkpoints::{adapter_bytes, in_pieces};
use crate::training::{Watch, run, task, write_preferences};

/// Some steps on conversations, and some on preferences. The second loss is of the margin alone.
fn staged(folder: &Path) -> Task {
    let mut task = task(folder);
    let preferences = folder.join("preferences.jsonl");
    write_preferences(&preferences);
    task.following = vec![SampleFiles { train: preferences.clone(), validation: Some(preferences) }];
    let second = Stage {
        learning_rate: Some(5e-3),
        epochs: Some(4),
        pack_tokens: Some(256),
        dpo_beta: Some(0.5),
        dpo_nll: Some(0.0),
        ..Stage::of(Method::Dpo)
    };
    task.recipe = Recipe { epochs: Some(3), stages: vec![Stage::of(Method::Sft), second], ..task.recipe };
    task
}

fn curve(task: &Task) -> Curve {
    serde_json::from_slice(&std::fs::read(task.output().join("loss.json")).unwrap()).unwrap()
}

/// How many steps each stage has.
fn steps(task: &Task) -> [usize; 2] {
    let curve = curve(task);
    [0, 1].map(|stage| curve.steps.iter().filter(|point| point.stage == stage).count())
}

#[test]
fn the_second_stage_goes_on_with_the_first_ones_adapter_and_is_held_against_it() {
    let folder = TempDir::new().unwrap();
    let task = staged(folder.path());
    let summary = run(&task).manifest.summary;
    let curve = curve(&task);
    let [first, second] = steps(&task);
    assert!(first > 3 && second > 3 && summary.steps == first + second, "{summary:?}");
    assert_eq!(summary.planned_steps, summary.steps);
    assert_eq!(curve.steps.iter().map(|point| point.step).collect::<Vec<_>>(), (1..=summary.steps).collect::<Vec<_>>());
    let of_second: Vec<f64> = curve.steps[first..].iter().map(|point| point.loss).collect();
    // It is the model that it is held against, which the base model is not any more.
    assert!((of_second[0] - std::f64::consts::LN_2).abs() < 1e-4, "{of_second:?}");
    assert!(of_second[second - 1] < 0.9 * of_second[0], "{of_second:?}");
    let evaluations: Vec<(usize, usize)> = curve.evaluations.iter().map(|point| (point.stage, point.step)).collect();
    assert!(evaluations.contains(&(0, first)) && evaluations.contains(&(1, first)), "{evaluations:?}");
    assert_eq!(summary.evaluation_loss, curve.evaluations.last().map(|point| point.loss));
    assert_eq!((summary.fit["preference"].read, summary.fit["unknown"].read), (12, 8));
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(task.output().join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["following"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_run_of_two_stages_in_pieces_ends_with_the_weights_of_an_undisturbed_one() {
    let folder = TempDir::new().unwrap();
    let mut whole = staged(folder.path());
    // All that has a state, in both stages.
    whole.recipe = Recipe { dropout: 0.2, eval_every: 2, patience: 50, weight_decay: 0.1, ..whole.recipe };
    whole.recipe.stages[1].dpo_nll = None;
    run(&whole);
    for piece in [1, 3] {
        let pieces = Task { folder: folder.path().join(format!("pieces of {piece}")), ..whole.clone() };
        assert!(in_pieces(&pieces, piece) == adapter_bytes(&whole), "{piece}");
        assert_eq!(curve(&pieces), curve(&whole), "{piece}");
    }
}

#[test]
fn a_run_that_was_killed_in_its_second_stage_does_nothing_of_the_first_again() {
    let folder = TempDir::new().unwrap();
    let mut whole = staged(folder.path());
    whole.recipe.checkpoint_every = 0;
    run(&whole);
    let [first, _] = steps(&whole);
    let killed = Task { folder: folder.path().join("killed"), ..whole.clone() };
    let mut watch = Watch { stop_after: Some(first + 2), ..Watch::default() };
    assert!(matches!(train(&killed, &mut watch), Err(Error::Stopped { step }) if step == first + 2));
    // A kill writes no checkpoint when it happens.
    std::fs::remove_dir_all(killed.folder.join(format!("checkpoints/step-{:08}", first + 2))).unwrap();
    let mut watch = Watch::default();
    train(&killed, &mut watch).unwrap();
    assert_eq!((watch.seen[0].step, watch.seen[0].stage), (first + 1, 1), "from where the second began");
    assert!(adapter_bytes(&killed) == adapter_bytes(&whole));
}

#[test]
fn a_plan_tells_of_each_stage_and_is_what_is_done() {
    let folder = TempDir::new().unwrap();
    let mut task = staged(folder.path());
    // All open but the seed's work.
    task.recipe = Recipe { stages: vec![Stage::of(Method::Sft), Stage::of(Method::Dpo)], rank: 4, ..Recipe::default() };
    let plan = Lora.plan(&task).unwrap();
    let [first, second] = plan.stages.as_slice() else { panic!("{plan:?}") };
    assert_eq!((first.method, second.method), (Method::Sft, Method::Dpo));
    assert_eq!((plan.steps, plan.tokens), (first.steps + second.steps, first.tokens + second.tokens));
    assert_eq!((first.samples["unknown"].read, second.samples["preference"].read), (8, 12));
    assert_eq!(plan.recipe.stages[1].dpo_nll, Some(0.2));
    let rates = [0, 1].map(|stage| plan.recipe.stages[stage].learning_rate.unwrap());
    assert!((rates[1] / rates[0] - 0.1).abs() < 0.01, "{rates:?}");
    plan.require_samples(0.0).unwrap();

    // Settled once, it is the same run.
    task.recipe = plan.recipe.clone();
    assert_eq!(Lora.plan(&task).unwrap(), plan);
    let finished = Lora.train(&task, &mut Watch::default()).unwrap();
    assert_eq!(finished.steps, plan.steps);
    let named = |name: &str| finished.measured.iter().filter(|value| value.name == name).count() as u64;
    assert_eq!((named("loss"), named("dpo_loss")), (first.steps, second.steps));
    assert!(named("evaluation_loss") >= 2 && named("dpo_evaluation_loss") >= 2);

    task.recipe.stages[1].pack_tokens = Some(48);
    let refused = Lora.plan(&task).unwrap().require_samples(0.01).unwrap_err().to_string();
    assert!(refused.contains("12 of 12 preference") && refused.contains("in the stage of `dpo`"), "{refused}");
}

#[test]
fn a_stage_without_samples_is_refused_before_the_first_step() {
    let folder = TempDir::new().unwrap();
    let mut task = staged(folder.path());
    let following = std::mem::take(&mut task.following);
    let refused = train(&task, &mut Watch::default()).unwrap_err().to_string();
    assert!(refused.contains("`stages`"), "{refused}");
    std::fs::write(&following[0].train, "").unwrap();
    task.following = following;
    let nothing = train(&task, &mut Watch::default());
    assert!(matches!(nothing, Err(Error::NoSamples { read: 0, ref path, .. }) if path.ends_with("preferences.jsonl")));
    assert!(!task.output().exists());
}
