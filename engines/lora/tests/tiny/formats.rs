//! What is refused, and with which words; the chat template; the recipe's text.

use std::path::Path;

use candle_core::Device;
use safetensors::tensor::Dtype;
use tempfile::TempDir;
use twin_lora::{
    ChatFormat, Decoder, Error, Kernels, Method, ModelConfig, Precision, Recipe, Schedule, Target, scorer,
};
use twin_schemas::Role;

use crate::model::{self, Shape, message};

fn written(shape: &Shape) -> TempDir {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), shape, None);
    folder
}

fn problem<T>(result: Result<T, Error>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_missing_tensor_is_named() {
    for (shape, name) in [
        (Shape::of("Qwen2ForCausalLM"), "model.layers.1.self_attn.k_proj.bias"),
        (Shape::of("Qwen3ForCausalLM"), "model.layers.0.self_attn.q_norm.weight"),
        (Shape::of("MistralForCausalLM"), "lm_head.weight"),
        (Shape::of("LlamaForCausalLM"), "model.layers.1.mlp.down_proj.weight"),
    ] {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &shape, Some(name));
        let found = Decoder::load(folder.path(), &Device::Cpu);
        assert!(matches!(found, Err(Error::MissingTensor(missing)) if missing == name), "{name}");
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    change_config(folder.path(), "intermediate_size", serde_json::json!(20));
    let problem = problem(Decoder::load(folder.path(), &Device::Cpu));
    assert!(problem.contains("mlp.gate_proj.weight") && problem.contains("[24, 16]"), "{problem}");
}

#[test]
fn what_the_decoder_does_not_compute_is_refused() {
    for (key, value, wanted) in [
        ("architectures", serde_json::json!(["GemmaForCausalLM"]), "GemmaForCausalLM"),
        ("rope_scaling", serde_json::json!({"rope_type": "yarn", "type": "yarn", "factor": 4.0}), "yarn"),
        ("rope_scaling", serde_json::json!({"type": "linear", "factor": 4.0}), "linear"),
        ("rope_scaling", serde_json::json!({"rope_type": "llama3", "factor": 4.0}), "low_freq_factor"),
        ("hidden_act", serde_json::json!("gelu"), "gelu"),
        ("mlp_bias", serde_json::json!(true), "mlp_bias"),
        ("quantization_config", serde_json::json!({"bits": 4}), "quantised"),
        ("num_key_value_heads", serde_json::json!(3), "3 key heads"),
    ] {
        let folder = written(&Shape::of("LlamaForCausalLM"));
        change_config(folder.path(), key, value);
        let problem = problem(ModelConfig::read(folder.path()));
        assert!(problem.contains(wanted), "{key}: {problem}");
    }
}

#[test]
fn llama_3s_rope_scaling_lengthens_long_waves_and_leaves_short_ones() {
    // The numbers of Llama 3.2 1B.
    let scaling = serde_json::json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192});
    let folder = written(&Shape::of("LlamaForCausalLM"));
    change_config(folder.path(), "head_dim", serde_json::json!(64));
    change_config(folder.path(), "rope_theta", serde_json::json!(500_000.0));
    let plain = ModelConfig::read(folder.path()).unwrap().rope_frequencies();
    change_config(folder.path(), "rope_scaling", scaling);
    let scaled = ModelConfig::read(folder.path()).unwrap().rope_frequencies();
    let mut between = 0;
    for (plain, scaled) in plain.iter().zip(&scaled) {
        let wave = 2.0 * std::f32::consts::PI / plain;
        match wave {
            ..2_048.0 => assert_eq!(scaled, plain),
            8_192.0.. => assert!((scaled * 32.0 - plain).abs() < 1e-6 * plain),
            _ => {
                // A share of both, by where 8192 / wave lies between 1 and 4.
                let kept = (8_192.0 / wave - 1.0) / 3.0;
                let expected = kept * plain + (1.0 - kept) * plain / 32.0;
                assert!((scaled - expected).abs() < 1e-5 * plain, "{scaled} is not {expected}");
                between += 1;
            }
        }
    }
    assert!(between > 0);
}

