//! Conversions of a small GGUF file that each test writes itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use tempfile::TempDir;
use tokenizers::Tokenizer;

use super::{ConvertError, Converted, convert_gguf};

const HIDDEN: usize = 32;
const WIDE: usize = 64;
/// Eight heads of four numbers: a head's rows 0 1 2 3 are stored as 0 2 1 3.
const HEADS: usize = 8;
const KEY_VALUE_HEADS: usize = 2;

/// A GGUF file under construction: a valid one-layer model that a test damages as it likes.
struct Model {
    folder: TempDir,
    fields: BTreeMap<String, Value>,
    tensors: BTreeMap<String, QTensor>,
}

impl Model {
    fn new() -> Self {
        let mut model = Self { folder: TempDir::new().unwrap(), fields: BTreeMap::new(), tensors: BTreeMap::new() };
        model.add_fields();
        model.add_tensors();
        model
    }

    fn add_fields(&mut self) {
        let tokens = tokens();
        let types = tokens.iter().map(|token| Value::I32(if token.starts_with("<|") { 3 } else { 1 })).collect();
        let merges = ["Ġ t", "h e", "Ġt he"].map(|merge| Value::String(merge.into())).to_vec();
        let sizes = [
            ("llama.embedding_length", HIDDEN),
            ("llama.feed_forward_length", WIDE),
            ("llama.block_count", 1),
            ("llama.attention.head_count", HEADS),
            ("llama.attention.head_count_kv", KEY_VALUE_HEADS),
            ("llama.context_length", 128),
            ("tokenizer.ggml.bos_token_id", 1),
            ("tokenizer.ggml.eos_token_id", 2),
        ];
        let texts = [
            ("general.architecture", "llama"),
            ("tokenizer.ggml.model", "gpt2"),
            ("tokenizer.ggml.pre", "smollm"),
            ("tokenizer.chat_template", "{{ messages }}"),
        ];
        let fields = &mut self.fields;
        fields.extend(sizes.map(|(key, size)| (key.to_owned(), Value::U32(size as u32))));
        fields.extend(texts.map(|(key, text)| (key.to_owned(), Value::String(text.to_owned()))));
        fields.insert("llama.attention.layer_norm_rms_epsilon".into(), Value::F32(1e-5));
        fields.insert("llama.rope.freq_base".into(), Value::F32(100_000.0));
        fields.insert("tokenizer.ggml.tokens".into(), Value::Array(tokens.into_iter().map(Value::String).collect()));
        fields.insert("tokenizer.ggml.token_type".into(), Value::Array(types));
        fields.insert("tokenizer.ggml.merges".into(), Value::Array(merges));
    }

    fn add_tensors(&mut self) {
        let key = KEY_VALUE_HEADS * HIDDEN / HEADS;
        self.add("token_embd", &[tokens().len(), HIDDEN]);
        self.add("output_norm", &[HIDDEN]);
        for (name, shape) in [
            ("attn_norm", vec![HIDDEN]),
            ("attn_q", vec![HIDDEN, HIDDEN]),
            ("attn_k", vec![key, HIDDEN]),
            ("attn_v", vec![key, HIDDEN]),
            ("attn_output", vec![HIDDEN, HIDDEN]),
            ("ffn_norm", vec![HIDDEN]),
            ("ffn_gate", vec![WIDE, HIDDEN]),
            ("ffn_up", vec![WIDE, HIDDEN]),
            ("ffn_down", vec![HIDDEN, WIDE]),
        ] {
            self.add(&format!("blk.0.{name}"), &shape);
        }
    }

    /// Adds an F32 tensor in which each number is the index of its row.
    fn add(&mut self, name: &str, shape: &[usize]) {
        let columns: usize = shape[1..].iter().product();
        let values: Vec<f32> = (0..shape[0] * columns).map(|index| (index / columns) as f32).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let stored = QTensor::quantize(&tensor, GgmlDType::F32).unwrap();
        self.tensors.insert(format!("{name}.weight"), stored);
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("converted")
    }

    fn convert(&self) -> Result<Converted, ConvertError> {
        self.convert_with(&mut |_, _| {})
    }

