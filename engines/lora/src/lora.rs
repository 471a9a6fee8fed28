//! The adapter: low-rank matrices beside the frozen ones (Hu et al. 2021, arXiv 2106.09685).
//!
//! `y = x Wᵀ + (alpha / rank) drop(x) Aᵀ Bᵀ`, where A begins random and B as 0, so that training begins at the base
//! model. An [`Adapter`] is the numbers in the host's memory as F32: before training, in a checkpoint, to be exported. The
//! decoder computes with a [`DeviceAdapter`]; while it is trained, the optimizer holds the numbers on that device.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twin_training::{Recipe, Target};

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::error::Error;
use super::kernels::Mask;

/// One matrix that is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As in the base model's files: `model.layers.0.self_attn.q_proj.lora_A.weight`.
    pub name: String,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Its numbers, row by row.
    pub values: Vec<f32>,
}

/// All matrices that are learned: A and B of each layer and target, in the order of the computation.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// A, B, A, B ...
    pub parameters: Vec<Parameter>,
    targets: Vec<Target>,
    /// The learning rate of each target, as a multiple of the recipe's.
    rates: Vec<f64>,
    scale: f64,
}

impl Adapter {
    /// The adapter before training. The same seed gives the same numbers.
    pub fn new(config: &ModelConfig, recipe: &Recipe) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        let targets = recipe.targets_for(&config.shape(size_of::<f32>()));
        let mut parameters = Vec::new();
        for layer in 0..config.layers {
            for &target in &targets {
                let (rows, columns) = target_shape(config, target);
                let name = |matrix| format!("model.layers.{layer}.{}.lora_{matrix}.weight", target.path());
                // Kaiming's uniform with a = sqrt(5), as PEFT has it, is this range.
                let bound = 1.0 / (columns as f32).sqrt();
                let values = (0..recipe.rank * columns).map(|_| rng.random_range(-bound..bound)).collect();
                parameters.push(Parameter { name: name("A"), shape: (recipe.rank, columns), values });
                let values = vec![0.0; rows * recipe.rank];
                parameters.push(Parameter { name: name("B"), shape: (rows, recipe.rank), values });
            }
        }
        let rates = targets.iter().map(|target| recipe.rate_of(*target)).collect();
        Self { parameters, targets, rates, scale: recipe.scale() }
    }

    /// Copies on a decoder's device, in its precision.
    ///
    /// # Errors
    /// The device's.
    pub fn on(&self, decoder: &Decoder) -> Result<DeviceAdapter, Error> {
        let tensor = |parameter: &Parameter| {
            Tensor::from_slice(&parameter.values, parameter.shape, decoder.device())?.to_dtype(decoder.dtype())
        };
        let tensors: Result<Vec<Tensor>, candle_core::Error> = self.parameters.iter().map(tensor).collect();
        Ok(self.of(tensors?))
    }

    /// With these numbers, on their device, in place of its own.
    pub(crate) fn of(&self, tensors: Vec<Tensor>) -> DeviceAdapter {
        DeviceAdapter { tensors, targets: self.targets.clone(), scale: self.scale, dropout: None }
    }

    /// The learning rate of a parameter, as a multiple of the recipe's.
    pub(crate) fn rate_of(&self, parameter: usize) -> f64 {
        self.rates[parameter / 2 % self.rates.len()]
    }

    /// What the output is scaled by: [`Recipe::scale`].
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The matrices that are adapted, in the order of the computation.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// Rows and columns of the frozen matrix of a target.
pub(crate) fn target_shape(config: &ModelConfig, target: Target) -> (usize, usize) {
    let queries = config.heads * config.head_dim;
    let keys = config.kv_heads * config.head_dim;
    match target {
        Target::QProj => (queries, config.hidden),
        Target::KProj | Target::VProj => (keys, config.hidden),
        Target::OProj => (config.hidden, queries),
        Target::GateProj | Target::UpProj => (config.intermediate, config.hidden),
        Target::DownProj => (config.hidden, config.intermediate),
    }
}

/// Which inputs of the adapter are dropped. All of it follows from these numbers and the inputs' places, so that the
/// backward pass draws the same again instead of keeping a mask, and so does a run that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The part that is dropped.
    pub rate: f64,
    /// The recipe's.
    pub seed: u64,
    /// Counts the packs of the run.
    pub pack: u64,
}

/// An adapter on the decoder's device.
pub struct DeviceAdapter {
    tensors: Vec<Tensor>,
    targets: Vec<Target>,
    scale: f64,
    /// Only in training.
    pub dropout: Option<Dropout>,
}

/// The two matrices of one target of one layer.
pub(crate) struct Pair<'a> {
    pub a: &'a Tensor,
    pub b: &'a Tensor,
    pub scale: f64,
    /// The place of A among the parameters; B follows.
    pub index: usize,
    dropout: Option<Dropout>,
}

impl DeviceAdapter {
    /// The adapter's matrices for a target, if it is adapted.
    pub(crate) fn pair(&self, layer: usize, target: Target) -> Option<Pair<'_>> {
        let place = self.targets.iter().position(|adapted| *adapted == target)?;
        let index = 2 * (layer * self.targets.len() + place);
        let (a, b) = (&self.tensors[index], &self.tensors[index + 1]);
        Some(Pair { a, b, scale: self.scale, index, dropout: self.dropout })
    }

    /// How many matrices there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

impl Pair<'_> {
    /// What is dropped of the adapter's input; none without dropout.
    pub fn mask(&self) -> Option<Mask> {
        let Dropout { rate, seed, pack } = self.dropout.filter(|dropout| dropout.rate > 0.0)?;
        Some(Mask { seed, pack, matrix: self.index as u32, rate })
    }
}
