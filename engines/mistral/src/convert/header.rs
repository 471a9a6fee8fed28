//! The model's dimensions: read from the GGUF header, written as `config.json`.

use candle_core::quantized::gguf_file::Content;
use serde::Serialize;

use super::ConvertError;
use super::fields::{Fields, invalid};
use super::tokenizer::Vocabulary;

/// The dimensions of a llama-architecture model.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) hidden_size: usize,
    pub(super) feed_forward_size: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) key_value_heads: usize,
    /// Numbers per attention head.
    pub(super) head_size: usize,
    /// Tokens that one context holds.
    pub(super) context_length: usize,
    pub(super) vocabulary_size: usize,
    /// Whether the output head is the embedding, that is, has no tensor of its own.
    pub(super) tied_embedding: bool,
    rms_norm_epsilon: f32,
    rope_base: f32,
}

impl Header {
    pub(super) fn read(content: &Content) -> Result<Self, ConvertError> {
        let fields = Fields(&content.metadata);
        let architecture = fields.text("general.architecture")?;
        if architecture != "llama" {
            return Err(ConvertError::Architecture { found: architecture.to_owned() });
        }
        if fields.has("llama.rope.scaling.type") && fields.text("llama.rope.scaling.type")? != "none" {
            return Err(invalid("llama.rope.scaling.type", "a scaled rotary embedding, which is not supported"));
        }
        let embedding = content
            .tensor_infos
            .get("token_embd.weight")
            .ok_or_else(|| ConvertError::TensorMissing { name: "token_embd.weight".to_owned() })?;
        let hidden_size = fields.positive("llama.embedding_length")?;
        let heads = fields.positive("llama.attention.head_count")?;
        let head_size = match fields.has("llama.attention.key_length") {
            true => fields.positive("llama.attention.key_length")?,
            false => hidden_size / heads,
        };
        if head_size == 0 || !head_size.is_multiple_of(2) {
            return Err(invalid("llama.attention.head_count", format!("{heads}, which leaves no even head size")));
        }
        Ok(Self {
            hidden_size,
            feed_forward_size: fields.positive("llama.feed_forward_length")?,
            layers: fields.positive("llama.block_count")?,
            heads,
            key_value_heads: fields.positive("llama.attention.head_count_kv")?,
            head_size,
            context_length: fields.positive("llama.context_length")?,
            vocabulary_size: embedding.shape.dims().first().copied().unwrap_or(0),
            tied_embedding: !content.tensor_infos.contains_key("output.weight"),
            rms_norm_epsilon: fields.float("llama.attention.layer_norm_rms_epsilon")?,
            rope_base: fields.float("llama.rope.freq_base")?,
        })
    }

    /// The content of `config.json`, in the names of the `transformers` library.
    pub(super) fn model_config<'a>(&self, vocabulary: &'a Vocabulary<'a>) -> impl Serialize + 'a {
        ModelConfig {
            architectures: ["LlamaForCausalLM"],
            model_type: "llama",
            hidden_size: self.hidden_size,
            intermediate_size: self.feed_forward_size,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.key_value_heads,
            head_dim: self.head_size,
            hidden_act: "silu",
            max_position_embeddings: self.context_length,
            rms_norm_eps: self.rms_norm_epsilon,
            rope_theta: self.rope_base,
            rope_scaling: None,
            attention_bias: false,
            mlp_bias: false,
            tie_word_embeddings: self.tied_embedding,
            vocab_size: self.vocabulary_size,
            bos_token_id: vocabulary.beginning,
            eos_token_id: vocabulary.end,
            pad_token_id: vocabulary.padding,
            torch_dtype: "float32",
            use_cache: true,
        }
    }
}

/// `config.json`. A struct and not a JSON map, so that the order of the fields never changes.
#[derive(Serialize)]
struct ModelConfig {
    architectures: [&'static str; 1],
    model_type: &'static str,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    hidden_act: &'static str,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: f32,
    rope_scaling: Option<()>,
    attention_bias: bool,
    mlp_bias: bool,
    tie_word_embeddings: bool,
    vocab_size: usize,
    bos_token_id: usize,
    eos_token_id: usize,
    pad_token_id: usize,
    torch_dtype: &'static str,
    use_cache: bool,
}
