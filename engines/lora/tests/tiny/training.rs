//! Whole runs on a tiny model.

use std::path::Path;

use candle_core::{Device, Tensor};
use tempfile::TempDir;
use twin_lora::{
    AdamW, Adapter, ChatFormat, Decoder, Error, Lora, Method, Observer, Progress, Recipe, Schedule, Sequence, Target,
    Task, Trained, clip, preference_loss, preference_slope, scorer, train,
};
use twin_schemas::Role;
use twin_training::Engine;

use crate::gradients::{all_targets, random_adapter};
use crate::model::{self, Shape, message};

/// Keeps what it is told, and stops the run after some steps.
#[derive(Default)]
pub struct Watch {
    pub seen: Vec<Progress>,
    pub stop_after: Option<usize>,
    /// Stops when it is asked for the so many-th time.
    pub stop_at_call: Option<usize>,
    /// How often it was asked.
    pub calls: usize,
}

impl Observer for Watch {
    fn progress(&mut self, progress: &Progress) {
        self.seen.push(*progress);
    }

    fn stop(&mut self) -> bool {
        self.calls += 1;
        self.stop_at_call == Some(self.calls) || self.stop_after.is_some_and(|steps| self.seen.len() >= steps)
    }
}

pub const PAIRS: [(&str, &str); 6] =
    [("a?", "one"), ("b?", "two"), ("c?", "three"), ("d?", "four"), ("e?", "five"), ("f?", "six")];

/// A task on a tiny Llama. The recipe makes a run of 12 steps.
pub fn task(folder: &Path) -> Task {
    model::write(&folder.join("base"), &Shape::of("LlamaForCausalLM"), None);
    model::write_chats(&folder.join("train.jsonl"), &PAIRS);
    model::write_chats(&folder.join("validation.jsonl"), &PAIRS[..2]);
    let recipe = Recipe {
        rank: 4,
        targets: Some(Target::ALL.to_vec()),
        learning_rate: Some(2e-2),
        epochs: Some(6),
        pack_tokens: Some(256),
        checkpoint_every: 4,
        eval_every: 5,
        ..Recipe::default()
    };
    Task {
        base: folder.join("base"),
        train: folder.join("train.jsonl"),
        validation: Some(folder.join("validation.jsonl")),
        recipe,
        following: Vec::new(),
        folder: folder.join("work"),
        threads: Some(1),
        merge: true,
    }
}

pub fn run(task: &Task) -> Trained {
    train(task, &mut Watch::default()).unwrap()
}

#[test]
fn the_loss_falls_and_the_observer_sees_each_step() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let mut watch = Watch::default();
    let trained = train(&task, &mut watch).unwrap();
    let summary = &trained.manifest.summary;
    assert!(summary.last_loss < 0.75 * summary.first_loss, "{summary:?}");
    assert!(summary.evaluation_loss.unwrap() < 0.75 * summary.base_evaluation_loss.unwrap(), "{summary:?}");
    assert_eq!(summary.samples, 6);
    let steps: Vec<usize> = watch.seen.iter().map(|progress| progress.step).collect();
    assert_eq!(steps, (1..=summary.steps).collect::<Vec<_>>());
    let last = watch.seen.last().unwrap();
    assert_eq!((last.steps, last.tokens, last.eta_s), (summary.planned_steps, summary.tokens, 0.0));
    assert!(last.tokens_per_s > 0.0 && last.evaluation_loss == summary.evaluation_loss);
}

