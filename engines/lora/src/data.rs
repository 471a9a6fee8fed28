//! Samples, read and tokenised, and the order in which a run sees them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use twin_schemas::{ChatMessage, ChatSample, PreferenceSample, Role, SampleKind};
use twin_training::{Fit, Method, Settled};

use super::error::Error;
use super::pack::{Sequence, first_fit};
use super::template::ChatFormat;

/// What is learned from at once: one conversation, or the two answers of a preference (the better one first).
pub(crate) type Item = Vec<Sequence>;

/// The samples of a file.
pub(crate) struct Read {
    items: Vec<Item>,
    /// What each teaches.
    kinds: Vec<&'static str>,
}

/// The kind of a sample of a version that did not say so.
const UNKNOWN: &str = "unknown";

impl Read {
    /// Reads a JSONL file of the method's kind of sample.
    pub fn new(path: &Path, method: Method, format: &ChatFormat) -> Result<Self, Error> {
        let (mut items, mut kinds) = (Vec::new(), Vec::new());
        let mut add = |(item, kind)| {
            items.push(item);
            kinds.push(kind);
        };
        match method {
            Method::Sft => lines(path, |sample: ChatSample| conversation(sample, format), &mut add)?,
            Method::Dpo => lines(path, |sample: PreferenceSample| preference(sample, format), &mut add)?,
        }
        Ok(Self { items, kinds })
    }

    /// The places of at most so many, of each kind its share, ascending. They follow from the samples alone and not from what
    /// fits, which the recipe decides: what one run is evaluated on, every run on the same samples is, as far as it fits.
    pub fn drawn(&self, most: usize) -> Vec<usize> {
        stratified(&self.kinds, most)
    }

    /// No sample at all.
    pub fn nothing() -> Self {
        Self { items: Vec::new(), kinds: Vec::new() }
    }

    /// Tokens of each sample.
    pub fn lengths(&self) -> Vec<usize> {
        self.items.iter().map(size).collect()
    }

    /// Those that fit into a pack and the model's positions.
    pub fn fitting(self, settled: &Settled, max_tokens: usize) -> Samples {
        let read = self.items.len();
        let mut fit: BTreeMap<String, Fit> = BTreeMap::new();
        let mut items = Vec::with_capacity(read);
        let mut kinds = Vec::with_capacity(read);
        let mut places = Vec::with_capacity(read);
        for (place, (item, kind)) in self.items.into_iter().zip(self.kinds).enumerate() {
            let counted = fit.entry(kind.to_owned()).or_default();
            counted.read += 1;
            if size(&item) <= settled.pack_tokens && longest(&item) <= max_tokens {
                items.push(item);
                kinds.push(kind);
                places.push(place);
            } else {
                counted.too_long += 1;
            }
        }
        Samples { too_long: read - items.len(), read, items, kinds, places, fit }
    }
}

/// The samples of a file that can be used.
pub(crate) struct Samples {
    pub items: Vec<Item>,
    /// What each teaches.
    kinds: Vec<&'static str>,
    /// Where each is in the file.
    places: Vec<usize>,
    /// Samples in the file.
    pub read: usize,
    /// Of these, left out because they are longer than a pack or than the model's positions.
    pub too_long: usize,
    /// The same by kind, and those that no step sees.
    pub fit: BTreeMap<String, Fit>,
}

impl Samples {
    /// Keeps those at these places of the file, which ascend.
    pub fn keep(&mut self, drawn: &[usize]) {
        let (items, kinds) = (std::mem::take(&mut self.items), std::mem::take(&mut self.kinds));
        let places = std::mem::take(&mut self.places);
        for ((item, kind), place) in items.into_iter().zip(kinds).zip(places) {
            if drawn.binary_search(&place).is_ok() {
                self.items.push(item);
                self.kinds.push(kind);
                self.places.push(place);
            }
        }
    }

    /// Counts those that are in none of a run's steps.
    pub fn count_unseen(&mut self, steps: &[Step]) {
        let mut is_seen = vec![false; self.items.len()];
        steps.iter().flatten().flatten().for_each(|item| is_seen[*item] = true);
        for (kind, _) in self.kinds.iter().zip(is_seen).filter(|(_, is_seen)| !is_seen) {
            self.fit.entry((*kind).to_owned()).or_default().unseen += 1;
        }
    }

