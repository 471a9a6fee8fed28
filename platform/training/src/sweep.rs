//! Sweeps: several recipes tried on one dataset within a budget; the one of the lowest evaluation loss becomes the
//! author's.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use twin_schemas::DatasetId;

use crate::{Error, Recipe};

/// Trials of a sweep, at most, whatever its file says.
const MOST_TRIALS: usize = 1_000;

/// Keys that no sweep tries values of: they decide what the evaluation loss is of, and trials are compared by it.
const DECIDE_THE_LOSS: [&str; 6] = ["method", "stages", "dpo_beta", "dpo_nll", "dpo_ld_alpha", "eval_samples"];

/// How combinations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// Every combination, in the order of the file, up to the budget.
    Grid,
    /// Combinations drawn at random without repetition.
    Random,
}

/// A sweep, read from TOML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// `grid` or `random`.
    pub search: Search,
    /// Trials, at most.
    pub trials: usize,
    /// Minutes from the first trial's start, at most; trials not begun by then are left out. 0: no limit.
    #[serde(default)]
    pub minutes: u64,
    /// Decides what `random` draws.
    #[serde(default)]
    pub seed: u64,
    /// The recipe that each trial begins from.
    #[serde(default)]
    pub recipe: Recipe,
    /// Keys of the recipe with the values to try; none that decides what the evaluation loss is of.
    pub values: BTreeMap<String, Vec<toml::Value>>,
}

impl Sweep {
    /// Reads and checks a sweep.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let sweep: Self = toml::from_str(text).map_err(|error| Error::Sweep(error.to_string()))?;
        if sweep.trials == 0 || sweep.trials > MOST_TRIALS {
            return Err(Error::Sweep(format!("`trials` must be from 1 to {MOST_TRIALS}")));
        }
        if sweep.values.is_empty() || sweep.values.values().any(Vec::is_empty) {
            return Err(Error::Sweep("`values` must name keys of the recipe, each with values to try".into()));
        }
        if let Some(key) = DECIDE_THE_LOSS.into_iter().find(|key| sweep.values.contains_key(*key)) {
            return Err(Error::Sweep(format!(
                "`values` must not name `{key}`: trials with other values of it have losses that can not be compared; set it \
                 in `[recipe]`"
            )));
        }
        sweep.recipes()?;
        Ok(sweep)
    }

    /// The recipes to try, each once and each checked.
    pub fn recipes(&self) -> Result<Vec<Recipe>, Error> {
        let sizes: Vec<usize> = self.values.values().map(Vec::len).collect();
        let combinations: usize =
            sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size)).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for number in self.chosen(combinations) {
            let recipe = self.recipe_of(number, &sizes)?;
            if known.insert(recipe.canonical()) {
                found.push(recipe);
            }
        }
        Ok(found)
    }

    /// The numbers of the combinations to try.
    fn chosen(&self, combinations: usize) -> Vec<usize> {
        let wanted = self.trials.min(combinations);
        match self.search {
            Search::Grid => (0..wanted).collect(),
            Search::Random if combinations <= 4 * MOST_TRIALS => {
                let mut numbers: Vec<usize> = (0..combinations).collect();
                numbers.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
                numbers.truncate(wanted);
                numbers
            }
            Search::Random => {
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                let mut numbers = BTreeSet::new();
                while numbers.len() < wanted {
                    numbers.insert(random.random_range(0..combinations));
                }
                numbers.into_iter().collect()
            }
        }
    }

    /// The recipe of a combination: its number read in a number system whose digits are the values of each key.
    fn recipe_of(&self, mut number: usize, sizes: &[usize]) -> Result<Recipe, Error> {
        let mut table = toml::Table::try_from(&self.recipe).map_err(|error| Error::Sweep(error.to_string()))?;
        // A key that a recipe has not is told below: what a recipe leaves open is no key of its table.
        for ((key, values), size) in self.values.iter().zip(sizes).rev() {
            table.insert(key.clone(), values[number % size].clone());
            number /= size;
        }
        let recipe: Recipe = table.try_into().map_err(|error| Error::Sweep(error.to_string()))?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Its name on a dataset: the same sweep of the same dataset is not done twice.
    pub fn name(&self, dataset: &DatasetId) -> Result<String, Error> {
        let text = serde_json::to_string(self).map_err(|error| Error::Sweep(error.to_string()))?;
        let hash = hex::encode(Sha256::digest(format!("{dataset}\n{text}")));
        // The budget travels with the name, so that whoever concludes the sweep needs nothing else.
        Ok(format!("{}/{}", &hash[..12], self.minutes))
    }

    /// The budget that a name holds, minutes; 0 is no limit.
    pub fn minutes_of(name: &str) -> u64 {
        name.rsplit_once('/').and_then(|(_, minutes)| minutes.parse().ok()).unwrap_or(0)
    }
}
