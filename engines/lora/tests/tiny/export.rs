//! What a run leaves.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::Dtype;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use twin_lora::{Manifest, Target, Task, merge};

use crate::model::{self, Shape};
use crate::training::{run, task};

fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn largest(tensor: &Tensor) -> f32 {
    tensor.abs().unwrap().max_all().unwrap().to_dtype(DType::F32).unwrap().to_scalar().unwrap()
}

#[test]
fn merged_weights_are_the_base_and_the_scaled_product_of_the_adapter() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    task.recipe.targets = Some(vec![Target::QProj, Target::DownProj]);
    let output = run(&task).output;
    let base = load(&task.base.join("model.safetensors"));
    let merged = load(&output.join("merged/model.safetensors"));
    let adapter = load(&output.join("adapter/adapter_model.safetensors"));
    assert_eq!(adapter.len(), 2 * 2 * 2);
    assert_eq!(base.len(), merged.len());
    for (name, weight) in &base {
        let prefix = format!("base_model.model.{}", name.trim_end_matches(".weight"));
        let product = match adapter.get(&format!("{prefix}.lora_A.weight")) {
            Some(a) => (adapter[&format!("{prefix}.lora_B.weight")].matmul(a).unwrap() * task.recipe.scale()).unwrap(),
            None => weight.zeros_like().unwrap(),
        };
        let adapted = name.contains("q_proj") || name.contains("down_proj");
        assert_eq!(largest(&product) > 1e-3, adapted, "{name}");
        let difference = ((weight + product).unwrap() - &merged[name]).unwrap();
        assert!(largest(&difference) < 1e-6, "{name}");
    }
}

#[test]
fn the_adapter_alone_is_that_of_a_whole_export_and_nothing_is_merged() {
    let folder = TempDir::new().unwrap();
    let whole = task(folder.path());
    let merged = run(&whole);
    let alone = Task { folder: folder.path().join("alone"), merge: false, ..whole };
    let adapter = run(&alone);
    assert!(!adapter.output.join("merged").exists());
    let bytes = |output: &Path| std::fs::read(output.join("adapter/adapter_model.safetensors")).unwrap();
    assert!(bytes(&adapter.output) == bytes(&merged.output));
    assert_eq!(adapter.manifest.base_files, merged.manifest.base_files);
    assert!(adapter.manifest.files.iter().all(|file| !file.path.starts_with("merged/")));
}

#[test]
fn the_merged_model_has_the_types_and_the_files_of_the_base() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    std::fs::remove_dir_all(&task.base).unwrap();
    model::write(&task.base, &Shape { dtype: Dtype::BF16, shards: 2, ..Shape::of("Qwen2ForCausalLM") }, None);
    let merged = run(&task).output.join("merged");
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&merged), names(&task.base));
    for file in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        let (base, merged) = (load(&task.base.join(file)), load(&merged.join(file)));
        for (name, weight) in &base {
            assert_eq!(merged[name].dtype(), DType::BF16, "{name}");
            let difference = largest(&(weight - &merged[name]).unwrap());
            assert_eq!(difference > 0.0, name.contains("_proj.weight"), "{name}: {difference}");
        }
    }
}

#[test]
fn the_adapters_configuration_is_what_peft_reads() {
    let folder = TempDir::new().unwrap();
    let output = run(&task(folder.path())).output;
    let text = std::fs::read(output.join("adapter/adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((config["r"].as_u64(), config["lora_alpha"].as_f64()), (Some(4), Some(16.0)));
    assert_eq!((config["peft_type"].as_str(), config["task_type"].as_str()), (Some("LORA"), Some("CAUSAL_LM")));
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 7);
    let adapter = load(&output.join("adapter/adapter_model.safetensors"));
    let a = &adapter["base_model.model.model.layers.1.mlp.gate_proj.lora_A.weight"];
    let b = &adapter["base_model.model.model.layers.1.mlp.gate_proj.lora_B.weight"];
    assert_eq!((a.dims(), b.dims()), (&[4, 16][..], &[24, 4][..]));
}

#[test]
fn the_manifest_names_each_file_with_its_hash_and_two_runs_leave_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    let first = run(&task);
    task.folder = folder.path().join("again");
    let second = run(&task);
    assert_eq!(first.manifest, second.manifest);
    let text = std::fs::read(first.output.join("manifest.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Manifest>(&text).unwrap(), first.manifest);
    let paths: Vec<&str> = first.manifest.files.iter().map(|file| file.path.as_str()).collect();
    let wanted = [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "loss.csv",
        "loss.json",
        "loss.svg",
        "merged/config.json",
        "merged/model.safetensors",
        "merged/tokenizer.json",
        "merged/tokenizer_config.json",
    ];
    assert_eq!(paths, wanted);
    for file in &first.manifest.files {
        let bytes = std::fs::read(first.output.join(&file.path)).unwrap();
        assert_eq!((hex::encode(Sha256::digest(&bytes)), bytes.len() as u64), (file.sha256.clone(), file.bytes));
    }
    let svg = std::fs::read_to_string(first.output.join("loss.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("evaluation") && svg.contains("polyline"));
    let csv = std::fs::read_to_string(first.output.join("loss.csv")).unwrap();
    assert_eq!(csv.lines().count(), first.manifest.summary.steps + 1);
}

#[test]
fn an_adapter_that_is_merged_later_gives_the_model_of_a_whole_export_byte_for_byte() {
    for rslora in [false, true] {
        let folder = TempDir::new().unwrap();
        let mut task = task(folder.path());
        task.recipe.rslora = rslora;
        let output = run(&task).output;
        let later = folder.path().join("later");
        merge(&task.base, &output.join("adapter"), &later).unwrap();
        let contents = |folder: &Path| -> Vec<(std::ffi::OsString, Vec<u8>)> {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let mut contents: Vec<_> =
                entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
            contents.sort();
            contents
        };
        assert!(contents(&later) == contents(&output.join("merged")), "rslora: {rslora}");
        assert!(!later.with_extension("partial").exists());
        // Once more, over what is there.
        merge(&task.base, &output.join("adapter"), &later).unwrap();
    }
}

#[test]
fn an_adapter_of_another_model_or_a_damaged_one_is_not_merged() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let adapter = run(&task).output.join("adapter");
    let other = folder.path().join("other");
    model::write(&other, &Shape::of("LlamaForCausalLM"), Some("model.layers.1.self_attn.q_proj.weight"));
    let merged = folder.path().join("merged");
    let refused = merge(&other, &adapter, &merged).unwrap_err().to_string();
    assert!(refused.contains("`model.layers.1.self_attn.q_proj.weight`"), "{refused}");
    let weights = adapter.join("adapter_model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let refused = merge(&task.base, &adapter, &merged).unwrap_err().to_string();
    assert!(refused.contains("adapter_model.safetensors"), "{refused}");
    assert!(!merged.exists() && !merged.with_extension("partial").exists());
}
