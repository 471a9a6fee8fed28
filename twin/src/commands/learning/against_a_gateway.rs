//! The commands against a real gateway: what they read is what it writes.

use serde_json::json;

use super::twin_under_test::{DOCUMENT, LINE, PROMPTS, Twin, ada, job_of};
use crate::error::CommandError;

#[tokio::test]
async fn datasets_are_frozen_listed_compared_and_exported() {
    let twin = Twin::start().await;
    let asked = twin.run("datasets freeze --author ada --by Grace").await;
    assert_eq!(asked, "a dataset version of ada is asked for by Grace\n");
    let (freeze, results, _) = twin.command("datasets freeze --author ada --by Grace --wait", false);
    let author = ada();
    let answer = async {
        // The command may ask after the first answer: that one is for the request before.
        loop {
            twin.registry.answer_freeze(&author, Ok("nothing is new"), chrono::Utc::now()).await.unwrap();
        }
    };
    tokio::select! {
        frozen = freeze => frozen.unwrap(),
        () = answer => {}
    }
    assert_eq!(results.text(), "nothing is new\n");
    let refusing = async {
        loop {
            twin.registry.answer_freeze(&author, Err("too few samples"), chrono::Utc::now()).await.unwrap();
        }
    };
    let refused = tokio::select! {
        refused = twin.refused("datasets freeze --author ada --by Grace --wait") => refused,
        () = refusing => unreachable!(),
    };
    assert_eq!((refused.exit_code(), refused.to_string().as_str()), (1, "too few samples"));

    twin.freeze("a").await;
    twin.freeze("b").await;
    let listed = twin.run("datasets list --author ada --limit 5").await;
    assert!(listed.contains("bbbbbbbbbbbb  ada           2       12          2        0"), "{listed}");
    let shown = twin.run("datasets show aa").await;
    assert!(shown.contains("12 voice") && shown.contains("sft/train.jsonl      2     34"), "{shown}");
    assert_eq!(twin.run_json("datasets show aa").await["dataset"]["number"], 1);
    let difference = twin.run("datasets diff aa bb").await;
    assert!(difference.starts_with("aaaaaaaaaaaa -> bbbbbbbbbbbb\n\n1 document added"), "{difference}");
    let folder = twin.path("export");
    let exported = twin.run(&format!("datasets export aa {folder}")).await;
    assert!(exported.starts_with("1 file (34 bytes) and manifest.json in "), "{exported}");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    assert_eq!(read("sft/train.jsonl"), LINE.repeat(2));
    assert!(read("manifest.json").contains("sft/train.jsonl"));
    assert!(matches!(twin.refused("datasets show ff").await, CommandError::NotFound(_)));
}

#[tokio::test]
async fn a_job_is_queued_stopped_tried_again_and_followed_to_its_end() {
    let twin = Twin::start().await;
    let early = twin.refused("train --author ada").await;
    assert!(early.to_string().contains("no dataset version yet"), "{early}");
    twin.freeze("a").await;
    let job = job_of(&twin.run("train --author ada").await);
    let id = job.short();
    assert!(twin.run("jobs list --state queued").await.contains(id));
    assert_eq!(twin.run(&format!("jobs cancel {id} --by Grace")).await, format!("job {id} is stopped\n"));
    let late = twin.refused(&format!("jobs cancel {id} --by Grace")).await;
    assert_eq!((late.exit_code(), late.to_string().contains("has ended already")), (1, true));
    let stopped = twin.refused(&format!("jobs watch {id}")).await;
    assert_eq!(stopped.to_string(), format!("job {id} was stopped: cancelled by Grace; next: twin jobs retry {id}"));
    assert_eq!(twin.run(&format!("jobs retry {id}")).await, format!("job {id} is queued again\n"));
    twin.start_job(&job, &[3.0, 2.0]).await;

    let (watch, results, notes) = twin.command(&format!("jobs watch {id}"), false);
    let finish = async {
        while !notes.text().contains("is running") {
            tokio::task::yield_now().await;
        }
        twin.finish_job(&job).await
    };
    let (watched, model) = tokio::join!(watch, finish);
    watched.unwrap();
    assert!(results.text().starts_with(&format!("job {id} succeeded in ")), "{}", results.text());
    assert!(results.text().ends_with(&format!("loss 2.000: {model}\n")), "{}", results.text());
    let shown = twin.run(&format!("jobs show {id}")).await;
    assert!(
        shown.contains("tried       1 time") && shown.contains("recipe:\n") && shown.contains("\n  rank = 8\n"),
        "{shown}"
    );
    assert_eq!(twin.run_json("train --dataset aa --wait --author ada").await["model"], "ada-v1");
}

