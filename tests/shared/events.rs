//! What leaves a namespace: each entry is told once, with its cause, to the listener and the streams of that
//! namespace and to no others.

use super::{ACME, flush};
use crate::support::{Counted, Ledger, PATIENCE, Told, bounded, eventually, ms, on_each_shape};
use cacheado::testing::ManualClock;
use cacheado::{
    Namespace, NamespaceBuilder, NamespaceEvents, NamespaceRemoval, RemovalCause, SharedCache,
    SharedCacheBuilder,
};
use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;

type Fact = (u64, u64, RemovalCause);

fn builder(shards: usize) -> SharedCacheBuilder {
    SharedCache::builder().shards(shards).max_capacity(100_000)
}

fn fact(left: &NamespaceRemoval<u64, u64>) -> Fact {
    (*left.key(), *left.value(), left.cause())
}

/// The next so many events, in the order of their keys.
fn next(events: &NamespaceEvents<u64, u64>, count: usize) -> Vec<Fact> {
    let next = || events.recv_timeout(PATIENCE).expect("told");
    let mut facts: Vec<_> = (0..count).map(|_| fact(&next())).collect();
    facts.sort_by_key(|(key, ..)| *key);
    facts
}

#[test]
fn what_leaves_a_namespace_is_told_once_with_its_cause() {
    on_each_shape(|shards| {
        let (clock, told) = (ManualClock::new(), Told::<u64, u64>::new());
        let cache = builder(shards).clock(clock.clock()).build().expect("valid");
        let space = cache.namespace_builder("space").max_items(4);
        let space = space.removal_listener(told.listener()).build().expect("new");
        let streams = [space.events(), space.scope(ACME).expect("valid").events()];
        let left = |expected: &[Fact], why: &str| {
            flush(&cache);
            let mut heard = told.take();
            heard.sort_by_key(|(key, ..)| *key);
            assert_eq!(heard, expected, "{why}");
            streams.iter().for_each(|stream| assert_eq!(next(stream, heard.len()), heard, "{why}"));
        };
        space.insert(1, 10);
        left(&[], "it is there");
        space.insert(1, 11);
        left(&[(1, 10, RemovalCause::Replaced)], "replaced");
        assert_eq!(space.remove(&1), Some(11));
        left(&[(1, 11, RemovalCause::Removed)], "removed");
        let acme = space.scope(ACME).expect("valid");
        acme.insert(2, 20);
        space.insert(3, 30);
        assert_eq!(acme.shared_scope().evict().wait().expect("alive"), 1);
        left(&[(2, 20, RemovalCause::Scope)], "its scope was evicted");
        space.insert_with_ttl(3, 31, ms(10));
        left(&[(3, 30, RemovalCause::Replaced)], "written anew");
        clock.advance(ms(100));
        eventually("expiry", || told.len() == 1);
        left(&[(3, 31, RemovalCause::Expired)], "expired");
        for key in 4..9 {
            space.insert(key, key);
            flush(&cache);
        }
        left(&[(4, 4, RemovalCause::Capacity)], "of five items four are kept");
        assert_eq!(space.clear().wait().expect("alive"), 4);
        let cleared: Vec<_> = (5..9).map(|key| (key, key, RemovalCause::Scope)).collect();
        left(&cleared, "cleared");
        space.insert(5, 50);
        assert_eq!(space.remove(&5), Some(50));
        left(&[(5, 50, RemovalCause::Removed)], "after a clear it goes on");
        acme.insert(6, 60);
        assert_eq!(cache.clear().wait().expect("alive"), 1);
        left(&[(6, 60, RemovalCause::Scope)], "all was cleared");
        assert!(streams.iter().all(|stream| stream.try_recv().is_err()), "nothing twice");
        assert_eq!((cache.stats().events_dropped(), cache.stats().panics()), (0, 0));
    });
}

#[test]
fn what_leaves_for_the_capacity_of_all_or_is_not_kept_is_told() {
    bounded(|| {
        let cache = SharedCache::builder().shards(1).max_capacity(2).build().expect("valid");
        let space =
            cache.namespace_builder("space").weigher(|_: &u64, weight: &u64| *weight as u32);
        let space = space.build().expect("new");
        let others: Namespace<u64, u64> = cache.namespace("others").expect("new");
        let events = space.events();
        space.insert(1, 1);
        flush(&cache);
        (0..2).for_each(|key| {
            others.insert(key, key);
            flush(&cache);
        });
        assert_eq!(next(&events, 1), [(1, 1, RemovalCause::Capacity)], "made room for others");
        space.insert(2, 3);
        assert_eq!(next(&events, 1), [(2, 3, RemovalCause::Capacity)], "too heavy");
    });
}

