//! The decoder of the Llama family, with its derivative for the adapter's matrices.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use twin_training::{Precision, Target};

use super::attention::{Attention, HeadNorms};
use super::config::{Architecture, ModelConfig};
use super::error::Error;
use super::kernels::{Kernels, Rope, rms_norm, rms_norm_backward, swiglu, swiglu_backward};
use super::linear::{Gradients, Linear};
use super::lora::{DeviceAdapter, target_shape};
use super::pack::Pack;
use super::task::numbers;
use super::weights::Weights;

struct Layer {
    input_norm: Tensor,
    qkv: Linear,
    head_norms: Option<HeadNorms>,
    output: Linear,
    mlp_norm: Tensor,
    gate_up: Linear,
    down: Linear,
}

/// A model with frozen weights.
pub struct Decoder {
    config: ModelConfig,
    kernels: Kernels,
    device: Device,
    dtype: DType,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    /// `[vocabulary, hidden]`; the embedding where the model ties them.
    head: Tensor,
}

/// What the forward pass leaves for the backward pass.
pub(crate) struct Tape {
    layers: Vec<Saved>,
    last: Tensor,
}

struct Saved {
    /// The residual stream before the layer.
    x: Tensor,
    qkv: Tensor,
    /// The attention's result before the output projection.
    attended: Tensor,
    /// The residual stream between attention and MLP.
    middle: Tensor,
    gate_up: Tensor,
}

impl Decoder {
    /// Loads a Hugging Face directory onto a device, in single precision.
    ///
    /// # Errors
    /// A model of another kind, a weight that is missing or of another shape, a file that can not be read.
    pub fn load(model: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_with(model, device, Kernels::of(device), Precision::F32)
    }

    /// As [`Self::load`], with a choice of the kernels and of the precision. Fused kernels need the CPU or an NVIDIA GPU,
    /// half precision needs a GPU.
    ///
    /// # Errors
    /// As [`Self::load`]; half precision on the CPU.
    pub fn load_with(model: &Path, device: &Device, kernels: Kernels, precision: Precision) -> Result<Self, Error> {
        let dtype = numbers(precision, device)?;
        let config = ModelConfig::read(model)?;
        let weights = Weights::open(model)?;
        let table = [config.vocabulary, config.hidden];
        let embedding = weights.read("model.embed_tokens.weight", &table, device, dtype)?;
        let head = match config.tied_head {
            true => embedding.clone(),
            false => weights.read("lm_head.weight", &table, device, dtype)?,
        };
        let layer = |index| Loader { config: &config, weights: &weights, device, dtype, index }.layer();
        let layers: Result<Vec<Layer>, Error> = (0..config.layers).map(layer).collect();
        let norm = weights.read("model.norm.weight", &[config.hidden], device, dtype)?;
        Ok(Self { embedding, head, layers: layers?, norm, kernels, device: device.clone(), dtype, config })
    }

    /// The model's dimensions.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where it is computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The type of its numbers.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    pub(crate) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The output head `[vocabulary, hidden]`.
    pub(crate) fn head(&self) -> &Tensor {
        &self.head
    }

    /// The logits `[tokens, vocabulary]` after each token of one sequence.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, and the device's errors.
    pub fn logits(&self, tokens: &[u32], adapter: Option<&DeviceAdapter>) -> Result<Tensor, Error> {
        Ok(self.hidden(&Pack::unscored(tokens), adapter)?.matmul(&self.head.t()?)?)
    }

    /// The last hidden states `[rows, hidden]` of a pack. Nothing is kept for a backward pass.
    pub(crate) fn hidden(&self, pack: &Pack, adapter: Option<&DeviceAdapter>) -> Result<Tensor, Error> {
        let rope = self.rope(pack)?;
        let mut x = self.embedded(pack)?;
        for index in 0..self.layers.len() {
            x = self.layer(index, x, pack, &rope, adapter)?.0;
        }
        Ok(rms_norm(self.kernels, &x, &self.norm, self.config.norm_eps)?)
    }

