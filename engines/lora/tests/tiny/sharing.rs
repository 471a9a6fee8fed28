//! Common beginnings that are computed once: the numbers are those of the sequences one by one.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use twin_lora::{
    AdamW, Adapter, ChatFormat, Curve, Decoder, Kernels, Lora, Method, Pack, Precision, PreferenceLoss, Recipe,
    Sequence, Task, clip, scorer,
};
use twin_schemas::Role;
use twin_training::Engine;

use crate::gradients::{ARCHITECTURES, all_targets, assert_gradients_of, random_adapter};
use crate::model::{self, Shape, message};
use crate::training::{PAIRS, run, task, write_preferences};

/// Random tokens of which the first is known, so that no two texts go on alike by chance.
fn tokens(rng: &mut ChaCha8Rng, first: u32, count: usize) -> Vec<u32> {
    std::iter::once(first).chain((1..count).map(|_| rng.random_range(0..259))).collect()
}

/// A beginning and what follows it, learned from `completion` on.
fn sequence(beginning: &[u32], rest: &[u32], completion: usize) -> Sequence {
    Sequence { tokens: [beginning, rest].concat(), completion }
}

/// Preferences and conversations that begin alike in all the ways there are, and the rows of a pack that shares all of it.
pub fn items() -> (Vec<Vec<Sequence>>, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut draw = |first, count| tokens(&mut rng, first, count);
    let (prompt, passages) = (draw(1, 11), draw(2, 70));
    let (better, worse) = (draw(3, 5), draw(4, 3));
    let preference = vec![sequence(&prompt, &better, 11), sequence(&prompt, &worse, 11)];
    // One answer is the beginning of the other, and it begins amid what they share.
    let (short, more) = (draw(5, 8), draw(6, 2));
    let cut = vec![sequence(&short, &[], 5), sequence(&short, &more, 5)];
    let questions = [(9, 74), (6, 70), (4, 72)].into_iter().enumerate();
    let questions: Vec<Vec<Sequence>> = questions
        .map(|(first, (rest, completion))| vec![sequence(&passages, &draw(first as u32, rest), completion)])
        .collect();
    let alone = vec![sequence(&draw(7, 6), &[], 2)];
    let rows = (11 + 5 + 3) + (8 + 2) + (70 + 9 + 6 + 4) + 6;
    ([vec![preference, cut], questions, vec![alone]].concat(), rows)
}

/// The items' sequences in one pack, each by itself, and with common beginnings once.
fn packs(items: &[Vec<Sequence>]) -> [Pack; 2] {
    [Pack::new(items.iter().flatten()), Pack::sharing(items.iter().map(Vec::as_slice))]
}

fn assert_same(what: &str, [a, b]: [&(Vec<f32>, Vec<Tensor>); 2]) {
    assert_eq!((a.0.len(), a.1.len()), (b.0.len(), b.1.len()));
    for (a, b) in a.0.iter().zip(&b.0) {
        assert!((a - b).abs() < 2e-5, "{what}: losses {a} and {b}");
    }
    let largest = |tensor: &Tensor| tensor.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    for (index, (a, b)) in a.1.iter().zip(&b.1).enumerate() {
        let difference = largest(&(a - b).unwrap());
        assert!(difference < 3e-5 * largest(a).max(1.0), "{what}, matrix {index}: gradients differ by {difference}");
    }
}

#[test]
fn a_pack_with_common_beginnings_gives_the_losses_and_gradients_of_its_sequences() {
    let (items, rows) = items();
    let [apart, shared] = packs(&items);
    assert_eq!((shared.len(), shared.target_count()), (rows, apart.target_count()));
    assert!(2 * rows < apart.len(), "{rows} of {}", apart.len());
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    // Of both signs, as a preference's are.
    let factors: Vec<f32> = (0..apart.target_count()).map(|_| rng.random_range(-1.0..1.0)).collect();
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        let computed = |kernels, pack: &Pack| {
            let decoder = Decoder::load_with(folder.path(), &Device::Cpu, kernels, Precision::F32).unwrap();
            let adapter = random_adapter(&decoder, &all_targets()).on(&decoder).unwrap();
            decoder.gradients(pack, &adapter, &factors).unwrap()
        };
        let expected = computed(Kernels::Fused, &apart);
        for kernels in [Kernels::Fused, Kernels::Portable] {
            assert_same(&format!("{architecture}, {kernels:?}"), [&expected, &computed(kernels, &shared)]);
        }
    }
}