#[test]
fn namespaces_with_equal_keys_do_not_hear_each_other() {
    on_each_shape(|shards| {
        let (told, cache) = (Told::<u64, u64>::new(), builder(shards));
        let cache = cache.event_capacity(2).build().expect("valid");
        let heard = cache.namespace_builder("heard").removal_listener(told.listener());
        let heard = heard.build().expect("new");
        let mute: Namespace<u64, u64> = cache.namespace("mute").expect("new");
        let acme = mute.scope(ACME).expect("valid");
        let (events, of_acme) = (heard.events(), acme.events());
        for key in 0..200 {
            heard.insert(key, key);
            mute.insert(key, key + 1_000);
            acme.insert(key, key + 2_000);
        }
        (2..200).for_each(|key| assert_eq!(mute.remove(&key), Some(key + 1_000)));
        flush(&cache);
        // What others lose is neither in this stream nor missing in it: two fit.
        let dropped = 198 - 2;
        eventually("the rest is counted", || cache.stats().events_dropped() == dropped);
        assert_eq!((told.take(), events.len()), (vec![], 0));
        assert_eq!((heard.remove(&0), heard.remove(&1)), (Some(0), Some(1)));
        let expected = [0, 1].map(|key| (key, key, RemovalCause::Removed));
        assert_eq!(next(&events, 2), expected);
        let facts: Vec<_> = of_acme.try_iter().collect();
        assert!(facts.iter().all(|left| *left.value() >= 1_000), "{facts:?}");
        assert_eq!((facts.len(), cache.stats().events_dropped()), (2, dropped));
        assert_eq!(told.len(), 2);
    });
}

#[test]
fn a_full_stream_loses_events_and_stops_nobody() {
    on_each_shape(|shards| {
        let told = Told::<u64, u64>::new();
        let cache = builder(shards).event_capacity(16).build().expect("valid");
        let space = cache.namespace_builder("space").removal_listener(told.listener());
        let space = space.build().expect("new");
        let (slow, slower, gone) = (space.events(), space.events(), space.events());
        drop(gone);
        for round in 0..2_000 {
            space.insert(round % 10, round);
            if round % 10 == 9 {
                flush(&cache);
            }
        }
        flush(&cache);
        let dropped = 2 * (told.len() - 16);
        assert!(dropped > 3_000, "{dropped}");
        eventually("the rest is counted", || cache.stats().events_dropped() == dropped);
        assert_eq!(
            (slow.len(), slow.try_iter().count()),
            (16, 16),
            "as many as there was room for"
        );
        space.insert(0, 9_999);
        assert_eq!(space.remove(&0), Some(9_999));
        while next(&slow, 1)[0].1 != 9_999 {}
        assert!(slow.is_empty() && slow.try_recv().is_err());
        assert_eq!((slower.len(), space.len()), (16, 9), "the other was not read");
    });
}

#[test]
fn a_capacity_for_events_that_cannot_be_is_refused() {
    let refused = SharedCache::builder().event_capacity(0).build().expect_err("none at all");
    assert!(refused.is_invalid_setting() && refused.to_string().contains("event_capacity"));
}

/// A key that calls back as it is hashed, which its writer does after it has decided where it belongs.
struct Meddler(u64, OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Meddler {
    fn plain(id: u64) -> Self {
        Self(id, OnceLock::new())
    }

    fn with(id: u64, meddle: impl Fn() + Send + Sync + 'static) -> Self {
        Self(id, OnceLock::from(Box::new(meddle) as Box<_>))
    }
}

impl Hash for Meddler {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.get().into_iter().for_each(|meddle| meddle());
        self.0.hash(state);
    }
}

