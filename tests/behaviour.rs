//! One suite of behaviours, run over every view that has the verbs: a cache, a scope of one, a namespace of
//! a shared cache, and a scope of that.
//!
//! Each view holds strings under strings, so a namespace holds its values in boxes.

use crate::support::{Gate, Polled, bounded, ms};
use cacheado::testing::ManualClock;
use cacheado::{CacheBuilder, CacheHandle, Namespace, ScopedHandle, SharedCache};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SCOPE: [(&str, &str); 2] = [("organization", "acme"), ("user", "ada")];

/// What the views are made with.
#[derive(Default)]
struct Setup {
    shards: Option<usize>,
    capacity: Option<u64>,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    clock: ManualClock,
}

type Plain = CacheHandle<String, String>;
type Typed = Namespace<String, String>;

macro_rules! with {
    ($builder:expr, $setup:expr) => {{
        let mut builder = $builder.clock($setup.clock.clock());
        builder = builder.shards($setup.shards.unwrap_or(1));
        builder = builder.max_capacity($setup.capacity.unwrap_or(100_000));
        if let Some(duration) = $setup.time_to_live {
            builder = builder.time_to_live(duration);
        }
        if let Some(duration) = $setup.time_to_idle {
            builder = builder.time_to_idle(duration);
        }
        builder.build().expect("valid settings")
    }};
}

fn plain(setup: &Setup) -> Plain {
    let builder: CacheBuilder<String, String> = CacheHandle::builder();
    with!(builder, setup)
}

fn plain_scope(setup: &Setup) -> ScopedHandle<String, String> {
    plain(setup).scope(SCOPE).expect("a valid path")
}

fn typed(setup: &Setup) -> Typed {
    let cache = with!(SharedCache::builder(), setup);
    // Another one with equal keys must never be in the way.
    let other = cache.namespace::<String, u64>("other").expect("a new name");
    for key in ["a", "b", "k"] {
        other.insert(key.to_owned(), 0);
        other.remove(key);
    }
    cache.namespace("strings").expect("a new name")
}

fn typed_scope(setup: &Setup) -> Typed {
    typed(setup).scope(SCOPE).expect("a valid path")
}

fn s(text: &str) -> String {
    text.to_owned()
}