#[test]
fn the_scorer_finds_the_merged_model_as_good_as_the_evaluation_did() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    // In an evaluation nothing is dropped.
    task.recipe.dropout = 0.3;
    let trained = run(&task);
    let mean = |model: &Path| {
        let scorer = scorer(model).unwrap();
        let one =
            |(asked, answered): &(&str, &str)| scorer.loss(&[message(Role::User, asked)], answered, true).unwrap();
        let (sum, tokens) = PAIRS[..2].iter().map(one).fold((0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        sum / tokens as f64
    };
    let summary = &trained.manifest.summary;
    assert!((mean(&trained.output.join("merged")) - summary.evaluation_loss.unwrap()).abs() < 1e-4);
    assert!((mean(&task.base) - summary.base_evaluation_loss.unwrap()).abs() < 1e-4);
}

#[test]
fn the_end_of_a_completion_is_scored_where_its_text_ends_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let scorer = scorer(&task.base).unwrap();
    let loss = |ends: bool| scorer.loss(&[message(Role::User, "a?")], "one two three", ends).unwrap();
    let ((whole, tokens), (part, fewer)) = (loss(true), loss(false));
    assert_eq!(tokens, fewer + 1, "the token that ends it");
    assert!(whole > part, "{whole} nats with it, {part} without");
}

#[test]
fn packs_in_a_step_are_as_one_large_pack() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    task.recipe = Recipe { max_steps: 3, pack_tokens: Some(1024), ..task.recipe };
    let large = run(&task).manifest.summary;
    task.recipe = Recipe { pack_tokens: Some(128), accumulation: 6, ..task.recipe };
    task.folder = folder.path().join("small packs");
    let small = run(&task).manifest.summary;
    assert_eq!(large.tokens, small.tokens);
    assert!((large.last_loss - small.last_loss).abs() < 1e-3, "{large:?} {small:?}");
}

pub fn write_preferences(path: &Path) {
    let line = |(asked, answered): &(&str, &str)| {
        let answer = |text: &str| vec![message(Role::Assistant, text)];
        let (chosen, rejected) = (answer(answered), answer("no idea"));
        serde_json::json!({"prompt": [message(Role::User, asked)], "chosen": chosen, "rejected": rejected}).to_string()
    };
    std::fs::write(path, PAIRS.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
}

#[test]
fn preferences_begin_at_the_logarithm_of_two_and_are_learned() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    write_preferences(&task.train);
    std::fs::copy(&task.train, task.validation.as_ref().unwrap()).unwrap();
    let (pack_tokens, learning_rate) = (Some(256), Some(5e-3));
    task.recipe = Recipe { method: Method::Dpo, pack_tokens, learning_rate, dpo_beta: 0.5, ..task.recipe };
    let summary = run(&task).manifest.summary;
    assert!((summary.first_loss - std::f64::consts::LN_2).abs() < 1e-5, "{summary:?}");
    assert!(summary.evaluation_loss.unwrap() < 0.3, "{summary:?}");
}

#[test]
fn both_answers_of_a_preference_are_learned_to_their_ends() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    write_preferences(&task.train);
    task.validation = None;
    task.recipe = Recipe { method: Method::Dpo, pack_tokens: Some(512), epochs: Some(1), ..task.recipe };
    let format = ChatFormat::read(&task.base).unwrap();
    let answered = |asked: &str, answer: &str| format.sequence(&[message(Role::User, asked)], answer).unwrap();
    let pairs = PAIRS.map(|(asked, chosen)| [answered(asked, chosen), answered(asked, "no idea")]);
    assert!(pairs.iter().flatten().all(|answer| answer.tokens.last() == Some(&258)), "the model's end token");
    // Their prompt is computed once.
    let tokens = |[better, worse]: &[Sequence; 2]| better.tokens.len() + worse.targets();
    assert!(pairs.iter().all(|[better, worse]| better.completion == worse.completion));
    assert_eq!(run(&task).manifest.summary.tokens, pairs.iter().map(tokens).sum::<usize>());
}

