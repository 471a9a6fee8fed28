//! What follows from the trials of a sweep: an end to those that are past its budget, and a recipe.

use chrono::{DateTime, TimeDelta, Utc};
use tracing::info;
use twin_registry::{JobRow, JobState, Metric, Registry};
use twin_training::{Recipe, Sweep, metric_of};

use crate::Error;

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
    let minutes = i64::try_from(Sweep::minutes_of(&sweep.sweep)).unwrap_or(0);
    let began = trials.iter().filter_map(|trial| trial.started_at).min();
    let is_over = minutes > 0 && began.is_some_and(|began| now - began > TimeDelta::minutes(minutes));
    if is_over {
        for trial in trials.iter().filter(|trial| trial.state == JobState::Queued) {
            registry.cancel_job(&trial.job, "the sweep, whose budget is spent", now).await?;
        }
    }
    Ok(())
}

/// The trial whose weights have the lowest evaluation loss gives the author's recipe; of equals, the one with the lower id.
async fn choose(registry: &Registry, sweep: &twin_registry::rules::Sweep, trials: &[JobRow]) -> Result<(), Error> {
    let mut best: Option<(f64, &JobRow)> = None;
    for trial in trials.iter().filter(|trial| trial.state == JobState::Succeeded) {
        let Some(loss) = loss_of_kept_weights(&registry.metrics(&trial.job).await?, &trial.recipe)? else { continue };
        let is_better = best.is_none_or(|(least, known)| loss < least || loss == least && trial.job < known.job);
        if is_better {
            best = Some((loss, trial));
        }
    }
    let recipe =
        best.map(|(loss, trial)| (trial.recipe.clone(), format!("sweep {}, evaluation loss {loss:.4}", sweep.sweep)));
    if registry.conclude_sweep(sweep, recipe, Utc::now()).await? {
        let loss = best.map(|(loss, _)| loss);
        info!(author = %sweep.author, sweep = sweep.sweep, loss, "the sweep is over");
    }
    Ok(())
}

/// The evaluation loss of the weights that a run of that recipe keeps: the lowest where it has patience, else the last. Of
/// a recipe in stages it is that of the last one that was evaluated.
fn loss_of_kept_weights(metrics: &[Metric], recipe: &str) -> Result<Option<f64>, Error> {
    for (stage, recipe) in Recipe::from_canonical(recipe)?.by_stage().iter().enumerate().rev() {
        let name = metric_of("evaluation_loss", stage);
        let losses = metrics.iter().filter(|metric| metric.name == name);
        let kept = match recipe.patience {
            0 => losses.max_by_key(|metric| metric.step),
            _ => losses.min_by(|a, b| a.value.total_cmp(&b.value)),
        };
        if let Some(metric) = kept {
            return Ok(Some(metric.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_in_stages_are_compared_by_their_last_evaluated_stage() {
        let metric = |name: &str, step, value| Metric { name: name.to_owned(), step, value };
        let first = [metric("evaluation_loss", 0, 2.5), metric("evaluation_loss", 20, 2.0)];
        let second = [metric("dpo_evaluation_loss", 20, 0.9), metric("dpo_evaluation_loss", 30, 1.1)];
        let alone = "{\"rank\": 4}";
        let staged = "{\"stages\": [{\"method\": \"sft\"}, {\"method\": \"dpo\"}]}";
        let patient =
            "{\"patience\": 2, \"eval_every\": 5, \"stages\": [{\"method\": \"sft\"}, {\"method\": \"dpo\"}]}";
        let loss = |metrics: &[Metric], recipe| loss_of_kept_weights(metrics, recipe).unwrap();
        assert_eq!(loss(&first, alone), Some(2.0));
        assert_eq!(loss(&first, staged), Some(2.0), "without preferences to evaluate on");
        let all = [first, second].concat();
        assert_eq!((loss(&all, staged), loss(&all, patient)), (Some(1.1), Some(0.9)));
        assert_eq!(loss(&[], staged), None);
    }
}