#[tokio::test]
async fn what_a_job_would_be_is_told_before_it_is_queued_and_why_it_would_fail() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let (plan, results, _) = twin.command("train --author ada --plan", false);
    let refused = plan.await.unwrap_err();
    assert!(refused.to_string().contains("15 of 30 grounded") && refused.exit_code() == 1, "{refused}");
    let told = results.text();
    assert!(told.contains("time      21 min, by the pace of another machine"), "{told}");
    for said in [
        "150 at most",
        "210000 trained on",
        "about 2.6 GB",
        "15 of 30 grounded",
        "4 grounded:",
        "\n  rank = 8\n",
        "5 more adapters, to evaluate by: 600 steps at most",
    ] {
        assert!(told.contains(said), "{told} says nothing of {said}");
    }
    assert_eq!(twin.run_json("train --author ada --plan").await["plan"]["limit"], 256);
    assert_eq!(twin.run_json("jobs list").await["jobs"], json!([]), "nothing is queued");
}

#[tokio::test]
async fn the_trials_of_a_sweep_are_queued_and_a_wrong_recipe_is_a_usage_error() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let (sweep, wrong) = (twin.path("sweep.toml"), twin.path("wrong.toml"));
    std::fs::write(&sweep, "search = \"grid\"\ntrials = 2\n[values]\nrank = [4, 16]\n").unwrap();
    std::fs::write(&wrong, "rank = [").unwrap();
    assert_eq!(twin.run(&format!("train --author ada --sweep {sweep}")).await.lines().count(), 2);
    let refused = twin.refused(&format!("train --author ada --recipe {wrong}")).await;
    assert_eq!((refused.exit_code(), refused.to_string().contains("recipe:")), (64, true));
    assert_eq!(twin.refused("train --author ada --recipe /nowhere").await.exit_code(), 64);
}

#[tokio::test]
async fn two_runs_are_compared_by_parameters_values_and_curves() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let recipe = twin.path("recipe.toml");
    std::fs::write(&recipe, "rank = 16\n").unwrap();
    let first = job_of(&twin.run("train --author ada").await);
    let second = job_of(&twin.run(&format!("train --author ada --recipe {recipe}")).await);
    twin.start_job(&first, &[3.0, 2.5, 2.0]).await;
    twin.start_job(&second, &[3.0, 2.0, 1.5]).await;
    let (a, b) = (first.short(), second.short());
    assert!(twin.run("runs list").await.contains("1.500"));
    let shown = twin.run(&format!("runs show {a}")).await;
    assert!(shown.contains("loss by step\n     3.000 |"), "{shown}");
    let picture = twin.path("loss.svg");
    let compared = twin.run(&format!("runs compare {a} {b} --svg {picture}")).await;
    assert!(compared.contains("recipe.rank  8  16") && compared.contains("-0.5000"), "{compared}");
    assert_eq!(std::fs::read_to_string(&picture).unwrap().matches("<polyline").count(), 2);
    assert_eq!(twin.run_json(&format!("runs compare {a} {b}")).await["metrics"]["loss"], json!({"a": 2.0, "b": 1.5}));
    let nothing = twin.refused(&format!("runs compare {a} {b} --metric speed --svg {picture}")).await;
    assert!(matches!(nothing, CommandError::NotFound(_)), "{nothing}");
}