#[test]
fn a_share_of_its_loss_keeps_the_better_answer_likely() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    write_preferences(&task.train);
    task.validation = None;
    let (pack_tokens, learning_rate) = (Some(256), Some(5e-3));
    task.recipe = Recipe { method: Method::Dpo, pack_tokens, learning_rate, dpo_ld_alpha: 0.5, ..task.recipe };
    let of = |task: &Task, answer: &str| {
        let output = run(task).output.join("merged");
        scorer(&output).unwrap().loss(&[message(Role::User, "c?")], answer, true).unwrap().0
    };
    let without = of(&task, "three");
    task.recipe.dpo_nll = 1.0;
    task.folder = folder.path().join("kept likely");
    let with = of(&task, "three");
    let before = scorer(&task.base).unwrap().loss(&[message(Role::User, "c?")], "three", true).unwrap().0;
    assert!(with < before && with < without, "{before} nats before, {with} with its loss, {without} without");
    let loss = train(&task, &mut Watch::default()).unwrap().manifest.summary.first_loss;
    assert!(loss > std::f64::consts::LN_2 + 1.0, "{loss} has the answer's own loss in it");
}

#[test]
fn the_preference_loss_is_that_of_a_case_computed_by_hand() {
    // beta 0.1, chosen gains 2 nats over the reference, rejected loses 1: margin 0.3, -ln(1 / (1 + e^-0.3)).
    let margin = 0.1 * ((-10.0 - -12.0) - (-9.0 - -8.0));
    assert!((preference_loss(margin) - 0.554_355_244_468_527).abs() < 1e-12);
    assert!((preference_loss(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    assert_eq!(preference_loss(-800.0), 800.0);
    assert!(preference_loss(800.0) < 1e-300);
    for margin in [-3.0, -0.1, 0.0, 0.7, 4.0] {
        let numeric = (preference_loss(margin + 1e-6) - preference_loss(margin - 1e-6)) / 2e-6;
        assert!((numeric - preference_slope(margin)).abs() < 1e-8, "{margin}");
    }
}

#[test]
fn the_first_update_of_the_optimizer_is_the_learning_rate_against_the_gradients_sign() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let recipe = Recipe { rank: 1, ..Recipe::default() };
    assert_eq!(recipe.targets, None, "left open, it is by the model's size");
    assert_eq!(moved_by_one_update(folder.path(), &recipe, [1.0, 1.0]), 2 * 2 * 7);
}

#[test]
fn each_group_of_targets_has_its_share_of_the_learning_rate() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let recipe = Recipe { rank: 1, attention_rate: 0.5, mlp_rate: 3.0, ..Recipe::default() };
    assert_eq!(moved_by_one_update(folder.path(), &recipe, [0.5, 3.0]), 2 * 2 * 7);
}

/// Checks the first update of an adapter, whose size is the learning rate, times that of attention or of the MLP. The
/// matrices looked at.
fn moved_by_one_update(model: &Path, recipe: &Recipe, [attention, mlp]: [f64; 2]) -> usize {
    let decoder = Decoder::load(model, &Device::Cpu).unwrap();
    let adapter = Adapter::new(decoder.config(), recipe);
    let gradient = |index: usize| if index.is_multiple_of(2) { 3.0f32 } else { -0.5 };
    let gradients = |parameter: &twin_lora::Parameter| {
        let values: Vec<f32> = (0..parameter.values.len()).map(gradient).collect();
        Tensor::from_vec(values, parameter.shape, &Device::Cpu).unwrap()
    };
    let gradients: Vec<Tensor> = adapter.parameters.iter().map(gradients).collect();
    let mut optimizer = AdamW::new(&adapter, &Device::Cpu).unwrap();
    let rows = optimizer.rows(&gradients).unwrap();
    optimizer.update(&rows, 0.01, 0.1).unwrap();
    let after = optimizer.parameters().unwrap();
    for (after, before) in after.parameters.iter().zip(&adapter.parameters) {
        let rate = 0.01 * if before.name.contains("self_attn") { attention } else { mlp };
        for (index, (after, before)) in after.values.iter().zip(&before.values).enumerate() {
            let expected = f64::from(*before) * (1.0 - rate * 0.1) - rate * f64::from(gradient(index).signum());
            assert!((f64::from(*after) - expected).abs() < 1e-6, "{after} is not {expected}");
        }
    }
    after.parameters.len()
}

#[test]
fn the_decoder_is_given_the_numbers_that_the_optimizer_holds() {
    let folder = TempDir::new().unwrap();
    model::write(folder.path(), &Shape::of("LlamaForCausalLM"), None);
    let decoder = Decoder::load(folder.path(), &Device::Cpu).unwrap();
    // Two rates, so that the matrices of a layer do not lie in the order of the computation.
    let recipe = Recipe { mlp_rate: 2.0, ..all_targets() };
    let adapter = random_adapter(&decoder, &recipe);
    let optimizer = AdamW::new(&adapter, &Device::Cpu).unwrap();
    let logits = |adapter| decoder.logits(&[3, 1, 4, 1, 5], Some(&adapter)).unwrap();
    let difference = logits(optimizer.adapter(&decoder).unwrap()) - logits(adapter.on(&decoder).unwrap());
    let difference = difference.unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(difference < 1e-6, "logits differ by {difference}");
    assert_eq!(optimizer.parameters().unwrap(), adapter);
}

#[test]
fn a_gradient_is_clipped_to_its_norm_and_a_small_one_is_not() {
    let gradients = || [&[3.0f32][..], &[0.0, 4.0]].map(|values| Tensor::new(values, &Device::Cpu).unwrap()).to_vec();
    let numbers =
        |gradients: &[Tensor]| gradients.iter().flat_map(|row| row.to_vec1::<f32>().unwrap()).collect::<Vec<_>>();
    let clipped = |limit| {
        let (gradients, norm) = clip(gradients(), limit).unwrap();
        (numbers(&gradients), norm)
    };
    assert_eq!(clipped(0.0), (vec![3.0, 0.0, 4.0], 5.0));
    assert_eq!(clipped(6.0), (vec![3.0, 0.0, 4.0], 5.0));
    let (scaled, norm) = clipped(1.0);
    assert_eq!(norm, 5.0);
    assert!((scaled[0] - 0.6).abs() < 1e-6 && scaled[1] == 0.0 && (scaled[2] - 0.8).abs() < 1e-6, "{scaled:?}");
    // More numbers than are summed at a time.
    let many = Tensor::full(0.5f32, 3_000, &Device::Cpu).unwrap();
    assert!((clip(vec![many], 0.0).unwrap().1 - 750f64.sqrt()).abs() < 1e-9);
}

#[test]
fn the_learning_rate_rises_and_then_follows_its_schedule() {
    let rates = |schedule| {
        let folder = TempDir::new().unwrap();
        let mut task = task(folder.path());
        task.validation = None;
        task.recipe = Recipe { schedule, learning_rate: Some(1e-3), epochs: Some(20), max_steps: 8, ..task.recipe };
        let mut watch = Watch::default();
        train(&task, &mut watch).unwrap();
        watch.seen.iter().map(|progress| progress.learning_rate * 1e3).collect::<Vec<_>>()
    };
    let close = |found: Vec<f64>, wanted: [f64; 8]| {
        assert!(found.len() == 8 && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    };
    close(rates(Schedule::Constant), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]);
    close(rates(Schedule::Linear), [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]);
    let half = std::f64::consts::FRAC_1_SQRT_2 / 2.0;
    close(rates(Schedule::Cosine), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5 + half, 0.5, 0.5 - half]);
}

