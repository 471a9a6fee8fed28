//! What [`Runner`] promises, for every implementation: [`runner_contract`](crate::runner_contract) makes the tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::runner::{Kind, Resources, Runner, Status};

/// What a job of the contract is told to do. Before anything else it reports 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// End with this product.
    Make(u32),
    /// End with this reason.
    Fail(String),
    /// Give way, for this reason.
    GiveWay(String),
    /// Say `here I end` and die without an outcome.
    Die,
    /// Work until somebody ends it: a minute at most.
    Stay,
}

/// The last words of [`Act::Die`].
pub const LAST_WORDS: &str = "here I end";

/// Jobs that do an [`Act`].
pub struct Acts;

impl Kind for Acts {
    type Order = Act;
    type Report = u32;
    type Product = u32;
}

/// A place where jobs run, made for one test. Its jobs do what their order says.
#[async_trait]
pub trait Place: Send + Sync {
    /// The runner as one more process has it: which jobs there are is shared with the others.
    async fn runner(&self) -> Arc<dyn Runner<Acts>>;
}

/// The tests of a runner. `$open` is an async function that makes an empty [`Place`](testing::Place).
#[macro_export]
macro_rules! runner_contract {
    ($open:path) => {
        $crate::runner_contract!(@ $open:
            a_job_that_nobody_knows_is_absent_and_all_that_ends_one_does_nothing,
            a_job_is_done_once_and_its_product_stays_until_it_is_forgotten,
            a_job_that_runs_is_found_by_others_and_not_started_twice,
            a_job_that_was_cancelled_is_gone_and_can_be_submitted_again,
            a_job_that_dies_is_absent_with_its_last_words_and_can_be_submitted_again,
            a_job_that_gives_way_says_why_and_goes_on_when_it_is_submitted_again,
            a_job_that_fails_stays_so_until_it_is_reopened,
            jobs_of_different_names_have_nothing_to_do_with_each_other,
            what_is_asked_for_a_lower_attempt_does_nothing
        );
    };
    (@ $open:path: $($name:ident),+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::testing::$name(&$open().await).await;
            }
        )+
    };
}

/// More than any job here needs.
pub const AMPLE: Resources = Resources { memory_bytes: 4 << 30, seconds: 600 };
const JOB: &str = "job-1";

type Seen = Status<u32, u32>;

async fn submit(runner: &dyn Runner<Acts>, act: Act) {
    runner.submit(JOB, 1, &AMPLE, &act).await.unwrap();
}

async fn status(runner: &dyn Runner<Acts>) -> Seen {
    runner.status(JOB).await.unwrap()
}

/// Looks until the job is as wanted.
pub async fn wait_for(runner: &dyn Runner<Acts>, job: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = runner.status(job).await.unwrap();
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "still {seen:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn wait_until_it_is(runner: &dyn Runner<Acts>, wanted: Seen) {
    wait_for(runner, JOB, |seen| *seen == wanted).await;
}

#[doc(hidden)]
pub async fn a_job_that_nobody_knows_is_absent_and_all_that_ends_one_does_nothing(place: &dyn Place) {
    let runner = place.runner().await;
    for _ in 0..2 {
        assert_eq!(status(&*runner).await, Status::Absent(String::new()));
        runner.cancel(JOB, 1).await.unwrap();
        runner.reopen(JOB, 1).await.unwrap();
        runner.forget(JOB, 1).await.unwrap();
    }
}

#[doc(hidden)]
pub async fn a_job_is_done_once_and_its_product_stays_until_it_is_forgotten(place: &dyn Place) {
    let (one, other) = (place.runner().await, place.runner().await);
    submit(&*one, Act::Make(42)).await;
    wait_until_it_is(&*one, Status::Succeeded(42)).await;
    submit(&*one, Act::Make(43)).await;
    submit(&*other, Act::Make(44)).await;
    assert_eq!(status(&*one).await, Status::Succeeded(42));
    assert_eq!(status(&*other).await, Status::Succeeded(42), "others see it too");
    one.forget(JOB, 1).await.unwrap();
    assert_eq!(status(&*other).await, Status::Absent(String::new()), "nothing is left of it");
}

#[doc(hidden)]
pub async fn a_job_that_runs_is_found_by_others_and_not_started_twice(place: &dyn Place) {
    let (one, other) = (place.runner().await, place.runner().await);
    submit(&*one, Act::Stay).await;
    submit(&*one, Act::Make(1)).await;
    wait_until_it_is(&*other, Status::Running(Some(1))).await;
    submit(&*other, Act::Make(2)).await;
    submit(&*one, Act::Make(3)).await;
    assert_eq!(status(&*one).await, Status::Running(Some(1)));
    other.cancel(JOB, 1).await.unwrap();
    let gone = wait_for(&*one, JOB, |seen| !matches!(seen, Status::Running(_) | Status::Pending)).await;
    assert!(matches!(gone, Status::Absent(_)), "no second one was waiting: {gone:?}");
}

