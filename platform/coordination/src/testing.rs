//! What [`Leases`](crate::Leases) promises, for every implementation: [`lease_contract`](crate::lease_contract) makes the
//! tests.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::{Held, Lease, Leases, Lost, Owner};

/// A place where leases are kept, made for one test.
#[async_trait]
pub trait Store: Send + Sync {
    /// The leases as one more process has them: what was written is shared with the others, what was watched is not.
    async fn process(&self) -> Arc<dyn Leases>;
}

/// The tests of a backend. `$open` is an async function that makes an empty [`Store`](testing::Store).
#[macro_export]
macro_rules! lease_contract {
    ($open:path) => {
        $crate::lease_contract!(@ $open:
            one_owner_at_a_time_and_the_same_one_keeps_its_epoch,
            the_epoch_grows_with_each_holder_and_never_goes_back,
            of_many_that_ask_at_once_one_gets_it,
            a_lease_that_stands_still_passes_on_and_not_before_its_time,
            a_lease_that_is_renewed_never_passes_on,
            the_next_process_of_a_node_takes_over_at_once_and_the_one_before_is_fenced,
            what_was_lost_is_neither_renewed_nor_released,
            holders_are_listed_by_the_beginning_of_the_name_until_they_stand_still,
            work_is_dropped_when_its_lease_is_lost,
            a_lease_is_kept_while_there_is_work_and_free_at_its_end
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

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to be waited for.
const SHORT: Duration = Duration::from_millis(200);
const NAME: &str = "source/1";

async fn take(leases: &dyn Leases, owner: &Owner, ttl: Duration) -> Option<Lease> {
    leases.acquire(NAME, owner, ttl).await.unwrap()
}

/// Asks until it is given the lease.
async fn wait_for(leases: &dyn Leases, owner: &Owner, ttl: Duration) -> Lease {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(lease) = take(leases, owner, ttl).await {
            return lease;
        }
        assert!(Instant::now() < deadline, "the lease never passed on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[doc(hidden)]
pub async fn one_owner_at_a_time_and_the_same_one_keeps_its_epoch(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let (ada, grace) = (Owner::new("a"), Owner::new("b"));
    let lease = take(&*one, &ada, LONG).await.unwrap();
    assert_eq!(lease, Lease { name: NAME.into(), owner: ada.clone(), epoch: 1 });
    assert_eq!(take(&*other, &grace, LONG).await, None);
    assert_eq!(take(&*one, &ada, LONG).await, Some(lease), "asked for again: the same");
    assert!(other.acquire("source/2", &grace, LONG).await.unwrap().is_some(), "another name is another lease");
}

#[doc(hidden)]
pub async fn the_epoch_grows_with_each_holder_and_never_goes_back(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let (ada, grace) = (Owner::new("a"), Owner::new("b"));
    for epoch in [1, 3, 5] {
        let lease = take(&*one, &ada, LONG).await.unwrap();
        assert_eq!(lease.epoch, epoch);
        one.release(&lease).await.unwrap();
        let lease = take(&*other, &grace, LONG).await.unwrap();
        assert_eq!(lease.epoch, epoch + 1);
        other.release(&lease).await.unwrap();
    }
}

#[doc(hidden)]
pub async fn of_many_that_ask_at_once_one_gets_it(store: &dyn Store) {
    let mut asked = Vec::new();
    for number in 0..20 {
        let leases = store.process().await;
        let owner = Owner::new(number.to_string());
        asked.push(tokio::spawn(async move { take(&*leases, &owner, LONG).await }));
    }
    let mut epochs = Vec::new();
    for asked in asked {
        epochs.extend(asked.await.unwrap().map(|lease| lease.epoch));
    }
    assert_eq!(epochs, [1]);
}

#[doc(hidden)]
pub async fn a_lease_that_stands_still_passes_on_and_not_before_its_time(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let (ada, grace) = (Owner::new("a"), Owner::new("b"));
    take(&*one, &ada, SHORT).await.unwrap();
    let first_look = Instant::now();
    let lease = wait_for(&*other, &grace, LONG).await;
    assert!(first_look.elapsed() >= SHORT);
    assert_eq!(lease.epoch, 2);
    assert_eq!(take(&*one, &ada, LONG).await, None);
}

#[doc(hidden)]
pub async fn a_lease_that_is_renewed_never_passes_on(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let (ada, grace) = (Owner::new("a"), Owner::new("b"));
    let lease = take(&*one, &ada, SHORT).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 3 {
        assert_eq!(take(&*other, &grace, SHORT).await, None);
        assert!(one.renew(&lease, SHORT).await.unwrap());
        tokio::time::sleep(SHORT / 10).await;
    }
}

#[doc(hidden)]
pub async fn the_next_process_of_a_node_takes_over_at_once_and_the_one_before_is_fenced(store: &dyn Store) {
    let (before, after) = (store.process().await, store.process().await);
    let lease = take(&*before, &Owner::new("a"), LONG).await.unwrap();
    let next = take(&*after, &Owner::new("a"), LONG).await.unwrap();
    assert_eq!((lease.epoch, next.epoch), (1, 2));
    assert!(!before.renew(&lease, LONG).await.unwrap());
}

#[doc(hidden)]
pub async fn what_was_lost_is_neither_renewed_nor_released(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let (ada, grace) = (Owner::new("a"), Owner::new("b"));
    let lost = take(&*one, &ada, SHORT).await.unwrap();
    let lease = wait_for(&*other, &grace, LONG).await;
    assert!(!one.renew(&lost, LONG).await.unwrap());
    one.release(&lost).await.unwrap();
    assert!(other.renew(&lease, LONG).await.unwrap());
    other.release(&lease).await.unwrap();
    assert!(!other.renew(&lease, LONG).await.unwrap(), "given up is given up");
    // Held once more by the first: what it had before is not what it has now.
    let again = take(&*one, &ada, LONG).await.unwrap();
    assert!(!one.renew(&lost, LONG).await.unwrap() && one.renew(&again, LONG).await.unwrap());
}

#[doc(hidden)]
pub async fn holders_are_listed_by_the_beginning_of_the_name_until_they_stand_still(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let owner = Owner::new("a");
    let names = ["job/1", "job/2", "job/3", "jobs", "source/1"];
    let mut leases = Vec::new();
    for name in names {
        let ttl = if name == "job/3" { SHORT } else { LONG };
        leases.push(one.acquire(name, &owner, ttl).await.unwrap().unwrap());
    }
    one.release(&leases[1]).await.unwrap();
    let listed =
        async || -> Vec<String> { other.holders("job/").await.unwrap().into_iter().map(|lease| lease.name).collect() };
    assert_eq!(listed().await, ["job/1", "job/3"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while listed().await != ["job/1"] {
        assert!(Instant::now() < deadline, "a holder that is gone stays listed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all: HashSet<Lease> = other.holders("").await.unwrap().into_iter().collect();
    assert_eq!(all, [&leases[0], &leases[3], &leases[4]].into_iter().cloned().collect());
}

#[doc(hidden)]
pub async fn work_is_dropped_when_its_lease_is_lost(store: &dyn Store) {
    let (before, after) = (store.process().await, store.process().await);
    let held = Held::acquire(before, NAME, &Owner::new("a"), SHORT).await.unwrap().unwrap();
    assert!(held.is_held());
    take(&*after, &Owner::new("a"), LONG).await.unwrap();
    let endless = held.run(std::future::pending::<()>());
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), endless).await.expect("it goes on"), Err(Lost));
    assert!(!held.is_held());
}

#[doc(hidden)]
pub async fn a_lease_is_kept_while_there_is_work_and_free_at_its_end(store: &dyn Store) {
    let (one, other) = (store.process().await, store.process().await);
    let grace = Owner::new("b");
    let ttl = Duration::from_secs(3);
    let held = Held::acquire(one, NAME, &Owner::new("a"), ttl).await.unwrap().unwrap();
    let work = async {
        let begun = Instant::now();
        while begun.elapsed() < ttl * 2 {
            assert_eq!(take(&*other, &grace, LONG).await, None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(held.run(work).await, Ok(()));
    assert!(held.is_held());
    held.release().await.unwrap();
    assert_eq!(take(&*other, &grace, LONG).await.unwrap().epoch, 2);
}