#[test]
fn patience_ends_a_run_that_only_gets_worse_and_keeps_its_best_weights() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    // What is validated is never trained, and the rate is far too high.
    model::write_chats(task.validation.as_ref().unwrap(), &[("z?", "QQQQ QQQQ")]);
    task.recipe = Recipe {
        eval_every: 1,
        patience: 3,
        epochs: Some(60),
        learning_rate: Some(0.05),
        schedule: Schedule::Constant,
        ..task.recipe
    };
    let trained = run(&task);
    let summary = &trained.manifest.summary;
    assert!(summary.ended_early && summary.steps < summary.planned_steps, "{summary:?}");
    let scorer = scorer(&trained.output.join("merged")).unwrap();
    let (sum, tokens) = scorer.loss(&[message(Role::User, "z?")], "QQQQ QQQQ", true).unwrap();
    assert!((sum / tokens as f64 - summary.evaluation_loss.unwrap()).abs() < 1e-4, "{summary:?}");
}

#[test]
fn samples_that_are_too_long_are_left_out_and_counted_and_without_any_left_it_says_why() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    let long = "word ".repeat(60);
    model::write_chats(&task.train, &[("a?", "one"), ("b?", &long)]);
    let summary = run(&task).manifest.summary;
    assert_eq!((summary.samples, summary.too_long, summary.planned_steps), (1, 1, 6));
    model::write_chats(&task.train, &[("b?", &long)]);
    task.folder = folder.path().join("other");
    let nothing = train(&task, &mut Watch::default());
    assert!(matches!(nothing, Err(Error::NoSamples { read: 1, too_long: 1, limit: 256, .. })), "{nothing:?}");
    std::fs::write(&task.train, "\n").unwrap();
    let nothing = train(&task, &mut Watch::default());
    assert!(matches!(nothing, Err(Error::NoSamples { read: 0, .. })), "{nothing:?}");
}