    fn convert_with(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Converted, ConvertError> {
        let source = self.folder.path().join("model.gguf");
        let fields: Vec<(&str, &Value)> = self.fields.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> = self.tensors.iter().map(|(name, data)| (name.as_str(), data)).collect();
        gguf_file::write(&mut fs::File::create(&source).unwrap(), &fields, &tensors).unwrap();
        convert_gguf(&source, &self.target(), progress)
    }

    /// The error of a conversion, which must have left no target behind.
    fn failure(&self) -> String {
        let error = self.convert().expect_err("the conversion must fail");
        assert!(!self.target().exists(), "a failed conversion left its target behind");
        error.to_string()
    }
}

/// Three control tokens, the 256 byte-level characters and the results of the merges.
fn tokens() -> Vec<String> {
    let mut tokens: Vec<String> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(String::from).to_vec();
    let mut alphabet: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    tokens.extend(alphabet.into_iter().map(String::from));
    tokens.extend(["Ġt", "he", "Ġthe"].map(String::from));
    tokens
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The first column of a converted matrix: which stored row each row came from.
fn row_sources(directory: &Path, name: &str) -> Vec<f32> {
    let tensors = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu).unwrap();
    tensors[name].narrow(1, 0, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_tensor_arrives_under_its_new_name_in_f32() {
    let mut model = Model::new();
    let gate = Tensor::ones((WIDE, HIDDEN), DType::F32, &Device::Cpu).unwrap();
    model.tensors.insert("blk.0.ffn_gate.weight".into(), QTensor::quantize(&gate, GgmlDType::Q8_0).unwrap());

    let converted = model.convert().unwrap();

    let tensors = candle_core::safetensors::load(model.target().join("model.safetensors"), &Device::Cpu).unwrap();
    let shapes: BTreeMap<&str, &[usize]> = tensors.iter().map(|(name, data)| (name.as_str(), data.dims())).collect();
    let layer: [(&str, &[usize]); 11] = [
        ("model.embed_tokens.weight", &[262, 32]),
        ("model.norm.weight", &[32]),
        ("model.layers.0.input_layernorm.weight", &[32]),
        ("model.layers.0.self_attn.q_proj.weight", &[32, 32]),
        ("model.layers.0.self_attn.k_proj.weight", &[8, 32]),
        ("model.layers.0.self_attn.v_proj.weight", &[8, 32]),
        ("model.layers.0.self_attn.o_proj.weight", &[32, 32]),
        ("model.layers.0.post_attention_layernorm.weight", &[32]),
        ("model.layers.0.mlp.gate_proj.weight", &[64, 32]),
        ("model.layers.0.mlp.up_proj.weight", &[64, 32]),
        ("model.layers.0.mlp.down_proj.weight", &[32, 64]),
    ];
    assert_eq!(shapes, BTreeMap::from(layer));
    assert!(tensors.values().all(|tensor| tensor.dtype() == DType::F32));
    let parameters: usize = tensors.values().map(Tensor::elem_count).sum();
    assert_eq!((converted.parameters, converted.tensors), (parameters as u64, 11));
    let gate = &tensors["model.layers.0.mlp.gate_proj.weight"];
    let wrong = (gate - 1.0).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(wrong < 0.01, "the Q8_0 tensor of ones is off by {wrong}");
}

#[test]
fn query_and_key_rows_return_to_their_original_order_and_value_rows_stay() {
    let model = Model::new();
    model.convert().unwrap();
    let key = row_sources(&model.target(), "model.layers.0.self_attn.k_proj.weight");
    assert_eq!(key, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    let query = row_sources(&model.target(), "model.layers.0.self_attn.q_proj.weight");
    assert_eq!(query[28..], [28.0, 30.0, 29.0, 31.0]);
    let value = row_sources(&model.target(), "model.layers.0.self_attn.v_proj.weight");
    assert_eq!(value, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn the_tokenizer_merges_splits_digits_keeps_control_tokens_and_decodes_to_the_same_text() {
    let model = Model::new();
    model.convert().unwrap();
    let tokenizer = Tokenizer::from_file(model.target().join("tokenizer.json")).unwrap();
    let text = "<|im_start|>at the 42\n\n";
    let encoding = tokenizer.encode(text, false).unwrap();
    assert_eq!(encoding.get_tokens(), ["<|im_start|>", "a", "t", "Ġthe", "Ġ", "4", "2", "Ċ", "Ċ"]);
    assert_eq!(tokenizer.decode(encoding.get_ids(), false).unwrap(), text);
    assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), "at the 42\n\n");
}

#[test]
fn the_configuration_files_repeat_the_header_and_generation_stops_at_both_end_tokens() {
    let model = Model::new();
    model.convert().unwrap();
    let config = json(&model.target().join("config.json"));
    assert_eq!(config["model_type"], "llama");
    assert_eq!(config["head_dim"], 4);
    assert_eq!(config["vocab_size"], 262);
    assert_eq!(config["tie_word_embeddings"], true);
    assert_eq!(config["rms_norm_eps"], 1e-5, "an F32 must not grow digits");
    let generation = json(&model.target().join("generation_config.json"));
    assert_eq!(generation["eos_token_id"], serde_json::json!([2, 0]));
    assert_eq!(generation["pad_token_id"], 2);
    let tokenizer = json(&model.target().join("tokenizer_config.json"));
    assert_eq!(tokenizer["eos_token"], "<|im_end|>");
    assert_eq!(tokenizer["chat_template"], "{{ messages }}");
}

#[test]
fn a_separate_output_head_is_kept_and_declared() {
    let mut model = Model::new();
    model.add("output", &[tokens().len(), HIDDEN]);
    model.convert().unwrap();
    assert_eq!(row_sources(&model.target(), "lm_head.weight").len(), 262);
    assert_eq!(json(&model.target().join("config.json"))["tie_word_embeddings"], false);
}

#[test]
fn progress_rises_from_nothing_to_all_bytes() {
    let model = Model::new();
    let mut calls = Vec::new();
    let converted = model.convert_with(&mut |done, total| calls.push((done, total))).unwrap();
    assert_eq!(calls.first(), Some(&(0, converted.weight_bytes)));
    assert_eq!(calls.last(), Some(&(converted.weight_bytes, converted.weight_bytes)));
    assert!(calls.is_sorted());
}

#[test]
fn the_rest_of_a_killed_conversion_is_replaced() {
    let model = Model::new();
    let partial = model.folder.path().join("converted.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("model.safetensors"), "cut off").unwrap();
    fs::write(partial.join("stray"), "").unwrap();
    model.convert().unwrap();
    assert!(!partial.exists());
    let mut names: Vec<_> = fs::read_dir(model.target()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected =
        ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(names, expected);
}

#[test]
fn an_existing_target_is_not_overwritten() {
    let model = Model::new();
    fs::create_dir(model.target()).unwrap();
    assert!(matches!(model.convert(), Err(ConvertError::TargetExists { .. })));
    assert_eq!(fs::read_dir(model.target()).unwrap().count(), 0);
}

#[test]
fn another_architecture_is_refused_by_name() {
    let mut model = Model::new();
    model.fields.insert("general.architecture".into(), Value::String("gemma3".into()));
    assert_eq!(model.failure(), "architecture \"gemma3\" is not supported, only \"llama\" is");
}

#[test]
fn another_tokenizer_is_refused_by_name() {
    let mut model = Model::new();
    model.fields.insert("tokenizer.ggml.pre".into(), Value::String("qwen2".into()));
    assert!(model.failure().contains("\"gpt2, qwen2\""));
}

#[test]
fn a_missing_header_field_is_named() {
    let mut model = Model::new();
    model.fields.remove("llama.rope.freq_base");
    assert_eq!(model.failure(), "the GGUF header has no field llama.rope.freq_base");
}

#[test]
fn missing_surplus_and_misshapen_tensors_are_named() {
    let mut model = Model::new();
    let value = model.tensors.remove("blk.0.attn_v.weight").unwrap();
    assert_eq!(model.failure(), "the file has no tensor blk.0.attn_v.weight");

    model.tensors.insert("blk.0.attn_v.weight".into(), value);
    model.add("blk.1.attn_v", &[8, HIDDEN]);
    assert!(model.failure().starts_with("tensor blk.1.attn_v.weight is not part of"));

    model.tensors.remove("blk.1.attn_v.weight");
    model.add("blk.0.attn_k", &[12, HIDDEN]);
    assert_eq!(model.failure(), "tensor blk.0.attn_k.weight has shape [12, 32] instead of [8, 32]");
}

#[test]
fn a_file_that_is_not_gguf_is_refused() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("model.gguf");
    fs::write(&source, "not a model").unwrap();
    let error = convert_gguf(&source, &folder.path().join("converted"), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, ConvertError::Gguf { .. }), "{error:?}");
}
