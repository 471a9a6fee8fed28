//! The shape of a model, from the `config.json` of its Hugging Face directory.

use std::path::Path;

use serde::Deserialize;
use twin_training::Shape;

use super::error::Error;
use super::objective::ROWS;

/// The architectures that the decoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM2, TinyLlama.
    Llama,
    /// Mistral: as Llama, with a window of attention.
    Mistral,
    /// Qwen2 and 2.5: biases on q, k and v.
    Qwen2,
    /// Qwen3: q and k are normalised per head.
    Qwen3,
}

/// Llama 3's way to more positions than it was first trained on: long waves are made longer by `factor`, short ones are
/// left, and between the two it is a share of both.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct RopeScaling {
    /// How much longer.
    pub factor: f64,
    /// Waves longer than `original_max_position_embeddings / low_freq_factor` are made longer.
    pub low_freq_factor: f64,
    /// Waves shorter than `original_max_position_embeddings / high_freq_factor` are left.
    pub high_freq_factor: f64,
    /// Positions that it was first trained on.
    pub original_max_position_embeddings: f64,
}

impl RopeScaling {
    fn scaled(&self, frequency: f64) -> f64 {
        let waves = self.original_max_position_embeddings * frequency / (2.0 * std::f64::consts::PI);
        let kept = (waves - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor);
        let kept = kept.clamp(0.0, 1.0);
        kept * frequency + (1.0 - kept) * frequency / self.factor
    }
}

/// The dimensions and constants of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Its kind.
    pub architecture: Architecture,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Epsilon of the RMS norms.
    pub norm_eps: f64,
    /// Base of the rotary position embedding.
    pub rope_theta: f64,
    /// How its lower frequencies are lowered further.
    pub rope_scaling: Option<RopeScaling>,
    /// The output head is the transposed embedding.
    pub tied_head: bool,
    /// q, k and v have biases.
    pub qkv_bias: bool,
    /// The attention's output projection has a bias.
    pub output_bias: bool,
    /// Tokens in one sequence, at most: the positions that the model knows, or its window of attention where that is
    /// smaller. Within the window, windowed attention is full attention.
    pub max_tokens: usize,
}

impl ModelConfig {
    /// Reads `config.json` in `model`.
    ///
    /// # Errors
    /// What the decoder would compute otherwise than the model's authors is refused, with the reason.
    pub fn read(model: &Path) -> Result<Self, Error> {
        let path = model.join("config.json");
        let bytes = std::fs::read(&path).map_err(Error::at(&path))?;
        let raw: RawConfig = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&path, error))?;
        raw.checked()
    }

    /// Radians per position of each pair of a head's numbers, `[head_dim / 2]`.
    pub fn rope_frequencies(&self) -> Vec<f32> {
        let frequency = |index: usize| 1.0 / self.rope_theta.powf(2.0 * index as f64 / self.head_dim as f64);
        let scaled = |frequency| self.rope_scaling.map_or(frequency, |scaling| scaling.scaled(frequency));
        (0..self.head_dim / 2).map(|index| scaled(frequency(index)) as f32).collect()
    }

    /// What of it decides how it is trained, held in numbers of so many bytes.
    pub fn shape(&self, number_bytes: usize) -> Shape {
        let attended = self.heads * self.head_dim;
        let layer = self.hidden * (self.qkv_columns() + attended + 3 * self.intermediate);
        let tables = if self.tied_head { 1 } else { 2 };
        let parameters = self.layers * layer + tables * self.vocabulary * self.hidden;
        // What the forward pass leaves for the backward pass, of one token in one layer.
        let kept = 2 * self.hidden + self.qkv_columns() + attended + 2 * self.intermediate;
        Shape {
            hidden: self.hidden,
            parameters: parameters as u64,
            max_tokens: self.max_tokens,
            token_bytes: (self.layers * kept * number_bytes) as u64,
        }
    }

    /// Bytes that a step takes beside the weights, the adapter and what it keeps of each token: the logits of the rows
    /// in memory at a time and their gradient, and the attention weights of the longest sequence with theirs.
    pub(crate) fn passing_bytes(&self, longest: usize, number_bytes: usize) -> u64 {
        let logits = 3 * ROWS * self.vocabulary;
        let attention = 3 * self.heads * longest * longest;
        ((logits + attention) * number_bytes) as u64
    }

    /// Query heads that share one key and value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Columns of the concatenated projections q, k and v.
    pub fn qkv_columns(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }
}