#[test]
fn a_window_of_attention_bounds_the_length_of_a_text() {
    let folder = written(&Shape::of("MistralForCausalLM"));
    change_config(folder.path(), "sliding_window", serde_json::json!(64));
    assert_eq!(ModelConfig::read(folder.path()).unwrap().max_tokens, 64);
    let long = scorer(folder.path()).unwrap().loss(&[message(Role::User, "why?")], &"word ".repeat(20), true);
    assert!(matches!(long, Err(Error::TooLong { limit: 64, .. })));
    change_config(folder.path(), "use_sliding_window", serde_json::json!(false));
    assert_eq!(ModelConfig::read(folder.path()).unwrap().max_tokens, 512);
}

fn change_config(folder: &Path, key: &str, value: serde_json::Value) {
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_truncated_weight_file_is_refused() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(problem(Decoder::load(folder.path(), &Device::Cpu)).contains("its header says"));
}

#[test]
fn several_files_of_weights_are_one_model() {
    let [one, three] = [1, 3].map(|shards| {
        let folder = written(&Shape { shards, ..Shape::of("LlamaForCausalLM") });
        Decoder::load(folder.path(), &Device::Cpu).unwrap().logits(&[1, 2, 3], None).unwrap().to_vec2::<f32>().unwrap()
    });
    assert_eq!(one, three);
}

#[test]
fn half_precision_weights_are_computed_in_full_precision() {
    let [half, full] = [Dtype::BF16, Dtype::F32].map(|dtype| {
        let folder = written(&Shape { dtype, ..Shape::of("LlamaForCausalLM") });
        Decoder::load(folder.path(), &Device::Cpu).unwrap().logits(&[1, 2, 3], None).unwrap()
    });
    let difference = (half - full).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(difference > 0.0 && difference < 0.3, "{difference}");
}

#[test]
fn half_precision_on_the_cpu_is_refused_with_the_key_and_what_to_do() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let refused = Decoder::load_with(folder.path(), &Device::Cpu, Kernels::Portable, Precision::Bf16);
    let problem = problem(refused);
    assert!(
        problem.contains("`precision`") && problem.contains("needs a GPU") && problem.contains("`f32`"),
        "{problem}"
    );
}

#[test]
fn the_precision_is_part_of_a_recipes_hash_where_it_is_not_single() {
    let half = Recipe::from_toml("precision = \"bf16\"").unwrap();
    assert!(half.canonical().contains(r#""precision":"bf16""#));
    // As the text was before there was a choice: jobs keep their names.
    assert!(!Recipe::default().canonical().contains("precision"));
}

#[test]
fn the_tokens_are_those_of_the_rendered_template_and_the_completion_ends_with_its_end_token() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let format = ChatFormat::read(folder.path()).unwrap();
    let prompt = [message(Role::System, "Be brief."), message(Role::User, "Why?")];
    let asked = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(format.render(&prompt, true).unwrap(), asked);
    let sequence = format.sequence(&prompt, "So.").unwrap();
    let text = format!("{asked}So.<|im_end|>");
    assert_eq!(sequence.tokens, format.tokens(&text).unwrap());
    // The three bytes and the end token, which is 258.
    assert_eq!(sequence.targets(), 4);
    assert_eq!(sequence.tokens.last(), Some(&258));
    assert_eq!(sequence.tokens[0], 257, "a special token is one token");
    let alone = format.render(&[message(Role::User, "Why?")], true).unwrap();
    assert!(alone.starts_with("<|im_start|>system\nYou are tiny.<|im_end|>\n<|im_start|>user\nWhy?"), "{alone}");
}

/// Has the tokenizer put a token before each text, as Llama's do.
fn put_before_texts(folder: &Path, token: &str, id: u32) {
    let path = folder.join("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let first = serde_json::json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = serde_json::json!({"Sequence": {"id": "A", "type_id": 0}});
    tokenizer["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing", "single": [first, text], "pair": [first, text],
        "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
    });
    std::fs::write(path, tokenizer.to_string()).unwrap();
}

#[test]
fn a_text_begins_with_one_token_that_begins_a_text_whoever_puts_it_there() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let prompt = [message(Role::User, "Why?")];
    let sequence = || ChatFormat::read(folder.path()).unwrap().sequence(&prompt, "So.").unwrap();
    let plain = sequence();
    // The template begins with it (`<|im_start|>` is 257), and the tokenizer would put it there once more.
    put_before_texts(folder.path(), "<|im_start|>", 257);
    assert_eq!(sequence(), plain);
    // The template does not, so that the tokenizer's is the one; before the prompt alone.
    let path = folder.path().join("tokenizer_config.json");
    let config = std::fs::read_to_string(&path).unwrap().replace("<|im_start|>\"}", "<|endoftext|>\"}");
    std::fs::write(path, config).unwrap();
    put_before_texts(folder.path(), "<|endoftext|>", 256);
    let marked = sequence();
    assert_eq!((marked.tokens[0], &marked.tokens[1..]), (256, &plain.tokens[..]));
    assert_eq!(marked.targets(), plain.targets());
}