    /// How many are in a step, once those that are in none were counted.
    pub fn seen(&self) -> usize {
        let unseen: u64 = self.fit.values().map(|fit| fit.unseen).sum();
        self.items.len() - unseen as usize
    }
}

/// Decides which samples a run is evaluated on.
const SAMPLING_SEED: u64 = 0;

/// At most so many places of a list, drawn at random, ascending, and of each kind as large a share as it has in the list.
fn stratified(kinds: &[&str], most: usize) -> Vec<usize> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, kind) in kinds.iter().enumerate() {
        places.entry(kind).or_default().push(place);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SAMPLING_SEED);
    let mut order: Vec<(f64, usize)> = Vec::with_capacity(kinds.len());
    for of_kind in places.values_mut() {
        of_kind.shuffle(&mut rng);
        // Spread evenly from 0 to 1, so that the first of all have each kind's share.
        let count = of_kind.len() as f64;
        order.extend(of_kind.iter().enumerate().map(|(rank, place)| ((rank as f64 + 0.5) / count, *place)));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut chosen: Vec<usize> = order.into_iter().take(most).map(|(_, place)| place).collect();
    chosen.sort_unstable();
    chosen
}

/// Tokens of an item's longest sequence.
pub(crate) fn longest(item: &Item) -> usize {
    item.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0)
}

/// Tokens of an item.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|sequence| sequence.tokens.len()).sum()
}

/// Packs of a step: indices of items.
pub(crate) type Step = Vec<Vec<usize>>;

/// All steps of a run. Each epoch has an order of its own, which follows from the seed.
pub(crate) fn plan(items: &[Item], settled: &Settled) -> Vec<Step> {
    let recipe = &settled.recipe;
    let mut steps: Vec<Step> = Vec::new();
    for epoch in 0..settled.epochs {
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        // Far from the streams of the adapter and of dropout.
        rng.set_stream(u64::MAX - epoch as u64);
        order.shuffle(&mut rng);
        let sizes: Vec<usize> = order.iter().map(|index| size(&items[*index])).collect();
        let packs = first_fit(&sizes, settled.pack_tokens);
        let packs: Vec<Vec<usize>> =
            packs.into_iter().map(|pack| pack.into_iter().map(|place| order[place]).collect()).collect();
        steps.extend(packs.chunks(recipe.accumulation).map(<[Vec<usize>]>::to_vec));
    }
    if recipe.max_steps > 0 {
        steps.truncate(recipe.max_steps);
    }
    if let Some(most) = settled.most_tokens {
        let mut tokens = 0;
        let within = steps.iter().take_while(|step| {
            let is_within = tokens < most;
            tokens += tokens_of(items, step);
            is_within
        });
        steps.truncate(within.count());
    }
    steps
}

/// Tokens of a step.
pub(crate) fn tokens_of(items: &[Item], step: &Step) -> usize {
    step.iter().flatten().map(|item| size(&items[*item])).sum()
}

