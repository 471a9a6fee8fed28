//! The training engine beside the machine's matrix product in single precision, which nearly all of a step is, and beside
//! PEFT on PyTorch where that is installed: in packs of 256 tokens, and in packs of 1,024.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::{Device, Tensor};
use twin_lora::{AdamW, Adapter, Decoder, DeviceAdapter, Pack, Recipe, Sequence, clip};

use crate::bench::{Bench, Results};
use crate::comparison::{Better, Comparison, Side, one_round};
use crate::figure::Figure;
use crate::peft::Peft;
use crate::processor_time;
use crate::target::Target;

/// The default language model.
const MODEL: &str = "models/smollm2-135m-instruct-f32";
/// A pack: four conversations, the second half of each learned.
const SEQUENCES: usize = 4;
/// Tokens of each of them.
const TOKENS: usize = 64;
const LONG_TOKENS: usize = 256;
/// Preferences in a pack: a prompt as of a question with passages, and two answers to it.
const PREFERENCES: u32 = 2;
const PROMPT_TOKENS: usize = 320;
const ANSWER_TOKENS: usize = 64;
/// The model's products for a token, multiplications: 30 layers of (q, k, v, o) and (gate, up, down), and the head.
const LAYERS: f64 = 30.0 * (576.0 * (576.0 + 192.0 + 192.0 + 576.0) + 3.0 * 576.0 * 1_536.0);
const HEAD: f64 = 576.0 * 49_152.0;
/// The product that stands for the machine's: a pack by the widest matrix of a layer.
const PRODUCT: (usize, usize, usize) = (SEQUENCES * TOKENS, 576, 1_536);
/// Products in a pass, so that it takes a moment.
const PRODUCTS: usize = 200;

/// GFLOP a processor second, and tokens.
pub fn compare(bench: &Bench) -> Result<Results> {
    let decoder = Decoder::load(&bench.cache.join(MODEL), &Device::Cpu)?;
    let adapter = Adapter::new(decoder.config(), &recipe()).on(&decoder)?;
    let pack = pack(TOKENS);
    let factors = vec![1.0; pack.target_count()];
    let here = std::process::id();

    let step = || -> Result<()> {
        black_box(decoder.gradients(&pack, &adapter, &factors)?);
        Ok(())
    };
    let (rows, inner, columns) = PRODUCT;
    let left = Tensor::rand(-1_f32, 1_f32, (rows, inner), &Device::Cpu)?;
    let right = Tensor::rand(-1_f32, 1_f32, (inner, columns), &Device::Cpu)?;
    let products = || -> Result<()> {
        for _ in 0..PRODUCTS {
            black_box(left.matmul(&right)?);
        }
        Ok(())
    };
    let tokens = pack.len() as f64;
    // Forward, and backward for what comes before each matrix: two products of two operations a multiplication. The head is
    // applied to the learned half.
    let flop_of_a_step = 4.0 * (LAYERS * tokens + HEAD * tokens / 2.0);
    let flop_of_products = 2.0 * (rows * inner * columns * PRODUCTS) as f64;
    let mut sides: [Side<'_>; 2] = [
        Box::new(|| Ok(flop_of_a_step / 1e9 / processor_time::of_a_pass(here, step)?)),
        Box::new(|| Ok(flop_of_products / 1e9 / processor_time::of_a_pass(here, products)?)),
    ];
    let mut ratio = Comparison::new(
        "training: forward and backward, SmolLM2-135M, packs of 256 tokens",
        "GFLOP a processor second",
        Better::Higher,
        "the matrix product alone (a ceiling)",
    )
    .wanting(Target::at_least(0.35));
    let mut rates = Vec::new();
    for round in 0..bench.rounds {
        let [ours, product] = one_round(round, &mut sides)?;
        ratio.round(ours, product);
        rates.push(ours * 1e9 * tokens / flop_of_a_step);
    }
    drop(sides);
    let began = Instant::now();
    step()?;
    let wall = Figure::once("training: one step of 256 tokens, all threads", "s", began.elapsed().as_secs_f64());
    let rate = Figure::new("training: tokens a processor second", "tokens", rates);
    let in_long_packs = long_packs(bench, &decoder, &adapter)?;
    let mut comparisons = vec![ratio, preferences(bench, &decoder, &adapter)?];
    comparisons.extend(beside_peft(bench, &decoder, TOKENS, "256")?);
    comparisons.extend(beside_peft(bench, &decoder, LONG_TOKENS, "1,024")?);
    Ok(Results { comparisons, figures: vec![rate, in_long_packs, wall] })
}

/// Conversations of so many tokens.
fn pack(tokens: usize) -> Pack {
    let sequence = Sequence { tokens: (100..100 + tokens as u32).collect(), completion: tokens / 2 };
    Pack::new(std::iter::repeat_n(&sequence, SEQUENCES))
}

