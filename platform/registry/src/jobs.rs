//! Training jobs.

use chrono::{DateTime, Utc};
use twin_schemas::{AuthorId, JobId, ModelId};

use crate::model::{JobOutcome, JobProgress, JobRow, JobState, NewJob, StoredRecipe};
use crate::rows::Kind;
use crate::rules::{Command, Sweep};
use crate::{Error, Performed, Registry};

impl Registry {
    /// Queues a job. False if it is there already, whatever became of it: the same work is not done twice.
    pub async fn queue_job(&self, new: NewJob, now: DateTime<Utc>) -> Result<bool, Error> {
        let author = new.author.clone();
        Ok(self.perform(&author, Command::QueueJob(new), now).await?.happened)
    }

    /// The job that an id, or the beginning of one, names; none if there is none or several.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>, Error> {
        let Some(row) = self.only_one(Kind::Job, id).await? else { return Ok(None) };
        Ok(self.with_progress(vec![row.read()?]).await?.pop())
    }

    /// Jobs that wait, are running, or are said to be, oldest first.
    pub async fn open_jobs(&self) -> Result<Vec<JobRow>, Error> {
        self.in_states(Kind::Job, &["queued", "running"]).await
    }

    /// Takes a queued job: the number of the attempt that begins. None if it is not queued any more.
    pub async fn start_job(&self, job: &JobId, now: DateTime<Utc>) -> Result<Option<u32>, Error> {
        let started = self.perform_on(job, Command::StartJob { job: job.clone() }, now).await?;
        let attempts = started.state.jobs.get(job).map(|row| row.attempts);
        Ok(attempts.filter(|_| started.happened))
    }

    /// Notes how far that attempt of a running job is. False, and nothing is noted, if a higher attempt has said how far it
    /// is, or this one that it is further.
    pub async fn note_job_progress(&self, job: &JobId, attempt: u32, progress: JobProgress) -> Result<bool, Error> {
        Ok(self.store.put_progress(job, attempt, &progress).await?)
    }

    /// Ends an attempt. With a model, that is registered and announced in the same step. An attempt that is over already,
    /// or is not the newest, changes nothing.
    pub async fn finish_job(
        &self,
        job: &JobId,
        attempt: u32,
        outcome: JobOutcome,
        now: DateTime<Utc>,
    ) -> Result<Option<ModelId>, Error> {
        let command = Command::FinishJob { job: job.clone(), attempt, outcome };
        let finished = self.perform_on(job, command, now).await?;
        Ok(finished.state.jobs.get(job).and_then(|row| row.model.clone()))
    }

    /// Asks for a job to be stopped. A queued one ends at once. False if it has ended already.
    pub async fn cancel_job(&self, job: &JobId, by: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        let command = Command::CancelJob { job: job.clone(), by: by.to_owned() };
        let asked = self.perform_on(job, command, now).await?;
        let is_running = asked.state.jobs.get(job).is_some_and(|row| row.state == JobState::Running);
        Ok(asked.happened || is_running)
    }

    /// Queues a job again that failed or was cancelled; it goes on from its last checkpoint. False if it is in another
    /// state.
    pub async fn retry_job(&self, job: &JobId, now: DateTime<Utc>) -> Result<bool, Error> {
        Ok(self.perform_on(job, Command::RetryJob { job: job.clone() }, now).await?.happened)
    }

    /// A running job whose process is gone waits for its turn again, if that attempt is still the newest.
    pub async fn requeue_job(&self, job: &JobId, attempt: u32, reason: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let command = Command::RequeueJob { job: job.clone(), attempt, reason: reason.to_owned() };
        self.perform_on(job, command, now).await?;
        Ok(())
    }

    /// Makes a recipe that of an author's later jobs.
    pub async fn set_recipe(
        &self,
        author: &AuthorId,
        recipe: &str,
        origin: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (recipe, origin) = (recipe.to_owned(), origin.to_owned());
        self.perform(author, Command::SetRecipe { recipe, origin }, now).await?;
        Ok(())
    }

    /// The recipe of an author's later jobs, if one was set.
    pub async fn recipe(&self, author: &AuthorId) -> Result<Option<StoredRecipe>, Error> {
        Ok(self.state(author).await?.recipe.clone())
    }

    /// Sweeps that are not concluded.
    pub async fn open_sweeps(&self) -> Result<Vec<Sweep>, Error> {
        self.in_states(Kind::Sweep, &["open"]).await
    }

    /// The trials of a sweep, by id.
    pub async fn trials(&self, sweep: &Sweep) -> Result<Vec<JobRow>, Error> {
        let state = self.state(&sweep.author).await?;
        Ok(sweep.trials.iter().filter_map(|trial| state.jobs.get(trial).cloned()).collect())
    }

    /// Concludes a sweep whose trials have all ended, with the recipe that it has found and where that is from. False if
    /// it is concluded already, or a trial is open.
    pub async fn conclude_sweep(
        &self,
        sweep: &Sweep,
        recipe: Option<(String, String)>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let command = Command::ConcludeSweep { sweep: sweep.sweep.clone(), recipe };
        Ok(self.perform(&sweep.author, command, now).await?.happened)
    }

    async fn perform_on(&self, job: &JobId, command: Command, now: DateTime<Utc>) -> Result<Performed, Error> {
        let row = self.exactly(Kind::Job, &job.0).await?.ok_or_else(|| Error::missing("job", job))?;
        self.perform(&row.author, command, now).await
    }

    /// The rows with how far those that have begun are.
    pub(crate) async fn with_progress(&self, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>, Error> {
        let begun: Vec<JobId> = rows.iter().filter(|row| row.attempts > 0).map(|row| row.job.clone()).collect();
        if !begun.is_empty() {
            let mut progress = self.store.progress(&begun).await?;
            for row in &mut rows {
                let noted = progress.remove(&row.job);
                let is_of_this_attempt = noted.as_ref().is_some_and(|noted| noted.attempt >= row.attempts);
                row.pending = row.state == JobState::Running && !is_of_this_attempt;
                row.progress = noted.map(|noted| noted.progress);
            }
        }
        Ok(rows)
    }
}