#[tokio::test]
async fn a_model_is_judged_deployed_and_rolled_back() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let job = job_of(&twin.run("train --author ada").await);
    twin.start_job(&job, &[3.0, 2.0]).await;
    let model = twin.finish_job(&job).await;
    assert!(twin.refused("models approve ada-v1 --by Grace").await.to_string().contains("not evaluated yet"));
    assert!(matches!(twin.refused("models report ada-v1").await, CommandError::NotFound(_)));
    assert_eq!(twin.run("models evaluate ada-v1").await, "the evaluation of ada-v1 is queued\n");
    twin.evaluate(&model).await;
    assert!(twin.run("models report ada-v1").await.contains("primary  loss_per_token  passed"));
    let same = twin.refused("models evaluate ada-v1").await.to_string();
    assert!(same.contains("ask for more samples or another policy"), "{same}");
    let again = "models evaluate ada-v1 --max-voice 80 --primary bits_per_byte --guards mean --by Grace";
    assert_eq!(twin.run(again).await, "the evaluation of ada-v1 is queued\n");
    let shown = twin.run("models show ada-v1").await;
    assert!(shown.contains("passed, now again queued"), "{shown}");
    assert!(twin.refused("models approve ada-v1 --by Grace").await.to_string().contains("being evaluated again"));
    twin.evaluate(&model).await;
    let page = twin.path("report.html");
    twin.run(&format!("models report ada-v1 --html {page}")).await;
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "<!doctype html>");

    assert!(twin.refused("models deploy ada-v1 --by Grace").await.to_string().contains("nobody has approved it"));
    let approved = twin.run("models approve ada-v1 --by Grace --why good").await;
    assert_eq!(approved, "deployment 1 of ada: ada-v1 is requested\n");
    assert!(twin.refused("models reject ada-v1 --by Grace").await.to_string().contains("roll back first"));
    let shown = twin.run("models show ada-v1").await;
    assert!(shown.contains("answers now    yes") && shown.contains("approve by Grace: good"), "{shown}");
    assert!(twin.run("models list --author ada").await.contains("ada-v1  ada     approved  passed      yes"));
    let lineage = twin.run("models lineage ada-v1").await;
    assert!(lineage.contains(&job.0) && lineage.contains(&format!("{DOCUMENT}         3")), "{lineage}");
    let (own, title) = (lineage.contains("(not known here)"), lineage.contains("        1  Hello"));
    assert!(own && title && lineage.contains("https://example.org/hello"), "{lineage}");
    let first = twin.run("models lineage ada-v1 --limit 1").await;
    assert!(first.contains(DOCUMENT) != first.contains("https://example.org/hello"), "one of two: {first}");
    assert_eq!(twin.run_json("models lineage ada-v1 --limit 1").await["documents"].as_array().unwrap().len(), 1);
    assert!(lineage.contains("2, those of the train split"), "{lineage}");
    assert_eq!(twin.run(&format!("models taught-by {DOCUMENT}")).await, "ada-v1\n");
    let back = twin.run("models rollback --author ada --by Grace").await;
    assert_eq!(back, "deployment 2 of ada: the base model is requested\n");
    assert!(
        twin.refused("models rollback --author ada --by Grace").await.to_string().contains("nothing to go back to")
    );
    assert!(twin.run("models reject ada-v1 --by Grace").await.contains("will never serve"));
}

