//! The first GPU against the CPU. Built with the cargo feature `cuda` alone; the other tests that train run on the GPU
//! then as well.

use candle_core::{Device, Tensor};
use tempfile::TempDir;
use twin_lora::{AdamW, Decoder, Dropout, Error, Kernels, Pack, Precision, Recipe, clip, train};

use crate::gradients::{ARCHITECTURES, all_targets, assert_gradients, random_adapter, sequences};
use crate::model::{self, Shape};
use crate::sharing::items;
use crate::training::{self, Watch};

const KERNELS: [Kernels; 2] = [Kernels::Fused, Kernels::Portable];

fn gpu() -> Device {
    Device::new_cuda(0).expect("these tests need a GPU")
}

/// The losses of a pack, and the gradients as numbers.
fn computed(decoder: &Decoder, dropout: Option<Dropout>) -> (Vec<f32>, Vec<Vec<f32>>) {
    computed_of(&Pack::new(&sequences()), decoder, dropout)
}

fn computed_of(pack: &Pack, decoder: &Decoder, dropout: Option<Dropout>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut adapter = random_adapter(decoder, &all_targets()).on(decoder).unwrap();
    adapter.dropout = dropout;
    let (losses, gradients) = decoder.gradients(pack, &adapter, &vec![1.0; pack.target_count()]).unwrap();
    let numbers = |gradient: &Tensor| gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (losses, gradients.iter().map(numbers).collect())
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn single_precision_gives_the_losses_and_gradients_of_the_cpu() {
    let dropouts = [None, Some(Dropout { rate: 0.3, seed: 1, pack: 4 })];
    for (architecture, dropout) in ARCHITECTURES.into_iter().flat_map(|name| dropouts.map(|dropout| (name, dropout))) {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let cpu = computed(&Decoder::load(folder.path(), &Device::Cpu).unwrap(), dropout);
        for kernels in KERNELS {
            let decoder = Decoder::load_with(folder.path(), &gpu(), kernels, Precision::F32).unwrap();
            let gpu = computed(&decoder, dropout);
            let difference = farthest(&cpu.0, &gpu.0);
            assert!(difference < 1e-4, "{architecture}, {kernels:?}: losses differ by {difference}");
            for (cpu, gpu) in cpu.1.iter().zip(&gpu.1) {
                let difference = farthest(cpu, gpu);
                assert!(difference < 1e-4, "{architecture}, {kernels:?}: gradients differ by {difference}");
            }
        }
    }
}

#[test]
fn common_beginnings_give_the_losses_and_gradients_of_the_cpu() {
    let (items, _) = items();
    let pack = Pack::sharing(items.iter().map(Vec::as_slice));
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let cpu = computed_of(&pack, &Decoder::load(folder.path(), &Device::Cpu).unwrap(), None);
        for kernels in KERNELS {
            let decoder = Decoder::load_with(folder.path(), &gpu(), kernels, Precision::F32).unwrap();
            let gpu = computed_of(&pack, &decoder, None);
            let difference = farthest(&cpu.0, &gpu.0);
            assert!(difference < 1e-4, "{architecture}, {kernels:?}: losses differ by {difference}");
            for (cpu, gpu) in cpu.1.iter().zip(&gpu.1) {
                let difference = farthest(cpu, gpu);
                assert!(difference < 3e-4, "{architecture}, {kernels:?}: gradients differ by {difference}");
            }
        }
    }
}

#[test]
fn the_optimizer_moves_an_adapter_as_on_the_cpu() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let [cpu, gpu] = [Device::Cpu, gpu()].map(|device| {
        let decoder = Decoder::load(folder.path(), &device).unwrap();
        let adapter = random_adapter(&decoder, &Recipe { mlp_rate: 0.5, ..all_targets() });
        let mut optimizer = AdamW::new(&adapter, &device).unwrap();
        let pack = Pack::new(&sequences());
        for _ in 0..3 {
            let adapter = optimizer.adapter(&decoder).unwrap();
            let (_, gradients) = decoder.gradients(&pack, &adapter, &vec![1.0; pack.target_count()]).unwrap();
            let (rows, _) = clip(optimizer.rows(&gradients).unwrap(), 1.0).unwrap();
            optimizer.update(&rows, 1e-3, 0.1).unwrap();
        }
        optimizer.parameters().unwrap()
    });
    for (cpu, gpu) in cpu.parameters.iter().zip(&gpu.parameters) {
        let difference = farthest(&cpu.values, &gpu.values);
        assert!(difference < 1e-4, "{}: numbers differ by {difference}", cpu.name);
    }
}

#[test]
fn gradients_on_the_gpu_are_those_of_finite_differences() {
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        assert_gradients(&Decoder::load(folder.path(), &gpu()).unwrap(), None);
    }
}

#[test]
fn half_precision_stays_near_the_losses_and_the_directions_of_single_precision() {
    for (architecture, kernels) in ARCHITECTURES.into_iter().flat_map(|name| KERNELS.map(|kernels| (name, kernels))) {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let [single, half] = [Precision::F32, Precision::Bf16].map(|precision| {
            let decoder = Decoder::load_with(folder.path(), &gpu(), kernels, precision).unwrap();
            computed(&decoder, None)
        });
        let difference = farthest(&single.0, &half.0);
        assert!(difference > 0.0 && difference < 0.1, "{architecture}, {kernels:?}: losses differ by {difference}");
        for (index, (single, half)) in single.1.iter().zip(&half.1).enumerate() {
            let cosine = cosine(single, half);
            assert!(cosine > 0.99, "{architecture}, {kernels:?}: matrix {index} has a cosine of {cosine}");
        }
    }
}

#[test]
fn a_run_in_half_precision_learns_as_one_in_single_precision_and_goes_on_after_an_interruption() {
    let [single, half, stopped] = [0, 1, 2].map(|_| TempDir::new().unwrap());
    let task = |folder: &TempDir, precision| {
        let mut task = training::task(folder.path());
        task.recipe.precision = precision;
        task
    };
    let in_single = training::run(&task(&single, Precision::F32)).manifest.summary;
    let in_half = training::run(&task(&half, Precision::Bf16)).manifest.summary;
    assert!(in_half.last_loss < in_half.first_loss - 1.0, "{in_half:?}");
    assert!((in_half.last_loss - in_single.last_loss).abs() < 0.1, "{in_half:?} {in_single:?}");
    let mut watch = Watch { stop_after: Some(5), ..Watch::default() };
    assert!(matches!(train(&task(&stopped, Precision::Bf16), &mut watch), Err(Error::Stopped { step: 5 })));
    assert_eq!(training::run(&task(&stopped, Precision::Bf16)).manifest.summary, in_half);
}
