//! Each derivative against finite differences, and the two forms of the kernels against each other.

use candle_core::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use twin_lora::{Adapter, Decoder, Dropout, Kernels, Pack, Precision, Recipe, Sequence, Target};

use crate::model::{self, Shape};

pub const ARCHITECTURES: [&str; 4] = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"];

pub fn all_targets() -> Recipe {
    Recipe { rank: 2, alpha: 3.0, targets: Some(Target::ALL.to_vec()), ..Recipe::default() }
}

/// An adapter whose B matrices are not 0, so that A has a gradient.
pub fn random_adapter(decoder: &Decoder, recipe: &Recipe) -> Adapter {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut adapter = Adapter::new(decoder.config(), recipe);
    for parameter in &mut adapter.parameters {
        parameter.values.iter_mut().for_each(|value| *value = rng.random_range(-0.3..0.3));
    }
    adapter
}

pub fn sequences() -> Vec<Sequence> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut sequence = |length, completion| {
        let tokens = (0..length).map(|_| rng.random_range(0..259)).collect();
        Sequence { tokens, completion }
    };
    vec![sequence(9, 4), sequence(2, 1), sequence(17, 16)]
}

fn weighted_loss(decoder: &Decoder, adapter: &Adapter, pack: &Pack, factors: &[f32], dropout: Option<Dropout>) -> f64 {
    let mut on_device = adapter.on(decoder).unwrap();
    on_device.dropout = dropout;
    let losses = decoder.losses(pack, Some(&on_device)).unwrap();
    losses.iter().zip(factors).map(|(loss, factor)| f64::from(loss * factor)).sum()
}

/// Checks the gradients of a pack.
pub fn assert_gradients(decoder: &Decoder, dropout: Option<Dropout>) {
    assert_gradients_of(&Pack::new(&sequences()), decoder, dropout);
}

/// Checks, for each matrix, the derivative in the direction of its gradient and in a random direction.
pub fn assert_gradients_of(pack: &Pack, decoder: &Decoder, dropout: Option<Dropout>) {
    let factors: Vec<f32> = (0..pack.target_count()).map(|index| 0.5 + 0.1 * index as f32).collect();
    let adapter = random_adapter(decoder, &all_targets());
    let mut on_device = adapter.on(decoder).unwrap();
    on_device.dropout = dropout;
    let (_, gradients) = decoder.gradients(pack, &on_device, &factors).unwrap();
    assert_eq!(gradients.len(), adapter.parameters.len());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (index, gradient) in gradients.iter().enumerate() {
        let name = &adapter.parameters[index].name;
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let norm = gradient.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(norm > 1e-4, "{name} has no gradient");
        let steepest: Vec<f32> = gradient.iter().map(|value| value / norm).collect();
        let random: Vec<f32> = gradient.iter().map(|_| rng.random_range(-0.5..0.5)).collect();
        for direction in [steepest, random] {
            let step = 1e-2f32;
            let moved = |sign: f32| {
                let mut adapter = adapter.clone();
                let values = adapter.parameters[index].values.iter_mut();
                values.zip(&direction).for_each(|(value, along)| *value += sign * step * along);
                weighted_loss(decoder, &adapter, pack, &factors, dropout)
            };
            let numeric = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(step));
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            let tolerance = 0.01 * f64::from(norm) + 2e-3;
            assert!((numeric - analytic).abs() < tolerance, "{name}: {analytic} is not {numeric} (norm {norm})");
        }
    }
}

#[test]
fn every_matrix_of_every_architecture_has_the_gradient_that_finite_differences_give() {
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
        assert_gradients(&decoder, None);
    }
}

#[test]
fn dropout_has_the_gradient_that_finite_differences_give() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
    assert_gradients(&decoder, Some(Dropout { rate: 0.3, seed: 1, pack: 4 }));
}

#[test]
fn dropout_drops_its_share_and_other_inputs_in_each_pack() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
    let adapter = random_adapter(&decoder, &all_targets());
    let pack = Pack::new(&sequences());
    let factors = vec![1.0; pack.target_count()];
    let loss = |dropout| weighted_loss(&decoder, &adapter, &pack, &factors, dropout);
    let drop = |pack| Some(Dropout { rate: 0.3, seed: 1, pack });
    assert_eq!(loss(drop(1)), loss(drop(1)));
    assert_ne!(loss(drop(1)), loss(drop(2)));
    assert_ne!(loss(drop(1)), loss(None));
    assert_eq!(loss(Some(Dropout { rate: 0.0, seed: 1, pack: 1 })), loss(None));
}

#[test]
fn the_fused_and_the_portable_kernels_give_the_same_losses_and_gradients() {
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let pack = Pack::new(&sequences());
        let factors = vec![1.0; pack.target_count()];
        let [fused, portable] = [Kernels::Fused, Kernels::Portable].map(|kernels| {
            let decoder = Decoder::load_with(folder.path(), &Device::Cpu, kernels, Precision::F32).unwrap();
            let adapter = random_adapter(&decoder, &all_targets()).on(&decoder).unwrap();
            decoder.gradients(&pack, &adapter, &factors).unwrap()
        });
        for (a, b) in fused.0.iter().zip(&portable.0) {
            assert!((a - b).abs() < 1e-5, "{architecture}: losses {a} and {b}");
        }
        for (a, b) in fused.1.iter().zip(&portable.1) {
            let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 2e-5, "{architecture}: gradients differ by {difference}");
        }
    }
}

#[test]
fn a_pack_gives_the_losses_and_the_gradients_of_its_samples_one_by_one() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("Qwen3ForCausalLM"), None);
    let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
    let adapter = random_adapter(&decoder, &all_targets()).on(&decoder).unwrap();
    let sequences = sequences();
    let gradients = |sequences: &[Sequence]| {
        let pack = Pack::new(sequences);
        decoder.gradients(&pack, &adapter, &vec![1.0; pack.target_count()]).unwrap()
    };
    let (packed_losses, packed) = gradients(&sequences);
    let single: Vec<_> = sequences.iter().map(|sequence| gradients(std::slice::from_ref(sequence))).collect();
    let losses: Vec<f32> = single.iter().flat_map(|(losses, _)| losses.clone()).collect();
    for (a, b) in packed_losses.iter().zip(&losses) {
        assert!((a - b).abs() < 1e-5, "losses {a} and {b}");
    }
    for (index, packed) in packed.iter().enumerate() {
        let sum = single.iter().skip(1).fold(single[0].1[index].clone(), |sum, (_, one)| (sum + &one[index]).unwrap());
        let difference = (packed - sum).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 2e-5, "matrix {index}: gradients differ by {difference}");
    }
}