#[tokio::test]
async fn a_model_is_exported_as_it_was_stored_and_never_out_of_the_folder() {
    let twin = Twin::start().await;
    twin.freeze("a").await;
    let job = job_of(&twin.run("train --author ada").await);
    twin.start_job(&job, &[3.0]).await;
    twin.finish_job(&job).await;
    let folder = twin.path("export");
    let exported = twin.run(&format!("models export ada-v1 {folder}")).await;
    assert!(exported.starts_with("4 files (") && exported.trim_end().ends_with(&folder), "{exported}");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    for name in ["merged/model.safetensors", "adapter/adapter_model.safetensors", "loss.svg"] {
        assert_eq!(read(name), LINE, "{name}");
    }
    assert!(read("manifest.json").contains(&job.0));
    let told = twin.run_json(&format!("models export ada-v1 {folder}")).await;
    assert_eq!((&told["model"], &told["files"][3]), (&json!("ada-v1"), &json!("manifest.json")));
    assert!(matches!(twin.refused(&format!("models export ada-v9 {folder}")).await, CommandError::NotFound(_)));

    let recipe = twin.path("recipe.toml");
    std::fs::write(&recipe, "rank = 16\n").unwrap();
    let job = job_of(&twin.run(&format!("train --author ada --recipe {recipe}")).await);
    twin.start_job(&job, &[3.0]).await;
    twin.finish_job_with(&job, "../../outside").await;
    let elsewhere = twin.path("elsewhere");
    let refused = twin.refused(&format!("models export ada-v2 {elsewhere}")).await;
    assert!(refused.to_string().contains("outside the folder"), "{refused}");
    assert!(!std::fs::exists(twin.path("outside")).unwrap() && !std::fs::exists(elsewhere).unwrap());
}

#[tokio::test]
async fn what_is_trained_waits_or_is_held_back_is_one_table() {
    let twin = Twin::start().await;
    let table = twin.run("learning status --author ada").await;
    assert!(table.contains("dataset") && table.contains("waits"), "{table}");
    assert!(table.contains("34 of the 50 new passages are there that make a version due"), "{table}");
    assert!(table.contains("no version was deployed"), "{table}");
    let document = twin.run_json("learning status --author ada").await;
    assert_eq!(document["parts"][0]["standing"], "waits");
}

#[tokio::test]
async fn an_author_whose_prompts_have_changed_is_trained_on_a_version_that_is_made_first() {
    let twin = Twin::start().await;
    twin.freeze_with("a", Some("1/3x1600")).await;
    // Whose version serves nowhere is told what to do, and nothing is offered.
    let refused = twin.refused("train --author ada").await;
    assert!(refused.to_string().contains("twin datasets freeze --author ada --wait"), "{refused}");
    let job = job_of(&twin.run("train --dataset aa").await);
    twin.start_job(&job, &[3.0]).await;
    let model = twin.finish_job(&job).await;
    twin.registry.queue_evaluation(&model, chrono::Utc::now()).await.unwrap();
    twin.evaluate(&model).await;
    twin.run(&format!("models approve {model} --by Grace")).await;

    let table = twin.run("learning status --author ada").await;
    assert!(table.contains("offered") && table.contains("twin train --author ada makes a dataset version"), "{table}");
    let taken = twin.run("train --author ada --by Grace").await;
    assert_eq!(taken, "a dataset version of ada is asked for, and is trained on as soon as it is there\n");
    let table = twin.run("learning status --author ada").await;
    assert!(table.contains("Grace has asked for a dataset version to train on"), "{table}");
    let request = twin.registry.freeze_request(&ada()).await.unwrap().unwrap();
    assert!(request.retrain && request.requested_by == "Grace", "{request:?}");

    // What is waited for is the job on that version.
    twin.freeze_with("b", Some(PROMPTS)).await;
    twin.registry.answer_freeze(&ada(), Ok("version 2 is there"), chrono::Utc::now()).await.unwrap();
    let job = job_of(&twin.run("train --author ada").await);
    assert_eq!(twin.registry.job(&job.0).await.unwrap().unwrap().dataset.0, "b".repeat(64));
    let table = twin.run("learning status --author ada").await;
    assert!(table.contains(&format!("{model} was trained with prompts of another form")), "it serves on: {table}");
}