    /// As [`Self::hidden`], with what [`Self::backward`] needs.
    pub(crate) fn forward(&self, pack: &Pack, adapter: &DeviceAdapter) -> Result<(Tensor, Tape), Error> {
        let rope = self.rope(pack)?;
        let mut x = self.embedded(pack)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for index in 0..self.layers.len() {
            let (next, saved) = self.layer(index, x, pack, &rope, Some(adapter))?;
            layers.push(saved);
            x = next;
        }
        let hidden = rms_norm(self.kernels, &x, &self.norm, self.config.norm_eps)?;
        Ok((hidden, Tape { layers, last: x }))
    }

    /// The gradients of the adapter's matrices in single precision, given that for the hidden states.
    pub(crate) fn backward(
        &self,
        pack: &Pack,
        adapter: &DeviceAdapter,
        tape: Tape,
        gradient: &Tensor,
    ) -> Result<Vec<Tensor>, Error> {
        let rope = self.rope(pack)?;
        let mut gradients: Gradients = vec![None; adapter.len()];
        let Tape { mut layers, last } = tape;
        let mut gradient = rms_norm_backward(self.kernels, &last, &self.norm, self.config.norm_eps, gradient)?;
        // Popped, so that each layer's memory is free once its gradient is known.
        while let Some(saved) = layers.pop() {
            let pass = Backward { decoder: self, index: layers.len(), pack, rope: &rope, adapter };
            gradient = pass.layer(&saved, gradient, &mut gradients)?;
        }
        let missing = || candle_core::Error::Msg("a matrix of the adapter has no gradient".to_owned());
        let single = |gradient: Option<Tensor>| Ok(gradient.ok_or_else(missing)?.to_dtype(DType::F32)?);
        gradients.into_iter().map(single).collect()
    }

    fn layer(
        &self,
        index: usize,
        x: Tensor,
        pack: &Pack,
        rope: &Rope,
        adapter: Option<&DeviceAdapter>,
    ) -> Result<(Tensor, Saved), Error> {
        let (layer, eps, kernels) = (&self.layers[index], self.config.norm_eps, self.kernels);
        let normed = rms_norm(kernels, &x, &layer.input_norm, eps)?;
        let qkv = layer.qkv.forward(kernels, &normed, index, adapter)?;
        let attended = self.attention(layer, pack, rope).forward(&qkv)?;
        let middle = (&x + layer.output.forward(kernels, &attended, index, adapter)?)?;
        let normed = rms_norm(kernels, &middle, &layer.mlp_norm, eps)?;
        let gate_up = layer.gate_up.forward(kernels, &normed, index, adapter)?;
        let out = (&middle + layer.down.forward(kernels, &swiglu(kernels, &gate_up)?, index, adapter)?)?;
        Ok((out, Saved { x, qkv, attended, middle, gate_up }))
    }

    fn attention<'a>(&'a self, layer: &'a Layer, pack: &'a Pack, rope: &'a Rope) -> Attention<'a> {
        let norms = layer.head_norms.as_ref();
        Attention { config: &self.config, kernels: self.kernels, pack, rope, norms }
    }

    fn rope(&self, pack: &Pack) -> Result<Rope, Error> {
        Ok(Rope::new(&self.config.rope_frequencies(), pack.positions(), self.kernels, &self.device)?)
    }

    fn embedded(&self, pack: &Pack) -> Result<Tensor, Error> {
        pack.check(self.config.vocabulary)?;
        let tokens = Tensor::new(pack.tokens.as_slice(), &self.device)?;
        Ok(self.embedding.index_select(&tokens, 0)?)
    }
}

/// The backward pass of one layer.
struct Backward<'a> {
    decoder: &'a Decoder,
    index: usize,
    pack: &'a Pack,
    rope: &'a Rope,
    adapter: &'a DeviceAdapter,
}