#[test]
fn the_losses_of_a_branch_do_not_depend_on_the_others() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("Qwen3ForCausalLM"), None);
    let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
    let (items, _) = items();
    let losses = decoder.losses(&packs(&items)[1], None).unwrap();
    let alone = items.iter().flatten().flat_map(|one| decoder.losses(&Pack::new([one]), None).unwrap());
    let alone: Vec<f32> = alone.collect();
    assert_eq!(losses.len(), alone.len());
    for (place, (together, alone)) in losses.iter().zip(&alone).enumerate() {
        assert!((together - alone).abs() < 2e-5, "token {place}: {together} and {alone}");
    }
}

#[test]
fn a_common_beginning_has_the_gradient_that_finite_differences_give() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let prompt = tokens(&mut rng, 1, 9);
    let preference = [3, 2].map(|answer| sequence(&prompt, &tokens(&mut rng, answer, answer as usize), 9));
    let pack = Pack::sharing([preference.as_slice()]);
    assert_eq!(pack.len(), 14);
    for architecture in ARCHITECTURES {
        let folder = TempDir::new().unwrap();
        model::write(folder.path(), &Shape::of(architecture), None);
        assert_gradients_of(&pack, &Decoder::load(folder.path(), &Device::Cpu).unwrap(), None);
    }
}

/// The answers of the preferences that are written for tests.
fn answers(task: &Task) -> Vec<[Sequence; 2]> {
    let format = ChatFormat::read(&task.base).unwrap();
    let answered = |asked: &str, answer: &str| format.sequence(&[message(Role::User, asked)], answer).unwrap();
    PAIRS.map(|(asked, chosen)| [answered(asked, chosen), answered(asked, "no idea")]).to_vec()
}

/// The loss and the gradients of a step of preferences, of answers that are computed one by one.
fn step_of_preferences(
    decoder: &Decoder,
    pairs: &[[Sequence; 2]],
    preference: PreferenceLoss,
    optimizer: &AdamW,
) -> (f64, Vec<Tensor>) {
    let adapter = optimizer.adapter(decoder).unwrap();
    let (mut loss, mut sums): (f64, Vec<Tensor>) = (0.0, Vec::new());
    for pair in pairs {
        let losses = |adapter| pair.each_ref().map(|answer| decoder.losses(&Pack::new([answer]), adapter).unwrap());
        let [frozen, trained] = [losses(None), losses(Some(&adapter))];
        let frozen = preference.log_probabilities([&frozen[0], &frozen[1]]);
        let trained = [trained[0].as_slice(), &trained[1]];
        loss += preference.loss(trained, frozen) / pairs.len() as f64;
        let slopes = preference.slopes(trained, frozen);
        let factors: Vec<f32> = slopes.iter().map(|slope| (slope / pairs.len() as f64) as f32).collect();
        let (better, worse) = factors.split_at(trained[0].len());
        for (answer, factors) in pair.iter().zip([better, worse]) {
            let (_, gradients) = decoder.gradients(&Pack::new([answer]), &adapter, factors).unwrap();
            let rows = optimizer.rows(&gradients).unwrap();
            sums = match sums.is_empty() {
                true => rows,
                false => sums.iter().zip(&rows).map(|(sum, row)| (sum + row).unwrap()).collect(),
            };
        }
    }
    (loss, sums)
}