/// Tokens of long packs that are trained in a second of a processor's time, forward and backward.
fn long_packs(bench: &Bench, decoder: &Decoder, adapter: &DeviceAdapter) -> Result<Figure> {
    let pack = pack(LONG_TOKENS);
    let factors = vec![1.0; pack.target_count()];
    let step = || -> Result<()> {
        black_box(decoder.gradients(&pack, adapter, &factors)?);
        Ok(())
    };
    let (here, tokens) = (std::process::id(), pack.len() as f64);
    let mut rates = Vec::new();
    for _ in 0..bench.rounds {
        rates.push(tokens / processor_time::of_a_pass(here, step)?);
    }
    Ok(Figure::new("training: tokens a processor second, packs of 1,024 tokens", "tokens", rates))
}

/// Preferences with each prompt computed once, beside each answer with a prompt of its own: tokens of the latter, forward and
/// backward.
fn preferences(bench: &Bench, decoder: &Decoder, adapter: &DeviceAdapter) -> Result<Comparison> {
    let answer = |prompt: u32, first: u32| {
        let tokens = std::iter::repeat_n(prompt, PROMPT_TOKENS).chain(first..first + ANSWER_TOKENS as u32).collect();
        Sequence { tokens, completion: PROMPT_TOKENS }
    };
    let items: Vec<[Sequence; 2]> =
        (100..100 + PREFERENCES).map(|prompt| [1_000, 2_000].map(|first| answer(prompt, first))).collect();
    let (shared, apart) =
        (Pack::sharing(items.iter().map(<[Sequence; 2]>::as_slice)), Pack::new(items.iter().flatten()));
    let factors = vec![1.0; apart.target_count()];
    let (here, tokens) = (std::process::id(), apart.len() as f64);
    let rate = |pack: &Pack| -> Result<f64> {
        let step = || -> Result<()> {
            black_box(decoder.gradients(pack, adapter, &factors)?);
            Ok(())
        };
        Ok(tokens / processor_time::of_a_pass(here, step)?)
    };
    let mut sides: [Side<'_>; 2] = [Box::new(|| rate(&shared)), Box::new(|| rate(&apart))];
    let mut comparison = Comparison::new(
        "training: preferences, prompts of 320 tokens, answers of 64",
        "tokens a processor second, of answers with their prompts",
        Better::Higher,
        "each answer with its prompt by itself",
    );
    for round in 0..bench.rounds {
        let [ours, other] = one_round(round, &mut sides)?;
        comparison.round(ours, other);
    }
    drop(sides);
    Ok(comparison)
}

/// The learning rate of PEFT's side.
const RATE: f64 = 1e-3;

/// The adapter that PEFT's side has too.
fn recipe() -> Recipe {
    let targets = vec![twin_lora::Target::QProj, twin_lora::Target::VProj];
    Recipe { rank: 8, targets: Some(targets), ..Recipe::default() }
}

/// Whole steps: forward, backward, clipping and AdamW, of conversations of so many tokens, which are `packed` together.
fn beside_peft(bench: &Bench, decoder: &Decoder, tokens: usize, packed: &str) -> Result<Option<Comparison>> {
    let shape = (SEQUENCES, tokens);
    let Some(peft) = Peft::start(bench, &bench.cache.join(MODEL), shape)? else { return Ok(None) };
    let (theirs, peft) = (peft.id(), RefCell::new(peft));
    let (recipe, pack) = (recipe(), pack(tokens));
    let mut optimizer = AdamW::new(&Adapter::new(decoder.config(), &recipe), decoder.device())?;
    let factors = vec![1.0 / pack.target_count() as f32; pack.target_count()];
    let mut step = || -> Result<f64> {
        let (losses, gradients) = decoder.gradients(&pack, &optimizer.adapter(decoder)?, &factors)?;
        let (rows, _) = clip(optimizer.rows(&gradients)?, recipe.clip)?;
        optimizer.update(&rows, RATE, recipe.weight_decay)?;
        Ok(losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64)
    };
    // Both begin at the base model, so the first step says whether they compute the same.
    let (our_loss, their_loss) = (step()?, peft.borrow().first_loss);
    ensure!((our_loss - their_loss).abs() < 1e-3, "the first loss is {our_loss}, PEFT's {their_loss}");

    let (here, tokens) = (std::process::id(), pack.len() as f64);
    let mut sides: [Side<'_>; 2] = [
        Box::new(|| Ok(tokens / processor_time::of_a_pass(here, || step().map(drop))?)),
        Box::new(|| Ok(tokens / processor_time::of_a_pass(theirs, || peft.borrow_mut().step().map(drop))?)),
    ];
    let mut comparison = Comparison::new(
        format!("training: whole steps, SmolLM2-135M, {packed} tokens"),
        "tokens a processor second",
        Better::Higher,
        "PEFT on PyTorch, the same in single precision",
    )
    .wanting(Target::at_least(1.0));
    for round in 0..bench.rounds {
        let [ours, other] = one_round(round, &mut sides)?;
        comparison.round(ours, other);
    }
    drop(sides);
    Ok(Some(comparison))
}