/// A conversation of a kind, as datasets write it.
fn line_of(kind: &str, ends: bool, asked: &str, answered: &str) -> String {
    let messages = [message(Role::User, asked), message(Role::Assistant, answered)];
    serde_json::json!({"messages": messages, "kind": kind, "ends": ends}).to_string()
}

#[test]
fn a_recipe_that_leaves_them_open_is_settled_by_the_samples_and_says_so_before_it_starts() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    let long = "word ".repeat(60);
    let lines = [line_of("voice", true, "a?", "one"), line_of("grounded", true, "b?", &long)];
    std::fs::write(&task.train, lines.join("\n")).unwrap();
    task.recipe = Recipe { max_steps: 2, rank: 4, eval_every: 1, ..Recipe::default() };
    let plan = Lora.plan(&task).unwrap();
    let recipe = &plan.recipe;
    assert!(plan.longest > 256 && recipe.pack_tokens.is_some_and(|tokens| tokens as u64 >= plan.longest), "{plan:?}");
    assert!(recipe.learning_rate.is_some() && recipe.targets.as_deref() == Some(&Target::ALL[..]), "{recipe:?}");
    assert_eq!(plan.left_out(), "");
    plan.require_samples(0.0).unwrap();
    assert!(!task.folder.exists(), "nothing is trained");

    let trained = run(&task);
    let summary = &trained.manifest.summary;
    assert_eq!((summary.samples, summary.planned_steps as u64, summary.tokens as u64), (2, plan.steps, plan.tokens));
    assert_eq!((summary.fit["grounded"].read, summary.fit["unknown"].read), (1, 2));
    assert_eq!(&trained.manifest.recipe, recipe);
    // Settled once, it is the same run.
    task.recipe = recipe.clone();
    assert_eq!(Lora.plan(&task).unwrap(), plan);

    task.recipe.pack_tokens = Some(128);
    let plan = Lora.plan(&task).unwrap();
    assert_eq!(plan.left_out(), "1 of 1 grounded samples");
    assert!(plan.require_samples(0.01).unwrap_err().to_string().contains("`pack_tokens`"));
}