impl PartialEq for Meddler {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Meddler {}

#[test]
fn what_comes_after_its_namespace_was_cleared_and_forgotten_is_told() {
    on_each_shape(|shards| {
        let cache = builder(shards).build().expect("valid");
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        let space = cache.namespace_builder("space").removal_listener(
            move |key: &Meddler, value: &u64, cause| {
                let is_late = (key.0, *value, cause) == (1, 10, RemovalCause::Scope);
                count.fetch_add(if is_late { 1 } else { 1_000 }, Ordering::SeqCst);
            },
        );
        let space = space.build().expect("new");
        let others: Namespace<u64, u64> = cache.namespace("others").expect("new");
        let (events, not_of_it) = (space.events(), others.events());
        let own = space.clone();
        // Twice: the second sees to it that no shard remembers what the first has ended.
        let clear = move || (0..2).for_each(|_| assert_eq!(own.clear().wait().ok(), Some(0)));
        space.insert(Meddler::with(1, clear), 10);
        flush(&cache);
        assert!(!space.contains_key(&Meddler::plain(1)), "it was cleared");
        let left = events.recv_timeout(PATIENCE).expect("told");
        assert_eq!((left.key().0, *left.value(), left.cause()), (1, 10, RemovalCause::Scope));
        assert_eq!((heard.load(Ordering::SeqCst), space.len(), cache.len()), (1, 0, 0));
        assert!(not_of_it.is_empty() && events.is_empty());
    });
}

#[test]
fn a_listener_that_panics_is_counted_and_called_again() {
    on_each_shape(|shards| {
        let cache = builder(shards).build().expect("valid");
        let calls = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&calls);
        let space =
            cache.namespace_builder("space").removal_listener(move |key: &u64, _: &u64, _| {
                count.fetch_add(1, Ordering::SeqCst);
                assert!(key % 2 == 0, "in this mood");
            });
        let space = space.build().expect("new");
        let events = space.events();
        (0..10).for_each(|key| space.insert(key, key));
        (0..10).for_each(|key| assert_eq!(space.remove(&key), Some(key)));
        flush(&cache);
        assert_eq!((calls.load(Ordering::SeqCst), cache.stats().panics()), (10, 5));
        assert_eq!(next(&events, 10).len(), 10, "the streams are told all the same");
        space.insert(1, 1);
        flush(&cache);
        assert_eq!(space.get(&1), Some(1), "the shards go on");
    });
}

#[test]
fn a_listener_may_use_its_cache_but_not_wait_for_it() {
    on_each_shape(|shards| {
        let (slot, waited) = (Arc::<OnceLock<Namespace<u64, u64>>>::default(), Arc::default());
        let (inner, seen): (_, Arc<OnceLock<bool>>) = (Arc::clone(&slot), Arc::clone(&waited));
        let cache = builder(shards).build().expect("valid");
        let space =
            cache.namespace_builder("space").removal_listener(move |key: &u64, _: &u64, _| {
                let Some(space) = inner.get().filter(|_| *key == 1) else { return };
                space.insert(2, 20);
                let would_deadlock = |error: cacheado::Error| error.is_would_deadlock();
                let _ = seen.set(space.flush().wait().is_err_and(would_deadlock));
            });
        let space = space.build().expect("new");
        assert!(slot.set(space.clone()).is_ok());
        space.insert(1, 10);
        assert_eq!(space.remove(&1), Some(10));
        flush(&cache);
        flush(&cache);
        assert_eq!((space.get(&2), waited.get()), (Some(20), Some(&true)));
    });
}

/// The namespace of this name, with the listener of this place.
fn listened<'a>(cache: &'a SharedCache, told: &Told<u64, u64>) -> NamespaceBuilder<'a, u64, u64> {
    cache.namespace_builder("space").removal_listener(told.listener())
}

#[test]
fn the_same_listener_is_the_same_option_and_another_is_an_error() {
    bounded(|| {
        let (first, second) = (Told::new(), Told::new());
        let cache = builder(1).build().expect("valid");
        let space = listened(&cache, &first).build().expect("new");
        let again = listened(&cache, &second).build().expect("of the same type");
        cache.namespace::<u64, u64>("space").expect("asks for no option");
        again.insert(1, 1);
        assert_eq!(space.remove(&1), Some(1));
        flush(&cache);
        assert_eq!((first.len(), second.len()), (1, 0), "the first one is called");
        let other = cache.namespace_builder("space").removal_listener(|_: &u64, _: &u64, _| {});
        let text = other.build().expect_err("another closure").to_string();
        assert!(text.contains("a removal_listener of ") && text.contains("events::"), "{text}");
        cache.namespace::<u64, u64>("plain").expect("new");
        let other = cache.namespace_builder("plain").removal_listener(|_: &u64, _: &u64, _| {});
        let error = other.build().expect_err("it has none");
        assert!(error.is_namespace_conflict() && error.to_string().contains("no removal_listener"));
    });
}

