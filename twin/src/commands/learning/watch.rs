//! Following jobs to their end: a bar that grows on a terminal, a line now and then elsewhere.

use serde_json::Value;
use twin_api::{JobProgressView, JobStateView, JobView};

use super::super::Context;
use super::super::text::{count, duration};
use super::views::seconds;
use super::{LOOK, number, short};
use crate::error::CommandError;

/// Width of the bar, columns.
const BAR_WIDTH: usize = 16;

/// A job at its end, with the API's own document.
pub struct Ended {
    pub job: JobView,
    pub document: Value,
}

/// Jobs that are followed.
struct Watch<'a> {
    ids: &'a [String],
    /// The end of each, once there.
    ended: Vec<Option<Ended>>,
    /// The twin has answered once.
    seen: bool,
    /// What was last noted where no bar is drawn.
    noted: Option<(String, JobStateView)>,
}

/// Looks at the jobs until each has ended; in the order of `ids`.
pub async fn follow(ids: &[String], context: &mut Context) -> Result<Vec<Ended>, CommandError> {
    let ended = ids.iter().map(|_| None).collect();
    let mut watch = Watch { ids, ended, seen: false, noted: None };
    loop {
        let open = watch.look(context).await?;
        if watch.ended.iter().all(Option::is_some) {
            return Ok(watch.ended.into_iter().flatten().collect());
        }
        if let Some(job) = open {
            watch.tell(&job, context);
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Watch<'_> {
    /// Looks at each job that has not ended, and returns one that runs, or else one that waits.
    async fn look(&mut self, context: &Context) -> Result<Option<JobView>, CommandError> {
        let mut open: Option<JobView> = None;
        for (id, end) in self.ids.iter().zip(&mut self.ended).filter(|(_, end)| end.is_none()) {
            let reply = match context.client.get(&["jobs", id], &[]).await {
                Ok(reply) => reply,
                // A store that is busy now is asked again; one that never answered is told of.
                Err(error) if error.is_temporary() && self.seen => continue,
                Err(error) => return Err(error),
            };
            self.seen = true;
            let job: JobView = reply.parse()?;
            if job.state.has_ended() {
                *end = Some(Ended { job, document: reply.json().clone() });
            } else if open.as_ref().is_none_or(|open| open.state == JobStateView::Queued) {
                open = Some(job);
            }
        }
        Ok(open)
    }

    fn tell(&mut self, job: &JobView, context: &mut Context) {
        let with_bar = context.out.is_terminal();
        let present = (job.job.clone(), job.state);
        if !with_bar && self.noted.as_ref() != Some(&present) {
            context.out.note(&format!("job {} is {}", short(&job.job), job.state.as_str()));
            self.noted = Some(present);
        }
        let mut text = line(job, with_bar);
        if self.ids.len() > 1 {
            let done = self.ended.iter().flatten().count();
            text = format!("{done} of {} ended; {text}", count(self.ids.len() as u64, "job"));
        }
        context.out.progress(&text);
    }
}

/// How far a job is, on one line.
fn line(job: &JobView, with_bar: bool) -> String {
    let id = short(&job.job);
    let state = job.state.as_str();
    // One that waits to be tried again still has the progress of before.
    let is_running = job.state == JobStateView::Running;
    let Some(progress) = job.progress.as_ref().filter(|progress| is_running && progress.steps > 0) else {
        return format!("{id} {state}");
    };
    let stopping = if job.cancel_requested { "  stopping" } else { "" };
    let measured = measured(progress);
    // The line with the bar fits a terminal of 80 columns.
    if with_bar {
        format!("{} {measured}{stopping}", bar(progress))
    } else {
        format!("{id} {state} {measured}{stopping}")
    }
}

fn bar(progress: &JobProgressView) -> String {
    let share = progress.step.min(progress.steps) as f64 / progress.steps.max(1) as f64;
    // From 0 to the width.
    let full = (share * BAR_WIDTH as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), " ".repeat(BAR_WIDTH.saturating_sub(full)))
}

/// `30/120  loss 1.500  812 tokens/s  1 min left`.
fn measured(progress: &JobProgressView) -> String {
    let mut parts = vec![format!("{}/{}", progress.step, progress.steps)];
    parts.extend(progress.loss.map(|loss| format!("loss {}", number(loss))));
    parts.extend(progress.tokens_per_s.map(|speed| format!("{speed:.0} tokens/s")));
    parts.extend(progress.eta_s.filter(|eta| eta.is_finite()).map(|eta| format!("{} left", duration(eta))));
    parts.join("  ")
}

/// How far a job is, for a table.
pub fn progress_cell(job: &JobView) -> String {
    match &job.progress {
        Some(progress) if progress.steps > 0 => format!("{}/{}", progress.step, progress.steps),
        _ => "-".to_owned(),
    }
}

/// What became of a job, or why not.
pub fn outcome(job: &JobView) -> Result<String, CommandError> {
    let id = short(&job.job);
    let reason = job.reason.as_deref().unwrap_or("for no known reason");
    match job.state {
        JobStateView::Failed => {
            Err(CommandError::Failed(format!("job {id} failed: {reason}; next: twin jobs retry {id}")))
        }
        JobStateView::Cancelled => {
            Err(CommandError::Failed(format!("job {id} was stopped: {reason}; next: twin jobs retry {id}")))
        }
        JobStateView::Queued | JobStateView::Running => Ok(format!("job {id} is {}", job.state.as_str())),
        JobStateView::Succeeded => {
            let took = seconds(job, job.ended_at.unwrap_or(job.created_at)).map(duration);
            let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
            let loss = job.progress.as_ref().and_then(|progress| progress.evaluation_loss.or(progress.loss));
            let loss = loss.map(|loss| format!(", loss {}", number(loss))).unwrap_or_default();
            let made = job.model.as_deref().map(|model| format!(": {model}")).unwrap_or_default();
            Ok(format!("job {id} succeeded{took}{loss}{made}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::job;
    use super::*;

    fn running(step: u64, steps: u64) -> JobView {
        let progress = JobProgressView {
            step,
            steps,
            loss: Some(1.5),
            tokens_per_s: Some(812.4),
            eta_s: Some(60.0),
            ..JobProgressView::default()
        };
        JobView { state: JobStateView::Running, progress: Some(progress), ..job("ab") }
    }

    #[test]
    fn progress_shows_step_loss_speed_and_what_is_left() {
        assert_eq!(line(&running(30, 120), true), "[####            ] 30/120  loss 1.500  812 tokens/s  1 min left");
        assert!(line(&running(200, 120), true).contains(&"#".repeat(BAR_WIDTH)), "more steps than there are");
        assert_eq!(line(&running(0, 0), true), "abababababab running", "nothing is known yet");
        let stopping = JobView { cancel_requested: true, ..running(1, 2) };
        assert_eq!(line(&stopping, false), "abababababab running 1/2  loss 1.500  812 tokens/s  1 min left  stopping");
    }

    #[test]
    fn an_end_names_the_model_or_the_reason() {
        let made = JobView { state: JobStateView::Succeeded, model: Some("ada-v3".into()), ..running(120, 120) };
        assert_eq!(outcome(&made).unwrap(), "job abababababab succeeded in 1 min 30 s, loss 1.500: ada-v3");
        let failed = JobView { state: JobStateView::Failed, reason: Some("no memory".into()), ..job("ab") };
        assert_eq!(
            outcome(&failed).unwrap_err().to_string(),
            "job abababababab failed: no memory; next: twin jobs retry abababababab"
        );
    }
}
