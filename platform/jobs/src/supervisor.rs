//! Follows jobs from their queue to their end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tracing::{info, warn};
use twin_backend::Error;
use twin_coordination::{Held, Member};
use twin_telemetry::ShutdownSignal;

use crate::backoff::{Backoff, Pauses};
use crate::runner::{Kind, Resources, Runner, Status};

/// Between looks at the jobs.
const LOOK: Duration = Duration::from_secs(1);
/// The same while there is none, for those that another process queues.
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// How jobs of a kind are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Jobs that one process has under way at once.
    pub jobs: usize,
    /// Times that a job is started before it counts as failed.
    pub attempts: u32,
    /// What an attempt may use.
    pub resources: Resources,
    /// Pauses while something that a job needs is away.
    pub pauses: Pauses,
}

/// Where a job is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its turn.
    Queued,
    /// An attempt is under way, or was.
    Running,
}

/// A job that is not over.
#[derive(Debug, Clone)]
pub struct Job<T> {
    /// What the runner knows it by, unique in its queue.
    pub name: String,
    /// Where it is.
    pub stage: Stage,
    /// Attempts that have begun.
    pub attempts: u32,
    /// Somebody wants it stopped; why.
    pub stop: Option<String>,
    /// What its queue knows of it.
    pub row: T,
}

/// How a job ends without a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It can not be done; why.
    Failed(String),
    /// Somebody wanted it stopped; why.
    Cancelled(String),
}