#[test]
fn a_prompt_and_its_answer_are_tokenised_as_one_text() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    // As SentencePiece's tokenizers, which put a space before a text: here before each part between special tokens.
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["normalizer"] = serde_json::json!({"type": "Prepend", "prepend": "_"});
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let format = ChatFormat::read(folder.path()).unwrap();
    let prompt = [message(Role::User, "Why?")];
    let sequence = format.sequence(&prompt, "So.").unwrap();
    let text = format.render(&prompt, true).unwrap() + "So.<|im_end|>";
    assert_eq!(sequence.tokens, format.tokens(&text).unwrap());
    assert_eq!(sequence.targets(), 4, "`S`, `o`, `.` and the end");
}

#[test]
fn a_template_may_use_pythons_methods_and_may_refuse() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let template = "{% for m in messages %}{% if m.content == '' %}{{ raise_exception('nothing to say') }}{% endif %}\
                    [{{ m.content.strip().upper() }}]{{ eos_token }}{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let format = ChatFormat::read(folder.path()).unwrap();
    assert_eq!(format.render(&[message(Role::User, " why? ")], true).unwrap(), "[WHY?]<|im_end|>");
    let refused = problem(format.render(&[message(Role::User, "")], true));
    assert!(refused.contains("nothing to say"), "{refused}");
}

#[test]
fn a_model_without_a_system_role_is_trained_and_asked_with_the_systems_words_in_the_first_turn() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let template = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}\
                    {{ '[' + m.content + ']' if m.role == 'user' else m.content + eos_token }}{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let format = ChatFormat::read(folder.path()).unwrap();
    let prompt = [message(Role::System, "Be brief."), message(Role::User, "Why?")];
    assert_eq!(format.render(&prompt, true).unwrap(), "[Be brief.\n\nWhy?]");
    let sequence = format.sequence(&prompt, "So.").unwrap();
    assert_eq!(sequence.tokens, format.tokens("[Be brief.\n\nWhy?]So.<|im_end|>").unwrap());
}

#[test]
fn a_template_that_hides_where_the_answer_begins_is_refused() {
    let folder = written(&Shape::of("LlamaForCausalLM"));
    let template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let format = ChatFormat::read(folder.path()).unwrap();
    assert!(matches!(format.sequence(&[message(Role::User, "why?")], "so"), Err(Error::Template(_))));
}

#[test]
fn a_recipe_is_read_from_toml_and_each_bad_setting_is_named() {
    let text = "method = \"dpo\"\ntargets = [\"down_proj\", \"q_proj\"]\nschedule = \"cosine\"\nlearning_rate = 5e-4";
    let recipe = Recipe::from_toml(text).unwrap();
    assert_eq!((recipe.method, recipe.schedule), (Method::Dpo, Schedule::Cosine));
    assert_eq!(recipe.targets, Some(vec![Target::DownProj, Target::QProj]));
    assert!(recipe.canonical().contains(r#""targets":["q_proj","down_proj"]"#), "{}", recipe.canonical());
    for (text, key) in [
        ("rank = 0", "rank"),
        ("dropout = 1.0", "dropout"),
        ("targets = []", "targets"),
        ("targets = [\"q_proj\", \"q_proj\"]", "targets"),
        ("learning_rate = 0.0", "learning_rate"),
        ("patience = 2", "patience"),
        ("epochs = 0", "epochs"),
        ("pack_tokens = 1", "pack_tokens"),
        ("clip = -1.0", "clip"),
        ("ranks = 3", "ranks"),
    ] {
        assert!(Recipe::from_toml(text).unwrap_err().to_string().contains(key), "{text}");
    }
}

#[test]
fn the_same_work_has_the_same_canonical_text() {
    let a = Recipe::from_toml("rank = 4\ntargets = [\"v_proj\", \"q_proj\"]").unwrap();
    let b = Recipe::from_toml("targets = [\"q_proj\", \"v_proj\"]\nrank = 4").unwrap();
    assert_eq!(a.canonical(), b.canonical());
    assert_ne!(a.canonical(), Recipe::default().canonical());
}