#[derive(Deserialize)]
struct RawConfig {
    architectures: Vec<String>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    /// Where newer files keep `rope_theta` and the scaling.
    rope_parameters: Option<Rope>,
    max_position_embeddings: usize,
    tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    quantization_config: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    /// The older name of `rope_type`; some files have both.
    #[serde(rename = "type")]
    old_rope_type: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Value,
}

impl RawConfig {
    fn checked(self) -> Result<ModelConfig, Error> {
        let architecture = self.architecture()?;
        self.refuse_what_is_not_computed()?;
        let kv_heads = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        if kv_heads == 0 || !self.num_attention_heads.is_multiple_of(kv_heads) {
            let problem = format!("{} heads can not share {kv_heads} key heads", self.num_attention_heads);
            return Err(Error::Unsupported(problem));
        }
        let head_dim = self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads);
        if !head_dim.is_multiple_of(2) {
            return Err(Error::Unsupported(format!("`head_dim` of {head_dim} is odd")));
        }
        let theta = self.rope_theta.or(self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta));
        let attention_bias = self.attention_bias.unwrap_or(false);
        // Qwen2's files leave a window in place that `use_sliding_window` switches off.
        let window = self.sliding_window.filter(|_| self.use_sliding_window.unwrap_or(true)).unwrap_or(usize::MAX);
        let rope_scaling = self.rope_scaling()?;
        Ok(ModelConfig {
            architecture,
            hidden: self.hidden_size,
            intermediate: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads,
            head_dim,
            vocabulary: self.vocab_size,
            norm_eps: self.rms_norm_eps,
            rope_theta: theta.unwrap_or(10_000.0),
            rope_scaling,
            tied_head: self.tie_word_embeddings.unwrap_or(false),
            qkv_bias: architecture == Architecture::Qwen2 || attention_bias,
            output_bias: architecture != Architecture::Qwen2 && attention_bias,
            max_tokens: self.max_position_embeddings.min(window),
        })
    }

    fn architecture(&self) -> Result<Architecture, Error> {
        match self.architectures.first().map(String::as_str) {
            Some("LlamaForCausalLM") => Ok(Architecture::Llama),
            Some("MistralForCausalLM") => Ok(Architecture::Mistral),
            Some("Qwen2ForCausalLM") => Ok(Architecture::Qwen2),
            Some("Qwen3ForCausalLM") => Ok(Architecture::Qwen3),
            other => Err(Error::Unsupported(format!(
                "architecture {}; it can be LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM",
                other.unwrap_or("unnamed")
            ))),
        }
    }

    fn rope_scaling(&self) -> Result<Option<RopeScaling>, Error> {
        let Some(rope) = self.rope_scaling.as_ref().or(self.rope_parameters.as_ref()) else { return Ok(None) };
        match rope.rope_type.as_ref().or(rope.old_rope_type.as_ref()).map(String::as_str) {
            None | Some("default") => Ok(None),
            Some("llama3") => {
                let scaling = serde_json::from_value(rope.rest.clone());
                scaling.map(Some).map_err(|error| Error::Unsupported(format!("rope scaling: {error}")))
            }
            Some(kind) => Err(Error::Unsupported(format!("rope scaling of type {kind}"))),
        }
    }

    fn refuse_what_is_not_computed(&self) -> Result<(), Error> {
        if let Some(act) = self.hidden_act.as_deref().filter(|act| *act != "silu") {
            return Err(Error::Unsupported(format!("`hidden_act` is {act}, only silu is computed")));
        }
        if self.mlp_bias == Some(true) {
            return Err(Error::Unsupported("`mlp_bias` is set".to_owned()));
        }
        if self.quantization_config.is_some() {
            return Err(Error::Unsupported("its weights are quantised".to_owned()));
        }
        Ok(())
    }
}