#[test]
fn without_a_number_of_steps_there_are_as_many_as_the_tokens_ask_for() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    task.recipe = Recipe { rank: 4, ..Recipe::default() };
    let few = Lora.plan(&task).unwrap();
    assert_eq!((few.recipe.epochs, few.steps, few.recipe.max_steps as u64), (Some(8), 8, 8));
    let many: Vec<String> =
        (0..700).map(|number| line_of("voice", true, &number.to_string(), &"a".repeat(400))).collect();
    std::fs::write(&task.train, many.join("\n")).unwrap();
    let many = Lora.plan(&task).unwrap();
    assert!((400_000..400_600).contains(&many.tokens), "{many:?}");
}

#[test]
fn samples_that_no_step_sees_are_counted_by_kind_also_where_a_run_of_open_length_is_cut() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    let lines = |count: usize, letters: usize| {
        let line = |number: usize| {
            let kind = if number.is_multiple_of(2) { "voice" } else { "grounded" };
            line_of(kind, true, &number.to_string(), &"a".repeat(letters))
        };
        (0..count).map(line).collect::<Vec<_>>().join("\n")
    };
    // One pack a step, and more packs than steps.
    std::fs::write(&task.train, lines(12, 100)).unwrap();
    task.recipe = Recipe { max_steps: 2, ..task.recipe };
    let plan = Lora.plan(&task).unwrap();
    let summary = run(&task).manifest.summary;
    let unseen = |kind: &str| plan.samples[kind].unseen as usize;
    assert_eq!(plan.samples, summary.fit);
    assert!(unseen("voice") + unseen("grounded") > 0, "{plan:?}");
    assert_eq!(summary.samples + unseen("voice") + unseen("grounded"), 12);
    assert_eq!(unseen("unknown"), 0, "what is held out is not trained on");

    // Half a million tokens: more than a run of open length has.
    task.recipe = Recipe { rank: 4, ..Recipe::default() };
    std::fs::write(&task.train, lines(1_200, 400)).unwrap();
    let cut = Lora.plan(&task).unwrap();
    assert!((400_000..400_600).contains(&cut.tokens), "{cut:?}");
    assert!(cut.samples["voice"].unseen > 0 && cut.samples["grounded"].unseen > 0, "{cut:?}");
    // A recipe that names its length has it.
    task.recipe.epochs = Some(1);
    let whole = Lora.plan(&task).unwrap();
    assert!(whole.tokens > 450_000, "{whole:?}");
    assert_eq!((whole.samples["voice"].unseen, whole.samples["grounded"].unseen), (0, 0));
}

#[test]
fn the_end_of_an_answer_is_learned_where_its_text_ends_and_nowhere_else() {
    let losses = |ends: bool| {
        let folder = TempDir::new().unwrap();
        let mut task = task(folder.path());
        std::fs::write(&task.train, line_of("voice", ends, "a?", "one two three")).unwrap();
        task.recipe = Recipe { epochs: Some(1), ..task.recipe };
        run(&task).manifest.summary
    };
    let (ending, going_on) = (losses(true), losses(false));
    assert_eq!(ending.tokens, going_on.tokens + 1, "the token that ends it");
}

#[test]
fn a_line_that_is_no_sample_is_named() {
    let folder = TempDir::new().unwrap();
    let task = task(folder.path());
    let question_last = serde_json::json!({"messages": [message(Role::User, "why?")]}).to_string();
    for line in ["{", "{\"messages\": []}", &question_last] {
        std::fs::write(&task.train, format!("\n{line}\n")).unwrap();
        let found = train(&task, &mut Watch::default());
        assert!(matches!(found, Err(Error::Sample { line: 2, .. })), "{found:?}");
    }
}

#[test]
fn a_loss_that_is_no_number_any_more_ends_the_run() {
    let folder = TempDir::new().unwrap();
    let mut task = task(folder.path());
    task.recipe = Recipe { learning_rate: Some(1e30), clip: 0.0, ..task.recipe };
    let found = train(&task, &mut Watch::default());
    assert!(matches!(found, Err(Error::Diverged { .. })), "{found:?}");
}