/// Where jobs of a kind come from, and what becomes of what they make: all in which kinds differ.
///
/// Errors say whether they pass. What is written about an attempt that is over changes nothing: another may have taken
/// its place.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// The kind.
    type Kind: Kind;
    /// What is known of a job.
    type Row: Send + Sync;

    /// What leases and logs call a job of this kind: `train`.
    const NAME: &'static str;

    /// Changes when jobs may have been queued, stopped or ended.
    fn changes(&self) -> watch::Receiver<()>;

    /// The jobs that are not over, oldest first.
    async fn open(&self) -> Result<Vec<Job<Self::Row>>, Error>;

    /// What is to be done. An error that does not pass says why the job can not be done.
    async fn order(&self, job: &Job<Self::Row>) -> Result<<Self::Kind as Kind>::Order, Error>;

    /// Takes a queued job: the number of the attempt that begins. None if it is not queued any more.
    async fn start(&self, job: &Job<Self::Row>) -> Result<Option<u32>, Error>;

    /// Takes note of what a running job says of itself, where that differs from what it said before.
    async fn report(
        &self,
        job: &Job<Self::Row>,
        report: &<Self::Kind as Kind>::Report,
        before: Option<&<Self::Kind as Kind>::Report>,
    ) -> Result<(), Error>;

    /// The present attempt is over and the job waits for its turn again.
    async fn requeue(&self, job: &Job<Self::Row>, reason: &str) -> Result<(), Error>;

    /// Takes over what the job has made, which ends it. May be repeated. An error that does not pass ends the job without
    /// a product.
    async fn collect(&self, job: &Job<Self::Row>, product: <Self::Kind as Kind>::Product) -> Result<(), Error>;

    /// Ends that attempt, and the job, without a product.
    async fn end(&self, job: &Job<Self::Row>, attempt: u32, ending: Ending) -> Result<(), Error>;

    /// What follows from several jobs together, looked at each time.
    async fn conclude(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A job that this process follows.
struct Following<R> {
    lease: Held,
    /// What was taken note of last.
    written: Option<R>,
    /// Since its process gave way, or could not be started.
    backoff: Backoff,
    /// The runner did not take the present attempt yet.
    is_to_be_submitted: bool,
}

/// Takes jobs of a kind from their queue to their end. Of several supervisors one follows a job, the one that holds its
/// lease.
pub struct Supervisor<Q: Queue> {
    queue: Q,
    runner: Arc<dyn Runner<Q::Kind>>,
    member: Member,
    options: Options,
    following: HashMap<String, Following<<Q::Kind as Kind>::Report>>,
    /// Queued jobs, by name, since their order could not be made or they could not be begun. Nothing is held meanwhile.
    waiting: HashMap<String, Backoff>,
}

impl<Q: Queue> Supervisor<Q> {
    /// A supervisor, not running yet.
    pub fn new(queue: Q, runner: Arc<dyn Runner<Q::Kind>>, member: Member, options: Options) -> Self {
        Self { queue, runner, member, options, following: HashMap::new(), waiting: HashMap::new() }
    }

    /// Follows jobs until the shutdown begins. A job goes on after that, and is found again.
    pub async fn run(mut self, shutdown: ShutdownSignal) {
        let mut changes = self.queue.changes();
        while !shutdown.has_begun() {
            let pause = match self.look().await {
                Ok(0) => IDLE_LOOK,
                Ok(_) => LOOK,
                Err(error) => {
                    warn!(%error, kind = Q::NAME, "jobs could not be looked after, trying again");
                    LOOK
                }
            };
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Looks at every job once, and returns how many are not over. What goes wrong with one is logged and keeps none of the
    /// others waiting.
    pub async fn look(&mut self) -> Result<usize, Error> {
        let (running, queued): (Vec<_>, Vec<_>) =
            self.queue.open().await?.into_iter().partition(|job| job.stage == Stage::Running);
        self.let_go_of_all_but(&running).await;
        for job in &running {
            if let Err(error) = self.follow(job).await {
                warn!(%error, kind = Q::NAME, job = job.name, "the job could not be looked after, trying again");
            }
        }
        self.queue.conclude().await?;
        self.begin_next(&queued).await;
        Ok(running.len() + queued.len())
    }

    /// Begins queued jobs, oldest first, as many as may be under way. One that can not be begun waits by itself: the
    /// next has its turn.
    async fn begin_next(&mut self, queued: &[Job<Q::Row>]) {
        self.waiting.retain(|name, _| queued.iter().any(|job| job.name == *name));
        for job in queued {
            if self.following.len() >= self.options.jobs {
                break;
            }
            if self.waiting.get_mut(&job.name).is_some_and(|backoff| !backoff.is_over()) {
                continue;
            }
            match self.begin(job).await {
                Ok(()) => {
                    self.waiting.remove(&job.name);
                }
                Err(error) => {
                    warn!(%error, kind = Q::NAME, job = job.name, "the job can not be started, trying again");
                    let pauses = self.options.pauses;
                    self.waiting.entry(job.name.clone()).or_insert_with(|| Backoff::new(pauses)).wait();
                }
            }
        }
    }

    /// Lets go of jobs that run no more.
    async fn let_go_of_all_but(&mut self, running: &[Job<Q::Row>]) {
        let is_over = |name: &String| !running.iter().any(|job| job.name == *name);
        let over: Vec<String> = self.following.keys().filter(|name| is_over(name)).cloned().collect();
        for name in over {
            self.let_go(&name).await;
        }
    }

    async fn let_go(&mut self, name: &str) {
        let Some(following) = self.following.remove(name) else { return };
        if let Err(error) = following.lease.release().await {
            warn!(%error, kind = Q::NAME, job = name, "the job's lease was not released; it runs out");
        }
    }

    /// Whether this process is the one that follows the job.
    async fn holds(&mut self, name: &str) -> Result<bool, Error> {
        if self.following.get(name).is_some_and(|following| following.lease.is_held()) {
            return Ok(true);
        }
        self.following.remove(name);
        let Some(lease) = self.member.hold(&format!("{}/{name}", Q::NAME)).await? else { return Ok(false) };
        let backoff = Backoff::new(self.options.pauses);
        let following = Following { lease, written: None, backoff, is_to_be_submitted: false };
        self.following.insert(name.to_owned(), following);
        Ok(true)
    }

    /// Begins a queued job. Its order is made before its lease is taken: while something that it names is away, nothing
    /// is written.
    async fn begin(&mut self, job: &Job<Q::Row>) -> Result<(), Error> {
        let order = match self.queue.order(job).await {
            Err(error) if error.is_transient() => return Err(error),
            order => order,
        };
        if !self.holds(&job.name).await? {
            return Ok(());
        }
        let begun = self.begin_held(job, order).await;
        if !matches!(begun, Ok(true)) {
            self.let_go(&job.name).await;
        }
        begun.map(|_| ())
    }

    /// Whether an attempt is under way now.
    async fn begin_held(
        &mut self,
        job: &Job<Q::Row>,
        order: Result<<Q::Kind as Kind>::Order, Error>,
    ) -> Result<bool, Error> {
        // Started again on purpose: an outcome from before does not count. If another has begun this attempt meanwhile,
        // what it has come to stays.
        self.runner.reopen(&job.name, job.attempts + 1).await?;
        let Some(attempt) = self.queue.start(job).await? else { return Ok(false) };
        let order = match order {
            Ok(order) => order,
            Err(error) => {
                self.queue.end(job, attempt, Ending::Failed(error.to_string())).await?;
                return Ok(false);
            }
        };
        info!(kind = Q::NAME, job = job.name, attempt, "the job starts");
        self.submit(job, attempt, &order).await?;
        Ok(true)
    }

    /// Submits an attempt. If the runner is away, it is tried again later, as the same attempt.
    async fn submit(&mut self, job: &Job<Q::Row>, attempt: u32, order: &<Q::Kind as Kind>::Order) -> Result<(), Error> {
        let submitted = self.runner.submit(&job.name, attempt, &self.options.resources, order).await;
        if let Some(following) = self.following.get_mut(&job.name) {
            following.is_to_be_submitted = submitted.is_err();
        }
        match submitted {
            Err(error) if error.is_transient() => {
                warn!(%error, kind = Q::NAME, job = job.name, "the job's process could not be started, trying again");
                Ok(())
            }
            Err(error) => self.queue.end(job, attempt, Ending::Failed(error.to_string())).await,
            Ok(()) => Ok(()),
        }
    }

    async fn follow(&mut self, job: &Job<Q::Row>) -> Result<(), Error> {
        if !self.holds(&job.name).await? {
            return Ok(());
        }
        match self.runner.status(&job.name).await? {
            Status::Succeeded(product) => match self.queue.collect(job, product).await {
                Ok(()) => self.runner.forget(&job.name, job.attempts).await,
                Err(error) if error.is_transient() => Err(error),
                Err(error) => self.queue.end(job, job.attempts, Ending::Failed(error.to_string())).await,
            },
            Status::Failed(reason) => self.queue.end(job, job.attempts, Ending::Failed(reason)).await,
            Status::Running(report) => {
                if let Some(report) = report {
                    self.note(job, report).await?;
                }
                self.stop_if_wanted(job).await
            }
            Status::Pending => self.stop_if_wanted(job).await,
            Status::Absent(_) | Status::Interrupted(_) if job.stop.is_some() => self.stop_if_wanted(job).await,
            Status::Interrupted(why) => self.go_on(job, &why).await,
            Status::Absent(said) => match self.following.get(&job.name) {
                Some(following) if following.is_to_be_submitted => self.go_on(job, "it could not be started").await,
                _ => self.after_a_death(job, &said).await,
            },
        }
    }

    /// Takes note of what is new in a report.
    async fn note(&mut self, job: &Job<Q::Row>, report: <Q::Kind as Kind>::Report) -> Result<(), Error> {
        let Some(following) = self.following.get_mut(&job.name) else { return Ok(()) };
        if following.written.as_ref() == Some(&report) {
            return Ok(());
        }
        self.queue.report(job, &report, following.written.as_ref()).await?;
        following.written = Some(report);
        following.backoff.reset();
        Ok(())
    }

    async fn stop_if_wanted(&mut self, job: &Job<Q::Row>) -> Result<(), Error> {
        let Some(reason) = &job.stop else { return Ok(()) };
        self.runner.cancel(&job.name, job.attempts).await?;
        self.queue.end(job, job.attempts, Ending::Cancelled(reason.clone())).await
    }

    /// Its process gave way to something that is away: after a pause it is started again, as the same attempt.
    async fn go_on(&mut self, job: &Job<Q::Row>, why: &str) -> Result<(), Error> {
        let Some(following) = self.following.get_mut(&job.name) else { return Ok(()) };
        if !following.backoff.has_begun() {
            following.backoff.wait();
            warn!(kind = Q::NAME, job = job.name, why, "the job waits for what is away");
            return Ok(());
        }
        if !following.backoff.is_over() {
            return Ok(());
        }
        match self.queue.order(job).await {
            // Another may have taken the job over while the order was made, and have come to its end.
            Ok(_) if !self.following.get(&job.name).is_some_and(|following| following.lease.is_held()) => Ok(()),
            Ok(order) => {
                info!(kind = Q::NAME, job = job.name, "the job goes on");
                self.submit(job, job.attempts, &order).await
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => self.queue.end(job, job.attempts, Ending::Failed(error.to_string())).await,
        }
    }

    /// The job's process is gone and has not said how it ended: it was killed, or its machine went down.
    async fn after_a_death(&mut self, job: &Job<Q::Row>, said: &str) -> Result<(), Error> {
        if job.attempts < self.options.attempts {
            warn!(kind = Q::NAME, job = job.name, attempts = job.attempts, "the job's process is gone");
            return self.queue.requeue(job, "its process was gone; it goes on from what it had done").await;
        }
        let last = said.lines().last().unwrap_or("nothing");
        let reason = format!("its process was gone {} times without an outcome; it said last: {last}", job.attempts);
        self.queue.end(job, job.attempts, Ending::Failed(reason)).await
    }
}
