//! Samples, read and tokenised, and the order in which a run sees them.

use std::io::{BufRead, BufReader};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use twin_schemas::{ChatMessage, ChatSample, PreferenceSample, Role};
use twin_training::{Method, Recipe};

use super::error::Error;
use super::pack::{Sequence, first_fit};
use super::template::ChatFormat;

/// What is learned from at once: one conversation, or the two answers of a preference (the better one first).
pub(crate) type Item = Vec<Sequence>;

/// The samples of a file that can be used.
pub(crate) struct Samples {
    pub items: Vec<Item>,
    /// Samples in the file.
    pub read: usize,
    /// Of these, left out because they are longer than a pack or than the model's positions.
    pub too_long: usize,
}

impl Samples {
    /// Reads a JSONL file of the method's kind of sample.
    pub fn read(path: &Path, recipe: &Recipe, format: &ChatFormat, max_tokens: usize) -> Result<Self, Error> {
        let items = match recipe.method {
            Method::Sft => lines(path, |sample: ChatSample| conversation(sample, format))?,
            Method::Dpo => lines(path, |sample: PreferenceSample| preference(sample, format))?,
        };
        let read = items.len();
        let fits = |item: &Item| {
            size(item) <= recipe.pack_tokens && item.iter().all(|sequence| sequence.tokens.len() <= max_tokens)
        };
        let items: Vec<Item> = items.into_iter().filter(fits).collect();
        Ok(Self { too_long: read - items.len(), items, read })
    }
}

/// Tokens of an item.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|sequence| sequence.tokens.len()).sum()
}

/// Packs of a step: indices of items.
pub(crate) type Step = Vec<Vec<usize>>;

/// All steps of a run. Each epoch has an order of its own, which follows from the seed.
pub(crate) fn plan(items: &[Item], recipe: &Recipe) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for epoch in 0..recipe.epochs {
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        // Far from the streams of the adapter and of dropout.
        rng.set_stream(u64::MAX - epoch as u64);
        order.shuffle(&mut rng);
        let sizes: Vec<usize> = order.iter().map(|index| size(&items[*index])).collect();
        let packs = first_fit(&sizes, recipe.pack_tokens);
        let packs: Vec<Vec<usize>> =
            packs.into_iter().map(|pack| pack.into_iter().map(|place| order[place]).collect()).collect();
        steps.extend(packs.chunks(recipe.accumulation).map(<[Vec<usize>]>::to_vec));
    }
    if recipe.max_steps > 0 {
        steps.truncate(recipe.max_steps);
    }
    steps
}

fn lines<T: DeserializeOwned>(path: &Path, tokenised: impl Fn(T) -> Result<Item, String>) -> Result<Vec<Item>, Error> {
    let file = std::fs::File::open(path).map_err(Error::at(path))?;
    let mut items = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Error::at(path))?;
        if line.trim().is_empty() {
            continue;
        }
        let sample = serde_json::from_str(&line).map_err(|error| error.to_string());
        let item = sample.and_then(&tokenised);
        items.push(item.map_err(|problem| Error::Sample { path: path.to_owned(), line: index + 1, problem })?);
    }
    Ok(items)
}

fn conversation(sample: ChatSample, format: &ChatFormat) -> Result<Item, String> {
    match sample.messages.split_last() {
        Some((last, prompt)) if last.role == Role::Assistant => Ok(vec![sequence(format, prompt, &last.content)?]),
        _ => Err("the last message is not the assistant's".to_owned()),
    }
}

fn preference(sample: PreferenceSample, format: &ChatFormat) -> Result<Item, String> {
    let answer = |messages: &[ChatMessage], name: &str| match messages {
        [answer] if answer.role == Role::Assistant => sequence(format, &sample.prompt, &answer.content),
        _ => Err(format!("`{name}` is not one message of the assistant")),
    };
    Ok(vec![answer(&sample.chosen, "chosen")?, answer(&sample.rejected, "rejected")?])
}

fn sequence(format: &ChatFormat, prompt: &[ChatMessage], completion: &str) -> Result<Sequence, String> {
    format.sequence(prompt, completion).map_err(|error| error.to_string())
}