#[test]
fn steps_of_preferences_have_the_losses_and_gradients_of_answers_one_by_one() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    write_preferences(&task.train);
    task.validation = None;
    // All in one pack, so that each step is of all of them.
    task.recipe = Recipe {
        method: Method::Dpo,
        pack_tokens: Some(2_048),
        epochs: Some(2),
        learning_rate: Some(1e-2),
        dpo_beta: 0.5,
        dpo_nll: 0.2,
        dropout: 0.0,
        ..task.recipe
    };
    run(&task);
    let curve: Curve = serde_json::from_slice(&std::fs::read(task.output().join("loss.json")).unwrap()).unwrap();
    assert_eq!(curve.steps.len(), 2);
    let decoder = Decoder::load(&task.base, &Device::Cpu).unwrap();
    let mut optimizer = AdamW::new(&Adapter::new(decoder.config(), &task.recipe), &Device::Cpu).unwrap();
    let pairs = answers(&task);
    for point in &curve.steps {
        let preference = PreferenceLoss::of(&task.recipe);
        let (loss, gradients) = step_of_preferences(&decoder, &pairs, preference, &optimizer);
        let (gradients, norm) = clip(gradients, task.recipe.clip).unwrap();
        assert!((loss - point.loss).abs() < 1e-4, "{loss} is not {point:?}");
        assert!((norm / point.gradient_norm - 1.0).abs() < 5e-3, "{norm} is not {point:?}");
        optimizer.update(&gradients, point.learning_rate, task.recipe.weight_decay).unwrap();
    }
}

#[test]
fn a_preference_of_which_each_answer_has_the_last_position_is_learned_and_one_beyond_it_is_counted() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    task.validation = None;
    task.recipe = Recipe { method: Method::Dpo, pack_tokens: Some(600), epochs: Some(1), ..task.recipe };
    let positions = Decoder::load(&task.base, &Device::Cpu).unwrap().config().max_tokens;
    let format = ChatFormat::read(&task.base).unwrap();
    let answered = |asked: &str, answer: &str| format.sequence(&[message(Role::User, asked)], answer).unwrap();
    let room = positions - answered("", "yes").tokens.len();
    let plan = |asked: usize| {
        let asked = "q".repeat(asked);
        let answer = |text: &str| vec![message(Role::Assistant, text)];
        let line = serde_json::json!({
            "prompt": [message(Role::User, &asked)], "chosen": answer("yes"), "rejected": answer("not"),
        });
        std::fs::write(&task.train, line.to_string()).unwrap();
        (Lora.plan(&task).unwrap(), [answered(&asked, "yes"), answered(&asked, "not")])
    };
    let (fits, pair) = plan(room);
    assert_eq!((fits.samples["preference"].too_long, pair[0].tokens.len()), (0, positions));
    let shared = pair[0].tokens.len() + pair[1].targets();
    assert_eq!((fits.tokens, fits.longest), (shared as u64, shared as u64));
    assert_eq!(run(&task).manifest.summary.tokens, shared);
    let (beyond, pair) = plan(room + 1);
    assert_eq!(beyond.samples["preference"].too_long, 1);
    let apart = pair.iter().map(|answer| answer.tokens.len()).sum::<usize>();
    assert_eq!(beyond.longest, apart as u64, "a longer pack is no remedy");
}

#[test]
fn questions_about_the_same_passages_are_trained_and_evaluated_together() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    let passages = ["p", "r"].map(|letter| letter.repeat(150));
    let asked: Vec<String> = (0..8_usize).map(|number| format!("{}{number}?", passages[number % 2])).collect();
    let pairs: Vec<(&str, &str)> = asked.iter().map(|asked| (asked.as_str(), "because")).collect();
    model::write_chats(&task.train, &pairs);
    model::write_chats(task.validation.as_ref().unwrap(), &pairs);
    task.recipe = Recipe { pack_tokens: Some(512), epochs: Some(2), eval_samples: 8, ..task.recipe };
    let format = ChatFormat::read(&task.base).unwrap();
    let length =
        |(asked, answer): &(&str, &str)| format.sequence(&[message(Role::User, asked)], answer).unwrap().tokens.len();
    let apart: usize = pairs.iter().map(length).sum();
    let plan = Lora.plan(&task).unwrap();
    // Of each four, three have their passages for nothing.
    let shared = 2 * (apart - 2 * 3 * 150);
    assert!(plan.tokens as usize <= shared, "{plan:?}, {apart} tokens apart");
    let summary = run(&task).manifest.summary;
    assert_eq!((summary.tokens as u64, summary.samples), (plan.tokens, 8));
    let scorer = scorer(&task.base).unwrap();
    let one = |(asked, answer): &(&str, &str)| scorer.loss(&[message(Role::User, asked)], answer, true).unwrap();
    let (sum, tokens) = pairs.iter().map(one).fold((0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let found = summary.base_evaluation_loss.unwrap();
    assert!((sum / tokens as f64 - found).abs() < 1e-4, "{found}");
}