#[doc(hidden)]
pub async fn a_job_that_was_cancelled_is_gone_and_can_be_submitted_again(place: &dyn Place) {
    let runner = place.runner().await;
    for _ in 0..2 {
        submit(&*runner, Act::Stay).await;
        // At whatever moment: before it has begun, or after.
        runner.cancel(JOB, 1).await.unwrap();
        assert!(matches!(status(&*runner).await, Status::Absent(_)));
        submit(&*runner, Act::Stay).await;
        wait_until_it_is(&*runner, Status::Running(Some(1))).await;
        runner.cancel(JOB, 1).await.unwrap();
        assert!(matches!(status(&*runner).await, Status::Absent(_)));
    }
    submit(&*runner, Act::Make(42)).await;
    wait_until_it_is(&*runner, Status::Succeeded(42)).await;
}

#[doc(hidden)]
pub async fn a_job_that_dies_is_absent_with_its_last_words_and_can_be_submitted_again(place: &dyn Place) {
    let (one, other) = (place.runner().await, place.runner().await);
    submit(&*one, Act::Die).await;
    let gone = wait_for(&*one, JOB, |seen| matches!(seen, Status::Absent(_))).await;
    assert!(matches!(&gone, Status::Absent(said) if said.contains(LAST_WORDS)), "{gone:?}");
    submit(&*other, Act::Make(42)).await;
    wait_until_it_is(&*one, Status::Succeeded(42)).await;
}

#[doc(hidden)]
pub async fn a_job_that_gives_way_says_why_and_goes_on_when_it_is_submitted_again(place: &dyn Place) {
    let (one, other) = (place.runner().await, place.runner().await);
    for _ in 0..2 {
        submit(&*one, Act::GiveWay("the store is away".into())).await;
        wait_until_it_is(&*one, Status::Interrupted("the store is away".into())).await;
        wait_until_it_is(&*other, Status::Interrupted("the store is away".into())).await;
    }
    submit(&*other, Act::Die).await;
    wait_for(&*other, JOB, |seen| matches!(seen, Status::Absent(_))).await;
    submit(&*one, Act::Make(42)).await;
    wait_until_it_is(&*one, Status::Succeeded(42)).await;
}

#[doc(hidden)]
pub async fn a_job_that_fails_stays_so_until_it_is_reopened(place: &dyn Place) {
    let runner = place.runner().await;
    let failed = || Status::Failed("it can not be".into());
    submit(&*runner, Act::Fail("it can not be".into())).await;
    wait_until_it_is(&*runner, failed()).await;
    submit(&*runner, Act::Make(42)).await;
    assert_eq!(status(&*runner).await, failed());
    runner.reopen(JOB, 1).await.unwrap();
    assert_eq!(status(&*runner).await, failed(), "it is how that attempt ended");
    runner.reopen(JOB, 2).await.unwrap();
    assert!(matches!(status(&*runner).await, Status::Absent(_)));
    runner.submit(JOB, 2, &AMPLE, &Act::Make(42)).await.unwrap();
    wait_until_it_is(&*runner, Status::Succeeded(42)).await;
}

#[doc(hidden)]
pub async fn jobs_of_different_names_have_nothing_to_do_with_each_other(place: &dyn Place) {
    let runner = place.runner().await;
    runner.submit("job-2", 1, &AMPLE, &Act::Stay).await.unwrap();
    submit(&*runner, Act::Make(42)).await;
    wait_until_it_is(&*runner, Status::Succeeded(42)).await;
    wait_for(&*runner, "job-2", |seen| *seen == Status::Running(Some(1))).await;
    runner.forget(JOB, 1).await.unwrap();
    assert_eq!(runner.status("job-2").await.unwrap(), Status::Running(Some(1)));
    runner.cancel("job-2", 1).await.unwrap();
}

#[doc(hidden)]
pub async fn what_is_asked_for_a_lower_attempt_does_nothing(place: &dyn Place) {
    let (late, newer) = (place.runner().await, place.runner().await);
    newer.submit(JOB, 2, &AMPLE, &Act::Stay).await.unwrap();
    wait_until_it_is(&*newer, Status::Running(Some(1))).await;
    late.cancel(JOB, 1).await.unwrap();
    late.forget(JOB, 1).await.unwrap();
    assert_eq!(status(&*newer).await, Status::Running(Some(1)));
    newer.cancel(JOB, 2).await.unwrap();
    late.submit(JOB, 1, &AMPLE, &Act::Make(1)).await.unwrap();
    assert!(matches!(status(&*late).await, Status::Absent(_)), "it is not started");

    newer.submit(JOB, 2, &AMPLE, &Act::Make(42)).await.unwrap();
    wait_until_it_is(&*newer, Status::Succeeded(42)).await;
    late.reopen(JOB, 1).await.unwrap();
    late.reopen(JOB, 2).await.unwrap();
    late.submit(JOB, 1, &AMPLE, &Act::Make(1)).await.unwrap();
    late.forget(JOB, 1).await.unwrap();
    assert_eq!(status(&*newer).await, Status::Succeeded(42));

    newer.reopen(JOB, 3).await.unwrap();
    late.submit(JOB, 2, &AMPLE, &Act::Make(2)).await.unwrap();
    assert!(matches!(status(&*late).await, Status::Absent(_)), "it is not started");
    newer.submit(JOB, 3, &AMPLE, &Act::Make(43)).await.unwrap();
    wait_until_it_is(&*late, Status::Succeeded(43)).await;
}
