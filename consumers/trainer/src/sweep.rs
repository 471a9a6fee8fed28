//! Sweeps: several recipes tried on one dataset within a budget; the one of the lowest evaluation loss becomes the
//! author's.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::info;
use twin_registry::{JobRow, JobState, Registry};
use twin_schemas::{AuthorId, DatasetId};

use crate::Error;
use crate::queue::{JobQueue, from_canonical};
use twin_lora::Recipe;

/// Trials of a sweep, at most, whatever its file says.
const MOST_TRIALS: usize = 1_000;

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
    /// Keys of the recipe with the values to try.
    pub values: BTreeMap<String, Vec<toml::Value>>,
}

impl Sweep {
    /// Reads and checks a sweep.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let sweep: Self = toml::from_str(text).map_err(|error| Error::Refused(format!("sweep: {error}")))?;
        if sweep.trials == 0 || sweep.trials > MOST_TRIALS {
            return Err(Error::Refused(format!("sweep: `trials` must be from 1 to {MOST_TRIALS}")));
        }
        if sweep.values.is_empty() || sweep.values.values().any(Vec::is_empty) {
            return Err(Error::Refused("sweep: `values` must name keys of the recipe, each with values to try".into()));
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
        let refused = |problem: String| Error::Refused(format!("sweep: {problem}"));
        let mut table = toml::Table::try_from(&self.recipe).map_err(|error| refused(error.to_string()))?;
        for ((key, values), size) in self.values.iter().zip(sizes).rev() {
            if !table.contains_key(key) {
                return Err(refused(format!("a recipe has no key `{key}`")));
            }
            table.insert(key.clone(), values[number % size].clone());
            number /= size;
        }
        let recipe: Recipe = table.try_into().map_err(|error| refused(error.to_string()))?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Its name: the same sweep of the same dataset is not done twice.
    fn id(&self, dataset: &DatasetId) -> Result<String, Error> {
        let text = serde_json::to_string(self).map_err(|error| Error::Refused(error.to_string()))?;
        let hash = hex::encode(Sha256::digest(format!("{dataset}\n{text}")));
        // The budget travels with the name, so that whoever concludes the sweep needs nothing else.
        Ok(format!("{}/{}", &hash[..12], self.minutes))
    }
}

impl JobQueue {
    /// Queues every trial of a sweep over a dataset.
    pub async fn sweep(&self, author: &AuthorId, dataset: &DatasetId, sweep: &Sweep) -> Result<Vec<JobRow>, Error> {
        let id = sweep.id(dataset)?;
        let mut jobs = Vec::new();
        for recipe in sweep.recipes()? {
            jobs.push(self.queue(author, dataset, &recipe, Some(&id)).await?);
        }
        Ok(jobs)
    }
}

/// Ends sweeps: cancels the trials that are past their budget, and makes the best recipe of those that are through the
/// author's.
pub(crate) async fn conclude(registry: &Registry) -> Result<(), Error> {
    for sweep in registry.open_sweeps().await? {
        let trials = registry.trials(&sweep).await?;
        keep_to_budget(registry, &sweep, &trials, Utc::now()).await?;
        if trials.iter().all(|trial| trial.state.has_ended()) {
            choose(registry, &sweep, &trials).await?;
        }
    }
    Ok(())
}

async fn keep_to_budget(
    registry: &Registry,
    sweep: &twin_registry::rules::Sweep,
    trials: &[JobRow],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let minutes: i64 = sweep.sweep.rsplit_once('/').and_then(|(_, minutes)| minutes.parse().ok()).unwrap_or(0);
    let began = trials.iter().filter_map(|trial| trial.started_at).min();
    let is_over = minutes > 0 && began.is_some_and(|began| now - began > TimeDelta::minutes(minutes));
    if is_over {
        for trial in trials.iter().filter(|trial| trial.state == JobState::Queued) {
            registry.cancel_job(&trial.job, "the sweep, whose budget is spent", now).await?;
        }
    }
    Ok(())
}

/// The trial of the lowest evaluation loss gives the author's recipe; of equals, the one with the lower id.
async fn choose(registry: &Registry, sweep: &twin_registry::rules::Sweep, trials: &[JobRow]) -> Result<(), Error> {
    let mut best: Option<(f64, &JobRow)> = None;
    for trial in trials.iter().filter(|trial| trial.state == JobState::Succeeded) {
        let metrics = registry.metrics(&trial.job).await?;
        let losses = metrics.iter().filter(|metric| metric.name == "evaluation_loss");
        let Some(loss) = losses.max_by_key(|metric| metric.step).map(|metric| metric.value) else { continue };
        let is_better = best.is_none_or(|(least, known)| loss < least || loss == least && trial.job < known.job);
        if is_better {
            best = Some((loss, trial));
        }
    }
    let recipe = match best {
        Some((loss, trial)) => {
            from_canonical(&trial.recipe)?;
            Some((trial.recipe.clone(), format!("sweep {}, evaluation loss {loss:.4}", sweep.sweep)))
        }
        None => None,
    };
    if registry.conclude_sweep(sweep, recipe, Utc::now()).await? {
        let loss = best.map(|(loss, _)| loss);
        info!(author = %sweep.author, sweep = sweep.sweep, loss, "the sweep is over");
    }
    Ok(())
}
