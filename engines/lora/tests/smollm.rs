//! The training engine on SmolLM2-135M-Instruct, which `make models` puts into the cache.

use std::path::{Path, PathBuf};

use candle_core::{D, Device};
use tempfile::TempDir;
use twin_lora::{ChatFormat, Decoder, Observer, Pack, Progress, Recipe, Target, Task, scorer, train};
use twin_schemas::{ChatMessage, Role};

fn base() -> PathBuf {
    let cache = std::env::var_os("TWIN_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/llm-twin");
    cache.unwrap_or_else(home).join("models/smollm2-135m-instruct-f32")
}

fn message(role: Role, content: &str) -> ChatMessage {
    ChatMessage { role, content: content.to_owned() }
}

/// What the model says, token by token, taking the likeliest each time.
fn greedy(model: &Path, question: &str, tokens: usize) -> Vec<u32> {
    let format = ChatFormat::read(model).unwrap();
    let decoder = Decoder::load(model, &Device::Cpu).unwrap();
    let mut text = format.tokens(&format.render(&[message(Role::User, question)], true).unwrap()).unwrap();
    let asked = text.len();
    for _ in 0..tokens {
        let logits = decoder.logits(&text, None).unwrap();
        let last = logits.get(text.len() - 1).unwrap();
        text.push(last.argmax(D::Minus1).unwrap().to_scalar::<u32>().unwrap());
    }
    text.split_off(asked)
}

#[test]
fn the_model_gives_the_answer_that_it_gives_in_production() {
    // mistral.rs and a computation with numpy give this answer, word for word.
    let format = ChatFormat::read(&base()).unwrap();
    let wanted = format.tokens("The capital of France is Paris.<|im_end|>").unwrap();
    assert_eq!(greedy(&base(), "What is the capital of France?", wanted.len()), wanted);
}

#[test]
fn an_answer_has_the_tokens_and_losses_that_transformers_gives_it() {
    // Written by transformers 5.24.0 on PyTorch 2.15.0, from this directory. Both add up in single precision, each in
    // another order, so that the fifth digit differs.
    let tokens = [1589, 38346, 20407, 28, 284, 11859, 260, 1532, 30, 2];
    let losses = [8.92229, 21.97916, 2.66081, 3.48947, 4.76289, 9.70646, 3.54852, 1.8527, 1.00694, 4.9411];
    let prompt = [message(Role::User, "What is a router?")];
    let format = ChatFormat::read(&base()).unwrap();
    let sequence = format.sequence(&prompt, "It forwards packets, and drops the rest.").unwrap();
    assert_eq!((sequence.completion, &sequence.tokens[35..]), (35, &tokens[..]));
    let found = Decoder::load(&base(), &Device::Cpu).unwrap().losses(&Pack::new([&sequence]), None).unwrap();
    assert_eq!(found.len(), losses.len());
    for (ours, theirs) in found.iter().zip(losses) {
        assert!((f64::from(*ours) - theirs).abs() < 1e-3, "{found:?} is not {losses:?}");
    }
}

const QUESTIONS: [&str; 12] = [
    "What is Kafka?",
    "What is a compiler?",
    "Explain DNS.",
    "What is a hash map?",
    "What is TCP?",
    "Explain recursion.",
    "What is an index?",
    "What is a cache?",
    "Explain a queue.",
    "What is Linux?",
    "What is an API?",
    "Explain a mutex.",
];

struct Falling(Vec<Progress>);

impl Observer for Falling {
    fn progress(&mut self, progress: &Progress) {
        self.0.push(*progress);
    }
}

#[test]
fn a_style_is_learned_in_a_few_steps_and_in_little_memory() {
    let folder = TempDir::new().unwrap();
    let line = |question: &&str| {
        let answer = message(Role::Assistant, "TL;DR: it moves data around. Ship it!");
        serde_json::json!({"messages": [message(Role::User, question), answer]}).to_string()
    };
    let lines: Vec<String> = QUESTIONS.iter().map(line).collect();
    std::fs::write(folder.path().join("train.jsonl"), lines.join("\n")).unwrap();
    let recipe = Recipe {
        rank: 8,
        targets: Some(vec![Target::QProj, Target::VProj]),
        learning_rate: Some(3e-3),
        epochs: Some(3),
        pack_tokens: Some(256),
        ..Recipe::default()
    };
    let task = Task {
        base: base(),
        train: folder.path().join("train.jsonl"),
        validation: None,
        following: Vec::new(),
        recipe,
        folder: folder.path().join("work"),
        threads: None,
        merge: true,
    };
    let mut falling = Falling(Vec::new());
    let trained = train(&task, &mut falling).unwrap();
    let summary = &trained.manifest.summary;
    assert!(summary.last_loss < 0.5 * summary.first_loss, "{summary:?}");

    // A question that it was not trained on: the learned style is likelier than before, another text is not.
    let prompt = [message(Role::User, "What is a router?")];
    let mean = |model: &Path, text: &str| {
        let (sum, tokens) = scorer(model).unwrap().loss(&prompt, text, true).unwrap();
        sum / tokens as f64
    };
    let merged = trained.output.join("merged");
    let styled = "TL;DR: it forwards packets. Ship it!";
    assert!(mean(&merged, styled) < mean(&base(), styled) - 1.0);
    assert!(peak_megabytes() < 1_600.0, "{} MB", peak_megabytes());
}

/// The highest memory that this process ever took.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
