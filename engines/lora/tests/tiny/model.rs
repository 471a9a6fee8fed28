//! Tiny models with random weights, written as Hugging Face directories.

use std::collections::BTreeMap;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use twin_schemas::{ChatMessage, Role};

pub const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\nYou are tiny.<|im_end|>\n' }}{% endif %}\
    {{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// What differs between the tiny models.
pub struct Shape {
    pub architecture: &'static str,
    pub tied: bool,
    pub dtype: Dtype,
    pub shards: usize,
}

impl Shape {
    pub fn of(architecture: &'static str) -> Self {
        let tied = architecture == "LlamaForCausalLM";
        Self { architecture, tied, dtype: Dtype::F32, shards: 1 }
    }
}

const HIDDEN: usize = 16;
const MLP: usize = 24;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 6;
/// 256 bytes and three special tokens.
const VOCABULARY: usize = 259;

/// The names and shapes of the weights.
pub fn shapes(shape: &Shape) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut add = |name: String, dims: &[usize]| shapes.insert(name, dims.to_vec());
    add("model.embed_tokens.weight".into(), &[VOCABULARY, HIDDEN]);
    add("model.norm.weight".into(), &[HIDDEN]);
    if !shape.tied {
        add("lm_head.weight".into(), &[VOCABULARY, HIDDEN]);
    }
    for layer in 0..LAYERS {
        let of = |name: &str| format!("model.layers.{layer}.{name}");
        let (queries, keys) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
        for norm in ["input_layernorm.weight", "post_attention_layernorm.weight"] {
            add(of(norm), &[HIDDEN]);
        }
        for (name, dims) in [
            ("self_attn.q_proj", [queries, HIDDEN]),
            ("self_attn.k_proj", [keys, HIDDEN]),
            ("self_attn.v_proj", [keys, HIDDEN]),
            ("self_attn.o_proj", [HIDDEN, queries]),
            ("mlp.gate_proj", [MLP, HIDDEN]),
            ("mlp.up_proj", [MLP, HIDDEN]),
            ("mlp.down_proj", [HIDDEN, MLP]),
        ] {
            add(of(&format!("{name}.weight")), &dims);
            if shape.architecture == "Qwen2ForCausalLM" && dims[1] == HIDDEN && name.starts_with("self_attn") {
                add(of(&format!("{name}.bias")), &dims[..1]);
            }
        }
        if shape.architecture == "Qwen3ForCausalLM" {
            add(of("self_attn.q_norm.weight"), &[HEAD_DIM]);
            add(of("self_attn.k_norm.weight"), &[HEAD_DIM]);
        }
    }
    shapes
}

pub fn config(shape: &Shape) -> Value {
    json!({
        "architectures": [shape.architecture], "hidden_size": HIDDEN, "intermediate_size": MLP,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM, "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": shape.tied, "vocab_size": VOCABULARY,
        "eos_token_id": 258,
    })
}

/// Shape and bytes of a tensor.
type Raw = (Vec<usize>, Vec<u8>);

/// Writes a model; `skip` is a tensor that is left out.
pub fn write(folder: &Path, shape: &Shape, skip: Option<&str>) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config(shape).to_string()).unwrap();
    let tokens = json!({"chat_template": CHATML, "eos_token": "<|im_end|>", "bos_token": {"content": "<|im_start|>"}});
    std::fs::write(folder.join("tokenizer_config.json"), tokens.to_string()).unwrap();
    write_tokenizer(folder);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut files: Vec<BTreeMap<String, Raw>> = vec![BTreeMap::new(); shape.shards];
    let mut map = BTreeMap::new();
    for (index, (name, dims)) in shapes(shape).into_iter().enumerate() {
        let centre = if name.contains("norm") { 1.0 } else { 0.0 };
        let count = dims.iter().product::<usize>();
        let values = (0..count).map(|_| centre + rng.random_range(-0.5f32..0.5));
        let bytes = match shape.dtype {
            Dtype::F32 => values.flat_map(f32::to_le_bytes).collect(),
            // BF16 is the upper half of F32.
            _ => values.flat_map(|value| [value.to_le_bytes()[2], value.to_le_bytes()[3]]).collect(),
        };
        if skip == Some(name.as_str()) {
            continue;
        }
        map.insert(name.clone(), file_name(shape, index % shape.shards));
        files[index % shape.shards].insert(name, (dims, bytes));
    }
    for (index, tensors) in files.iter().enumerate() {
        let views = tensors
            .iter()
            .map(|(name, (dims, bytes))| (name.as_str(), TensorView::new(shape.dtype, dims.clone(), bytes).unwrap()));
        std::fs::write(folder.join(file_name(shape, index)), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    if shape.shards > 1 {
        let index = json!({"metadata": {}, "weight_map": map});
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    }
}

fn file_name(shape: &Shape, index: usize) -> String {
    match shape.shards {
        1 => "model.safetensors".to_owned(),
        shards => format!("model-{:05}-of-{shards:05}.safetensors", index + 1),
    }
}

/// Bytes and three special tokens, without merges.
fn write_tokenizer(folder: &Path) {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort();
    let vocabulary: BTreeMap<String, usize> =
        alphabet.iter().enumerate().map(|(id, byte)| (byte.to_string(), id)).collect();
    let special = |(index, content): (usize, &str)| {
        json!({"id": 256 + index, "content": content, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].into_iter().enumerate().map(special);
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": specials.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

pub fn message(role: Role, content: &str) -> ChatMessage {
    ChatMessage { role, content: content.to_owned() }
}

/// Writes conversations as JSONL.
pub fn write_chats(path: &Path, pairs: &[(&str, &str)]) {
    let line = |(asked, answered): &(&str, &str)| {
        json!({"messages": [message(Role::User, asked), message(Role::Assistant, answered)]}).to_string()
    };
    std::fs::write(path, pairs.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
}