/// Reads each line and gives it on, tokenised, with what it teaches.
fn lines<T: DeserializeOwned>(
    path: &Path,
    tokenised: impl Fn(T) -> Result<(Item, &'static str), String>,
    add: &mut impl FnMut((Item, &'static str)),
) -> Result<(), Error> {
    let file = std::fs::File::open(path).map_err(Error::at(path))?;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Error::at(path))?;
        if line.trim().is_empty() {
            continue;
        }
        let sample = serde_json::from_str(&line).map_err(|error| error.to_string());
        let item = sample.and_then(&tokenised);
        add(item.map_err(|problem| Error::Sample { path: path.to_owned(), line: index + 1, problem })?);
    }
    Ok(())
}

fn conversation(sample: ChatSample, format: &ChatFormat) -> Result<(Item, &'static str), String> {
    let kind = sample.kind.map_or(UNKNOWN, SampleKind::as_str);
    match sample.messages.split_last() {
        Some((last, prompt)) if last.role == Role::Assistant => {
            let sequence = sequence(format, prompt, &last.content)?;
            Ok((vec![if sample.ends { sequence } else { sequence.without_end() }], kind))
        }
        _ => Err("the last message is not the assistant's".to_owned()),
    }
}

fn preference(sample: PreferenceSample, format: &ChatFormat) -> Result<(Item, &'static str), String> {
    let answer = |messages: &[ChatMessage], name: &str| match messages {
        [answer] if answer.role == Role::Assistant => sequence(format, &sample.prompt, &answer.content),
        _ => Err(format!("`{name}` is not one message of the assistant")),
    };
    let item = vec![answer(&sample.chosen, "chosen")?, answer(&sample.rejected, "rejected")?];
    Ok((item, SampleKind::Preference.as_str()))
}

fn sequence(format: &ChatFormat, prompt: &[ChatMessage], completion: &str) -> Result<Sequence, String> {
    format.sequence(prompt, completion).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: twin_training::Shape =
        twin_training::Shape { hidden: 576, parameters: 1, max_tokens: 8_192, token_bytes: 1 };

    #[test]
    fn a_recipe_with_shorter_packs_is_evaluated_on_no_sample_that_another_is_not() {
        // Every third is longer than the short packs.
        let item = |place: u32| {
            let tokens = if place.is_multiple_of(3) { 100 } else { 10 };
            vec![Sequence { tokens: vec![place; tokens], completion: 1 }]
        };
        let places = |pack_tokens: usize| {
            let read = Read { items: (0..60).map(item).collect(), kinds: vec!["voice"; 60] };
            let recipe = twin_training::Recipe { pack_tokens: Some(pack_tokens), ..Default::default() };
            let settled = recipe.settled(&SHAPE, &read.lengths(), &[]);
            let drawn = read.drawn(20);
            let mut samples = read.fitting(&settled, 8_192);
            samples.keep(&drawn);
            samples.items.iter().map(|item| item[0].tokens[0]).collect::<Vec<_>>()
        };
        let (long, short) = (places(128), places(32));
        assert_eq!(long.len(), 20);
        assert!(short.len() < 20 && short.iter().all(|place| long.contains(place)), "{long:?}, {short:?}");
    }

    #[test]
    fn the_samples_of_an_evaluation_have_each_kinds_share_and_are_not_the_first_ones() {
        // As a dataset's file has them: kind after kind.
        let kinds: Vec<&str> = [vec!["voice"; 160], vec!["grounded"; 30], vec!["refusal"; 10]].concat();
        let chosen = stratified(&kinds, 20);
        let of = |kind: &str| chosen.iter().filter(|place| kinds[**place] == kind).count();
        assert_eq!((chosen.len(), of("voice"), of("grounded"), of("refusal")), (20, 16, 3, 1));
        assert!(chosen.is_sorted() && chosen.last() > Some(&150), "{chosen:?}");
        assert_eq!(stratified(&kinds, 20), chosen, "the same for every run");
        assert_ne!(chosen[..16], (0..16).collect::<Vec<_>>(), "not the first of a kind");
        assert_eq!(stratified(&kinds, 999).len(), 200);
        assert_eq!(stratified(&[], 3), Vec::<usize>::new());
    }

    #[test]
    fn what_is_kept_keeps_its_kind() {
        let item = |tokens: u32| vec![Sequence { tokens: vec![tokens], completion: 1 }];
        let kinds = vec!["voice", "voice", "refusal", "voice", "refusal"];
        let items: Vec<Item> = (0..5).map(item).collect();
        let read = Read { items, kinds };
        let drawn = read.drawn(3);
        let settled = twin_training::Recipe::default().settled(&SHAPE, &read.lengths(), &[]);
        let mut samples = read.fitting(&settled, 9);
        samples.keep(&drawn);
        assert_eq!((samples.items.len(), samples.kinds.len()), (3, 3));
        for (item, kind) in samples.items.iter().zip(&samples.kinds) {
            let place = item[0].tokens[0];
            assert_eq!(*kind, if place == 2 || place == 4 { "refusal" } else { "voice" });
        }
    }
}