macro_rules! suite {
    ($($view:ident),+) => {$(mod $view {
        use super::*;

        #[test]
        fn what_is_written_is_read_until_it_is_removed() {
            for shards in [1, 4] {
                let view = super::$view(&Setup { shards: Some(shards), ..Setup::default() });
                assert_eq!((view.get("a"), view.peek("a"), view.contains_key("a")), (None, None, false));
                view.insert(s("a"), s("1"));
                view.insert(s("b"), s("2"));
                assert_eq!((view.get("a"), view.get("b")), (Some(s("1")), Some(s("2"))));
                view.insert(s("a"), s("3"));
                assert_eq!(view.read("a", String::len), Some(1));
                view.flush().wait().expect("alive");
                assert_eq!((view.get("a"), view.peek("b")), (Some(s("3")), Some(s("2"))));
                assert_eq!((view.remove("a"), view.remove("a")), (Some(s("3")), None));
                assert_eq!((view.get("a"), view.contains_key("b")), (None, true));
                view.flush().wait().expect("alive");
                assert_eq!(view.get("a"), None);
                view.try_insert(s("a"), s("4")).expect("there is room");
                let mut entries = view.entries().wait().expect("alive");
                entries.sort();
                assert_eq!(entries, [(s("a"), s("4")), (s("b"), s("2"))]);
            }
        }

        #[test]
        fn a_pinned_view_gives_references() {
            let view = super::$view(&Setup::default());
            view.insert(s("a"), s("1"));
            let pinned = view.pin();
            let before = pinned.get("a");
            view.insert(s("a"), s("2"));
            view.remove("b");
            assert_eq!((before, pinned.get("a")), (Some(&s("1")), Some(&s("2"))));
            assert_eq!(pinned.get("b"), None);
        }

        #[test]
        fn time_to_live_ends_a_value_at_its_moment() {
            let setup = Setup { time_to_live: Some(ms(10)), ..Setup::default() };
            let view = super::$view(&setup);
            view.insert(s("a"), s("1"));
            view.insert_with_ttl(s("b"), s("2"), ms(5));
            view.insert_with_ttl(s("k"), s("3"), Duration::MAX);
            assert_eq!(view.get_or_load("l", || s("4")), s("4"));
            setup.clock.advance(ms(5) - Duration::from_nanos(1));
            assert_eq!((view.get("a"), view.get("b")), (Some(s("1")), Some(s("2"))));
            setup.clock.advance(Duration::from_nanos(1));
            assert_eq!((view.get("a"), view.get("b")), (Some(s("1")), None));
            setup.clock.advance(ms(5));
            assert_eq!((view.get("a"), view.get("l"), view.get("k")), (None, None, Some(s("3"))));
        }

        #[test]
        fn no_time_to_live_stores_nothing_and_removes_what_was_there() {
            let view = super::$view(&Setup::default());
            view.insert(s("a"), s("1"));
            view.insert_with_ttl(s("a"), s("2"), Duration::ZERO);
            assert_eq!(view.get("a"), None);
        }

        #[test]
        fn a_read_extends_the_time_to_idle() {
            let setup = Setup { time_to_idle: Some(ms(10)), ..Setup::default() };
            let view = super::$view(&setup);
            view.insert(s("a"), s("1"));
            view.insert(s("b"), s("2"));
            setup.clock.advance(ms(6));
            assert_eq!((view.get("a"), view.peek("b")), (Some(s("1")), Some(s("2"))));
            setup.clock.advance(ms(6));
            assert_eq!((view.get("a"), view.get("b")), (Some(s("1")), None));
        }

        #[test]
        fn the_bound_holds_once_the_shards_have_caught_up() {
            for shards in [1, 4] {
                let setup = Setup { shards: Some(shards), capacity: Some(64), ..Setup::default() };
                let view = super::$view(&setup);
                for i in 0..1000 {
                    view.insert(i.to_string(), s("x"));
                }
                view.flush().wait().expect("alive");
                assert_eq!(view.len(), 64);
                assert_eq!(view.entries().wait().expect("alive").len(), 64);
            }
        }

        #[test]
        fn callers_at_once_load_once() {
            bounded(|| {
                let view = super::$view(&Setup { shards: Some(4), ..Setup::default() });
                let (loads, gate) = (AtomicU64::new(0), Gate::new());
                thread::scope(|scope| {
                    for _ in 0..20 {
                        scope.spawn(|| {
                            gate.arrive();
                            let value = view.get_or_load("k", || {
                                loads.fetch_add(1, Ordering::SeqCst);
                                gate.wait_for(20);
                                s("v")
                            });
                            assert_eq!(value, "v");
                        });
                    }
                });
                assert_eq!(loads.load(Ordering::SeqCst), 1);
                assert_eq!(view.get_or_load("k", || unreachable!("it is there")), "v");
            });
        }

        #[test]
        fn threads_and_tasks_share_one_load() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let (ask, answer) = tokio::sync::oneshot::channel::<()>();
                let mut leader = Polled::new(view.get_or_load_async("k", async {
                    answer.await.expect("it is sent");
                    s("v")
                }));
                assert!(leader.is_pending());
                let mut waiter =
                    Polled::new(view.get_or_load_async("k", async { unreachable!("another loads") }));
                assert!(waiter.is_pending());
                ask.send(()).expect("the leader waits");
                assert_eq!(leader.ready(), "v");
                assert_eq!(waiter.ready(), "v");
                assert_eq!(view.get("k").as_deref(), Some("v"));
            });
        }

        #[test]
        fn a_cancelled_leader_is_succeeded() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let never = std::future::pending::<String>();
                let mut leader = Polled::new(view.get_or_load_async("k", never));
                assert!(leader.is_pending());
                let mut waiter = Polled::new(view.get_or_load_async("k", async { s("mine") }));
                assert!(waiter.is_pending());
                drop(leader);
                assert_eq!(waiter.ready(), "mine");
            });
        }

        #[test]
        fn an_error_is_shared_and_not_stored() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let error = view.try_get_or_load("k", || Err(7u8)).expect_err("it fails");
                assert_eq!((*error, view.get("k")), (7, None));
                let fallible = async { Err::<String, _>(s("no")) };
                let error = pollster::block_on(view.try_get_or_load_async("k", fallible));
                assert_eq!(error.map_err(|error| (*error).clone()), Err(s("no")));
                let loaded = view.try_get_or_load("k", || Ok::<_, u8>(s("v")));
                assert_eq!(loaded, Ok(s("v")));
                let found = pollster::block_on(view.try_get_or_load_async("k", async { Err(1u8) }));
                assert_eq!(found, Ok(s("v")));
            });
        }

        #[test]
        fn a_panic_is_the_leaders_alone() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let load = || view.get_or_load("k", || panic!("of the loader"));
                assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
                assert_eq!(view.get_or_load("k", || s("v")), "v");
            });
        }

        #[test]
        fn what_comes_after_a_load_began_beats_it() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let written = view.get_or_load("a", || {
                    view.insert(s("a"), s("newer"));
                    s("older")
                });
                assert_eq!((written.as_str(), view.get("a")), ("older", Some(s("newer"))));
                let removed = view.get_or_load("b", || {
                    view.remove("b");
                    s("older")
                });
                assert_eq!((removed.as_str(), view.get("b")), ("older", None));
            });
        }

        #[test]
        fn a_loader_may_ask_for_its_own_key() {
            bounded(|| {
                let view = super::$view(&Setup::default());
                let outer = view.get_or_load("k", || view.get_or_load("k", || s("inner")) + "+");
                assert_eq!((outer.as_str(), view.get("k").as_deref()), ("inner+", Some("inner+")));
            });
        }

        #[test]
        fn of_many_removers_one_gets_the_value() {
            bounded(|| {
                let view = super::$view(&Setup { shards: Some(4), ..Setup::default() });
                for round in 0..100 {
                    view.insert(s("k"), round.to_string());
                    let taken = AtomicU64::new(0);
                    thread::scope(|scope| {
                        for _ in 0..4 {
                            scope.spawn(|| {
                                if view.remove("k").is_some() {
                                    taken.fetch_add(1, Ordering::SeqCst);
                                }
                            });
                        }
                    });
                    assert_eq!(taken.load(Ordering::SeqCst), 1);
                }
            });
        }

        #[test]
        fn clones_are_the_same_and_keep_it_running() {
            let view = super::$view(&Setup::default());
            let clone = view.clone();
            view.insert(s("a"), s("1"));
            drop(view);
            assert_eq!(clone.get("a").as_deref(), Some("1"));
            clone.flush().wait().expect("alive");
            assert_eq!((clone.len(), clone.is_empty()), (1, false));
        }
    })+};
}

suite!(plain, plain_scope, typed, typed_scope);