impl Backward<'_> {
    fn layer(&self, saved: &Saved, gradient: Tensor, gradients: &mut Gradients) -> Result<Tensor, Error> {
        let (layer, eps) = (&self.decoder.layers[self.index], self.decoder.config.norm_eps);
        let kernels = self.decoder.kernels;
        let (index, adapter) = (self.index, self.adapter);

        let activated = swiglu(kernels, &saved.gate_up)?;
        let for_activated = layer.down.backward(kernels, &activated, &gradient, index, adapter, gradients)?;
        let for_gate_up = swiglu_backward(kernels, &saved.gate_up, &for_activated)?;
        let normed = rms_norm(kernels, &saved.middle, &layer.mlp_norm, eps)?;
        let for_normed = layer.gate_up.backward(kernels, &normed, &for_gate_up, index, adapter, gradients)?;
        let through_norm = rms_norm_backward(kernels, &saved.middle, &layer.mlp_norm, eps, &for_normed)?;
        let gradient = (gradient + through_norm)?;

        let for_attended = layer.output.backward(kernels, &saved.attended, &gradient, index, adapter, gradients)?;
        let attention = self.decoder.attention(layer, self.pack, self.rope);
        let for_qkv = attention.backward(&saved.qkv, &for_attended)?;
        let normed = rms_norm(kernels, &saved.x, &layer.input_norm, eps)?;
        let for_normed = layer.qkv.backward(kernels, &normed, &for_qkv, index, adapter, gradients)?;
        Ok((gradient + rms_norm_backward(kernels, &saved.x, &layer.input_norm, eps, &for_normed)?)?)
    }
}

/// Reads one layer's weights.
struct Loader<'a> {
    config: &'a ModelConfig,
    weights: &'a Weights,
    device: &'a Device,
    dtype: DType,
    index: usize,
}

impl Loader<'_> {
    fn layer(&self) -> Result<Layer, Error> {
        let config = self.config;
        let queries_and_keys = [Target::QProj, Target::KProj, Target::VProj];
        let qkv_biases = if config.qkv_bias { &queries_and_keys[..] } else { &[] };
        let output_bias = if config.output_bias { &[Target::OProj][..] } else { &[] };
        let head_norms = match config.architecture {
            Architecture::Qwen3 => Some(HeadNorms {
                q: self.vector("self_attn.q_norm", config.head_dim)?,
                k: self.vector("self_attn.k_norm", config.head_dim)?,
            }),
            _ => None,
        };
        Ok(Layer {
            input_norm: self.vector("input_layernorm", config.hidden)?,
            qkv: self.linear(&queries_and_keys, qkv_biases)?,
            head_norms,
            output: self.linear(&[Target::OProj], output_bias)?,
            mlp_norm: self.vector("post_attention_layernorm", config.hidden)?,
            gate_up: self.linear(&[Target::GateProj, Target::UpProj], &[])?,
            down: self.linear(&[Target::DownProj], &[])?,
        })
    }

    fn linear(&self, targets: &[Target], biased: &[Target]) -> Result<Linear, Error> {
        let mut projections = Vec::new();
        for &target in targets {
            let (rows, columns) = target_shape(self.config, target);
            let name = format!("model.layers.{}.{}.weight", self.index, target.path());
            projections.push((target, self.weights.read(&name, &[rows, columns], self.device, self.dtype)?));
        }
        let mut biases = Vec::new();
        for &target in biased {
            let (rows, _) = target_shape(self.config, target);
            let name = format!("model.layers.{}.{}.bias", self.index, target.path());
            biases.push(self.weights.read(&name, &[rows], self.device, self.dtype)?);
        }
        Linear::new(projections, &biases)
    }

    fn vector(&self, name: &str, width: usize) -> Result<Tensor, Error> {
        let name = format!("model.layers.{}.{name}.weight", self.index);
        self.weights.read(&name, &[width], self.device, self.dtype)
    }
}