#[test]
fn of_many_that_make_a_namespace_at_once_one_listener_hears_all() {
    bounded(|| {
        const MAKERS: u64 = 4;
        for round in 0..200 {
            let cache = builder(1).build().expect("valid");
            let (told, start) = ([(); 4].map(|()| Told::new()), Barrier::new(4));
            thread::scope(|scope| {
                for (me, told) in (0..MAKERS).zip(&told) {
                    let (cache, start) = (&cache, &start);
                    scope.spawn(move || {
                        start.wait();
                        let space = listened(cache, told).build().expect("the same");
                        space.insert(me, round);
                        assert_eq!(space.remove(&me), Some(round));
                    });
                }
            });
            flush(&cache);
            let mut heard: Vec<_> =
                told.iter().map(Told::take).filter(|one| !one.is_empty()).collect();
            assert_eq!(heard.len(), 1, "round {round}");
            heard[0].sort_by_key(|(key, ..)| *key);
            let all: Vec<_> = (0..MAKERS).map(|me| (me, round, RemovalCause::Removed)).collect();
            assert_eq!(heard[0], all, "round {round}");
        }
    });
}

/// A value whose destructor panics once it is told to.
#[derive(Clone)]
struct Grim(Arc<AtomicBool>);

impl Drop for Grim {
    fn drop(&mut self) {
        // Once: what panics again while a panic unwinds would end the process.
        assert!(!self.0.swap(false, Ordering::SeqCst), "in this mood");
    }
}

#[test]
fn a_destructor_that_panics_in_a_dropped_stream_harms_nobody() {
    on_each_shape(|shards| {
        let cache = builder(shards).build().expect("valid");
        let space: Namespace<u64, Grim> = cache.namespace("space").expect("new");
        let others: Namespace<u64, u64> = cache.namespace("others").expect("new");
        let (mood, events) = (Arc::new(AtomicBool::new(false)), space.events());
        space.insert(1, Grim(Arc::clone(&mood)));
        space.insert(1, Grim(Arc::default()));
        eventually("told", || events.len() == 1);
        flush(&cache);
        mood.store(true, Ordering::SeqCst);
        drop(events);
        assert!(mood.load(Ordering::SeqCst), "the shards free it, not who drops the stream");
        // Every shard has to see it go; nothing of its own namespace leaves any more.
        (0..200).for_each(|key| others.insert(key, key));
        (0..200).for_each(|key| assert_eq!(others.remove(&key), Some(key)));
        flush(&cache);
        eventually("it is freed", || cache.stats().panics() == 1);
        assert!(!mood.load(Ordering::SeqCst));
        let events = others.events();
        others.insert(1000, 1);
        assert_eq!(others.remove(&1000), Some(1));
        // After what has left before and was not freed yet: the shards go on.
        while next(&events, 1) != [(1000, 1, RemovalCause::Removed)] {}
    });
}

#[test]
fn a_dropped_stream_keeps_nothing() {
    on_each_shape(|shards| {
        let (cache, ledger) = (builder(shards).build().expect("valid"), Ledger::new());
        let space: Namespace<u64, Counted> = cache.namespace("space").expect("new");
        let leave_one = || {
            space.insert(1, ledger.value(1));
            assert!(space.remove(&1).is_some());
            flush(&cache);
        };
        let events = space.events();
        leave_one();
        eventually("told", || events.len() == 1);
        assert_eq!(ledger.live(), 1, "the stream has it");
        let copy = events.clone();
        drop(events);
        assert_eq!(copy.len(), 1, "a clone is the same stream");
        drop(copy);
        let _another = space.events();
        eventually("it went as another came", || ledger.live() == 0);
    });
}

#[test]
fn an_event_keeps_its_entry_and_gives_it_back() {
    fn kept<K, V>(cache: &SharedCache, key: K, value: V)
    where
        K: Hash + Eq + Clone + Send + Sync + Debug + 'static,
        V: PartialEq + Clone + Debug + Send + Sync + 'static,
    {
        let name = std::any::type_name::<(K, V)>();
        let space: Namespace<K, V> = cache.namespace(name).expect("new");
        let events = space.events();
        space.insert(key.clone(), value.clone());
        assert_eq!(space.remove(&key), Some(value.clone()));
        let left = events.recv_timeout(PATIENCE).expect("told");
        assert_eq!((left.key(), left.value()), (&key, &value), "{name}");
        let shown = format!("{left:?}");
        assert!(shown.contains(&format!("{value:?}, cause: Removed")), "{shown}");
        let refused = left.clone().into_inner().expect_err("there are two of it");
        drop(left);
        let mut left = Some(refused);
        let inner = std::iter::repeat_with(|| {
            // The shard lets go of it when it has sent it.
            left.take().expect("given back").into_inner().map_err(|back| left = Some(back))
        });
        let inner = inner.take(1_000_000).find_map(Result::ok);
        assert_eq!(inner, Some((key, value)), "{name}");
    }
    let cache = builder(2).build().expect("valid");
    kept(&cache, u64::MAX, i32::MIN);
    kept(&cache, i64::MIN, usize::MAX);
    kept(&cache, u32::MAX, i64::MIN);
    kept(&cache, i32::MIN, u32::MAX);
    kept(&cache, usize::MAX, u64::MAX);
    kept(&cache, "k".to_owned(), "v".to_owned());
    kept(&cache, ('k', vec![1_u8]), Some(1.5));
}

