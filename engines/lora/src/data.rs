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
use super::pack::{LEAST_SHARED, Sequence, common_beginning, first_fit, shared_size};
use super::template::ChatFormat;

/// What is learned from at once: one conversation, or the two answers of a preference (the better one first).
pub(crate) type Item = Vec<Sequence>;

/// The version of the order of a run's steps: one more with each change of what [`plan`] gives, so that no run goes on in
/// another order than it began with.
pub(crate) const ORDER: u32 = 1;

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

    /// Tokens that are computed of each sample.
    pub fn lengths(&self) -> Vec<usize> {
        self.items.iter().map(size).collect()
    }

    /// Tokens of the longest sample. One that goes beyond the model's `max_tokens` positions has no less for what its sequences
    /// begin with in common: a longer pack would not help it.
    pub fn longest(&self, max_tokens: usize) -> usize {
        let tokens = |item: &Item| match longest(item) > max_tokens {
            true => item.iter().map(|sequence| sequence.tokens.len()).sum::<usize>(),
            false => size(item),
        };
        self.items.iter().map(tokens).max().unwrap_or(0)
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

    /// All of them in packs of at most so many tokens, as they are evaluated.
    pub fn packs(&self, capacity: usize) -> Vec<Vec<usize>> {
        let order: Vec<usize> = (0..self.items.len()).collect();
        packs(&self.items, &families(&self.items), &order, capacity)
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

/// Tokens that are computed of an item by itself: what its sequences begin with in common counts once.
pub(crate) fn size(item: &Item) -> usize {
    shared_size([item.as_slice()])
}

/// Packs of a step: indices of items.
pub(crate) type Step = Vec<Vec<usize>>;

/// All steps of a run. Each epoch has an order of its own, which follows from the seed, but that items of a family stand
/// together ([`units`]).
pub(crate) fn plan(items: &[Item], settled: &Settled) -> Vec<Step> {
    let recipe = &settled.recipe;
    let families = families(items);
    let mut steps: Vec<Step> = Vec::new();
    for epoch in 0..settled.epochs {
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        // Far from the streams of the adapter and of dropout.
        rng.set_stream(u64::MAX - epoch as u64);
        order.shuffle(&mut rng);
        let packs = packs(items, &families, &order, settled.pack_tokens);
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

/// Tokens that are computed of some packs, such as those of a step.
pub(crate) fn tokens_of(items: &[Item], packs: &[Vec<usize>]) -> usize {
    packs.iter().map(|pack| tokens_together(items, pack)).sum()
}

/// Tokens that are computed of items in one pack.
fn tokens_together(items: &[Item], indices: &[usize]) -> usize {
    shared_size(indices.iter().map(|index| items[*index].as_slice()))
}

/// Packs of at most `capacity` tokens of the items of an order. No item may be larger.
fn packs(items: &[Item], families: &[usize], order: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let units = units(items, families, order, capacity);
    let sizes: Vec<usize> = units.iter().map(|unit| tokens_together(items, unit)).collect();
    let bins = first_fit(&sizes, capacity).into_iter();
    bins.map(|bin| bin.into_iter().flat_map(|unit| units[unit].iter().copied()).collect()).collect()
}

/// The items of an order, cut into what goes into a pack as a whole: an item, or those of a family that have room in a pack
/// together, where the first of them stood. Which ones of a large family are together is as random as the order is.
fn units(items: &[Item], families: &[usize], order: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut newest: BTreeMap<usize, usize> = BTreeMap::new();
    for &item in order {
        if let Some(&unit) = newest.get(&families[item]) {
            let with: Vec<usize> = units[unit].iter().copied().chain([item]).collect();
            let tokens = tokens_together(items, &with);
            let apart = tokens_together(items, &units[unit]) + size(&items[item]);
            if tokens <= capacity && tokens + LEAST_SHARED <= apart {
                units[unit] = with;
                continue;
            }
        }
        newest.insert(families[item], units.len());
        units.push(vec![item]);
    }
    units
}

/// The number of each item's family. Items are of one where half of each or more is what they begin with in common, and that
/// is long: several questions about the same passages. The instructions that all prompts begin with make no family of items
/// that have little else in common: these would stand together in every epoch.
fn families(items: &[Item]) -> Vec<usize> {
    let beginning = |index: usize| items[index].first().map_or(&[] as &[u32], |sequence| sequence.tokens.as_slice());
    let mut sorted: Vec<usize> = (0..items.len()).collect();
    sorted.sort_by(|one, other| beginning(*one).cmp(beginning(*other)));
    let mut families = vec![0; items.len()];
    let mut family = 0;
    for neighbours in sorted.windows(2) {
        let common = common_beginning(beginning(neighbours[0]), beginning(neighbours[1]));
        let larger = size(&items[neighbours[0]]).max(size(&items[neighbours[1]]));
        if common < LEAST_SHARED || 2 * common < larger {
            family += 1;
        }
        families[neighbours[1]] = family;
    }
    families
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
    use rand::Rng;

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

    /// Items of up to so many families: long prompts with short answers, and some that are like no other.
    fn families_of(rng: &mut ChaCha8Rng) -> Vec<Item> {
        let count = rng.random_range(1..30);
        let item = |number: u32| {
            let (kind, answer) = (rng.random_range(0..5), rng.random_range(1..20));
            let prompt = if kind == 0 { vec![1_000 + number; 100] } else { vec![kind; 100] };
            // The second token of an answer is its own, so that no two are the same.
            vec![Sequence { tokens: [prompt, vec![900, number], vec![901; answer]].concat(), completion: 100 }]
        };
        (0..count).map(item).collect()
    }

    #[test]
    fn packs_hold_each_item_once_and_no_more_than_they_may_and_families_share_their_beginnings() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for _ in 0..300 {
            let items = families_of(&mut rng);
            let capacity = rng.random_range(122..600);
            let mut order: Vec<usize> = (0..items.len()).collect();
            order.shuffle(&mut rng);
            let families = families(&items);
            let found = packs(&items, &families, &order, capacity);
            let mut all = found.concat();
            all.sort_unstable();
            assert_eq!(all, (0..items.len()).collect::<Vec<_>>());
            assert!(found.iter().all(|pack| tokens_together(&items, pack) <= capacity), "{found:?}");
            assert_eq!(packs(&items, &families, &order, capacity), found);
            let units = units(&items, &families, &order, capacity);
            for unit in &units {
                assert!(unit.iter().all(|item| families[*item] == families[unit[0]]));
                // Each but the first has the 100 tokens of its prompt for nothing.
                let apart: usize = unit.iter().map(|item| size(&items[*item])).sum();
                assert!(tokens_together(&items, unit) + 100 * (unit.len() - 1) <= apart, "{unit:?}");
            }
            // A unit that another of its family follows was full: with that one's first item it is more than a pack.
            for (place, unit) in units.iter().enumerate() {
                let next = units[place + 1..].iter().find(|next| families[next[0]] == families[unit[0]]);
                let with = next.map(|next| tokens_together(&items, &[unit.as_slice(), &next[..1]].concat()));
                assert!(with.is_none_or(|tokens| tokens > capacity), "{units:?}");
            }
        }
    }

    #[test]
    fn items_with_little_in_common_stand_where_the_order_has_them() {
        let instructions = vec![7; 90];
        let item = |number: u32| {
            let tokens = [instructions.clone(), vec![number; 100]].concat();
            vec![Sequence { tokens, completion: 90 }]
        };
        let items: Vec<Item> = (10..16).map(item).collect();
        let order = [3, 0, 5, 1, 4, 2];
        let families = families(&items);
        assert_eq!(families.iter().collect::<std::collections::BTreeSet<_>>().len(), 6);
        assert_eq!(units(&items, &families, &order, 400), order.map(|item| vec![item]));
        let found = packs(&items, &families, &order, 400);
        assert_eq!(found, [[3, 0], [5, 1], [4, 2]]);
        // Those that are in a pack together have their instructions once all the same.
        assert_eq!(tokens_of(&items, &found), 3 * (90 + 200));
    }

    #[test]
    fn the_prompt_of_a_preference_counts_once() {
        let answer = |tokens: &[u32]| Sequence { tokens: [&[5; 30][..], tokens].concat(), completion: 30 };
        assert_eq!(size(&vec![answer(&[1, 2, 3]), answer(&[4])]), 34);
    }
}
