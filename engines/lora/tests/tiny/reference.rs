//! The decoder against a second one: written straight from the papers with candle's plain operations, and derived by
//! candle's autograd.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{loss, ops, rotary_emb};
use tempfile::TempDir;
use twin_lora::{Adapter, Decoder, ModelConfig, Pack, Sequence};

use crate::gradients::{ARCHITECTURES, all_targets, random_adapter};
use crate::model::{self, Shape};

/// The hidden states of one sequence, with the adapter's matrices as variables, in the order of the adapter.
struct Reference {
    weights: std::collections::HashMap<String, Tensor>,
    variables: Vec<(String, Var)>,
    config: ModelConfig,
    scale: f64,
}

impl Reference {
    fn new(folder: &Path, adapter: &Adapter, config: &ModelConfig) -> Self {
        let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
        let variable = |parameter: &twin_lora::Parameter| {
            let tensor = Tensor::from_slice(&parameter.values, parameter.shape, &Device::Cpu).unwrap();
            (parameter.name.clone(), Var::from_tensor(&tensor).unwrap())
        };
        let variables = adapter.parameters.iter().map(variable).collect();
        Self { weights, variables, config: config.clone(), scale: adapter.scale() }
    }

    fn variable(&self, name: String) -> &Tensor {
        self.variables.iter().find(|(found, _)| *found == name).map(|(_, variable)| variable.as_tensor()).unwrap()
    }

    fn linear(&self, name: &str, x: &Tensor) -> Tensor {
        let [a, b] = ["A", "B"].map(|matrix| self.variable(format!("{name}.lora_{matrix}.weight")));
        let low = x.matmul(&a.t().unwrap()).unwrap().matmul(&b.t().unwrap()).unwrap();
        let frozen = x.matmul(&self.weights[&format!("{name}.weight")].t().unwrap()).unwrap();
        let sum = (frozen + (low * self.scale).unwrap()).unwrap();
        match self.weights.get(&format!("{name}.bias")) {
            Some(bias) => sum.broadcast_add(bias).unwrap(),
            None => sum,
        }
    }

    fn norm(&self, name: &str, x: &Tensor) -> Tensor {
        ops::rms_norm_slow(x, &self.weights[&format!("{name}.weight")], self.config.norm_eps as f32).unwrap()
    }

    fn attention(&self, name: &str, x: &Tensor) -> candle_core::Result<Tensor> {
        let (heads, kv_heads, dim) = (self.config.heads, self.config.kv_heads, self.config.head_dim);
        let tokens = x.dim(0)?;
        let half: Vec<f32> = (0..dim / 2)
            .map(|index| (1.0 / self.config.rope_theta.powf(2.0 * index as f64 / dim as f64)) as f32)
            .collect();
        let positions = Tensor::arange(0u32, tokens as u32, &Device::Cpu)?.to_dtype(DType::F32)?.unsqueeze(1)?;
        let angles = positions.matmul(&Tensor::new(half, &Device::Cpu)?.unsqueeze(0)?)?;
        let split = |kind: &str, heads: usize| {
            let y = self.linear(&format!("{name}.{kind}_proj"), x).reshape((1, tokens, heads, dim))?;
            let normed = match self.weights.contains_key(&format!("{name}.{kind}_norm.weight")) {
                true => self.norm(&format!("{name}.{kind}_norm"), &y),
                false => y,
            };
            normed.transpose(1, 2)?.contiguous()
        };
        let turn = |x: Tensor| rotary_emb::rope_slow(&x, &angles.cos()?, &angles.sin()?);
        let repeat = |x: Tensor| {
            let shape = (1, kv_heads, heads / kv_heads, tokens, dim);
            x.unsqueeze(2)?.expand(shape)?.contiguous()?.reshape((1, heads, tokens, dim))
        };
        let (q, k) = (turn(split("q", heads)?)?, repeat(turn(split("k", kv_heads)?)?)?);
        let v = repeat(split("v", kv_heads)?)?;
        let mask: Vec<f32> = (0..tokens * tokens)
            .map(|index| if index % tokens > index / tokens { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        let mask = Tensor::from_vec(mask, (1, 1, tokens, tokens), &Device::Cpu)?;
        let scores = (q.matmul(&k.t()?)? / (dim as f64).sqrt())?.broadcast_add(&mask)?;
        let mixed = ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        Ok(self.linear(&format!("{name}.o_proj"), &mixed.transpose(1, 2)?.reshape((tokens, heads * dim))?))
    }

    fn logits(&self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let embedding = &self.weights["model.embed_tokens.weight"];
        let mut x = embedding.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        for layer in 0..self.config.layers {
            let name = format!("model.layers.{layer}");
            x = (&x
                + self.attention(&format!("{name}.self_attn"), &self.norm(&format!("{name}.input_layernorm"), &x))?)?;
            let normed = self.norm(&format!("{name}.post_attention_layernorm"), &x);
            let gate = self.linear(&format!("{name}.mlp.gate_proj"), &normed).silu()?;
            let inner = (gate * self.linear(&format!("{name}.mlp.up_proj"), &normed))?;
            x = (&x + self.linear(&format!("{name}.mlp.down_proj"), &inner))?;
        }
        self.norm("model.norm", &x).matmul(&self.weights.get("lm_head.weight").unwrap_or(embedding).t()?)
    }
}

#[test]
fn logits_losses_and_gradients_are_those_of_candles_autograd() {
    // The first has its head tied to the embedding, the others have one of their own.
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
        let adapter = random_adapter(&decoder, &all_targets());
        let reference = Reference::new(folder.path(), &adapter, decoder.config());
        let sequence = Sequence { tokens: (0..40).map(|index| index * 37 % 259).collect(), completion: 25 };

        let on_device = adapter.on(&decoder).unwrap();
        let expected = reference.logits(&sequence.tokens).unwrap();
        let logits = decoder.logits(&sequence.tokens, Some(&on_device)).unwrap();
        let difference = (&logits - &expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-4, "logits differ by {difference}");

        let predicting = expected.narrow(0, 24, 15).unwrap();
        let targets = Tensor::new(&sequence.tokens[25..], &Device::Cpu).unwrap();
        let mean = loss::cross_entropy(&predicting, &targets).unwrap();
        let expected_gradients = mean.backward().unwrap();
        let pack = Pack::new([&sequence]);
        let (losses, gradients) = decoder.gradients(&pack, &on_device, &[1.0 / 15.0; 15]).unwrap();
        let mean = mean.to_scalar::<f32>().unwrap();
        assert!((losses.iter().sum::<f32>() / 15.0 - mean).abs() < 1e-4);
        for ((name, variable), gradient) in reference.variables.iter().zip(&gradients) {
            let expected = expected_gradients.get(variable).unwrap();
            let difference = (gradient - expected).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f32>().unwrap() < 1e-5, "{name} differs by {difference}");
        }
    }
}