#[test]
fn a_stream_keeps_no_cache_alive_and_ends_with_it() {
    on_each_shape(|shards| {
        let told = Told::<u64, u64>::new();
        let (cache, weak) = (builder(shards).build().expect("valid"), Arc::new(()));
        let (alive, inner) = (Arc::downgrade(&weak), told.listener());
        let space = cache.namespace_builder("space").removal_listener(move |key, value, cause| {
            let _ = &weak;
            inner(key, value, cause);
        });
        let space = space.build().expect("new");
        let (events, waiting) = (space.events(), space.events());
        assert!(matches!(events.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(events.recv_timeout(ms(0)), Err(RecvTimeoutError::Timeout)));
        let reader = thread::spawn(move || {
            let facts: Vec<_> = waiting.into_iter().map(|left| fact(&left)).collect();
            facts
        });
        (0..50).for_each(|key| space.insert(key, key));
        (0..50).for_each(|key| assert_eq!(space.remove(&key), Some(key)));
        drop((space, cache));
        let heard: BTreeSet<u64> = told.take().iter().map(|(key, ..)| *key).collect();
        assert_eq!(heard, (0..50).collect(), "told before the shards end");
        assert_eq!(alive.strong_count(), 0, "the listener goes with the cache");
        assert_eq!(reader.join().expect("no panic").len(), 50);
        let mut left: Vec<_> = (&events).into_iter().map(|left| *left.key()).collect();
        left.sort_unstable();
        assert_eq!(left, (0..50).collect::<Vec<_>>(), "what was in it is still to be read");
        assert!(events.recv().is_err() && events.iter().next().is_none());
        assert!(matches!(events.try_recv(), Err(TryRecvError::Disconnected)));
        assert!(matches!(events.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)));
    });
}

#[test]
fn a_typed_view_leads_to_what_all_namespaces_share() {
    let cache = builder(1).build().expect("valid");
    let acme = cache.scope(ACME).expect("valid");
    let few = acme.namespace_builder::<u64, u64>("few").max_items(2).build().expect("new");
    let many: Namespace<u64, String> = cache.namespace("many").expect("new");
    (0..5).for_each(|key| few.insert(key, key));
    many.scope(ACME).expect("valid").insert(1, "one".to_owned());
    many.insert(1, "1".to_owned());
    flush(&many.cache());
    assert_eq!((few.len(), few.path(), few.cache().len()), (2, acme.path(), 4));
    assert_eq!(few.cache().max_capacity(), 100_000);
    let reports = many.cache().top_scopes(1, cacheado::ScopeFigure::Len).wait().expect("at once");
    assert_eq!(reports[0].path(), &few.path());
    let refused = few.shared_scope().namespace_builder::<u64, u64>("few").max_items(3).build();
    assert!(refused.expect_err("two").is_namespace_conflict());
    assert_eq!(few.shared_scope().stats().own().len(), 3);
    assert_eq!(few.shared_scope().evict().wait().expect("alive"), 3, "of all namespaces");
    assert_eq!((many.get(&1).as_deref(), many.shared_scope().len()), (Some("1"), 1));
    assert!(many.shared_scope().path().is_empty());
    let stats = many.shared_scope().stats();
    assert_eq!((stats.own().len(), stats.subtree().len(), stats.own().hits()), (1, 1, 1));
    assert_eq!(many.shared_scope().evict().wait().expect("alive"), 1);
    assert!(cache.is_empty());
    let last = few.cache();
    drop((cache, acme, few, many));
    let again: Namespace<u64, String> = last.namespace("many").expect("it is there");
    again.insert(2, "two".to_owned());
    assert_eq!(again.get(&2).as_deref(), Some("two"), "the cache runs as long as one is held");
}
