//! What only a test inside the crate can bring about: the death of a shard, and one that is stuck by its number.

use super::CacheHandle;
use crate::scope::path::ScopeId;
use crate::shard::command::Command;
use crate::shard::docket::Eviction;
use crate::shard::worker::{Next, Worker};
use crate::store::Resident;
use crate::sync::reclaim;
use crate::{Error, RemovalCause, Reply, ScopedHandle};
use std::future::Future;
use std::io::Write;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Cache = CacheHandle<u64, Arc<u64>>;
type Scope = ScopedHandle<u64, Arc<u64>>;
type TestWorker = Worker<u64, Arc<u64>>;

/// Longer than any healthy run takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was asked of a cache whose shards died, and what was heard.
#[derive(Default)]
struct Tally {
    deaths: u64,
    asked: u64,
    answered: u64,
    closed: u64,
}

impl Tally {
    fn hear<T>(&mut self, heard: &Result<T, Error>) {
        self.asked += 1;
        self.answered += 1;
        if let Err(error) = heard {
            assert!(error.is_closed(), "{error}");
            self.closed += 1;
        }
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Pending so often before it is ready.
async fn steps(mut left: u32) {
    std::future::poll_fn(|_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// One cache: what is pending as a shard dies, and what is asked of it after.
fn one_death(shards: usize, victim: usize, tally: &mut Tally) {
    let cache: Cache =
        CacheHandle::builder().shards(shards).max_capacity(64).backlog(8).build().expect("valid");
    for key in 0..20 {
        cache.insert(key, Arc::new(key));
    }
    let load = |key: u64| {
        let cache = cache.clone();
        Box::pin(async move {
            let loader = async {
                steps(3).await;
                Arc::new(key + 1)
            };
            *cache.get_or_load_async(&key, loader).await
        })
    };
    let mut loads: Vec<_> = (0..9).map(|at| (100 + at / 3, load(100 + at / 3))).collect();
    assert!(loads.iter_mut().all(|(_, load)| poll(load).is_pending()), "one leads, two wait");
    let before = (cache.flush(), cache.clear(), cache.ready(), cache.entries(), cache.flush());
    cache.front.shards[victim].send(Command::Die);
    tally.deaths += 1;
    let after = (cache.flush(), cache.clear(), cache.ready(), cache.entries(), cache.events());
    tally.hear(&before.0.wait());
    tally.hear(&before.1.wait());
    tally.hear(&before.2.wait());
    tally.hear(&before.3.wait());
    tally.hear(&before.4.wait());
    tally.hear(&after.0.wait());
    tally.hear(&after.1.wait());
    tally.hear(&after.2.wait());
    tally.hear(&after.3.wait());
    let refused = cache.flush().wait();
    assert!(refused.is_err_and(|error| error.is_closed()), "from now on it says so");
    for (key, mut load) in loads {
        tally.asked += 1;
        tally.answered +=
            u64::from(crate::reply::block_on(pin!(poll_to_the_end(&mut load))) == key + 1);
    }
    for key in 0..200 {
        cache.insert(key, Arc::new(key + 1_000));
        let seen = cache.get(&key);
        assert!(seen.is_none_or(|value| *value == key + 1_000), "never an older value");
        tally.asked += 2;
        tally.answered +=
            u64::from(*cache.get_or_load(&key, || Arc::new(key + 1_000)) == key + 1_000);
        tally.answered += u64::from(cache.remove(&key).is_none_or(|value| *value == key + 1_000));
        assert_eq!(cache.get(&key), None, "what is removed is gone");
    }
    let closed = (0..200).filter_map(|key| cache.try_insert(key, Arc::new(key)).err());
    assert!(closed.into_iter().any(|error| error.is_closed()));
    drop(after.4);
}

/// Polls without waiting for a waker: who has nothing to wait for must come to an end.
async fn poll_to_the_end<T>(load: &mut Pin<Box<impl Future<Output = T>>>) -> T {
    std::future::poll_fn(|cx| {
        let polled = poll(load);
        if polled.is_pending() {
            cx.waker().wake_by_ref();
        }
        polled
    })
    .await
}

#[test]
fn nobody_waits_for_a_dead_shard() {
    let asked = std::env::var("FAULTS_TIMES").ok();
    let factor = asked.as_ref().and_then(|text| text.parse::<u64>().ok());
    let rounds = 500 * factor.unwrap_or(1);
    let (ended, end) = mpsc::channel();
    let progress = Arc::new(AtomicU64::new(0));
    let made = Arc::clone(&progress);
    let runner = std::thread::spawn(move || {
        let mut tally = Tally::default();
        for round in 0..rounds {
            let shards = 1 + (round % 2) as usize * 2;
            one_death(shards, round as usize % shards, &mut tally);
            made.fetch_add(1, Ordering::Relaxed);
        }
        let _ = ended.send(tally);
    });
    let Ok(tally) = end.recv_timeout(PATIENCE) else {
        assert!(
            runner.is_finished(),
            "somebody waits after {} deaths",
            progress.load(Ordering::Relaxed)
        );
        std::panic::resume_unwind(runner.join().expect_err("it has sent nothing"));
    };
    let lost = tally.asked - tally.answered;
    let Tally { deaths, answered, closed, .. } = tally;
    let row = format!(
        "| a shard's thread dies | {deaths} | {lost} | {answered} calls answered, {closed} of them \
         \"closed\" | `lib handle::tests::nobody_waits_for_a_dead_shard` |"
    );
    if asked.is_some() {
        writeln!(std::io::stderr(), "{row}").expect("said");
    }
    assert_eq!(lost, 0);
    assert!(closed > deaths, "the death is told");
}

#[test]
fn a_scope_that_is_read_much_is_given_counters_by_a_shard() {
    let cache: Cache = CacheHandle::builder().shards(2).build().expect("valid");
    let scope = cache.scope([("organization", "acme")]).expect("a valid path");
    scope.insert(1, Arc::new(1));
    for reads in 1..=crate::scope::counts::BUSY {
        assert!(scope.node().as_near().is_none(), "after {reads} reads");
        assert!(scope.get(&1).is_some());
    }
    cache.flush().wait().expect("shards live");
    assert!(scope.node().as_near().is_some());
    let (few, before) = (10, scope.stats().own().hits());
    (0..few).for_each(|_| assert!(scope.get(&1).is_some()));
    assert_eq!(scope.stats().own().hits(), before + few);
}

/// An eviction whose every shard has its command; the rest of it is done by `rest`, which says whether all are to be woken.
fn evict_by_hand(scope: &Scope, rest: impl FnOnce(&Eviction) -> bool) -> Reply<u64> {
    let eviction = Arc::new(Eviction::new(scope.node()));
    scope.front().leave_with_all(
        |a, b| a + b,
        |answer| Command::Evict(Arc::clone(&eviction), answer),
        || rest(&eviction),
    )
}

/// Who evicts is interrupted before the eviction begins, though every shard has its command: nobody waits for it, and it
/// counts what is there when it begins.
#[test]
fn an_eviction_that_was_heard_of_and_has_not_begun_holds_up_nobody() {
    let cache: Cache = CacheHandle::builder().shards(2).build().expect("valid");
    let above = cache.scope([("organization", "acme")]).expect("a valid path");
    let scope = above.scope([("user", "u")]).expect("a valid path");
    (0..10).for_each(|key| scope.insert(key, Arc::new(key)));
    let first = evict_by_hand(&above, |eviction| {
        cache.flush().wait().expect("the shards live");
        assert!(scope.get(&1).is_some(), "it has not begun");
        let second = scope.evict();
        assert_eq!((scope.get(&1), second.wait().ok()), (None, Some(10)));
        scope.insert(1, Arc::new(1));
        cache.flush().wait().expect("the shards live");
        let wakes_all = eviction.begin(&above.front().trie);
        assert_eq!(scope.get(&1), None);
        wakes_all
    });
    assert_eq!(first.wait().ok(), Some(1));
}

/// Who evicts is interrupted when the eviction has begun and the shards do not know it: the capacity holds, the figures add
/// up, and in the end each entry that was there is counted once.
#[test]
fn an_eviction_that_has_begun_unheard_keeps_the_capacity() {
    const CAPACITY: u64 = 100;
    let cache: Cache =
        CacheHandle::builder().shards(1).max_capacity(CAPACITY).build().expect("valid");
    let scope = cache.scope([("organization", "acme")]).expect("a valid path");
    let is_sound = || {
        cache.flush().wait().expect("the shard lives");
        let stats = cache.stats();
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!((stats.insertions() - left, cache.len()), (stats.len(), stats.len()));
        assert!(stats.len() <= CAPACITY, "{stats:?}");
    };
    (0..9).for_each(|key| scope.insert(key, Arc::new(key)));
    is_sound();
    let reply = evict_by_hand(&scope, |eviction| {
        let begun = scope.front().trie.evict(scope.node());
        for key in 0..1_000 {
            cache.insert(key, Arc::new(key));
            if key % 100 == 0 {
                scope.insert(key, Arc::new(key));
                is_sound();
            }
        }
        is_sound();
        eviction.has_begun(begun)
    });
    assert_eq!(reply.wait().ok(), Some(9));
    is_sound();
}

/// The first shard, which wakes the others for an eviction, stands in the listener: they sweep all the same.
#[test]
fn a_stuck_shard_keeps_no_other_from_its_sweep() {
    const SHARDS: usize = 4;
    let (stuck, is_stuck) = mpsc::channel();
    // The one that threads can share.
    let (release, released) = crossbeam_channel::bounded::<()>(0);
    let (swept, is_swept) = mpsc::channel();
    let listener = move |key: &u64, _: &Arc<u64>, cause| match cause {
        RemovalCause::Replaced => {
            stuck.send(()).expect("the test listens");
            let _ = released.recv_timeout(PATIENCE);
        }
        _ => swept.send(*key).expect("the test listens"),
    };
    let cache: Cache =
        CacheHandle::builder().shards(SHARDS).removal_listener(listener).build().expect("valid");
    let scope = cache.scope([("organization", "acme")]).expect("a valid path");
    let shard_of = |key: &u64| {
        let (_, shard) = scope.front().route(crate::scope::place::Inner(scope.node()), key);
        scope.front().shards.iter().position(|other| std::ptr::eq(other, shard)).expect("ours")
    };
    let key_in = |number| (0..).find(|key| shard_of(key) == number).expect("there is one");
    let keys: Vec<u64> = (0..SHARDS).map(key_in).collect();
    for key in &keys {
        scope.insert(*key, Arc::new(0));
    }
    cache.flush().wait().expect("shards live");
    scope.insert(keys[0], Arc::new(1));
    drop(cache.flush());
    is_stuck.recv_timeout(PATIENCE).expect("the first shard stands in the listener");
    let others = &scope.front().shards[1..];
    let start = std::time::Instant::now();
    while !others.iter().all(|shard| shard.signal().sleeps_deeply()) {
        assert!(start.elapsed() < PATIENCE / 2, "a shard without work goes to sleep");
        std::thread::yield_now();
    }

    let evicted = scope.evict();
    // Before the stuck one gives up.
    let next = |_| is_swept.recv_timeout(PATIENCE / 2).expect("swept");
    let mut left: Vec<u64> = (1..SHARDS).map(next).collect();
    left.sort_unstable();
    let mut expected = keys[1..].to_vec();
    expected.sort_unstable();
    assert_eq!(left, expected);
    drop(release);
    assert_eq!(evicted.wait().ok(), Some(SHARDS as u64));
}

/// The turns that a shard takes for evictions that piled up, of as many scopes that nobody uses any more, and the bytes that it
/// allocates for them.
fn pile(evictions: u64) -> (u64, u64) {
    let builder = CacheHandle::builder().shards(1).backlog(1 << 20).max_capacity(1 << 20);
    let (front, mut workers) = builder.assemble().expect("valid");
    let (cache, mut worker) = (Cache::from_front(front), workers.remove(0));
    let mut replies = Vec::new();
    for number in 0..evictions {
        let path = [("organization", ScopeId::from("acme")), ("user", number.into())];
        let scope = cache.scope(path).expect("a valid path");
        scope.insert(number, Arc::default());
        replies.push(scope.evict());
    }
    let mut turns = 0;
    let bytes = allocation_counter::measure(|| {
        turns = (1..).find(|_| matches!(worker.turn(), Next::Idle(_))).expect("it comes to an end");
    });
    let counts = replies.into_iter().map(|reply| reply.wait().ok());
    assert!(counts.eq((0..evictions).map(|_| Some(1))), "each has removed what was in its scope");
    assert_eq!(cache.len(), 0);
    (turns, bytes.bytes_total)
}

#[test]
fn evictions_that_pile_up_cost_no_more_each_than_few() {
    let (few, many) = (pile(1_000), pile(8_000));
    assert!(many.0 < 8_000 / 16, "{} turns for 8,000", many.0);
    assert!(many.1 < few.1 * 12, "{} bytes for 1,000, {} for 8,000", few.1, many.1);
}

/// What is left of the memory that `flushes` took, which wait for a shard together, once it has answered them and done what
/// `then` says.
fn left_of(
    flushes: u64,
    cache: &Cache,
    shard: &mut TestWorker,
    then: impl Fn(&mut TestWorker),
) -> i64 {
    let queue = allocation_counter::measure(|| {
        let replies: Vec<_> = (0..flushes).map(|_| cache.flush()).collect();
        while !matches!(shard.turn(), Next::Idle(_)) {}
        then(shard);
        assert!(replies.into_iter().all(|reply| reply.wait().is_ok()));
    });
    assert!(queue.bytes_max > flushes * 8, "there was a queue");
    queue.bytes_current
}

#[test]
fn a_shard_gives_back_the_room_of_its_queue_and_loses_nothing() {
    let (front, mut workers) = CacheHandle::builder().shards(1).assemble().expect("valid");
    let (cache, mut worker) = (Cache::from_front(front), workers.remove(0));
    // Its first sleep after work is not a rest, its second is.
    let rest = |worker: &mut TestWorker| (0..2).for_each(|_| worker.sleep(None));
    left_of(10, &cache, &mut worker, rest);
    let left = left_of(1_000, &cache, &mut worker, rest);
    assert!(left < 4_000, "{left} bytes are left after a rest");
    let left = left_of(10_000, &cache, &mut worker, |_| {});
    assert!(left < 40_000, "{left} bytes are left after a turn");

    left_of(1_000, &cache, &mut worker, |worker| worker.sleep(None));
    let came_before_a_rest = cache.flush();
    worker.sleep(None);
    assert!(cache.front.shards[0].receive().is_none(), "it was taken with the room");
    assert!(matches!(worker.turn(), Next::Idle(_)));
    drop(worker);
    assert!(came_before_a_rest.wait().is_ok());
}

/// Has shards whose last handle has gone free what they own, on threads of their own.
fn run_to_their_end(workers: Vec<TestWorker>) {
    let shards = workers.into_iter().map(|worker| std::thread::spawn(move || worker.run()));
    shards.for_each(|shard| shard.join().expect("it ends"));
}

#[test]
fn what_an_eviction_took_is_room_for_all_before_its_shard_rests() {
    let builder = CacheHandle::builder().shards(2).backlog(1 << 10).max_capacity(100);
    let (front, mut workers) = builder.assemble().expect("valid");
    let cache = Cache::from_front(front);
    let scope = cache.scope([("organization", "acme")]).expect("a valid path");
    let shards = &cache.front.shards;
    let in_shard = |number: usize, (_, shard): (_, &_)| std::ptr::eq(&shards[number], shard);
    let inner = crate::scope::place::Inner(scope.node());
    let scoped = (0..).filter(|key| in_shard(0, cache.front.route(inner, key)));
    scoped.take(40).for_each(|key| scope.insert(key, Arc::default()));
    let global = |key: &u64| in_shard(1, cache.front.route(cache.front.global(), key));
    let mut others = (0..).filter(global);
    others.by_ref().take(60).for_each(|key| cache.insert(key, Arc::default()));
    let mut rest = |number: usize| while !matches!(workers[number].turn(), Next::Idle(_)) {};
    (0..2).for_each(&mut rest);
    assert_eq!(cache.len(), 100);

    let evicted = scope.evict();
    rest(0);
    others.take(40).for_each(|key| cache.insert(key, Arc::default()));
    rest(1);
    assert_eq!((cache.len(), cache.stats().evictions()), (100, 0), "there was room for all");
    assert_eq!(evicted.wait().ok(), Some(40));
    drop((scope, cache));
    run_to_their_end(workers);
}

/// A shard that was asked to evict even below its share hears that only when who asked has had its room for long. What has
/// come to it since is not what is to go.
#[test]
fn who_hears_late_that_room_was_needed_keeps_what_came_since() {
    let builder = CacheHandle::builder().shards(3).max_capacity(100);
    let builder = builder.weigher(|_: &u64, value: &Arc<u64>| **value as u32);
    let (front, mut workers) = builder.assemble().expect("valid");
    let cache = Cache::from_front(front);
    let global = cache.front.global();
    let is_in = |number: usize, key: &u64| {
        std::ptr::eq(&cache.front.shards[number], cache.front.route(global, key).1)
    };
    let [first, second, third] =
        [0, 1, 2].map(|number| (0..).find(|key| is_in(number, key)).expect("there is one"));
    let heavy = || Arc::new(90);
    let mut turn = |number: usize| assert!(!matches!(workers[number].turn(), Next::End));
    cache.insert(first, heavy());
    turn(0);
    cache.insert(second, heavy());
    // The second asks both others twice before the first hears of it.
    [1, 1, 0, 1].into_iter().for_each(&mut turn);
    assert_eq!((cache.get(&first), cache.get(&second)), (None, Some(heavy())));

    cache.insert(third, heavy());
    [2, 1, 0, 2].into_iter().for_each(&mut turn);
    assert_eq!((cache.get(&second), cache.get(&third)), (None, Some(heavy())));
    assert_eq!((cache.weight(), cache.stats().evictions()), (90, 2));
    drop(cache);
    run_to_their_end(workers);
}

#[test]
fn what_replaces_an_entry_that_was_read_passes_for_read() {
    let (front, mut workers) = CacheHandle::builder().shards(1).assemble().expect("valid");
    let cache = Cache::from_front(front);
    let global = cache.front.global();
    let stamp = |key: u64| {
        let (hash, shard) = cache.front.route(global, &key);
        reclaim::pinned(|pinned| {
            let found = shard.find(hash, |k| *k == key, cache.front.validity(global), pinned);
            found.ok().flatten().expect("it was written").hand_on().stamp()
        })
    };
    let write_both = || (0..2).for_each(|key| cache.insert(key, Arc::default()));
    write_both();
    let read = cache.front.shards[0].tick();
    assert_eq!([stamp(0), stamp(1)], [read; 2], "nobody who reads it in the chain need write");
    workers[0].turn();
    let [born, read] = [read - 1, read];
    assert_eq!([stamp(0), stamp(1)], [born; 2], "neither was read");
    assert!(cache.get(&0).is_some());
    write_both();
    workers[0].turn();
    assert_eq!([stamp(0), stamp(1)], [read, born], "only the other was not read");
    drop(cache);
    run_to_their_end(workers);
}
